// For kernels of the graph: rows of the caller's matrix through their type, and neighbour lists of keys.
#pragma once

#include "cuda/block.h"
#include "graph/cuda/stages.h"
#include "graph/elements.h"

namespace coremax::graph::on_cuda {

template <class T>
struct Rows {
  const T* data;
  std::int64_t stride;
  std::int64_t n;
  std::int64_t d;
  const double* scales;
  double common_scale;
  Order order;

  explicit Rows(const Source& source)
      : data(static_cast<const T*>(source.x.data)), stride(source.x.row_stride), n(source.x.n_rows), d(source.x.n_cols), scales(source.scales),
        common_scale(source.common_scale), order(source.order) {}
  __device__ const T* row(std::int64_t number) const { return data + number * stride; }
  __device__ RowScale scale(std::int64_t number) const { return split_scale(scales != nullptr ? scales[number] : common_scale); }
  // What the canonical score reads; zeros fill up the last 16 columns.
  __device__ float value(const T* row, RowScale scale, std::int64_t column) const { return column < d ? scaled(row[column], scale) : 0.0f; }
};

// A found row as one number: the larger, the better, by score, then by the lower number. A zero's sign, which is no part of the order,
// is kept in the last bit. Never zero, as scores are finite.
__device__ inline std::uint64_t key_of(float score, std::int64_t number) {
  const auto bits = std::bit_cast<std::uint32_t>(score);
  const bool negative_zero = bits == 0x80000000;
  const std::uint32_t magnitude = negative_zero ? 0 : bits;
  const std::uint32_t ordered = magnitude >> 31 != 0 ? ~magnitude : magnitude | 0x80000000;
  return std::uint64_t{ordered} << 32 | static_cast<std::uint64_t>(0x7FFFFFFF - number) << 1 | (negative_zero ? 1 : 0);
}

__device__ inline std::int64_t number_of(std::uint64_t key) { return 0x7FFFFFFF - static_cast<std::int64_t>((key & 0xFFFFFFFF) >> 1); }

__device__ inline float score_of(std::uint64_t key) {
  const auto ordered = static_cast<std::uint32_t>(key >> 32);
  const std::uint32_t bits = ordered >> 31 != 0 ? ordered & 0x7FFFFFFF : ~ordered;
  return std::bit_cast<float>((key & 1) != 0 ? bits | 0x80000000 : bits);
}

// What a canonical score must reach, given the k-th best key.
__device__ inline float threshold_of(std::uint64_t kth, Metric metric) {
  const float least = -std::bit_cast<float>(0x7F800000);
  if (kth == 0) return least;
  const float score = score_of(kth);
  return score <= -ceiling_of(metric) ? least : score;  // what is clipped from below says nothing of scores before clipping
}

// A warp takes up to 32 keys, one of each lane (0: none), into a descending list of k, and returns the list's last. kth: its last before.
__device__ inline std::uint64_t merge_keys(std::uint64_t* list, std::int64_t k, std::uint64_t key, std::uint64_t kth) {
  const bool comes = key > kth;
  const unsigned coming = __ballot_sync(cuda::kAllLanes, comes);
  if (coming == 0) return kth;
  const int lane = cuda::lane_of_thread();
  std::int64_t place = 0;  // among those that come, then among all
  for (unsigned rest = coming; rest != 0; rest &= rest - 1) place += __shfl_sync(cuda::kAllLanes, key, __ffs(static_cast<int>(rest)) - 1) > key;
  if (comes) {
    std::int64_t low = 0;  // the list's keys above this one: a binary search
    std::int64_t high = k;
    while (low < high) {
      const std::int64_t middle = (low + high) / 2;
      if (list[middle] > key)
        low = middle + 1;
      else
        high = middle;
    }
    place += low;
  }
  __syncwarp(cuda::kAllLanes);
  // The list's keys move towards its end, last ones first.
  for (std::int64_t begin = (k - 1) / cuda::kWarp * cuda::kWarp; begin >= 0; begin -= cuda::kWarp) {
    const std::int64_t at = begin + lane;
    const std::uint64_t here = at < k ? list[at] : 0;
    std::int64_t to = at;
    for (unsigned rest = coming; rest != 0; rest &= rest - 1) to += __shfl_sync(cuda::kAllLanes, key, __ffs(static_cast<int>(rest)) - 1) > here;
    if (to != at && to < k) list[to] = here;
    if (__ballot_sync(cuda::kAllLanes, at < k && to != at) == 0) break;  // nor do those before move
  }
  __syncwarp(cuda::kAllLanes);
  if (comes && place < k) list[place] = key;
  __syncwarp(cuda::kAllLanes);
  return list[k - 1];
}

}  // namespace coremax::graph::on_cuda
