// An upper bound on f from a linear program with clique cuts, made tighter by exact cells: see dual.cpp. Contract: `bound` is
// at least f of every feasible subset; the same bits for any thread count as long as no time limit cuts the work short.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "solver/stages.h"

namespace coremax::solver {

struct DualOptions {
  std::int64_t max_iterations = 4000;  // of the linear program, over all rounds of cuts
  std::int64_t iterations_per_round = 1000;
  std::int64_t cut_rounds = 20;
  std::int64_t even_rounds = 12;  // passes over the shared elements of the cells
  bool cells = true;
  // Where the incumbent pays more than this share of its value for redundancy, the cuts are far from tight and cost time and
  // memory for nothing: only the modular bound is taken.
  double hopeless_cost = 0.5;
  double give_up_gap = 0.03;  // a share: where more is left after cuts that help little, the rest is not tried
  double scale = 0;           // what gaps are shares of; 0 is the incumbent's value
  double target_gap = 0;      // stop once bound - incumbent_value is at most this
};
// A sixtieth of the work: for a million elements, or a first impression.
DualOptions fast_dual();
// For a point to round: some cuts, no cells.
DualOptions rounding_dual();

struct Dual {
  Bound bound;
  // By how much the bound falls when element i is forced in, or forced out. Rounded down, never negative.
  Vector loss_in;
  Vector loss_out;
  double threshold = 0;  // the price of one element
  Vector x;              // a point to round: in [0, 1], sum near p
  std::int64_t iterations = 0;
  std::int64_t n_cuts = 0;
  std::int64_t n_cells = 0;
};

// incumbent: a feasible subset, the better the tighter the bound, and its f. expired is polled a few times a second.
Dual dual_bound(const Problem& problem, const DualOptions& options, const Subset& incumbent, double incumbent_value,
                const std::function<bool()>& expired, ThreadPool& pool);

// Elements that every feasible subset with f > value contains, and those that none of them contains.
struct Fixed {
  std::vector<std::int64_t> in;
  std::vector<std::int64_t> out;
};
Fixed fix_by_reduced_cost(const Dual& dual, double value);

}  // namespace coremax::solver
