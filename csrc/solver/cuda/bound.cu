// Linear maximisation over the subsets of the budget's size, which is the modular bound where K >= 0; the diagonal-shift bound
// of bound.cpp.
#include "solver/bounding.h"
#include "solver/cuda/multiplier.h"
#include "solver/cuda/stages.h"
#include "solver/cuda/team.h"

namespace coremax::solver::on_cuda {
namespace {

struct Total {
  double value = 0;
  double size = 0;
  __device__ Total& operator+=(const Total& other) {
    value += other.value;
    size += other.size;
    return *this;
  }
};

__global__ void __launch_bounds__(kThreads, policy::kBlocks)
    take_largest(TeamMemory memory, Elements problem, double* x, double* sum_and_size) {
  Team team(memory);
  const std::int64_t n = problem.n();
  const double* s = problem.importance;
  const double threshold = problem.budget > 0 ? team.ranked(n, [&](std::int64_t i) { return s[i]; }, problem.budget) : INFINITY;
  const auto above = static_cast<std::int64_t>(team.sum(n, [&](std::int64_t i) { return s[i] > threshold ? 1.0 : 0.0; }));
  // Of those at the threshold, the first ones.
  team.running_sum(
      n, [&](std::int64_t i) { return s[i] == threshold ? 1 : 0; },
      [&](std::int64_t i, std::int64_t before) {
        x[i] = s[i] > threshold || (s[i] == threshold && above + before < problem.budget) ? 1 : 0;
      });
  const Total total = team.sum(n, [&](std::int64_t i) { return Total{s[i] * x[i], std::abs(s[i] * x[i])}; });
  if (!team.is_first()) return;
  sum_and_size[0] = total.value;
  sum_and_size[1] = total.size;
}

__global__ void __launch_bounds__(kThreads, policy::kBlocks)
    list_chosen(TeamMemory memory, std::int64_t n, const double* x, std::int64_t* numbers) {
  Team team(memory);
  team.select(n, [&](std::int64_t i) { return x[i] > 0.5; }, numbers);
}

__global__ void mark_numbers(const std::int64_t* numbers, std::int64_t count, std::int64_t n, double* x) {
  const std::int64_t r = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (r < count && numbers[r] >= 0 && numbers[r] < n) x[numbers[r]] = 1;
}

// The largest s'x over the relaxed set, with the sum of absolute values.
template <class Value>
__device__ Total largest_sum(Team& team, std::int64_t n, std::int64_t budget, const Value& s) {
  struct Above {
    Total total;
    double count = 0;
    __device__ Above& operator+=(const Above& other) {
      total += other.total;
      count += other.count;
      return *this;
    }
  };
  const double threshold = team.ranked(n, s, budget);
  const Above above = team.sum(n, [&](std::int64_t i) {
    const double value = s(i);
    return value > threshold ? Above{{value, std::abs(value)}, 1} : Above{};
  });
  const double rest = static_cast<double>(budget) - above.count;
  return {above.total.value + rest * threshold, above.total.size + rest * std::abs(threshold)};
}

__device__ double padded(const Total& total) { return total.value + kRounding * total.size; }

// Steps of the accelerated projected gradient on h of bound.cpp.
__global__ void __launch_bounds__(kThreads, policy::kBlocks) shift_steps(TeamMemory memory, Elements problem, Shift shift) {
  Team team(memory);
  const std::int64_t n = problem.n();
  const double alpha = problem.alpha;
  ShiftState state = *shift.state;
  const auto slope = [&](std::int64_t i) { return shift.slope[i]; };
  for (int step = 1; step <= policy::kShiftSteps; ++step) {
    const Total quadratic = team.sum_of_units<Total>(n, [&](std::int64_t begin, std::int64_t end) {
      Total lane;
      for (std::int64_t first = begin; first < end; first += kThreads) {
        const double ky = product_of_row(problem.k, shift.y, first);
        const std::int64_t i = first + threadIdx.x;
        if (i >= end) continue;
        const double shifted = ky + shift.d * shift.y[i];
        shift.slope[i] = problem.importance[i] + alpha * (shift.d - 2 * shifted);
        const double term = alpha * shift.y[i] * shifted;
        lane += Total{term, std::abs(term)};
      }
      return lane;
    });
    state.quadratic = padded(quadratic);
    const ProjectedStep formula{shift.step};
    const Root root = fit(team, problem, shift.y, formula, slope, state.lambda);
    state.lambda = root.nearest();
    const double next_momentum = (1 + std::sqrt(1 + 4 * state.momentum * state.momentum)) / 2;
    const double carry = (state.momentum - 1) / next_momentum;
    state.momentum = next_momentum;
    team.for_each(n, [&](std::int64_t i) {
      const double next = response(formula, root, shift.y[i], shift.slope[i]);
      shift.y[i] = next + carry * (next - shift.x[i]);
      shift.x[i] = next;
    });
    team.barrier();
  }
  if (team.is_first()) *shift.state = state;
}

// The bound of the point before the last move, from its slopes.
__global__ void __launch_bounds__(kThreads, policy::kBlocks) look_at_shift(TeamMemory memory, Elements problem, Shift shift) {
  Team team(memory);
  const double most = padded(largest_sum(team, problem.n(), problem.budget, [&](std::int64_t i) { return shift.slope[i]; }));
  if (!team.is_first()) return;
  const double bound = most + shift.state->quadratic;
  if (bound < shift.state->bound) shift.state->bound = bound;
}

}  // namespace

void take_shift_steps(const Elements& problem, const Shift& shift, TeamSpace& space, const cuda::Stream& stream) {
  launch_team(space, problem.n(), stream, shift_steps, problem, shift);
  launch_team(space, problem.n(), stream, look_at_shift, problem, shift);
}

void mark(const std::int64_t* numbers, std::int64_t count, std::int64_t n, double* x, const cuda::Stream& stream) {
  cuda::launch(stream, {cuda::blocks_for(count, kThreads), kThreads}, mark_numbers, numbers, count, n, x);
}

void support(const Elements& problem, double* x, double* sum_and_size, TeamSpace& space, const cuda::Stream& stream) {
  launch_team(space, problem.n(), stream, take_largest, problem, x, sum_and_size);
}

void numbers_of(std::int64_t n, const double* x, std::int64_t* numbers, TeamSpace& space, const cuda::Stream& stream) {
  launch_team(space, n, stream, list_chosen, n, x, numbers);
}

}  // namespace coremax::solver::on_cuda
