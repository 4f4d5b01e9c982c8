#include "solver/feasible.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "solver/stages.h"
#include "solver/sums.h"

namespace coremax::solver {
namespace {

Sum total_of(const Vector& s, const Vector& x, ThreadPool& pool) {
  return ordered_sum(pool, static_cast<std::int64_t>(s.size()), [&](std::int64_t i) { return Sum(s[at(i)] * x[at(i)]); });
}

bool better(const Vector& values, std::int64_t a, std::int64_t b) {
  return values[at(a)] > values[at(b)] || (values[at(a)] == values[at(b)] && a < b);
}

// Brings the `count` best of a list to its front.
void best_to_front(std::vector<std::int64_t>& list, std::int64_t count, const Vector& values) {
  if (count > 0 && count < static_cast<std::int64_t>(list.size()))
    std::nth_element(list.begin(), list.begin() + count, list.end(),
                     [&](std::int64_t a, std::int64_t b) { return better(values, a, b); });
}

// Groups without costs are a laminar family: every group's best up to its lower limit, then the best of the rest up to the
// upper limits and the budget. The price of an element is the last value kept from the rest; in a group that is full, the last
// value kept in the group if that is higher; in a group at its lower limit, if that is lower.
Support best_by_groups(const Problem& problem, const Vector& s, ThreadPool& pool) {
  std::vector<std::int64_t> rest;
  Support found;
  found.x.assign(s.size(), 0.0);
  std::int64_t left = problem.budget;
  auto groups = members(problem);
  Vector last_wanted(groups.size(), INFINITY);    // the least value that a lower limit takes
  Vector last_allowed(groups.size(), -INFINITY);  // the least value that an upper limit lets in
  for (std::size_t g = 0; g < groups.size(); ++g) {
    auto& list = groups[g];
    const GroupLimit limit = problem.limits[g];
    const auto high = std::min(limit.high, static_cast<std::int64_t>(list.size()));
    const auto least = [&](std::int64_t count) {
      double value = INFINITY;
      for (std::int64_t r = 0; r < count; ++r) value = std::min(value, s[at(list[at(r)])]);
      return value;
    };
    best_to_front(list, high, s);
    if (high == 0) {
      for (const std::int64_t i : list) last_allowed[g] = std::max(last_allowed[g], s[at(i)]);
    } else if (high < static_cast<std::int64_t>(list.size())) {
      last_allowed[g] = least(high);
    }
    list.resize(at(high));
    best_to_front(list, limit.low, s);
    last_wanted[g] = least(limit.low);
    for (std::int64_t r = 0; r < limit.low; ++r) found.x[at(list[at(r)])] = 1;
    left -= limit.low;
    rest.insert(rest.end(), list.begin() + limit.low, list.end());
  }
  best_to_front(rest, left, s);
  double threshold = rest.empty() ? 0.0 : left > 0 ? INFINITY : s[at(rest[0])];
  if (left == 0)
    for (const std::int64_t i : rest) threshold = std::max(threshold, s[at(i)]);
  rest.resize(at(std::min(left, static_cast<std::int64_t>(rest.size()))));
  for (const std::int64_t i : rest) {
    found.x[at(i)] = 1;
    threshold = std::min(threshold, s[at(i)]);
  }
  found.threshold = threshold;
  found.extra.resize(s.size());
  for (std::size_t i = 0; i < s.size(); ++i) {
    const auto g = at(problem.groups[i]);
    found.extra[i] = std::max(last_allowed[g], std::min(last_wanted[g], threshold)) - threshold;
  }
  found.value = total_of(s, found.x, pool);
  return found;
}

// With costs: the Lagrangian in the price of cost. For any price >= 0, price * C + sum_g max {sum_g (s - price c) z} is a
// bound.
class Priced {
 public:
  Priced(const Problem& problem, const Vector& s, ThreadPool& pool)
      : problem_(problem), s_(s), pool_(pool), groups_(members(problem)), value_(s.size()) {}

  Support run() {
    double low = 0;
    Vector at_low = maximiser(low);
    consider(low, at_low);
    if (spent(at_low) <= problem_.cost_limit) return finish(std::move(at_low));
    double high = 1e-300;
    for (std::int64_t i = 0; i < problem_.n(); ++i) high = std::max(high, std::abs(s_[at(i)]) / problem_.costs[i]);
    Vector at_high = maximiser(high);
    for (int doubling = 0; doubling < 60 && spent(at_high) > problem_.cost_limit; ++doubling) at_high = maximiser(high *= 2);
    for (int step = 0; step < 60 && high - low > 1e-9 * high; ++step) {
      pool_.check();
      const double middle = low + (high - low) / 2;
      Vector x = maximiser(middle);
      consider(middle, x);
      const bool dear = spent(x) > problem_.cost_limit;
      (dear ? low : high) = middle;
      (dear ? at_low : at_high) = std::move(x);
    }
    // Between the two lies the point that spends all.
    const double below = spent(at_high);
    const double above = spent(at_low);
    const double share = above > below ? std::clamp((problem_.cost_limit - below) / (above - below), 0.0, 1.0) : 0.0;
    for (std::size_t i = 0; i < at_low.size(); ++i) at_high[i] += share * (at_low[i] - at_high[i]);
    return finish(std::move(at_high));
  }

 private:
  Vector maximiser(double price) {
    for (std::int64_t i = 0; i < problem_.n(); ++i) value_[at(i)] = s_[at(i)] - price * problem_.costs[i];
    Vector x(s_.size(), 0.0);
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      auto& list = groups_[g];
      const auto size = static_cast<std::int64_t>(list.size());
      const std::int64_t gaining = std::count_if(list.begin(), list.end(), [&](std::int64_t i) { return value_[at(i)] > 0; });
      const GroupLimit limit = has_groups(problem_) ? problem_.limits[g] : GroupLimit{0, size};
      const std::int64_t count = std::clamp(gaining, limit.low, std::min(limit.high, size));
      best_to_front(list, count, value_);
      for (std::int64_t r = 0; r < count; ++r) x[at(list[at(r)])] = 1;
    }
    return x;
  }
  double spent(const Vector& x) const {
    return blocked_sum(pool_, problem_.n(), [&](std::int64_t i) { return problem_.costs[i] * x[at(i)]; });
  }
  void consider(double price, const Vector& x) {
    Sum sum = total_of(value_, x, pool_);
    sum += Sum(price * problem_.cost_limit);
    // value_ itself is rounded: by less than its parts' rounding, which are added to the size.
    sum.size += blocked_sum(pool_, problem_.n(),
                            [&](std::int64_t i) { return (std::abs(s_[at(i)]) + price * problem_.costs[i]) * x[at(i)]; });
    if (best_price_ >= 0 && padded(sum) >= padded(best_)) return;
    best_ = sum;
    best_price_ = price;
    // What a group's limits add to the price: the last value kept where the upper one binds, the first where the lower does.
    for (std::size_t g = 0; has_groups(problem_) && g < groups_.size(); ++g) {
      double last = INFINITY;
      double next = -INFINITY;
      std::int64_t count = 0;
      for (const std::int64_t i : groups_[g]) {
        if (x[at(i)] > 0) {
          last = std::min(last, value_[at(i)]);
          ++count;
        } else
          next = std::max(next, value_[at(i)]);
      }
      const GroupLimit limit = problem_.limits[g];
      const bool full = count == limit.high && limit.high < static_cast<std::int64_t>(groups_[g].size());
      const bool least = count == limit.low;
      const double edge = count > 0 ? last : next;
      group_price_[g] = groups_[g].empty()   ? 0.0
                        : full && least      ? edge
                        : full               ? std::max(0.0, edge)
                        : least && count > 0 ? std::min(0.0, edge)
                                             : 0.0;
    }
  }

  Support finish(Vector x) const {
    Support found{best_, std::move(x), 0, Vector(s_.size())};
    for (std::int64_t i = 0; i < problem_.n(); ++i)
      found.extra[at(i)] = best_price_ * problem_.costs[i] + (has_groups(problem_) ? group_price_[group(problem_, i)] : 0.0);
    return found;
  }

  const Problem& problem_;
  const Vector& s_;
  ThreadPool& pool_;
  std::vector<std::vector<std::int64_t>> groups_;
  Vector value_;
  Sum best_;
  double best_price_ = -1;
  Vector group_price_ = Vector(problem_.limits.size(), 0.0);
};

// Drops and adds by a heap of keys that may be out of date: an entry is looked at again when it comes to the top.
class Completion {
 public:
  Completion(const Problem& problem, Subset& subset, ThreadPool& pool)
      : problem_(problem),
        subset_(subset),
        pool_(pool),
        gain_(gains(problem, multiply(problem.k, as_vector(subset), pool), pool)),
        ledger_(problem, subset) {}

  bool run() {
    if (ledger_.surplus() > 0)
      drop_while([&] { return ledger_.surplus() > 0; }, [&](std::int64_t i) { return ledger_.group_overflows(i); });
    if (ledger_.missing() > 0)
      add_while([&] { return ledger_.missing() > 0; }, [&](std::int64_t i) { return ledger_.group_wants(i); });
    if (ledger_.used() > ledger_.limit())
      drop_while([&] { return ledger_.used() > ledger_.limit(); }, [&](std::int64_t i) { return ledger_.group_gives(i); });
    fill();
    return ledger_.feasible();
  }

  void fill() {
    if (has_costs(problem_)) {
      add_while([] { return true; }, [&](std::int64_t i) { return ledger_.can_add(i) && gain_[at(i)] > 0; });
    } else if (ledger_.count() < problem_.budget) {
      add_while([&] { return ledger_.count() < problem_.budget; }, [&](std::int64_t i) { return ledger_.group_takes(i); });
    }
  }

 private:
  using Entry = std::pair<double, std::int64_t>;  // key and element; the smallest is taken first

  double key(std::int64_t i, bool adding) const {
    const double gain = gain_[at(i)];
    // A loss is the worse the less cost it takes up.
    const double by_cost = gain > 0 ? gain / cost(problem_, i) : gain * cost(problem_, i);
    return adding ? -by_cost : by_cost;
  }

  template <class Going, class Allowed>
  void drop_while(const Going& going, const Allowed& allowed) {
    move_while(false, going, allowed);
  }
  template <class Going, class Allowed>
  void add_while(const Going& going, const Allowed& allowed) {
    move_while(true, going, allowed);
  }

  template <class Going, class Allowed>
  void move_while(bool adding, const Going& going, const Allowed& allowed) {
    std::vector<Entry> heap;
    for (std::int64_t i = 0; i < problem_.n(); ++i)
      if ((subset_[at(i)] == 0) == adding && allowed(i)) heap.emplace_back(key(i, adding), i);
    std::make_heap(heap.begin(), heap.end(), std::greater<>());
    for (std::int64_t looks = 0; !heap.empty() && going(); ++looks) {
      if (looks % 65536 == 0) pool_.check();
      std::pop_heap(heap.begin(), heap.end(), std::greater<>());
      const auto [seen, i] = heap.back();
      heap.pop_back();
      const double now = key(i, adding);
      if (!allowed(i)) continue;
      if (now > seen) {
        heap.emplace_back(now, i);
        std::push_heap(heap.begin(), heap.end(), std::greater<>());
        continue;
      }
      move(i, adding);
    }
  }

  void move(std::int64_t i, bool adding) {
    subset_[at(i)] = adding;
    adding ? ledger_.add(i) : ledger_.drop(i);
    shift_gains(problem_, i, adding ? 1.0 : -1.0, gain_);
  }

  const Problem& problem_;
  Subset& subset_;
  ThreadPool& pool_;
  Vector gain_;
  Ledger ledger_;
};

// What is left to try where lower limits and a tight cost collide: every group's cheapest.
Subset cheapest(const Problem& problem) {
  Subset subset(at(problem.n()), 0);
  Vector cheapness(at(problem.n()));
  for (std::int64_t i = 0; i < problem.n(); ++i) cheapness[at(i)] = -cost(problem, i);
  auto groups = members(problem);
  for (std::size_t g = 0; has_groups(problem) && g < groups.size(); ++g) {
    best_to_front(groups[g], problem.limits[g].low, cheapness);
    for (std::int64_t r = 0; r < problem.limits[g].low; ++r) subset[at(groups[g][at(r)])] = 1;
  }
  return subset;
}

}  // namespace

std::vector<std::vector<std::int64_t>> members(const Problem& problem) {
  std::vector<std::vector<std::int64_t>> groups(has_groups(problem) ? problem.limits.size() : 1);
  for (std::int64_t i = 0; i < problem.n(); ++i) groups[group(problem, i)].push_back(i);
  return groups;
}

Support support(const Problem& problem, const Vector& s, ThreadPool& pool) {
  if (has_costs(problem)) return Priced(problem, s, pool).run();
  if (has_groups(problem)) return best_by_groups(problem, s, pool);
  Support found;
  found.x = as_vector(largest(s, problem.budget));
  found.value = total_of(s, found.x, pool);
  found.threshold = INFINITY;
  for (std::size_t i = 0; i < s.size(); ++i)
    if (found.x[i] > 0) found.threshold = std::min(found.threshold, s[i]);
  return found;
}

Ledger::Ledger(const Problem& problem, const Subset& subset)
    : problem_(problem),
      limit_(has_costs(problem) ? problem.cost_limit : static_cast<double>(problem.budget)),
      in_group_(has_groups(problem) ? problem.limits.size() : 0) {
  for (const GroupLimit& limit : problem.limits) missing_ += limit.low;
  for (std::int64_t i = 0; i < problem.n(); ++i)
    if (subset[at(i)]) add(i);
}

void Ledger::change(std::int64_t i, int sign) {
  count_ += sign;
  // Summed with its rounding error, so that a long search does not drift past the limit.
  const double term = sign * cost(problem_, i);
  const double sum = used_high_ + term;
  const double part = sum - used_high_;
  used_low_ += (used_high_ - (sum - part)) + (term - part);
  used_high_ = sum;
  used_ = used_high_ + used_low_;
  if (!has_groups(problem_)) return;
  const GroupLimit& limit = problem_.limits[group(problem_, i)];
  std::int64_t& held = in_group_[group(problem_, i)];
  missing_ -= std::max<std::int64_t>(0, limit.low - held);
  surplus_ -= std::max<std::int64_t>(0, held - limit.high);
  held += sign;
  missing_ += std::max<std::int64_t>(0, limit.low - held);
  surplus_ += std::max<std::int64_t>(0, held - limit.high);
}

void complete(const Problem& problem, Subset& subset, ThreadPool& pool) {
  if (Completion(problem, subset, pool).run()) return;
  subset = cheapest(problem);
  Completion(problem, subset, pool).fill();
}

}  // namespace coremax::solver
