// What passed the filter, scored canonically and taken into the lists; and the lists' last step.
#include <algorithm>

#include "graph/cuda/rows.h"

namespace coremax::graph::on_cuda {
namespace {

// The canonical scores of a row with up to 32 others; lane i has the number of other i < count and gets its score. Half a warp
// to a pair, a thread to a lane of the sum.
template <bool kDistance, class T>
__device__ float score_others(const Rows<T>& rows, std::int64_t number, std::int64_t other, int count) {
  constexpr int kHalf = static_cast<int>(kLanes);
  const int lane = cuda::lane_of_thread();
  const int half = lane / kHalf;
  const std::int64_t padded = (rows.d + kHalf - 1) / kHalf * kHalf;
  const T* row = rows.row(number);
  const RowScale scale = rows.scale(number);
  float score = 0;
  for (int begin = 0; begin < count; begin += 2 * kScoredAtOnce) {
    const T* other_row[kScoredAtOnce];
    RowScale other_scale[kScoredAtOnce];
    float sums[kScoredAtOnce] = {};
#pragma unroll
    for (int u = 0; u < kScoredAtOnce; ++u) {
      const int which = std::min(begin + half * kScoredAtOnce + u, count - 1);
      const std::int64_t other_number = __shfl_sync(cuda::kAllLanes, other, which);
      other_row[u] = rows.row(other_number);
      other_scale[u] = rows.scale(other_number);
    }
    for (std::int64_t c = lane % kHalf; c < padded; c += kHalf) {
      const float x = rows.value(row, scale, c);
#pragma unroll
      for (int u = 0; u < kScoredAtOnce; ++u)
        sums[u] = canonical_step<kDistance>(x, rows.value(other_row[u], other_scale[u], c), sums[u]);
    }
#pragma unroll
    for (int u = 0; u < kScoredAtOnce; ++u) {
      for (int step = kHalf / 2; step >= 1; step /= 2) sums[u] += __shfl_xor_sync(cuda::kAllLanes, sums[u], step);
      const float first = __shfl_sync(cuda::kAllLanes, sums[u], 0);
      const float second = __shfl_sync(cuda::kAllLanes, sums[u], kHalf);
      if (lane == begin + u) score = first;
      if (lane == begin + kScoredAtOnce + u) score = second;
    }
  }
  return kDistance ? -score : score;
}

// A warp to a position.
template <class T, bool kDistance>
__global__ void __launch_bounds__(kMergeThreads) merge_candidates(Rows<T> rows, Metric metric, Lists lists, Pool pool) {
  const int lane = cuda::lane_of_thread();
  const std::int64_t position = std::int64_t{blockIdx.x} * (kMergeThreads / cuda::kWarp) + cuda::warp_of_thread();
  if (position >= rows.n) return;  // for the whole warp
  std::uint32_t at = pool.first[position];
  if (at == kNoCandidate) return;
  const std::int64_t number = rows.order.row_at(position);
  const float ceiling = ceiling_of(metric);
  std::uint64_t* list = lists.keys + number * lists.k;
  std::uint64_t kth = list[lists.k - 1];
  while (at != kNoCandidate) {
    int count = 0;
    std::uint32_t other = 0;  // the lane's
    for (; count < cuda::kWarp && at != kNoCandidate; ++count) {
      const Candidate candidate = pool.candidates[at];
      if (lane == count) other = candidate.other;
      at = candidate.next;
    }
    const std::int64_t other_number = rows.order.row_at(other);
    const float score = std::clamp(score_others<kDistance>(rows, number, other_number, count), -ceiling, ceiling);
    kth = merge_keys(list, lists.k, lane < count ? key_of(score, other_number) : 0, kth);
  }
  if (lane == 0) {
    pool.first[position] = kNoCandidate;
    lists.thresholds[position] = threshold_of(kth, metric);
  }
}

__global__ void finish_lists(std::int64_t* neighbors, float* similarities, std::int64_t size, Metric metric,
                             double common_scale, Report* report) {
  const std::int64_t e = std::int64_t{blockIdx.x} * kMergeThreads + threadIdx.x;
  if (e >= size) return;
  const auto key = static_cast<std::uint64_t>(neighbors[e]);
  const float similarity = similarity_of(score_of(key), metric, common_scale);
  neighbors[e] = number_of(key);
  similarities[e] = similarity;
  if (key == 0) atomicMin(reinterpret_cast<unsigned long long*>(&report->unfilled), static_cast<unsigned long long>(e));
  if (!std::isfinite(similarity))
    atomicMin(reinterpret_cast<unsigned long long*>(&report->overflow), static_cast<unsigned long long>(e));
}

}  // namespace

void merge(const Source& source, const Lists& lists, const Pool& pool, const cuda::Stream& stream) {
  with_element_type(source.x.dtype, [&]<class T>(T) {
    const auto kernel = source.metric == Metric::euclidean ? merge_candidates<T, true> : merge_candidates<T, false>;
    cuda::launch(stream, {cuda::blocks_for(source.x.n_rows, kMergeThreads / cuda::kWarp), kMergeThreads}, kernel,
                 Rows<T>(source), source.metric, lists, pool);
  });
}

void finish(const Source& source, std::int64_t k, std::int64_t* neighbors, float* similarities, Report* report,
            const cuda::Stream& stream) {
  const std::int64_t size = source.x.n_rows * k;
  cuda::launch(stream, {cuda::blocks_for(size, kMergeThreads), kMergeThreads}, finish_lists, neighbors, similarities, size,
               source.metric, source.common_scale, report);
}

}  // namespace coremax::graph::on_cuda
