// How far the experts agree: eight threads to a row, each a lane of the sums.
#include <algorithm>
#include <cmath>

#include "cuda/block.h"
#include "scores/cuda/policy.h"
#include "scores/cuda/stages.h"
#include "scores/scores.h"

namespace coremax::scores::on_cuda {
namespace {

#include "scores/lane_log.h"

using policy::kThreads;

constexpr int kLanes = 8;                 // as the kernels of the CPU have
constexpr int kRows = kThreads / kLanes;  // of a block

__device__ double probability(const Expert& expert, std::int64_t row, std::int64_t c) {
  const std::int64_t at = row * expert.stride + c;
  return expert.wide ? static_cast<const double*>(expert.rows)[at]
                     : static_cast<double>(static_cast<const float*>(expert.rows)[at]);
}

// As add_lanes, to all lanes: l with l + 4, l + 2, l + 1.
__device__ double add_up(double lane) {
  for (int step = kLanes / 2; step > 0; step /= 2) lane += __shfl_xor_sync(cuda::kAllLanes, lane, step);
  return lane;
}

__device__ std::int64_t row_of_thread() { return std::int64_t{blockIdx.x} * kRows + threadIdx.x / kLanes; }
__device__ int lane_of_row() { return static_cast<int>(threadIdx.x) % kLanes; }

// A sum that is on the edge is taken again in the order of the columns, which decides.
__device__ bool sums_to_one(const Expert& expert, std::int64_t row, std::int64_t n_classes, double sum) {
  if (std::fabs(sum - 1) <= kSumTolerance) return true;
  double plain = 0;
  for (std::int64_t c = 0; c < n_classes; ++c) plain += probability(expert, row, c);
  return std::fabs(plain - 1) <= kSumTolerance;
}

__global__ void measure_each(Experts experts, double* scales, std::uint64_t* first_bad) {
  const std::int64_t row = row_of_thread();
  const bool is_row = row < experts.n;
  for (std::int64_t k = 0; k < experts.n_experts; ++k) {
    const Expert expert = experts.each[k];
    double lane = 0;
    bool inside = true;
    if (is_row)
      for (std::int64_t c = lane_of_row(); c < experts.n_classes; c += kLanes) {
        const double p = probability(expert, row, c);
        inside = inside && p >= 0 && p <= 1 + kSumTolerance;
        lane += p;
      }
    const double sum = add_up(lane);
    const unsigned outside = __ballot_sync(cuda::kAllLanes, !inside) >> (cuda::lane_of_thread() / kLanes * kLanes) & 0xFF;
    if (!is_row || lane_of_row() != 0) continue;
    scales[k * experts.n + row] = 1 / sum;
    if (outside != 0 || !sums_to_one(expert, row, experts.n_classes, sum))
      atomicMin(reinterpret_cast<unsigned long long*>(first_bad), static_cast<unsigned long long>(row * experts.n_experts + k));
  }
}

// Probabilities are read again for the mean: keeping them would take memory for a row to every thread.
__global__ void agree_each(Experts experts, const double* scales, double most, double* out) {
  const std::int64_t row = row_of_thread();
  const bool is_row = row < experts.n;
  const std::int64_t n_classes = is_row ? experts.n_classes : 0;
  const auto scaled = [&](std::int64_t k, std::int64_t c) {
    return probability(experts.each[k], row, c) * scales[k * experts.n + row];
  };
  const auto count = static_cast<double>(experts.n_experts);
  double plogp = 0;
  for (std::int64_t k = 0; k < experts.n_experts; ++k) {
    double lane = 0;
    for (std::int64_t c = lane_of_row(); c < n_classes; c += kLanes) lane += plogp_of(scaled(k, c));
    plogp += add_up(lane);
  }
  double lane = 0;
  for (std::int64_t c = lane_of_row(); c < n_classes; c += kLanes) {
    double mean = 0;
    for (std::int64_t k = 0; k < experts.n_experts; ++k) mean += scaled(k, c);
    lane += plogp_of(mean / count);
  }
  const double divergence = plogp / count - add_up(lane);
  if (is_row && lane_of_row() == 0) out[row] = std::clamp(1 - divergence / most, 0.0, 1.0);
}

}  // namespace

void measure_distributions(const Experts& experts, double* scales, std::uint64_t* first_bad, const cuda::Stream& stream) {
  cuda::launch(stream, {cuda::blocks_for(experts.n, kRows), kThreads}, measure_each, experts, scales, first_bad);
}

void agree(const Experts& experts, const double* scales, double most, double* out, const cuda::Stream& stream) {
  cuda::launch(stream, {cuda::blocks_for(experts.n, kRows), kThreads}, agree_each, experts, scales, most, out);
}

}  // namespace coremax::scores::on_cuda
