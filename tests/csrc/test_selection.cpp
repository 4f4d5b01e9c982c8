// The loops of selection against plain ones: reverse messages by scanning for the highest value, pairs one by one.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "core/thread_pool.h"
#include "selection/selection.h"

namespace {

using namespace coremax;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

std::vector<std::int64_t> plain_order(const selection::Edges& edges, std::vector<double> values,
                                      const std::vector<std::int64_t>& ranks, std::int64_t budget) {
  std::vector<std::int64_t> order;
  std::vector<char> taken(values.size(), 0);
  for (std::int64_t turn = 0; turn < budget; ++turn) {
    std::int64_t best = -1;
    for (std::int64_t i = 0; i < edges.n; ++i) {
      if (taken[at(i)] != 0) continue;
      if (best < 0 || values[at(i)] > values[at(best)] || (values[at(i)] == values[at(best)] && ranks[at(i)] < ranks[at(best)]))
        best = i;
    }
    taken[at(best)] = 1;
    order.push_back(best);
    for (std::int64_t e = edges.indptr[best]; e < edges.indptr[best + 1]; ++e) {
      if (taken[at(edges.targets[e])] == 0) values[at(edges.targets[e])] -= edges.weights[e] * values[at(best)];
    }
  }
  return order;
}

TEST(selection_takes_the_highest_and_discounts) {
  std::mt19937 random(1);
  for (int round = 0; round < 60; ++round) {
    const std::int64_t n = 1 + round;
    std::vector<std::int64_t> indptr{0};
    std::vector<std::int32_t> targets;
    std::vector<double> weights, values;
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int32_t j = 0; j < n; ++j) {
        if (j != i && random() % 4 == 0) {
          targets.push_back(j);
          weights.push_back(static_cast<double>(random() % 5) / 4);  // 0 and 1 among them
        }
      }
      indptr.push_back(static_cast<std::int64_t>(targets.size()));
      values.push_back(static_cast<double>(random() % 9) - (round % 3 == 0 ? 4.0 : 0.0));  // many ties; some below zero
    }
    const selection::Edges edges{n, indptr.data(), targets.data(), weights.data()};
    std::vector<std::int64_t> ranks(values.size());
    std::iota(ranks.begin(), ranks.end(), 0);
    std::shuffle(ranks.begin(), ranks.end(), random);
    ThreadPool pool(1);
    for (const std::int64_t budget : {std::int64_t{0}, std::int64_t{1}, n / 2, n}) {
      CHECK_AT(std::to_string(n), selection::take_and_discount(edges, values.data(), ranks.data(), budget, pool) ==
                                      plain_order(edges, values, ranks, budget));
    }
  }
}

TEST(selection_finds_the_highest_earlier_cosine) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  for (const std::int64_t d : {1, 7, 8, 9, 16, 33}) {
    const std::vector<std::int64_t> offsets{0, 1, 1, 6, 140, 147};  // an empty cluster among them
    const std::int64_t n = offsets.back();
    std::vector<float> rows(at(n * d));
    for (std::int64_t i = 0; i < n; ++i) {
      double squares = 0;
      for (std::int64_t c = 0; c < d; ++c) {
        rows[at(i * d + c)] = normal(random);
        squares += std::pow(rows[at(i * d + c)], 2);
      }
      for (std::int64_t c = 0; c < d; ++c) rows[at(i * d + c)] /= static_cast<float>(std::sqrt(squares));
    }
    std::vector<float> found(at(n));
    ThreadPool pool(2);
    selection::highest_earlier_cosine(rows.data(), d, offsets.data(), std::ssize(offsets) - 1, Isa::scalar, found.data(), pool);
    for (std::size_t c = 0; c + 1 < offsets.size(); ++c) {
      for (std::int64_t i = offsets[c]; i < offsets[c + 1]; ++i) {
        double highest = -1;
        for (std::int64_t j = offsets[c]; j < i; ++j) {
          double sum = 0;
          for (std::int64_t k = 0; k < d; ++k)
            sum += static_cast<double>(rows[at(i * d + k)]) * static_cast<double>(rows[at(j * d + k)]);
          highest = std::max(highest, sum);
        }
        CHECK_AT(std::to_string(i), std::abs(static_cast<double>(found[at(i)]) - highest) < 1e-6 && found[at(i)] <= 1.0f);
      }
    }
    std::vector<float> alone(at(n));
    ThreadPool single(1);
    selection::highest_earlier_cosine(rows.data(), d, offsets.data(), std::ssize(offsets) - 1, Isa::scalar, alone.data(),
                                      single);
    CHECK_AT(std::to_string(d), alone == found);
  }
}

}  // namespace
