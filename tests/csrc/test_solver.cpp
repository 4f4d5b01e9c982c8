// The solver against plain enumeration, and what it promises beyond the answer: a valid bound, a swap optimum, equal bits.
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
#include "solver/solver.h"
#include "solver/stages.h"

namespace {

using namespace coremax;
using solver::Options;
using solver::Problem;
using solver::Result;

constexpr double kSlack = 1e-9;  // of values around 1: rounding of sums, nothing else

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

Problem problem_of(const std::vector<double>& importance, const graph::Csr& k, std::int64_t budget, double alpha) {
  Problem problem;
  problem.importance = importance.data();
  problem.k = {static_cast<std::int64_t>(importance.size()), k.indptr.data(), k.indices.data(), k.values.data()};
  problem.alpha = alpha;
  problem.budget = budget;
  return problem;
}

// A problem with its data, and f by definition over a dense K.
struct Instance {
  std::int64_t n;
  std::vector<double> importance;
  std::vector<double> dense;
  graph::Csr k;

  explicit Instance(std::int64_t size) : n(size), importance(at(size), 0.0), dense(at(size * size), 0.0) {}
  void connect(std::int64_t i, std::int64_t j, float value) { dense[at(i * n + j)] = dense[at(j * n + i)] = static_cast<double>(value); }
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
  double f_of_mask(unsigned mask, double alpha) const {
    std::vector<std::int64_t> subset;
    for (std::int64_t i = 0; i < n; ++i)
      if (mask >> i & 1) subset.push_back(i);
    return f(subset, alpha);
  }
  // The optimum for every budget, by enumeration: best[p].
  std::vector<double> optima(double alpha) const {
    std::vector<double> best(at(n + 1), -std::numeric_limits<double>::infinity());
    for (unsigned mask = 0; mask < 1u << n; ++mask) {
      double& value = best[static_cast<std::size_t>(std::popcount(mask))];
      value = std::max(value, f_of_mask(mask, alpha));
    }
    return best;
  }
};

enum class Sign { positive, negative, mixed };

Instance random_instance(std::int64_t n, Sign sign, double density, unsigned seed) {
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

Result solve(const Problem& problem, const Options& options = {}, int threads = 1) {
  ThreadPool pool(threads);
  return solver::solve(problem, options, pool);
}

// The relaxed methods are spoken of by the one that has a guarantee for every iteration.
Options projected_gradient() {
  Options options;
  options.method = solver::Method::pgd;
  options.max_iterations = -1;
  return options;
}

bool is_subset_of_size(const Result& result, std::int64_t n, std::int64_t p) {
  if (static_cast<std::int64_t>(result.indices.size()) != p) return false;
  for (std::size_t i = 0; i < result.indices.size(); ++i)
    if (result.indices[i] < 0 || result.indices[i] >= n || (i > 0 && result.indices[i] <= result.indices[i - 1])) return false;
  return true;
}

// What the best swap of one element in against one out would add to f.
double best_swap(const Instance& instance, const std::vector<std::int64_t>& subset, double alpha) {
  const double value = instance.f(subset, alpha);
  double best = -std::numeric_limits<double>::infinity();
  for (std::size_t out = 0; out < subset.size(); ++out)
    for (std::int64_t in = 0; in < instance.n; ++in) {
      if (std::find(subset.begin(), subset.end(), in) != subset.end()) continue;
      auto swapped = subset;
      swapped[out] = in;
      best = std::max(best, instance.f(swapped, alpha) - value);
    }
  return best;
}

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

TEST(solver_agrees_with_enumeration) {
  int solved = 0;
  int optimal = 0;
  for_each_instance([&](const Instance& instance, Sign, double alpha) {
    const auto optima = instance.optima(alpha);
    for (std::int64_t p = 1; p <= instance.n; ++p) {
      const Result result = solve(instance.problem(p, alpha));
      const std::string where = "n " + std::to_string(instance.n) + " p " + std::to_string(p) + " alpha " + std::to_string(alpha);
      CHECK_AT(where, is_subset_of_size(result, instance.n, p));
      CHECK_AT(where, std::abs(result.objective - instance.f(result.indices, alpha)) <= kSlack);
      CHECK_AT(where, result.objective <= optima[at(p)] + kSlack);
      CHECK_AT(where, result.upper_bound >= optima[at(p)] - 1e-13 * (1 + std::abs(optima[at(p)])));
      CHECK_AT(where, result.upper_bound >= result.objective);
      CHECK_AT(where, best_swap(instance, result.indices, alpha) <= kSlack);
      if (alpha == 0) CHECK_AT(where, result.objective >= optima[at(p)] - kSlack);
      ++solved;
      optimal += result.objective >= optima[at(p)] - kSlack;
    }
  });
  // A local search is not exact, but on problems this small it nearly always is.
  CHECK_AT(std::to_string(optimal) + " of " + std::to_string(solved), optimal >= 0.9 * solved);
}

TEST(solver_rounding_loses_nothing_where_similarities_are_not_negative) {
  for_each_instance([&](const Instance& instance, Sign sign, double alpha) {
    if (sign != Sign::positive) return;
    for (std::int64_t p = 1; p <= instance.n; ++p) {
      Options options = projected_gradient();
      options.polish = false;
      for (const std::int64_t iterations : {1, 3, 300}) {
        options.max_iterations = iterations;
        const Result result = solve(instance.problem(p, alpha), options);
        CHECK(is_subset_of_size(result, instance.n, p));
        CHECK(result.objective >= result.history.back() - kSlack);
        CHECK(result.swaps == 0);
      }
    }
  });
}

TEST(solver_ascends_on_feasible_points) {
  for_each_instance([&](const Instance& instance, Sign, double alpha) {
    for (std::int64_t p = 1; p <= instance.n; ++p) {
      const Result result = solve(instance.problem(p, alpha), projected_gradient());
      CHECK(std::abs(std::accumulate(result.x.begin(), result.x.end(), 0.0) - static_cast<double>(p)) <= kSlack);
      CHECK(std::all_of(result.x.begin(), result.x.end(), [](double x) { return x >= 0 && x <= 1; }));
      for (std::size_t i = 1; i < result.history.size(); ++i) CHECK(result.history[i] >= result.history[i - 1] - kSlack);
      CHECK(static_cast<std::int64_t>(result.history.size()) == result.iterations + 1);
    }
  });
}

// Ten-element blocks without edges between them: the optimum follows from the blocks' optima for every share of the budget.
TEST(solver_bound_holds_on_larger_problems) {
  constexpr std::int64_t kBlock = 10;
  constexpr std::int64_t kBlocks = 20;
  for (const Sign sign : {Sign::positive, Sign::negative, Sign::mixed})
    for (const double alpha : {0.1, 1.0}) {
      Instance all(kBlock * kBlocks);
      std::vector<double> best{0.0};  // by budget, over the blocks so far
      for (std::int64_t b = 0; b < kBlocks; ++b) {
        const Instance block = random_instance(kBlock, sign, 0.6, static_cast<unsigned>(1000 + b));
        for (std::int64_t i = 0; i < kBlock; ++i) {
          all.importance[at(b * kBlock + i)] = block.importance[at(i)];
          for (std::int64_t j = 0; j < i; ++j) all.connect(b * kBlock + i, b * kBlock + j, static_cast<float>(block.dense[at(i * kBlock + j)]));
        }
        const auto optima = block.optima(alpha);
        std::vector<double> next(best.size() + kBlock, -std::numeric_limits<double>::infinity());
        for (std::size_t p = 0; p < best.size(); ++p)
          for (std::size_t q = 0; q <= kBlock; ++q) next[p + q] = std::max(next[p + q], best[p] + optima[q]);
        best = next;
      }
      all.finish();
      for (const std::int64_t p : {1, 20, 100, 199}) {
        const double optimum = best[at(p)];
        const Result result = solve(all.problem(p, alpha), {}, 2);
        const std::string where = "sign " + std::to_string(static_cast<int>(sign)) + " p " + std::to_string(p) + " alpha " + std::to_string(alpha) + ": " +
                                  std::to_string(result.objective) + " <= " + std::to_string(optimum) + " <= " + std::to_string(result.upper_bound);
        CHECK_AT(where, result.upper_bound >= optimum - 1e-11 * (1 + std::abs(optimum)));
        CHECK_AT(where, result.objective <= optimum + kSlack * (1 + std::abs(optimum)));
        CHECK_AT(where, result.objective >= optimum - 0.05 * (1 + std::abs(optimum)));
        if (sign == Sign::positive && p <= 20) CHECK_AT(where, result.upper_bound <= optimum + 0.1 * (1 + std::abs(optimum)));
        CHECK_AT(where, best_swap(all, result.indices, alpha) <= kSlack);
      }
    }
}

// The bounds themselves: a result takes the larger of bound and value found, which would hide a bound that is too low.
TEST(bounds_hold_before_the_value_found_props_them_up) {
  ThreadPool pool(1);
  const auto check = [&](const Instance& instance, double alpha) {
    const auto optima = instance.optima(alpha);
    for (std::int64_t p = 1; p <= instance.n; ++p) {
      const Problem problem = instance.problem(p, alpha);
      const double slack = 1e-13 * (1 + std::abs(optima[at(p)]));
      CHECK(solver::modular_bound(problem, pool).value >= optima[at(p)] - slack);
      const solver::Spectrum ends = solver::spectrum(problem.k, 3, pool);
      if (alpha == 0 || (ends.highest <= 0 && ends.lowest >= 0)) continue;
      solver::Subset start(at(instance.n), 0);
      std::fill_n(start.begin(), p, std::uint8_t{1});
      const solver::Run run({}, pool);
      const double shifted = solver::diagonal_shift_bound(problem, ends, start, run).value;
      CHECK_AT("n " + std::to_string(instance.n) + " p " + std::to_string(p), shifted >= optima[at(p)] - slack);
    }
  };
  for_each_instance([&](const Instance& instance, Sign, double alpha) { check(instance, alpha); });
  // Among equals all joined to all, the bound of the exact shift is the optimum: the least error shows.
  Instance complete(10);
  std::fill(complete.importance.begin(), complete.importance.end(), 1.0);
  for (std::int64_t i = 0; i < 10; ++i)
    for (std::int64_t j = 0; j < i; ++j) complete.connect(i, j, 0.5f);
  complete.finish();
  check(complete, 0.7);
  const Result result = solve(complete.problem(4, 0.7));
  CHECK(result.upper_bound - result.objective <= 1e-4);
}

TEST(solver_bound_is_tight_where_there_is_no_redundancy) {
  Instance instance = random_instance(9, Sign::positive, 0.5, 77);
  const Result plain = solve(instance.problem(4, 0));
  CHECK(plain.bound_kind == solver::BoundKind::modular);
  CHECK(plain.upper_bound - plain.objective <= 1e-10);
  CHECK(plain.iterations == 0 && plain.status == solver::Status::converged);
  std::fill(instance.dense.begin(), instance.dense.end(), 0.0);
  instance.finish();
  const Result empty = solve(instance.problem(4, 1));
  CHECK(empty.indices == plain.indices);
  Options without;
  without.bound = solver::BoundEffort::none;
  CHECK(solve(instance.problem(4, 1), without).bound_kind == solver::BoundKind::none);
}

TEST(solver_breaks_ties_to_the_lower_number) {
  Instance instance(7);
  std::fill(instance.importance.begin(), instance.importance.end(), 1.0);
  instance.finish();
  CHECK(solve(instance.problem(3, 0)).indices == std::vector<std::int64_t>{0, 1, 2});
  CHECK(solve(instance.problem(7, 1)).indices.size() == 7);
}

TEST(solver_takes_apart_a_cluster_of_duplicates) {
  // Two clusters of three duplicates each: one of either is the only optimum.
  Instance instance(6);
  instance.importance = {1, 0.9, 0.8, 0.7, 0.6, 0.5};
  for (const std::int64_t c : {0, 3})
    for (std::int64_t i = c; i < c + 3; ++i)
      for (std::int64_t j = c; j < i; ++j) instance.connect(i, j, 1);
  instance.finish();
  const Result result = solve(instance.problem(2, 1));
  CHECK(result.indices == std::vector<std::int64_t>{0, 3});
  CHECK(std::abs(result.objective - 1.7) <= kSlack);
}

// A graph of more elements than one reduction block: a ring of random similarities with chords.
void large_instance(std::int64_t n, bool negative, std::vector<double>& importance, graph::Csr& k) {
  std::mt19937 random(91);
  std::vector<std::vector<std::pair<std::int32_t, float>>> rows(at(n));
  const auto connect = [&](std::int64_t i, std::int64_t j) {
    const float value = static_cast<float>(random() % 1000) / 1000 - (negative ? 0.3f : 0.0f);
    const auto known = [&](const auto& edge) { return edge.first == static_cast<std::int32_t>(j); };
    if (i == j || std::any_of(rows[at(i)].begin(), rows[at(i)].end(), known)) return;
    rows[at(i)].emplace_back(static_cast<std::int32_t>(j), value);
    rows[at(j)].emplace_back(static_cast<std::int32_t>(i), value);
  };
  for (std::int64_t i = 0; i < n; ++i) {
    importance.push_back(static_cast<double>(random() % 10'000) / 10'000);
    connect(i, (i + 1) % n);
    connect(i, static_cast<std::int64_t>(random()) % n);
  }
  k.indptr.push_back(0);
  for (auto& row : rows) {
    std::sort(row.begin(), row.end());
    for (const auto& [column, value] : row) {
      k.indices.push_back(column);
      k.values.push_back(value);
    }
    k.indptr.push_back(static_cast<std::int64_t>(k.indices.size()));
  }
}

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

TEST(solver_has_the_same_bits_for_any_thread_count) {
  constexpr std::int64_t kN = 9001;
  for (const bool negative : {false, true}) {
    std::vector<double> importance;
    graph::Csr k;
    large_instance(kN, negative, importance, k);
    const Problem problem = problem_of(importance, k, 2500, 0.4);
    Options options;
    options.max_iterations = 12;
    options.seed = 5;
    const Result first = solve(problem, options, 1);
    CHECK(is_subset_of_size(first, kN, 2500));
    CHECK(first.swaps > 0);
    CHECK(first.upper_bound >= first.objective);
    CHECK(first.upper_bound <= 1.2 * first.objective);
    for (const int threads : {2, 3}) {
      const Result other = solve(problem, options, threads);
      CHECK(other.indices == first.indices);
      CHECK(same_bits(other.x, first.x));
      CHECK(same_bits(other.history, first.history));
      CHECK(same_bits({other.objective, other.upper_bound}, {first.objective, first.upper_bound}));
      CHECK(other.swaps == first.swaps && other.iterations == first.iterations && other.bound_kind == first.bound_kind);
    }
    ThreadPool pool(2);
    CHECK(std::abs(solver::objective(problem, first.indices, pool) - first.objective) <= 1e-9 * first.objective);
  }
}

TEST(solver_starts_where_it_is_told) {
  const Instance instance = random_instance(10, Sign::positive, 1.0, 55);
  const std::vector<double> far(10, 1e6);
  std::vector<double> binary(10, 0.0);
  for (const std::size_t i : {1, 4, 7}) binary[i] = 1;
  Options options = projected_gradient();
  options.x0 = binary.data();
  const Result from_binary = solve(instance.problem(3, 0.5), options);
  CHECK(std::abs(from_binary.history.front() - instance.f({1, 4, 7}, 0.5)) <= kSlack);
  options.x0 = far.data();
  const Result from_far = solve(instance.problem(3, 0.5), options);
  const Result from_centre = solve(instance.problem(3, 0.5), projected_gradient());
  CHECK(std::abs(from_far.history.front() - from_centre.history.front()) <= 1e-6);
}

TEST(solver_obeys_its_callback_and_its_clock) {
  const Instance instance = random_instance(10, Sign::positive, 1.0, 56);
  Options options = projected_gradient();
  options.tolerance = 0;
  std::vector<std::int64_t> seen;
  std::vector<double> values;
  options.callback = [&](const solver::Iteration& info) {
    CHECK(info.method == solver::Method::pgd);
    CHECK(std::isfinite(info.objective) && info.seconds >= 0);
    CHECK(info.upper_bound >= instance.optima(0.5)[4] - kSlack);
    seen.push_back(info.iteration);
    values.push_back(info.objective);
    return info.iteration == 3;
  };
  const Result interrupted = solve(instance.problem(4, 0.5), options);
  CHECK(interrupted.status == solver::Status::interrupted);
  CHECK(seen == std::vector<std::int64_t>{1, 2, 3});
  CHECK(values == std::vector<double>(interrupted.history.begin() + 1, interrupted.history.end()));
  CHECK(is_subset_of_size(interrupted, 10, 4));
  Options hurried;
  hurried.time_limit = 1e-9;
  const Result late = solve(instance.problem(4, 0.5), hurried);
  CHECK(late.status == solver::Status::time_limit);
  CHECK(is_subset_of_size(late, 10, 4));
  CHECK(late.upper_bound >= instance.optima(0.5)[4]);
  Options short_run = projected_gradient();
  short_run.max_iterations = 1;
  short_run.tolerance = 0;
  CHECK(solve(instance.problem(4, 0.5), short_run).status == solver::Status::max_iterations);
}

TEST(solver_passes_a_stop_on) {
  struct Stop : Control {
    int left = 3;
    void check() override {
      if (left-- == 0) throw std::runtime_error("stop");
    }
  } stop;
  const Instance instance = random_instance(10, Sign::mixed, 1.0, 57);
  ThreadPool pool(2, &stop);
  CHECK_THROWS(std::runtime_error, "stop", solver::solve(instance.problem(4, 0.5), {}, pool));
  stop.left = 1'000'000;
  CHECK(is_subset_of_size(solver::solve(instance.problem(4, 0.5), {}, pool), 10, 4));
}

TEST(solver_checks_its_input) {
  Instance instance = random_instance(5, Sign::positive, 0.5, 58);
  for (const std::int64_t p : {-1, 0, 6}) CHECK_THROWS(Error, "budget must be from 1 to n = 5, got " + std::to_string(p), solve(instance.problem(p, 1)));
  for (const double alpha : {-0.5, std::nan(""), std::numeric_limits<double>::infinity()})
    CHECK_THROWS(Error, "alpha must be from 0 to 1e100", solve(instance.problem(2, alpha)));
  std::vector<double> x0(5, 0.4);
  x0[3] = std::nan("");
  Options options;
  options.x0 = x0.data();
  CHECK_THROWS(Error, "x0[3] is not finite", solve(instance.problem(2, 1), options));
  instance.importance[2] = 1e200;
  CHECK_THROWS(Error, "importance[2] is 1e+200, beyond the range", solve(instance.problem(2, 1)));
  instance.importance[2] = -std::numeric_limits<double>::infinity();
  CHECK_THROWS(Error, "importance[2] is -inf; importance must be finite", solve(instance.problem(2, 1)));
}

TEST(solver_answers_at_extreme_scales) {
  const Instance instance = random_instance(8, Sign::mixed, 1.0, 59);
  for (const double alpha : {1e-320, 1e-300, 1e-12, 1e12}) {
    const auto optima = instance.optima(alpha);
    for (std::int64_t p = 1; p <= 8; ++p) {
      const Result result = solve(instance.problem(p, alpha));
      const std::string where = "alpha 2^" + std::to_string(std::log2(alpha)) + " p " + std::to_string(p);
      CHECK_AT(where, is_subset_of_size(result, 8, p));
      CHECK_AT(where, std::isfinite(result.upper_bound) && result.upper_bound >= optima[at(p)] - 1e-12 * (1 + std::abs(optima[at(p)])));
      CHECK_AT(where, best_swap(instance, result.indices, alpha) <= kSlack * (1 + alpha));
      CHECK_AT(where, std::all_of(result.x.begin(), result.x.end(), [](double x) { return x >= 0 && x <= 1; }));
    }
  }
}

}  // namespace
