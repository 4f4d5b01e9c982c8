// The AMX filter over emulated tiles, under a name of its own. A file of its own, because it is compiled for AVX-512: code that
// the linker might share with the other tests stays out.
#include <immintrin.h>

#include "amx_emulation.h"
#include "graph/cpu/kernels.h"

#define kAmxFilters kEmulatedAmxFilters
namespace coremax::graph {
extern const Filters kEmulatedAmxFilters;
}
#include "graph/cpu/amx.cpp"

namespace coremax::test {

// What went wrong since the last call, or null.
extern const char* emulated_amx_fault();
const char* emulated_amx_fault() {
  const char* fault = emulated_tiles.take_fault();
  return fault == nullptr && emulated_tiles.configured() ? "the tiles were not released" : fault;
}

}  // namespace coremax::test
