// Upper bounds on the optimum of f.
//
// modular: f(z) <= sum_i z_i (I_i + alpha sum_j max(0, -K_ij)) <= the sum of the p largest brackets.
//
// diagonal shift: z_i^2 = z_i, so for any d, f(z) = (I + alpha d)'z - alpha z'(K + d)z =: h(z). With d >= -lambda_min(K), h is
// concave, and at any feasible x, h(x) + max_s grad h(x)'(s - x) bounds it from above everywhere (the max is support() of grad
// h). An accelerated projected gradient on h makes that bound small; every iterate is valid. d is -lambda_min as found from
// inside plus the margin of lanczos.cpp, which fails with probability at most 1e-12 over the random start; the Gershgorin
// radius, which can not fail, caps it.
//
// Float rounding: every sum is padded (feasible.h).
#include <algorithm>
#include <cmath>
#include <functional>

#include "solver/stages.h"

namespace coremax::solver {
namespace {

constexpr std::int64_t kMaxSteps = 120;
constexpr double kEnough = 1e-5;  // stop when ten steps lower the bound by less than this share of it

}  // namespace

Bound modular_bound(const Problem& problem, ThreadPool& pool) {
  Vector bracket(at(problem.n()));
  parallel_for(pool, problem.n(), [&](std::int64_t i) {
    double negative = 0;
    for (std::int64_t e = problem.k.indptr[i]; e < problem.k.indptr[i + 1]; ++e)
      negative += std::max(0.0, -static_cast<double>(problem.k.values[e]));
    bracket[at(i)] = problem.importance[i] + problem.alpha * negative;
  });
  return {padded(support(problem, bracket, pool).value), BoundKind::modular};
}

Bound diagonal_shift_bound(const Problem& problem, const Spectrum& ends, const Subset& start, const Run& run) {
  ThreadPool& pool = run.pool;
  const std::int64_t n = problem.n();
  const double alpha = problem.alpha;
  const double d = std::max(0.0, ends.margin - ends.lowest);
  const double step = 1 / (2 * alpha * (ends.highest + ends.margin + d));
  double best = INFINITY;
  double ten_steps_ago = INFINITY;

  Vector x = as_vector(start);
  Vector y = x;  // the extrapolated point of the accelerated method; sums to p but may leave the caps a little
  double momentum = 1;
  Multipliers multipliers;
  for (std::int64_t iteration = 0; iteration < kMaxSteps; ++iteration) {
    pool.check();
    const Vector ky = multiply(problem.k, y, pool);
    Vector slope(at(n));
    parallel_for(pool, n,
                 [&](std::int64_t i) { slope[at(i)] = problem.importance[i] + alpha * (d - 2 * (ky[at(i)] + d * y[at(i)])); });
    // h(y) + slope'(s - y) = slope's + alpha y'(K + d)y: concavity holds outside the caps as well.
    const Sum quadratic =
        blocked_sum(pool, n, [&](std::int64_t i) { return Sum(alpha * y[at(i)] * (ky[at(i)] + d * y[at(i)])); });
    best = std::min(best, padded(support(problem, slope, pool).value) + padded(quadratic));
    if (iteration % 10 == 9) {
      if (run.expired() || !(ten_steps_ago - best > kEnough * std::abs(best))) break;
      ten_steps_ago = best;
    }
    Vector next = project(problem, y, slope, step, multipliers, pool);
    const double next_momentum = (1 + std::sqrt(1 + 4 * momentum * momentum)) / 2;
    const double carry = (momentum - 1) / next_momentum;
    parallel_for(pool, n, [&](std::int64_t i) { y[at(i)] = next[at(i)] + carry * (next[at(i)] - x[at(i)]); });
    x = std::move(next);
    momentum = next_momentum;
  }
  return {best, BoundKind::diagonal_shift};
}

}  // namespace coremax::solver
