// The cardinality-constrained quadratic program of InfoMax:
//
//   maximise f(z) = sum_i I_i z_i - alpha sum_{i != j} K_ij z_i z_j     over z in {0,1}^n with sum_i z_i = p
//
// K is symmetric with a zero diagonal. Contract: the answer has exactly p elements; it is the same bits for any thread count;
// rounding loses nothing where K >= 0; after polish no swap of one element in against one out improves f (up to rounding);
// upper_bound is at least the optimum of f (see bound.cpp for the one probabilistic step). Importance must be finite.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/thread_pool.h"
#include "graph/graph.h"

namespace coremax::solver {

struct Problem {
  const double* importance = nullptr;
  graph::CsrView k;
  std::int64_t budget = 0;
  double alpha = 0;

  std::int64_t n() const { return k.n; }
};

enum class Status { converged, max_iterations, time_limit, interrupted };
enum class BoundKind { none, modular, diagonal_shift };

// Called after every iteration with its number, f of the relaxed point and the seconds so far; true asks to stop.
using Callback = std::function<bool(std::int64_t iteration, double objective, double seconds)>;

struct Options {
  std::int64_t max_iterations = 300;
  double tolerance = 1e-6;  // on the largest change of x in an iteration
  double time_limit = 0;    // seconds; 0 is none
  bool polish = true;
  bool bound = true;
  std::uint64_t seed = 0;
  const double* x0 = nullptr;  // any numbers; projected onto the capped simplex
  Callback callback;
};

struct Timings {
  double spectrum = 0;
  double gradient = 0;
  double rounding = 0;
  double polish = 0;
  double bound = 0;
};

struct Result {
  std::vector<std::int64_t> indices;  // ascending
  std::vector<double> x;
  double objective = 0;
  double upper_bound = 0;
  BoundKind bound_kind = BoundKind::none;
  Status status = Status::converged;
  std::int64_t iterations = 0;
  std::int64_t swaps = 0;
  std::vector<double> history;  // f of the relaxed point, from the starting point on
  Timings timings;
};

Result solve(const Problem& problem, const Options& options, ThreadPool& pool);

// f of a set of distinct elements.
double objective(const Problem& problem, const std::vector<std::int64_t>& indices, ThreadPool& pool);

}  // namespace coremax::solver
