// The graph against plain double-precision oracles, on integer-valued data where equality can be exact.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "check.h"
#include "core/control.h"
#include "core/errors.h"
#include "graph/graph.h"

namespace {

using namespace coremax;
using graph::Metric;

constexpr Metric kMetrics[] = {Metric::cosine, Metric::dot, Metric::euclidean};
constexpr double kCosineTolerance = 2e-6;

struct Matrix {
  std::int64_t n = 0;
  std::int64_t d = 0;
  std::vector<float> values;
  double at(std::int64_t i, std::int64_t c) const { return static_cast<double>(values[static_cast<std::size_t>(i * d + c)]); }
  MatrixView view() const { return {values.data(), DType::float32, n, d, d}; }
};

// Small integers, no row all zeros; duplicates and ties are frequent where d is small.
Matrix integers(std::int64_t n, std::int64_t d, unsigned seed) {
  std::mt19937 random(seed);
  Matrix x{n, d, std::vector<float>(static_cast<std::size_t>(n * d))};
  for (float& value : x.values) value = static_cast<float>(static_cast<int>(random() % 9) - 4);
  for (std::int64_t i = 0; i < n; ++i) {
    float& first = x.values[static_cast<std::size_t>(i * d)];
    if (first == 0) first = 1;
  }
  return x;
}

struct Neighbors {
  std::vector<std::int64_t> indices;
  std::vector<float> similarities;
  bool same_bits(const Neighbors& other) const {
    return indices == other.indices && similarities.size() == other.similarities.size() &&
           std::memcmp(similarities.data(), other.similarities.data(), similarities.size() * sizeof(float)) == 0;
  }
};

Neighbors topk(const MatrixView& x, std::int64_t k, Metric metric, Isa isa, int threads,
               const std::vector<std::int64_t>* rows = nullptr) {
  const std::int64_t n = rows != nullptr ? static_cast<std::int64_t>(rows->size()) : x.n_rows;
  Neighbors result;
  if (k > 0 && k < n) {
    result.indices.assign(static_cast<std::size_t>(n * k), -7);
    result.similarities.assign(static_cast<std::size_t>(n * k), -7);
  }
  ThreadPool pool(threads);
  graph::topk(x, rows != nullptr ? rows->data() : nullptr, n, k, metric, isa, graph::Search::automatic, pool,
              result.indices.data(), result.similarities.data());
  return result;
}

double similarity(const Matrix& x, std::int64_t i, std::int64_t j, Metric metric) {
  double dot = 0, ii = 0, jj = 0, distance = 0;
  for (std::int64_t c = 0; c < x.d; ++c) {
    dot += x.at(i, c) * x.at(j, c);
    ii += x.at(i, c) * x.at(i, c);
    jj += x.at(j, c) * x.at(j, c);
    distance += (x.at(i, c) - x.at(j, c)) * (x.at(i, c) - x.at(j, c));
  }
  if (metric == Metric::dot) return dot;
  if (metric == Metric::euclidean) return 1 / (1 + std::sqrt(distance));
  return dot / std::sqrt(ii * jj);
}

// All of row i's neighbours by the oracle, best first, ties to the lower number.
std::vector<std::int64_t> ranking(const std::vector<double>& scores, std::int64_t self) {
  std::vector<std::int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  order.erase(order.begin() + self);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  return order;
}

// Dot products and squared distances of small integers are exact in float32, so numbers, ties and similarities must be equal;
// a cosine may differ in its last bits, so there the similarities are compared, each with its neighbour and with its rank.
bool matches_oracle(const Matrix& x, std::int64_t k, Metric metric, const Neighbors& got) {
  std::vector<double> scores(static_cast<std::size_t>(x.n));
  for (std::int64_t i = 0; i < x.n; ++i) {
    for (std::int64_t j = 0; j < x.n; ++j) scores[static_cast<std::size_t>(j)] = similarity(x, i, j, metric);
    const auto order = ranking(scores, i);
    std::vector<bool> seen(scores.size(), false);
    float previous = std::numeric_limits<float>::infinity();
    for (std::int64_t j = 0; j < k; ++j) {
      const auto place = static_cast<std::size_t>(i * k + j);
      const std::int64_t neighbor = got.indices[place];
      const float value = got.similarities[place];
      if (neighbor < 0 || neighbor >= x.n || neighbor == i || seen[static_cast<std::size_t>(neighbor)]) return false;
      seen[static_cast<std::size_t>(neighbor)] = true;
      const double ranked = scores[static_cast<std::size_t>(order[static_cast<std::size_t>(j)])];
      if (metric == Metric::cosine) {
        if (std::abs(static_cast<double>(value) - ranked) > kCosineTolerance) return false;
        if (std::abs(static_cast<double>(value) - scores[static_cast<std::size_t>(neighbor)]) > kCosineTolerance) return false;
        if (value > previous || value > 1 || value < -1) return false;
        if (value == previous && neighbor < got.indices[place - 1]) return false;
        previous = value;
      } else if (neighbor != order[static_cast<std::size_t>(j)] || value != static_cast<float>(ranked)) {
        return false;
      }
    }
  }
  return true;
}

std::string name(std::int64_t n, std::int64_t d, std::int64_t k, Metric metric, Isa isa, int threads) {
  return "n " + std::to_string(n) + " d " + std::to_string(d) + " k " + std::to_string(k) + " metric " +
         std::to_string(static_cast<int>(metric)) + " isa " + isa_name(isa) + " threads " + std::to_string(threads);
}

// The scalar level on one thread against the oracle, and every other level and thread count against its bits.
void check_all(const Matrix& x, std::int64_t k, Metric metric) {
  const Neighbors first = topk(x.view(), k, metric, Isa::scalar, 1);
  CHECK_AT(name(x.n, x.d, k, metric, Isa::scalar, 1), matches_oracle(x, k, metric, first));
  for (const Isa isa : available_isas())
    for (const int threads : {1, 2, 3})
      CHECK_AT(name(x.n, x.d, k, metric, isa, threads), topk(x.view(), k, metric, isa, threads).same_bits(first));
}

TEST(topk_agrees_with_the_oracle_at_lane_edges) {
  for (const std::int64_t n : {2, 3, 15, 16, 17, 33, 65, 130})
    for (const std::int64_t d : {1, 2, 15, 16, 17, 31, 33, 65}) {
      const Matrix x = integers(n, d, static_cast<unsigned>(100 * n + d));
      for (const Metric metric : kMetrics)
        for (const std::int64_t k : {std::int64_t{1}, std::min<std::int64_t>(7, n - 1), n - 1})
          if (k == 1 || k != n - 1 || n <= 33) check_all(x, k, metric);
    }
}

TEST(topk_agrees_with_the_oracle_across_tiles) {
  // Several tiles and blocks; at d = 1 there are only nine distinct rows, so ties decide nearly everything.
  for (const Metric metric : kMetrics) {
    check_all(integers(521, 1, 1), 3, metric);
    check_all(integers(521, 4, 2), 90, metric);
    check_all(integers(70, 1100, 3), 5, metric);
  }
}

TEST(topk_with_all_rows_equal_takes_the_lowest_numbers) {
  const Matrix x{300, 2, std::vector<float>(600, 3.0f)};
  for (const Metric metric : kMetrics)
    for (const Isa isa : available_isas()) {
      const Neighbors got = topk(x.view(), 70, metric, isa, 2);
      bool good = true;
      for (std::int64_t i = 0; i < 300; ++i)
        for (std::int64_t j = 0; j < 70; ++j)
          good = good && got.indices[static_cast<std::size_t>(i * 70 + j)] == (j < i ? j : j + 1);
      CHECK_AT(isa_name(isa), good);
    }
}

TEST(topk_has_the_same_bits_on_every_level_for_any_floats) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  for (const std::int64_t d : {3, 16, 37, 100}) {
    Matrix x{150, d, std::vector<float>(static_cast<std::size_t>(150 * d))};
    for (float& value : x.values) value = normal(random) * std::ldexp(1.0f, static_cast<int>(random() % 20));
    for (const Metric metric : kMetrics) {
      const Neighbors first = topk(x.view(), 11, metric, Isa::scalar, 1);
      for (const Isa isa : available_isas())
        for (const int threads : {1, 2, 3})
          CHECK_AT(name(150, d, 11, metric, isa, threads), topk(x.view(), 11, metric, isa, threads).same_bits(first));
    }
  }
}

TEST(cosine_stays_within_its_range) {
  std::mt19937 random(6);
  std::normal_distribution<float> normal;
  Matrix x{400, 17, std::vector<float>(400 * 17)};
  for (std::int64_t i = 0; i < 200; ++i)
    for (std::int64_t c = 0; c < 17; ++c) {
      const float value = normal(random);
      x.values[static_cast<std::size_t>(i * 17 + c)] = value;
      x.values[static_cast<std::size_t>((i + 200) * 17 + c)] = i % 2 == 0 ? -value : 3 * value;  // opposite, or parallel
    }
  for (const Isa isa : available_isas()) {
    const Neighbors got = topk(x.view(), 399, Metric::cosine, isa, 2);
    const auto [low, high] = std::minmax_element(got.similarities.begin(), got.similarities.end());
    CHECK_AT(std::to_string(*low), *low == -1);
    CHECK_AT(std::to_string(*high), *high == 1);
  }
}

TEST(topk_of_a_subset_is_topk_of_its_rows) {
  const Matrix x = integers(90, 19, 11);
  std::vector<std::int64_t> rows(90);
  std::iota(rows.begin(), rows.end(), 0);
  std::shuffle(rows.begin(), rows.end(), std::mt19937(12));
  rows.resize(41);
  Matrix copy{41, 19, {}};
  for (const std::int64_t row : rows)
    copy.values.insert(copy.values.end(), x.values.begin() + row * 19, x.values.begin() + (row + 1) * 19);
  for (const Metric metric : kMetrics)
    for (const Isa isa : available_isas())
      for (const int threads : {1, 3})
        CHECK_AT(name(41, 19, 6, metric, isa, threads),
                 topk(x.view(), 6, metric, isa, threads, &rows).same_bits(topk(copy.view(), 6, metric, isa, threads)));
}

TEST(topk_reads_rows_at_any_stride) {
  const Matrix x = integers(37, 18, 13);
  Matrix reversed{37, 18, {}};
  std::vector<float> wide(37 * 25, std::numeric_limits<float>::quiet_NaN());
  for (std::int64_t i = 0; i < 37; ++i) {
    reversed.values.insert(reversed.values.end(), x.values.end() - (i + 1) * 18, x.values.end() - i * 18);
    std::copy_n(x.values.begin() + i * 18, 18, wide.begin() + i * 25);
  }
  for (const Metric metric : kMetrics) {
    const Neighbors expected = topk(x.view(), 5, metric, Isa::scalar, 1);
    CHECK(topk({reversed.values.data() + 36 * 18, DType::float32, 37, 18, -18}, 5, metric, Isa::scalar, 2).same_bits(expected));
    CHECK(topk({wide.data(), DType::float32, 37, 18, 25}, 5, metric, Isa::scalar, 2).same_bits(expected));
  }
  const Matrix one = integers(1, 18, 14);
  const Neighbors broadcast = topk({one.values.data(), DType::float32, 5, 18, 0}, 2, Metric::euclidean, Isa::scalar, 1);
  CHECK(broadcast.similarities == std::vector<float>(10, 1.0f));
}

// The half-precision bits of a finite number that half precision holds exactly.
std::uint16_t half_bits(double value) {
  const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::abs(value);
  if (magnitude < 0x1p-14) return static_cast<std::uint16_t>(sign | static_cast<std::uint16_t>(magnitude * 0x1p24));
  const int exponent = std::ilogb(magnitude);
  return static_cast<std::uint16_t>(sign | ((exponent + 15) << 10) |
                                    static_cast<int>((std::ldexp(magnitude, -exponent) - 1) * 1024));
}

std::uint16_t bfloat_bits(float value) { return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16); }

TEST(topk_takes_every_element_type) {
  const Matrix x = integers(45, 21, 17);
  const std::vector<double> doubles(x.values.begin(), x.values.end());
  std::vector<std::int8_t> bytes;
  std::vector<std::uint16_t> halves;
  std::vector<std::uint16_t> bfloats;
  for (const float value : x.values) {
    bytes.push_back(static_cast<std::int8_t>(value));
    halves.push_back(half_bits(static_cast<double>(value)));
    bfloats.push_back(bfloat_bits(value));
  }
  for (const Metric metric : kMetrics)
    for (const Isa isa : available_isas()) {
      const Neighbors expected = topk(x.view(), 9, metric, isa, 1);
      CHECK(topk({doubles.data(), DType::float64, 45, 21, 21}, 9, metric, isa, 2).same_bits(expected));
      CHECK(topk({bytes.data(), DType::int8, 45, 21, 21}, 9, metric, isa, 2).same_bits(expected));
      CHECK(topk({halves.data(), DType::float16, 45, 21, 21}, 9, metric, isa, 2).same_bits(expected));
      CHECK(topk({bfloats.data(), DType::bfloat16, 45, 21, 21}, 9, metric, isa, 2).same_bits(expected));
    }
  for (const DType dtype : {DType::int32, DType::int64, DType::other}) {
    try {
      topk({x.values.data(), dtype, 10, 2, 2}, 1, Metric::dot, Isa::scalar, 1);
      CHECK(false);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::type);
    }
  }
}

// The dot product with 1 gives back the number itself.
float through_topk(std::uint16_t bits, std::uint16_t one, DType dtype) {
  const std::uint16_t x[2] = {bits, one};
  return topk({x, dtype, 2, 1, 1}, 1, Metric::dot, Isa::scalar, 1).similarities[0];
}

TEST(half_precision_is_read_exactly) {
  for (std::uint32_t magnitude = 0; magnitude < 0x7C00; magnitude += magnitude < 0x440 ? 13 : 211) {
    const auto bits = static_cast<std::uint16_t>(magnitude);
    const auto mantissa = static_cast<double>(magnitude & 0x3FF);
    const int exponent = static_cast<int>(magnitude >> 10);
    const double value = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    CHECK_AT(std::to_string(bits), half_bits(value) == bits);
    CHECK_AT(std::to_string(bits), static_cast<double>(through_topk(bits, 0x3C00, DType::float16)) == value);
    CHECK_AT(std::to_string(bits), static_cast<double>(through_topk(bits | 0x8000, 0x3C00, DType::float16)) == -value);
  }
  for (const float value : {1.5f, -3.0f, 0x1p100f, 0x1.02p-30f, -0.0f})
    CHECK(through_topk(bfloat_bits(value), bfloat_bits(1), DType::bfloat16) == value);
}

TEST(topk_names_the_first_bad_element) {
  for (const int threads : {1, 3})
    for (int turn = 0; turn < 40; ++turn) {
      Matrix x = integers(3000, 3, 21);
      x.values[1311 * 3 + 2] = std::numeric_limits<float>::quiet_NaN();
      x.values[1600 * 3 + 1] = -std::numeric_limits<float>::infinity();
      for (const Metric metric : kMetrics)
        CHECK_THROWS(Error, "x[1311, 2] is nan; embeddings must be finite", topk(x.view(), 2, metric, Isa::scalar, threads));
      x.values[1311 * 3 + 2] = 0;
      CHECK_THROWS(Error, "x[1600, 1] is -inf; embeddings must be finite",
                   topk(x.view(), 2, Metric::dot, Isa::scalar, threads));
    }
  const std::uint16_t halves[4] = {0x3C00, 0x3C00, 0x3C00, 0x7C00};
  CHECK_THROWS(Error, "x[1, 1] is inf", topk({halves, DType::float16, 2, 2, 2}, 1, Metric::dot, Isa::scalar, 1));
  const std::uint16_t bfloats[4] = {0x3F80, 0x3F80, 0x7FC0, 0x3F80};
  CHECK_THROWS(Error, "x[1, 0] is nan", topk({bfloats, DType::bfloat16, 2, 2, 2}, 1, Metric::dot, Isa::scalar, 1));
}

TEST(topk_refuses_a_zero_row_under_cosine_only) {
  Matrix x = integers(40, 5, 22);
  for (int c = 0; c < 5; ++c) x.values[static_cast<std::size_t>(23 * 5 + c)] = c % 2 == 0 ? 0.0f : -0.0f;
  CHECK_THROWS(Error, "row 23 of x is all zeros", topk(x.view(), 2, Metric::cosine, Isa::scalar, 2));
  check_all(x, 3, Metric::dot);
  check_all(x, 3, Metric::euclidean);
  // Errors name the row of x, not its place in the subset; rows left out are not looked at.
  const std::vector<std::int64_t> with{30, 2, 23, 7};
  const std::vector<std::int64_t> without{30, 2, 24, 7};
  CHECK_THROWS(Error, "row 23 of x is all zeros", topk(x.view(), 2, Metric::cosine, Isa::scalar, 2, &with));
  CHECK(topk(x.view(), 2, Metric::cosine, Isa::scalar, 2, &without).indices.size() == 8);
  const Matrix zeros{5, 3, std::vector<float>(15, 0.0f)};
  check_all(zeros, 4, Metric::dot);
  check_all(zeros, 4, Metric::euclidean);
}

TEST(topk_checks_k) {
  const Matrix x = integers(5, 3, 23);
  for (const std::int64_t k : {-1, 0, 5, 6})
    CHECK_THROWS(Error, "k must be from 1 to n - 1 = 4, got " + std::to_string(k),
                 topk(x.view(), k, Metric::dot, Isa::scalar, 1));
  CHECK_THROWS(Error, "k must be from 1 to n - 1 = 0",
               topk({x.values.data(), DType::float32, 1, 3, 3}, 1, Metric::dot, Isa::scalar, 1));
}

TEST(topk_survives_extreme_magnitudes) {
  const Matrix x = integers(30, 6, 24);
  for (const Metric metric : {Metric::cosine, Metric::euclidean, Metric::dot}) {
    const Neighbors expected = topk(x.view(), 29, metric, Isa::scalar, 1);
    for (const int exponent : {-120, -60, -20, 20, 60, 120}) {
      Matrix scaled = x;
      for (float& value : scaled.values) value = std::ldexp(value, exponent);
      if (metric == Metric::dot && std::abs(exponent) > 20) continue;  // the products leave float32
      const Neighbors got = topk(scaled.view(), 29, metric, Isa::scalar, 1);
      // Scaling by a power of two changes no rank.
      CHECK_AT(std::to_string(exponent), got.indices == expected.indices);
      if (metric == Metric::cosine) CHECK_AT(std::to_string(exponent), got.same_bits(expected));
    }
    for (const int exponent : {-400, 190}) {
      std::vector<double> wide;
      for (const float value : x.values) wide.push_back(std::ldexp(static_cast<double>(value), exponent));
      if (metric == Metric::dot && exponent > 0) continue;
      const Neighbors got = topk({wide.data(), DType::float64, 30, 6, 6}, 29, metric, Isa::scalar, 1);
      CHECK_AT(std::to_string(exponent), got.indices.size() == expected.indices.size());
      if (metric == Metric::cosine) CHECK_AT(std::to_string(exponent), got.same_bits(expected));
    }
  }
  const float huge[4] = {3e38f, 0, 2e38f, 1};
  CHECK_THROWS(Error, "the dot product of rows 0 and 1 overflows float32",
               topk({huge, DType::float32, 2, 2, 2}, 1, Metric::dot, Isa::scalar, 1));
  const double beyond[4] = {1, 2, 1e300, 4};
  CHECK_THROWS(Error, "x[1, 0] is beyond the range of float32",
               topk({beyond, DType::float64, 2, 2, 2}, 1, Metric::cosine, Isa::scalar, 1));
}

TEST(topk_norms_do_not_vanish) {
  // Squares of such numbers underflow: the answer is either right or a refusal that tells why.
  const Matrix x = integers(30, 6, 24);
  const Neighbors expected = topk(x.view(), 29, Metric::cosine, Isa::scalar, 1);
  for (const int exponent : {-300, -400, -460, -520, -535, -540, -560, -1000}) {
    std::vector<double> tiny;
    for (const float value : x.values) tiny.push_back(std::ldexp(static_cast<double>(value) * 1.1, exponent));
    try {
      const Neighbors got = topk({tiny.data(), DType::float64, 30, 6, 6}, 29, Metric::cosine, Isa::scalar, 1);
      bool close = true;
      for (std::size_t i = 0; i < got.similarities.size(); ++i)
        close = close && std::abs(static_cast<double>(got.similarities[i] - expected.similarities[i])) <= kCosineTolerance;
      CHECK_AT(std::to_string(exponent), close);
    } catch (const Error& error) {
      CHECK_AT(error.what(), std::string(error.what()).find("rescale the embeddings") != std::string::npos);
      CHECK_AT(std::to_string(exponent), exponent < -400);
    }
  }
}

TEST(topk_passes_a_stop_on) {
  struct Stop : Control {
    int left = 0;
    std::int64_t done = 0;
    void check() override {
      if (left-- == 0) throw std::runtime_error("stop");
    }
    void progress(std::int64_t d, std::int64_t) override { done = d; }
  };
  const Matrix x = integers(2000, 2, 25);
  std::vector<std::int64_t> neighbors(2000 * 3);
  std::vector<float> similarities(2000 * 3);
  for (const int threads : {1, 2}) {
    Stop stop;
    ThreadPool pool(threads, &stop);
    const auto run = [&] {
      graph::topk(x.view(), nullptr, 2000, 3, Metric::dot, Isa::scalar, graph::Search::automatic, pool, neighbors.data(),
                  similarities.data());
    };
    // The caller may find no chunk left for itself and then has no occasion to look at Control, but not every time.
    CHECK_THROWS(std::runtime_error, "stop", for (int turn = 0; turn < 50; ++turn) run());
    stop.left = 1'000'000;
    run();
    CHECK(stop.done == 2000);
    CHECK(Neighbors{neighbors, similarities}.same_bits(topk(x.view(), 3, Metric::dot, Isa::scalar, 1)));
  }
}

TEST(extra_bytes_stay_below_the_documented_formula) {
  for (const std::int64_t n : {2'000, 100'000, 1'000'000, 30'000'000})
    for (const std::int64_t d : {3, 128, 768, 4096})
      for (const std::int64_t k : {1, 10, 50, 256})
        for (const Isa isa : available_isas()) {
          if (k > n / 16) continue;
          const std::int64_t formula = 2 * n * ((d + 63) / 64 * 64) + 64 * n + 24 * n * k + (std::int64_t{256} << 20);
          const std::int64_t bytes = graph::extra_bytes(n, d, k, isa, graph::Search::automatic, 16);
          CHECK_AT(std::to_string(n) + " x " + std::to_string(d) + ", k = " + std::to_string(k), bytes <= formula);
        }
  CHECK(graph::extra_bytes(1'000'000, 128, 10, Isa::scalar, graph::Search::direct, 4) < 64 << 20);
}

// Neighbour lists with absent, repeated and diagonal entries; similarities are eighths, so halves and sums are exact.
struct Lists {
  std::int64_t n = 0;
  std::int64_t k = 0;
  std::vector<std::int64_t> indices;
  std::vector<float> values;

  Lists(std::int64_t n_rows, std::int64_t per_row, unsigned seed) : n(n_rows), k(per_row) {
    std::mt19937 random(seed);
    for (std::int64_t e = 0; e < n * k; ++e) {
      indices.push_back(random() % 6 == 0 ? -1 : static_cast<std::int64_t>(random() % static_cast<unsigned>(n)));
      values.push_back(static_cast<float>(static_cast<int>(random() % 33) - 16) / 8);
      if (indices.back() == -1) values.back() = std::numeric_limits<float>::quiet_NaN();  // never looked at
    }
  }
  graph::NeighborLists view() const { return {n, k, nullptr, indices.data(), DType::int64, values.data(), DType::float32}; }
  // (A + A^T) / 2 without its diagonal, and which entries are present.
  std::vector<double> dense(std::vector<bool>& present) const {
    std::vector<double> matrix(static_cast<std::size_t>(n * n), 0.0);
    present.assign(matrix.size(), false);
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t e = i * k; e < (i + 1) * k; ++e) {
        const std::int64_t j = indices[static_cast<std::size_t>(e)];
        if (j == -1 || j == i) continue;
        for (const std::int64_t place : {i * n + j, j * n + i}) {
          matrix[static_cast<std::size_t>(place)] += static_cast<double>(values[static_cast<std::size_t>(e)]) / 2;
          present[static_cast<std::size_t>(place)] = true;
        }
      }
    return matrix;
  }
};

bool equals_dense(const graph::Csr& csr, std::int64_t n, const std::vector<double>& matrix, const std::vector<bool>& present) {
  if (static_cast<std::int64_t>(csr.indptr.size()) != n + 1 || csr.indptr[0] != 0) return false;
  if (csr.indptr.back() != static_cast<std::int64_t>(csr.indices.size()) || csr.indices.size() != csr.values.size())
    return false;
  if (static_cast<std::ptrdiff_t>(csr.indices.size()) != std::count(present.begin(), present.end(), true)) return false;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t e = csr.indptr[static_cast<std::size_t>(i)]; e < csr.indptr[static_cast<std::size_t>(i) + 1]; ++e) {
      const std::int64_t j = csr.indices[static_cast<std::size_t>(e)];
      if (e > csr.indptr[static_cast<std::size_t>(i)] && j <= csr.indices[static_cast<std::size_t>(e) - 1]) return false;
      if (!present[static_cast<std::size_t>(i * n + j)]) return false;
      if (static_cast<double>(csr.values[static_cast<std::size_t>(e)]) != matrix[static_cast<std::size_t>(i * n + j)])
        return false;
    }
  return true;
}

TEST(symmetric_agrees_with_the_dense_matrix) {
  for (const std::int64_t n : {1, 2, 3, 17, 60})
    for (const std::int64_t k : {0, 1, 5, 30}) {
      const Lists lists(n, k, static_cast<unsigned>(31 * n + k));
      std::vector<bool> present;
      const auto dense = lists.dense(present);
      std::vector<std::int64_t> indptr;
      for (std::int64_t i = 0; i <= n; ++i) indptr.push_back(i * k);
      const std::vector<std::int32_t> narrow(lists.indices.begin(), lists.indices.end());
      const std::vector<double> wide(lists.values.begin(), lists.values.end());
      for (const int threads : {1, 2, 3}) {
        ThreadPool pool(threads);
        CHECK(equals_dense(graph::symmetric(lists.view(), pool), n, dense, present));
        CHECK(equals_dense(
            graph::symmetric({n, 0, indptr.data(), narrow.data(), DType::int32, wide.data(), DType::float64}, pool), n, dense,
            present));
      }
    }
}

TEST(symmetric_reads_ragged_lists) {
  const std::vector<std::int64_t> indptr{0, 2, 2, 3};
  const std::vector<std::int64_t> indices{1, 2, 0};
  const std::vector<float> values{0.5f, 0.25f, 0.75f};
  ThreadPool pool(1);
  const graph::Csr csr =
      graph::symmetric({3, 0, indptr.data(), indices.data(), DType::int64, values.data(), DType::float32}, pool);
  CHECK(csr.indptr == std::vector<std::int64_t>{0, 2, 3, 4});
  CHECK(csr.indices == std::vector<std::int32_t>{1, 2, 0, 0});
  CHECK(csr.values == std::vector<float>{0.25f, 0.5f, 0.25f, 0.5f});
}

TEST(symmetric_is_symmetric_and_the_same_for_any_thread_count) {
  Lists lists(9000, 6, 41);  // more rows than one block of the loops
  std::mt19937 random(42);
  for (float& value : lists.values) value = std::ldexp(static_cast<float>(random()), -20);
  ThreadPool one(1);
  const graph::Csr first = graph::symmetric(lists.view(), one);
  for (const int threads : {2, 3}) {
    ThreadPool pool(threads);
    const graph::Csr other = graph::symmetric(lists.view(), pool);
    CHECK(other.indptr == first.indptr && other.indices == first.indices && other.values == first.values);
  }
  bool mirrored = true;
  for (std::int64_t i = 0; i < lists.n; ++i)
    for (std::int64_t e = first.indptr[static_cast<std::size_t>(i)]; e < first.indptr[static_cast<std::size_t>(i) + 1]; ++e) {
      const auto j = static_cast<std::size_t>(first.indices[static_cast<std::size_t>(e)]);
      const auto begin = first.indices.begin() + first.indptr[j];
      const auto end = first.indices.begin() + first.indptr[j + 1];
      const auto found = std::lower_bound(begin, end, static_cast<std::int32_t>(i));
      mirrored =
          mirrored && found != end && *found == i &&
          first.values[static_cast<std::size_t>(found - first.indices.begin())] == first.values[static_cast<std::size_t>(e)];
    }
  CHECK(mirrored);
}

TEST(symmetric_names_bad_entries) {
  Lists lists(10, 3, 43);
  ThreadPool pool(2);
  lists.indices[4 * 3 + 1] = 10;
  CHECK_THROWS(Error, "row 4 names neighbour 10, but the graph has rows 0 to 9", graph::symmetric(lists.view(), pool));
  lists.indices[4 * 3 + 1] = -2;
  CHECK_THROWS(Error, "row 4 names neighbour -2", graph::symmetric(lists.view(), pool));
  lists.indices[4 * 3 + 1] = 7;
  lists.values[4 * 3 + 1] = std::numeric_limits<float>::infinity();
  CHECK_THROWS(Error, "the similarity of rows 4 and 7 is inf", graph::symmetric(lists.view(), pool));
  const std::vector<std::int64_t> indices{1, 1, 1, 0, 0, 0};
  const std::vector<float> huge(6, 3e38f);
  CHECK_THROWS(Error, "add up to more than float32 holds",
               graph::symmetric({2, 3, nullptr, indices.data(), DType::int64, huge.data(), DType::float32}, pool));
}

}  // namespace
