// What is done to each sample's values, and the scale that percentiles give. These are found by counting: the bits of the
// values, as numbers in the same order, from the highest on, so that after six passes all bits of the values of four ranks are
// known, and nothing is sorted.
#include <bit>

#include "cuda/block.h"
#include "scores/cuda/policy.h"
#include "scores/cuda/stages.h"
#include "scores/formulas.h"

namespace coremax::scores::on_cuda {
namespace {

using policy::kThreads;

constexpr int kKeyBits = 64;
constexpr int kRanks = 4;
constexpr int kCounters = 1 << policy::kDigitBits;
constexpr int kPickThreads = kRanks * cuda::kWarp;

// What is known of the values sought: their highest bits, and which of the values with these bits they are.
struct Search {
  std::uint64_t prefix[kRanks];
  std::uint64_t rank[kRanks];
};

struct Digit {
  int shift;
  int bits;
};

// Ascending with the values; both zeros are one.
__device__ std::uint64_t key_of(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value + 0.0);
  return bits >> 63 != 0 ? ~bits : bits | std::uint64_t{1} << 63;
}
__device__ double value_of(std::uint64_t key) {
  return std::bit_cast<double>(key >> 63 != 0 ? key & ~(std::uint64_t{1} << 63) : ~key);
}

// Of ranks whose values begin with the same bits the first has the counters of all.
__device__ int counters_of(const Search& search, int t) {
  int first = 0;
  while (search.prefix[first] != search.prefix[t]) ++first;
  return first;
}

// counts [kRanks, kCounters] += how many of the values with a prefix have each digit next.
__global__ void count_digits(const double* values, std::int64_t n, Digit digit, const Search* search,
                             unsigned long long* counts) {
  COREMAX_SHARED(of_block, unsigned[kRanks][kCounters]);
  const Search sought = *search;
  bool has_counters[kRanks];
#pragma unroll
  for (int t = 0; t < kRanks; ++t) {
    has_counters[t] = true;
#pragma unroll
    for (int e = 0; e < t; ++e) has_counters[t] = has_counters[t] && sought.prefix[e] != sought.prefix[t];
  }
  for (int e = static_cast<int>(threadIdx.x); e < kRanks * kCounters; e += kThreads) of_block[e / kCounters][e % kCounters] = 0;
  __syncthreads();
  const int above = digit.shift + digit.bits;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < n; i += std::int64_t{gridDim.x} * kThreads) {
    const std::uint64_t key = key_of(values[i]);
    const std::uint64_t prefix = above == kKeyBits ? 0 : key >> above;
#pragma unroll
    for (int t = 0; t < kRanks; ++t)
      if (has_counters[t] && prefix == sought.prefix[t])
        atomicAdd(&of_block[t][key >> digit.shift & ((1U << digit.bits) - 1)], 1U);
  }
  __syncthreads();
  for (int e = static_cast<int>(threadIdx.x); e < kRanks * kCounters; e += kThreads)
    if (const unsigned count = of_block[e / kCounters][e % kCounters]; count > 0)
      atomicAdd(&counts[e], static_cast<unsigned long long>(count));
}

// A warp to a rank: the digit that its value has. Counters are zero afterwards.
__global__ void pick_digits(Digit digit, Search* search, unsigned long long* counts) {
  constexpr int kEach = kCounters / cuda::kWarp;
  const int t = cuda::warp_of_thread();
  const int lane = cuda::lane_of_thread();
  const unsigned long long* own = counts + std::int64_t{counters_of(*search, t)} * kCounters + lane * kEach;
  unsigned long long sum = 0;
  for (int e = 0; e < kEach; ++e) sum += own[e];
  const unsigned long long up_to = cuda::warp_inclusive_sum(sum);
  const std::uint64_t rank = search->rank[t];
  const std::uint64_t prefix = search->prefix[t];
  const bool here = rank < up_to && rank >= up_to - sum;
  std::uint64_t before = up_to - sum;
  int next = 0;
  if (here)
    for (; next < kEach - 1 && rank >= before + own[next]; ++next) before += own[next];
  __syncthreads();
  if (here) {
    search->prefix[t] = prefix << digit.bits | static_cast<std::uint64_t>(lane * kEach + next);
    search->rank[t] = rank - before;
  }
  for (int e = static_cast<int>(threadIdx.x); e < kRanks * kCounters; e += kPickThreads) counts[e] = 0;
}

// The values of the ranks are found: low, the next, high, the next.
__global__ void scale_each(double* values, std::int64_t n, const Search* found, Percentile low, Percentile high,
                           double tolerance) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= n) return;
  const auto value = [&](int t) { return value_of(found->prefix[t]); };
  const RobustScale scale = RobustScale::between(low.value(value(0), value(1)), high.value(value(2), value(3)), tolerance);
  values[i] = scale(values[i]);
}

__global__ void separate_each(const float* own, const float* other, std::int64_t n, double epsilon, bool take_log,
                              double* ratio) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) ratio[i] = separability_of(own[i], other[i], epsilon, take_log);
}

__global__ void add_each(const double* separability, const double* norm, std::int64_t n, bool first, double* total) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) total[i] = (first ? 0 : total[i]) + separability[i] * norm[i];
}

__global__ void join_each(double* total, std::int64_t n, double count, const double* agreement) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) total[i] = total[i] / count * (agreement == nullptr ? 1 : agreement[i]);
}

cuda::Grid grid_of(std::int64_t n) { return {cuda::blocks_for(n, kThreads), kThreads}; }

}  // namespace

void separate(const float* own, const float* other, std::int64_t n, double epsilon, bool take_log, double* ratio,
              const cuda::Stream& stream) {
  cuda::launch(stream, grid_of(n), separate_each, own, other, n, epsilon, take_log, ratio);
}

void add_model(const double* separability, const double* norm, std::int64_t n, bool first, double* total,
               const cuda::Stream& stream) {
  cuda::launch(stream, grid_of(n), add_each, separability, norm, n, first, total);
}

void join(double* total, std::int64_t n, double count, const double* agreement, const cuda::Stream& stream) {
  cuda::launch(stream, grid_of(n), join_each, total, n, count, agreement);
}

void robust_scale(double* values, std::int64_t n, double low, double high, double tolerance, const cuda::Stream& stream) {
  const Percentile ends[] = {Percentile::of(low, n), Percentile::of(high, n)};
  Search start{};
  for (int t = 0; t < kRanks; ++t) start.rank[t] = static_cast<std::uint64_t>(std::min(ends[t / 2].rank + t % 2, n - 1));
  const cuda::Buffer<Search> search(1, stream, "the percentiles");
  const cuda::Buffer<unsigned long long> counts(kRanks * kCounters, stream, "the counters of the percentiles");
  cuda::copy(search.data(), &start, 1, stream, "the percentiles");
  cuda::set_bytes(counts.data(), 0, counts.size(), stream, "the counters of the percentiles");
  const unsigned blocks = std::min<unsigned>(policy::kCountingBlocks, cuda::blocks_for(n, kThreads));
  for (int above = kKeyBits; above > 0;) {
    const int bits = std::min(policy::kDigitBits, above);
    const Digit digit{above - bits, bits};
    cuda::launch(stream, {blocks, kThreads}, count_digits, values, n, digit, search.data(), counts.data());
    cuda::launch(stream, {1, kPickThreads}, pick_digits, digit, search.data(), counts.data());
    above -= bits;
  }
  cuda::launch(stream, grid_of(n), scale_each, values, n, search.data(), ends[0], ends[1], tolerance);
}

}  // namespace coremax::scores::on_cuda
