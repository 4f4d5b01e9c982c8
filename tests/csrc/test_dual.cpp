// The dual bound against plain enumeration: it holds, so does what it fixes, its cells are exact, and threads do not change it.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "solver/dual_parts.h"
#include "solver_instances.h"

namespace {

using namespace coremax;
using namespace coremax::test;
using solver::Dual;
using solver::DualOptions;

constexpr double kNothing = -std::numeric_limits<double>::infinity();

template <class F>
void for_each_block_instance(F&& f) {
  unsigned seed = 0;
  for (const std::int64_t n : {1, 2, 5, 9, 12})
    for (const double density : {0.3, 0.7, 1.0})
      for (const double lowest : {-1.0, -0.3, 0.1})
        for (const double alpha : {0.05, 0.3, 2.0}) f(block_instance(n, n == 12 ? 4 : n, density, lowest, ++seed), alpha);
}

// Of many bounds: how many are close to the optimum, and how many elements they fixed.
struct Tally {
  int bounds = 0;
  int tight = 0;
  std::int64_t fixed = 0;
  std::int64_t free = 0;

  std::string text() const {
    return std::to_string(tight) + " of " + std::to_string(bounds) + " tight, " + std::to_string(fixed) + " fixed, " +
           std::to_string(free) + " free";
  }
};

// What a dual bound says, against all feasible subsets; value[mask] is f. Its incumbents are the best of them and some other.
void check_dual(const Problem& problem, const std::vector<unsigned>& feasible, const std::vector<double>& value,
                const std::string& where, ThreadPool& pool, Tally& tally) {
  const std::int64_t n = problem.n();
  Vector best_with(at(n), kNothing);
  Vector best_without(at(n), kNothing);
  unsigned best = feasible.front();
  for (const unsigned mask : feasible) {
    if (value[mask] > value[best]) best = mask;
    for (std::int64_t i = 0; i < n; ++i) {
      double& most = (mask >> i & 1 ? best_with : best_without)[at(i)];
      most = std::max(most, value[mask]);
    }
  }
  const double slack = 1e-13 * (1 + std::abs(value[best]));
  for (const unsigned incumbent : {best, feasible[feasible.size() / 2]})
    for (DualOptions options : {DualOptions{}, solver::fast_dual()}) {
      options.hopeless_cost = options.give_up_gap = std::numeric_limits<double>::infinity();  // all stages, however wide
      const Dual dual = solver::dual_bound(problem, options, subset_of(incumbent, n), value[incumbent], never, pool);
      CHECK_AT(where, dual.bound.value >= value[best] - slack);
      const bool complete = dual.x.size() == at(n) && dual.loss_in.size() == at(n) && dual.loss_out.size() == at(n);
      CHECK_AT(where, complete && std::isfinite(dual.bound.value));
      if (!complete) continue;
      CHECK_AT(where, std::all_of(dual.x.begin(), dual.x.end(), [](double x) { return x >= 0 && x <= 1; }));
      // Forcing an element leaves a bound.
      for (std::int64_t i = 0; i < n; ++i) {
        CHECK_AT(where, dual.loss_in[at(i)] >= 0 && dual.loss_out[at(i)] >= 0);
        CHECK_AT(where, dual.bound.value - dual.loss_in[at(i)] >= best_with[at(i)] - slack);
        CHECK_AT(where, dual.bound.value - dual.loss_out[at(i)] >= best_without[at(i)] - slack);
      }
      const solver::Fixed fixed = solver::fix_by_reduced_cost(dual, value[incumbent]);
      for (const std::int64_t i : fixed.in) CHECK_AT(where, best_without[at(i)] <= value[incumbent]);
      for (const std::int64_t i : fixed.out) CHECK_AT(where, best_with[at(i)] <= value[incumbent]);
      const auto n_fixed = static_cast<std::int64_t>(fixed.in.size() + fixed.out.size());
      tally.fixed += n_fixed;
      tally.free += n - n_fixed;
      tally.tight += dual.bound.value <= value[best] + 0.02 * (1 + std::abs(value[best]));
      ++tally.bounds;
    }
}

TEST(dual_bound_and_what_it_fixes_agree_with_enumeration) {
  ThreadPool pool(1);
  Tally tally;
  for_each_block_instance([&](const Instance& instance, double alpha) {
    const std::vector<double> value = instance.values(alpha);
    for (std::int64_t p = 1; p <= instance.n; ++p) {
      std::vector<unsigned> feasible;
      for (unsigned mask = 0; mask < value.size(); ++mask)
        if (std::popcount(mask) == p) feasible.push_back(mask);
      const std::string where =
          "n " + std::to_string(instance.n) + " p " + std::to_string(p) + " alpha " + std::to_string(alpha);
      check_dual(instance.problem(p, alpha), feasible, value, where, pool, tally);
    }
  });
  CHECK_AT(tally.text(), tally.tight >= tally.bounds / 3);
}

TEST(dual_bound_and_what_it_fixes_agree_with_enumeration_under_limits) {
  ThreadPool pool(1);
  Tally of_kind[4];  // plain, groups, costs, both
  for_each_limited({1, 2, 3, 6, 9}, 6, [&](const Limited& limited, const std::string& where) {
    Problem problem = limited.problem;
    Tally& tally = of_kind[(solver::has_groups(problem) ? 1 : 0) + (solver::has_costs(problem) ? 2 : 0)];
    const std::vector<unsigned> feasible = limited.feasible();
    for (const double weaker : {1.0, 0.2}) {
      problem.alpha *= weaker;
      check_dual(problem, feasible, limited.instance.values(problem.alpha), where, pool, tally);
    }
  });
  for (const Tally& tally : of_kind) CHECK_AT(tally.text(), tally.tight >= tally.bounds / 3 && tally.fixed > tally.free / 4);
}

// Prices that prove the support of s bound every other linear function as well: that of any s2 is at most
// constant + sum_i max(0, s2_i - price_i).
TEST(support_prices_prove_the_support) {
  ThreadPool pool(1);
  for_each_limited({1, 2, 4, 7, 10}, 6, [&](const Limited& limited, const std::string& where) {
    const std::int64_t n = limited.instance.n;
    const std::vector<unsigned> feasible = limited.feasible();
    std::mt19937 random(static_cast<unsigned>(n));
    const auto draw = [&](double scale, double shift, bool ties) {
      Vector s(at(n));
      for (double& value : s)
        value = scale * (shift + (ties ? static_cast<double>(random() % 4) : static_cast<double>(random() % 4096) / 1024) - 2);
      return s;
    };
    const auto most = [&](const Vector& s) {
      double best = kNothing;
      for (const unsigned mask : feasible) {
        double sum = 0;
        for (std::int64_t i = 0; i < n; ++i) sum += mask >> i & 1 ? s[at(i)] : 0.0;
        best = std::max(best, sum);
      }
      return best;
    };
    for (const double scale : {1e-8, 1.0, 1e12})
      for (const double shift : {-3.0, 0.0, 3.0})
        for (const bool ties : {false, true}) {
          const Vector s = draw(scale, shift, ties);
          const solver::Support found = solver::support(limited.problem, s, pool);
          CHECK_AT(where, found.extra.empty() == solver::is_plain(limited.problem));
          Vector price(at(n), found.threshold);
          for (std::size_t i = 0; i < found.extra.size(); ++i) price[i] += found.extra[i];
          CHECK_AT(where, std::all_of(price.begin(), price.end(), [](double value) { return std::isfinite(value); }));
          const auto surplus = [&](const Vector& values) {
            double sum = 0;
            for (std::int64_t i = 0; i < n; ++i) sum += std::max(0.0, values[at(i)] - price[at(i)]);
            return sum;
          };
          const double constant = solver::padded(found.value) - surplus(s);
          double size = scale + std::abs(constant);
          for (const double value : price) size += std::abs(value);
          CHECK_AT(where, most(s) <= constant + surplus(s) + 1e-14 * size);
          CHECK_AT(where, most(price) <= constant + 1e-13 * size);
          for (int turn = 0; turn < 4; ++turn) {
            // Another function altogether, or this one with an element forced in or out.
            Vector other = turn < 2 ? draw(scale, static_cast<double>(random() % 5) - 2, turn == 1) : s;
            if (turn >= 2) other[random() % other.size()] += turn == 2 ? 10 * scale : -10 * scale;
            CHECK_AT(where, most(other) <= constant + surplus(other) + 1e-13 * (size + 10 * scale));
          }
        }
  });
}

TEST(dual_cuts_hold_for_every_subset) {
  ThreadPool pool(1);
  std::int64_t n_higher = 0;
  for_each_block_instance([&](const Instance& instance, double alpha) {
    const Problem problem = instance.problem(1, alpha);
    const solver::ActiveGraph graph = solver::active_graph(problem, instance.importance, 0.1, pool);
    solver::Cuts cuts = solver::cover_by_cliques(graph, 0.1, pool);
    solver::separate(graph, Vector(at(graph.n()), 0.6), Vector(at(graph.n_edges()), 0.05), 1e-6, cuts, pool);
    for (std::int64_t r = 0; r < cuts.size(); ++r) {
      const std::int64_t size = cuts.nodes.length(r);
      n_higher += cuts.t[at(r)] > 1;
      CHECK(cuts.edges.length(r) == size * (size - 1) / 2);
      CHECK(cuts.t[at(r)] >= 1 && cuts.t[at(r)] < std::max<std::int64_t>(2, size));
      for (std::int64_t m = 0; m <= size; ++m)
        CHECK(static_cast<double>(cuts.t[at(r)] * m) - 0.5 * static_cast<double>(m * (m - 1)) <= cuts.right(r));
    }
    // Every edge is in some cut.
    const solver::Lists cuts_of_edge = solver::transposed(cuts.edges, graph.n_edges());
    for (std::int64_t e = 0; e < graph.n_edges(); ++e) CHECK(cuts_of_edge.length(e) > 0);
  });
  CHECK(n_higher > 0);
}

TEST(dual_cells_are_solved_exactly) {
  std::mt19937 random(5);
  const auto unit = [&] { return static_cast<double>(random() % 4096) / 4096; };
  for (int repeat = 0; repeat < 300; ++repeat) {
    const auto n = static_cast<std::int32_t>(1 + random() % 10);
    const double density = unit();
    std::vector<solver::Cell::Edge> edges;
    for (std::int32_t a = 0; a < n; ++a)
      for (std::int32_t b = a + 1; b < n; ++b)
        if (unit() < density) edges.push_back({a, b, unit()});
    Vector theta(at(n));
    for (double& value : theta) value = 1.5 * unit() - 0.3;
    const auto value_of = [&](unsigned mask) {
      double value = 0;
      for (std::int32_t i = 0; i < n; ++i)
        if (mask >> i & 1) value += theta[at(i)];
      for (const auto& edge : edges)
        if ((mask >> edge.a & 1) && (mask >> edge.b & 1)) value -= edge.weight;
      return value;
    };
    Vector with(at(n), -1e9);
    Vector without(at(n), -1e9);
    for (unsigned mask = 0; mask < 1u << n; ++mask)
      for (std::int32_t i = 0; i < n; ++i) {
        double& best = ((mask >> i & 1) ? with : without)[at(i)];
        best = std::max(best, value_of(mask));
      }
    solver::Cell cell;
    CHECK(cell.compile(n, edges));
    Vector work;
    Subset z(at(n));
    Vector difference(at(n));
    const double maximum = cell.maximum(theta.data(), work, z.data());
    unsigned mask = 0;
    for (std::int32_t i = 0; i < n; ++i) mask |= static_cast<unsigned>(z[at(i)]) << i;
    CHECK(std::abs(maximum - std::max(with[0], without[0])) <= 1e-12);
    CHECK(std::abs(value_of(mask) - maximum) <= 1e-12);
    CHECK(std::abs(cell.differences(theta.data(), work, difference.data()) - maximum) <= 1e-12);
    for (std::int32_t i = 0; i < n; ++i) CHECK(std::abs(difference[at(i)] - (with[at(i)] - without[at(i)])) <= 1e-12);
  }
  // A complete graph of 40 nodes is beyond any table.
  std::vector<solver::Cell::Edge> complete;
  for (std::int32_t a = 0; a < 40; ++a)
    for (std::int32_t b = a + 1; b < 40; ++b) complete.push_back({a, b, 1});
  CHECK(!solver::Cell().compile(40, complete));
}

// Cells far smaller than the problem, from programs solved hardly or well: many overlap, and share edges that no cut has paid
// for.
TEST(dual_cells_that_overlap_keep_the_bound) {
  ThreadPool pool(1);
  std::int64_t n_shared = 0;
  for (unsigned seed = 0; seed < 60; ++seed) {
    const std::int64_t n = 12;
    const Instance instance = block_instance(n, 4 + seed % 9, 0.4 + 0.1 * (seed % 6), 0.1, 300 + seed);
    for (const double alpha : {0.1, 0.4}) {
      const Vector optima = instance.optima(alpha);
      for (const std::int64_t p : {2, 4, 7})
        for (const std::int64_t iterations : {0, 40, 400}) {
          const Problem problem = instance.problem(p, alpha);
          const solver::ActiveGraph graph = solver::active_graph(problem, instance.importance, -1, pool);
          const solver::Cuts cuts = solver::cover_by_cliques(graph, 0.3, pool);
          solver::LinearProgram program(graph, p, 0.3, pool);
          program.set_cuts(cuts);
          program.run(iterations, 0, [](double) { return false; });
          for (const std::int64_t largest : {1, 2, 3}) {
            solver::Cells cells(graph, program, largest, never, pool);
            const auto check = [&] {
              solver::Sum bound = cells.constant();
              bound += solver::support(problem, cells.left(), pool).value;
              CHECK_AT("seed " + std::to_string(seed), solver::padded(bound) >= optima[at(p)] - 1e-12);
              return bound.value;
            };
            check();
            cells.find_price(p, 8);
            const double before = check();
            cells.even_out(never);
            CHECK(check() <= before + 1e-12);
            n_shared += cells.size() > 1;
          }
        }
    }
  }
  CHECK(n_shared > 100);
}

TEST(dual_bound_is_tight_at_a_small_budget_and_the_same_bits_for_any_thread_count) {
  std::vector<double> importance;
  graph::Csr k;
  block_ring(20000, 20, 0.5, 0.2, 77, importance, k);
  const Problem problem = problem_of(importance, k, 2500, 0.3);
  ThreadPool one(1);
  const solver::Run run({}, one);
  Subset incumbent = solver::largest(importance, problem.budget);
  solver::polish(problem, incumbent, run);
  for (const DualOptions& options : {DualOptions{}, solver::fast_dual()}) {
    const double value = solver::subset_objective(problem, incumbent, one);
    const Dual first = solver::dual_bound(problem, options, incumbent, value, never, one);
    Subset rounded = solver::largest(first.x, problem.budget);
    solver::polish(problem, rounded, run);
    const double found = solver::subset_objective(problem, rounded, one);
    CHECK_AT(std::to_string(found) + " <= " + std::to_string(first.bound.value), found <= first.bound.value);
    CHECK_AT(std::to_string(found) + " <= " + std::to_string(first.bound.value), first.bound.value - found <= 0.01 * found);
    for (const int threads : {2, 5}) {
      ThreadPool pool(threads);
      const Dual other = solver::dual_bound(problem, options, incumbent, value, never, pool);
      CHECK(same_bits({other.bound.value}, {first.bound.value}));
      CHECK(same_bits(other.x, first.x) && same_bits(other.loss_in, first.loss_in) &&
            same_bits(other.loss_out, first.loss_out));
      CHECK(other.iterations == first.iterations && other.n_cuts == first.n_cuts && other.n_cells == first.n_cells);
    }
  }
}

// The same where groups, costs or both take part, on more elements than one reduction block.
TEST(dual_bound_is_close_under_limits_and_the_same_bits_for_any_thread_count) {
  constexpr std::int64_t kN = 9000;
  std::vector<double> importance;
  graph::Csr k;
  block_ring(kN, 20, 0.5, 0.2, 78, importance, k);
  std::vector<double> costs;
  std::vector<std::int32_t> groups;
  std::mt19937 random(79);
  for (std::int64_t i = 0; i < kN; ++i) {
    costs.push_back(0.5 + static_cast<double>(random() % 1000) / 1000);
    groups.push_back(static_cast<std::int32_t>(i % 13 % 5));
  }
  for (const bool grouped : {false, true})
    for (const bool priced : {false, true}) {
      if (!grouped && !priced) continue;
      Problem problem = problem_of(importance, k, priced ? 0 : 1100, 0.3);
      if (priced) problem.costs = costs.data(), problem.cost_limit = 900;
      if (grouped) problem.groups = groups.data(), problem.limits = {{0, 100}, {0, 300}, {200, kN}, {0, kN}, {300, 400}};
      ThreadPool one(1);
      const solver::Run run({}, one);
      Subset incumbent(at(kN), 0);
      solver::complete(problem, incumbent, one);
      solver::polish(problem, incumbent, run);
      const double value = solver::subset_objective(problem, incumbent, one);
      for (const DualOptions& options : {DualOptions{}, solver::fast_dual()}) {
        const Dual first = solver::dual_bound(problem, options, incumbent, value, never, one);
        const std::string limits = std::string(grouped ? "groups " : "") + (priced ? "costs " : "");
        const std::string where = limits + std::to_string(value) + " <= " + std::to_string(first.bound.value);
        CHECK_AT(where, first.n_cuts > 0);
        CHECK_AT(where, value <= first.bound.value && first.bound.value - value <= 0.03 * value);
        ThreadPool pool(3);
        const Dual other = solver::dual_bound(problem, options, incumbent, value, never, pool);
        CHECK(same_bits({other.bound.value}, {first.bound.value}));
        CHECK(same_bits(other.x, first.x) && same_bits(other.loss_in, first.loss_in) &&
              same_bits(other.loss_out, first.loss_out));
      }
    }
}

}  // namespace
