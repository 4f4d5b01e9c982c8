// Runs every case, or those whose name contains one of the arguments. Exit code 1 if one failed, or if none was run.
#include <cstdio>
#include <cstring>
#include <mutex>

#include "check.h"

namespace coremax::test {
namespace {

constexpr int kReported = 10;  // failures of one case that are printed; a loop may have thousands

std::mutex mutex;
long checks = 0;
int failures = 0;  // of the running case

bool wanted(const char* name, int argc, char** argv) {
  if (argc < 2) return true;
  for (int i = 1; i < argc; ++i)
    if (std::strstr(name, argv[i]) != nullptr) return true;
  return false;
}

// Whether the case passed: it checked something and nothing failed.
bool run(const Case& test) {
  checks = 0;
  failures = 0;
  try {
    test.run();
  } catch (const std::exception& error) {
    record(false, test.name, 0, std::string("an exception left the case: ") + error.what());
  }
  if (checks == 0) record(false, test.name, 0, "the case checked nothing");
  std::printf("%s %s (%ld checks, %d failed)\n", failures == 0 ? "pass" : "FAIL", test.name, checks, failures);
  return failures == 0;
}

}  // namespace

std::vector<Case>& cases() {
  static std::vector<Case> list;
  return list;
}

bool record(bool ok, const char* file, int line, const std::string& what) {
  const std::lock_guard lock(mutex);
  ++checks;
  if (!ok && ++failures <= kReported) std::printf("%s:%d: failed: %s\n", file, line, what.c_str());
  return ok;
}

}  // namespace coremax::test

int main(int argc, char** argv) {
  int passed = 0;
  int failed = 0;
  for (const auto& test : coremax::test::cases()) {
    if (!coremax::test::wanted(test.name, argc, argv)) continue;
    ++(coremax::test::run(test) ? passed : failed);
    std::fflush(stdout);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed > 0 || passed == 0 ? 1 : 0;
}
