// The relaxed methods on a device: many iterations to a launch, each as relaxed.cpp has it. An iteration is some passes of the
// multiplier's search over x and K x, then one over K; what is left of x and K x in the second cache from the pass before makes
// the former cheap.
#include "solver/cuda/multiplier.h"
#include "solver/cuda/stages.h"
#include "solver/cuda/team.h"

namespace coremax::solver::on_cuda {
namespace {

// Kx from x, and f: a barrier before and after.
__device__ double evaluate(Team& team, const Elements& problem, Point point) {
  return team.sum_of_units<double>(problem.n(), [&](std::int64_t begin, std::int64_t end) {
    double lane = 0;
    for (std::int64_t first = begin; first < end; first += kThreads) {
      const double kx = product_of_row(problem.k, point.x, first);
      const std::int64_t i = first + threadIdx.x;
      if (i >= end) continue;
      point.kx[i] = kx;
      lane += value_term(point.x[i], problem.importance[i], problem.alpha, kx);
    }
    return lane;
  });
}

__device__ ProjectedStep formula_at(const Iterations& run, std::int64_t /*t*/, ProjectedStep) { return {run.step}; }
__device__ FermiForm formula_at(const Iterations& run, std::int64_t t, FermiForm) { return FermiForm(run.temperatures[t]); }
__device__ double moved(double /*x*/, double next, ProjectedStep) { return next; }
__device__ double moved(double x, double next, FermiForm) { return damped(x, next); }

template <class Formula>
__global__ void __launch_bounds__(kThreads, policy::kBlocks)
    run_iterations(TeamMemory memory, Elements problem, Point point, Iterations run) {
  Team team(memory);
  Progress progress{run.progress->lambda, 0, 0};
  const auto gradient = [&](std::int64_t i) { return gain(problem.importance[i], run.part_alpha, point.kx[i]); };
  while (progress.done < run.count && progress.converged == 0) {
    const Formula formula = formula_at(run, progress.done, Formula{});
    const Root root = fit(team, problem, point.x, formula, gradient, progress.lambda);
    progress.lambda = root.nearest();
    const Max change = team.sum(problem.n(), [&](std::int64_t i) {
      const double x = point.x[i];
      const double next = moved(x, response(formula, root, x, gradient(i)), formula);
      point.x[i] = next;
      return Max{std::abs(next - x)};
    });
    const double value = evaluate(team, problem, point);
    if (team.is_first()) run.history[progress.done] = value;
    ++progress.done;
    progress.converged = change.value <= run.tolerance;
  }
  team.barrier();  // everyone has read what comes now
  if (team.is_first()) *run.progress = progress;
}

__global__ void __launch_bounds__(kThreads, policy::kBlocks)
    begin_at(TeamMemory memory, Elements problem, Point point, Begin how, double constant, double* value) {
  Team team(memory);
  if (how == Begin::projected) {
    const ProjectedStep formula{1.0};
    const auto nothing = [](std::int64_t) { return 0.0; };
    const Root root = fit(team, problem, point.x, formula, nothing, INFINITY);
    team.for_each(problem.n(), [&](std::int64_t i) { point.x[i] = response(formula, root, point.x[i], 0.0); });
  } else if (how == Begin::restarted) {
    const double mean = team.sum(problem.n(), [&](std::int64_t i) { return point.x[i]; }) / static_cast<double>(problem.n());
    team.for_each(problem.n(), [&](std::int64_t i) { point.x[i] = restarted(point.x[i], mean); });
  } else if (how == Begin::constant) {
    team.for_each(problem.n(), [&](std::int64_t i) { point.x[i] = constant; });
  }
  team.barrier();
  const double f = evaluate(team, problem, point);
  if (team.is_first()) *value = f;
}

__global__ void __launch_bounds__(kThreads, policy::kBlocks)
    spread(TeamMemory memory, Elements problem, Point point, double* out) {
  Team team(memory);
  const auto n = static_cast<double>(problem.n());
  const auto gradient = [&](std::int64_t i) { return gain(problem.importance[i], problem.alpha, point.kx[i]); };
  const double mean = team.sum(problem.n(), gradient) / n;
  const double variance =
      team.sum(problem.n(), [&](std::int64_t i) { return (gradient(i) - mean) * (gradient(i) - mean); }) / n;
  if (team.is_first()) *out = std::sqrt(variance);
}

}  // namespace

void begin(const Elements& problem, Point point, Begin how, double constant, double* value, TeamSpace& space,
           const cuda::Stream& stream) {
  launch_team(space, problem.n(), stream, begin_at, problem, point, how, constant, value);
}

void iterate(const Elements& problem, Point point, const Iterations& iterations, TeamSpace& space, const cuda::Stream& stream) {
  launch_team(space, problem.n(), stream,
              iterations.temperatures == nullptr ? run_iterations<ProjectedStep> : run_iterations<FermiForm>, problem, point,
              iterations);
}

void spread_of_gradient(const Elements& problem, Point point, double* out, TeamSpace& space, const cuda::Stream& stream) {
  launch_team(space, problem.n(), stream, spread, problem, point, out);
}

}  // namespace coremax::solver::on_cuda
