// Sampling on the emulated device against the CPU's engine, bit for bit.
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "core/errors.h"
#include "core/thread_pool.h"
#include "on_device.h"
#include "sampling/cuda/sampling.h"

namespace {

using namespace coremax;
using sampling::AliasTable;
using test::in_orders;
using test::kStream;
using test::to_device;
using test::to_host;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

template <class T>
constexpr DType type_of() {
  return sizeof(T) == 4 ? DType::float32 : DType::float64;
}

template <class T>
AliasTable on_cpu(const std::vector<T>& weights, AliasTable::Layout layout) {
  ThreadPool pool(1);
  return AliasTable(weights.data(), type_of<T>(), static_cast<std::int64_t>(weights.size()), layout, pool);
}

template <class T>
AliasTable::Layout layout_of(const std::vector<T>& weights) {
  return AliasTable::Layout::of(static_cast<std::int64_t>(weights.size()));
}

std::vector<unsigned char> cells_of(sampling::on_cuda::AliasTable& table) {
  std::vector<unsigned char> cells(at(table.nbytes()));
  table.copy_cells(cells.data(), kStream, nullptr);
  return cells;
}

template <class T>
bool same_cells(const std::vector<T>& weights, AliasTable::Layout layout) {
  const AliasTable cpu = on_cpu(weights, layout);
  const auto device_weights = to_device(weights);
  sampling::on_cuda::AliasTable table(device_weights.data(), type_of<T>(), device_weights.size(), layout, kStream, nullptr);
  const auto cells = cells_of(table);
  return cells.size() == weights.size() * at(layout.cell_bytes()) && std::memcmp(cells.data(), cpu.cells(), cells.size()) == 0;
}

double uniform(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1p-53 + 0x1p-60; }

// Weights of every shape that has its own way through the builder, and of sizes at the edges of rows, tiles and blocks.
std::vector<std::vector<double>> weight_cases() {
  std::vector<std::vector<double>> cases{{1},
                                         {5e-324},
                                         {1, 1},
                                         {0, 3},
                                         {3, 0},
                                         {1, 2, 3},
                                         {1, 0, 3},
                                         {1e308, 1e308, 1e308},
                                         {1e-320, 2e-320, 0},
                                         {1e308, 1e-308},
                                         {0, 0, 1},
                                         {1, 1, 1, 0}};
  std::mt19937_64 random(1);
  for (const int n : {2, 7, 31, 33, 64, 65, 255, 257, 2047, 2048, 2049, 4096, 5000, 6145}) {
    std::vector<double> even, skewed, sparse, one, rising;
    for (int i = 0; i < n; ++i) {
      const double u = uniform(random);
      even.push_back(u);
      skewed.push_back(std::pow(u, 20));
      sparse.push_back(random() % 3 == 0 ? u : 0.0);
      one.push_back(i == n / 2 ? 1.0 : 0.0);
      rising.push_back(i);
    }
    sparse.back() = 0.5;
    for (const auto& weights : {even, skewed, sparse, one, rising}) cases.push_back(weights);
    cases.emplace_back(static_cast<std::size_t>(n), 0.1);
    cases.push_back(std::vector<double>(rising.rbegin(), rising.rend()));
    // All that is light in one tile, and what is heavy by a little in all others.
    std::vector<double> lopsided(static_cast<std::size_t>(n), 1.0);
    for (int i = 0; i < n / 3; ++i) lopsided[at(i)] = 0;
    cases.push_back(lopsided);
  }
  // Both fingers come to the ends of tiles, or to whole elements, at the same point.
  std::vector<double> alternating, uneven;
  for (int i = 0; i < 4096; ++i) {
    alternating.push_back(i % 2 * 2);
    uneven.push_back((i < 2048 ? i % 2048 < 500 : i % 2048 < 1548) ? 0 : 2);
  }
  cases.push_back(alternating);
  cases.push_back(uneven);
  return cases;
}

TEST(alias_cells_are_those_of_the_cpu) {
  emulator::set_seed(1);
  for (const auto& weights : weight_cases()) {
    const std::string where = "n " + std::to_string(weights.size()) + ", first " + std::to_string(weights[0]);
    CHECK_AT(where, same_cells(weights, layout_of(weights)));
    std::vector<float> narrow(weights.begin(), weights.end());
    for (float& weight : narrow) weight = std::min(weight, std::numeric_limits<float>::max());
    if (*std::max_element(narrow.begin(), narrow.end()) > 0)
      CHECK_AT(where + ", float32", same_cells(narrow, layout_of(narrow)));
  }
  CHECK(emulator::live_allocations() == 0);
}

// Blocks of 2048 with both kinds of cells, as large tables have them.
TEST(alias_cells_of_large_layouts) {
  emulator::set_seed(2);
  for (const auto& weights : weight_cases()) {
    const std::string where = "n " + std::to_string(weights.size()) + ", first " + std::to_string(weights[0]);
    const AliasTable::Layout wide{true, layout_of(weights).unit_bits, 2048};
    const AliasTable::Layout narrow{false, 32, 2048};
    CHECK_AT(where, same_cells(weights, wide));
    CHECK_AT(where, same_cells(weights, narrow));
  }
  std::mt19937_64 random(7);
  std::vector<float> large(70'000);
  for (float& weight : large) weight = static_cast<float>(std::pow(uniform(random), 3));
  CHECK(same_cells(large, layout_of(large)));
  CHECK(!layout_of(large).wide);
}

TEST(alias_cells_in_every_order_of_threads) {
  std::mt19937_64 random(3);
  std::vector<double> weights(4500);
  for (double& weight : weights) weight = random() % 4 == 0 ? 0 : std::pow(uniform(random), 9);
  in_orders(6, [&] { CHECK(same_cells(weights, {false, 32, 2048})); });
}

TEST(alias_draws_are_those_of_the_cpu) {
  std::mt19937_64 random(4);
  for (const std::int64_t n : {1, 2, 1000, 70'000}) {
    std::vector<double> weights(at(n));
    for (double& weight : weights) weight = uniform(random);
    const AliasTable cpu = on_cpu(weights, layout_of(weights));
    const auto device_weights = to_device(weights);
    sampling::on_cuda::AliasTable table(device_weights.data(), DType::float64, n, kStream, nullptr);
    ThreadPool pool(1);
    for (const std::int64_t size : {0, 1, 2, 511, 2049})
      for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{12345}, ~std::uint64_t{0} - 4095}) {
        std::vector<std::int64_t> expected(at(size));
        cpu.sample(size, 99, offset, expected.data(), Isa::scalar, pool);
        const auto out = to_device(std::vector<std::int64_t>(at(size + 2), -1));
        table.sample(size, 99, offset, out.data() + 1, kStream);
        auto got = to_host(out);
        CHECK(got.front() == -1 && got.back() == -1);
        CHECK_AT("n " + std::to_string(n) + ", size " + std::to_string(size),
                 std::vector<std::int64_t>(got.begin() + 1, got.end() - 1) == expected);
      }
    const std::vector<std::int64_t> positions{5, 0, INT64_MAX, 3, 5, 1'000'000'007};
    std::vector<std::int64_t> expected(positions.size());
    cpu.sample_at(positions.data(), 6, 99, expected.data(), pool);
    const auto device_positions = to_device(positions);
    const auto out = to_device(std::vector<std::int64_t>(6));
    table.sample_at(device_positions.data(), 6, 99, out.data(), kStream, nullptr);
    CHECK(to_host(out) == expected);
    const auto negative = to_device(std::vector<std::int64_t>{1, -2, -3});
    CHECK_THROWS(Error, "positions[1] is negative: -2", table.sample_at(negative.data(), 3, 99, out.data(), kStream, nullptr));
  }
  CHECK(emulator::live_allocations() == 0);
}

// Built in one stream, drawn from in another, given back while the work is still to be done.
TEST(alias_tables_are_used_from_several_streams) {
  std::mt19937_64 random(8);
  std::vector<double> weights(3000), others(2000);
  for (double& weight : weights) weight = uniform(random);
  for (double& weight : others) weight = uniform(random);
  ThreadPool pool(1);
  const test::OwnStream first, second;
  std::vector<std::int64_t> expected(100), expected_others(100), drawn(100), drawn_others(100);
  on_cpu(weights, layout_of(weights)).sample(100, 1, 0, expected.data(), Isa::scalar, pool);
  on_cpu(others, layout_of(others)).sample(100, 1, 0, expected_others.data(), Isa::scalar, pool);
  {
    const cuda::Buffer<double> device_weights(3000, first.view(), "weights");
    const cuda::Buffer<double> device_others(2000, second.view(), "weights");
    const cuda::Buffer<std::int64_t> out(100, second.view(), "draws");
    const cuda::Buffer<std::int64_t> out_others(100, first.view(), "draws");
    cuda::copy(device_weights.data(), weights.data(), 3000, first.view(), "weights");
    cuda::copy(device_others.data(), others.data(), 2000, second.view(), "weights");
    sampling::on_cuda::AliasTable table(device_weights.data(), DType::float64, 3000, first.view(), nullptr);
    table.sample(100, 1, 0, out.data(), second.view());
    table.update(device_others.data(), DType::float64, 2000, second.view(), nullptr);
    table.sample(100, 1, 0, out_others.data(), first.view());
    cuda::copy(drawn.data(), out.data(), 100, second.view(), "draws");
    cuda::copy(drawn_others.data(), out_others.data(), 100, first.view(), "draws");
  }
  second.view().synchronize();
  first.view().synchronize();
  CHECK(drawn == expected);
  CHECK(drawn_others == expected_others);
  CHECK(emulator::live_allocations() == 0);
}

TEST(alias_tables_are_updated_or_stay) {
  const std::vector<double> first{1, 2, 3, 4};
  const std::vector<double> second{5, 0, 1};
  {
    const auto device_first = to_device(first);
    const auto device_second = to_device(second);
    sampling::on_cuda::AliasTable table(device_first.data(), DType::float64, 4, kStream, nullptr);
    const auto before = cells_of(table);
    const auto bad = to_device(std::vector<double>{1, std::nan("")});
    CHECK_THROWS(Error, "weights[1] is nan; weights must be finite",
                 table.update(bad.data(), DType::float64, 2, kStream, nullptr));
    const auto negative = to_device(std::vector<double>{1, 2, -3, -4});
    CHECK_THROWS(Error, "weights[2] is negative (-3)", table.update(negative.data(), DType::float64, 4, kStream, nullptr));
    const auto zero = to_device(std::vector<double>{0, 0});
    CHECK_THROWS(Error, "no positive element", table.update(zero.data(), DType::float64, 2, kStream, nullptr));
    CHECK_THROWS(Error, "weights is empty", table.update(nullptr, DType::float64, 0, kStream, nullptr));
    CHECK(cells_of(table) == before && table.n() == 4);
    table.update(device_second.data(), DType::float64, 3, kStream, nullptr);
    const AliasTable cpu = on_cpu(second, layout_of(second));
    const auto after = cells_of(table);
    CHECK(table.n() == 3 && std::memcmp(after.data(), cpu.cells(), after.size()) == 0);
  }
  CHECK(emulator::live_allocations() == 0);
}

template <class T>
std::vector<std::int64_t> race_on_device(const std::vector<T>& weights, std::int64_t size, bool logs, std::uint64_t seed) {
  const auto device_weights = to_device(weights);
  const auto out = to_device(std::vector<std::int64_t>(at(size), -1));
  sampling::on_cuda::sample_without_replacement(device_weights.data(), type_of<T>(), device_weights.size(), size, logs, seed,
                                                out.data(), kStream, nullptr);
  return to_host(out);
}

template <class T>
std::vector<std::int64_t> race_on_cpu(const std::vector<T>& weights, std::int64_t size, bool logs, std::uint64_t seed) {
  ThreadPool pool(1);
  return sampling::sample_without_replacement(weights.data(), type_of<T>(), static_cast<std::int64_t>(weights.size()), size,
                                              logs, seed, Isa::scalar, pool);
}

TEST(races_are_those_of_the_cpu) {
  std::mt19937_64 random(5);
  emulator::set_seed(3);
  for (const std::int64_t n : {1, 2, 3, 511, 2048, 2049, 9000}) {
    std::vector<double> weights, wild;
    for (std::int64_t i = 0; i < n; ++i) {
      weights.push_back(random() % 5 == 0 && i > 0 ? 0 : uniform(random));
      wild.push_back(std::pow(10.0, 600 * uniform(random) - 310));  // denormal to nearly infinite
    }
    std::vector<double> logs;
    for (const double weight : weights) logs.push_back(weight > 0 ? std::log(weight) * 1000 : -kInfinity);
    std::int64_t n_positive = 0;
    for (const double weight : weights) n_positive += weight > 0;
    for (const std::int64_t size : {std::int64_t{0}, std::int64_t{1}, n_positive / 10, n_positive}) {
      const std::string where = "n " + std::to_string(n) + ", size " + std::to_string(size);
      CHECK_AT(where, race_on_device(weights, size, false, 11) == race_on_cpu(weights, size, false, 11));
      CHECK_AT(where, race_on_device(wild, size, false, 12) == race_on_cpu(wild, size, false, 12));
      CHECK_AT(where, race_on_device(logs, size, true, 13) == race_on_cpu(logs, size, true, 13));
      const std::vector<float> narrow(weights.begin(), weights.end());
      CHECK_AT(where, race_on_device(narrow, size, false, 14) == race_on_cpu(narrow, size, false, 14));
    }
    CHECK_THROWS(Error, "without replacement no more can be drawn", race_on_device(weights, n_positive + 1, false, 1));
  }
  CHECK_THROWS(Error, "weights[1] is inf; weights must be finite",
               race_on_device(std::vector<double>{1, kInfinity, -1}, 1, false, 1));
  CHECK_THROWS(Error, "weights[0] is nan", race_on_device(std::vector<float>{std::nanf("")}, 1, true, 1));
  CHECK(emulator::live_allocations() == 0);
}

TEST(races_in_every_order_of_threads) {
  std::mt19937_64 random(6);
  std::vector<double> weights(5000);
  for (double& weight : weights) weight = uniform(random);
  const auto expected = race_on_cpu(weights, 500, false, 21);
  in_orders(5, [&] { CHECK(race_on_device(weights, 500, false, 21) == expected); });
}

TEST(sampling_without_memory_leaves_nothing) {
  std::vector<double> weights(3000, 1.0);
  const int n_build = test::with_memory_refused([&] {
    const auto device_weights = to_device(weights);
    const sampling::on_cuda::AliasTable table(device_weights.data(), DType::float64, 3000, kStream, nullptr);
  });
  CHECK(n_build > 8);
  const int n_race = test::with_memory_refused([&] { race_on_device(weights, 100, false, 1); });
  CHECK(n_race > 8);
}

}  // namespace
