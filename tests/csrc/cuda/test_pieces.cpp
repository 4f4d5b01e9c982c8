// What all device code shares: bits, reductions, scans.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "check.h"
#include "core/philox.h"
#include "cuda/block.h"
#include "cuda/random_bits.h"
#include "cuda/scan.h"
#include "cuda/sort.h"
#include "on_device.h"

namespace {

using namespace coremax;
using test::in_orders;
using test::kStream;
using test::to_device;
using test::to_host;

TEST(device_bits_are_those_of_the_cpu) {
  in_orders(2, [] {
    for (const std::int64_t count : {0, 1, 2, 3, 255, 256, 257, 1023, 1024, 1030})
      for (const std::uint64_t begin : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{77}, (std::uint64_t{1} << 33) - 3}) {
        const auto out = to_device(std::vector<std::uint64_t>(static_cast<std::size_t>(count + 2), 99));
        cuda::fill_random_bits(0x123456789ABCDEF0, Stream::race, begin, count, out.data() + 1, kStream);
        const auto got = to_host(out);
        bool same = got.front() == 99 && got.back() == 99;
        for (std::int64_t i = 0; i < count; ++i)
          same = same && got[static_cast<std::size_t>(i + 1)] ==
                             random_bits(0x123456789ABCDEF0, Stream::race, begin + static_cast<std::uint64_t>(i));
        CHECK_AT("count " + std::to_string(count) + ", begin " + std::to_string(begin), same);
      }
  });
}

template <int kThreads>
__global__ void block_functions(const int* in, int* most, int* before, int* total) {
  const int value = in[threadIdx.x];
  int sum = 0;
  before[threadIdx.x] = cuda::block_exclusive_sum<kThreads>(value, sum);
  total[threadIdx.x] = sum;
  most[threadIdx.x] = cuda::block_reduce<kThreads>(value, -1000, [](int a, int b) { return std::max(a, b); });
  // Again at once: a call may not disturb the one before.
  for (int turn = 1; turn < 4; ++turn) {
    before[threadIdx.x] += cuda::block_exclusive_sum<kThreads>(turn * value, sum);
    total[threadIdx.x] += sum;
  }
  for (int turn = 1; turn < 4; ++turn)
    total[threadIdx.x] += cuda::block_reduce<kThreads>(turn * value, 0, [](int a, int b) { return a + b; });
}

template <int kThreads>
void check_block_functions() {
  std::vector<int> values(kThreads);
  for (int i = 0; i < kThreads; ++i) values[static_cast<std::size_t>(i)] = (i * 37 + 11) % 101 - 50;
  const auto in = to_device(values);
  const auto out = to_device(std::vector<int>(3 * kThreads));
  cuda::launch(kStream, {1, kThreads}, block_functions<kThreads>, in.data(), out.data(), out.data() + kThreads,
               out.data() + 2 * kThreads);
  const auto got = to_host(out);
  int sum = 0;
  bool same = true;
  for (std::size_t i = 0; i < kThreads; ++i) {
    same = same && got[i] == *std::max_element(values.begin(), values.end()) && got[kThreads + i] == 7 * sum;
    sum += values[i];
  }
  for (std::size_t i = 0; i < kThreads; ++i) same = same && got[2 * kThreads + i] == 13 * sum;
  CHECK_AT(std::to_string(kThreads) + " threads", same);
}

TEST(reductions_and_scans_of_a_block) {
  in_orders(5, [] {
    check_block_functions<32>();
    check_block_functions<64>();
    check_block_functions<256>();
    check_block_functions<1024>();
  });
}

TEST(scans_of_arrays) {
  std::mt19937 random(1);
  std::uint64_t seed = 1;
  for (const std::int64_t n : {0, 1, 2, 255, 256, 2047, 2048, 2049, 10'000, 600'000, 600'001, 600'002}) {
    emulator::set_seed(seed++);
    std::vector<std::uint64_t> values(static_cast<std::size_t>(n));
    for (auto& value : values) value = random();
    const auto in = to_device(values);
    const auto out = to_device(std::vector<std::uint64_t>(static_cast<std::size_t>(n), 5));
    cuda::scan<false>(in.data(), out.data(), n, std::uint64_t{0}, cuda::Sum{}, kStream);
    std::vector<std::uint64_t> expected(values.size());
    std::exclusive_scan(values.begin(), values.end(), expected.begin(), std::uint64_t{0});
    CHECK_AT(std::to_string(n), to_host(out) == expected);
    cuda::scan<true>(in.data(), in.data(), n, ~std::uint64_t{0}, cuda::Smallest{}, kStream);
    std::inclusive_scan(values.begin(), values.end(), expected.begin(),
                        [](std::uint64_t a, std::uint64_t b) { return std::min(a, b); });
    CHECK_AT(std::to_string(n), to_host(in) == expected);
  }
  CHECK(emulator::live_allocations() == 0);
}

// The same bits in every order of threads, for sums that rounding makes depend on the order of terms.
TEST(scans_of_reals_do_not_depend_on_the_order_of_threads) {
  std::vector<double> values;
  std::mt19937 random(2);
  for (int i = 0; i < 5000; ++i) values.push_back(std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 60)));
  std::vector<double> first;
  in_orders(5, [&] {
    const auto in = to_device(values);
    cuda::scan<true>(in.data(), in.data(), in.size(), 0.0, cuda::Sum{}, kStream);
    const auto got = to_host(in);
    if (first.empty()) first = got;
    CHECK(got == first);
  });
}

TEST(sorting_pairs_is_stable) {
  std::mt19937_64 random(3);
  in_orders(2, [&] {
    for (const std::int64_t n : {0, 1, 2, 31, 33, 2048, 2049, 9000})
      for (const int bits : {1, 8, 20, 64}) {
        std::vector<std::uint64_t> keys(static_cast<std::size_t>(n));
        std::vector<std::int64_t> values(keys.size());
        std::iota(values.begin(), values.end(), 0);
        for (auto& key : keys) key = bits == 64 ? random() : random() % (std::uint64_t{1} << bits);
        std::vector<std::int64_t> expected = values;
        const auto key_of = [&](std::int64_t i) { return keys[static_cast<std::size_t>(i)]; };
        std::stable_sort(expected.begin(), expected.end(),
                         [&](std::int64_t a, std::int64_t b) { return key_of(a) < key_of(b); });
        auto device_keys = to_device(keys);
        auto device_values = to_device(values);
        cuda::sort_pairs(device_keys, device_values, bits, kStream);
        CHECK_AT(std::to_string(n) + " of " + std::to_string(bits) + " bits", to_host(device_values) == expected);
        std::sort(keys.begin(), keys.end());
        CHECK(to_host(device_keys) == keys);
      }
  });
}

}  // namespace
