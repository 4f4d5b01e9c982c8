// The feasible sets: how many elements, or how much cost, may be kept, in all and of each group.
//
//   sum_i z_i = p,  or with costs  sum_i c_i z_i <= C;   low_g <= sum_{i in g} z_i <= high_g
//
// Everything the solver knows about constraints is here: linear maximisation over the relaxed set (for bounds), the ledger of
// a subset that is being changed (for searches), and the completion of any subset to a feasible one.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "solver/bounding.h"
#include "solver/solver.h"

namespace coremax::solver {

using Vector = std::vector<double>;
using Subset = std::vector<std::uint8_t>;  // 1 where the element is kept

inline std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

inline bool has_costs(const Problem& problem) { return problem.costs != nullptr; }
inline bool has_groups(const Problem& problem) { return problem.groups != nullptr; }
inline bool is_plain(const Problem& problem) { return !has_costs(problem) && !has_groups(problem); }
inline double cost(const Problem& problem, std::int64_t i) { return has_costs(problem) ? problem.costs[i] : 1.0; }
inline std::size_t group(const Problem& problem, std::int64_t i) { return has_groups(problem) ? at(problem.groups[i]) : 0; }

// The members of every group, ascending.
std::vector<std::vector<std::int64_t>> members(const Problem& problem);

// A sum together with the sum of absolute values: the scale of its rounding error.
struct Sum {
  double value = 0;
  double size = 0;
  Sum() = default;
  explicit Sum(double term) : value(term), size(std::abs(term)) {}
  Sum(double term, double scale) : value(term), size(scale) {}
  Sum& operator+=(const Sum& other) {
    value += other.value;
    size += other.size;
    return *this;
  }
};
inline double padded(const Sum& sum) { return sum.value + kRounding * sum.size; }

// The maximum of s'x over the relaxed set {0 <= x <= 1, limits}, a point that (nearly) attains it, and prices that prove it:
// s'x <= constant + sum_i max(0, s_i - price_i) for every x of the set, price_i = threshold + extra_i, with equality to
// rounding. O(n) without costs and groups, O(n log n) with groups, some 30 passes with costs.
struct Support {
  Sum value;
  Vector x;
  double threshold = 0;  // the price of one element
  Vector extra;          // what element i pays besides, for its group and its cost; empty where there are neither
};
Support support(const Problem& problem, const Vector& s, ThreadPool& pool);

// What a subset uses of the limits while elements come and go.
class Ledger {
 public:
  Ledger(const Problem& problem, const Subset& subset);

  void add(std::int64_t i) { change(i, 1); }
  void drop(std::int64_t i) { change(i, -1); }

  std::int64_t count() const { return count_; }
  double used() const { return used_; }  // cost, or count without costs
  double limit() const { return limit_; }
  std::int64_t in_group(std::size_t g) const { return in_group_[g]; }
  std::int64_t missing() const { return missing_; }  // elements that groups want for their lower limits
  std::int64_t surplus() const { return surplus_; }  // elements that groups have beyond their upper limits
  bool feasible() const {
    return missing_ == 0 && surplus_ == 0 && (has_costs(problem_) ? used_ <= limit_ : count_ == problem_.budget);
  }

  // Whether the group, and with costs the total, allow it. Without costs the count is the caller's business.
  bool group_takes(std::int64_t i) const {
    return !has_groups(problem_) || in_group_[group(problem_, i)] < problem_.limits[group(problem_, i)].high;
  }
  bool group_gives(std::int64_t i) const {
    return !has_groups(problem_) || in_group_[group(problem_, i)] > problem_.limits[group(problem_, i)].low;
  }
  bool group_wants(std::int64_t i) const {
    return has_groups(problem_) && in_group_[group(problem_, i)] < problem_.limits[group(problem_, i)].low;
  }
  bool group_overflows(std::int64_t i) const {
    return has_groups(problem_) && in_group_[group(problem_, i)] > problem_.limits[group(problem_, i)].high;
  }
  bool fits(double change) const { return used_ + change <= limit_; }
  bool can_add(std::int64_t i) const { return group_takes(i) && fits(cost(problem_, i)); }
  bool can_swap(std::int64_t in, std::int64_t out) const {
    if (has_costs(problem_) && !fits(cost(problem_, in) - cost(problem_, out))) return false;
    return !has_groups(problem_) || group(problem_, in) == group(problem_, out) || (group_takes(in) && group_gives(out));
  }

 private:
  void change(std::int64_t i, int sign);

  const Problem& problem_;
  std::int64_t count_ = 0;
  double used_ = 0;
  double used_high_ = 0;
  double used_low_ = 0;
  double limit_ = 0;
  std::int64_t missing_ = 0;
  std::int64_t surplus_ = 0;
  std::vector<std::int64_t> in_group_;
};

// Makes a subset feasible: drops what is too much where it costs least, then adds where it gains most (per cost), lazily with
// a heap. From the empty set this is the greedy algorithm. With costs it adds what improves f and fits; without, up to the
// budget. Terminates with a feasible subset whenever there is one.
void complete(const Problem& problem, Subset& subset, ThreadPool& pool);

}  // namespace coremax::solver
