// Random problems for the tests of the solver: small ones whose feasible subsets can be enumerated, with and without limits,
// and graphs of more elements than one reduction block.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "solver/feasible.h"
#include "solver/solver.h"

namespace coremax::test {

using solver::at;
using solver::Problem;
using solver::Subset;
using solver::Vector;

inline bool never() { return false; }

inline bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

inline Problem problem_of(const std::vector<double>& importance, const graph::Csr& k, std::int64_t budget, double alpha) {
  Problem problem;
  problem.importance = importance.data();
  problem.k = {static_cast<std::int64_t>(importance.size()), k.indptr.data(), k.indices.data(), k.values.data()};
  problem.alpha = alpha;
  problem.budget = budget;
  return problem;
}

inline Subset subset_of(unsigned mask, std::int64_t n) {
  Subset subset(at(n), 0);
  for (std::size_t i = 0; i < subset.size(); ++i) subset[i] = static_cast<std::uint8_t>(mask >> i & 1);
  return subset;
}

// A problem with its data, and f by definition over a dense K.
struct Instance {
  std::int64_t n;
  std::vector<double> importance;
  std::vector<double> dense;
  graph::Csr k;

  explicit Instance(std::int64_t size) : n(size), importance(at(size), 0.0), dense(at(size * size), 0.0) {}
  void connect(std::int64_t i, std::int64_t j, float value) {
    dense[at(i * n + j)] = dense[at(j * n + i)] = static_cast<double>(value);
  }
  void finish() {
    k = {};
    k.indptr.push_back(0);
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < n; ++j)
        if (dense[at(i * n + j)] != 0) {
          k.indices.push_back(static_cast<std::int32_t>(j));
          k.values.push_back(static_cast<float>(dense[at(i * n + j)]));
        }
      k.indptr.push_back(static_cast<std::int64_t>(k.indices.size()));
    }
  }
  Problem problem(std::int64_t budget, double alpha) const { return problem_of(importance, k, budget, alpha); }
  double f(const std::vector<std::int64_t>& subset, double alpha) const {
    double value = 0;
    for (const std::int64_t i : subset) {
      value += importance[at(i)];
      for (const std::int64_t j : subset)
        if (i != j) value -= alpha * dense[at(i * n + j)];
    }
    return value;
  }
  // f of every subset, by its mask.
  std::vector<double> values(double alpha) const {
    std::vector<double> value(std::size_t{1} << n, 0.0);
    for (unsigned mask = 1; mask < value.size(); ++mask) {
      const auto last = static_cast<std::int64_t>(std::bit_width(mask)) - 1;
      value[mask] = value[mask ^ (1u << last)] + importance[at(last)];
      for (std::int64_t i = 0; i < last; ++i)
        if (mask >> i & 1) value[mask] -= 2 * alpha * dense[at(last * n + i)];
    }
    return value;
  }
  // The optimum for every budget, by enumeration: best[p].
  std::vector<double> optima(double alpha) const {
    std::vector<double> best(at(n + 1), -std::numeric_limits<double>::infinity());
    const std::vector<double> value = values(alpha);
    for (unsigned mask = 0; mask < value.size(); ++mask) {
      double& most = best[static_cast<std::size_t>(std::popcount(mask))];
      most = std::max(most, value[mask]);
    }
    return best;
  }
};

enum class Sign { positive, negative, mixed };

inline Instance random_instance(std::int64_t n, Sign sign, double density, unsigned seed) {
  std::mt19937 random(seed);
  const auto unit = [&] { return static_cast<double>(random() % 4096) / 4096; };
  Instance instance(n);
  for (double& value : instance.importance) value = 2 * unit() - 0.5;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < i; ++j) {
      if (unit() >= density) continue;
      const double value = sign == Sign::positive ? unit() : sign == Sign::negative ? -unit() : 2 * unit() - 1;
      instance.connect(i, j, static_cast<float>(value));
    }
  instance.finish();
  return instance;
}

// f(instance, sign, alpha)
template <class F>
void for_each_instance(F&& f) {
  unsigned seed = 0;
  for (const std::int64_t n : {1, 2, 3, 5, 8, 10})
    for (const Sign sign : {Sign::positive, Sign::negative, Sign::mixed})
      for (const double density : {0.25, 1.0}) {
        const Instance instance = random_instance(n, sign, density, ++seed);
        for (const double alpha : {0.0, 0.05, 0.5, 4.0}) f(instance, sign, alpha);
      }
}

// An instance with limits drawn around a random subset, so that they can be met.
struct Limited {
  Instance instance;
  std::vector<double> costs;
  std::vector<std::int32_t> groups;
  std::vector<std::int8_t> fixed;
  Problem problem;

  // coarse: numbers with many ties.
  Limited(std::int64_t n, Sign sign, bool grouped, bool priced, bool coarse, unsigned seed)
      : instance(random_instance(n, sign, 0.5, seed)) {
    std::mt19937 random(seed + 1000);
    const auto below = [&](unsigned end) { return static_cast<std::int64_t>(random() % end); };
    if (coarse) {
      for (double& value : instance.importance) value = std::round(value * 2) / 2;
      for (double& value : instance.dense) value = std::round(value * 2) / 2;
      instance.finish();
    }
    Subset base(at(n));
    for (auto& side : base) side = static_cast<std::uint8_t>(random() % 2);
    base[at(below(static_cast<unsigned>(n)))] = 1;
    problem = instance.problem(std::count(base.begin(), base.end(), 1), 0.1 * static_cast<double>(1 + random() % 5));
    if (grouped) {
      std::vector<std::int64_t> inside(4, 0);
      for (std::int64_t i = 0; i < n; ++i) {
        groups.push_back(static_cast<std::int32_t>(random() % 3));  // Group 3 is empty.
        inside[at(groups.back())] += base[at(i)];
      }
      for (const std::int64_t count : inside)
        problem.limits.push_back({below(static_cast<unsigned>(count + 1)), count + below(3)});
      problem.groups = groups.data();
    }
    if (priced) {
      for (std::int64_t i = 0; i < n; ++i) {
        costs.push_back(coarse ? static_cast<double>(1 + random() % 4) : 0.1 + static_cast<double>(random() % 1000) / 500);
        problem.cost_limit += base[at(i)] * costs.back();
      }
      problem.cost_limit *= 1 + 1e-12;
      problem.costs = costs.data();
      problem.budget = 0;
    }
    fixed.resize(at(n));
  }
  Limited(const Limited&) = delete;
  Limited& operator=(const Limited&) = delete;

  // Fixes some elements on the side they have in a feasible subset.
  void fix_some(const Subset& feasible, unsigned seed) {
    std::mt19937 random(seed);
    for (std::size_t i = 0; i < fixed.size(); ++i)
      fixed[i] = static_cast<std::int8_t>(random() % 3 == 0 ? (feasible[i] ? 1 : -1) : 0);
    problem.fixed = fixed.data();
  }

  // By counting, not by the ledger.
  bool meets(const Subset& subset) const {
    double spent = 0;
    std::vector<std::int64_t> inside(problem.limits.size(), 0);
    for (std::size_t i = 0; i < subset.size(); ++i) {
      if (problem.fixed != nullptr && ((fixed[i] > 0 && !subset[i]) || (fixed[i] < 0 && subset[i]))) return false;
      if (!subset[i]) continue;
      spent += costs.empty() ? 1 : costs[i];
      if (!groups.empty()) ++inside[at(groups[i])];
    }
    for (std::size_t g = 0; g < inside.size(); ++g)
      if (inside[g] < problem.limits[g].low || inside[g] > problem.limits[g].high) return false;
    return costs.empty() ? spent == static_cast<double>(problem.budget) : spent <= problem.cost_limit;
  }
  std::vector<unsigned> feasible() const {
    std::vector<unsigned> masks;
    for (unsigned mask = 0; mask < 1u << instance.n; ++mask)
      if (meets(subset_of(mask, instance.n))) masks.push_back(mask);
    return masks;
  }
  std::vector<Subset> feasible_subsets() const {
    std::vector<Subset> all;
    for (const unsigned mask : feasible()) all.push_back(subset_of(mask, instance.n));
    return all;
  }

  double f(const Subset& subset) const {
    std::vector<std::int64_t> indices;
    for (std::size_t i = 0; i < subset.size(); ++i)
      if (subset[i]) indices.push_back(static_cast<std::int64_t>(i));
    return instance.f(indices, problem.alpha);
  }
};

// f(limited, where) for plain problems, groups, costs and both, of every sign, with and without ties.
template <class F>
void for_each_limited(std::initializer_list<std::int64_t> sizes, int repetitions, F&& f) {
  unsigned seed = 0;
  for (const std::int64_t n : sizes)
    for (int kind = 0; kind < 16 * repetitions; ++kind) {
      const Sign sign = kind % 16 < 8 ? Sign::positive : kind % 3 == 0 ? Sign::negative : Sign::mixed;
      Limited limited(n, sign, (kind & 1) != 0, (kind & 2) != 0, (kind & 4) != 0, ++seed);
      f(limited, "n " + std::to_string(n) + " kind " + std::to_string(kind) + " seed " + std::to_string(seed));
    }
}

// A graph as it is built, by rows: the column and value of each entry.
using Rows = std::vector<std::vector<std::pair<std::int32_t, float>>>;

inline void connect(Rows& rows, std::int64_t i, std::int64_t j, float value) {
  rows[at(i)].emplace_back(static_cast<std::int32_t>(j), value);
  rows[at(j)].emplace_back(static_cast<std::int32_t>(i), value);
}

inline graph::Csr csr_of(Rows rows) {
  graph::Csr k;
  k.indptr.push_back(0);
  for (auto& row : rows) {
    std::sort(row.begin(), row.end());
    for (const auto& [column, value] : row) {
      k.indices.push_back(column);
      k.values.push_back(value);
    }
    k.indptr.push_back(static_cast<std::int64_t>(k.indices.size()));
  }
  return k;
}

// A ring of random similarities with chords.
inline void large_instance(std::int64_t n, bool negative, std::vector<double>& importance, graph::Csr& k) {
  std::mt19937 random(91);
  Rows rows(at(n));
  const auto join = [&](std::int64_t i, std::int64_t j) {
    const float value = static_cast<float>(random() % 1000) / 1000 - (negative ? 0.3f : 0.0f);
    const auto known = [&](const auto& edge) { return edge.first == static_cast<std::int32_t>(j); };
    if (i != j && std::none_of(rows[at(i)].begin(), rows[at(i)].end(), known)) connect(rows, i, j, value);
  };
  for (std::int64_t i = 0; i < n; ++i) {
    importance.push_back(static_cast<double>(random() % 10'000) / 10'000);
    join(i, (i + 1) % n);
    join(i, static_cast<std::int64_t>(random()) % n);
  }
  k = csr_of(std::move(rows));
}

// Blocks of equal size in a ring: edges inside with the density, and to the next block with a tenth of it; importances are
// uniform over [0, 1], similarities over [lowest, 1].
inline void block_ring(std::int64_t n, std::int64_t block, double density, double lowest, unsigned seed,
                       std::vector<double>& importance, graph::Csr& k) {
  std::mt19937 random(seed);
  const auto unit = [&] { return static_cast<double>(random() % 4096) / 4096; };
  for (std::int64_t i = 0; i < n; ++i) importance.push_back(unit());
  Rows rows(at(n));
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = i + 1; j < std::min(n, (i / block + 2) * block); ++j)
      if (unit() < (j / block == i / block ? density : 0.1 * density))
        connect(rows, i, j, static_cast<float>(lowest + (1 - lowest) * unit()));
  k = csr_of(std::move(rows));
}

inline Instance block_instance(std::int64_t n, std::int64_t block, double density, double lowest, unsigned seed) {
  Instance instance(n);
  instance.importance.clear();
  block_ring(n, block, density, lowest, seed, instance.importance, instance.k);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t e = instance.k.indptr[at(i)]; e < instance.k.indptr[at(i + 1)]; ++e)
      instance.dense[at(i * n + instance.k.indices[at(e)])] = static_cast<double>(instance.k.values[at(e)]);
  return instance;
}

}  // namespace coremax::test
