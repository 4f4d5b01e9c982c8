// The optimum of a small problem: all feasible subsets, in lexicographic order.
//
// Depth first: every subset is extended by the elements after its last, so that gains and sums are handed down, and rounding
// does not add up from one subset to the next. What limits allow no more is not entered.
#include <algorithm>
#include <cmath>

#include "solver/stages.h"

namespace coremax::solver {
namespace {

constexpr std::int64_t kMostElements = 20;  // a million subsets: some ten milliseconds
constexpr double kCostSlack = 1e-12;        // sums of costs nearer to the limit than this are summed again, exactly

class Enumeration {
 public:
  explicit Enumeration(const Problem& problem)
      : problem_(problem),
        n_(problem.n()),
        twice_(at(n_ * n_), 0.0),
        gains_(at((n_ + 1) * n_)),
        in_group_(problem.limits.size(), 0) {
    std::copy_n(problem.importance, n_, gains_.begin());
    for (std::int64_t i = 0; i < n_; ++i)
      for (std::int64_t e = problem.k.indptr[i]; e < problem.k.indptr[i + 1]; ++e)
        twice_[at(i * n_ + problem.k.indices[e])] = 2 * problem.alpha * static_cast<double>(problem.k.values[e]);
    for (const GroupLimit& limit : problem.limits) missing_ += limit.low;
  }

  Optimum run() {
    extend(0, 0, 0);
    if (best_ == -INFINITY) return {};
    // A subset whose rounding error is large has a large redundancy, and so a small value: (1 - kRounding) f + kRounding 2
    // terms is no less than f + kRounding (the sum of the absolute terms of f), with the terms that can add to f.
    double terms = 0;
    for (std::int64_t i = 0; i < n_; ++i) terms += std::abs(problem_.importance[i]);
    for (const double value : twice_) terms += std::max(0.0, -value / 2);
    return {subset_of(best_members_), {padded(Sum(best_, 2 * terms - best_)), BoundKind::enumeration}};
  }

 private:
  // Looks at the current subset, of value f, and at all that add elements from `first` on to it.
  void extend(std::int64_t first, double f, double used) {
    const std::int64_t wanted = has_costs(problem_) ? missing_ : std::max(missing_, problem_.budget - count_);
    if (wanted == 0 && f > best_ && fits(used)) {
      best_ = f;
      best_members_ = members_;
    }
    if (!has_costs(problem_) && count_ == problem_.budget) return;
    const double* gain = gains_.data() + count_ * n_;
    double* next = gains_.data() + (count_ + 1) * n_;
    for (std::int64_t i = first; i <= n_ - std::max<std::int64_t>(1, wanted); ++i) {
      const double with = used + cost(problem_, i);
      if (!group_takes(i) || (has_costs(problem_) && with > problem_.cost_limit * (1 + kCostSlack))) continue;
      const double* twice = twice_.data() + i * n_;
      for (std::int64_t j = i + 1; j < n_; ++j) next[j] = gain[j] - twice[j];
      change(i, 1);
      extend(i + 1, f + gain[i], with);
      change(i, -1);
    }
  }

  bool group_takes(std::int64_t i) const {
    return !has_groups(problem_) || in_group_[group(problem_, i)] < problem_.limits[group(problem_, i)].high;
  }
  bool fits(double used) const {
    if (!has_costs(problem_) || used <= problem_.cost_limit * (1 - kCostSlack)) return true;
    return Ledger(problem_, subset_of(members_)).feasible();
  }
  void change(std::int64_t i, int sign) {
    members_ ^= 1u << i;
    count_ += sign;
    if (!has_groups(problem_)) return;
    const std::size_t g = group(problem_, i);
    const std::int64_t low = problem_.limits[g].low;
    missing_ -= std::max<std::int64_t>(0, low - in_group_[g]);
    in_group_[g] += sign;
    missing_ += std::max<std::int64_t>(0, low - in_group_[g]);
  }
  Subset subset_of(std::uint32_t members) const {
    Subset subset(at(n_));
    for (std::size_t i = 0; i < subset.size(); ++i) subset[i] = members >> i & 1;
    return subset;
  }

  const Problem& problem_;
  const std::int64_t n_;
  Vector twice_;  // [n, n] 2 alpha K
  Vector gains_;  // [n + 1, n] of the elements after the last, by the number of elements in the subset
  std::uint32_t members_ = 0;
  std::int64_t count_ = 0;
  std::int64_t missing_ = 0;  // elements that groups want for their lower limits
  std::vector<std::int64_t> in_group_;
  double best_ = -INFINITY;
  std::uint32_t best_members_ = 0;
};

}  // namespace

bool is_enumerable(const Problem& problem) { return problem.n() <= kMostElements; }

Optimum enumerate(const Problem& problem, ThreadPool& pool) {
  pool.check();
  return Enumeration(problem).run();
}

}  // namespace coremax::solver
