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
      : data(static_cast<const T*>(source.x.data)),
        stride(source.x.row_stride),
        n(source.x.n_rows),
        d(source.x.n_cols),
        scales(source.scales),
        common_scale(source.common_scale),
        order(source.order) {}
  const __device__ T* row(std::int64_t number) const { return data + number * stride; }
  __device__ RowScale scale(std::int64_t number) const {
    return split_scale(scales != nullptr ? scales[number] : common_scale);
  }
  // What the canonical score reads; zeros fill up the last 16 columns.
  __device__ float value(const T* row, RowScale scale, std::int64_t column) const {
    return column < d ? scaled(row[column], scale) : 0.0f;
  }
};

// A found row as one number: the larger, the better, by score, then by the lower number. A zero's sign, which is no part of the
// order, is kept in the last bit. Never zero, as scores are finite.
__device__ inline std::uint64_t key_of(float score, std::int64_t number) {
  const auto bits = std::bit_cast<std::uint32_t>(score);
  const bool negative_zero = bits == 0x80000000;
  const std::uint32_t magnitude = negative_zero ? 0 : bits;
  const std::uint32_t ordered = magnitude >> 31 != 0 ? ~magnitude : magnitude | 0x80000000;
  return std::uint64_t{ordered} << 32 | static_cast<std::uint64_t>(0x7FFFFFFF - number) << 1 | (negative_zero ? 1 : 0);
}

__device__ inline std::int64_t number_of(std::uint64_t key) {
  return 0x7FFFFFFF - static_cast<std::int64_t>((key & 0xFFFFFFFF) >> 1);
}

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

// The keys of a warp's lanes, the largest to lane 0: a bitonic sort.
__device__ inline std::uint64_t sort_lanes(std::uint64_t key) {
  const int lane = cuda::lane_of_thread();
  for (int run = 2; run <= cuda::kWarp; run *= 2)
    for (int step = run / 2; step > 0; step /= 2) {
      const std::uint64_t other = __shfl_xor_sync(cuda::kAllLanes, key, step);
      const bool keeps_larger = ((lane & run) == 0) == ((lane & step) == 0);
      key = keeps_larger == (key > other) ? key : other;
    }
  return key;
}

// A warp takes up to 32 keys, one of each lane (0: none; the others differ), into a descending list of k, and returns the
// list's last. kth: its last before.
__device__ inline std::uint64_t merge_keys(std::uint64_t* list, std::int64_t k, std::uint64_t key, std::uint64_t kth) {
  if (__ballot_sync(cuda::kAllLanes, key > kth) == 0) return kth;
  const int lane = cuda::lane_of_thread();
  key = sort_lanes(key > kth ? key : 0);
  std::int64_t place = 0;  // the list's keys above this one
  for (std::int64_t end = k; place < end;) {
    const std::int64_t middle = (place + end) / 2;
    if (list[middle] > key)
      place = middle + 1;
    else
      end = middle;
  }
  place += lane;  // and those that come
  __syncwarp(cuda::kAllLanes);
  // The list's keys move towards its end, each by the number of those that come before it; last ones first.
  for (std::int64_t begin = (k - 1) / cuda::kWarp * cuda::kWarp; begin >= 0; begin -= cuda::kWarp) {
    const std::int64_t at = begin + lane;
    const std::uint64_t here = at < k ? list[at] : 0;
    int moves = 0;
    for (int step = cuda::kWarp / 2; step > 0; step /= 2)
      if (__shfl_sync(cuda::kAllLanes, key, moves + step - 1) > here) moves += step;
    if (__shfl_sync(cuda::kAllLanes, key, moves) > here) ++moves;
    if (moves > 0 && at + moves < k) list[at + moves] = here;
    if (__ballot_sync(cuda::kAllLanes, at < k && moves > 0) == 0) break;  // nor do those before move
  }
  __syncwarp(cuda::kAllLanes);
  if (key != 0 && place < k) list[place] = key;
  __syncwarp(cuda::kAllLanes);
  return list[k - 1];
}

}  // namespace coremax::graph::on_cuda
