// The samplers against their documented mapping, re-implemented in plain code, and the exactness of the integer table.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "check.h"
#include "core/control.h"
#include "core/errors.h"
#include "core/floating_point.h"
#include "core/log.h"
#include "core/philox.h"
#include "sampling/runners.h"
#include "sampling/sampling.h"

namespace {

using namespace coremax;
using sampling::AliasTable;
using Wide = unsigned __int128;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

AliasTable table_of(const std::vector<double>& weights, int threads = 1) {
  ThreadPool pool(threads);
  return AliasTable(weights.data(), DType::float64, static_cast<std::int64_t>(weights.size()), pool);
}

std::vector<std::int64_t> draw(const AliasTable& table, std::int64_t size, std::uint64_t seed, std::uint64_t offset = 0,
                               int threads = 1) {
  std::vector<std::int64_t> out(at(size), -1);
  ThreadPool pool(threads);
  table.sample(size, seed, offset, out.data(), resolve_isa(""), pool);
  return out;
}

std::vector<std::int64_t> race(const std::vector<double>& weights, std::int64_t size, std::uint64_t seed, int threads = 1,
                               bool logs = false) {
  ThreadPool pool(threads);
  return sampling::sample_without_replacement(weights.data(), DType::float64, static_cast<std::int64_t>(weights.size()), size,
                                              logs, seed, available_isas().back(), pool);
}

int unit_bits(std::int64_t n) {
  if (n >= 65536) return 32;
  int bits = 62;
  for (std::int64_t power = 1; power < n; power *= 2) --bits;
  return bits;
}

// All cells as (threshold, alias).
std::vector<std::pair<std::uint64_t, std::int64_t>> cells_of(const AliasTable& table) {
  std::vector<std::pair<std::uint64_t, std::int64_t>> cells;
  for (std::int64_t i = 0; i < table.n(); ++i) cells.emplace_back(table.parts(i).threshold, table.parts(i).alias);
  return cells;
}

AliasTable table_of_cells(const std::vector<std::uint64_t>& words) {
  return AliasTable(words.data(), static_cast<std::int64_t>(words.size() / 2));
}

// The units that element i has over all cells.
std::vector<Wide> units_of(const AliasTable& table) {
  const std::uint64_t unit = std::uint64_t{1} << table.layout().unit_bits;
  std::vector<Wide> units(at(table.n()), 0);
  for (std::int64_t cell = 0; cell < table.n(); ++cell) {
    const auto [threshold, alias] = table.parts(cell);
    units[at(cell)] += threshold;
    units[at(alias)] += unit - threshold;
  }
  return units;
}

// Weights of every shape that has its own way through the builder.
std::vector<std::vector<double>> weight_cases() {
  std::vector<std::vector<double>> cases{
      {1}, {5e-324}, {1, 1}, {0, 3}, {3, 0}, {1, 2, 3}, {1, 0, 3}, {1e308, 1e308, 1e308}, {1e-320, 2e-320, 0}, {1e308, 1e-308}};
  std::mt19937_64 random(1);
  for (const int n : {2, 3, 4, 5, 7, 8, 9, 64, 65, 1000, 5000}) {
    std::vector<double> uniform, skewed, sparse, one;
    for (int i = 0; i < n; ++i) {
      const double u = static_cast<double>(random() >> 11) * 0x1p-53 + 0x1p-60;
      uniform.push_back(u);
      skewed.push_back(std::pow(u, 20));
      sparse.push_back(random() % 3 == 0 ? u : 0.0);
      one.push_back(i == n / 2 ? 1.0 : 0.0);
    }
    sparse.back() = 0.5;
    cases.push_back(uniform);
    cases.push_back(skewed);
    cases.push_back(sparse);
    cases.push_back(one);
    cases.emplace_back(static_cast<std::size_t>(n), 0.1);
  }
  std::vector<double> large;  // of the narrow layout
  for (int i = 0; i < 70'000; ++i) large.push_back(std::pow(static_cast<double>(random() >> 11) * 0x1p-53, 3));
  cases.push_back(large);
  return cases;
}

TEST(alias_units_sum_exactly) {
  for (const auto& weights : weight_cases()) {
    const AliasTable table = table_of(weights);
    const std::string where = "n " + std::to_string(weights.size());
    const std::uint64_t unit = std::uint64_t{1} << unit_bits(table.n());
    CHECK_AT(where, table.n() == static_cast<std::int64_t>(weights.size()));
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const auto [threshold, alias] = table.parts(static_cast<std::int64_t>(i));
      CHECK_AT(where, threshold < unit);
      CHECK_AT(where, alias >= 0 && alias < table.n());
    }
    const auto units = units_of(table);
    CHECK_AT(where, std::accumulate(units.begin(), units.end(), Wide{0}) == Wide{weights.size()} * unit);
    for (std::size_t i = 0; i < weights.size(); ++i)
      if (weights[i] == 0) CHECK_AT(where, units[i] == 0);
  }
}

TEST(alias_units_are_exact_where_the_weights_allow_it) {
  // The sum is a power of two or the number of elements, so every probability is a whole number of units.
  const auto quarters = units_of(table_of({1, 0, 3}));
  CHECK(quarters[0] == Wide{3} << 58 && quarters[1] == 0 && quarters[2] == Wide{9} << 58);
  const auto four = units_of(table_of({0.125, 0.375, 0, 0.5}));
  CHECK(four[0] == Wide{1} << 59 && four[1] == Wide{3} << 59 && four[2] == 0 && four[3] == Wide{1} << 61);
  const auto single = units_of(table_of({1e-300}));
  CHECK(single[0] == Wide{1} << 62);
  std::vector<double> probabilities(3);
  table_of({1, 0, 3}).probabilities(probabilities.data());
  CHECK(probabilities == std::vector<double>{0.25, 0, 0.75});
}

// The promise of sampling.h. Sums are taken in long double with compensation, far below the tolerance.
void check_probabilities(const std::vector<double>& weights) {
  const double largest = *std::max_element(weights.begin(), weights.end());
  const int exponent = std::ilogb(largest);
  long double sum = 0;
  long double carry = 0;
  for (const double w : weights) {
    const long double term = static_cast<long double>(std::ldexp(w, -exponent)) - carry;
    const long double next = sum + term;
    carry = (next - sum) - term;
    sum = next;
  }
  const auto units = units_of(table_of(weights, 2));
  const long double total =
      static_cast<long double>(units.size()) * std::ldexp(1.0L, unit_bits(static_cast<std::int64_t>(units.size())));
  long double worst = 0;
  for (std::size_t i = 0; i < units.size(); ++i)
    worst = std::max(worst, std::abs(static_cast<long double>(units[i]) / total -
                                     static_cast<long double>(std::ldexp(weights[i], -exponent)) / sum));
  CHECK_AT(
      "n " + std::to_string(weights.size()) + ", error 2^" + std::to_string(static_cast<double>(std::log2(worst + 1e-300L))),
      worst <= 0x1p-50L + (weights.size() < 65536 ? 0 : 0x1p-30L / static_cast<long double>(weights.size())));
}

TEST(alias_probabilities_are_within_the_promised_error) {
  for (const auto& weights : weight_cases()) check_probabilities(weights);
}

TEST(alias_probabilities_do_not_suffer_from_the_order_of_summation) {
  // A large weight first, then thousands that each vanish beside it in a plain float64 sum.
  std::vector<double> weights(4096, 1.1e-16);
  weights[0] = 1;
  check_probabilities(weights);
  std::vector<double> thirds(40'000, 1.0 / 3);
  thirds[0] = 1000;
  check_probabilities(thirds);
}

TEST(alias_table_is_the_same_for_any_thread_count_and_type) {
  std::mt19937 random(3);
  std::vector<float> narrow(20'000);
  for (float& w : narrow) w = static_cast<float>(random() % 1000);
  const std::vector<double> wide(narrow.begin(), narrow.end());
  const AliasTable first = table_of(wide);
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    const AliasTable other(narrow.data(), DType::float32, 20'000, pool);
    CHECK(cells_of(other) == cells_of(first));
  }
}

// Weights whose tables take every path of the packer: both fingers far ahead of the other, full cells at either end, long runs.
std::vector<std::vector<double>> packer_cases(std::int64_t n, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<double> uniform, sorted, spikes, steps(at(n), 1.0), lights_first, nearly;
  for (std::int64_t i = 0; i < n; ++i) {
    uniform.push_back(static_cast<double>(random() >> 11) * 0x1p-53 + 0x1p-60);
    sorted.push_back(static_cast<double>(i));
    spikes.push_back(random() % 50 == 0 ? 1.0 : 0.0);
    steps[at(i)] = static_cast<double>(random() % 3);  // many cells exactly full
    lights_first.push_back(i < n / 2 ? 0.0 : 1.0);
    nearly.push_back(i % 2 == 0 ? 1 + 1e-9 : 1.0);
  }
  spikes[at(n / 3)] = 1;
  sorted.back() = static_cast<double>(n);
  steps[0] = 1;
  std::vector<double> reversed(lights_first.rbegin(), lights_first.rend());
  std::vector<double> falling(sorted.rbegin(), sorted.rend());
  return {uniform, sorted, falling, spikes, steps, lights_first, reversed, nearly, std::vector<double>(at(n), 0.7)};
}

TEST(alias_layouts_of_other_sizes) {
  // Small tables in the layouts of large ones, in blocks so small that every stretch of the packer is short.
  for (const std::int64_t n : {1, 63, 64, 65, 200, 4096, 5001, 20'000})
    for (const auto& weights : packer_cases(n, static_cast<std::uint64_t>(n)))
      for (const bool wide : {false, true}) {
        const AliasTable::Layout layout{wide, wide ? 22 : 32, 64};
        const std::string where = "n " + std::to_string(n) + (wide ? ", wide" : ", narrow");
        const long double sum = std::accumulate(weights.begin(), weights.end(), 0.0L);
        ThreadPool one(1), three(3);
        const AliasTable table(weights.data(), DType::float64, n, layout, three);
        CHECK_AT(where, cells_of(table) == cells_of(AliasTable(weights.data(), DType::float64, n, layout, one)));
        const long double unit = std::ldexp(1.0L, layout.unit_bits);
        const auto units = units_of(table);
        CHECK_AT(where, std::accumulate(units.begin(), units.end(), Wide{0}) == Wide(static_cast<std::uint64_t>(n))
                                                                                    << layout.unit_bits);
        long double worst = 0;
        for (std::size_t i = 0; i < units.size(); ++i) {
          CHECK_AT(where, weights[i] > 0 || units[i] == 0);
          worst = std::max(worst, std::abs(static_cast<long double>(units[i]) -
                                           static_cast<long double>(weights[i]) / sum * unit * static_cast<long double>(n)));
        }
        CHECK_AT(where + ", off by units: " + std::to_string(static_cast<double>(worst)), worst <= 4);
        const auto cells = cells_of(table);
        CHECK_AT(where, std::all_of(cells.begin(), cells.end(), [&](const auto& c) { return c.second >= 0 && c.second < n; }));
      }
}

TEST(alias_equal_weights_fill_their_cells) {
  for (const std::int64_t n : {1, 2, 64, 65'535, 65'536, 100'000, 1'000'003}) {
    const AliasTable table = table_of(std::vector<double>(at(n), 2), 2);
    bool good = true;
    for (std::int64_t i = 0; i < n; ++i) good = good && table.parts(i).threshold == 0 && table.parts(i).alias == i;
    CHECK_AT("n " + std::to_string(n), good);
  }
}

TEST(alias_update_takes_other_weights_in_the_same_memory) {
  ThreadPool pool(2);
  std::vector<std::vector<double>> sequence{packer_cases(70'000, 1)[0], packer_cases(70'000, 2)[3],
                                            packer_cases(66'000, 3)[0], {1, 2, 3},
                                            packer_cases(80'000, 4)[1], packer_cases(50'000, 5)[0]};
  AliasTable table = table_of(sequence[0]);
  const void* memory = table.cells();
  for (const auto& weights : sequence) {
    const auto n = static_cast<std::int64_t>(weights.size());
    const bool fits = n * AliasTable::Layout::of(n).cell_bytes() <= table.nbytes();
    table.update(weights.data(), DType::float64, n, pool);
    CHECK(table.n() == n);
    CHECK(cells_of(table) == cells_of(table_of(weights)));
    CHECK(!fits || table.cells() == memory);
    CHECK(draw(table, 1000, 3) == draw(table_of(weights), 1000, 3));
    memory = table.cells();
  }
}

TEST(alias_update_refused_leaves_the_table_as_it_was) {
  ThreadPool pool(2);
  AliasTable table = table_of(packer_cases(70'000, 1)[0]);
  const auto before = cells_of(table);
  std::vector<double> bad(70'000, 1.0);
  for (const double value : {std::nan(""), kInfinity, -1.0}) {
    bad[69'000] = value;
    CHECK_THROWS(Error, "weights[69000] is", table.update(bad.data(), DType::float64, 70'000, pool));
    CHECK(cells_of(table) == before);
  }
  CHECK_THROWS(Error, "weights is empty", table.update(bad.data(), DType::float64, 0, pool));
  CHECK_THROWS(Error, "an alias table holds up to 2^40",
               table.update(bad.data(), DType::float64, (std::int64_t{1} << 40) + 1, pool));
  bad.assign(70'000, 0.0);
  CHECK_THROWS(Error, "weights has no positive element", table.update(bad.data(), DType::float64, 70'000, pool));
  CHECK(cells_of(table) == before);
}

// Throws at the given look.
class StopAt : public Control {
 public:
  explicit StopAt(int call) : call_(call) {}
  void check() override {
    if (++calls_ == call_) throw std::runtime_error("stopped");
  }

 private:
  const int call_;
  int calls_ = 0;
};

TEST(alias_update_stopped_half_way_leaves_the_old_table_or_none) {
  const auto weights = packer_cases(200'000, 1)[0];
  const auto others = packer_cases(200'000, 2)[0];
  const auto before = cells_of(table_of(weights));
  int n_empty = 0;
  for (int call = 1;; ++call) {
    AliasTable table = table_of(weights);
    StopAt control(call);
    ThreadPool pool(1, &control);
    bool stopped = false;
    try {
      table.update(others.data(), DType::float64, 200'000, pool);
    } catch (const std::runtime_error&) {
      stopped = true;
    }
    if (!stopped) break;
    n_empty += table.n() == 0;
    CHECK(table.n() == 0 || cells_of(table) == before);
    if (table.n() > 0) continue;
    CHECK_THROWS(Error, "the alias table is empty: its last update was stopped half way", draw(table, 1, 0));
    CHECK_THROWS(Error, "the alias table is empty: its last update was stopped half way", table.cells());
    ThreadPool free(1);
    table.update(weights.data(), DType::float64, 200'000, free);
    CHECK(cells_of(table) == before);
  }
  CHECK(n_empty > 2);
}

TEST(alias_draws_are_the_same_on_every_level) {
  for (const std::int64_t n : {5, 70'000}) {
    const AliasTable table = table_of(packer_cases(n, 9)[0]);
    const auto expected = draw(table, 10'000, 5, 3);
    for (const Isa isa : available_isas()) {
      std::vector<std::int64_t> out(10'000);
      ThreadPool pool(2);
      table.sample(10'000, 5, 3, out.data(), isa, pool);
      CHECK_AT(isa_name(isa), out == expected);
    }
  }
}

TEST(alias_draws_follow_the_documented_mapping) {
  for (const auto& weights : weight_cases()) {
    const AliasTable table = table_of(weights);
    const auto cells = cells_of(table);
    const auto n = static_cast<std::uint64_t>(table.n());
    for (const auto& [seed, offset] : {std::pair<std::uint64_t, std::uint64_t>{0, 0},
                                       {~std::uint64_t{0}, 1},
                                       {42, (std::uint64_t{1} << 63) - 1},
                                       {7, 0xffffffff}}) {
      const auto got = draw(table, 200, seed, offset);
      bool good = true;
      for (std::uint64_t i = 0; i < 200; ++i) {
        const std::uint64_t position = offset + i;
        const PhiloxBlock block =
            philox_4x32_10({static_cast<std::uint32_t>(position >> 1), static_cast<std::uint32_t>(position >> 33), 0, 0},
                           {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
        const std::size_t half = position % 2 == 0 ? 0 : 2;
        const std::uint64_t bits = block[half] | static_cast<std::uint64_t>(block[half + 1]) << 32;
        const auto cell = static_cast<std::size_t>(Wide{bits} * n >> 64);
        const auto coin = static_cast<std::uint64_t>(Wide{bits} * n) >> (64 - unit_bits(table.n()));
        good = good && got[i] == (coin < cells[cell].first ? static_cast<std::int64_t>(cell) : cells[cell].second);
      }
      CHECK_AT("n " + std::to_string(weights.size()), good);
    }
  }
}

TEST(alias_coin_wins_below_its_threshold_only) {
  for (std::uint64_t position = 0; position < 50; ++position) {
    const Wide product = Wide{random_bits(17, Stream::alias_draw, position)} * 2;
    const auto cell = static_cast<std::size_t>(product >> 64);
    const std::uint64_t coin = static_cast<std::uint64_t>(product) >> 3;
    const std::int64_t other = 1 - static_cast<std::int64_t>(cell);
    std::vector<std::uint64_t> words{coin, 1, coin, 0};
    CHECK(draw(table_of_cells(words), 1, 17, position)[0] == other);
    words[2 * cell] = coin + 1;
    CHECK(draw(table_of_cells(words), 1, 17, position)[0] == static_cast<std::int64_t>(cell));
  }
}

TEST(alias_draws_never_take_a_weight_of_zero) {
  for (const auto& weights : weight_cases()) {
    const auto draws = draw(table_of(weights), 20'000, 5);
    CHECK(std::all_of(draws.begin(), draws.end(),
                      [&](std::int64_t i) { return i >= 0 && at(i) < weights.size() && weights[at(i)] > 0; }));
  }
}

TEST(alias_draws_are_frequent_as_their_weights) {
  // 400,000 draws: chi-square with 4 degrees of freedom exceeds 33.4 with probability 1e-6.
  const std::vector<double> weights{1, 2, 3, 4, 10};
  const auto draws = draw(table_of(weights), 400'000, 11);
  double chi = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    const double expected = 400'000 * weights[i] / 20;
    const auto count = static_cast<double>(std::count(draws.begin(), draws.end(), static_cast<std::int64_t>(i)));
    chi += (count - expected) * (count - expected) / expected;
  }
  CHECK_AT(std::to_string(chi), chi < 33.4);
}

TEST(alias_draws_depend_on_seed_and_position_alone) {
  std::vector<double> weights(777);
  std::iota(weights.begin(), weights.end(), 0.0);
  const AliasTable table = table_of(weights);
  const auto all = draw(table, 20'000, 9);
  for (const int threads : {2, 3}) CHECK(draw(table, 20'000, 9, 0, threads) == all);
  for (const std::int64_t size : {0, 1, 2, 4095, 4096, 4097})
    CHECK(draw(table, size, 9) == std::vector<std::int64_t>(all.begin(), all.begin() + size));
  for (const std::int64_t offset : {1, 2, 4097}) {
    CHECK(draw(table, 5000, 9, static_cast<std::uint64_t>(offset), 2) ==
          std::vector<std::int64_t>(all.begin() + offset, all.begin() + offset + 5000));
  }
  CHECK(draw(table, 100, 10) != draw(table, 100, 9));
}

TEST(alias_table_is_restored_from_its_parts) {
  const AliasTable table = table_of({1, 2, 0, 4});
  const AliasTable copy(table.cells(), table.n());
  CHECK(cells_of(copy) == cells_of(table));
  CHECK(draw(copy, 1000, 3) == draw(table, 1000, 3));
  CHECK_THROWS(Error, "weights is empty", table_of_cells({}));
  CHECK_THROWS(Error, "cell 1 of the saved alias table is not valid", table_of_cells({1, 0, 2, 2}));
  CHECK_THROWS(Error, "cell 0 of the saved alias table is not valid", table_of_cells({1, ~std::uint64_t{0}, 2, 1}));
  CHECK_THROWS(Error, "cell 1 of the saved alias table is not valid", table_of_cells({1, 0, std::uint64_t{1} << 61, 0}));
  CHECK(table_of_cells({1, 0, (std::uint64_t{1} << 61) - 1, 0}).n() == 2);
}

TEST(weights_are_checked_and_the_first_bad_one_is_named) {
  for (const int threads : {1, 3})
    for (int turn = 0; turn < 20; ++turn) {
      std::vector<double> weights(30'000, 1.0);
      weights[9000] = std::nan("");
      weights[13'000] = -1;
      CHECK_THROWS(Error, "weights[9000] is nan; weights must be finite", table_of(weights, threads));
      CHECK_THROWS(Error, "weights[9000] is nan; weights must be finite", race(weights, 5, 0, threads));
      weights[9000] = 1;
      CHECK_THROWS(Error, "weights[13000] is negative (-1)", table_of(weights, threads));
      CHECK_THROWS(Error, "weights[13000] is negative (-1)", race(weights, 5, 0, threads));
    }
  CHECK_THROWS(Error, "weights[1] is inf; weights must be finite", table_of({1, kInfinity}));
  CHECK_THROWS(Error, "weights[0] is -inf; weights must be finite", race({-kInfinity, 1}, 1, 0));
  CHECK_THROWS(Error, "weights[1] is inf; weights must be finite", race({0, kInfinity}, 1, 0, 1, true));
  CHECK_THROWS(Error, "weights has no positive element", table_of({0, -0.0}));
  CHECK_THROWS(Error, "weights has no positive element", race({0, 0}, 1, 0));
  CHECK_THROWS(Error, "weights has no positive element", race({-kInfinity, -kInfinity}, 1, 0, 1, true));
}

#if defined(__SSE2__)
TEST(draws_do_not_depend_on_the_callers_floating_point_environment) {
  const std::vector<double> tiny{1e-310, 0, 3e-310};
  const AliasTable expected = table_of(tiny);
  const auto expected_order = race(tiny, 2, 5);
  const unsigned saved = __builtin_ia32_stmxcsr();
  for (const unsigned mode : {0x8040u, 0x2000u, 0x4000u}) {  // flush denormals; round down; round up
    AliasTable table = table_of({1});
    std::vector<std::int64_t> order;
    std::string message;
    __builtin_ia32_ldmxcsr(saved | mode);
    try {
      const DefaultFloatingPoint environment;  // as every call from the bindings holds it
      table = table_of(tiny);
      order = race(tiny, 2, 5);
    } catch (const Error& error) {
      message = error.what();
    }
    const unsigned after = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(saved);
    CHECK_AT(std::to_string(mode), (after & 0xE040) == ((saved | mode) & 0xE040));
    CHECK_AT(std::to_string(mode) + ": " + message, message.empty());
    CHECK_AT(std::to_string(mode), cells_of(table) == cells_of(expected));
    CHECK_AT(std::to_string(mode), order == expected_order);
  }
}
#endif

TEST(no_weights_are_refused) {
  CHECK_THROWS(Error, "weights is empty", race({}, 0, 0));
  CHECK_THROWS(Error, "weights is empty", table_of({}));
}

TEST(race_follows_the_documented_mapping) {
  for (const auto& weights : weight_cases()) {
    const double largest = *std::max_element(weights.begin(), weights.end());
    if (*std::min_element(weights.begin(), weights.end()) * 1e100 < largest && weights.size() < 4)
      continue;  // has a test of its own
    for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{123456789012345}}) {
      std::vector<std::pair<double, std::int64_t>> runners;
      for (std::size_t i = 0; i < weights.size(); ++i) {
        const double waiting = -portable_log(open_unit(random_bits(seed, Stream::race, i)));
        if (weights[i] > 0)
          runners.emplace_back(waiting / std::ldexp(weights[i], -std::ilogb(largest)), static_cast<std::int64_t>(i));
      }
      std::sort(runners.begin(), runners.end());
      std::vector<std::int64_t> expected;
      for (const auto& runner : runners) expected.push_back(runner.second);
      for (const std::int64_t size : {std::int64_t{0}, std::int64_t{1}, static_cast<std::int64_t>(expected.size()) / 2,
                                      static_cast<std::int64_t>(expected.size())}) {
        const bool good = race(weights, size, seed, 2) == std::vector<std::int64_t>(expected.begin(), expected.begin() + size);
        CHECK_AT("n " + std::to_string(weights.size()), good);
      }
    }
  }
}

TEST(race_is_the_same_for_any_thread_count_and_type) {
  std::mt19937 random(4);
  std::vector<float> narrow(20'000);
  for (float& w : narrow) w = static_cast<float>(random() % 10);
  const std::vector<double> wide(narrow.begin(), narrow.end());
  const auto first = race(wide, 5000, 1);
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    CHECK(sampling::sample_without_replacement(narrow.data(), DType::float32, 20'000, 5000, false, 1, available_isas().back(),
                                               pool) == first);
  }
  CHECK(std::vector<std::int64_t>(first.begin(), first.begin() + 1234) == race(wide, 1234, 1));
}

TEST(race_draws_each_positive_weight_once) {
  for (const auto& weights : weight_cases()) {
    const auto positive = std::count_if(weights.begin(), weights.end(), [](double w) { return w > 0; });
    auto all = race(weights, positive, 2);
    std::sort(all.begin(), all.end());
    CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
    CHECK(std::all_of(all.begin(), all.end(),
                      [&](std::int64_t i) { return i >= 0 && at(i) < weights.size() && weights[at(i)] > 0; }));
    CHECK_THROWS(Error, "but only " + std::to_string(positive) + " weights are positive", race(weights, positive + 1, 2));
  }
}

TEST(race_with_logarithms_draws_the_same) {
  std::mt19937 random(6);
  std::vector<double> weights;
  std::vector<double> logs;
  std::vector<double> shifted;
  for (int i = 0; i < 3000; ++i) {
    weights.push_back(random() % 4 == 0 ? 0.0 : static_cast<double>(random()) + 1);
    logs.push_back(weights.back() == 0 ? -kInfinity : std::log(weights.back()));
    shifted.push_back(logs.back() - 5000);  // far below what the weights themselves could be
  }
  const auto expected = race(weights, 500, 8);
  CHECK(race(logs, 500, 8, 2, true) == expected);
  CHECK(race(shifted, 500, 8, 1, true) == expected);
}

TEST(race_stays_proportional_over_the_whole_range_of_doubles) {
  // Once the huge first weight is drawn, 3e-300 beats 1e-300 three times in four: of 4000 races the share lies within
  // 4.9 standard deviations of that, except with probability 1e-6.
  int wins = 0;
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    const auto order = race({1e308, 1e-300, 3e-300}, 3, seed);
    CHECK(order[0] == 0);
    wins += order[1] == 2;
  }
  CHECK_AT(std::to_string(wins), std::abs(wins - 3000) < 4.9 * std::sqrt(4000 * 0.75 * 0.25));
}

// What a race must give, from the mapping in sampling.h: all times, sorted. A quotient is compared by exponent, then
// significand.
std::vector<std::int64_t> plain_race(const std::vector<double>& weights, bool logs, std::uint64_t seed) {
  struct Time {
    int exponent;
    double significand;
    std::int64_t index;
    bool operator<(const Time& other) const {
      return std::tie(exponent, significand, index) < std::tie(other.exponent, other.significand, other.index);
    }
  };
  std::vector<Time> times;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] == (logs ? -kInfinity : 0.0)) continue;
    const double waiting = -portable_log(open_unit(random_bits(seed, Stream::race, i)));
    Time time{0, portable_log(waiting) - weights[i], static_cast<std::int64_t>(i)};
    if (!logs) {
      int of_weight = 0, of_quotient = 0;
      const double significand = std::frexp(weights[i], &of_weight);
      time.significand = std::frexp(waiting / significand, &of_quotient);
      time.exponent = of_quotient - of_weight;
    }
    times.push_back(time);
  }
  std::sort(times.begin(), times.end());
  std::vector<std::int64_t> order;
  for (const Time& time : times) order.push_back(time.index);
  return order;
}

// Checks draws of many sizes, on every ISA level and some numbers of threads, in float32 too where that holds the weights.
void check_race(const std::string& name, const std::vector<double>& weights, bool logs, std::uint64_t seed) {
  const auto expected = plain_race(weights, logs, seed);
  const auto n = static_cast<std::int64_t>(weights.size());
  const auto n_positive = static_cast<std::int64_t>(expected.size());
  const std::vector<float> narrow(weights.begin(), weights.end());
  const bool fits =
      std::equal(weights.begin(), weights.end(), narrow.begin(), [](double w, float f) { return w == static_cast<double>(f); });
  for (std::int64_t size :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{100}, n_positive / 10, n_positive / 2, n_positive - 1, n_positive}) {
    size = std::min(size, n_positive);
    const std::vector<std::int64_t> first(expected.begin(), expected.begin() + size);
    for (const Isa isa : available_isas()) {
      ThreadPool pool(isa == Isa::scalar ? 1 : 3);
      const std::string where = name + ", size " + std::to_string(size) + ", " + isa_name(isa);
      CHECK_AT(where,
               sampling::sample_without_replacement(weights.data(), DType::float64, n, size, logs, seed, isa, pool) == first);
      if (fits)
        CHECK_AT(where + ", float32",
                 sampling::sample_without_replacement(narrow.data(), DType::float32, n, size, logs, seed, isa, pool) == first);
    }
  }
}

TEST(race_is_that_of_all_times_sorted) {
  // Around the size from which on a limit is sampled, around whole blocks, and several chunks of blocks.
  for (const std::int64_t n : {8191, 8192, 8193, 70'000, 200'001}) {
    std::mt19937_64 random(static_cast<std::uint64_t>(n));
    std::normal_distribution<double> normal;
    std::vector<double> uniform, integers, sparse, skewed, wide, one_value, rising, normal_logs, huge_logs, far_logs;
    for (std::int64_t i = 0; i < n; ++i) {
      const double u = static_cast<double>(random() >> 11) * 0x1p-53 + 0x1p-60;
      uniform.push_back(u);
      integers.push_back(static_cast<double>(random() % 5));
      sparse.push_back(random() % 50 == 0 ? u : 0.0);
      skewed.push_back(std::exp(10 * normal(random)));
      wide.push_back(std::ldexp(u, static_cast<int>(random() % 2080) - 1060));
      one_value.push_back(i == n / 3 ? 1e300 : 5e-324);
      rising.push_back(static_cast<double>(static_cast<float>(i) * 1e-30f));
      normal_logs.push_back(random() % 7 == 0 ? -kInfinity : static_cast<double>(static_cast<float>(3 * normal(random))));
      huge_logs.push_back(1e17 * static_cast<double>(random() % 3));  // many ties
      far_logs.push_back((random() % 2 == 0 ? 1 : -1) * std::ldexp(u, static_cast<int>(random() % 1020)));
    }
    const std::string name = ", n " + std::to_string(n);
    check_race("uniform" + name, uniform, false, 1);
    check_race("integers" + name, integers, false, 2);
    check_race("sparse" + name, sparse, false, 3);
    check_race("skewed" + name, skewed, false, 4);
    check_race("wide" + name, wide, false, 5);
    check_race("one value" + name, one_value, false, 6);
    check_race("rising" + name, rising, false, 7);
    check_race("normal logarithms" + name, normal_logs, true, 8);
    check_race("huge logarithms" + name, huge_logs, true, 9);
    check_race("far logarithms" + name, far_logs, true, 10);
    check_race("uniform as logarithms" + name, uniform, true, 11);
  }
}

TEST(race_lifts_a_limit_that_too_few_reach) {
  // Elements that the sample will look at are made fast ones, or slow ones, so that it sees what is true of no others.
  const std::int64_t n = 70'000;
  for (const double sampled : {1e6, 1e-6, 0.0}) {
    std::vector<double> weights(at(n), 1.0);
    for (std::uint64_t s = 0; s < 2000; ++s)
      weights[static_cast<std::size_t>(Wide{random_bits(9, Stream::race_sample, s)} * n >> 64)] = sampled;
    check_race("sampled " + std::to_string(sampled), weights, false, 9);
  }
}

TEST(runners_are_sorted_stably) {
  std::mt19937_64 random(12);
  ThreadPool pool(1);
  for (const std::int64_t n : {0, 1, 2, 16, 17, 100, 5000}) {
    for (const int kind : {0, 1, 2, 3, 4}) {
      std::vector<sampling::Runner> runners;
      for (std::int64_t i = 0; i < n; ++i) {
        const std::uint64_t bits = random();
        const std::uint64_t times[] = {bits, bits % 3, std::uint64_t{1} << (bits % 64), 7, bits % 10 == 0 ? bits : bits % 1000};
        runners.push_back({times[kind], i});
      }
      auto expected = runners;
      std::stable_sort(expected.begin(), expected.end(), [](const auto& a, const auto& b) { return a.time < b.time; });
      for (const std::int64_t wanted : {std::int64_t{0}, n / 3, n}) {
        auto sorted = runners;
        std::vector<sampling::Runner> scratch(at(n));
        pool.run(1, [&](std::int64_t, ThreadPool::Worker& worker) {
          sampling::sort_runners(sorted.data(), scratch.data(), n, wanted, worker);
        });
        const auto same = [](const auto& a, const auto& b) { return a.time == b.time && a.index == b.index; };
        CHECK_AT(std::to_string(n), std::equal(sorted.begin(), sorted.begin() + wanted, expected.begin(), same));
        std::sort(sorted.begin(), sorted.end(),
                  [](const auto& a, const auto& b) { return std::tie(a.time, a.index) < std::tie(b.time, b.index); });
        CHECK_AT(std::to_string(n), std::equal(sorted.begin(), sorted.end(), expected.begin(), same));
      }
    }
  }
}

TEST(a_race_can_be_stopped) {
  struct Stop : Control {
    int left = 3;
    void check() override {
      if (--left < 0) throw Error(ErrorKind::internal, "stopped");
    }
  };
  const std::vector<double> weights(1'000'000, 1.0);
  for (const int checks : {0, 3, 100, 200}) {
    Stop stop;
    stop.left = checks;
    ThreadPool pool(2, &stop);
    CHECK_THROWS(Error, "stopped",
                 sampling::sample_without_replacement(weights.data(), DType::float64, 1'000'000, 900'000, false, 1,
                                                      available_isas().back(), pool));
  }
}

TEST(permutation_takes_every_element_once) {
  for (const std::int64_t n : {1, 2, 3, 4, 5, 8, 9, 10, 17, 100, 1023, 70'000}) {
    std::vector<std::int64_t> positions(at(n));
    std::iota(positions.begin(), positions.end(), 0);
    std::vector<std::int64_t> out(at(n), -1);
    ThreadPool pool(2);
    sampling::permute(n, 7, positions.data(), n, out.data(), pool);
    if (n > 100) CHECK(out != positions);
    std::sort(out.begin(), out.end());
    CHECK_AT("n " + std::to_string(n), out == positions);
  }
}

TEST(permutation_of_the_largest_length_stays_inside) {
  const std::int64_t n = std::numeric_limits<std::int64_t>::max();
  const std::vector<std::int64_t> positions{0, 1, n / 2, n - 2, n - 1};
  std::vector<std::int64_t> out(positions.size(), -1);
  ThreadPool pool(1);
  sampling::permute(n, 7, positions.data(), 5, out.data(), pool);
  CHECK(std::all_of(out.begin(), out.end(), [&](std::int64_t i) { return i >= 0 && i < n; }));
  const std::int64_t beyond = 10;
  CHECK_THROWS(Error, "positions[0] is 10, not in [0, 10)", sampling::permute(10, 7, &beyond, 1, out.data(), pool));
  CHECK_THROWS(Error, "n must be positive", sampling::permute(0, 7, &beyond, 0, out.data(), pool));
}

TEST(alias_draws_at_positions_are_those_of_the_stream) {
  const AliasTable table = table_of({1, 0, 3, 0.5});
  const auto stream = draw(table, 100, 5);
  std::vector<std::int64_t> out(3, -1);
  const std::vector<std::int64_t> positions{99, 0, 42};
  ThreadPool pool(1);
  table.sample_at(positions.data(), 3, 5, out.data(), pool);
  CHECK((out == std::vector<std::int64_t>{stream[99], stream[0], stream[42]}));
  const std::int64_t negative = -1;
  CHECK_THROWS(Error, "positions[0] is negative: -1", table.sample_at(&negative, 1, 5, out.data(), pool));
}

}  // namespace
