// Scans over arrays on the device: out[i] = combine of in[0..i] (inclusive) or in[0..i-1] (exclusive). Three launches: each
// block reduces its tile, one block scans what they give, each block scans its tile behind what came before. In one fixed
// order, so floating-point sums have the same bits in every run (not those of a sum from left to right). For .cu files.
#pragma once

#include "cuda/block.h"
#include "cuda/policy.h"

namespace coremax::cuda {
namespace scan_kernels {

constexpr int kThreads = policy::kScanThreads;
constexpr std::int64_t kTile = std::int64_t{kThreads} * policy::kScanItems;

// The combination of the threads before each one; identity for the first. total: of all.
template <class T, class F>
__device__ T exclusive_of_block(T value, T identity, F combine, T& total) {
  COREMAX_SHARED(sums, T[kThreads / kWarp]);
  T inclusive = value;
  for (int step = 1; step < kWarp; step *= 2) {
    const T before = __shfl_up_sync(kAllLanes, inclusive, static_cast<unsigned>(step));
    if (lane_of_thread() >= step) inclusive = combine(before, inclusive);
  }
  if (lane_of_thread() == kWarp - 1) sums[warp_of_thread()] = inclusive;
  __syncthreads();
  T of_warps = identity;
  total = identity;
  for (int w = 0; w < kThreads / kWarp; ++w) {
    if (w == warp_of_thread()) of_warps = total;
    total = combine(total, sums[w]);
  }
  const T before = __shfl_up_sync(kAllLanes, inclusive, 1);
  __syncthreads();
  return lane_of_thread() == 0 ? of_warps : combine(of_warps, before);
}

template <class T, class F>
__global__ void reduce_tiles(const T* in, std::int64_t n, T identity, F combine, T* tiles) {
  const std::int64_t begin = std::int64_t{blockIdx.x} * kTile + std::int64_t{threadIdx.x} * policy::kScanItems;
  T sum = identity;
  for (int j = 0; j < policy::kScanItems; ++j)
    if (begin + j < n) sum = combine(sum, in[begin + j]);
  T total;
  exclusive_of_block(sum, identity, combine, total);
  if (threadIdx.x == 0) tiles[blockIdx.x] = total;
}

// One block: tiles become the combination of those before each.
template <class T, class F>
__global__ void scan_tiles(T* tiles, std::int64_t n_tiles, T identity, F combine) {
  T before = identity;
  for (std::int64_t begin = 0; begin < n_tiles; begin += kThreads) {
    const std::int64_t i = begin + threadIdx.x;
    const T value = i < n_tiles ? tiles[i] : identity;
    T total;
    const T own = combine(before, exclusive_of_block(value, identity, combine, total));
    if (i < n_tiles) tiles[i] = own;
    before = combine(before, total);
  }
}

template <bool kInclusive, class T, class F>
__global__ void scan_each(const T* in, T* out, std::int64_t n, T identity, F combine, const T* tiles) {
  const std::int64_t begin = std::int64_t{blockIdx.x} * kTile + std::int64_t{threadIdx.x} * policy::kScanItems;
  T items[policy::kScanItems];
  T sum = identity;
  for (int j = 0; j < policy::kScanItems; ++j) {
    items[j] = begin + j < n ? in[begin + j] : identity;
    sum = combine(sum, items[j]);
  }
  T total;
  T running = combine(tiles[blockIdx.x], exclusive_of_block(sum, identity, combine, total));
  for (int j = 0; j < policy::kScanItems; ++j) {
    const T next = combine(running, items[j]);
    if (begin + j < n) out[begin + j] = kInclusive ? next : running;
    running = next;
  }
}

}  // namespace scan_kernels

// combine must be associative (but for rounding) with combine(identity, a) == a; a functor with a name, callable on the device.
// in == out is allowed. T: a type that shuffles take.
template <bool kInclusive, class T, class F>
void scan(const T* in, T* out, std::int64_t n, T identity, F combine, const Stream& stream) {
  using namespace scan_kernels;
  if (n <= 0) return;
  const unsigned n_tiles = blocks_for(n, kTile);
  const Buffer<T> tiles(n_tiles, stream, "the sums of a scan");
  launch(stream, {n_tiles, kThreads}, reduce_tiles<T, F>, in, n, identity, combine, tiles.data());
  launch(stream, {1, kThreads}, scan_tiles<T, F>, tiles.data(), std::int64_t{n_tiles}, identity, combine);
  launch(stream, {n_tiles, kThreads}, scan_each<kInclusive, T, F>, in, out, n, identity, combine, tiles.data());
}

struct Sum {
  template <class T>
  COREMAX_HD T operator()(T a, T b) const {
    return a + b;
  }
};

struct Smallest {
  template <class T>
  COREMAX_HD T operator()(T a, T b) const {
    return b < a ? b : a;
  }
};

}  // namespace coremax::cuda
