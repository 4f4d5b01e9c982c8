// Linear maximisation over the subsets of the budget's size, which is the modular bound where K >= 0, and what else is left of bound.cpp.
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

__global__ void __launch_bounds__(kThreads, policy::kBlocks) take_largest(TeamMemory memory, Elements problem, double* x, double* sum_and_size) {
  Team team(memory);
  const std::int64_t n = problem.n();
  const double* s = problem.importance;
  const double threshold = problem.budget > 0 ? team.ranked(n, [&](std::int64_t i) { return s[i]; }, problem.budget) : INFINITY;
  const auto above = static_cast<std::int64_t>(team.sum(n, [&](std::int64_t i) { return s[i] > threshold ? 1.0 : 0.0; }));
  // Of those at the threshold, the first ones.
  team.running_sum(n, [&](std::int64_t i) { return s[i] == threshold ? 1 : 0; }, [&](std::int64_t i, std::int64_t before) {
    x[i] = s[i] > threshold || (s[i] == threshold && above + before < problem.budget) ? 1 : 0;
  });
  const Total total = team.sum(n, [&](std::int64_t i) { return Total{s[i] * x[i], std::abs(s[i] * x[i])}; });
  if (!team.is_first()) return;
  sum_and_size[0] = total.value;
  sum_and_size[1] = total.size;
}

__global__ void __launch_bounds__(kThreads, policy::kBlocks) list_chosen(TeamMemory memory, std::int64_t n, const double* x, std::int64_t* numbers) {
  Team team(memory);
  team.select(n, [&](std::int64_t i) { return x[i] > 0.5; }, numbers);
}

__global__ void mark_numbers(const std::int64_t* numbers, std::int64_t count, std::int64_t n, double* x) {
  const std::int64_t r = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (r < count && numbers[r] >= 0 && numbers[r] < n) x[numbers[r]] = 1;
}

}  // namespace

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
