// The semidefinite upper bound on f.
//
// signs.cpp gives a quadratic function q, at least f on every binary z, and guesses a diagonal delta; definite.cpp raises delta
// until W + diag(delta) is positive semidefinite. Then h(z) = constant + (linear + delta)'z - z'(W + delta)z is concave, equal
// to q at binary z, and for any y
//
//   f(z) <= q(z) = h(z) <= h(y) + grad h(y)'(z - y) <= constant + y'(W + delta)y + max_s (linear + delta - 2 (W + delta)y)'s
//
// with s over the relaxed feasible set. An accelerated projected gradient in the metric of delta makes that small; every
// iterate is valid, and the least is kept. With the diagonal of the semidefinite relaxation this is its value (the bound of
// Shor); the triangle inequalities take most of what then remains.
//
// Float rounding: every number below comes from sums of terms whose absolute values are added up along with them ("size"), by
// fewer than 10^4 roundings on any term's way; kRounding of all sizes is added to the bound (feasible.h).
#include <algorithm>
#include <cmath>

#include "solver/semidefinite.h"

namespace coremax::solver {
namespace {

constexpr double kStep = 4;  // of the multipliers at first, on the scale of signs.cpp; from 8 on they run away
constexpr std::int64_t kWarm = 20;

struct Plan {
  SignsOptions signs;
  std::vector<std::int64_t> rounds;  // sweeps that move the multipliers; a bound is taken after each round
  std::int64_t clean;                // sweeps with the multipliers held, so that delta fits them
  std::int64_t ascents;              // steps of projected gradient
  double lanczos_work;               // multiplications
};

// Tight: 5 to 10 s of two cores at 20,000 elements with some 14 similarities each. Fast: the plain semidefinite bound, in 0.1
// s.
Plan plan_for(BoundEffort effort) {
  if (effort != BoundEffort::tight) return {{8, 0, false}, {0}, 10, 12, 2e8};
  return {{16, 6'000'000, true}, {60, 300}, 60, 60, 1.5e9};
}

// The steps fall as (1 - t)^3 over the round, so that the vectors can follow; the average is over its last quarter.
void move_multipliers(Signs& signs, std::int64_t sweeps, const std::function<bool()>& expired) {
  for (std::int64_t sweep = 0; sweep < sweeps && !expired(); ++sweep) {
    if (sweep == sweeps * 3 / 4) signs.begin_average();
    signs.sweep();
    const double left = 1 - static_cast<double>(sweep) / static_cast<double>(sweeps);
    signs.raise_multipliers(kStep * left * left * left);
  }
}

// The least bound that the tangents of h give along an ascent from x.
double least_tangent(const Quadratic& q, const graph::CsrView& k, const Vector& delta, double highest, Vector x,
                     std::int64_t steps, CappedSimplex& set, const std::function<bool()>& expired, ThreadPool& pool) {
  const std::int64_t n = k.n;
  Vector metric(at(n));
  const Sum all = blocked_sum(pool, n, [&](std::int64_t i) { return Sum(delta[at(i)]); });
  const double floor = 1e-3 * (all.value / static_cast<double>(n)) + 1e-300;
  parallel_for(pool, n, [&](std::int64_t i) { metric[at(i)] = 2.1 * std::max(1.0, highest) * std::max(delta[at(i)], floor); });
  Vector y = x;
  Vector slope(at(n));
  double momentum = 1;
  double best = INFINITY;
  for (std::int64_t step = 0; step < steps; ++step) {
    pool.check();
    // y'(W + delta)y, and with it the sizes of all terms of the slope.
    Sum bound = blocked_sum(pool, n, [&](std::int64_t i) {
      Sum product(delta[at(i)] * y[at(i)]);
      for (std::int64_t e = k.indptr[i]; e < k.indptr[i + 1]; ++e) product += Sum(q.w[at(e)] * y[at(k.indices[e])]);
      slope[at(i)] = q.linear[at(i)] + delta[at(i)] - 2 * product.value;
      return Sum(y[at(i)] * product.value,
                 std::abs(y[at(i)]) * product.size + q.linear_size[at(i)] + delta[at(i)] + 2 * product.size);
    });
    bound += set.support(slope, pool);
    bound += q.constant;
    const double value = padded(bound);
    if (value < best) best = value;
    if (step % 10 == 9 && expired()) break;
    Vector next = set.nearest(y, slope, metric, pool);
    const double next_momentum = (1 + std::sqrt(1 + 4 * momentum * momentum)) / 2;
    const double carry = (momentum - 1) / next_momentum;
    parallel_for(pool, n, [&](std::int64_t i) { y[at(i)] = next[at(i)] + carry * (next[at(i)] - x[at(i)]); });
    x = std::move(next);
    momentum = next_momentum;
  }
  return best;
}

}  // namespace

void CappedSimplex::price_at(const Vector& value) {
  if (problem_.budget >= static_cast<std::int64_t>(value.size())) return;
  Vector sorted = value;
  std::nth_element(sorted.begin(), sorted.begin() + problem_.budget, sorted.end(), std::greater<>());
  price_ = sorted[at(problem_.budget)];
}

void CappedSimplex::reprice(const Vector& x, const Vector& response, ThreadPool& pool) {
  const Level level =
      blocked_sum(pool, static_cast<std::int64_t>(x.size()), [&](std::int64_t i) { return Level{x[at(i)], response[at(i)]}; });
  if (level.slope > 0) price_ += 0.5 * (level.sum - static_cast<double>(problem_.budget)) / level.slope;
}

SemidefiniteBound semidefinite_bound(const Problem& problem, BoundEffort effort, double known_value, double target,
                                     std::uint64_t seed, const std::function<bool()>& expired, ThreadPool& pool) {
  const Plan plan = plan_for(effort);
  CappedSimplex set(problem);
  SemidefiniteBound result;
  result.bound.value = INFINITY;
  Signs signs(problem, plan.signs, set, pool);
  if (!signs.usable()) return result;
  for (std::int64_t sweep = 0; sweep < kWarm && plan.signs.inequalities; ++sweep) signs.sweep();
  for (const std::int64_t sweeps : plan.rounds) {
    move_multipliers(signs, sweeps, expired);
    signs.use_average();
    for (std::int64_t sweep = 0; sweep < plan.clean; ++sweep) signs.sweep();
    const Quadratic q = signs.quadratic();
    Vector delta = signs.diagonal();
    const Definite definite = make_definite(problem.k, q.w, delta, plan.lanczos_work, seed, pool);
    const Vector x = signs.point();
    const double value = least_tangent(q, problem.k, delta, definite.highest, x, plan.ascents, set, expired, pool);
    if (value < result.bound.value) result = {{value, BoundKind::semidefinite}, definite.proof == Proof::factored, x};
    if (expired() || result.bound.value - known_value <= target) break;
    signs.drop_average();
  }
  return result;
}

}  // namespace coremax::solver
