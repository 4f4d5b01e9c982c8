// 1-swap local search: take j out and i in while that improves f, that is while gain_i - gain_j + 2 alpha K_ij > 0 with
// gain = I - 2 alpha K z, and the limits allow it.
//
// Without costs, two heaps a group hold the outside by largest gain and the inside by smallest. Where K >= 0 their tops are the
// best pair that shares no edge, and pairs that do share one are found from the elements whose gain has changed. With costs, a
// swap must fit as well, and elements may come and go alone: passes over elements sorted by cost.
#include <algorithm>
#include <cmath>
#include <deque>

#include "solver/stages.h"
#include "solver/swaps.h"

namespace coremax::solver {
namespace {

// A binary heap of element numbers by a key that may change, ties to the lower number. sign = +1: largest key on top.
class Heap {
 public:
  Heap(const Vector& keys, double sign, std::vector<std::int64_t>& places) : keys_(keys), sign_(sign), places_(places) {}

  bool empty() const { return heap_.empty(); }
  std::int64_t top() const { return heap_.front(); }
  const std::vector<std::int64_t>& elements() const { return heap_; }

  void assign(std::vector<std::int64_t> elements) {
    heap_ = std::move(elements);
    for (std::size_t h = 0; h < heap_.size(); ++h) places_[at(heap_[h])] = static_cast<std::int64_t>(h);
    for (auto h = static_cast<std::int64_t>(heap_.size()) / 2 - 1; h >= 0; --h) sift_down(h);
  }
  void push(std::int64_t element) {
    heap_.push_back(element);
    places_[at(element)] = static_cast<std::int64_t>(heap_.size()) - 1;
    sift_up(places_[at(element)]);
  }
  void remove(std::int64_t element) {
    const std::int64_t place = places_[at(element)];
    const std::int64_t last = heap_.back();
    heap_.pop_back();
    if (last == element) return;
    set(place, last);
    update(last);
  }
  void update(std::int64_t element) {
    sift_up(places_[at(element)]);
    sift_down(places_[at(element)]);
  }

 private:
  bool before(std::int64_t a, std::int64_t b) const {
    const double ka = sign_ * keys_[at(a)];
    const double kb = sign_ * keys_[at(b)];
    return ka > kb || (ka == kb && a < b);
  }
  void set(std::int64_t place, std::int64_t element) {
    heap_[at(place)] = element;
    places_[at(element)] = place;
  }
  void sift_up(std::int64_t place) {
    const std::int64_t element = heap_[at(place)];
    while (place > 0 && before(element, heap_[at((place - 1) / 2)])) {
      set(place, heap_[at((place - 1) / 2)]);
      place = (place - 1) / 2;
    }
    set(place, element);
  }
  void sift_down(std::int64_t place) {
    const std::int64_t element = heap_[at(place)];
    const auto size = static_cast<std::int64_t>(heap_.size());
    while (2 * place + 1 < size) {
      std::int64_t child = 2 * place + 1;
      if (child + 1 < size && before(heap_[at(child + 1)], heap_[at(child)])) ++child;
      if (!before(heap_[at(child)], element)) break;
      set(place, heap_[at(child)]);
      place = child;
    }
    set(place, element);
  }

  const Vector& keys_;
  const double sign_;
  std::vector<std::int64_t>& places_;
  std::vector<std::int64_t> heap_;
};

struct Swap {
  std::int64_t in = -1;
  std::int64_t out = -1;
  explicit operator bool() const { return in >= 0; }
};

// What both searches share: the subset with its gains and its ledger.
class State {
 public:
  State(const Problem& problem, Subset& subset, ThreadPool& pool)
      : problem_(problem),
        subset_(subset),
        ledger_(problem, subset),
        gain_(gains(problem, multiply(problem.k, as_vector(subset), pool), pool)),
        size_(sizes_of_gains(pool)) {}

 protected:
  double change(std::int64_t i, std::int64_t j, double k_ij) const {
    return swap_change(gain_[at(i)], gain_[at(j)], problem_.alpha, k_ij);
  }
  bool improves(std::int64_t i, std::int64_t j, double k_ij) const {
    return swap_improves(change(i, j, k_ij), size_[at(i)], size_[at(j)]);
  }

  // The sum of absolute terms of a gain: the scale of its rounding error.
  Vector sizes_of_gains(ThreadPool& pool) const {
    Vector size(gain_.size());
    parallel_for(pool, problem_.n(), [&](std::int64_t i) {
      double sum = 0;
      for (std::int64_t e = problem_.k.indptr[i]; e < problem_.k.indptr[i + 1]; ++e)
        if (subset_[at(problem_.k.indices[e])]) sum += std::abs(static_cast<double>(problem_.k.values[e]));
      size[at(i)] = std::abs(problem_.importance[i]) + 2 * problem_.alpha * sum;
    });
    return size;
  }

  // Puts i in or takes it out, and tells of every neighbour whose gain has changed.
  template <class Changed>
  void flip(std::int64_t i, const Changed& changed) {
    subset_[at(i)] ^= 1;
    subset_[at(i)] ? ledger_.add(i) : ledger_.drop(i);
    const double factor = (subset_[at(i)] ? -2 : 2) * problem_.alpha;
    for (std::int64_t e = problem_.k.indptr[i]; e < problem_.k.indptr[i + 1]; ++e) {
      const std::int64_t m = problem_.k.indices[e];
      const double term = factor * static_cast<double>(problem_.k.values[e]);
      gain_[at(m)] += term;
      size_[at(m)] += std::abs(term);
      changed(m);
    }
  }

  const Problem& problem_;
  Subset& subset_;
  Ledger ledger_;
  Vector gain_;
  Vector size_;
};

class Polish : State {
 public:
  Polish(const Problem& problem, Subset& subset, bool any_negative, ThreadPool& pool)
      : State(problem, subset, pool),
        any_negative_(any_negative),
        places_(subset.size()),
        waiting_(subset.size(), 0),
        n_groups_(has_groups(problem) ? problem.limits.size() : 1) {
    std::vector<std::vector<std::int64_t>> in(n_groups_);
    std::vector<std::vector<std::int64_t>> out(n_groups_);
    for (std::int64_t i = 0; i < problem.n(); ++i) (subset[at(i)] ? in : out)[group(problem, i)].push_back(i);
    mark_side(2 * ledger_.count() <= problem.n());  // every edge between the sides has an end on the smaller one
    for (std::size_t g_ = 0; g_ < n_groups_; ++g_) {
      outside_.emplace_back(gain_, 1, places_).assign(std::move(out[g_]));
      inside_.emplace_back(gain_, -1, places_).assign(std::move(in[g_]));
    }
  }

  // One improving swap; false when there is none.
  bool step() {
    Swap swap = best_apart();
    if (!swap) swap = next_adjacent();
    if (!swap && any_negative_) swap = past_blocked_pairs();
    if (!swap) return false;
    apply(swap);
    return true;
  }

 private:
  bool takes(std::size_t g) const { return !has_groups(problem_) || ledger_.in_group(g) < problem_.limits[g].high; }
  bool gives(std::size_t g) const { return !has_groups(problem_) || ledger_.in_group(g) > problem_.limits[g].low; }

  // The best swap within a group or between groups that take and give, if its elements share no edge.
  Swap best_apart() const {
    Swap best;
    Swap across;
    const auto keep_better = [&](const Swap& swap) {
      if (swap.in < 0 || swap.out < 0) return;
      const double k = entry(problem_.k, swap.in, swap.out);
      if (improves(swap.in, swap.out, k) && (!best || change(swap.in, swap.out, k) > change(best.in, best.out, 0))) best = swap;
    };
    for (std::size_t g = 0; g < n_groups_; ++g) {
      if (!outside_[g].empty() && !inside_[g].empty()) keep_better({outside_[g].top(), inside_[g].top()});
      if (!outside_[g].empty() && takes(g) && (across.in < 0 || gain_[at(outside_[g].top())] > gain_[at(across.in)]))
        across.in = outside_[g].top();
      if (!inside_[g].empty() && gives(g) && (across.out < 0 || gain_[at(inside_[g].top())] < gain_[at(across.out)]))
        across.out = inside_[g].top();
    }
    if (n_groups_ > 1) keep_better(across);
    return best;
  }

  // The next improving pair with an edge, from the elements whose gain or side has changed.
  Swap next_adjacent() {
    while (!changed_.empty()) {
      const std::int64_t a = changed_.front();
      for (std::int64_t e = problem_.k.indptr[a]; e < problem_.k.indptr[a + 1]; ++e) {
        const std::int64_t b = problem_.k.indices[e];
        if (subset_[at(a)] == subset_[at(b)]) continue;
        const Swap swap = subset_[at(a)] ? Swap{b, a} : Swap{a, b};
        if (improves(swap.in, swap.out, static_cast<double>(problem_.k.values[e])) && ledger_.can_swap(swap.in, swap.out))
          return swap;  // a stays in front
      }
      changed_.pop_front();
      waiting_[at(a)] = 0;
    }
    // A swap that its groups did not allow may have become possible.
    if (has_groups(problem_) && swaps_since_ > 0) {
      swaps_since_ = 0;
      mark_side(true);
      return next_adjacent();
    }
    return {};
  }

  // Only with negative similarities can the top pair fail while a lower one succeeds: an edge blocks it. Walks the pairs in
  // order of gain; each one passed over is an edge.
  Swap past_blocked_pairs() const {
    std::vector<std::int64_t> ins;
    std::vector<std::int64_t> outs;
    for (std::size_t g = 0; g < n_groups_; ++g) {
      if (const Swap swap = past_blocked_pairs(outside_[g].elements(), inside_[g].elements())) return swap;
      if (takes(g)) ins.insert(ins.end(), outside_[g].elements().begin(), outside_[g].elements().end());
      if (gives(g)) outs.insert(outs.end(), inside_[g].elements().begin(), inside_[g].elements().end());
    }
    return n_groups_ > 1 ? past_blocked_pairs(std::move(ins), std::move(outs)) : Swap{};
  }

  Swap past_blocked_pairs(std::vector<std::int64_t> ins, std::vector<std::int64_t> outs) const {
    if (ins.empty() || outs.empty()) return {};
    const auto less = [&](std::int64_t a, std::int64_t b) { return gain_[at(a)] < gain_[at(b)]; };
    const double most = gain_[at(*std::max_element(ins.begin(), ins.end(), less))];
    const double least = gain_[at(*std::min_element(outs.begin(), outs.end(), less))];
    ins.erase(std::remove_if(ins.begin(), ins.end(), [&](std::int64_t i) { return gain_[at(i)] <= least; }), ins.end());
    outs.erase(std::remove_if(outs.begin(), outs.end(), [&](std::int64_t j) { return gain_[at(j)] >= most; }), outs.end());
    std::sort(ins.begin(), ins.end(), [&](std::int64_t a, std::int64_t b) { return less(b, a); });
    std::sort(outs.begin(), outs.end(), less);
    for (const std::int64_t i : ins)
      for (const std::int64_t j : outs) {
        if (!improves(i, j, 0)) break;
        if (improves(i, j, entry(problem_.k, i, j))) return {i, j};
      }
    return {};
  }

  void apply(const Swap& swap) {
    const std::size_t from = group(problem_, swap.in);
    const std::size_t to = group(problem_, swap.out);
    outside_[from].remove(swap.in);
    inside_[to].remove(swap.out);
    // Both sides change before any gain does: the heaps must know where an element is when its gain changes.
    inside_[from].push(swap.in);
    outside_[to].push(swap.out);
    const auto changed = [&](std::int64_t m) {
      const bool kept = m == swap.in || (m != swap.out && subset_[at(m)]);
      (kept ? inside_ : outside_)[group(problem_, m)].update(m);
      mark(m);
    };
    flip(swap.in, changed);
    flip(swap.out, changed);
    mark(swap.in);
    mark(swap.out);
    swaps_since_ += from != to;
  }

  void mark_side(bool kept) {
    for (std::int64_t i = 0; i < problem_.n(); ++i)
      if ((subset_[at(i)] != 0) == kept) mark(i);
  }
  void mark(std::int64_t i) {
    if (waiting_[at(i)]) return;
    waiting_[at(i)] = 1;
    changed_.push_back(i);
  }

  const bool any_negative_;
  std::vector<std::int64_t> places_;
  std::vector<Heap> outside_;
  std::vector<Heap> inside_;
  std::vector<std::uint8_t> waiting_;
  std::deque<std::int64_t> changed_;
  const std::size_t n_groups_;
  std::int64_t swaps_since_ = 0;  // between groups, since blocked pairs were last looked at
};

class CostPolish : State {
 public:
  CostPolish(const Problem& problem, Subset& subset, ThreadPool& pool)
      : State(problem, subset, pool), groups_(members(problem)) {}

  // Additions, removals and swaps until a pass finds none; how many.
  std::int64_t run(const Run& run) {
    std::int64_t moves = 0;
    for (std::int64_t found = 1; found > 0 && !run.expired(); moves += found) {
      run.pool.check();
      found = single_moves();
      std::vector<Candidate> swaps = candidates();
      std::sort(swaps.begin(), swaps.end(), [](const Candidate& a, const Candidate& b) {
        return a.change > b.change || (a.change == b.change && a.swap.in < b.swap.in);
      });
      for (const auto& [change, swap] : swaps) {
        if (subset_[at(swap.in)] || !subset_[at(swap.out)] || !ledger_.can_swap(swap.in, swap.out)) continue;
        if (!improves(swap.in, swap.out, entry(problem_.k, swap.in, swap.out))) continue;
        flip(swap.out);
        flip(swap.in);
        ++found;
      }
    }
    return moves;
  }

 private:
  struct Candidate {
    double change;
    Swap swap;
  };
  // Elements that could leave, by falling cost, each with the one of least gain among those before it.
  struct Shelf {
    std::vector<double> costs;
    std::vector<std::int64_t> least;
  };

  std::int64_t single_moves() {
    std::int64_t found = 0;
    for (std::int64_t i = 0; i < problem_.n(); ++i) {
      const bool kept = subset_[at(i)];
      const double gain = kept ? -gain_[at(i)] : gain_[at(i)];
      if (gain <= 1e-12 * size_[at(i)] || (kept ? !ledger_.group_gives(i) : !ledger_.can_add(i))) continue;
      flip(i);
      ++found;
    }
    return found;
  }

  Shelf shelf(std::vector<std::int64_t> list) const {
    std::sort(list.begin(), list.end(), [&](std::int64_t a, std::int64_t b) {
      return problem_.costs[a] > problem_.costs[b] || (problem_.costs[a] == problem_.costs[b] && a < b);
    });
    Shelf shelf;
    for (const std::int64_t j : list) {
      const std::int64_t least = shelf.least.empty() || gain_[at(j)] < gain_[at(shelf.least.back())] ? j : shelf.least.back();
      shelf.costs.push_back(problem_.costs[j]);
      shelf.least.push_back(least);
    }
    return shelf;
  }

  // For every element outside the best one to replace: in its group, in groups that give, along its edges.
  std::vector<Candidate> candidates() const {
    std::vector<Candidate> found;
    std::vector<std::int64_t> giving;
    std::vector<Shelf> shelves;
    for (const auto& list : groups_) {
      std::vector<std::int64_t> kept;
      for (const std::int64_t j : list)
        if (subset_[at(j)]) kept.push_back(j);
      if (has_groups(problem_) && !kept.empty() && ledger_.group_gives(kept.front()))
        giving.insert(giving.end(), kept.begin(), kept.end());
      shelves.push_back(shelf(std::move(kept)));
    }
    const Shelf across = shelf(std::move(giving));
    for (std::int64_t i = 0; i < problem_.n(); ++i) {
      if (subset_[at(i)]) continue;
      Candidate best{0, {}};
      const auto consider = [&](std::int64_t j, double k) {
        if (improves(i, j, k) && change(i, j, k) > best.change && ledger_.can_swap(i, j)) best = {change(i, j, k), {i, j}};
      };
      const auto consider_shelf = [&](const Shelf& shelf) {
        const double least_cost = problem_.costs[i] - (ledger_.limit() - ledger_.used());
        const auto fitting =
            std::upper_bound(shelf.costs.begin(), shelf.costs.end(), least_cost, std::greater<>()) - shelf.costs.begin();
        if (fitting > 0) consider(shelf.least[at(fitting - 1)], entry(problem_.k, i, shelf.least[at(fitting - 1)]));
      };
      consider_shelf(shelves[group(problem_, i)]);
      if (has_groups(problem_) && ledger_.group_takes(i)) consider_shelf(across);
      for (std::int64_t e = problem_.k.indptr[i]; e < problem_.k.indptr[i + 1]; ++e)
        if (subset_[at(problem_.k.indices[e])]) consider(problem_.k.indices[e], static_cast<double>(problem_.k.values[e]));
      if (best.swap) found.push_back(best);
    }
    return found;
  }

  void flip(std::int64_t i) {
    State::flip(i, [](std::int64_t) {});
  }

  const std::vector<std::vector<std::int64_t>> groups_;
};

}  // namespace

std::int64_t polish(const Problem& problem, Subset& subset, const Run& run) {
  constexpr std::int64_t kSwapsBetweenLooks = 1024;
  const std::int64_t swaps_between_refreshes = std::max<std::int64_t>(kSwapsBetweenLooks, problem.n());
  const std::int64_t entries = problem.k.indptr[problem.n()];
  const bool any_negative = blocked_sum(run.pool, entries, [&](std::int64_t e) { return problem.k.values[e] < 0 ? 1 : 0; }) > 0;
  std::int64_t swaps = 0;
  // Updated gains drift by rounding; a search that ends, or has made many swaps, is begun again from fresh ones until it finds
  // nothing more.
  for (std::int64_t found = 1; found > 0 && !run.expired();) {
    found = 0;
    if (has_costs(problem)) {
      found = CostPolish(problem, subset, run.pool).run(run);
      swaps += found;
      continue;
    }
    Polish search(problem, subset, any_negative, run.pool);
    while (found < swaps_between_refreshes && search.step()) {
      ++found;
      if (++swaps % kSwapsBetweenLooks == 0) {
        run.pool.check();
        if (run.expired()) return swaps;
      }
    }
  }
  return swaps;
}

}  // namespace coremax::solver
