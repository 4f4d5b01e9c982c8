// 1-swap local search: take j out and i in while that improves f, that is while gain_i - gain_j + 2 alpha K_ij > 0 with
// gain = I - 2 alpha K z. Two heaps hold the outside by largest gain and the inside by smallest. Where K >= 0 their tops are
// the best pair that shares no edge, and pairs that do share one are found from the elements whose gain has changed.
#include <algorithm>
#include <cmath>
#include <deque>

#include "solver/stages.h"

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

class Polish {
 public:
  Polish(const Problem& problem, Subset& subset, Vector g)
      : problem_(problem), subset_(subset), gain_(std::move(g)), places_(subset.size()), outside_(gain_, 1, places_), inside_(gain_, -1, places_),
        waiting_(subset.size(), 1) {
    std::vector<std::int64_t> in;
    std::vector<std::int64_t> out;
    for (std::int64_t i = 0; i < problem.n(); ++i) {
      (subset[at(i)] ? in : out).push_back(i);
      changed_.push_back(i);
    }
    inside_.assign(std::move(in));
    outside_.assign(std::move(out));
  }

  // One improving swap; false when there is none.
  bool step() {
    Swap swap = best_apart();
    if (!swap) swap = next_adjacent();
    if (!swap) swap = past_blocked_pairs();
    if (!swap) return false;
    apply(swap);
    return true;
  }

 private:
  // Improvements below the rounding error of the gains are none: they could go round in circles.
  bool improves(std::int64_t i, std::int64_t j, double k_ij) const {
    return gain_[at(i)] - gain_[at(j)] + 2 * problem_.alpha * k_ij > 1e-12 * (size_[at(i)] + size_[at(j)]);
  }

  // The largest sum of absolute terms that a gain can have been added up from, now or before an update took some away.
  Vector sizes_of_gains() const {
    Vector size(gain_.size());
    for (std::int64_t i = 0; i < problem_.n(); ++i) {
      double sum = 0;
      for (std::int64_t e = problem_.k.indptr[i]; e < problem_.k.indptr[i + 1]; ++e) sum += std::abs(static_cast<double>(problem_.k.values[e]));
      size[at(i)] = std::abs(problem_.importance[i]) + 2 * problem_.alpha * sum;
    }
    return size;
  }

  Swap best_apart() const {
    if (outside_.empty() || inside_.empty()) return {};
    const std::int64_t i = outside_.top();
    const std::int64_t j = inside_.top();
    return improves(i, j, entry(problem_.k, i, j)) ? Swap{i, j} : Swap{};
  }

  // The next improving pair with an edge, from the elements whose gain or side has changed.
  Swap next_adjacent() {
    while (!changed_.empty()) {
      const std::int64_t a = changed_.front();
      for (std::int64_t e = problem_.k.indptr[a]; e < problem_.k.indptr[a + 1]; ++e) {
        const std::int64_t b = problem_.k.indices[e];
        if (subset_[at(a)] == subset_[at(b)]) continue;
        const Swap swap = subset_[at(a)] ? Swap{b, a} : Swap{a, b};
        if (improves(swap.in, swap.out, static_cast<double>(problem_.k.values[e]))) return swap;  // a stays in front: look again
      }
      changed_.pop_front();
      waiting_[at(a)] = 0;
    }
    return {};
  }

  // Only with negative similarities can the top pair fail while a lower one succeeds: an edge blocks it. Walks the pairs in
  // order of gain; each one passed over is an edge.
  Swap past_blocked_pairs() const {
    if (outside_.empty() || inside_.empty() || !improves(outside_.top(), inside_.top(), 0)) return {};
    const auto candidates = [&](const Heap& heap, double sign, double limit) {
      std::vector<std::int64_t> list;
      for (const std::int64_t i : heap.elements())
        if (sign * gain_[at(i)] > sign * limit) list.push_back(i);
      std::sort(list.begin(), list.end(), [&](std::int64_t a, std::int64_t b) { return sign * gain_[at(a)] > sign * gain_[at(b)]; });
      return list;
    };
    const auto ins = candidates(outside_, 1, gain_[at(inside_.top())]);
    const auto outs = candidates(inside_, -1, gain_[at(outside_.top())]);
    for (const std::int64_t i : ins)
      for (const std::int64_t j : outs) {
        if (!improves(i, j, 0)) break;
        if (improves(i, j, entry(problem_.k, i, j))) return {i, j};
      }
    return {};
  }

  void apply(const Swap& swap) {
    outside_.remove(swap.in);
    inside_.remove(swap.out);
    subset_[at(swap.in)] = 1;
    subset_[at(swap.out)] = 0;
    inside_.push(swap.in);
    outside_.push(swap.out);
    mark(swap.in);
    mark(swap.out);
    shift_neighbours(swap.in, -1);
    shift_neighbours(swap.out, 1);
  }

  void shift_neighbours(std::int64_t i, double sign) {
    for (std::int64_t e = problem_.k.indptr[i]; e < problem_.k.indptr[i + 1]; ++e) {
      const std::int64_t m = problem_.k.indices[e];
      gain_[at(m)] += sign * 2 * problem_.alpha * static_cast<double>(problem_.k.values[e]);
      (subset_[at(m)] ? inside_ : outside_).update(m);
      mark(m);
    }
  }

  void mark(std::int64_t i) {
    if (waiting_[at(i)]) return;
    waiting_[at(i)] = 1;
    changed_.push_back(i);
  }

  const Problem& problem_;
  Subset& subset_;
  Vector gain_;
  const Vector size_ = sizes_of_gains();
  std::vector<std::int64_t> places_;
  Heap outside_;
  Heap inside_;
  std::vector<std::uint8_t> waiting_;
  std::deque<std::int64_t> changed_;
};

}  // namespace

std::int64_t polish_swaps(const Problem& problem, Subset& subset, const std::function<bool()>& expired, ThreadPool& pool) {
  constexpr std::int64_t kSwapsBetweenLooks = 1024;
  const std::int64_t swaps_between_refreshes = std::max<std::int64_t>(kSwapsBetweenLooks, problem.n());
  std::int64_t swaps = 0;
  // Updated gains drift by rounding; a search that ends, or has made many swaps, is begun again from fresh ones until it finds
  // nothing more.
  for (std::int64_t found = 1; found > 0;) {
    found = 0;
    Polish polish(problem, subset, gains(problem, multiply(problem.k, as_vector(subset), pool), pool));
    while (found < swaps_between_refreshes && polish.step()) {
      ++found;
      if (++swaps % kSwapsBetweenLooks == 0) {
        pool.check();
        if (expired()) return swaps;
      }
    }
    if (expired()) break;
  }
  return swaps;
}

}  // namespace coremax::solver
