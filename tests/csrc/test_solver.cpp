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
#include "solver/stages.h"
#include "solver_instances.h"

namespace {

using namespace coremax;
using namespace coremax::test;
using solver::Options;
using solver::Result;

constexpr double kSlack = 1e-9;  // of values around 1: rounding of sums, nothing else

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

TEST(solver_agrees_with_enumeration) {
  int solved = 0;
  int optimal = 0;
  Options search;
  search.method = solver::Method::heat_bath;
  for_each_instance([&](const Instance& instance, Sign, double alpha) {
    const auto optima = instance.optima(alpha);
    for (std::int64_t p = 1; p <= instance.n; ++p) {
      const Result result = solve(instance.problem(p, alpha), search);
      const std::string where =
          "n " + std::to_string(instance.n) + " p " + std::to_string(p) + " alpha " + std::to_string(alpha);
      CHECK_AT(where, is_subset_of_size(result, instance.n, p));
      CHECK_AT(where, std::abs(result.objective - instance.f(result.indices, alpha)) <= kSlack);
      CHECK_AT(where, result.objective <= optima[at(p)] + kSlack);
      CHECK_AT(where, result.upper_bound >= optima[at(p)] - 1e-13 * (1 + std::abs(optima[at(p)])));
      CHECK_AT(where, result.upper_bound >= result.objective);
      CHECK_AT(where, best_swap(instance, result.indices, alpha) <= kSlack);
      if (alpha == 0) CHECK_AT(where, result.objective >= optima[at(p)] - kSlack);
      ++solved;
      optimal += result.objective >= optima[at(p)] - kSlack;
      CHECK_AT(where, solve(instance.problem(p, alpha)).objective >= optima[at(p)] - kSlack);
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
          for (std::int64_t j = 0; j < i; ++j)
            all.connect(b * kBlock + i, b * kBlock + j, static_cast<float>(block.dense[at(i * kBlock + j)]));
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
        const std::string where = "sign " + std::to_string(static_cast<int>(sign)) + " p " + std::to_string(p) + " alpha " +
                                  std::to_string(alpha) + ": " + std::to_string(result.objective) +
                                  " <= " + std::to_string(optimum) + " <= " + std::to_string(result.upper_bound);
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
  Options tight;
  tight.bound = solver::BoundEffort::tight;
  const Result result = solve(complete.problem(4, 0.7), tight);
  CHECK_AT(std::to_string(result.upper_bound - result.objective), result.upper_bound - result.objective <= 1e-4);
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

// Counts of 400 seeds with a mean of 171 and a standard deviation of 9.9: six of them are exceeded with a chance of 2e-9 each.
TEST(solver_breaks_ties_by_the_seed) {
  Instance instance(7);
  std::fill(instance.importance.begin(), instance.importance.end(), 1.0);
  instance.finish();
  for (const double alpha : {0.0, 1.0}) {
    std::vector<int> kept(7, 0);
    Options options;
    for (options.seed = 0; options.seed < 400; ++options.seed)
      for (const std::int64_t i : solve(instance.problem(3, alpha), options).indices) ++kept[at(i)];
    for (const int count : kept) CHECK(std::abs(count - 171.4) < 6 * 9.9);
  }
  CHECK(solve(instance.problem(7, 1)).indices.size() == 7);
}

TEST(elements_are_put_in_a_random_order_where_some_are_tied) {
  Instance instance(300);
  for (std::size_t i = 0; i < 300; ++i) instance.importance[i] = static_cast<double>(i) * 0.1;
  instance.finish();
  CHECK(solver::order_of_ties(instance.problem(9, 1), 5).empty());
  instance.importance[200] = -0.0;  // as large as that of the first
  const std::vector<std::int64_t> order = solver::order_of_ties(instance.problem(9, 1), 5);
  CHECK(std::is_permutation(order.begin(), order.end(), solver::order_of_ties(instance.problem(9, 1), 6).begin()));
  CHECK(order != solver::order_of_ties(instance.problem(9, 1), 6));
  CHECK(!std::is_sorted(order.begin(), order.end()));
  std::vector<std::int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted.size() == 300 && sorted.front() == 0 && sorted.back() == 299 &&
        std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end());
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

TEST(solver_has_the_same_bits_for_any_thread_count) {
  constexpr std::int64_t kN = 9001;
  for (const solver::Method method : {solver::Method::automatic, solver::Method::pgd}) {
    const bool negative = method == solver::Method::pgd;
    std::vector<double> importance;
    graph::Csr k;
    large_instance(kN, negative, importance, k);
    const Problem problem = problem_of(importance, k, 2500, 0.4);
    Options options;
    options.method = method;
    options.max_iterations = 12;
    options.seed = 5;
    options.bound = negative ? solver::BoundEffort::fast : solver::BoundEffort::tight;
    const Result first = solve(problem, options, 1);
    CHECK(is_subset_of_size(first, kN, 2500));
    CHECK(first.swaps > 0 || method == solver::Method::automatic);
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
  for (const std::int64_t p : {-1, 0, 6})
    CHECK_THROWS(Error, "budget must be from 1 to n = 5, got " + std::to_string(p), solve(instance.problem(p, 1)));
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
      CHECK_AT(where, std::isfinite(result.upper_bound) &&
                          result.upper_bound >= optima[at(p)] - 1e-12 * (1 + std::abs(optima[at(p)])));
      CHECK_AT(where, best_swap(instance, result.indices, alpha) <= kSlack * (1 + alpha));
      CHECK_AT(where, std::all_of(result.x.begin(), result.x.end(), [](double x) { return x >= 0 && x <= 1; }));
    }
  }
}

// The stages one by one, under limits.

double largest_f(const Limited& limited, const std::vector<Subset>& subsets) {
  double best = -std::numeric_limits<double>::infinity();
  for (const Subset& subset : subsets) best = std::max(best, limited.f(subset));
  return best;
}

TEST(presolve_agrees_with_every_optimum) {
  ThreadPool pool(1);
  std::int64_t proved = 0;
  std::int64_t open = 0;
  for_each_limited({1, 2, 3, 6, 9}, 12, [&](Limited& limited, const std::string& where) {
    for (const double weaker : {1.0, 0.1, 0.0}) {
      limited.problem.alpha *= weaker;
      const auto subsets = limited.feasible_subsets();
      const double best = largest_f(limited, subsets);
      const solver::Reduced reduced(limited.problem, true, pool);
      const Subset in = reduced.expand(Subset(at(reduced.problem().n()), 0));
      const Subset not_out = reduced.expand(Subset(at(reduced.problem().n()), 1));
      std::int64_t fixed = 0;
      for (std::size_t i = 0; i < in.size(); ++i) fixed += in[i] == not_out[i];
      CHECK_AT(where, fixed == reduced.n_proved() && fixed + reduced.problem().n() == limited.instance.n);
      CHECK_AT(where, limited.costs.empty() || fixed == 0);
      for (const Subset& subset : subsets) {
        if (limited.f(subset) < best - kSlack) continue;
        for (std::size_t i = 0; i < in.size(); ++i) CHECK_AT(where, in[i] <= subset[i] && subset[i] <= not_out[i]);
      }
      proved += fixed;
      open += reduced.problem().n();
    }
  });
  CHECK_AT(std::to_string(proved) + " proved, " + std::to_string(open) + " open", proved > open / 4 && open > proved / 4);
}

TEST(presolve_leaves_the_same_problem) {
  ThreadPool pool(1);
  for_each_limited({1, 2, 5, 8}, 4, [&](Limited& limited, const std::string& where) {
    const auto unfixed = limited.feasible_subsets();
    limited.fix_some(unfixed[unfixed.size() / 2], static_cast<unsigned>(unfixed.size()));
    const auto whole = limited.feasible_subsets();
    const solver::Reduced reduced(limited.problem, false, pool);
    const Problem& part = reduced.problem();
    CHECK_AT(where, reduced.n_proved() == 0 && part.fixed == nullptr);
    CHECK_AT(where, solver::has_costs(part) == solver::has_costs(limited.problem) &&
                        solver::has_groups(part) == solver::has_groups(limited.problem));
    // Every subset of the part is feasible there if and only if it is in the whole, and has the same f.
    std::size_t feasible = 0;
    Subset subset(at(part.n()));
    for (unsigned mask = 0; mask < 1u << part.n(); ++mask) {
      for (std::size_t i = 0; i < subset.size(); ++i) subset[i] = mask >> i & 1;
      const Subset expanded = reduced.expand(subset);
      CHECK_AT(where, solver::Ledger(part, subset).feasible() == limited.meets(expanded));
      const double value = reduced.constant() + solver::subset_objective(part, subset, pool);
      CHECK_AT(where, std::abs(value - limited.f(expanded)) <= kSlack);
      CHECK_AT(where, reduced.restrict(solver::as_vector(expanded).data()) == solver::as_vector(subset));
      feasible += limited.meets(expanded);
    }
    CHECK_AT(where, feasible == whole.size());
  });
}

double dot(const Vector& a, const Vector& b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

// Whether a relaxed point is within the limits, up to a slack that is relative for costs.
bool is_inside(const Limited& limited, const Vector& x, double slack, double group_slack) {
  const Problem& problem = limited.problem;
  if (!std::all_of(x.begin(), x.end(), [](double value) { return value >= 0 && value <= 1; })) return false;
  std::vector<double> inside(problem.limits.size(), 0.0);
  for (std::size_t i = 0; i < x.size() && !inside.empty(); ++i) inside[at(limited.groups[i])] += x[i];
  for (std::size_t g = 0; g < inside.size(); ++g)
    if (inside[g] < static_cast<double>(problem.limits[g].low) - group_slack ||
        inside[g] > static_cast<double>(problem.limits[g].high) + group_slack)
      return false;
  if (!limited.costs.empty()) return dot(x, limited.costs) <= problem.cost_limit * (1 + slack);
  return std::abs(std::accumulate(x.begin(), x.end(), 0.0) - static_cast<double>(problem.budget)) <= slack;
}

// A feasible point that attains a value no feasible point exceeds: both are what they say.
TEST(support_is_the_maximum_over_the_relaxed_set) {
  ThreadPool pool(2);
  for_each_limited({1, 2, 4, 7, 10}, 4, [&](Limited& limited, const std::string& where) {
    std::mt19937 random(static_cast<unsigned>(limited.instance.n));
    const auto subsets = limited.feasible_subsets();
    for (const double scale : {1e-8, 1.0, 1e12})
      for (const double shift : {-2.0, 0.0, 2.0}) {
        Vector s(at(limited.instance.n));
        for (double& value : s) value = scale * (shift + std::round(static_cast<double>(random() % 64)) / 16 - 2);
        const solver::Support found = solver::support(limited.problem, s, pool);
        const double upper = solver::padded(found.value);
        double best = -std::numeric_limits<double>::infinity();
        for (const Subset& subset : subsets) best = std::max(best, dot(s, solver::as_vector(subset)));
        CHECK_AT(where, upper >= best);
        // The prices prove it: no feasible subset pays more than what the paid-for gains leave of the maximum.
        Vector price(s.size(), found.threshold);
        double surplus = 0;
        for (std::size_t i = 0; i < s.size(); ++i) {
          if (!found.extra.empty()) price[i] += found.extra[i];
          surplus += std::max(0.0, s[i] - price[i]);
        }
        for (const Subset& subset : subsets)
          CHECK_AT(where, dot(price, solver::as_vector(subset)) <= upper - surplus + 1e-6 * scale);
        CHECK_AT(where, is_inside(limited, found.x, 1e-9, 1e-9));
        CHECK_AT(where, upper >= dot(s, found.x) - 1e-12 * scale);
        CHECK_AT(where, upper <= dot(s, found.x) + 1e-6 * scale);
        if (limited.costs.empty()) CHECK_AT(where, upper <= best + 1e-6 * scale);
        if (limited.costs.empty() || !limited.groups.empty()) continue;
        // The fractional knapsack by its textbook greedy.
        std::vector<std::size_t> order(s.size());
        std::iota(order.begin(), order.end(), 0);
        std::sort(order.begin(), order.end(),
                  [&](std::size_t a, std::size_t b) { return s[a] / limited.costs[a] > s[b] / limited.costs[b]; });
        double left = limited.problem.cost_limit;
        double knapsack = 0;
        for (const std::size_t i : order) {
          if (s[i] <= 0) break;
          const double share = std::min(1.0, left / limited.costs[i]);
          knapsack += share * s[i];
          left -= share * limited.costs[i];
        }
        CHECK_AT(where, upper >= knapsack - 1e-12 * scale && upper <= knapsack + 1e-6 * scale);
      }
  });
}

TEST(completion_makes_any_subset_feasible) {
  ThreadPool pool(1);
  for_each_limited({1, 2, 3, 5, 8, 11}, 4, [&](Limited& limited, const std::string& where) {
    std::mt19937 random(99);
    const auto subsets = limited.feasible_subsets();
    for (int turn = 0; turn < 12; ++turn) {
      Subset subset(at(limited.instance.n));
      for (auto& side : subset) side = turn == 0 ? 0 : turn == 1 ? 1 : static_cast<std::uint8_t>(random() % 2);
      if (turn >= 10) subset = subsets[random() % subsets.size()];
      const Subset given = subset;
      solver::complete(limited.problem, subset, pool);
      CHECK_AT(where, limited.meets(subset));
      if (!limited.meets(given)) continue;
      // What is feasible loses nothing; without costs there is nothing to add either.
      for (std::size_t i = 0; i < subset.size(); ++i) CHECK_AT(where, given[i] <= subset[i]);
      CHECK_AT(where, limited.costs.empty() ? subset == given : limited.f(subset) >= limited.f(given) - kSlack);
    }
  });
}

TEST(completion_of_the_empty_set_is_the_greedy_algorithm) {
  ThreadPool pool(1);
  for (unsigned seed = 0; seed < 60; ++seed) {
    const std::int64_t n = 1 + seed % 40;
    Limited limited(n, Sign::positive, seed % 4 == 1, seed % 4 >= 2, seed % 3 == 0, seed);
    if (seed % 4 == 1)
      for (auto& limit : limited.problem.limits) limit.low = 0;
    const Problem& problem = limited.problem;
    Subset textbook(at(n), 0);
    for (;;) {
      const solver::Ledger ledger(problem, textbook);
      Vector gain = solver::gains(problem, solver::multiply(problem.k, solver::as_vector(textbook), pool), pool);
      std::int64_t best = -1;
      for (std::int64_t i = 0; i < n; ++i) {
        gain[at(i)] /= solver::cost(problem, i);
        const bool pays = !solver::has_costs(problem) || gain[at(i)] > 0;
        if (!textbook[at(i)] && pays && ledger.can_add(i) && (best < 0 || gain[at(i)] > gain[at(best)])) best = i;
      }
      if (best < 0) break;
      textbook[at(best)] = 1;
    }
    Subset subset(at(n), 0);
    solver::complete(problem, subset, pool);
    CHECK_AT("seed " + std::to_string(seed), subset == textbook);
  }
}

TEST(ledger_keeps_count) {
  for_each_limited({1, 3, 9, 40}, 1, [&](Limited& limited, const std::string& where) {
    const Problem& problem = limited.problem;
    std::mt19937 random(7);
    Subset subset(at(problem.n()));
    for (auto& side : subset) side = static_cast<std::uint8_t>(random() % 2);
    solver::Ledger ledger(problem, subset);
    for (int turn = 0; turn < 300; ++turn) {
      const auto i = static_cast<std::int64_t>(random() % subset.size());
      const auto j = static_cast<std::int64_t>(random() % subset.size());
      subset[at(i)] ? ledger.drop(i) : ledger.add(i);
      subset[at(i)] ^= 1;
      const auto inside = [&](std::size_t g) {
        std::int64_t count = 0;
        for (std::size_t m = 0; m < subset.size(); ++m)
          count += subset[m] && solver::group(problem, static_cast<std::int64_t>(m)) == g;
        return count;
      };
      std::int64_t missing = 0;
      std::int64_t surplus = 0;
      for (std::size_t g = 0; g < problem.limits.size(); ++g) {
        CHECK_AT(where, ledger.in_group(g) == inside(g));
        missing += std::max<std::int64_t>(0, problem.limits[g].low - inside(g));
        surplus += std::max<std::int64_t>(0, inside(g) - problem.limits[g].high);
      }
      CHECK_AT(where, ledger.missing() == missing && ledger.surplus() == surplus);
      CHECK_AT(where, ledger.count() == std::count(subset.begin(), subset.end(), 1));
      long double used = 0;
      for (std::size_t m = 0; m < subset.size(); ++m)
        used += subset[m] ? solver::cost(problem, static_cast<std::int64_t>(m)) : 0.0;
      CHECK_AT(where, std::abs(ledger.used() - static_cast<double>(used)) <= 2e-16 * static_cast<double>(used));
      CHECK_AT(where, ledger.feasible() == limited.meets(subset));
      if (problem.limits.empty()) continue;
      const auto held = inside(solver::group(problem, i));
      const solver::GroupLimit limit = problem.limits[solver::group(problem, i)];
      CHECK_AT(where, ledger.group_takes(i) == (held < limit.high) && ledger.group_gives(i) == (held > limit.low));
      CHECK_AT(where, ledger.group_wants(i) == (held < limit.low) && ledger.group_overflows(i) == (held > limit.high));
      if (!limited.meets(subset) || subset[at(i)] || !subset[at(j)]) continue;
      Subset swapped = subset;
      std::swap(swapped[at(i)], swapped[at(j)]);
      CHECK_AT(where, ledger.can_swap(i, j) == limited.meets(swapped));
    }
  });
}

// Without compensation the many small costs after a large one would be lost, and come back wrong.
TEST(ledger_does_not_drift) {
  constexpr std::int64_t kN = 1000;
  const Instance instance(kN);
  std::vector<double> costs(at(kN), 0.1);
  costs[0] = 1e15;
  Problem problem;
  problem.k.n = kN;
  problem.costs = costs.data();
  problem.cost_limit = 100;
  solver::Ledger ledger(problem, Subset(at(kN), 0));
  for (int turn = 0; turn < 100; ++turn) {
    ledger.add(0);
    for (std::int64_t i = 1; i < kN; ++i) ledger.add(i);
    ledger.drop(0);
    CHECK(std::abs(ledger.used() - 99.9) <= 1e-9);
    CHECK(ledger.feasible());
    for (std::int64_t i = 1; i < kN; ++i) ledger.drop(i);
    CHECK(std::abs(ledger.used()) <= 1e-9);
  }
}

// The multipliers that belong to a point: one of the total, and one of each group, of the right signs, by which every
// coordinate is the response to its gradient.
struct Conditions {
  double largest_error = 0;
  bool signs_hold = true;
};
template <class Response>
Conditions conditions(const Limited& limited, const Vector& x, const solver::Multipliers& multipliers,
                      const Response& response) {
  const Problem& problem = limited.problem;
  Conditions found;
  std::vector<double> inside(problem.limits.size(), 0.0);
  for (std::int64_t i = 0; i < problem.n(); ++i) {
    double lambda = multipliers.total * solver::cost(problem, i);
    if (!inside.empty()) {
      lambda += multipliers.group[solver::group(problem, i)];
      inside[solver::group(problem, i)] += x[at(i)];
    }
    found.largest_error = std::max(found.largest_error, std::abs(x[at(i)] - response(i, lambda)));
  }
  if (solver::has_costs(problem)) {
    const bool all_spent = dot(x, limited.costs) >= problem.cost_limit * (1 - 1e-6);
    found.signs_hold = multipliers.total >= -1e-12 && (all_spent || multipliers.total <= 1e-12);
  }
  for (std::size_t g = 0; g < inside.size(); ++g) {
    if (multipliers.group[g] > 1e-9)
      found.signs_hold = found.signs_hold && inside[g] >= static_cast<double>(problem.limits[g].high) - 0.2;
    if (multipliers.group[g] < -1e-9)
      found.signs_hold = found.signs_hold && inside[g] <= static_cast<double>(problem.limits[g].low) + 0.2;
  }
  return found;
}

// Groups are fitted in turn and may be left a little off: rarely, and by less than an element.
constexpr double kGroupSlack = 0.9;

TEST(projection_meets_its_optimality_conditions) {
  ThreadPool pool(2);
  int grouped = 0;
  int exact = 0;
  for_each_limited({1, 2, 5, 9, 60}, 6, [&](Limited& limited, const std::string& where) {
    const std::int64_t n = limited.instance.n;
    std::mt19937 random(static_cast<unsigned>(n));
    const auto unit = [&] { return static_cast<double>(random() % 4096) / 4096; };
    for (const double step : {0.05, 1.0, 30.0}) {
      Vector x(at(n));
      Vector g(at(n));
      for (double& value : x) value = 3 * unit() - 1;
      for (double& value : g) value = 2 * unit() - 1;
      solver::Multipliers multipliers;
      const Vector y = solver::project(limited.problem, x, g, step, multipliers, pool);
      const auto response = [&](std::int64_t i, double lambda) {
        return std::clamp(x[at(i)] + step * (g[at(i)] - lambda), 0.0, 1.0);
      };
      const Conditions found = conditions(limited, y, multipliers, response);
      CHECK_AT(where + " error " + std::to_string(found.largest_error), found.largest_error <= 1e-8);
      CHECK_AT(where, found.signs_hold);
      CHECK_AT(where, is_inside(limited, y, limited.groups.empty() ? 1e-9 : 1e-6, kGroupSlack));
      grouped += !limited.groups.empty();
      exact += !limited.groups.empty() && is_inside(limited, y, 1e-6, 1e-2);
      // Of the set, no point is nearer: the way to any other leads away from x + step g.
      if (n > 9) continue;
      Vector away(at(n));
      for (std::size_t i = 0; i < away.size(); ++i) away[i] = x[i] + step * g[i] - y[i];
      for (const Subset& subset : limited.feasible_subsets())
        CHECK_AT(where, dot(away, solver::as_vector(subset)) <= dot(away, y) + 1e-2 * (1 + step));
    }
  });
  CHECK_AT(std::to_string(exact) + " of " + std::to_string(grouped), exact >= 0.9 * grouped);
}

TEST(fermi_meets_its_optimality_conditions) {
  ThreadPool pool(2);
  int grouped = 0;
  int exact = 0;
  for_each_limited({1, 2, 5, 9, 60}, 6, [&](Limited& limited, const std::string& where) {
    const std::int64_t n = limited.instance.n;
    std::mt19937 random(static_cast<unsigned>(n));
    for (const double temperature : {0.01, 0.3, 10.0}) {
      Vector g(at(n));
      for (double& value : g) value = static_cast<double>(random() % 4096) / 2048 - 1;
      solver::Multipliers multipliers;
      const Vector y = solver::fermi(limited.problem, g, temperature, multipliers, pool);
      const auto response = [&](std::int64_t i, double lambda) {
        return 1 / (1 + std::exp((lambda - g[at(i)]) / temperature));
      };
      const Conditions found = conditions(limited, y, multipliers, response);
      CHECK_AT(where + " error " + std::to_string(found.largest_error), found.largest_error <= 1e-8);
      CHECK_AT(where, found.signs_hold);
      CHECK_AT(where, is_inside(limited, y, limited.groups.empty() ? 1e-9 : 1e-6, kGroupSlack));
      grouped += !limited.groups.empty();
      exact += !limited.groups.empty() && is_inside(limited, y, 1e-6, 1e-2);
    }
  });
  CHECK_AT(std::to_string(exact) + " of " + std::to_string(grouped), exact >= 0.9 * grouped);
}

// With gains of so large a scale that the response is a staircase in a group's multiplier, Newton's method stands still.
TEST(multipliers_are_found_in_few_steps_at_any_scale) {
  struct Count : Control {
    int looks = 0;
    void check() override {
      if (++looks > 20'000) throw std::runtime_error("too many");
    }
  };
  const std::vector<std::int32_t> groups = {0, 0, 1, 2, 0, 1, 1, 2, 2, 2};
  const std::vector<double> costs = {16.3, 3.48, 2.48, 0.96, 4.61, 1, 2, 3, 4, 5};
  std::mt19937 random(5);
  for (const double scale : {1.0, 1e9, 1e15, 1e22, 1e60, 1e100})
    for (const bool priced : {false, true}) {
      Problem problem;
      problem.k.n = 10;
      problem.budget = 5;
      problem.groups = groups.data();
      problem.limits = {{2, 3}, {0, 1}, {1, 2}};
      if (priced) {
        problem.costs = costs.data();
        problem.cost_limit = 16;
      }
      for (int turn = 0; turn < 20; ++turn) {
        Vector g(10);
        for (double& value : g) value = turn % 2 == 0 ? scale : scale * static_cast<double>(random() % 1000) / 1000;
        for (const bool soft : {false, true}) {
          Count count;
          ThreadPool pool(1, &count);
          solver::Multipliers multipliers;
          const Vector x = soft ? solver::fermi(problem, g, 0.3, multipliers, pool)
                                : solver::project(problem, Vector(10, 0.4), g, 1.0, multipliers, pool);
          double used = 0;
          for (std::int64_t i = 0; i < 10; ++i) used += x[at(i)] * solver::cost(problem, i);
          CHECK_AT(std::to_string(scale),
                   std::all_of(x.begin(), x.end(), [](double value) { return value >= 0 && value <= 1; }));
          CHECK_AT(std::to_string(used), scale > 1 || (priced ? used <= 16 * (1 + 1e-6) : std::abs(used - 5) <= 1e-6));
        }
      }
    }
}

std::vector<solver::Annealing> heat_bath_of(const Problem& problem, std::uint64_t seed, int threads, int chains) {
  ThreadPool pool(threads);
  Options options;
  options.seed = seed;
  solver::Run run(options, pool);
  Subset start(at(problem.n()), 0);
  solver::complete(problem, start, pool);
  return solver::heat_bath(problem, start, 60, {chains, false, 0}, run);
}

TEST(heat_bath_is_the_same_for_a_seed_and_any_thread_count) {
  constexpr std::int64_t kN = 3001;
  std::vector<double> importance;
  graph::Csr k;
  large_instance(kN, true, importance, k);
  std::vector<double> costs;
  std::vector<std::int32_t> groups;
  for (std::int64_t i = 0; i < kN; ++i) {
    costs.push_back(0.5 + importance[at(i)]);
    groups.push_back(static_cast<std::int32_t>(i % 4));
  }
  for (const int kind : {0, 1, 2, 3}) {
    Problem problem = problem_of(importance, k, 900, 0.6);
    if ((kind & 1) != 0) {
      problem.groups = groups.data();
      problem.limits = {{100, 200}, {300, 400}, {0, 3001}, {150, 150}};
    }
    if ((kind & 2) != 0) {
      problem.costs = costs.data();
      problem.cost_limit = 900;
    }
    // The fifth chain cools as the first does and differs by its random numbers alone.
    const auto first = heat_bath_of(problem, 5, 1, 5);
    CHECK(first.size() == 5 && first[0].iterations == 60);
    for (const int threads : {2, 3, 7}) {
      const auto other = heat_bath_of(problem, 5, threads, 5);
      for (std::size_t c = 0; c < 5; ++c)
        CHECK(other[c].subset == first[c].subset && same_bits(other[c].history, first[c].history));
    }
    const auto reseeded = heat_bath_of(problem, 6, 1, 5);
    const auto alone = heat_bath_of(problem, 5, 1, 1);
    CHECK(alone[0].subset == first[0].subset);
    for (std::size_t c = 0; c < 5; ++c) {
      CHECK(reseeded[c].subset != first[c].subset);
      CHECK(c == 0 || first[c].subset != first[0].subset);
      CHECK(first[c].history.back() > first[c].history.front());
      // The potentials hold the count, the cost and the groups nearly where they are to be.
      const solver::Ledger ledger(problem, first[c].subset);
      CHECK_AT("used " + std::to_string(ledger.used()), std::abs(ledger.used() - ledger.limit()) <= 0.02 * ledger.limit());
      CHECK_AT("missing " + std::to_string(ledger.missing()) + " surplus " + std::to_string(ledger.surplus()),
               ledger.missing() + ledger.surplus() <= 40);
    }
  }
}

TEST(enumeration_finds_the_first_optimum) {
  ThreadPool pool(1);
  for_each_limited({1, 2, 5, 9, 12}, 4, [&](Limited& limited, const std::string& where) {
    const double best = largest_f(limited, limited.feasible_subsets());
    const solver::Optimum found = solver::enumerate(limited.problem, pool);
    CHECK_AT(where, limited.meets(found.subset));
    CHECK_AT(where, std::abs(limited.f(found.subset) - best) <= kSlack);
    CHECK_AT(where, found.bound.value >= best && found.bound.value <= best + kSlack);
  });
  // Any one of each pair: the first is told from the second by nothing.
  Instance pairs(20);
  std::fill(pairs.importance.begin(), pairs.importance.end(), 1.0);
  for (std::int64_t i = 0; i < 20; i += 2) pairs.connect(i, i + 1, 1e30f);
  pairs.finish();
  const Problem problem = pairs.problem(10, 1);
  const solver::Optimum found = solver::enumerate(problem, pool);
  for (std::size_t i = 0; i < 20; ++i) CHECK(found.subset[i] == (i % 2 == 0));
  // What is heavy is in no good subset, and does not blur the bound.
  CHECK(found.bound.value >= 10 && found.bound.value <= 10 + kSlack);
  CHECK(solver::is_enumerable(problem));
  CHECK(!solver::is_enumerable(Instance(21).problem(10, 1)));
}

// Costs whose sum is the limit to the last bit, in an order that rounds beyond it.
TEST(enumeration_sums_costs_exactly) {
  ThreadPool pool(1);
  const Instance instance = [] {
    Instance all(4);
    std::fill(all.importance.begin(), all.importance.end(), 1.0);
    all.finish();
    return all;
  }();
  const std::vector<double> costs = {1, 0x1p-53, 0x1p-53, 0x1p-53};
  Problem problem = instance.problem(0, 0);
  problem.costs = costs.data();
  problem.cost_limit = 1 + 0x1p-52;
  const solver::Optimum three = solver::enumerate(problem, pool);
  CHECK(three.subset == Subset({1, 1, 1, 0}));
  problem.cost_limit = -1;  // less than nothing: rounding after presolve
  CHECK(solver::enumerate(problem, pool).subset.empty());
}

constexpr solver::Method kMethods[] = {solver::Method::automatic,      solver::Method::pgd,      solver::Method::annealed,
                                       solver::Method::continuation,   solver::Method::softmax,  solver::Method::greedy,
                                       solver::Method::swap_annealing, solver::Method::heat_bath};

// What the best addition, removal or swap within the limits would add to f.
double best_move(const Limited& limited, const Subset& subset) {
  const double value = limited.f(subset);
  double best = -std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < subset.size(); ++i)
    for (std::size_t j = 0; j <= i; ++j) {
      Subset moved = subset;
      moved[i] ^= 1;
      if (j < i) moved[j] ^= 1;
      if (j < i && subset[i] == subset[j]) continue;
      if (limited.meets(moved)) best = std::max(best, limited.f(moved) - value);
    }
  return best;
}

TEST(polish_ends_where_no_move_improves) {
  ThreadPool pool(1);
  std::int64_t moves = 0;
  for_each_limited({2, 3, 5, 9, 24}, 3, [&](Limited& limited, const std::string& where) {
    const bool positive =
        std::all_of(limited.instance.dense.begin(), limited.instance.dense.end(), [](double value) { return value >= 0; });
    std::mt19937 random(3);
    for (int turn = 0; turn < 6; ++turn) {
      Subset subset(at(limited.instance.n));
      for (auto& side : subset) side = static_cast<std::uint8_t>(random() % 2);
      solver::complete(limited.problem, subset, pool);
      const double before = limited.f(subset);
      const solver::Run run({}, pool);
      const std::int64_t made = solver::polish(limited.problem, subset, run);
      CHECK_AT(where, limited.meets(subset));
      CHECK_AT(where, made == 0 ? limited.f(subset) == before : limited.f(subset) > before);
      if (positive || limited.costs.empty()) CHECK_AT(where, best_move(limited, subset) <= kSlack);
      moves += made;
    }
  });
  CHECK(moves > 500);
}

TEST(every_method_respects_the_limits_and_its_promises) {
  int solved = 0;
  int optimal = 0;
  for_each_limited({1, 2, 4, 7, 10}, 3, [&](Limited& limited, const std::string& where) {
    const auto unfixed = limited.feasible_subsets();
    if (unfixed.size() % 2 == 0) limited.fix_some(unfixed[unfixed.size() / 2], static_cast<unsigned>(unfixed.size()));
    const double best = largest_f(limited, limited.feasible_subsets());
    const bool positive =
        std::all_of(limited.instance.dense.begin(), limited.instance.dense.end(), [](double value) { return value >= 0; });
    for (const solver::Method method : kMethods) {
      const std::string at_method = where + " " + solver::name(method);
      Options options;
      options.method = method;
      options.effort = solver::Effort::fast;
      const Result result = solve(limited.problem, options);
      Subset subset(at(limited.instance.n), 0);
      for (const std::int64_t i : result.indices) subset[at(i)] = 1;
      CHECK_AT(at_method, limited.meets(subset));
      CHECK_AT(at_method, std::abs(result.objective - limited.f(subset)) <= kSlack);
      CHECK_AT(at_method, result.objective <= best + kSlack);
      CHECK_AT(at_method, result.upper_bound >= best - 1e-12 * (1 + std::abs(best)));
      if (positive || limited.costs.empty()) CHECK_AT(at_method, best_move(limited, subset) <= kSlack);
      options.polish = false;
      for (const std::int64_t i : solve(limited.problem, options).indices) subset[at(i)] |= 2;
      for (auto& side : subset) side >>= 1;
      CHECK_AT(at_method, limited.meets(subset));
      ++solved;
      optimal += result.objective >= best - kSlack;
    }
  });
  CHECK_AT(std::to_string(optimal) + " of " + std::to_string(solved), optimal >= 0.9 * solved);
}

}  // namespace
