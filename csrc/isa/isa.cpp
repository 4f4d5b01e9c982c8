// Detection asks the compiler's CPU runtime, which checks that the operating system saves the wide registers too.
#include "isa/isa.h"

#include <cstdlib>

#include "core/errors.h"

namespace coremax {

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::scalar: return "scalar";
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
  }
  return "unknown";
}

std::vector<Isa> available_isas() {
  std::vector<Isa> levels{Isa::scalar};
#if defined(COREMAX_HAVE_AVX2)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) levels.push_back(Isa::avx2);
#endif
#if defined(COREMAX_HAVE_AVX512)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma"))
    levels.push_back(Isa::avx512);
#endif
  return levels;
}

bool has_vnni() {
#if defined(COREMAX_HAVE_AVX512VNNI)
  return __builtin_cpu_supports("avx512vnni") != 0;
#else
  return false;
#endif
}

Isa resolve_isa(const std::string& request) {
  const auto levels = available_isas();
  std::string name = request;
  std::string origin = "isa";
  if (name.empty()) {
    const char* environment = std::getenv("COREMAX_ISA");
    if (environment == nullptr || *environment == '\0') return levels.back();
    name = environment;
    origin = "COREMAX_ISA";
  }
  std::string known;
  for (Isa level : levels) {
    if (name == isa_name(level)) return level;
    known += std::string(known.empty() ? "" : ", ") + isa_name(level);
  }
  throw Error(ErrorKind::value, origin + " is '" + name + "', but this build on this CPU has: " + known);
}

}  // namespace coremax
