// See mapped_files.h. The handler calls only what may be called in one: mmap is a bare system call, and Python's function is
// made for it.
#include "bindings/mapped_files.h"

#include <pybind11/pybind11.h>

#include <array>
#include <atomic>

#include "core/errors.h"

#if defined(__unix__) || defined(__APPLE__)
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#endif

namespace coremax::bindings {
namespace {

struct Range {
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};
};

constexpr int kMostRanges = 256;  // inputs of one command: more are not guarded
std::array<Range, kMostRanges> ranges;
std::atomic<int> n_ranges{0};
std::atomic<int> lost{-1};

#if defined(__unix__) || defined(__APPLE__)

std::uintptr_t page_size = 4096;

// Whether the address is in a range, which from there on is zeros then.
bool fill_with_zeros(std::uintptr_t address) {
  for (int i = 0; i < n_ranges.load(); ++i) {
    const std::uintptr_t end = ranges[static_cast<std::size_t>(i)].end.load();
    if (address < ranges[static_cast<std::size_t>(i)].begin.load() || address >= end) continue;
    const std::uintptr_t page = address - address % page_size;
    void* const start = reinterpret_cast<void*>(page);
    if (mmap(start, end - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) return false;
    int none = -1;
    if (lost.compare_exchange_strong(none, i))
      PyErr_SetInterruptEx(SIGBUS);  // once: a second would fall into what the first one tidies up
    return true;
  }
  return false;
}

extern "C" void on_bus_error(int number, siginfo_t* info, void*) {
  const int kept_errno = errno;
  // Elsewhere the instruction runs again, and the process ends as it would have.
  if (!fill_with_zeros(reinterpret_cast<std::uintptr_t>(info->si_addr))) signal(number, SIG_DFL);
  errno = kept_errno;
}

#endif

}  // namespace

#if defined(__unix__) || defined(__APPLE__)

bool guard_mapped_files() {
  page_size = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  struct sigaction action = {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  return sigaction(SIGBUS, &action, nullptr) == 0;
}

#else

bool guard_mapped_files() { return false; }  // Windows refuses to shorten a file that is mapped

#endif

int watch_mapped_file(std::uintptr_t address, std::int64_t n_bytes) {
  require(n_bytes >= 0, "n_bytes must not be negative");
  const int i = n_ranges.load();
  if (i == kMostRanges) return -1;
#if defined(__unix__) || defined(__APPLE__)
  const std::uintptr_t last = address + static_cast<std::uintptr_t>(n_bytes) + page_size - 1;
  ranges[static_cast<std::size_t>(i)].begin = address - address % page_size;
  ranges[static_cast<std::size_t>(i)].end = last - last % page_size;
#else
  static_cast<void>(address);
#endif
  n_ranges = i + 1;
  return i;
}

int lost_mapped_file() { return lost.load(); }

}  // namespace coremax::bindings
