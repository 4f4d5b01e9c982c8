// All blocks of a cooperative launch as one team: barriers, and sums in the order of solver/sums.h, which every thread gets.
// For .cu files. Element i of n belongs to thread i % kThreads of the block that has its unit, in every loop over n elements.
#pragma once

#include <array>
#include <bit>

#include "cuda/block.h"
#include "cuda/ptx.h"
#include "graph/graph.h"
#include "solver/cuda/policy.h"
#include "solver/cuda/stages.h"
#include "solver/sums.h"

namespace coremax::solver::on_cuda {

constexpr int kThreads = policy::kThreads;

namespace detail {

template <class T>
__device__ inline T of_lane(T value, int lanes_away) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % sizeof(double) == 0);
  auto words = std::bit_cast<std::array<double, sizeof(T) / sizeof(double)>>(value);
  for (std::size_t w = 0; w < sizeof(T) / sizeof(double); ++w)
    words[w] = __shfl_xor_sync(cuda::kAllLanes, words[w], lanes_away);
  return std::bit_cast<T>(words);
}

template <class T>
__device__ inline T warp_sum(T value) {
  for (int step = cuda::kWarp / 2; step > 0; step /= 2) value += of_lane(value, step);
  return value;
}

// As unit_sum of sums.h adds up its lanes.
template <class T>
__device__ inline T block_sum(T value) {
  static_assert(kSumGroup == cuda::kWarp);
  COREMAX_SHARED(words, double[kThreads / cuda::kWarp * sizeof(T) / sizeof(double)]);
  T* of_warps = reinterpret_cast<T*>(words);
  const auto lane = static_cast<int>(threadIdx.x) % cuda::kWarp;
  value = warp_sum(value);
  if (lane == 0) of_warps[threadIdx.x / cuda::kWarp] = value;
  __syncthreads();
  T result{};
  if (lane < kThreads / cuda::kWarp) result = of_warps[lane];
  result = warp_sum(result);
  __syncthreads();
  return result;
}

}  // namespace detail

struct Least {
  double value = INFINITY;
  __device__ Least& operator+=(const Least& other) {
    value = other.value < value ? other.value : value;
    return *this;
  }
};

class Team {
 public:
  __device__ explicit Team(const TeamMemory& memory) : memory_(memory) {}

  __device__ bool is_first() const { return blockIdx.x == 0 && threadIdx.x == 0; }

  // The warps of the team share out [0, count): f(p) by all lanes of one.
  template <class F>
  __device__ void for_each_by_warps(std::int64_t count, const F& f) const {
    constexpr std::int64_t kWarps = kThreads / cuda::kWarp;
    for (std::int64_t p = blockIdx.x * kWarps + threadIdx.x / cuda::kWarp; p < count; p += gridDim.x * kWarps) f(p);
  }

  // What any thread wrote before it, every thread sees after it.
  __device__ void barrier() {
    __syncthreads();
    if (gridDim.x == 1) return;
    if (threadIdx.x == 0) {
      awaited_ += gridDim.x;
      __threadfence();
      atomicAdd(memory_.arrived, 1U);
      while (static_cast<std::int32_t>(cuda::load_acquire(memory_.arrived) - awaited_) < 0) __nanosleep(20);
      __threadfence();
    }
    __syncthreads();
  }

  // f(begin, end) for the units of this block; all its threads are there.
  template <class F>
  __device__ void for_units(std::int64_t n, const F& f) const {
    for (std::int64_t begin = std::int64_t{blockIdx.x} * kSumUnit; begin < n; begin += std::int64_t{gridDim.x} * kSumUnit)
      f(begin, begin + kSumUnit < n ? begin + kSumUnit : n);
  }

  // f(i) for the elements of this thread.
  template <class F>
  __device__ void for_each(std::int64_t n, const F& f) const {
    for_units(n, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) f(i);
    });
  }

  // Sum over i in [0, n) of term(i), as ordered_sum of sums.h. Also a barrier.
  template <class Term>
  __device__ auto sum(std::int64_t n, const Term& term) {
    using T = std::decay_t<decltype(term(n))>;
    return sum_of_units<T>(n, [&](std::int64_t begin, std::int64_t end) {
      T lane{};
      for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) lane += term(i);
      return lane;
    });
  }

  // The same where lane(begin, end) is what this thread has of a unit, made by all threads of the block together.
  template <class T, class F>
  __device__ T sum_of_units(std::int64_t n, const F& lane) {
    T* partial = next_partial<T>();
    for_units(n, [&](std::int64_t begin, std::int64_t end) {
      const T total = detail::block_sum(T(lane(begin, end)));
      if (threadIdx.x == 0) partial[begin / kSumUnit] = total;
    });
    barrier();
    return of_parts(partial, (n + kSumUnit - 1) / kSumUnit);
  }

  // use(i, the sum of the values before) for every element; their sum. value(i) >= 0 is a whole number, asked for twice. A
  // barrier between and after.
  template <class Value, class Use>
  __device__ std::int64_t running_sum(std::int64_t n, const Value& value, const Use& use) {
    double* totals = next_partial<double>();
    for_units(n, [&](std::int64_t begin, std::int64_t end) {
      double mine = 0;
      for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) mine += static_cast<double>(value(i));
      const double total = detail::block_sum(mine);
      if (threadIdx.x == 0) totals[begin / kSumUnit] = total;
    });
    barrier();
    for_units(n, [&](std::int64_t begin, std::int64_t end) {
      auto sum = static_cast<std::int64_t>(of_parts(totals, begin / kSumUnit));
      for (std::int64_t first = begin; first < end; first += kThreads) {
        const std::int64_t i = first + threadIdx.x;
        std::int64_t total = 0;
        const std::int64_t before =
            cuda::block_exclusive_sum<kThreads>(i < end ? static_cast<std::int64_t>(value(i)) : 0, total);
        if (i < end) use(i, sum + before);
        sum += total;
      }
    });
    const auto all = static_cast<std::int64_t>(of_parts(totals, (n + kSumUnit - 1) / kSumUnit));
    barrier();
    return all;
  }

  // The numbers of the elements for which chosen(i), ascending, into list; how many.
  template <class Chosen, class Number>
  __device__ std::int64_t select(std::int64_t n, const Chosen& chosen, Number* list) {
    const auto use = [&](std::int64_t i, std::int64_t place) {
      if (chosen(i)) list[place] = static_cast<Number>(i);
    };
    return running_sum(n, [&](std::int64_t i) { return chosen(i) ? 1 : 0; }, use);
  }

  // The rank-th largest value(i), rank >= 1; -infinity where there are fewer. Bit by bit, until so many as wanted are left.
  template <class Value>
  __device__ double ranked(std::int64_t n, const Value& value, std::int64_t rank) {
    if (rank > n) return -INFINITY;
    const auto key = [&](std::int64_t i) {
      const auto bits = std::bit_cast<std::uint64_t>(value(i) + 0.0);
      return bits >> 63 != 0 ? ~bits : bits | std::uint64_t{1} << 63;
    };
    std::uint64_t threshold = 0;  // at least rank elements are not below it
    double reached = static_cast<double>(n);
    for (int bit = 63; bit >= 0 && reached > static_cast<double>(rank); --bit) {
      const std::uint64_t higher = threshold | std::uint64_t{1} << bit;
      const double count = sum(n, [&](std::int64_t i) { return key(i) >= higher ? 1.0 : 0.0; });
      if (count < static_cast<double>(rank)) continue;
      threshold = higher;
      reached = count;
    }
    const auto above = [&](std::int64_t i) { return Least{key(i) >= threshold ? value(i) + 0.0 : INFINITY}; };
    return sum(n, above).value;
  }

  // Of one value of each thread, by a += that minds no order. Also a barrier.
  template <class T>
  __device__ T combined(T value) {
    T* partial = next_partial<T>();
    value = detail::block_sum(value);
    if (threadIdx.x == 0) partial[blockIdx.x] = value;
    barrier();
    return of_parts(partial, gridDim.x);
  }

 private:
  // Two in turn: nobody writes to one before all have come through the barrier of the other.
  template <class T>
  __device__ T* next_partial() {
    static_assert(sizeof(T) <= TeamMemory::kWords * sizeof(double));
    second_ = !second_;
    return reinterpret_cast<T*>(memory_.partial + (second_ ? memory_.units * TeamMemory::kWords : 0));
  }
  template <class T>
  __device__ T of_parts(const T* partial, std::int64_t count) const {
    T lane{};
    for (std::int64_t p = threadIdx.x; p < count; p += kThreads) lane += partial[p];
    return detail::block_sum(lane);
  }

  const TeamMemory memory_;
  std::uint32_t awaited_ = 0;
  bool second_ = false;
};

// (K x)_row for the block's rows from `first` on, a row to a thread, added up in the order of its columns; 0 beyond the last.
// Entries are read by all threads in the order of memory and multiplied; the sums are of products in shared memory.
__device__ inline double product_of_row(const graph::CsrView& k, const double* x, std::int64_t first) {
  COREMAX_SHARED(products, double[policy::kProducts]);
  const std::int64_t row = first + threadIdx.x;
  const std::int64_t begin = k.indptr[row < k.n ? row : k.n];
  const std::int64_t end = k.indptr[row < k.n ? row + 1 : k.n];
  const std::int64_t tile_begin = k.indptr[first];
  const std::int64_t tile_end = k.indptr[first + kThreads < k.n ? first + kThreads : k.n];
  double sum = 0;
  for (std::int64_t piece = tile_begin; piece < tile_end; piece += policy::kProducts) {
    const std::int64_t piece_end = piece + policy::kProducts < tile_end ? piece + policy::kProducts : tile_end;
#pragma unroll
    for (int p = 0; p < policy::kProducts / kThreads; ++p) {
      const std::int64_t e = piece + p * kThreads + threadIdx.x;
      if (e < piece_end) products[e - piece] = static_cast<double>(__ldcs(k.values + e)) * x[__ldcs(k.indices + e)];
    }
    __syncthreads();
    const std::int64_t stop = end < piece_end ? end : piece_end;
    for (std::int64_t e = begin > piece ? begin : piece; e < stop; ++e) sum += products[e - piece];
    __syncthreads();
  }
  return sum;
}

// Launches a kernel whose first parameter is the memory of its team, for loops over n elements.
template <class... Parameters, class... Arguments>
void launch_team(TeamSpace& space, std::int64_t n, const cuda::Stream& stream, void (*kernel)(TeamMemory, Parameters...),
                 Arguments&&... arguments) {
  const std::int64_t units = std::max<std::int64_t>(1, (n + kSumUnit - 1) / kSumUnit);
  const auto blocks =
      static_cast<unsigned>(std::min<std::int64_t>({units, policy::kBlocksMost, cuda::resident_blocks(kernel, kThreads)}));
  cuda::set_bytes(space.arrived.data(), 0, 1, stream, "a barrier");
  cuda::launch(stream, {blocks, kThreads, 0, true}, kernel, space.memory(), std::forward<Arguments>(arguments)...);
}

}  // namespace coremax::solver::on_cuda
