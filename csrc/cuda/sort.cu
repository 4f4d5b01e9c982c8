// Radix sort from the lowest digit on: each pass counts the digits of every tile, adds the counts up, digits before tiles, and
// moves each pair behind those that come before it. Ranks within a tile are taken row by row: lanes of a digit find each other
// by a match, warps by counters.
#include "cuda/sort.h"

#include <utility>

#include "cuda/scan.h"

namespace coremax::cuda {
namespace {

constexpr int kDigitBits = 8;
constexpr int kDigits = 1 << kDigitBits;
constexpr int kThreads = policy::kSortThreads;
constexpr int kWarps = kThreads / kWarp;
constexpr std::int64_t kTile = std::int64_t{kThreads} * policy::kSortItems;
static_assert(kThreads == kDigits, "a thread for each digit");

__device__ inline int digit_of(std::uint64_t key, int shift) { return static_cast<int>(key >> shift) & (kDigits - 1); }

// counts [kDigits, n_tiles]
__global__ void count_digits(const std::uint64_t* keys, std::int64_t n, int shift, std::int64_t n_tiles,
                             std::uint64_t* counts) {
  COREMAX_SHARED(of_tile, unsigned[kDigits]);
  of_tile[threadIdx.x] = 0;
  __syncthreads();
  for (int row = 0; row < policy::kSortItems; ++row) {
    const std::int64_t i = std::int64_t{blockIdx.x} * kTile + row * kThreads + threadIdx.x;
    if (i < n) atomicAdd(&of_tile[digit_of(keys[i], shift)], 1U);
  }
  __syncthreads();
  counts[threadIdx.x * n_tiles + blockIdx.x] = of_tile[threadIdx.x];
}

__global__ void move_pairs(const std::uint64_t* keys, const std::int64_t* values, std::int64_t n, int shift,
                           std::int64_t n_tiles, const std::uint64_t* places, std::uint64_t* keys_out,
                           std::int64_t* values_out) {
  COREMAX_SHARED(of_warp, std::uint64_t[kWarps][kDigits]);
  std::uint64_t next = places[threadIdx.x * n_tiles + blockIdx.x];  // of the digit that is the thread's
  for (int row = 0; row < policy::kSortItems; ++row) {
    const std::int64_t i = std::int64_t{blockIdx.x} * kTile + row * kThreads + threadIdx.x;
    const bool there = i < n;
    const std::uint64_t key = there ? keys[i] : 0;
    const int digit = there ? digit_of(key, shift) : kDigits;
    const unsigned same = __match_any_sync(kAllLanes, digit);
    const int before = __popc(same & ((1U << lane_of_thread()) - 1));
    for (int w = 0; w < kWarps; ++w) of_warp[w][threadIdx.x] = 0;
    __syncthreads();
    if (there && before == 0) of_warp[warp_of_thread()][digit] = static_cast<std::uint64_t>(__popc(same));
    __syncthreads();
    for (int w = 0; w < kWarps; ++w) next += std::exchange(of_warp[w][threadIdx.x], next);
    __syncthreads();
    if (there) {
      const std::uint64_t place = of_warp[warp_of_thread()][digit] + static_cast<std::uint64_t>(before);
      keys_out[place] = key;
      values_out[place] = values[i];
    }
    __syncthreads();
  }
}

}  // namespace

void sort_pairs(Buffer<std::uint64_t>& keys, Buffer<std::int64_t>& values, int key_bits, const Stream& stream) {
  const std::int64_t n = keys.size();
  if (n < 2) return;
  Buffer<std::uint64_t> other_keys(n, stream, "sorting");
  Buffer<std::int64_t> other_values(n, stream, "sorting");
  const std::int64_t n_tiles = (n + kTile - 1) / kTile;
  const Buffer<std::uint64_t> counts(n_tiles * kDigits, stream, "sorting");
  for (int shift = 0; shift < key_bits; shift += kDigitBits) {
    launch(stream, {blocks_for(n_tiles, 1), kThreads}, count_digits, keys.data(), n, shift, n_tiles, counts.data());
    scan<false>(counts.data(), counts.data(), counts.size(), std::uint64_t{0}, Sum{}, stream);
    launch(stream, {blocks_for(n_tiles, 1), kThreads}, move_pairs, keys.data(), values.data(), n, shift, n_tiles, counts.data(),
           other_keys.data(), other_values.data());
    std::swap(keys, other_keys);
    std::swap(values, other_values);
  }
}

}  // namespace coremax::cuda
