// A heap of upper bounds: where a value falls its entry stays and is put right when it comes up; where one rises (the taken
// value was negative) a new entry is pushed. An entry at the top that equals its element's value is therefore the highest.
#include <algorithm>

#include "selection/selection.h"

namespace coremax::selection {
namespace {

constexpr std::int64_t kCheckEvery = 4096;  // elements taken between two looks at Ctrl-C: about a millisecond

struct Entry {
  double value;
  std::int64_t rank;
  std::int64_t element;
};

bool lower(const Entry& a, const Entry& b) { return a.value < b.value || (a.value == b.value && a.rank > b.rank); }

}  // namespace

std::vector<std::int64_t> take_and_discount(const Edges& edges, const double* values, const std::int64_t* ranks,
                                            std::int64_t budget, ThreadPool& pool) {
  const auto at = [](auto& vector, std::int64_t i) -> auto& { return vector[static_cast<std::size_t>(i)]; };
  std::vector<double> current(values, values + edges.n);
  std::vector<char> taken(current.size(), 0);
  std::vector<Entry> heap(current.size());
  for (std::int64_t i = 0; i < edges.n; ++i) at(heap, i) = {values[i], ranks[i], i};
  std::make_heap(heap.begin(), heap.end(), lower);
  const auto push = [&](std::int64_t i) {
    heap.push_back({at(current, i), ranks[i], i});
    std::push_heap(heap.begin(), heap.end(), lower);
  };
  std::vector<std::int64_t> order;
  order.reserve(static_cast<std::size_t>(budget));
  std::int64_t n_popped = 0;
  while (static_cast<std::int64_t>(order.size()) < budget) {
    if (n_popped++ % kCheckEvery == 0) pool.check();
    std::pop_heap(heap.begin(), heap.end(), lower);
    const Entry top = heap.back();
    heap.pop_back();
    if (at(taken, top.element)) continue;
    if (top.value != at(current, top.element)) {
      // Above its value: put right. Below: it has risen, and a later entry holds its value.
      if (top.value > at(current, top.element)) push(top.element);
      continue;
    }
    at(taken, top.element) = 1;
    order.push_back(top.element);
    for (std::int64_t e = edges.indptr[top.element]; e < edges.indptr[top.element + 1]; ++e) {
      const std::int64_t target = edges.targets[e];
      if (at(taken, target)) continue;
      at(current, target) -= edges.weights[e] * top.value;
      if (top.value < 0) push(target);
    }
  }
  return order;
}

}  // namespace coremax::selection
