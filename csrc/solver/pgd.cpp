// Projected gradient ascent, x+ = Proj(x + g / L) with g = I - 2 alpha K x and L = 2 alpha ||K||_2.
// f need not be concave, yet no iteration can decrease it: it gains at least (1 / step - L / 2) |x+ - x|^2.
#include <algorithm>
#include <cmath>

#include "solver/stages.h"

namespace coremax::solver {
namespace {

double largest_change(const Vector& a, const Vector& b, ThreadPool& pool) {
  return blocked_sum(pool, static_cast<std::int64_t>(a.size()), [&](std::int64_t i) { return Max{std::abs(a[at(i)] - b[at(i)])}; }).value;
}

}  // namespace

Ascent projected_gradient(const Problem& problem, const Options& options, const Spectrum& ends, const StopTest& stop, ThreadPool& pool) {
  const std::int64_t n = problem.n();
  Ascent ascent;
  ascent.x.assign(at(n), static_cast<double>(problem.budget) / static_cast<double>(n));
  double threshold = kUnknownThreshold;
  if (options.x0 != nullptr) ascent.x = project(Vector(options.x0, options.x0 + n), Vector(at(n), 0.0), 1.0, problem.budget, threshold, pool);
  threshold = kUnknownThreshold;
  ascent.kx = multiply(problem.k, ascent.x, pool);
  ascent.history.push_back(relaxed_objective(problem, ascent.x, ascent.kx, pool));

  // The norm is reached from inside, so it may be a little small; ascent holds for any step below 2 / L.
  const double norm = std::max(ends.highest, -ends.lowest);
  const double step = 1 / (2 * problem.alpha * norm);
  for (std::int64_t iteration = 1; iteration <= options.max_iterations; ++iteration) {
    pool.check();
    Vector next = project(ascent.x, gains(problem, ascent.kx, pool), step, problem.budget, threshold, pool);
    const double change = largest_change(next, ascent.x, pool);
    ascent.x = std::move(next);
    ascent.kx = multiply(problem.k, ascent.x, pool);
    ascent.history.push_back(relaxed_objective(problem, ascent.x, ascent.kx, pool));
    ascent.iterations = iteration;
    pool.progress(iteration, options.max_iterations);
    if (change <= options.tolerance) {
      ascent.status = Status::converged;
      break;
    }
    if (stop(iteration, ascent.history.back(), ascent.status)) break;
  }
  pool.progress(options.max_iterations, options.max_iterations);
  return ascent;
}

}  // namespace coremax::solver
