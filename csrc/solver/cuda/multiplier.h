// The multiplier of the budget, found by a team. For .cu files.
#pragma once

#include "solver/cuda/team.h"
#include "solver/responses.h"

namespace coremax::solver::on_cuda {

// The multiplier at which the responses to gradient(i) add up to the budget; a barrier.
template <class Formula, class Gradient>
__device__ inline Root fit(Team& team, const Elements& problem, const double* x, const Formula& formula,
                           const Gradient& gradient, double guess) {
  const Range range = team.sum(problem.n(), [&](std::int64_t i) { return formula.range(x[i], gradient(i)); });
  const auto level = [&](double lambda) {
    return team.sum(problem.n(), [&](std::int64_t i) { return formula.level(x[i], gradient(i), lambda); });
  };
  return find_root(level, range, static_cast<double>(problem.n()), static_cast<double>(problem.budget), guess);
}

template <class Formula>
__device__ inline double response(const Formula& formula, const Root& root, double x, double g) {
  const double at_low = formula.level(x, g, root.low).sum;
  return root.share == 1 ? at_low : root.between(at_low, formula.level(x, g, root.high).sum);
}

}  // namespace coremax::solver::on_cuda
