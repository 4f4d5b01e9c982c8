// Raises a diagonal until W + diag(delta) is positive semidefinite, with proof.
//
// Connected components are treated apart, and delta grows by one factor 1 + epsilon in each. Of a small component the Cholesky
// factors are computed: an m x m Cholesky factorisation that runs to its end on A has factored a matrix that differs from A by
// at most gamma sqrt(a_ii a_jj), gamma = (m + 2) 2^-53 / (1 - (m + 2) 2^-53) (Demmel; Higham, theorem 10.5), so A + m gamma
// diag(A) is positive semidefinite. This can not fail. It is tried on W + (1 - kMargin)(1 + epsilon) delta.
//
// What is too large for that is left to Lanczos runs on B = delta^-1/2 W delta^-1/2, whose spectrum is narrow: W + (1 +
// epsilon) delta is positive semidefinite just if no eigenvalue of B is below -(1 + epsilon). The starts are random and
// independent, so the chance that all runs miss the end by more than the margin (lanczos.cpp) is the product of theirs: with
// eight starts each may fail once in thirty times for all to fail once in 10^12, which takes a tenth of the margin that a
// single start needs. The starts do not depend on the matrix, nor the matrix on them.
#include <algorithm>
#include <array>
#include <cmath>

#include "core/cosine.h"
#include "core/log.h"
#include "core/philox.h"
#include "solver/semidefinite.h"

namespace coremax::solver {
namespace {

constexpr std::int64_t kDense = 512;  // elements of the largest component to factor
constexpr double kDenseWork = 1.5e9;  // multiplications for one factorisation of all of them
constexpr double kMargin = 1e-9;      // above 512 * 514 * 2^-53 = 3e-11
constexpr double kFailure = 1e-12;
constexpr int kStarts = 8;
constexpr std::int64_t kMaxSteps = 400;
constexpr std::int64_t kMinSteps = 24;
constexpr std::uint64_t kFirstPosition = std::uint64_t{1} << 48;  // of the random numbers: apart from other uses of the stream
constexpr int kPowerSteps = 12;

using Members = std::vector<std::int64_t>;

// The connected components of two elements or more in the graph of W's entries that are not 0, by first element.
std::vector<Members> components(const graph::CsrView& k, const Vector& w) {
  std::vector<std::uint8_t> seen(at(k.n), 0);
  std::vector<Members> all;
  for (std::int64_t first = 0; first < k.n; ++first) {
    if (seen[at(first)]) continue;
    Members members{first};
    seen[at(first)] = 1;
    for (std::size_t m = 0; m < members.size(); ++m)
      for (std::int64_t e = k.indptr[members[m]]; e < k.indptr[members[m] + 1]; ++e) {
        const std::int64_t j = k.indices[e];
        if (seen[at(j)] || w[at(e)] == 0) continue;
        seen[at(j)] = 1;
        members.push_back(j);
      }
    if (members.size() < 2) continue;
    std::sort(members.begin(), members.end());
    all.push_back(std::move(members));
  }
  return all;
}

// Cholesky in place, lower triangle by columns; false when a pivot is not positive.
bool factor(Vector& a, std::size_t m) {
  for (std::size_t j = 0; j < m; ++j) {
    double* pivot_column = a.data() + j * m;
    if (!(pivot_column[j] > 0)) return false;
    const double root = std::sqrt(pivot_column[j]);
    for (std::size_t i = j; i < m; ++i) pivot_column[i] /= root;
    for (std::size_t c = j + 1; c < m; ++c) {
      const double by = pivot_column[c];
      if (by == 0) continue;
      double* column = a.data() + c * m;
      for (std::size_t i = c; i < m; ++i) column[i] -= by * pivot_column[i];
    }
  }
  return true;
}

// The largest ratio of a row's absolute sum to its delta, less 1: delta (1 + that) dominates every row (Gershgorin).
double dominance(const graph::CsrView& k, const Vector& w, const Vector& delta, const Members& members) {
  double most = 0;
  for (const std::int64_t i : members) {
    double sum = 0;
    for (std::int64_t e = k.indptr[i]; e < k.indptr[i + 1]; ++e) sum += std::abs(w[at(e)]);
    most = std::max(most, sum * (1 + 1e-9) / delta[at(i)]);
  }
  return std::max(0.0, most - 1);
}

class Component {
 public:
  Component(const graph::CsrView& k, const Vector& w, const Vector& delta, const Members& members)
      : m_(members.size()), w_(m_ * m_, 0.0), delta_(m_) {
    for (std::size_t c = 0; c < m_; ++c) {
      const std::int64_t i = members[c];
      delta_[c] = delta[at(i)];
      for (std::int64_t e = k.indptr[i]; e < k.indptr[i + 1]; ++e) {
        if (w[at(e)] == 0) continue;
        const auto row = std::lower_bound(members.begin(), members.end(), std::int64_t{k.indices[e]}) - members.begin();
        w_[c * m_ + static_cast<std::size_t>(row)] += w[at(e)];
      }
    }
  }
  bool holds(double epsilon) {
    work_ = w_;
    for (std::size_t c = 0; c < m_; ++c) work_[c * m_ + c] += (1 - kMargin) * (1 + epsilon) * delta_[c];
    return factor(work_, m_);
  }

 private:
  std::size_t m_;
  Vector w_;
  Vector delta_;
  Vector work_;
};

// The least epsilon on a ladder of factors 2, then refined once, for which the factors exist.
double least_raise(const graph::CsrView& k, const Vector& w, const Vector& delta, const Members& members) {
  const double enough = dominance(k, w, delta, members);
  Component component(k, w, delta, members);
  double failed = 0;
  for (double epsilon = 2e-4; epsilon < enough; epsilon *= 2) {
    if (!component.holds(epsilon)) {
      failed = epsilon;
      continue;
    }
    for (int step = 0; step < 2 && failed > 0; ++step) {
      const double middle = (failed + epsilon) / 2;
      (component.holds(middle) ? epsilon : failed) = middle;
    }
    return epsilon;
  }
  return enough;
}

using Row = std::array<double, kStarts>;

Row zero() { return Row{}; }

struct Dots {
  Row value = zero();
  Dots& operator+=(const Dots& other) {
    for (std::size_t s = 0; s < kStarts; ++s) value[s] += other.value[s];
    return *this;
  }
};

// kStarts Lanczos runs at once on B restricted to the elements with scale > 0; the vectors lie interleaved.
class Runs {
 public:
  Runs(const graph::CsrView& k, const Vector& w, const Vector& scale, std::int64_t size, std::uint64_t seed, ThreadPool& pool)
      : k_(k),
        scale_(scale),
        size_(size),
        pool_(pool),
        entries_(w.size()),
        v_(scale.size()),
        previous_(scale.size()),
        next_(scale.size()) {
    parallel_for(pool_, k.n, [&](std::int64_t i) {
      for (std::int64_t e = k.indptr[i]; e < k.indptr[i + 1]; ++e)
        entries_[at(e)] = scale[at(i)] * w[at(e)] * scale[at(k.indices[e])];
      v_[at(i)] = scale[at(i)] > 0 ? direction(seed, static_cast<std::uint64_t>(i)) : zero();
      previous_[at(i)] = zero();
    });
    radius_ = blocked_sum(pool_, k.n, [&](std::int64_t i) {
                double sum = 0;
                for (std::int64_t e = k_.indptr[i]; e < k_.indptr[i + 1]; ++e) sum += std::abs(entries_[at(e)]);
                return Max{sum};
              }).value;
  }

  Spectrum ends(double work) {
    const auto width = static_cast<double>(k_.indptr[k_.n] + 6 * k_.n) * kStarts;
    const std::int64_t steps = std::min(size_, std::clamp(static_cast<std::int64_t>(work / width), kMinSteps, kMaxSteps));
    std::array<Vector, kStarts> diagonal;
    std::array<Vector, kStarts> off;
    normalise(v_);
    Row coupling = zero();
    std::array<bool, kStarts> complete{};
    for (std::int64_t m = 0; m < steps; ++m) {
      pool_.check();
      const Row a = multiply();
      parallel_for(pool_, k_.n, [&](std::int64_t i) {
        for (std::size_t s = 0; s < kStarts; ++s) next_[at(i)][s] -= a[s] * v_[at(i)][s] + coupling[s] * previous_[at(i)][s];
      });
      coupling = normalise(next_);
      for (std::size_t s = 0; s < kStarts; ++s) {
        if (complete[s]) continue;
        diagonal[s].push_back(a[s]);
        complete[s] = coupling[s] <= 1e-13 * radius_;
        if (!complete[s] && m + 1 < steps) off[s].push_back(coupling[s]);
      }
      std::swap(previous_, v_);
      std::swap(v_, next_);
    }
    Spectrum found{INFINITY, -INFINITY, 0};
    for (std::size_t s = 0; s < kStarts; ++s) {
      const auto m = static_cast<std::int64_t>(diagonal[s].size());
      found.lowest = std::min(found.lowest, tridiagonal_eigenvalue(diagonal[s], off[s], 0, radius_));
      found.highest = std::max(found.highest, tridiagonal_eigenvalue(diagonal[s], off[s], m - 1, radius_));
    }
    found.margin = margin(found, steps, std::count(complete.begin(), complete.end(), false));
    return found;
  }

 private:
  static Row direction(std::uint64_t seed, std::uint64_t i) {
    Row row;
    for (std::size_t s = 0; s < kStarts; ++s) {
      const std::uint64_t position = kFirstPosition + 2 * (kStarts * i + s);
      const double radius = std::sqrt(-2 * portable_log(open_unit(random_bits(seed, Stream::lanczos_start, position))));
      row[s] = radius * portable_cosine_of_turns(open_unit(random_bits(seed, Stream::lanczos_start, position + 1)));
    }
    return row;
  }
  // next = B v; returns v'Bv.
  Row multiply() {
    return blocked_sum(pool_, k_.n,
                       [&](std::int64_t i) {
                         Row sum = zero();
                         Dots dots;
                         if (scale_[at(i)] > 0) {
                           for (std::int64_t e = k_.indptr[i]; e < k_.indptr[i + 1]; ++e) {
                             const Row& v = v_[at(k_.indices[e])];
                             for (std::size_t s = 0; s < kStarts; ++s) sum[s] += entries_[at(e)] * v[s];
                           }
                           for (std::size_t s = 0; s < kStarts; ++s) dots.value[s] = sum[s] * v_[at(i)][s];
                         }
                         next_[at(i)] = sum;
                         return dots;
                       })
        .value;
  }
  Row normalise(std::vector<Row>& vectors) {
    Row length = blocked_sum(pool_, k_.n, [&](std::int64_t i) {
                   Dots dots;
                   for (std::size_t s = 0; s < kStarts; ++s) dots.value[s] = vectors[at(i)][s] * vectors[at(i)][s];
                   return dots;
                 }).value;
    for (double& l : length) l = std::sqrt(l);
    parallel_for(pool_, k_.n, [&](std::int64_t i) {
      for (std::size_t s = 0; s < kStarts; ++s) vectors[at(i)][s] /= length[s] > 0 ? length[s] : 1.0;
    });
    return length;
  }
  // A run that has completed its Krylov space has found the end, but only up to a rounding we know less of: it does not count.
  double margin(const Spectrum& found, std::int64_t steps, std::int64_t runs) const {
    const double cap = std::max(0.0, radius_ + found.lowest);
    double epsilon = 1e-12;
    if (runs > 0) {
      const double each = portable_log(kFailure) / static_cast<double>(runs);
      const double root =
          (portable_log(1.648 * std::sqrt(static_cast<double>(size_))) - each) / static_cast<double>(2 * steps - 1);
      epsilon = root * root;
    }
    const double wide = epsilon < 0.25 ? epsilon / (1 - 2 * epsilon) * (found.highest - found.lowest) : cap;
    return std::max(std::min(cap, wide), 1e-12 * radius_);
  }

  const graph::CsrView& k_;
  const Vector& scale_;
  const std::int64_t size_;
  ThreadPool& pool_;
  Vector entries_;
  std::vector<Row> v_;
  std::vector<Row> previous_;
  std::vector<Row> next_;
  double radius_ = 0;
};

// About the largest eigenvalue of delta^-1/2 W delta^-1/2: a guess for step sizes, nothing depends on its being right.
double about_highest(const graph::CsrView& k, const Vector& w, const Vector& delta, ThreadPool& pool) {
  Vector v(at(k.n), 1.0);
  double quotient = 0;
  for (int step = 0; step < kPowerSteps; ++step) {
    Vector next(at(k.n));
    parallel_for(pool, k.n, [&](std::int64_t i) {
      double sum = 0;
      for (std::int64_t e = k.indptr[i]; e < k.indptr[i + 1]; ++e) sum += w[at(e)] * v[at(k.indices[e])];
      next[at(i)] = delta[at(i)] > 0 ? v[at(i)] + sum / delta[at(i)] : 0.0;
    });
    const double length =
        std::sqrt(blocked_sum(pool, k.n, [&](std::int64_t i) { return next[at(i)] * next[at(i)] * delta[at(i)]; }));
    const double before = std::sqrt(blocked_sum(pool, k.n, [&](std::int64_t i) { return v[at(i)] * v[at(i)] * delta[at(i)]; }));
    quotient = before > 0 ? length / before : 0;
    if (!(length > 0)) break;
    parallel_for(pool, k.n, [&](std::int64_t i) { v[at(i)] = next[at(i)] / length; });
  }
  return quotient;
}

}  // namespace

Definite make_definite(const graph::CsrView& k, const Vector& w, Vector& delta, double lanczos_work, std::uint64_t seed,
                       ThreadPool& pool) {
  // An element with edges needs some delta to be scaled by; one without needs none.
  parallel_for(pool, k.n, [&](std::int64_t i) {
    double sum = 0;
    for (std::int64_t e = k.indptr[i]; e < k.indptr[i + 1]; ++e) sum += std::abs(w[at(e)]);
    delta[at(i)] = sum > 0 ? std::max(delta[at(i)], 1e-3 * sum) : 0.0;
  });
  std::vector<Members> parts = components(k, w);
  std::stable_sort(parts.begin(), parts.end(), [](const Members& a, const Members& b) { return a.size() < b.size(); });
  std::size_t n_small = 0;
  for (double work = 0; n_small < parts.size() && static_cast<std::int64_t>(parts[n_small].size()) <= kDense; ++n_small) {
    const auto m = static_cast<double>(parts[n_small].size());
    work += m * m * m / 3;
    if (work > kDenseWork) break;
  }
  Vector raise(n_small, 0.0);
  pool.run(static_cast<std::int64_t>(n_small), [&](std::int64_t c, ThreadPool::Worker& worker) {
    worker.poll();
    raise[at(c)] = least_raise(k, w, delta, parts[at(c)]);
  });
  Definite result;
  Vector scale(at(k.n), 0.0);
  std::int64_t n_rest = 0;
  for (std::size_t c = 0; c < parts.size(); ++c) {
    if (c < n_small) {
      for (const std::int64_t i : parts[c]) delta[at(i)] *= 1 + raise[c];
      continue;
    }
    for (const std::int64_t i : parts[c]) scale[at(i)] = 1 / std::sqrt(delta[at(i)]);
    n_rest += static_cast<std::int64_t>(parts[c].size());
  }
  if (n_rest > 0) {
    result.proof = Proof::probable;
    const Spectrum ends = Runs(k, w, scale, n_rest, seed, pool).ends(lanczos_work);
    const double factor = std::max(0.0, ends.margin - ends.lowest) * (1 + 1e-12);
    for (std::int64_t i = 0; i < k.n; ++i)
      if (scale[at(i)] > 0) delta[at(i)] *= factor;
  }
  result.highest = about_highest(k, w, delta, pool);
  return result;
}

}  // namespace coremax::solver
