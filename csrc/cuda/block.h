// Reductions and scans of a warp and of a block, by shuffles, in a fixed order: the same bits in every run, for floating point
// too. All threads of the block call them together; `kThreads` is their number, a multiple of 32 up to 1024. Each ends with a
// barrier, so that it can be called again at once.
#pragma once

#include "cuda/launch.h"

namespace coremax::cuda {

__device__ inline int lane_of_thread() { return static_cast<int>(threadIdx.x) % kWarp; }
__device__ inline int warp_of_thread() { return static_cast<int>(threadIdx.x) / kWarp; }

// combine(a, b) of all lanes: ((0 + 16) + (8 + 24)) + ..., the same for every lane where combine does not mind the order of its
// two.
template <class T, class F>
__device__ inline T warp_reduce(T value, F combine) {
  for (int step = kWarp / 2; step > 0; step /= 2) value = combine(value, __shfl_xor_sync(kAllLanes, value, step));
  return value;
}

template <class T>
__device__ inline T warp_inclusive_sum(T value) {
  for (int step = 1; step < kWarp; step *= 2) {
    const T before = __shfl_up_sync(kAllLanes, value, static_cast<unsigned>(step));
    if (lane_of_thread() >= step) value += before;
  }
  return value;
}

// Of all threads, to all threads. identity: combine(identity, a) is a.
template <int kThreads, class T, class F>
__device__ inline T block_reduce(T value, T identity, F combine) {
  static_assert(kThreads % kWarp == 0 && kThreads <= kWarp * kWarp);
  COREMAX_SHARED(partial, T[kThreads / kWarp]);
  value = warp_reduce(value, combine);
  if (lane_of_thread() == 0) partial[warp_of_thread()] = value;
  __syncthreads();
  T result = lane_of_thread() < kThreads / kWarp ? partial[lane_of_thread()] : identity;
  result = warp_reduce(result, combine);
  __syncthreads();
  return result;
}

// Sums of the threads before each; total: of all.
template <int kThreads, class T>
__device__ inline T block_exclusive_sum(T value, T& total) {
  static_assert(kThreads % kWarp == 0 && kThreads <= kWarp * kWarp);
  COREMAX_SHARED(sums, T[kThreads / kWarp]);
  const T inclusive = warp_inclusive_sum(value);
  if (lane_of_thread() == kWarp - 1) sums[warp_of_thread()] = inclusive;
  __syncthreads();
  const T of_warp = warp_inclusive_sum(lane_of_thread() < kThreads / kWarp ? sums[lane_of_thread()] : T{});
  const T before = __shfl_sync(kAllLanes, of_warp, (warp_of_thread() + kWarp - 1) % kWarp);
  total = __shfl_sync(kAllLanes, of_warp, kThreads / kWarp - 1);
  __syncthreads();
  return (warp_of_thread() == 0 ? T{} : before) + (inclusive - value);
}

}  // namespace coremax::cuda
