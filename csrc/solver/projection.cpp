// Projection onto the capped simplex {0 <= x <= 1, sum x = p}: x_i = clip(x_i + step (g_i - lambda), 0, 1) with lambda the
// root of a monotone piecewise-linear function. Newton steps inside a bracket find its last linear piece in a few passes.
// Written with lambda on the scale of g, because g_i - lambda keeps its precision where x + step g would have lost it.
#include <algorithm>
#include <cmath>

#include "solver/stages.h"

namespace coremax::solver {
namespace {

// sum x and the number of elements strictly between the caps, at one lambda
struct Level {
  double sum = 0;
  double inside = 0;
  Level& operator+=(const Level& other) {
    sum += other.sum;
    inside += other.inside;
    return *this;
  }
};

struct Range {
  double low = INFINITY;
  double high = -INFINITY;
  Range& operator+=(const Range& other) {
    low = std::min(low, other.low);
    high = std::max(high, other.high);
    return *this;
  }
};

}  // namespace

Vector project(const Vector& x, const Vector& g, double step, std::int64_t budget, double& threshold, ThreadPool& pool) {
  const auto n = static_cast<std::int64_t>(x.size());
  const auto p = static_cast<double>(budget);
  const auto value = [&](std::int64_t i, double lambda) { return std::clamp(x[at(i)] + step * (g[at(i)] - lambda), 0.0, 1.0); };
  const auto level = [&](double lambda) {
    return blocked_sum(pool, n, [&](std::int64_t i) {
      const double v = value(i, lambda);
      return Level{v, v > 0 && v < 1 ? 1.0 : 0.0};
    });
  };
  // At range.low every element is 1, at range.high every element is 0.
  const Range range = blocked_sum(pool, n, [&](std::int64_t i) {
    return Range{g[at(i)] - (1 - x[at(i)]) / step, g[at(i)] + x[at(i)] / step};
  });
  double low = range.low;
  double high = range.high;
  double sum_low = static_cast<double>(n);
  double sum_high = 0;
  // Where an x of 1 is but a few roundings of g, the ends have been rounded too: move them out until they hold.
  const double size = std::max(std::abs(low), std::abs(high));
  if (1 / step < 1e-10 * size) {
    for (double margin = 0x1p-52 * size; (sum_low = level(low).sum) < p; margin *= 2) low -= margin;
    for (double margin = 0x1p-52 * size; (sum_high = level(high).sum) > p; margin *= 2) high += margin;
  }
  double lambda = std::isfinite(threshold) ? threshold : low + (high - low) * (1 - p / static_cast<double>(n));
  while (sum_low - p > 1e-12 * p && p - sum_high > 1e-12 * p) {
    if (!(lambda > low && lambda < high)) lambda = low + (high - low) / 2;
    if (!(lambda > low && lambda < high)) break;  // neighbouring doubles: no lambda lies between
    const Level at_lambda = level(lambda);
    if (at_lambda.sum >= p) {
      low = lambda;
      sum_low = at_lambda.sum;
    } else {
      high = lambda;
      sum_high = at_lambda.sum;
    }
    // Newton on the current linear piece; where it is flat, bisect.
    lambda = at_lambda.inside > 0 ? lambda + (at_lambda.sum - p) / (step * at_lambda.inside) : low;
  }
  // Both ends are projections for budgets next to p; between them the projection is linear, or, where the ends are
  // neighbouring doubles, jumps: sharing the difference keeps sum x = p in either case.
  const double share = sum_low - p <= 1e-12 * p ? 1.0 : p - sum_high <= 1e-12 * p ? 0.0 : (p - sum_high) / (sum_low - sum_high);
  threshold = share >= 0.5 ? low : high;
  Vector projected(x.size());
  parallel_for(pool, n, [&](std::int64_t i) { projected[at(i)] = share * value(i, low) + (1 - share) * value(i, high); });
  return projected;
}

}  // namespace coremax::solver
