// The stages of a solve, private to this folder: one file each, named as the stage.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "solver/solver.h"

namespace coremax::solver {

using Vector = std::vector<double>;
using Subset = std::vector<std::uint8_t>;  // 1 where the element is kept

inline std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// The largest of non-negative terms, as a "sum" for blocked_sum.
struct Max {
  double value = 0;
  Max& operator+=(const Max& other) {
    value = std::max(value, other.value);
    return *this;
  }
};

// objective.cpp
Vector multiply(const graph::CsrView& k, const Vector& x, ThreadPool& pool);  // K x
double relaxed_objective(const Problem& problem, const Vector& x, const Vector& kx, ThreadPool& pool);
double subset_objective(const Problem& problem, const Subset& subset, ThreadPool& pool);
Vector gains(const Problem& problem, const Vector& kx, ThreadPool& pool);  // I - 2 alpha K x: the gradient of f
double entry(const graph::CsrView& k, std::int64_t i, std::int64_t j);     // K_ij
Subset largest(const Vector& values, std::int64_t count);                  // the count largest, ties to the lower number
Vector as_vector(const Subset& subset);

// projection.cpp: the point of {0 <= x <= 1, sum x = p} nearest to x + step g. threshold is the multiplier of the sum on the
// scale of g: where the search begins, if finite, and what it found; it moves little from one iteration to the next.
Vector project(const Vector& x, const Vector& g, double step, std::int64_t budget, double& threshold, ThreadPool& pool);
constexpr double kUnknownThreshold = std::numeric_limits<double>::infinity();

// lanczos.cpp: the ends of K's spectrum. lowest and highest are reached from inside; the true ends lie within margin of them.
struct Spectrum {
  double lowest = 0;
  double highest = 0;
  double margin = 0;
};
Spectrum spectrum(const graph::CsrView& k, std::uint64_t seed, ThreadPool& pool);

// pgd.cpp
struct Ascent {
  Vector x;
  Vector kx;
  Status status = Status::max_iterations;
  std::int64_t iterations = 0;
  std::vector<double> history;
};
using StopTest = std::function<bool(std::int64_t iteration, double objective, Status& status)>;
Ascent projected_gradient(const Problem& problem, const Options& options, const Spectrum& ends, const StopTest& stop, ThreadPool& pool);

// rounding.cpp: a subset with f(subset) >= f(x) where K >= 0.
Subset round_pairwise(const Problem& problem, Vector x, const Vector& kx, ThreadPool& pool);

// polish.cpp: swaps one against one until none improves f or `expired`; returns how many.
std::int64_t polish_swaps(const Problem& problem, Subset& subset, const std::function<bool()>& expired, ThreadPool& pool);

// bound.cpp
struct Bound {
  double value = 0;
  BoundKind kind = BoundKind::none;
};
Bound modular_bound(const Problem& problem, ThreadPool& pool);
Bound diagonal_shift_bound(const Problem& problem, const Spectrum& ends, const Subset& start, const std::function<bool()>& expired,
                           ThreadPool& pool);

}  // namespace coremax::solver
