// Presolve on a device, as presolve.cpp has it but for the order in which neighbours are near each other: gathers from a
// device's cache do not gain by it.
#include "solver/bounding.h"
#include "solver/cuda/stages.h"
#include "solver/cuda/team.h"
#include "solver/responses.h"

namespace coremax::solver::on_cuda {
namespace {

// Largest and least of what a thread has seen.
struct Seen {
  double importance = 0;
  double similarity = 0;
  double least_similarity = 0;
  __device__ Seen& operator+=(const Seen& other) {
    importance = other.importance > importance ? other.importance : importance;
    similarity = other.similarity > similarity ? other.similarity : similarity;
    least_similarity = other.least_similarity < least_similarity ? other.least_similarity : least_similarity;
    return *this;
  }
};

__global__ void __launch_bounds__(kThreads, policy::kBlocks)
    look_over(TeamMemory memory, Elements problem, const double* x0, double largest, Look* out) {
  Team team(memory);
  const std::int64_t n = problem.n();
  Seen mine;
  team.for_each(problem.n_entries, [&](std::int64_t e) {
    const auto value = static_cast<double>(problem.k.values[e]);
    mine += Seen{0, std::abs(value), value};
  });
  team.for_each(n, [&](std::int64_t i) { mine += Seen{std::abs(problem.importance[i]), 0, 0}; });
  const Seen all = team.combined(mine);
  const auto first = [&](bool bad, std::int64_t i) { return Least{bad ? static_cast<double>(i) : INFINITY}; };
  const double bad = team.sum(n, [&](std::int64_t i) { return first(!(std::abs(problem.importance[i]) <= largest), i); }).value;
  const double bad_x0 = team.sum(n, [&](std::int64_t i) { return first(x0 != nullptr && !std::isfinite(x0[i]), i); }).value;
  if (team.is_first())
    *out = {all.importance, all.similarity, all.least_similarity, bad < INFINITY ? bad : -1, bad_x0 < INFINITY ? bad_x0 : -1};
}

template <class T>
__global__ void widen_from(const T* from, std::int64_t n, double* to) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) to[i] = static_cast<double>(from[i]);
}

__global__ void scale_by(double* values, std::int64_t n, int exponent) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) values[i] = std::ldexp(values[i], -exponent);
}

__global__ void __launch_bounds__(kThreads, policy::kBlocks)
    fix_by_bounds(TeamMemory memory, Elements problem, std::int8_t* fixed, double* least, double* most, std::int64_t* out) {
  Team team(memory);
  const std::int64_t n = problem.n();
  const auto& k = problem.k;
  std::int64_t fixed_so_far = 0;
  for (int round = 0; round < kBoundingRounds; ++round) {
    const double taken = team.sum(n, [&](std::int64_t i) {
      least[i] = most[i] = -INFINITY;
      if (fixed[i] != 0) return fixed[i] > 0 ? 1.0 : 0.0;
      GainSums sums;
      for (std::int64_t e = k.indptr[i]; e < k.indptr[i + 1]; ++e) {
        const std::int8_t side = fixed[k.indices[e]];
        if (side >= 0) sums.add(static_cast<double>(k.values[e]), side > 0);
      }
      least[i] = sums.least(problem.importance[i], problem.alpha);
      most[i] = sums.most(problem.importance[i], problem.alpha);
      return 0.0;
    });
    const std::int64_t left = problem.budget - static_cast<std::int64_t>(taken);
    const double out_below = left > 0 ? team.ranked(n, [&](std::int64_t i) { return least[i]; }, left) : INFINITY;
    // An i whose own most counts among those above its least: rank `left` of the others is rank left + 1 of all.
    const double in_above = left > 0 ? team.ranked(n, [&](std::int64_t i) { return most[i]; }, left + 1) : INFINITY;
    const auto found = static_cast<std::int64_t>(team.sum(n, [&](std::int64_t i) {
      if (fixed[i] != 0) return 0.0;
      const bool in = least[i] > in_above;
      if (!in && !(most[i] < out_below)) return 0.0;
      fixed[i] = in ? 1 : -1;
      return 1.0;
    }));
    fixed_so_far += found;
    if (!is_worth_another_round(found, n)) break;
  }
  if (team.is_first()) *out = fixed_so_far;
}

__global__ void __launch_bounds__(kThreads, policy::kBlocks)
    measure_reduced(TeamMemory memory, Elements problem, Reduction reduction, Reduced* out) {
  Team team(memory);
  const std::int64_t n = problem.n();
  const auto& k = problem.k;
  const double n_in = team.sum(n, [&](std::int64_t i) {
    const bool taken = reduction.fixed[i] > 0;
    reduction.taken[i] = taken ? 1 : 0;
    reduction.place[i] = -1;
    return taken ? 1.0 : 0.0;
  });
  const double constant = team.sum_of_units<double>(n, [&](std::int64_t begin, std::int64_t end) {
    double lane = 0;
    for (std::int64_t first = begin; first < end; first += kThreads) {
      const double kx = product_of_row(k, reduction.taken, first);
      const std::int64_t i = first + threadIdx.x;
      if (i >= end) continue;
      reduction.kx[i] = kx;
      lane += value_term(reduction.taken[i], problem.importance[i], problem.alpha, kx);
    }
    return lane;
  });
  const double padding = team.sum(n, [&](std::int64_t i) {
    return rounding_of_taken(reduction.fixed[i] > 0, problem.importance[i], problem.alpha, reduction.kx[i]);
  });
  const auto element = [&](std::int64_t r) { return reduction.order != nullptr ? reduction.order[r] : r; };
  const std::int64_t n_open = team.select(n, [&](std::int64_t r) { return reduction.fixed[element(r)] == 0; }, reduction.open);
  team.for_each(n_open, [&](std::int64_t r) {
    reduction.open[r] = static_cast<std::int32_t>(element(reduction.open[r]));
    reduction.place[reduction.open[r]] = static_cast<std::int32_t>(r);
  });
  team.barrier();
  const auto degree = [&](std::int64_t r) {
    const std::int64_t i = reduction.open[r];
    std::int64_t count = 0;
    for (std::int64_t e = k.indptr[i]; e < k.indptr[i + 1]; ++e) count += reduction.place[k.indices[e]] >= 0;
    return count;
  };
  const std::int64_t n_entries =
      team.running_sum(n_open, degree, [&](std::int64_t r, std::int64_t before) { reduction.indptr[r] = before; });
  if (!team.is_first()) return;
  reduction.indptr[n_open] = n_entries;
  *out = {constant, padding, n_open, static_cast<std::int64_t>(n_in), n_entries};
}

__global__ void fill_reduced(Elements problem, Reduction reduction, std::int64_t n_open, std::int32_t* indices, float* values,
                             Entry* entries, double* importance) {
  const std::int64_t r = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (r >= n_open) return;
  const std::int64_t i = reduction.open[r];
  importance[r] = gain(problem.importance[i], problem.alpha, reduction.kx[i]);
  std::int64_t to = reduction.indptr[r];
  for (std::int64_t e = problem.k.indptr[i]; e < problem.k.indptr[i + 1]; ++e) {
    const std::int32_t place = reduction.place[problem.k.indices[e]];
    if (place < 0) continue;
    if (entries != nullptr) {
      entries[to++] = entry_at(place, problem.k.values[e]);
    } else {
      indices[to] = place;
      values[to++] = problem.k.values[e];
    }
  }
}

// Numbers in the order of their values, both zeros alike.
__global__ void keys_from(std::int64_t n, const double* values, std::uint64_t* keys, std::int64_t* numbers) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= n) return;
  const auto bits = std::bit_cast<std::uint64_t>(values[i] == 0 ? 0.0 : values[i]);
  keys[i] = bits >> 63 != 0 ? ~bits : bits | std::uint64_t{1} << 63;
  numbers[i] = i;
}

__global__ void compare_neighbours(std::int64_t n, const std::uint64_t* keys, unsigned* tied) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i + 1 < n && keys[i] == keys[i + 1]) atomicAdd(tied, 1U);
}

__global__ void expand_to(Reduction reduction, std::int64_t n, const double* x, double* whole) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= n) return;
  const std::int32_t place = reduction.place[i];
  whole[i] = place >= 0 ? x[place] : reduction.taken[i];
}

__global__ void restrict_from(Reduction reduction, std::int64_t n_open, const double* whole, double* x) {
  const std::int64_t r = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (r < n_open) x[r] = whole[reduction.open[r]];
}

}  // namespace

void look(const Elements& problem, const double* x0, double largest, Look* out, TeamSpace& space, const cuda::Stream& stream) {
  launch_team(space, problem.n(), stream, look_over, problem, x0, largest, out);
}

void widen(const void* from, bool from_float32, std::int64_t n, double* to, const cuda::Stream& stream) {
  const cuda::Grid grid{cuda::blocks_for(n, kThreads), kThreads};
  if (from_float32)
    cuda::launch(stream, grid, widen_from<float>, static_cast<const float*>(from), n, to);
  else
    cuda::launch(stream, grid, widen_from<double>, static_cast<const double*>(from), n, to);
}

void scale(std::int64_t n, int exponent, double* values, const cuda::Stream& stream) {
  cuda::launch(stream, {cuda::blocks_for(n, kThreads), kThreads}, scale_by, values, n, exponent);
}

void fix(const Elements& problem, std::int8_t* fixed, double* least, double* most, std::int64_t* found, TeamSpace& space,
         const cuda::Stream& stream) {
  launch_team(space, problem.n(), stream, fix_by_bounds, problem, fixed, least, most, found);
}

void measure(const Elements& problem, const Reduction& reduction, Reduced* out, TeamSpace& space, const cuda::Stream& stream) {
  launch_team(space, problem.n(), stream, measure_reduced, problem, reduction, out);
}

void fill(const Elements& problem, const Reduction& reduction, std::int64_t n_open, std::int32_t* indices, float* values,
          Entry* entries, double* importance, const cuda::Stream& stream) {
  cuda::launch(stream, {cuda::blocks_for(n_open, kThreads), kThreads}, fill_reduced, problem, reduction, n_open, indices,
               values, entries, importance);
}

void keys_of(std::int64_t n, const double* values, std::uint64_t* keys, std::int64_t* numbers, const cuda::Stream& stream) {
  cuda::launch(stream, {cuda::blocks_for(n, kThreads), kThreads}, keys_from, n, values, keys, numbers);
}

void find_equal(std::int64_t n, const std::uint64_t* keys, unsigned* tied, const cuda::Stream& stream) {
  cuda::launch(stream, {cuda::blocks_for(n, kThreads), kThreads}, compare_neighbours, n, keys, tied);
}

void expand(const Reduction& reduction, std::int64_t n, const double* x, double* whole, const cuda::Stream& stream) {
  cuda::launch(stream, {cuda::blocks_for(n, kThreads), kThreads}, expand_to, reduction, n, x, whole);
}

void restrict_to(const Reduction& reduction, std::int64_t n_open, const double* whole, double* x, const cuda::Stream& stream) {
  cuda::launch(stream, {cuda::blocks_for(n_open, kThreads), kThreads}, restrict_from, reduction, n_open, whole, x);
}

}  // namespace coremax::solver::on_cuda
