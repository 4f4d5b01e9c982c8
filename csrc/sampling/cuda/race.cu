// The kernels of the race. Random bits come in pairs, so that a thread has two neighbouring elements. Times are computed anew
// in each pass: eight bytes of memory for each element would take as long.
#include <limits>
#include <type_traits>

#include "core/philox.h"
#include "cuda/scan.h"
#include "sampling/cuda/race_kernels.h"
#include "sampling/race_times.h"

namespace coremax::sampling::on_cuda {
namespace {

using policy::kThreads;

constexpr int kRows = 4;
constexpr std::int64_t kTile = std::int64_t{2} * kThreads * kRows;
constexpr int kCounters = 1 << policy::kDigitBits;

template <class T>
__global__ void check_each(const T* weights, std::int64_t n, bool log_weights, WeightCheck* result) {
  const T zero = static_cast<T>(log_weights ? -std::numeric_limits<double>::infinity() : 0.0);
  std::uint64_t n_positive = 0;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < n; i += std::int64_t{gridDim.x} * kThreads) {
    n_positive += weights[i] > zero;
    if (!(weights[i] >= zero && weights[i] <= std::numeric_limits<T>::max()))
      atomicMin(&result->first_bad, static_cast<unsigned long long>(i));
  }
  n_positive = cuda::block_reduce<kThreads>(n_positive, std::uint64_t{0}, cuda::Sum{});
  if (threadIdx.x == 0) atomicAdd(&result->n_positive, static_cast<unsigned long long>(n_positive));
}

// The times of elements 2 pair and 2 pair + 1; beyond the last one, never.
template <class Time, class T>
__device__ void times_of_pair(const T* weights, std::int64_t n, std::uint64_t seed, std::int64_t pair,
                              std::uint64_t (&times)[2]) {
  const PhiloxBlock block = philox(seed, Stream::race, static_cast<std::uint64_t>(pair));
  for (int k = 0; k < 2; ++k) {
    const std::uint64_t bits =
        block[static_cast<std::size_t>(2 * k)] | std::uint64_t{block[static_cast<std::size_t>(2 * k + 1)]} << 32;
    times[k] = 2 * pair + k < n ? race_time<Time>(bits, static_cast<double>(weights[2 * pair + k])) : kNever;
  }
}

template <class Time, class T>
__global__ void count_each(const T* weights, std::int64_t n, std::uint64_t seed, Digits digits, unsigned long long* counts) {
  COREMAX_SHARED(of_block, unsigned[kCounters]);
  for (int c = static_cast<int>(threadIdx.x); c < kCounters; c += kThreads) of_block[c] = 0;
  __syncthreads();
  const int above = digits.shift + digits.bits;
  for (std::int64_t pair = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; 2 * pair < n;
       pair += std::int64_t{gridDim.x} * kThreads) {
    std::uint64_t times[2];
    times_of_pair<Time>(weights, n, seed, pair, times);
    for (const std::uint64_t time : times)
      if (time != kNever && (above == 64 || time >> above == digits.prefix))
        atomicAdd(&of_block[time >> digits.shift & ((1U << digits.bits) - 1)], 1U);
  }
  __syncthreads();
  for (int c = static_cast<int>(threadIdx.x); c < kCounters; c += kThreads)
    if (of_block[c] > 0) atomicAdd(&counts[c], static_cast<unsigned long long>(of_block[c]));
}

// How many of each tile arrive; with places, where the tile's go, they are put there.
template <class Time, bool kWrite, class T>
__global__ void arrive(const T* weights, std::int64_t n, std::uint64_t seed, std::uint64_t limit, std::uint64_t* counts,
                       const std::uint64_t* places, std::uint64_t* times_out, std::int64_t* indices_out) {
  std::uint64_t before = kWrite ? places[blockIdx.x] : 0;
  for (int row = 0; row < kRows; ++row) {
    const std::int64_t pair = (std::int64_t{blockIdx.x} * kRows + row) * kThreads + threadIdx.x;
    std::uint64_t times[2];
    times_of_pair<Time>(weights, n, seed, pair, times);
    std::uint32_t count = 0;
    for (const std::uint64_t time : times) count += time <= limit && time != kNever;
    std::uint32_t total;
    std::uint64_t place = before + cuda::block_exclusive_sum<kThreads>(count, total);
    before += total;
    if constexpr (kWrite) {
      for (int k = 0; k < 2; ++k) {
        if (times[k] > limit || times[k] == kNever) continue;
        times_out[place] = times[k];
        indices_out[place++] = 2 * pair + k;
      }
    }
  }
  if (!kWrite && threadIdx.x == 0) counts[blockIdx.x] = before;
}

// f(pointer to the weights, Time{})
template <class F>
void with_race(const Runners& runners, F&& f) {
  with_float_pointer(runners.weights, runners.dtype, [&](const auto* w) {
    if (runners.log_weights) {
      f(w, LogTime{});
    } else {
      f(w, QuotientTime{});
    }
  });
}

unsigned counting_blocks(std::int64_t n, std::int64_t per_block) {
  return std::min<unsigned>(policy::kCountingBlocks, cuda::blocks_for(n, per_block));
}

}  // namespace

void check(const void* weights, DType dtype, std::int64_t n, bool log_weights, WeightCheck* result,
           const cuda::Stream& stream) {
  with_float_pointer(weights, dtype, [&](const auto* w) {
    using T = std::remove_cvref_t<decltype(*w)>;
    cuda::launch(stream, {counting_blocks(n, kThreads), kThreads}, check_each<T>, w, n, log_weights, result);
  });
}

void count_times(const Runners& runners, const Digits& digits, unsigned long long* counts, const cuda::Stream& stream) {
  with_race(runners, [&](const auto* w, auto time) {
    using T = std::remove_cvref_t<decltype(*w)>;
    cuda::launch(stream, {counting_blocks(runners.n, 2 * kThreads), kThreads}, count_each<decltype(time), T>, w, runners.n,
                 runners.seed, digits, counts);
  });
}

void arrivals(const Runners& runners, std::uint64_t limit, std::uint64_t* times, std::int64_t* indices,
              const cuda::Stream& stream) {
  const unsigned n_tiles = cuda::blocks_for(runners.n, kTile);
  const cuda::Buffer<std::uint64_t> counts(n_tiles, stream, "the arrivals of a race");
  std::uint64_t* const none = nullptr;
  with_race(runners, [&](const auto* w, auto time) {
    using Time = decltype(time);
    using T = std::remove_cvref_t<decltype(*w)>;
    cuda::launch(stream, {n_tiles, kThreads}, arrive<Time, false, T>, w, runners.n, runners.seed, limit, counts.data(), none,
                 none, nullptr);
    cuda::scan<false>(counts.data(), counts.data(), std::int64_t{n_tiles}, std::uint64_t{0}, cuda::Sum{}, stream);
    cuda::launch(stream, {n_tiles, kThreads}, arrive<Time, true, T>, w, runners.n, runners.seed, limit, none, counts.data(),
                 times, indices);
  });
}

}  // namespace coremax::sampling::on_cuda
