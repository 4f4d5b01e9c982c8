// The two ends of K's spectrum by the Lanczos process with a random start.
//
// How far the ends may still be: for a start uniform on the sphere and m steps, the Ritz value misses the end of the spectrum
// by more than epsilon times its width with probability at most 1.648 sqrt(n) exp(-sqrt(epsilon) (2m - 1)) (Kuczynski and
// Wozniakowski, SIAM J. Matrix Anal. Appl. 1992, theorem 3b). We solve for the epsilon that makes this kFailure.
// No row of K can carry the spectrum past its largest absolute row sum (Gershgorin), which caps the margin, too.
#include <algorithm>
#include <cmath>

#include "core/log.h"
#include "solver/lanczos.h"
#include "solver/stages.h"
#include "solver/sums.h"

namespace coremax::solver {
namespace {

constexpr double kFailure = 1e-12;
constexpr std::int64_t kMaxSteps = 200;
constexpr std::int64_t kMinSteps = 40;
constexpr double kWork = 4e8;  // multiplications to spend: steps become fewer as K grows

// How many eigenvalues of the tridiagonal matrix lie below x (Sturm sequence).
std::int64_t count_below(const Vector& diagonal, const Vector& off, double x) {
  std::int64_t count = 0;
  double pivot = 1;
  for (std::size_t i = 0; i < diagonal.size(); ++i) {
    const double coupling = i == 0 ? 0.0 : off[i - 1] * off[i - 1];
    pivot = diagonal[i] - x - coupling / pivot;
    if (pivot == 0) pivot = -1e-300;
    count += pivot < 0;
  }
  return count;
}

double dot(const Vector& a, const Vector& b, ThreadPool& pool) {
  return ordered_sum(pool, static_cast<std::int64_t>(a.size()), [&](std::int64_t i) { return a[at(i)] * b[at(i)]; });
}

}  // namespace

// The eigenvalue with `rank` others below it, by bisection within [-radius, radius].
double tridiagonal_eigenvalue(const Vector& diagonal, const Vector& off, std::int64_t rank, double radius) {
  double low = -radius;
  double high = radius;
  for (int step = 0; step < 100; ++step) {
    const double middle = low + (high - low) / 2;
    (count_below(diagonal, off, middle) > rank ? high : low) = middle;
  }
  return low + (high - low) / 2;
}

std::int64_t lanczos_steps(std::int64_t n, std::int64_t n_entries) {
  return std::min(n,
                  std::clamp(static_cast<std::int64_t>(kWork / static_cast<double>(n_entries + 10 * n)), kMinSteps, kMaxSteps));
}

Spectrum spectrum_of(const Vector& diagonal, const Vector& off, bool exhausted, double radius, std::int64_t n) {
  const auto m = static_cast<std::int64_t>(diagonal.size());
  Spectrum ends{tridiagonal_eigenvalue(diagonal, off, 0, radius), tridiagonal_eigenvalue(diagonal, off, m - 1, radius), 0};
  const double root = portable_log(1.648 * std::sqrt(static_cast<double>(n)) / kFailure) / static_cast<double>(2 * m - 1);
  const double epsilon = exhausted ? 1e-12 : root * root;
  // The width is itself known from inside only: true width <= found width / (1 - 2 epsilon).
  const double cap = radius - std::min(ends.highest, -ends.lowest);
  ends.margin = epsilon < 0.25 ? std::min(cap, epsilon / (1 - 2 * epsilon) * (ends.highest - ends.lowest)) : cap;
  ends.margin = std::max(ends.margin, 1e-12 * radius);
  return ends;
}

Spectrum spectrum(const graph::CsrView& k, std::uint64_t seed, ThreadPool& pool) {
  const std::int64_t n = k.n;
  const double radius = blocked_sum(pool, n, [&](std::int64_t i) {
                          double sum = 0;
                          for (std::int64_t e = k.indptr[i]; e < k.indptr[i + 1]; ++e)
                            sum += std::abs(static_cast<double>(k.values[e]));
                          return Max{sum};
                        }).value;
  if (radius == 0) return {};

  const std::int64_t steps = lanczos_steps(n, k.indptr[n]);
  Vector v(at(n));
  parallel_for(pool, n, [&](std::int64_t i) { v[at(i)] = normal_number(seed, i); });
  Vector previous(v.size(), 0.0);
  Vector diagonal;
  Vector off;
  double coupling = 0;
  const double length = std::sqrt(dot(v, v, pool));
  parallel_for(pool, n, [&](std::int64_t i) { v[at(i)] /= length; });
  bool exhausted = false;
  std::vector<Vector> basis;  // kept where it is small, to run the process to its end without losing orthogonality
  for (std::int64_t m = 0; m < steps; ++m) {
    if (steps == n) basis.push_back(v);
    Vector next = multiply(k, v, pool);
    const double a = dot(v, next, pool);
    diagonal.push_back(a);
    parallel_for(pool, n, [&](std::int64_t i) { next[at(i)] -= a * v[at(i)] + coupling * previous[at(i)]; });
    for (const Vector& direction : basis) {
      const double overlap = dot(direction, next, pool);
      parallel_for(pool, n, [&](std::int64_t i) { next[at(i)] -= overlap * direction[at(i)]; });
    }
    coupling = std::sqrt(dot(next, next, pool));
    // The Krylov space is complete: a random start meets every eigenvector, so the ends are found.
    exhausted = coupling <= kExhausted * radius || m + 1 == n;
    if (exhausted || m + 1 == steps) break;
    off.push_back(coupling);
    parallel_for(pool, n, [&](std::int64_t i) { next[at(i)] /= coupling; });
    previous = std::move(v);
    v = std::move(next);
  }
  return spectrum_of(diagonal, off, exhausted, radius, n);
}

}  // namespace coremax::solver
