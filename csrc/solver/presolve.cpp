// Presolve: takes out the elements that are fixed, by the caller or by proof, and leaves a problem of the others: in a random
// order where some of them are of equal importance, and in one in which neighbours are near each other if there are many of
// them.
//
// With S the elements fixed in and U the open ones, f(S + T) = f(S) + sum_T (I_i - 2 alpha sum_{j in S} K_ij) - alpha sum_{T x
// T} K, so that what S does to the rest is a change of importance.
//
// Bounding. Whatever the rest of the subset is, the gain of adding i lies between
//   least_i = I_i - 2 alpha sum_{j in S} K_ij - 2 alpha sum_{j in U} max(0, K_ij)   and
//   most_i  = I_i - 2 alpha sum_{j in S} K_ij - 2 alpha sum_{j in U} min(0, K_ij).
// Let z be feasible, i and j open elements of the same group (everything, without groups) with least_i > most_j.
// If j is in z and i is not, then exchanging them is feasible and changes f by gain_i(z - j) - gain_j(z - j) >= least_i -
// most_j > 0.
//  * Out: let z have at most h elements in the group. If h elements have least > most_j, then one of them is not in any z that
//    has j, and z is not optimal: j can be left out.
//  * In: let z have at least l elements in the group. If fewer than l others have most >= least_i, then every z without i has
//    an element j with most_j < least_i, and z is not optimal: i can be kept.
// Hence every optimum agrees with what is fixed, so that fixing may be repeated on what is left. Equality and rounding: the
// difference must exceed a margin of the rounding error. With costs an exchange need not be feasible, and nothing is proved.
#include <algorithm>
#include <cmath>

#include "solver/bounding.h"
#include "solver/stages.h"
#include "solver/sums.h"

namespace coremax::solver {
namespace {

// The rank-th largest (from 1) of a list; +infinity for rank 0, -infinity beyond its end.
double ranked(std::vector<double> values, std::int64_t rank) {
  if (rank <= 0) return INFINITY;
  if (rank > static_cast<std::int64_t>(values.size())) return -INFINITY;
  std::nth_element(values.begin(), values.begin() + (rank - 1), values.end(), std::greater<>());
  return values[at(rank - 1)];
}

class Bounding {
 public:
  Bounding(const Problem& problem, std::vector<std::int8_t>& fixed, ThreadPool& pool)
      : problem_(problem), fixed_(fixed), pool_(pool) {}

  // How many elements it fixes.
  std::int64_t run() {
    std::int64_t fixed = 0;
    for (int round = 0; round < kBoundingRounds; ++round) {
      const std::int64_t found = fix();
      fixed += found;
      if (!is_worth_another_round(found, problem_.n())) break;
    }
    return fixed;
  }

 private:
  std::int64_t fix() {
    pool_.check();
    Vector least(at(problem_.n()));
    Vector most(at(problem_.n()));
    parallel_for(pool_, problem_.n(), [&](std::int64_t i) {
      if (fixed_[at(i)] != 0) return;
      GainSums sums;
      for (std::int64_t e = problem_.k.indptr[i]; e < problem_.k.indptr[i + 1]; ++e) {
        const std::int8_t side = fixed_[at(problem_.k.indices[e])];
        if (side >= 0) sums.add(static_cast<double>(problem_.k.values[e]), side > 0);
      }
      least[at(i)] = sums.least(problem_.importance[i], problem_.alpha);
      most[at(i)] = sums.most(problem_.importance[i], problem_.alpha);
    });
    std::int64_t found = 0;
    const auto groups = members(problem_);
    for (std::size_t g = 0; g < groups.size(); ++g) found += fix_group(groups[g], limit(g), least, most);
    return found;
  }

  GroupLimit limit(std::size_t g) const {
    if (!has_groups(problem_)) return {problem_.budget, problem_.budget};
    return {problem_.limits[g].low, std::min(problem_.limits[g].high, problem_.budget)};
  }

  std::int64_t fix_group(const std::vector<std::int64_t>& group, GroupLimit limit, const Vector& least, const Vector& most) {
    Vector leasts;
    Vector mosts;
    for (const std::int64_t i : group) {
      limit.low -= fixed_[at(i)] > 0;
      limit.high -= fixed_[at(i)] > 0;
      if (fixed_[at(i)] != 0) continue;
      leasts.push_back(least[at(i)]);
      mosts.push_back(most[at(i)]);
    }
    // An i whose own most counts among those above its least: rank low of the others is rank low + 1 of all.
    const double out_below = ranked(std::move(leasts), limit.high);
    const double in_above = limit.low > 0 ? ranked(std::move(mosts), limit.low + 1) : INFINITY;
    std::int64_t found = 0;
    for (const std::int64_t i : group) {
      if (fixed_[at(i)] != 0) continue;
      const bool in = least[at(i)] > in_above;
      const bool out = most[at(i)] < out_below;
      if (in || out) fixed_[at(i)] = in ? 1 : -1;
      found += in || out;
    }
    return found;
  }

  const Problem& problem_;
  std::vector<std::int8_t>& fixed_;
  ThreadPool& pool_;
};

// Searches and products jump from an element to its neighbours. From kOrderFrom elements on these jumps miss the cache, unless
// the elements come in order already: then most neighbours are within n / kNear.
constexpr std::int64_t kOrderFrom = 50'000;
constexpr std::int64_t kNear = 16;

bool is_scattered(const graph::CsrView& k) {
  constexpr std::int64_t kSample = 4096;
  std::int64_t far = 0;
  std::int64_t seen = 0;
  for (std::int64_t r = 0; r < kSample; ++r) {
    const std::int64_t i = r * k.n / kSample;
    for (std::int64_t e = k.indptr[i]; e < k.indptr[i + 1]; ++e, ++seen) far += std::abs(k.indices[e] - i) > k.n / kNear;
  }
  return 2 * far > seen;
}

// Blocks grown breadth-first, each beside the one before: whole components where they are small, patches of a large one.
std::vector<std::int64_t> in_patches(const graph::CsrView& k, const std::vector<std::int64_t>& open) {
  constexpr std::size_t kBlock = 512;
  std::vector<std::uint8_t> waiting(at(k.n), 0);
  for (const std::int64_t i : open) waiting[at(i)] = 1;
  std::vector<std::int64_t> order;
  order.reserve(open.size());
  std::vector<std::int64_t> seeds(open.rbegin(), open.rend());  // the last is the next to grow from
  const auto take = [&](std::int64_t i) {
    order.push_back(i);
    waiting[at(i)] = 0;
  };
  while (!seeds.empty()) {
    const std::int64_t seed = seeds.back();
    seeds.pop_back();
    if (waiting[at(seed)] == 0) continue;
    const std::size_t begin = order.size();
    take(seed);
    for (std::size_t r = begin; r < order.size(); ++r)
      for (std::int64_t e = k.indptr[order[r]]; e < k.indptr[order[r] + 1]; ++e) {
        const std::int64_t j = k.indices[e];
        if (waiting[at(j)] == 0) continue;
        if (order.size() - begin < kBlock)
          take(j);
        else if (seeds.empty() || seeds.back() != j)
          seeds.push_back(j);
      }
  }
  return order;
}

}  // namespace

std::vector<std::int64_t> order_of_ties(const Problem& problem, std::uint64_t seed) {
  Vector importance(problem.importance, problem.importance + problem.n());
  std::sort(importance.begin(), importance.end());
  if (std::adjacent_find(importance.begin(), importance.end()) == importance.end()) return {};
  std::vector<std::pair<std::uint64_t, std::int64_t>> drawn(importance.size());
  for (std::int64_t i = 0; i < problem.n(); ++i)
    drawn[at(i)] = {random_bits(seed, Stream::ties, static_cast<std::uint64_t>(i)), i};
  std::sort(drawn.begin(), drawn.end());
  std::vector<std::int64_t> order(drawn.size());
  std::transform(drawn.begin(), drawn.end(), order.begin(), [](const auto& one) { return one.second; });
  return order;
}

void Reduced::take_over_fixed() {
  fixed_.assign(at(whole_.n()), 0);
  if (whole_.fixed != nullptr) std::copy(whole_.fixed, whole_.fixed + whole_.n(), fixed_.begin());
}

Reduced::Reduced(const Problem& whole, const std::vector<std::int64_t>& order, ThreadPool& pool) : whole_(whole) {
  take_over_fixed();
  for (std::int64_t r = 0; r < whole.n(); ++r) {
    const std::int64_t i = order.empty() ? r : order[at(r)];
    if (fixed_[at(i)] == 0) open_.push_back(i);
  }
  same_ = order.empty() && open_.size() == fixed_.size();
  problem_ = whole;
  problem_.fixed = nullptr;
  if (!same_) build(pool);
}

Reduced::Reduced(const Problem& whole, bool bounding, ThreadPool& pool) : whole_(whole) {
  take_over_fixed();
  if (bounding && !has_costs(whole)) n_proved_ = Bounding(whole, fixed_, pool).run();
  for (std::int64_t i = 0; i < whole.n(); ++i)
    if (fixed_[at(i)] == 0) open_.push_back(i);
  same_ = open_.size() == fixed_.size();
  if (bounding && whole.n() >= kOrderFrom && is_scattered(whole.k)) {
    open_ = in_patches(whole.k, open_);
    same_ = false;
  }
  problem_ = whole;
  problem_.fixed = nullptr;
  if (!same_) build(pool);
}

void Reduced::build(ThreadPool& pool) {
  const graph::CsrView& k = whole_.k;
  std::vector<std::int32_t> place(at(whole_.n()), -1);
  Subset taken(at(whole_.n()), 0);
  for (std::size_t i = 0; i < taken.size(); ++i) taken[i] = fixed_[i] > 0;
  for (std::size_t r = 0; r < open_.size(); ++r) place[at(open_[r])] = static_cast<std::int32_t>(r);
  const Vector kx = multiply(k, as_vector(taken), pool);
  constant_ = relaxed_objective(whole_, as_vector(taken), kx, pool);
  padding_ = ordered_sum(pool, whole_.n(), [&](std::int64_t i) {
    return rounding_of_taken(taken[at(i)] != 0, whole_.importance[i], whole_.alpha, kx[at(i)]);
  });

  const auto n = static_cast<std::int64_t>(open_.size());
  indptr_.assign(at(n + 1), 0);
  parallel_for(pool, n, [&](std::int64_t r) {
    const std::int64_t i = open_[at(r)];
    indptr_[at(r + 1)] =
        std::count_if(k.indices + k.indptr[i], k.indices + k.indptr[i + 1], [&](std::int32_t j) { return place[at(j)] >= 0; });
  });
  for (std::size_t r = 0; r < open_.size(); ++r) indptr_[r + 1] += indptr_[r];
  indices_.resize(at(indptr_.back()));
  values_.resize(at(indptr_.back()));
  importance_.resize(open_.size());
  parallel_for(pool, n, [&](std::int64_t r) {
    const std::int64_t i = open_[at(r)];
    std::vector<std::pair<std::int32_t, float>> row;
    for (std::int64_t e = k.indptr[i]; e < k.indptr[i + 1]; ++e)
      if (place[at(k.indices[e])] >= 0) row.emplace_back(place[at(k.indices[e])], k.values[e]);
    std::sort(row.begin(), row.end());
    for (std::size_t e = 0; e < row.size(); ++e) {
      indices_[at(indptr_[at(r)]) + e] = row[e].first;
      values_[at(indptr_[at(r)]) + e] = row[e].second;
    }
    importance_[at(r)] = gain(whole_.importance[i], whole_.alpha, kx[at(i)]);
  });
  problem_.importance = importance_.data();
  problem_.k = {n, indptr_.data(), indices_.data(), values_.data()};

  costs_.reserve(open_.size() + 1);  // never null, not even where nothing is open: a null pointer means that there are none
  groups_.reserve(open_.size() + 1);
  for (const std::int64_t i : open_) {
    if (has_costs(whole_)) costs_.push_back(whole_.costs[i]);
    if (has_groups(whole_)) groups_.push_back(whole_.groups[i]);
  }
  if (has_costs(whole_)) problem_.costs = costs_.data();
  if (has_groups(whole_)) problem_.groups = groups_.data();
  problem_.cost_limit -= Ledger(whole_, taken).used() * (has_costs(whole_) ? 1 : 0);
  for (std::size_t i = 0; i < taken.size(); ++i) {
    if (!taken[i]) continue;
    --problem_.budget;
    if (!has_groups(whole_)) continue;
    GroupLimit& limit = problem_.limits[at(whole_.groups[i])];
    limit.low = std::max<std::int64_t>(0, limit.low - 1);
    --limit.high;
  }
}

Subset Reduced::expand(const Subset& subset) const {
  if (same_) return subset;
  Subset whole(fixed_.size());
  for (std::size_t i = 0; i < fixed_.size(); ++i) whole[i] = fixed_[i] > 0;
  for (std::size_t r = 0; r < open_.size(); ++r) whole[at(open_[r])] = subset[r];
  return whole;
}

Vector Reduced::expand(const Vector& x) const {
  if (same_) return x;
  Vector whole(fixed_.size());
  for (std::size_t i = 0; i < fixed_.size(); ++i) whole[i] = fixed_[i] > 0;
  for (std::size_t r = 0; r < open_.size(); ++r) whole[at(open_[r])] = x[r];
  return whole;
}

Vector Reduced::restrict(const double* x) const {
  if (same_) return Vector(x, x + whole_.n());
  Vector part;
  for (const std::int64_t i : open_) part.push_back(x[i]);
  return part;
}

Subset Reduced::restrict(const Subset& subset) const {
  if (same_) return subset;
  Subset part;
  for (const std::int64_t i : open_) part.push_back(subset[at(i)]);
  return part;
}

}  // namespace coremax::solver
