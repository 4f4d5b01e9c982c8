// What an ISA level provides to the graph: two tile products and a threshold scan, as plain functions over raw pointers.
// One table per level; the driver picks a table once per call. Levels share no code but this header (house rule: a shared
// inline body could be linked in its AVX-512 form onto the baseline path).
#pragma once

#include <cstdint>

#include "isa/isa.h"

namespace coremax::graph {

// Rows of a come in multiples of 12 and rows of b in multiples of 4, so that every level's register tile divides them.
constexpr std::int64_t kRowMultipleA = 12;
constexpr std::int64_t kRowMultipleB = 4;

// scores[r * ld + c] = canonical score of row r of a with row c of b. Rows are 64-byte aligned, `width` floats long (a
// multiple of 16) and contiguous.
using TileKernel = void (*)(const float* a, std::int64_t n_a, const float* b, std::int64_t n_b, std::int64_t width, float* scores,
                            std::int64_t ld);

struct Kernels {
  TileKernel dot;               // sum of products
  TileKernel negated_distance;  // minus the sum of squared differences
  // Writes the positions, ascending, of scores above the threshold to out (room for n + 16); returns how many.
  std::int64_t (*above)(const float* scores, std::int64_t n, float threshold, std::int32_t* out);
};

extern const Kernels kScalarKernels;
#if defined(COREMAX_HAVE_AVX2)
extern const Kernels kAvx2Kernels;
#endif
#if defined(COREMAX_HAVE_AVX512)
extern const Kernels kAvx512Kernels;
#endif

}  // namespace coremax::graph
