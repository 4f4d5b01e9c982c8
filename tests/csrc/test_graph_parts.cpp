// The parts of the filtered search, each by its contract: the packer's error bound, the schedule of block pairs, layouts and
// partitions, candidate lists; and the search as a whole over the emulated AMX filters, which no other test reaches.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "graph/candidates.h"
#include "graph/filtered.h"
#include "graph/graph.h"
#include "graph/packed.h"
#include "graph/partition.h"
#include "graph/rows.h"
#include "graph/schedule.h"
#include "graph/search.h"
#include "isa/isa.h"

#if defined(COREMAX_HAVE_AVX512)
namespace coremax::graph {
extern const Filters kEmulatedAmxFilters;
}
namespace coremax::test {
extern const char* emulated_amx_fault();
}
#endif

namespace {

using namespace coremax;
using namespace coremax::graph;

constexpr Metric kMetrics[] = {Metric::cosine, Metric::dot, Metric::euclidean};
const char* name_of(Metric metric) { return metric == Metric::cosine ? "cosine" : metric == Metric::dot ? "dot" : "euclidean"; }
const char* name_of(Code code) { return code == Code::int8 ? "int8" : code == Code::int16 ? "int16" : "bfloat16"; }

// One filter of every code that this machine can run, AMX emulated. Which level it comes from does not matter here: that every
// level computes the same is the business of test_filters.
struct Candidate {
  std::string name;
  const Filter* filter;
};

[[maybe_unused]] bool have_avx512() { return available_isas().back() >= Isa::avx512; }

std::vector<Candidate> filters_here() {
  std::vector<Candidate> list;
  [[maybe_unused]] const auto add = [&](const char* level, const Filters& filters) {
    for (const Filter* filter : {filters.coarse, filters.fine})
      if (filter != nullptr) list.push_back({std::string(level) + " " + name_of(filter->code), filter});
  };
  for (const Isa isa : available_isas()) add(isa_name(isa), filters_of(isa));
#if defined(COREMAX_HAVE_AVX512)
  if (have_avx512()) add("emulated amx", kEmulatedAmxFilters);
#endif
  if (list.empty()) std::printf("skip filters: this build has none for this CPU\n");
  return list;
}

void check_no_fault(const std::string& where) {
  static_cast<void>(where);
#if defined(COREMAX_HAVE_AVX512)
  const char* fault = test::emulated_amx_fault();
  CHECK_AT(where + ": " + (fault == nullptr ? "" : fault), fault == nullptr);
#endif
}

// ---- Rows ----------------------------------------------------------------------------------------------------------------

struct Matrix {
  std::int64_t n;
  std::int64_t d;
  std::vector<float> values;

  Matrix(std::int64_t rows, std::int64_t columns) : n(rows), d(columns), values(static_cast<std::size_t>(rows * columns)) {}
  float& at(std::int64_t i, std::int64_t c) { return values[static_cast<std::size_t>(i * d + c)]; }
  MatrixView view() const { return {values.data(), DType::float32, n, d, d}; }
};

using Random = std::mt19937;
float normal(Random& random) { return std::normal_distribution<float>()(random); }
int whole(Random& random, int below) { return static_cast<int>(random() % static_cast<unsigned>(below)); }

struct Kind {
  const char* name;
  std::function<void(Matrix&, Random&)> fill;
};

void fill_normal(Matrix& x, Random& random) {
  for (float& value : x.values) value = normal(random);
}

// Whole and a half steps of the largest element, and the floats next to it.
void fill_edges(Matrix& x, Random& random, float levels) {
  for (float& value : x.values) {
    value = (static_cast<float>(whole(random, 253) - 126) + 0.5f) / levels;
    const int side = whole(random, 3);
    if (side != 0) value = std::nextafter(value, side == 1 ? 2.0f : -2.0f);
  }
  for (std::int64_t i = 0; i < x.n; ++i) x.at(i, whole(random, static_cast<int>(x.d))) = 1;
}

// Residuals in the direction of the other row: Cauchy-Schwarz at its limit. Every other row is of equal elements.
void fill_aligned(Matrix& x, Random& random) {
  for (std::int64_t i = 0; i < x.n; ++i) {
    const bool up = i % 4 == 1;
    for (std::int64_t c = 0; c < x.d; ++c)
      x.at(i, c) = i % 2 == 0 ? 127.0f : static_cast<float>(60 + whole(random, 60)) + (up ? 0.51f : 0.49f);
    x.at(i, 0) = 127;
    if (i % 8 >= 4)
      for (std::int64_t c = 0; c < x.d; ++c) x.at(i, c) = -x.at(i, c);
  }
}

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> list = {
      {"normal", fill_normal},
      {"edges of int8", [](Matrix& x, Random& random) { fill_edges(x, random, 127); }},
      {"edges of int16", [](Matrix& x, Random& random) { fill_edges(x, random, 32767); }},
      {"aligned residuals", fill_aligned},
      {"edges of bfloat16",
       [](Matrix& x, Random& random) {
         for (float& value : x.values)
           value = (1 + (static_cast<float>(whole(random, 128)) + 0.5f) / 128) *
                   std::ldexp(random() % 2 == 0 ? 1.0f : -1.0f, whole(random, 8));
       }},
      {"scales by row",
       [](Matrix& x, Random& random) {
         fill_normal(x, random);
         for (std::int64_t i = 0; i < x.n; ++i) {
           const int exponent = whole(random, 60) - 30;
           for (std::int64_t c = 0; c < x.d; ++c) x.at(i, c) = std::ldexp(x.at(i, c), exponent);
         }
       }},
      {"scales by element",
       [](Matrix& x, Random& random) {
         for (float& value : x.values) value = std::ldexp(normal(random), whole(random, 40) - 20);
       }},
      {"far off",
       [](Matrix& x, Random& random) {
         std::vector<float> centre(static_cast<std::size_t>(x.d));
         for (float& value : centre) value = 1000 * normal(random);
         for (std::size_t at = 0; at < x.values.size(); ++at) x.values[at] = centre[at % centre.size()] + normal(random);
       }},
      {"one giant",
       [](Matrix& x, Random& random) {
         fill_normal(x, random);
         for (std::int64_t c = 0; c < x.d; ++c) x.at(x.n / 2, c) *= 1e6f;
       }},
      {"denormal",
       [](Matrix& x, Random& random) {
         for (std::int64_t i = 0; i < x.n; ++i)
           for (std::int64_t c = 0; c < x.d; ++c)
             x.at(i, c) = normal(random) * (i % 3 == 0 || random() % 3 == 0 ? 1e-40f : 1.0f);
         for (std::int64_t i = 0; i < x.n; ++i) x.at(i, 0) = i % 3 == 0 ? 1e-39f : 1.0f;
       }},
      {"all equal", [](Matrix& x, Random&) { std::fill(x.values.begin(), x.values.end(), 0.3f); }},
      {"one-hot",
       [](Matrix& x, Random& random) {
         for (std::int64_t i = 0; i < x.n; ++i)
           x.at(i, whole(random, static_cast<int>(x.d))) = 1 + static_cast<float>(whole(random, 3));
       }},
  };
  return list;
}

// ---- The packer ------------------------------------------------------------------------------------------------------------

constexpr std::int64_t kRows = 61;  // three groups and a part of a fourth, filled up

std::vector<std::uint32_t> first_numbers(std::int64_t n) {
  std::vector<std::uint32_t> rows(static_cast<std::size_t>(n));
  std::iota(rows.begin(), rows.end(), 0u);
  return rows;
}

// Rows packed, and their scores by three ways: in low precision, canonically and in double precision.
class Packed {
 public:
  Packed(const Matrix& x, Metric metric, const Filter& filter)
      : metric_(metric),
        filter_(filter),
        pool_(1),
        source_(x.view(), nullptr, x.n, metric, pool_),
        packer_(source_, metric, filter),
        layout_(Layout::in_order(first_numbers(x.n), 32)),
        packed_(packer_, layout_, pool_),
        n_(layout_.n_positions()),
        width_(source_.padded_columns()),
        staged_(n_ * width_),
        products_(static_cast<std::size_t>(n_ * n_)) {
    source_.stage(0, x.n, n_, staged_.data());
    for (std::int64_t p = 0; p < n_; p += kMostFilterRowGroups * kGroupRows) {
      const std::int64_t count = std::min(kMostFilterRowGroups * kGroupRows, n_ - p);
      filter.products(packed_.side(p, count, nullptr), packed_.side(0, n_, nullptr), packed_.n_words(),
                      products_.data() + p * n_, n_);
    }
  }

  float product(std::int64_t p, std::int64_t q) const { return products_[static_cast<std::size_t>(p * n_ + q)]; }
  float canonical(std::int64_t p, std::int64_t q) const {
    const ScoreKernels& kernels = metric_ == Metric::euclidean ? kScalarScores.negated_distance : kScalarScores.dot;
    float score = 0;
    kernels.row(staged_.data() + p * width_, staged_.data() + q * width_, 1, width_, &score);
    return score;
  }
  double in_double(std::int64_t p, std::int64_t q) const {
    double sum = 0;
    for (std::int64_t c = 0; c < width_; ++c) {
      const auto a = static_cast<double>(staged_.data()[p * width_ + c]);
      const auto b = static_cast<double>(staged_.data()[q * width_ + c]);
      sum += metric_ == Metric::euclidean ? -(a - b) * (a - b) : a * b;
    }
    return sum;
  }
  double low_precision(std::int64_t p, std::int64_t q) const {
    return static_cast<double>(product(p, q)) + static_cast<double>(packed_.shift(p)) + static_cast<double>(packed_.shift(q));
  }
  double bound(std::int64_t p, std::int64_t q) const {
    return static_cast<double>(error_bound(packed_.terms(p), packed_.terms(q)));
  }
  const PackedRows& rows() const { return packed_; }
  const Layout& layout() const { return layout_; }
  const Packer& packer() const { return packer_; }

 private:
  const Metric metric_;
  const Filter& filter_;
  ThreadPool pool_;
  const ScaledRows source_;
  const Packer packer_;
  const Layout layout_;
  const PackedRows packed_;
  const std::int64_t n_;
  const std::int64_t width_;
  AlignedBuffer<float> staged_;
  std::vector<float> products_;
};

// Checks all pairs; returns the largest share of its bound that an error takes up.
double check_bound(const std::string& where, const Packed& rows, std::int64_t n) {
  double largest_share = 0;
  std::int64_t wrong = 0;
  for (std::int64_t p = 0; p < n; ++p)
    for (std::int64_t q = 0; q < n; ++q) {
      const double bound = rows.bound(p, q);
      const auto score = static_cast<double>(rows.canonical(p, q));
      const double error = std::fabs(rows.low_precision(p, q) - score);
      // As the search has it: a float sum of product and one shift against the score without the other.
      const double in_steps =
          static_cast<double>(rows.product(p, q) + rows.rows().shift(q)) - (score - static_cast<double>(rows.rows().shift(p)));
      const double in_double = std::fabs(rows.low_precision(p, q) - rows.in_double(p, q));
      if (!(std::isfinite(bound) && error <= bound && std::fabs(in_steps) <= bound && in_double <= bound)) ++wrong;
      largest_share = std::max(largest_share, error / bound);
    }
  CHECK_AT(where + ": " + std::to_string(wrong) + " errors beyond their bound", wrong == 0);
  return largest_share;
}

// The terms of a block are at least those of its rows; filling passes no comparison and has no terms.
void check_blocks(const std::string& where, const Packed& rows) {
  for (std::size_t b = 0; b < rows.layout().blocks.size(); ++b) {
    const Layout::Block& block = rows.layout().blocks[b];
    const ErrorTerms& most = rows.rows().block_terms(static_cast<std::int64_t>(b));
    for (std::int64_t p = block.first; p < block.first + block.n_positions(); ++p) {
      const ErrorTerms& terms = rows.rows().terms(p);
      CHECK_AT(where, terms.residual <= most.residual && terms.norm <= most.norm && terms.slack <= most.slack);
      if (p >= block.first + block.n_rows) CHECK_AT(where, std::isnan(rows.rows().shift(p)) && terms.norm == 0);
    }
  }
}

TEST(no_error_exceeds_its_bound) {
  const std::vector<Candidate> list = filters_here();
  CHECK(list.empty() == (available_isas().size() == 1));
  for (const Candidate& candidate : list)
    for (const Kind& kind : kinds())
      for (const std::int64_t d : {1, 3, 16, 17, 64, 129, 300})
        for (const Metric metric : kMetrics) {
          Random random(static_cast<unsigned>(d));
          Matrix x(kRows, d);
          kind.fill(x, random);
          const Packed rows(x, metric, *candidate.filter);
          const std::string where = candidate.name + ", " + kind.name + ", " + name_of(metric) + ", d = " + std::to_string(d);
          check_bound(where, rows, kRows);
          check_blocks(where, rows);
        }
  check_no_fault("packing");
}

TEST(rows_of_zeros_have_a_bound_too) {
  for (const Candidate& candidate : filters_here())
    for (const Metric metric : {Metric::dot, Metric::euclidean})
      for (const bool all : {false, true}) {
        Random random(1);
        Matrix x(kRows, 20);
        if (!all) fill_normal(x, random);
        for (std::int64_t c = 0; c < 20; ++c) x.at(7, c) = 0;
        check_bound(candidate.name + " zeros", Packed(x, metric, *candidate.filter), kRows);
      }
  CHECK(true);
}

// A million columns: the norm limits the stored numbers, whose sums must fit into 32 bits.
TEST(sums_of_long_rows_do_not_overflow) {
  for (const Candidate& candidate : filters_here())
    for (const std::int64_t d : {140'000, 493'211}) {
      Matrix x(16, d);
      for (std::int64_t i = 0; i < x.n; ++i)
        for (std::int64_t c = 0; c < d; ++c)
          x.at(i, c) = (i % 2 == 0 ? 1.0f : -1.0f) * (c % 977 == 0 && i % 4 >= 2 ? 1.01f : 1.0f);
      check_bound(candidate.name + ", d = " + std::to_string(d), Packed(x, Metric::dot, *candidate.filter), x.n);
    }
  check_no_fault("long rows");
  CHECK(true);
}

// Rows that are stored without loss, so that all the error is that of sums. The first element is large: in its lane every
// further product is rounded to the same side, and 256 of them add up to a hundred units in the last place. (Sums of int8 are
// exact in float32, too.)
TEST(rounding_of_sums_is_in_the_bound) {
  constexpr std::int64_t kColumns = 4096;
  for (const Candidate& candidate : filters_here()) {
    const Code code = candidate.filter->code;
    if (code == Code::int8) continue;
    Matrix x(32, kColumns);
    for (std::int64_t i = 0; i < x.n; ++i) {
      std::fill_n(x.values.begin() + i * kColumns, kColumns,
                  static_cast<float>(160 + 2 * i));  // 8 digits, as bfloat16 has them
      x.at(i, 0) = code == Code::int16 ? 32767.0f : 32512.0f;
    }
    const Packed rows(x, Metric::dot, *candidate.filter);
    const double share = check_bound(candidate.name, rows, x.n);
    if (code == Code::int16) CHECK_AT(candidate.name + ": " + std::to_string(share), share > 0.3);
    double largest = 0;  // in units of 2^-24
    for (std::int64_t p = 0; p < x.n; ++p)
      for (std::int64_t q = 0; q < x.n; ++q)
        largest = std::max(largest, std::fabs(static_cast<double>(rows.canonical(p, q)) / rows.in_double(p, q) - 1) * 0x1p24);
    CHECK_AT(candidate.name + ": " + std::to_string(largest), largest > 100);
  }
  check_no_fault("sums");
  CHECK(true);
}

double largest_bound(const Packed& rows, std::int64_t n) {
  double largest = 0;
  for (std::int64_t p = 0; p < n; ++p)
    for (std::int64_t q = 0; q < n; ++q) largest = std::max(largest, rows.bound(p, q));
  return largest;
}

// A bound that is too large is safe and useless. Rounding to s = max / 127 leaves a residual of norm s sqrt(d / 12) in each of
// two unit rows; max is about 3 / sqrt(d) here, so 2 * 3 / 127 / sqrt(12) = 0.014. 2^15 levels: limited by the norm, 2 sqrt(d /
// 12) / 46000. bfloat16: 2^-9 of each element at most, less than 2^-8 for two rows, and its sums' rounding, 2 d u.
TEST(bounds_are_not_loose) {
  for (const Candidate& candidate : filters_here()) {
    Random random(2);
    Matrix x(kRows, 128);
    fill_normal(x, random);
    const double largest = largest_bound(Packed(x, Metric::cosine, *candidate.filter), kRows);
    const Code code = candidate.filter->code;
    const double limit = code == Code::int8 ? 0.03 : code == Code::int16 ? 0.0003 : 0.006;
    CHECK_AT(candidate.name + ": " + std::to_string(largest), largest < limit);
  }
  CHECK(true);
}

// The tests of the bound can fail: with these rows an error takes up nearly all of it. The rows' opposites make their mean
// zero.
TEST(bounds_are_nearly_reached) {
  for (const Candidate& candidate : filters_here()) {
    if (candidate.filter->code != Code::int8) continue;
    for (const Metric metric : kMetrics) {
      Random random(3);
      Matrix half(32, 64);
      fill_aligned(half, random);
      Matrix x(64, 64);
      std::copy(half.values.begin(), half.values.end(), x.values.begin());
      std::transform(half.values.begin(), half.values.end(), x.values.begin() + 32 * 64, [](float value) { return -value; });
      const double share = check_bound(candidate.name, Packed(x, metric, *candidate.filter), x.n);
      CHECK_AT(candidate.name + ", " + name_of(metric) + ": " + std::to_string(share), share > 0.9);
    }
  }
  CHECK(true);
}

TEST(cosines_far_off_the_origin_are_shifted) {
  // Cosines of rows far off the origin are all nearly 1: without the shift the bound would be that of unit rows.
  for (const Candidate& candidate : filters_here()) {
    Random random(4);
    Matrix x(kRows, 64);
    for (float& value : x.values) value = 10 + normal(random);
    const Packed rows(x, Metric::cosine, *candidate.filter);
    Matrix centred = x;
    for (float& value : centred.values) value -= 10;
    CHECK_AT(candidate.name, rows.packer().shifted());
    CHECK_AT(candidate.name, largest_bound(rows, kRows) <
                                 0.2 * largest_bound(Packed(centred, Metric::cosine, *candidate.filter), kRows) + 1e-4);
  }
  CHECK(true);
}

// ---- The schedule ----------------------------------------------------------------------------------------------------------

std::vector<PairSchedule::Pair> all_pairs(std::uint32_t n_blocks) {
  std::vector<PairSchedule::Pair> pairs;
  for (std::uint32_t a = 0; a < n_blocks; ++a)
    for (std::uint32_t b = a; b < n_blocks; ++b) pairs.emplace_back(a, b);
  return pairs;
}

void run_threads(int count, const std::function<void()>& body) {
  std::vector<std::thread> threads;
  for (int t = 0; t < count; ++t) threads.emplace_back(body);
  for (std::thread& thread : threads) thread.join();
}

TEST(every_pair_is_handed_out_once_and_no_block_to_two) {
  constexpr std::uint32_t kBlocks = 9;
  for (const unsigned seed : {0u, 1u, 2u, 3u})
    for (const int n_threads : {1, 2, 3, 7}) {
      std::vector<PairSchedule::Pair> pairs = all_pairs(kBlocks);
      Random random(seed);
      if (seed > 0) std::shuffle(pairs.begin(), pairs.end(), random);
      PairSchedule schedule(pairs, kBlocks);
      std::atomic<int> holders[kBlocks] = {};
      std::atomic<int> times[kBlocks][kBlocks] = {};
      std::atomic<int> n_clashes = 0;
      run_threads(n_threads, [&] {
        while (const auto pair = schedule.take([] {})) {
          const auto [a, b] = *pair;
          ++times[a][b];
          if (++holders[a] != 1) ++n_clashes;
          if (a != b && ++holders[b] != 1) ++n_clashes;
          for (int turn = 0; turn < 20; ++turn) std::this_thread::yield();
          --holders[a];
          if (a != b) --holders[b];
          schedule.give_back(*pair);
        }
      });
      CHECK(n_clashes == 0);
      for (std::uint32_t a = 0; a < kBlocks; ++a)
        for (std::uint32_t b = 0; b < kBlocks; ++b) CHECK(times[a][b] == (a <= b ? 1 : 0));
      CHECK(schedule.done() == schedule.size() && schedule.size() == static_cast<std::int64_t>(pairs.size()));
      CHECK(!schedule.take([] {}).has_value());
    }
}

TEST(pairs_come_in_order_where_blocks_are_free) {
  PairSchedule schedule({{0, 0}, {0, 1}, {1, 2}, {3, 3}}, 4);
  const auto none = [] {};
  CHECK(schedule.take(none) == PairSchedule::Pair(0, 0));
  CHECK(schedule.take(none) == PairSchedule::Pair(1, 2));  // block 0 is in use
  CHECK(schedule.take(none) == PairSchedule::Pair(3, 3));
  CHECK(schedule.done() == 0);
  schedule.give_back({0, 0});
  schedule.give_back({1, 2});
  CHECK(schedule.done() == 2);
  CHECK(schedule.take(none) == PairSchedule::Pair(0, 1));
  CHECK(!schedule.take(none).has_value());
  CHECK(!PairSchedule({}, 0).take(none).has_value());
}

TEST(waiters_are_let_go) {
  // By a pair that is given back.
  PairSchedule schedule({{0, 0}, {0, 1}}, 2);
  const auto held = schedule.take([] {});
  std::atomic<int> n_idle = 0;
  std::thread waiter([&] { CHECK(schedule.take([&] { ++n_idle; }) == PairSchedule::Pair(0, 1)); });
  while (n_idle < 2) std::this_thread::yield();
  schedule.give_back(*held);
  waiter.join();
  // By an abandoned schedule: nothing from then on, even what is free.
  PairSchedule abandoned({{0, 0}, {0, 1}, {1, 1}}, 2);
  CHECK(abandoned.take([] {}).has_value());
  CHECK(abandoned.take([] {}) == PairSchedule::Pair(1, 1));
  n_idle = 0;
  std::thread other([&] { CHECK(!abandoned.take([&] { ++n_idle; }).has_value()); });
  while (n_idle < 1) std::this_thread::yield();
  abandoned.abandon();
  other.join();
  abandoned.give_back({0, 0});
  abandoned.give_back({1, 1});
  CHECK(!abandoned.take([] {}).has_value());
}

TEST(what_idle_throws_leaves_take) {
  PairSchedule schedule({{0, 0}, {0, 1}}, 2);
  const auto held = schedule.take([] {});
  CHECK_THROWS(std::runtime_error, "stop", schedule.take([] { throw std::runtime_error("stop"); }));
  schedule.give_back(*held);  // would wait for ever if the lock were still held
  CHECK(schedule.take([] {}) == PairSchedule::Pair(0, 1));
}

// ---- Layouts and partitions
// --------------------------------------------------------------------------------------------------

// Every row once, blocks one behind the other at multiples of a group, filled up at the end only.
void check_layout(const std::string& where, const Layout& layout, std::int64_t n, std::int64_t most_rows) {
  std::vector<int> times(static_cast<std::size_t>(n), 0);
  std::int64_t next = 0;
  for (const Layout::Block& block : layout.blocks) {
    CHECK_AT(where, block.first == next && block.first % kGroupRows == 0);
    CHECK_AT(where, block.n_rows >= 1 && block.n_rows <= most_rows && block.n_positions() % kGroupRows == 0);
    next = block.first + block.n_positions();
    for (std::int64_t p = block.first; p < next; ++p) {
      const std::uint32_t row = layout.row_at[static_cast<std::size_t>(p)];
      const bool filling = p >= block.first + block.n_rows;
      CHECK_AT(where, filling ? row == Layout::kNoRow : row < n);
      if (row < n) ++times[row];
    }
  }
  CHECK_AT(where, next == layout.n_positions());
  CHECK_AT(where, std::all_of(times.begin(), times.end(), [](int count) { return count == 1; }));
}

TEST(layouts_in_order) {
  for (const std::int64_t n : {1, 15, 16, 17, 95, 96, 97, 1008, 1009})
    for (const std::int64_t block_rows : {16, 96, 1008}) {
      const Layout layout = Layout::in_order(first_numbers(n), block_rows);
      check_layout(std::to_string(n) + " rows in blocks of " + std::to_string(block_rows), layout, n, block_rows);
      CHECK(static_cast<std::int64_t>(layout.blocks.size()) == (n + block_rows - 1) / block_rows);
      CHECK(layout.row_at[static_cast<std::size_t>(n - 1)] == n - 1);
    }
}

// Gaussian clusters; with `distinct` below n, rows repeat, so that most centres are alike and their groups empty.
Matrix clusters(std::int64_t n, std::int64_t d, int n_clusters, int distinct, unsigned seed) {
  Random random(seed);
  std::vector<std::vector<float>> rows;
  for (int r = 0; r < distinct; ++r) {
    Random centre(static_cast<unsigned>(whole(random, n_clusters)));
    std::vector<float> row;
    for (std::int64_t c = 0; c < d; ++c) row.push_back(normal(centre) + 0.3f * normal(random));
    rows.push_back(row);
  }
  Matrix x(n, d);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto& row = rows[static_cast<std::size_t>(distinct < n ? whole(random, distinct) : static_cast<int>(i))];
    std::copy(row.begin(), row.end(), x.values.begin() + i * d);
  }
  return x;
}

bool same_partition(const Partition& a, const Partition& b) {
  return a.nearest == b.nearest && a.closeness.size() == b.closeness.size() &&
         std::memcmp(a.closeness.data(), b.closeness.data(), a.closeness.size() * sizeof(float)) == 0;
}

void check_groups(const std::string& where, const Partition& groups, std::int64_t n) {
  for (const std::int64_t block_rows : {16, 96, 1008}) {
    check_layout(where, groups.in_blocks(block_rows), n, block_rows);
    std::vector<std::uint32_t> centre_of_block;
    const Layout layout = groups.in_groups(block_rows, centre_of_block);
    check_layout(where, layout, n, block_rows);
    CHECK_AT(where, centre_of_block.size() == layout.blocks.size());
    CHECK_AT(where, std::is_sorted(centre_of_block.begin(), centre_of_block.end()));
    for (std::size_t b = 0; b < layout.blocks.size(); ++b) {
      const Layout::Block& block = layout.blocks[b];
      for (std::int64_t p = block.first; p < block.first + block.n_rows; ++p) {
        const std::size_t row = layout.row_at[static_cast<std::size_t>(p)];
        CHECK_AT(where, groups.nearest[row * static_cast<std::size_t>(groups.n_nearest)] == centre_of_block[b]);
        if (p > block.first)
          CHECK_AT(where, groups.closeness[layout.row_at[static_cast<std::size_t>(p - 1)]] >= groups.closeness[row]);
      }
    }
  }
  // The nearest centres of a row are different ones.
  for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
    const auto* begin = groups.nearest.data() + i * static_cast<std::size_t>(groups.n_nearest);
    CHECK_AT(where,
             std::set<std::uint16_t>(begin, begin + groups.n_nearest).size() == static_cast<std::size_t>(groups.n_nearest));
    CHECK_AT(where, *std::max_element(begin, begin + groups.n_nearest) < groups.n_centres);
  }
}

TEST(partitions) {
  constexpr std::int64_t kCount = 2111;
  for (const Metric metric : kMetrics)
    for (const int distinct : {static_cast<int>(kCount), 9})
      for (const std::int64_t iterations : {0, 3}) {
        const Matrix x = clusters(kCount, 11, 25, distinct, 5);
        const std::string where = std::string(name_of(metric)) + ", " + std::to_string(distinct) + " distinct rows";
        std::unique_ptr<Partition> first;
        for (const Candidate& candidate : filters_here()) {
          if (candidate.filter->code == Code::bfloat16) continue;
          const bool emulated = candidate.name.starts_with("emulated");  // its tiles are everybody's
          for (const int threads : {1, emulated ? 1 : 3}) {
            ThreadPool pool(threads);
            const ScaledRows source(x.view(), nullptr, x.n, metric, pool);
            const Partition groups = partition(source, metric, kScalarScores, *candidate.filter, pool, {37, 5, iterations, 1});
            if (first == nullptr) {
              check_groups(where, groups, x.n);
              first = std::make_unique<Partition>(groups);
            }
            CHECK_AT(where + ", " + candidate.name, same_partition(groups, *first));
          }
        }
      }
  CHECK(true);
  check_no_fault("partitions");
}

// A row that is a centre is in its own group, and a row of a tight cluster with its like.
TEST(near_rows_share_a_group) {
  for (const Candidate& candidate : filters_here()) {
    if (candidate.filter->code == Code::bfloat16) continue;
    Matrix x(640, 24);
    for (std::int64_t i = 0; i < x.n; ++i) {
      Random centre(static_cast<unsigned>(i * 16 / x.n));
      Random random(static_cast<unsigned>(1000 + i));
      for (std::int64_t c = 0; c < x.d; ++c) x.at(i, c) = normal(centre) + 0.01f * normal(random);
    }
    ThreadPool pool(1);
    for (const Metric metric : {Metric::cosine, Metric::euclidean}) {
      const ScaledRows source(x.view(), nullptr, x.n, metric, pool);
      const Partition groups = partition(source, metric, kScalarScores, *candidate.filter, pool, {16, 1, 2, 0});
      for (std::int64_t i = 0; i < x.n; ++i)
        CHECK_AT(candidate.name, groups.nearest[static_cast<std::size_t>(i)] == i * 16 / x.n);
    }
  }
  CHECK(true);
}

// ---- Candidate lists
// -----------------------------------------------------------------------------------------------------------

// One list for each row, offered all other rows in some order, by low-precision value or by canonical score.
class ListTrial {
 public:
  ListTrial(const Matrix& x, Metric metric, const Filter& filter)
      : x_(x),
        metric_(metric),
        pool_(1),
        source_(x.view(), nullptr, x.n, metric, pool_),
        packed_(x, metric, filter),
        rescorer_(source_, (metric == Metric::euclidean ? kScalarScores.negated_distance : kScalarScores.dot).row,
                  ceiling_of(metric)) {}

  // How many of 4 offers come as scores; 4 means all.
  void run(const std::string& where, std::int64_t k, std::int64_t capacity, unsigned n_scores, Random& random) {
    CandidateLists lists(packed_.rows(), packed_.layout(), k, capacity);
    CandidateLists::Scratch scratch;
    for (std::int64_t p = 0; p < x_.n; ++p) {
      std::vector<std::uint32_t> order = first_numbers(x_.n);
      order.erase(order.begin() + p);
      std::shuffle(order.begin(), order.end(), random);
      float threshold = lists.threshold(p);
      bool rises = true;
      for (const std::uint32_t row : order) {
        if (random() % 4 < n_scores)
          lists.append_score(p, score(p, row), row, packed_.rows().terms(p).slack, rescorer_, scratch);
        else
          offer(lists, p, row, scratch);
        rises = rises && lists.threshold(p) >= threshold;
        threshold = lists.threshold(p);
      }
      CHECK_AT(where, rises);
      lists.prepare(p, rescorer_);
      lists.finish(p, rescorer_, scratch);
      std::vector<Found> expected;
      for (const std::uint32_t row : order) expected.push_back({score(p, row), static_cast<std::int64_t>(row)});
      std::sort(expected.begin(), expected.end(), better);
      expected.resize(static_cast<std::size_t>(k));
      const bool right = std::equal(expected.begin(), expected.end(), scratch.found.begin(), scratch.found.end(),
                                    [](const Found& a, const Found& b) { return a.score == b.score && a.row == b.row; });
      CHECK_AT(where + ", row " + std::to_string(p), right);
      // No threshold is above the k-th best score.
      const double kth = static_cast<double>(expected.back().score) - static_cast<double>(packed_.rows().shift(p));
      CHECK_AT(where, static_cast<double>(threshold) <= kth + 1e-6 * std::fabs(kth));
    }
  }

 private:
  float score(std::int64_t p, std::int64_t row) const {
    return std::clamp(packed_.canonical(p, row), -ceiling_of(metric_), ceiling_of(metric_));
  }
  void offer(CandidateLists& lists, std::int64_t p, std::uint32_t row, CandidateLists::Scratch& scratch) {
    const auto error = static_cast<float>(packed_.bound(p, row));
    const float value = packed_.product(p, row) + packed_.rows().shift(row);
    const float limit = lists.threshold(p) - error;
    if (value >= limit - std::fabs(limit) * 0x1p-21f) lists.append(p, value, row, error, rescorer_, scratch);
  }

  const Matrix& x_;
  const Metric metric_;
  ThreadPool pool_;
  const ScaledRows source_;
  const Packed packed_;
  Rescorer rescorer_;
};

TEST(lists_keep_the_best_of_what_they_are_offered) {
  for (const Candidate& candidate : filters_here())
    for (const char* kind : {"normal", "clusters", "duplicates", "far off"})
      for (const Metric metric : kMetrics) {
        Random random(6);
        Matrix x = clusters(90, 18, 3, kind[0] == 'd' ? 8 : 90, 7);
        if (kind[0] == 'n') fill_normal(x, random);
        if (kind[0] == 'f')
          for (float& value : x.values) value = 100 + 1e-3f * normal(random);
        ListTrial trial(x, metric, *candidate.filter);
        for (const std::int64_t k : {1, 5, 16, 40}) {
          const std::string where = candidate.name + ", " + kind + ", " + name_of(metric) + ", k = " + std::to_string(k);
          for (const unsigned n_scores : {0u, 1u, 4u})
            for (const std::int64_t capacity : {CandidateLists::smallest_capacity(k), 4 * k + 64})
              trial.run(where, k, capacity, n_scores, random);
        }
      }
  CHECK(true);
}

TEST(lists_that_are_offered_too_little_say_so) {
  for (const Candidate& candidate : filters_here()) {
    Random random(8);
    Matrix x(40, 8);
    fill_normal(x, random);
    ThreadPool pool(1);
    const ScaledRows source(x.view(), nullptr, x.n, Metric::dot, pool);
    const Packed packed(x, Metric::dot, *candidate.filter);
    Rescorer rescorer(source, kScalarScores.dot.row, ceiling_of(Metric::dot));
    CandidateLists lists(packed.rows(), packed.layout(), 5, 20);
    CandidateLists::Scratch scratch;
    for (const std::uint32_t row : {9u, 30u, 4u}) lists.append(2, packed.product(2, row), row, 1.0f, rescorer, scratch);
    for (const std::int64_t p : {2, 3}) {
      lists.prepare(p, rescorer);
      lists.finish(p, rescorer, scratch);
      CHECK_AT(candidate.name, scratch.found.size() == (p == 2 ? 3u : 0u));
      CHECK_AT(candidate.name, std::is_sorted(scratch.found.begin(), scratch.found.end(), better));
    }
  }
  CHECK(true);
}

// ---- The search over every filter
// --------------------------------------------------------------------------------------------

struct Answer {
  std::vector<std::int64_t> neighbors;
  std::vector<float> similarities;

  Answer(std::int64_t n, std::int64_t k) : neighbors(static_cast<std::size_t>(n * k), -7), similarities(neighbors.size(), -7) {}
  Output output(std::int64_t k) { return {k, neighbors.data(), similarities.data()}; }
  bool same_bits(const Answer& other) const {
    return neighbors == other.neighbors &&
           std::memcmp(similarities.data(), other.similarities.data(), similarities.size() * sizeof(float)) == 0;
  }
};

void check_search(const std::string& name, const Matrix& x, std::int64_t k, const Filters& filters, int threads,
                  const std::vector<Metric>& metrics = {std::begin(kMetrics), std::end(kMetrics)}) {
  for (const Metric metric : metrics) {
    ThreadPool pool(threads);
    const ScaledRows source(x.view(), nullptr, x.n, metric, pool);
    Answer expected(x.n, k);
    direct_topk(source, metric, scores_of(available_isas().back()), pool, expected.output(k));
    for (const Search how : {Search::coarse, Search::fine}) {
      Answer found(x.n, k);
      filtered_topk(source, metric, kScalarScores, filters, how, pool, found.output(k));
      CHECK_AT(name + ", " + name_of(metric) + ", " + (how == Search::coarse ? "coarse" : "fine"), found.same_bits(expected));
    }
  }
}

// The scalar level's scores decide here, so only the filters differ.
TEST(the_search_is_exact_over_every_filter) {
  const auto check = [&](const std::string& level, const Filters& filters, int threads) {
    if (filters.coarse == nullptr) return;
    for (const Kind& kind : kinds()) {
      Random random(9);
      Matrix x(300, 35);
      kind.fill(x, random);
      check_search(level + ", " + kind.name, x, 7, filters, threads);
    }
    check_search(level + ", clusters", clusters(1100, 20, 12, 1100, 10), 12, filters, threads);
    check_search(level + ", duplicates", clusters(700, 20, 12, 30, 11), 12, filters, threads);
  };
  for (const Isa isa : available_isas()) check(isa_name(isa), filters_of(isa), 3);
#if defined(COREMAX_HAVE_AVX512)
  if (have_avx512()) check("emulated amx", kEmulatedAmxFilters, 1);
  check_no_fault("search");
#endif
  CHECK(true);
}

// From 8192 rows on: an order of rows, and thresholds that start from a hope.
TEST(the_search_is_exact_over_emulated_amx_with_many_rows) {
#if defined(COREMAX_HAVE_AVX512)
  if (have_avx512()) {
    Matrix x = clusters(8200, 6, 40, 8200, 12);
    for (std::int64_t i = 65; i < x.n; i += 200)  // rows that a sample does not tell of
      for (std::int64_t c = 0; c < x.d; ++c) x.at(i, c) *= -7;
    check_search("emulated amx", x, 6, kEmulatedAmxFilters, 1, {Metric::dot});
    check_no_fault("search of many rows");
  }
#endif
  CHECK(true);
}

TEST(all_pairs_of_blocks_are_visited) {
  for (const Candidate& candidate : filters_here()) {
    const Matrix x = clusters(200, 4, 3, 200, 13);
    ThreadPool pool(1);
    const ScaledRows source(x.view(), nullptr, x.n, Metric::dot, pool);
    const Packer packer(source, Metric::dot, *candidate.filter);
    const SearchSetup setup{source, Metric::dot, kScalarScores, *candidate.filter, packer, pool};
    const FilteredSearch search(setup, Layout::in_order(first_numbers(x.n), 16), 3);
    std::multiset<PairSchedule::Pair> seen;
    for (const auto& [a, b] : search.all_pairs()) seen.emplace(std::min(a, b), std::max(a, b));
    const std::vector<PairSchedule::Pair> wanted = all_pairs(13);
    CHECK(std::equal(seen.begin(), seen.end(), wanted.begin(), wanted.end()));
  }
  CHECK(true);
}

}  // namespace
