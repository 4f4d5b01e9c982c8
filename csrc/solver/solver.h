// The cardinality-constrained quadratic program of InfoMax:
//
//   maximise f(z) = sum_i I_i z_i - alpha sum_{i != j} K_ij z_i z_j     over z in {0,1}^n with sum_i z_i = p
//
// with elements that must or must not be kept, limits on groups, and a total cost instead of the count, on request.
// K is symmetric with a zero diagonal. Contract: the answer is feasible; it is the same bits for any thread count; elements of
// equal importance are treated alike, wherever they stand: which of them come first is a matter of the seed; after polish no
// feasible swap of one element in against one out improves f (up to rounding), and with costs no single addition or removal;
// upper_bound is at least the optimum of f. Importance must be finite.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/thread_pool.h"
#include "graph/graph.h"

namespace coremax::solver {

struct GroupLimit {
  std::int64_t low = 0;
  std::int64_t high = 0;
};

struct Problem {
  const double* importance = nullptr;
  graph::CsrView k;
  double alpha = 0;
  std::int64_t budget = 0;  // how many to keep; without costs
  // Optional:
  const double* costs = nullptr;  // [n] > 0: sum of the costs kept <= cost_limit takes the place of the budget
  double cost_limit = 0;
  const std::int32_t* groups = nullptr;  // [n], places in limits
  std::vector<GroupLimit> limits;
  const std::int8_t* fixed = nullptr;  // [n]: 1 must be kept, -1 must not, 0 is free

  std::int64_t n() const { return k.n; }
};

enum class Status { converged, max_iterations, time_limit, interrupted };
enum class BoundKind { none, modular, lp, diagonal_shift, semidefinite, enumeration };
// enumeration is what automatic does with small problems, no method to ask for.
enum class Method { automatic, pgd, annealed, continuation, softmax, greedy, swap_annealing, heat_bath, lp, enumeration };
enum class Effort { fast, standard, best };
enum class BoundEffort { none, linear, fast, tight };

const char* name(Method method);

struct Iteration {
  Method method = Method::automatic;
  std::int64_t iteration = 0;
  double objective = 0;    // of the relaxed point, or of the subset as it is before it is made feasible
  double upper_bound = 0;  // the best so far; infinite while there is none
  double seconds = 0;
};
// True asks to stop.
using Callback = std::function<bool(const Iteration&)>;

struct Options {
  Method method = Method::automatic;
  Effort effort = Effort::standard;
  BoundEffort bound = BoundEffort::fast;
  std::int64_t max_iterations = -1;  // of the relaxed methods; 0 rounds their starting point, -1 is the method's own
  double tolerance = 1e-6;           // on the largest change of x in an iteration
  double temperature = 0;            // of softmax; 0 is its own
  double time_limit = 0;             // seconds; 0 is none
  bool polish = true;
  std::uint64_t seed = 0;
  const double* x0 = nullptr;  // any numbers; brought into the relaxed feasible set
  const std::int8_t* within =
      nullptr;  // [n], as Problem::fixed and with all that it fixes: what the search must respect on top
  Callback callback;
};

struct Result {
  std::vector<std::int64_t> indices;  // ascending
  std::vector<double> x;
  double objective = 0;
  double upper_bound = 0;
  BoundKind bound_kind = BoundKind::none;
  Status status = Status::converged;
  Method method = Method::automatic;  // that found the subset
  std::int64_t iterations = 0;
  std::int64_t swaps = 0;
  std::int64_t fixed = 0;                               // elements that presolve proved in or out
  std::vector<double> history;                          // f after every iteration, from the starting point on
  std::vector<std::pair<std::string, double>> timings;  // seconds of each stage
};

Result solve(const Problem& problem, const Options& options, ThreadPool& pool);

// f of a set of distinct elements.
double objective(const Problem& problem, const std::vector<std::int64_t>& indices, ThreadPool& pool);

}  // namespace coremax::solver
