// The semidefinite bound, alone: against enumeration, and on a path whose optimum follows element by element.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "solver/stages.h"
#include "solver_instances.h"

namespace {

using namespace coremax;
using namespace coremax::test;
using solver::BoundEffort;

// Signs of K mixed, budgets from one element to all.
TEST(semidefinite_bound_holds) {
  ThreadPool pool(1);
  for_each_instance([&](const Instance& instance, Sign, double alpha) {
    const auto optima = instance.optima(alpha);
    for (std::int64_t p = 1; p <= instance.n; p += instance.n > 5 ? 2 : 1)
      for (const BoundEffort effort : {BoundEffort::fast, BoundEffort::tight}) {
        const std::string where =
            "n " + std::to_string(instance.n) + " p " + std::to_string(p) + " alpha " + std::to_string(alpha);
        const auto result = solver::semidefinite_bound(instance.problem(p, alpha), effort, -1e300, 0, 1, never, pool);
        CHECK_AT(where, result.proved);
        CHECK_AT(where, result.bound.value >= optima[at(p)] - 1e-13 * (1 + std::abs(optima[at(p)])));
        const double loose = 0.5 * static_cast<double>(instance.n);
        if (effort == BoundEffort::tight && alpha < 1) CHECK_AT(where, result.bound.value <= optima[at(p)] + loose);
      }
  });
}

// A path too long to be factored, whose optimum follows element by element: the bound goes by Lanczos runs.
TEST(semidefinite_bound_holds_on_a_long_path) {
  constexpr std::int64_t kN = 800;
  constexpr double kAlpha = 0.7;
  ThreadPool pool(2);
  for (const bool negative : {false, true}) {
    std::mt19937 random(negative ? 5 : 4);
    const auto unit = [&] { return static_cast<double>(random() % 4096) / 4096; };
    std::vector<double> importance(at(kN));
    std::vector<float> joint(at(kN), 0.0f);  // of i and i + 1
    for (double& value : importance) value = unit();
    for (float& value : joint) value = static_cast<float>(unit() - (negative ? 0.5 : 0.0));
    Rows rows(at(kN));
    for (std::int64_t i = 0; i + 1 < kN; ++i) connect(rows, i, i + 1, joint[at(i)]);
    const graph::Csr k = csr_of(std::move(rows));
    // best[z][p]: the elements so far, the last of them in or out, p of them in.
    const double nothing = -std::numeric_limits<double>::infinity();
    std::vector<std::vector<double>> best(2, std::vector<double>(at(kN + 1), nothing));
    best[0][0] = 0;
    for (std::int64_t i = 0; i < kN; ++i) {
      auto next = best;
      for (std::size_t p = 0; p <= at(kN); ++p) {
        next[0][p] = std::max(best[0][p], best[1][p]);
        const double pair = i > 0 ? 2 * kAlpha * static_cast<double>(joint[at(i - 1)]) : 0.0;
        next[1][p] = p == 0 ? nothing : importance[at(i)] + std::max(best[0][p - 1], best[1][p - 1] - pair);
      }
      best = next;
    }
    for (const std::int64_t p : {1, 160, 400, 700}) {
      const double optimum = std::max(best[0][at(p)], best[1][at(p)]);
      const Problem problem = problem_of(importance, k, p, kAlpha);
      for (const BoundEffort effort : {BoundEffort::fast, BoundEffort::tight}) {
        const auto result = solver::semidefinite_bound(problem, effort, optimum, 0, 1, never, pool);
        const std::string where =
            "p " + std::to_string(p) + ": " + std::to_string(optimum) + " <= " + std::to_string(result.bound.value);
        CHECK_AT(where, !result.proved);
        CHECK_AT(where, result.bound.value >= optimum - 1e-11 * (1 + std::abs(optimum)));
        // On a tree the inequalities of edges leave no gap; at one element kept the relaxation has hardly anything to go by.
        if (effort == BoundEffort::tight && p > 1) CHECK_AT(where, result.bound.value <= optimum + 0.01 * std::abs(optimum));
      }
    }
  }
}

TEST(semidefinite_bound_has_the_same_bits_for_any_thread_count) {
  std::vector<double> importance;
  graph::Csr k;
  large_instance(9001, false, importance, k);
  const Problem problem = problem_of(importance, k, 2500, 0.4);
  for (const BoundEffort effort : {BoundEffort::fast, BoundEffort::tight}) {
    std::vector<solver::SemidefiniteBound> results;
    for (const int threads : {1, 3}) {
      ThreadPool pool(threads);
      // Close enough after the first round.
      results.push_back(solver::semidefinite_bound(problem, effort, 0, 1e6, 1, never, pool));
    }
    CHECK(same_bits({results[0].bound.value}, {results[1].bound.value}));
    CHECK(same_bits(results[0].x, results[1].x));
  }
}

TEST(semidefinite_bound_refuses_a_one_sided_pattern) {
  ThreadPool pool(1);
  const std::vector<double> importance{1, 1};
  const graph::Csr k{{0, 1, 1}, {1}, {1}};
  const auto result = solver::semidefinite_bound(problem_of(importance, k, 1, 1.0), BoundEffort::tight, 0, 0, 1, never, pool);
  CHECK(result.bound.kind == solver::BoundKind::none && std::isinf(result.bound.value));
}

}  // namespace
