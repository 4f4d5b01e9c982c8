// The driver: spectrum, projected gradient, rounding, polish, bound.
#include "solver/solver.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <string>

#include "core/errors.h"
#include "solver/stages.h"

namespace coremax::solver {
namespace {

// Sums and products of numbers up to here stay far within a double.
constexpr double kLargest = 1e100;

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
  // Seconds since the last lap.
  double lap() {
    const double now = seconds();
    const double elapsed = now - last_;
    last_ = now;
    return elapsed;
  }

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double last_ = 0;
};

void check_numbers(const Problem& problem) {
  require(problem.alpha >= 0 && problem.alpha <= kLargest, "alpha must be from 0 to 1e100, got " + number_text(problem.alpha));
  for (std::int64_t i = 0; i < problem.n(); ++i) {
    const double value = problem.importance[i];
    require(std::isfinite(value), [&] { return "importance[" + std::to_string(i) + "] is " + non_finite_name(value) + "; importance must be finite"; });
    require(std::abs(value) <= kLargest, [&] {
      return "importance[" + std::to_string(i) + "] is " + number_text(value) + ", beyond the range of 1e100 the solver works in; rescale it";
    });
  }
}

void check(const Problem& problem, const Options& options) {
  require(problem.budget >= 1 && problem.budget <= problem.n(),
          "budget must be from 1 to n = " + std::to_string(problem.n()) + ", got " + std::to_string(problem.budget));
  check_numbers(problem);
  for (std::int64_t i = 0; options.x0 != nullptr && i < problem.n(); ++i)
    require(std::isfinite(options.x0[i]), [&] { return "x0[" + std::to_string(i) + "] is not finite"; });
}

// Without redundancy f is a sum of importances: the p largest are optimal.
Ascent without_redundancy(const Problem& problem, ThreadPool& pool) {
  const Vector importance(problem.importance, problem.importance + problem.n());
  Ascent ascent;
  ascent.x = as_vector(largest(importance, problem.budget));
  ascent.kx.assign(at(problem.n()), 0.0);
  ascent.history = {relaxed_objective(problem, ascent.x, ascent.kx, pool)};
  ascent.status = Status::converged;
  return ascent;
}

}  // namespace

Result solve(const Problem& problem, const Options& options, ThreadPool& pool) {
  check(problem, options);
  Stopwatch watch;
  Result result;
  const auto expired = [&] { return options.time_limit > 0 && watch.seconds() >= options.time_limit; };
  const auto stop = [&](std::int64_t iteration, double value, Status& status) {
    if (options.callback && options.callback(iteration, value, watch.seconds())) {
      status = Status::interrupted;
      return true;
    }
    if (!expired()) return false;
    status = Status::time_limit;
    return true;
  };

  const Spectrum ends = problem.alpha > 0 ? spectrum(problem.k, options.seed, pool) : Spectrum{};
  // A redundancy too small for a normal number is none: its reciprocal, the step, would be infinite.
  const bool redundant = problem.alpha * std::max(ends.highest, -ends.lowest) >= std::numeric_limits<double>::min();
  result.timings.spectrum = watch.lap();

  Ascent ascent = redundant ? projected_gradient(problem, options, ends, stop, pool) : without_redundancy(problem, pool);
  result.status = ascent.status;
  result.iterations = ascent.iterations;
  result.history = std::move(ascent.history);
  result.timings.gradient = watch.lap();

  Subset subset = round_pairwise(problem, ascent.x, ascent.kx, pool);
  result.x = std::move(ascent.x);
  result.timings.rounding = watch.lap();

  if (options.polish && redundant && result.status != Status::interrupted && !expired()) {
    result.swaps = polish_swaps(problem, subset, expired, pool);
    if (expired()) result.status = Status::time_limit;
  }
  result.objective = subset_objective(problem, subset, pool);
  result.timings.polish = watch.lap();

  if (options.bound) {
    Bound bound = modular_bound(problem, pool);
    if (redundant && !expired()) {
      const Bound shift = diagonal_shift_bound(problem, ends, subset, expired, pool);
      if (shift.value < bound.value) bound = shift;
    }
    // A bound below the value found could only be rounding: the value found is attained.
    result.upper_bound = std::max(bound.value, result.objective);
    result.bound_kind = bound.kind;
    result.timings.bound = watch.lap();
  }
  for (std::int64_t i = 0; i < problem.n(); ++i)
    if (subset[at(i)]) result.indices.push_back(i);
  return result;
}

double objective(const Problem& problem, const std::vector<std::int64_t>& indices, ThreadPool& pool) {
  check_numbers(problem);
  Subset subset(at(problem.n()), 0);
  for (const std::int64_t i : indices) subset[at(i)] = 1;
  return subset_objective(problem, subset, pool);
}

}  // namespace coremax::solver
