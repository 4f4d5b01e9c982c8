// The scores' own pieces: rows against centres, sums in whole numbers, the row kernels of every level, and where rows are
// refused.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "core/errors.h"
#include "graph/graph.h"
#include "isa/isa.h"
#include "scores/checks.h"
#include "scores/scores.h"

namespace {

using namespace coremax;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

std::vector<float> normal(std::int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(at(n));
  for (float& value : values) value = distribution(random);
  return values;
}

graph::UnitRows rows_of(const std::vector<float>& values, std::int64_t d) {
  const auto n = static_cast<std::int64_t>(values.size()) / d;
  return {{values.data(), DType::float32, n, d, d}, "x", nullptr, n};
}

template <class T>
bool same_bits(const T& a, const T& b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}

double plain_cosine(const float* a, const float* b, std::int64_t d) {
  double product = 0, square = 0;
  for (std::int64_t c = 0; c < d; ++c) {
    product += static_cast<double>(a[c]) * static_cast<double>(b[c]);
    square += static_cast<double>(a[c]) * static_cast<double>(a[c]);
  }
  return square == 0 ? 0 : product / std::sqrt(square);
}

}  // namespace

TEST(nearest_centres_are_those_of_plain_code) {
  for (const std::int64_t d : {1, 3, 16, 17, 40, 300})
    for (const std::int64_t n_centres : {2, 3, 5, 64, 700}) {
      const std::string where = std::to_string(d) + " columns, " + std::to_string(n_centres) + " centres";
      const std::int64_t n = 137;
      const auto values = normal(n * d, 1), others = normal(n_centres * d, 2);
      const graph::UnitRows rows = rows_of(values, d);
      graph::UnitCentres centres(n_centres, d);
      for (std::int64_t c = 0; c < n_centres; ++c) CHECK(centres.set(c, rows_of(others, d), c));
      std::vector<std::int32_t> own(at(n)), nearest(at(n)), first(at(n));
      for (std::int64_t i = 0; i < n; ++i) own[at(i)] = static_cast<std::int32_t>(i % n_centres);
      std::vector<float> cosine(at(n)), own_cosine(at(n)), first_cosine(at(n));
      for (const Isa isa : available_isas())
        for (const int threads : {1, 3}) {
          ThreadPool pool(threads);
          graph::nearest_centres(rows, centres, own.data(), isa, {nearest.data(), cosine.data(), own_cosine.data(), nullptr},
                                 pool);
          if (first_cosine == std::vector<float>(at(n))) first_cosine = cosine, first = nearest;
          CHECK_AT(where, first == nearest && first_cosine == cosine);
          for (std::int64_t i = 0; i < n; ++i) {
            double best = -2;
            for (std::int64_t c = 0; c < n_centres; ++c)
              if (c != own[at(i)]) best = std::max(best, plain_cosine(values.data() + i * d, centres.row(c), d));
            CHECK_AT(where, nearest[at(i)] != own[at(i)]);
            CHECK_AT(where, std::abs(static_cast<double>(cosine[at(i)]) - best) < 1e-6);
            CHECK_AT(where, std::abs(plain_cosine(values.data() + i * d, centres.row(nearest[at(i)]), d) - best) < 1e-6);
            CHECK_AT(where, std::abs(static_cast<double>(own_cosine[at(i)]) -
                                     plain_cosine(values.data() + i * d, centres.row(own[at(i)]), d)) < 1e-6);
          }
        }
    }
}

TEST(ties_go_to_the_lower_centre_and_zero_rows_to_the_first) {
  const std::vector<float> values{3, 0, 0, 0, 0, 5};
  const std::vector<float> twice{0, 1, 1, 0, 1, 0, 0, 1};
  graph::UnitCentres centres(4, 2);
  for (std::int64_t c = 0; c < 4; ++c) centres.set(c, rows_of(twice, 2), c);
  std::vector<std::int32_t> nearest(3);
  std::vector<float> cosine(3);
  ThreadPool pool(1);
  for (const Isa isa : available_isas()) {
    graph::nearest_centres(rows_of(values, 2), centres, nullptr, isa, {nearest.data(), cosine.data(), nullptr, nullptr}, pool);
    CHECK(nearest == std::vector<std::int32_t>{1, 0, 0});
    CHECK(cosine == std::vector<float>{1, 0, 1});
  }
  CHECK(!centres.set(0, rows_of(values, 2), 1));  // a zero row
  CHECK(centres.row(0)[0] == 0 && centres.row(0)[1] == 1);
}

TEST(sums_do_not_depend_on_order_or_threads) {
  const std::int64_t n = 5000, d = 19, n_labels = 7;
  auto values = normal(n * d, 3);
  std::fill_n(values.begin() + 40 * d, d, 0.0f);
  std::vector<std::int32_t> labels(at(n));
  for (std::int64_t i = 0; i < n; ++i) labels[at(i)] = static_cast<std::int32_t>((i * i) % n_labels);
  std::vector<float> first;
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    graph::LabelSums sums(n_labels, d, pool);
    std::vector<double> norms(at(n));
    graph::sum_by_label(rows_of(values, d), labels.data(), norms.data(), sums, pool);
    CHECK(norms[40] == 0);
    std::vector<float> directions(at(n_labels * 32), 0.0f);
    std::int64_t total = 0;
    for (std::int64_t c = 0; c < n_labels; ++c) {
      total += sums.count(c);
      CHECK(sums.direction(c, directions.data() + c * 32) == (sums.count(c) > 0));
      std::vector<double> plain(at(d), 0.0);
      for (std::int64_t i = 0; i < n; ++i)
        if (labels[at(i)] == c && norms[at(i)] > 0)
          for (std::int64_t w = 0; w < d; ++w) plain[at(w)] += static_cast<double>(values[at(i * d + w)]) / norms[at(i)];
      double square = 0;
      for (const double value : plain) square += value * value;
      for (std::int64_t w = 0; w < d && square > 0; ++w)
        CHECK(std::abs(static_cast<double>(directions[at(c * 32 + w)]) - plain[at(w)] / std::sqrt(square)) < 1e-6);
    }
    CHECK(total == n - 1);
    if (first.empty()) first = directions;
    CHECK(first == directions);
  }
}

// Labels so many that the workers share one set of sums and add to it atomically.
TEST(shared_sums_are_the_same) {
  const std::int64_t n = 3000, d = 100, n_labels = 200'000;
  const auto values = normal(n * d, 4);
  std::vector<std::int32_t> labels(at(n));
  for (std::int64_t i = 0; i < n; ++i) labels[at(i)] = static_cast<std::int32_t>(i % 11 * 15'000);
  std::vector<float> one(112), four(112);
  ThreadPool single(1), several(4);
  graph::LabelSums own(n_labels, d, single), shared(n_labels, d, several);
  graph::sum_by_label(rows_of(values, d), labels.data(), nullptr, own, single);
  graph::sum_by_label(rows_of(values, d), labels.data(), nullptr, shared, several);
  for (std::int64_t c = 0; c < 11; ++c) {
    CHECK(own.direction(c * 15'000, one.data()) && shared.direction(c * 15'000, four.data()));
    CHECK(one == four);
    CHECK(own.count(c * 15'000) == shared.count(c * 15'000));
  }
  CHECK(!shared.direction(1, four.data()));
}

TEST(vectors_that_cancel_sum_to_zero) {
  auto values = normal(64 * 5, 5);
  for (std::int64_t i = 0; i < 32; ++i) values[at(i * 5)] *= 1e-4f;  // small enough to be rounded
  for (std::int64_t i = 0; i < 32 * 5; ++i) values[at(32 * 5 + i)] = -values[at(i)];
  const std::vector<std::int32_t> labels(64, 0);
  ThreadPool pool(2);
  graph::LabelSums sums(1, 5, pool);
  graph::sum_by_label(rows_of(values, 5), labels.data(), nullptr, sums, pool);
  std::vector<float> direction(16, 7.0f);
  CHECK(!sums.direction(0, direction.data()));
  CHECK(sums.count(0) == 64);
  CHECK(direction == std::vector<float>(16, 7.0f));
}

TEST(row_kernels_agree_with_the_library_and_with_each_other) {
  std::mt19937_64 random(6);
  for (const std::int64_t n : {8, 16, 64, 72, 200}) {
    std::vector<double> p(at(n)), q(at(n));
    for (std::int64_t c = 0; c < n; ++c) {
      p[at(c)] = std::pow(static_cast<double>(random() >> 11) * 0x1p-53, 1 + static_cast<double>(c % 40));
      q[at(c)] = c % 7 == 0 ? 0.0 : static_cast<double>(random() >> 11) * 0x1p-53;
    }
    q[1] = 1;
    q[2] = 5e-324;
    q[3] = 1e-305;
    q[4] = 1.01;
    double plogp = 0, divergence = 0;
    for (std::int64_t c = 0; c < n; ++c) {
      plogp += q[at(c)] > 0 ? q[at(c)] * std::log(q[at(c)]) : 0;
      divergence += std::abs(q[at(c)] * (std::log(q[at(c)] + 1e-8) - std::log(p[at(c)] + 1e-8)));
    }
    const scores::RowKernels& scalar = scores::rows_of(Isa::scalar);
    for (const Isa isa : available_isas()) {
      const scores::RowKernels& kernels = scores::rows_of(isa);
      CHECK_AT(isa_name(isa), std::abs(kernels.sum_plogp(q.data(), n) - plogp) <= 1e-15 * static_cast<double>(n));
      CHECK_AT(isa_name(isa),
               std::abs(kernels.sum_divergence(p.data(), q.data(), n, 1e-8) - divergence) <= 2e-15 * (1 + divergence));
      CHECK_AT(isa_name(isa), same_bits(kernels.sum_plogp(q.data(), n), scalar.sum_plogp(q.data(), n)));
      CHECK_AT(isa_name(isa), same_bits(kernels.sum_divergence(p.data(), q.data(), n, 1e-8),
                                        scalar.sum_divergence(p.data(), q.data(), n, 1e-8)));
    }
  }
}

TEST(rows_are_checked_on_every_level) {
  for (const Isa isa : available_isas())
    for (const std::int64_t n : {1, 7, 8, 9, 33}) {
      const scores::RowKernels& kernels = scores::rows_of(isa);
      std::vector<double> out(40, -1.0);
      for (std::int64_t bad = 0; bad < n; ++bad)
        for (const double value :
             {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), -1e-30, 1.5}) {
          std::vector<double> row(at(n), 0.25);
          std::vector<float> narrow(row.begin(), row.end());
          double sum = 0;
          CHECK(kernels.load_double(row.data(), n, 1.02, out.data(), &sum) && sum == 0.25 * static_cast<double>(n));
          CHECK(kernels.load_float(narrow.data(), n, 1.02, out.data(), &sum) && sum == 0.25 * static_cast<double>(n));
          CHECK(out[at((n + 7) / 8 * 8 - 1)] == (n % 8 == 0 ? 0.25 : 0.0));
          row[at(bad)] = value;
          narrow[at(bad)] = static_cast<float>(value);
          CHECK(!kernels.load_double(row.data(), n, 1.02, out.data(), &sum));
          CHECK(!kernels.load_float(narrow.data(), n, 1.02, out.data(), &sum));
        }
    }
}

TEST(errors_of_rows_name_the_matrix) {
  std::vector<float> values(20, 1.0f);
  values[13] = std::numeric_limits<float>::quiet_NaN();
  ThreadPool pool(1);
  graph::LabelSums sums(1, 4, pool);
  const std::vector<std::int32_t> labels(5, 0);
  graph::UnitRows rows = rows_of(values, 4);
  rows.name = "embeddings[1]";
  CHECK_THROWS(Error, "embeddings[1][3, 1] is nan", graph::sum_by_label(rows, labels.data(), nullptr, sums, pool));
  std::vector<float> cosine(5);
  std::vector<std::int32_t> nearest(5);
  CHECK_THROWS(Error, "n_clusters must be from 1 to the number of rows, 5, got 6",
               scores::spherical_kmeans(rows.x, "x", {6, 1, 0, 0}, Isa::scalar, pool, nearest.data(), cosine.data()));
}
