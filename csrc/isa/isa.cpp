// Detection asks the compiler's CPU runtime, which checks that the operating system saves the wide registers too. Compilers in
// use do not know of tiles, so for AMX the CPU and Linux are asked directly. Of ARM only the extensions of NEON are in
// question: Linux tells of them, and every Mac of that kind has them.
#include "isa/isa.h"

#include <cstdlib>

#include "core/errors.h"

#if defined(COREMAX_HAVE_AMX) || defined(COREMAX_HAVE_SHANI)
#include <cpuid.h>
#endif
#if defined(COREMAX_HAVE_AMX)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(COREMAX_HAVE_NEON) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace coremax {
namespace {

#if defined(COREMAX_HAVE_AVX512)
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}
#endif

#if defined(COREMAX_HAVE_AMX)
bool cpu_has_amx() {
  constexpr unsigned kBfloat16 = 1U << 22;
  constexpr unsigned kTile = 1U << 24;
  constexpr unsigned kInt8 = 1U << 25;
  constexpr unsigned kWanted = kBfloat16 | kTile | kInt8;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kWanted) == kWanted;
}

// Whether the operating system saves the tiles and their configuration. Only for a CPU that has AVX-512 in use, for then the
// instruction is there.
bool system_saves_tiles() {
  constexpr unsigned kTileState = 1U << 17 | 1U << 18;
  unsigned low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & kTileState) == kTileState;
}

// Linux gives a process the 8 KiB of tiles on request only (arch/x86/include/uapi/asm/prctl.h); threads have them with it.
bool ask_for_tiles() {
  constexpr long kRequestState = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestState, kTileData) == 0;
}

bool has_amx() {
  static const bool answer = has_avx512() && cpu_has_amx() && system_saves_tiles() && ask_for_tiles();
  return answer;
}
#endif

#if defined(COREMAX_HAVE_NEON)
// capability: a bit of AT_HWCAP (arch/arm64/include/uapi/asm/hwcap.h).
bool has_arm_extension([[maybe_unused]] unsigned long capability) {
#if defined(__linux__)
  return (getauxval(AT_HWCAP) & capability) != 0;
#elif defined(__APPLE__)
  return true;
#else
  return false;
#endif
}
#endif

}  // namespace

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return "scalar";
    case Isa::neon:
      return "neon";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::amx:
      return "amx";
  }
  return "unknown";
}

std::vector<Isa> available_isas() {
  std::vector<Isa> levels{Isa::scalar};
#if defined(COREMAX_HAVE_NEON)
  levels.push_back(Isa::neon);
#endif
#if defined(COREMAX_HAVE_AVX2)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) levels.push_back(Isa::avx2);
#endif
#if defined(COREMAX_HAVE_AVX512)
  if (has_avx512()) levels.push_back(Isa::avx512);
#endif
#if defined(COREMAX_HAVE_AMX)
  if (has_amx()) levels.push_back(Isa::amx);
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

bool has_dotprod() {
#if defined(COREMAX_HAVE_NEONDOTPROD)
  constexpr unsigned long kDotProduct = 1UL << 20;  // HWCAP_ASIMDDP
  return has_arm_extension(kDotProduct);
#else
  return false;
#endif
}

bool has_sha() {
#if defined(COREMAX_HAVE_SHANI)
  constexpr unsigned kSha = 1U << 29;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & kSha) != 0 && __builtin_cpu_supports("sse4.1");
#elif defined(COREMAX_HAVE_NEONSHA)
  constexpr unsigned long kSha2 = 1UL << 6;  // HWCAP_SHA2
  return has_arm_extension(kSha2);
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
