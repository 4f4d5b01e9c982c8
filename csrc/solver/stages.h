// The stages of a solve, private to this folder: one file each, named as the stage. All but presolve see a problem without
// fixed elements in which there is something to choose and some redundancy.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include "core/philox.h"
#include "solver/feasible.h"
#include "solver/responses.h"
#include "solver/solver.h"

namespace coremax::solver {

// What a stage may ask of the call it is part of: how long it has run, whether to stop, what is known so far.
class Run {
 public:
  Run(Options asked, ThreadPool& workers) : options(std::move(asked)), pool(workers) {}

  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
  bool expired() const { return interrupted_ || (options.time_limit > 0 && seconds() >= options.time_limit); }
  bool interrupted() const { return interrupted_; }
  // After every iteration of the method's total; true asks it to end with what it has. Objectives are of the reduced problem.
  bool report(Method method, std::int64_t iteration, std::int64_t total, double objective);
  // For the progress: the methods that will run, and which is next.
  void expect_methods(int count) { methods_ = count; }
  void next_method() { ++method_; }

  Options options;
  ThreadPool& pool;
  double upper_bound = INFINITY;  // of the whole problem
  double constant = 0;            // f of the elements that presolve has taken

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  bool interrupted_ = false;
  int methods_ = 1;
  int method_ = -1;
};

// solver.cpp
// Sums and products of numbers up to here stay far within a double.
constexpr double kLargest = 1e100;
// A redundancy too small for a normal number is none: its reciprocal, the step, would be infinite.
constexpr double kLeastRedundancy = 1e-280;
// The problem is solved in a unit, a power of two (its exponent) and so without rounding, in which the smaller of the largest
// importance and the largest redundancy is near one, as far as that leaves the larger in range: some stages work in single
// precision. None where both are 0.
std::optional<int> unit_of(double importance, double redundancy);

// objective.cpp
Vector multiply(const graph::CsrView& k, const Vector& x, ThreadPool& pool);  // K x
double relaxed_objective(const Problem& problem, const Vector& x, const Vector& kx, ThreadPool& pool);
double subset_objective(const Problem& problem, const Subset& subset, ThreadPool& pool);
Vector gains(const Problem& problem, const Vector& kx, ThreadPool& pool);  // I - 2 alpha K x: the gradient of f
double entry(const graph::CsrView& k, std::int64_t i, std::int64_t j);     // K_ij
Subset largest(const Vector& values, std::int64_t count);                  // the count largest, ties to the lower number
Vector as_vector(const Subset& subset);
// The change of all gains when x_i changes.
inline void shift_gains(const Problem& problem, std::int64_t i, double change, Vector& gain) {
  const double factor = -2 * problem.alpha * change;
  for (std::int64_t e = problem.k.indptr[i]; e < problem.k.indptr[i + 1]; ++e)
    gain[at(problem.k.indices[e])] += factor * static_cast<double>(problem.k.values[e]);
}

// presolve.cpp
// The elements in a random order where some are of equal importance, else empty: what a search does with the first and the last
// of equal elements is then a matter of the seed, whatever the stage, and not of where they stand.
std::vector<std::int64_t> order_of_ties(const Problem& problem, std::uint64_t seed);

// The problem of the elements that are still open.
class Reduced {
 public:
  // In the order given, or as they are where it is empty.
  Reduced(const Problem& whole, const std::vector<std::int64_t>& order, ThreadPool& pool);
  // With `bounding`, elements that are provably in or out of every best subset are fixed as well, and large problems put in
  // order.
  Reduced(const Problem& whole, bool bounding, ThreadPool& pool);
  Reduced(const Reduced&) = delete;
  Reduced& operator=(const Reduced&) = delete;

  const Problem& problem() const { return problem_; }
  double constant() const { return constant_; }  // f(whole) = constant + f(reduced)
  double padding() const { return padding_; }    // the rounding error of that, at most
  std::int64_t n_proved() const { return n_proved_; }
  Subset expand(const Subset& subset) const;  // of the whole
  Vector expand(const Vector& x) const;
  Vector restrict(const double* x) const;
  Subset restrict(const Subset& subset) const;

 private:
  void take_over_fixed();
  void build(ThreadPool& pool);

  const Problem& whole_;
  Problem problem_;
  double constant_ = 0;
  double padding_ = 0;
  std::int64_t n_proved_ = 0;
  bool same_ = true;  // nothing is fixed or moved: problem_ looks at the caller's arrays
  std::vector<std::int8_t> fixed_;
  std::vector<std::int64_t> open_;
  Vector importance_;
  Vector costs_;
  std::vector<std::int32_t> groups_;
  std::vector<std::int64_t> indptr_;
  std::vector<std::int32_t> indices_;
  std::vector<float> values_;
};

// multipliers.cpp: a relaxed point from its gradient. Each x_i is a response to g_i - lambda_i that falls as lambda_i rises,
// with lambda_i = total c_i + group: the multipliers for which the limits hold.
struct Multipliers {
  double total = kUnknown;
  Vector group;
  static constexpr double kUnknown = std::numeric_limits<double>::infinity();
};
// The point of the relaxed set nearest to x + step g.
Vector project(const Problem& problem, const Vector& x, const Vector& g, double step, Multipliers& multipliers,
               ThreadPool& pool);
// The same in the norm of a metric, with x + g / metric.
Vector project(const Problem& problem, const Vector& x, const Vector& g, const Vector& metric, Multipliers& multipliers,
               ThreadPool& pool);
// x_i = 1 / (1 + exp((lambda_i - g_i) / temperature)): the maximiser of g'x + temperature entropy(x) over the relaxed set.
Vector fermi(const Problem& problem, const Vector& g, double temperature, Multipliers& multipliers, ThreadPool& pool);

// lanczos.cpp: the ends of K's spectrum. lowest and highest are reached from inside; the true ends lie within margin of them.
struct Spectrum {
  double lowest = 0;
  double highest = 0;
  double margin = 0;
};
Spectrum spectrum(const graph::CsrView& k, std::uint64_t seed, ThreadPool& pool);
double tridiagonal_eigenvalue(const Vector& diagonal, const Vector& off, std::int64_t rank, double radius);
inline double norm(const Spectrum& ends) { return std::max(ends.highest, -ends.lowest); }

// relaxed.cpp: methods that move a relaxed point; f of it after every iteration is kept.
struct Ascent {
  Vector x;
  Vector kx;
  Status status = Status::max_iterations;
  std::int64_t iterations = 0;
  std::vector<double> history;
};
Ascent ascend(const Problem& problem, Method method, const Spectrum& ends, Run& run);
// What the methods are made of, for whoever runs their iterations: how many (in each stage), the step of the projected
// gradient, the stages of the continuation, and the temperature of every iteration given the spread of the first gradient.
std::int64_t iterations_of(Method method, const Options& options);
double gradient_step(double alpha, const Spectrum& ends);
constexpr double kContinuationShares[] = {0.1, 0.3, 0.6, 1.0};
struct Cooling {
  double hot;
  double factor;
  double at(std::int64_t t) const;
};
Cooling cooling_of(Method method, double spread, const Options& options);

// rounding.cpp: a feasible subset with f(subset) >= f(x) where K >= 0 and there are no costs.
Subset round_pairwise(const Problem& problem, Vector x, const Vector& kx, ThreadPool& pool);

// annealing.cpp: searches that move a subset. The subset returned is not feasible in general: complete() it.
struct Annealing {
  Subset subset;
  std::int64_t iterations = 0;
  std::vector<double> history;
};
// Gibbs sampling of single elements under a chemical potential that keeps the count, cooled; several chains in parallel.
struct Chains {
  int count;
  bool warm;  // cooled from a lower temperature, which does not forget the start
  int round;  // other random numbers for another round
};
std::vector<Annealing> heat_bath(const Problem& problem, const Subset& start, std::int64_t sweeps, Chains chains, Run& run);
// Metropolis swaps of random pairs, cooled.
Annealing swap_annealing(const Problem& problem, const Subset& start, std::int64_t moves, bool warm, Run& run);

// polish.cpp: swaps one against one (with costs: adds and drops, too) until none improves f or time is up; returns how many.
std::int64_t polish(const Problem& problem, Subset& subset, const Run& run);

// bound.cpp
struct Bound {
  double value = INFINITY;
  BoundKind kind = BoundKind::none;
};
Bound modular_bound(const Problem& problem, ThreadPool& pool);
// enumeration.cpp: the first of the best subsets in lexicographic order. Empty where rounding leaves nothing feasible.
struct Optimum {
  Subset subset;
  Bound bound;
};
bool is_enumerable(const Problem& problem);  // within milliseconds
Optimum enumerate(const Problem& problem, ThreadPool& pool);
// semidefinite.cpp; plain problems only
struct SemidefiniteBound {
  Bound bound;
  bool proved = false;  // true: valid for certain; false: with probability at least 1 - 1e-12 over a random start
  Vector x;             // a relaxed point near the optimum of the relaxation: worth rounding
};
// Stops early when the bound is within `target` of the value known to be attained.
SemidefiniteBound semidefinite_bound(const Problem& problem, BoundEffort effort, double known_value, double target,
                                     std::uint64_t seed, const std::function<bool()>& expired, ThreadPool& pool);
Bound diagonal_shift_bound(const Problem& problem, const Spectrum& ends, const Subset& start, const Run& run);

}  // namespace coremax::solver
