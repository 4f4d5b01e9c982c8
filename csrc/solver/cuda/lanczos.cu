// The Lanczos process of lanczos.cpp on a device, in one launch.
#include "solver/lanczos.h"

#include "solver/cuda/stages.h"
#include "solver/cuda/team.h"
#include "solver/responses.h"

namespace coremax::solver::on_cuda {
namespace {

__global__ void __launch_bounds__(kThreads, policy::kBlocks)
    process(TeamMemory memory, graph::CsrView k, std::uint64_t seed, std::int64_t steps, double* work, double* diagonal,
            double* off, LanczosState* state) {
  Team team(memory);
  const std::int64_t n = k.n;
  double* v = work;
  double* previous = work + n;
  double* next = work + 2 * n;
  double* basis = work + 3 * n;  // kept where it is small, to run the process to its end without losing orthogonality
  const double radius = team.sum(n,
                                 [&](std::int64_t i) {
                                   double sum = 0;
                                   for (std::int64_t e = k.indptr[i]; e < k.indptr[i + 1]; ++e)
                                     sum += std::abs(static_cast<double>(k.values[e]));
                                   return Max{sum};
                                 })
                            .value;
  LanczosState reached{radius, 0, 0};
  if (radius > 0) {
    const double length = std::sqrt(team.sum(n, [&](std::int64_t i) {
      v[i] = normal_number(seed, i);
      previous[i] = 0;
      return v[i] * v[i];
    }));
    team.for_each(n, [&](std::int64_t i) { v[i] /= length; });
    team.barrier();
    double coupling = 0;
    for (std::int64_t m = 0; m < steps; ++m) {
      const double a = team.sum_of_units<double>(n, [&](std::int64_t begin, std::int64_t end) {
        double lane = 0;
        for (std::int64_t first = begin; first < end; first += kThreads) {
          const double product = product_of_row(k, v, first);
          const std::int64_t i = first + threadIdx.x;
          if (i >= end) continue;
          next[i] = product;
          lane += v[i] * product;
        }
        return lane;
      });
      team.for_each(n, [&](std::int64_t i) {
        if (steps == n) basis[m * n + i] = v[i];
        next[i] -= a * v[i] + coupling * previous[i];
      });
      for (std::int64_t b = 0; steps == n && b <= m; ++b) {
        const double* direction = basis + b * n;
        const double overlap = team.sum(n, [&](std::int64_t i) { return direction[i] * next[i]; });
        team.for_each(n, [&](std::int64_t i) { next[i] -= overlap * direction[i]; });
      }
      coupling = std::sqrt(team.sum(n, [&](std::int64_t i) { return next[i] * next[i]; }));
      ++reached.steps;
      reached.exhausted = coupling <= kExhausted * radius || m + 1 == n;
      if (team.is_first()) diagonal[m] = a;
      if (reached.exhausted != 0 || m + 1 == steps) break;
      if (team.is_first()) off[m] = coupling;
      team.for_each(n, [&](std::int64_t i) { next[i] /= coupling; });
      double* free = previous;
      previous = v;
      v = next;
      next = free;
      team.barrier();
    }
  }
  if (team.is_first()) *state = reached;
}

}  // namespace

void lanczos(const graph::CsrView& k, std::uint64_t seed, std::int64_t steps, double* work, double* diagonal, double* off,
             LanczosState* state, TeamSpace& space, const cuda::Stream& stream) {
  launch_team(space, k.n, stream, process, k, seed, steps, work, diagonal, off, state);
}

}  // namespace coremax::solver::on_cuda
