// All blocks of a cooperative launch as one team: barriers, and sums in the order of solver/sums.h, which every thread gets. For .cu files.
// Element i of n belongs to thread i % kThreads of the block that has its unit, in every loop over n elements.
#pragma once

#include <array>
#include <bit>

#include "cuda/launch.h"
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
  for (std::size_t w = 0; w < sizeof(T) / sizeof(double); ++w) words[w] = __shfl_xor_sync(cuda::kAllLanes, words[w], lanes_away);
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

class Team {
 public:
  __device__ explicit Team(const TeamMemory& memory) : memory_(memory) {}

  __device__ bool is_first() const { return blockIdx.x == 0 && threadIdx.x == 0; }

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

// (K x)_row for the block's rows from `first` on, a row to a thread, added up in the order of its columns; 0 beyond the last. Entries are
// read by all threads in the order of memory and multiplied; the sums are of products in shared memory.
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
void launch_team(TeamSpace& space, std::int64_t n, const cuda::Stream& stream, void (*kernel)(TeamMemory, Parameters...), Arguments&&... arguments) {
  const std::int64_t units = std::max<std::int64_t>(1, (n + kSumUnit - 1) / kSumUnit);
  const auto blocks = static_cast<unsigned>(std::min<std::int64_t>({units, policy::kBlocksMost, cuda::resident_blocks(kernel, kThreads)}));
  cuda::set_bytes(space.arrived.data(), 0, 1, stream, "a barrier");
  cuda::launch(stream, {blocks, kThreads, 0, true}, kernel, space.memory(), std::forward<Arguments>(arguments)...);
}

}  // namespace coremax::solver::on_cuda
