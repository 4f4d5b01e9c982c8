// Which instruction-set levels this build holds and this CPU can run. A level is chosen once per call, outside every loop.
// Order means preference: a higher level is taken when present. New levels are new values here.
#pragma once

#include <string>
#include <vector>

namespace coremax {

enum class Isa { scalar = 0, neon = 1, avx2 = 2, avx512 = 3, amx = 4 };

const char* isa_name(Isa isa);
// The levels both compiled in and supported by this CPU and its operating system, lowest first; never empty.
std::vector<Isa> available_isas();
// The level for a request: "" means COREMAX_ISA if set, else the best available. An unknown or unsupported one is an error.
Isa resolve_isa(const std::string& request);

// Whether the CPU has the integer dot products that the avx512 level uses where they are present.
bool has_vnni();
// Whether it has the dot product of bytes that the neon level uses where it is present.
bool has_dotprod();
// Whether it has instructions for SHA-256, which levels above scalar use where they are present.
bool has_sha();

}  // namespace coremax
