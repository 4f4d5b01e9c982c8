// For kernels of the graph: canonical scores of kSide x kSide pairs at a time by half a warp, a thread to a lane of the sum.
#pragma once

#include "cuda/block.h"
#include "graph/elements.h"

namespace coremax::graph::on_cuda {

constexpr int kHalf = 16;  // threads
constexpr int kSide = 8;
constexpr int kPairs = kSide * kSide;
static_assert(kHalf == kLanes);

// A column more of the lane: pair i kSide + j is row i of x with row j of y, which point at its column of their first rows.
template <bool kDistance>
__device__ inline void step_pairs(const float* x, int x_stride, const float* y, int y_stride, float (&sums)[kPairs]) {
  float xs[kSide];
  float ys[kSide];
#pragma unroll
  for (int i = 0; i < kSide; ++i) xs[i] = x[i * x_stride];
#pragma unroll
  for (int j = 0; j < kSide; ++j) ys[j] = y[j * y_stride];
#pragma unroll
  for (int i = 0; i < kSide; ++i)
#pragma unroll
    for (int j = 0; j < kSide; ++j) sums[i * kSide + j] = canonical_step<kDistance>(xs[i], ys[j], sums[i * kSide + j]);
}

// Adds up the lanes of all pairs, as l with l + 8, l + 4, l + 2, l + 1, halving the pairs that a thread has each time; sums[0]
// to sums[3] are then the scores of pairs 4 lane to 4 lane + 3.
template <int kApart = kHalf / 2, int kKept = kPairs / 2>
__device__ void add_lanes(float (&sums)[kPairs], int lane) {
  const bool upper = (lane & kApart) != 0;
#pragma unroll
  for (int p = 0; p < kKept; ++p) {
    const float give = upper ? sums[p] : sums[p + kKept];
    const float keep = upper ? sums[p + kKept] : sums[p];
    sums[p] = keep + __shfl_xor_sync(cuda::kAllLanes, give, kApart);
  }
  if constexpr (kApart > 1) add_lanes<kApart / 2, kKept / 2>(sums, lane);
}

}  // namespace coremax::graph::on_cuda
