// One cell of the dual bound, solved by elimination of nodes (dynamic programming over a tree decomposition).
#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "solver/dual_parts.h"

namespace coremax::solver {
namespace {

constexpr std::size_t kWidestScope = 14;

// The node with the fewest neighbours left, ties to the one whose elimination adds fewest edges, then to the lower number.
std::int64_t next_to_eliminate(const std::vector<std::vector<std::int32_t>>& neighbors, const std::vector<std::uint8_t>& gone) {
  std::int64_t best = -1;
  std::size_t best_degree = 0;
  std::int64_t best_fill = 0;
  for (std::size_t v = 0; v < neighbors.size(); ++v) {
    if (gone[v]) continue;
    const auto& around = neighbors[v];
    if (best >= 0 && around.size() > best_degree) continue;
    std::int64_t fill = 0;
    for (std::size_t a = 0; a < around.size(); ++a)
      for (std::size_t b = a + 1; b < around.size(); ++b)
        fill += !std::binary_search(neighbors[at(around[a])].begin(), neighbors[at(around[a])].end(), around[b]);
    if (best >= 0 && around.size() == best_degree && fill >= best_fill) continue;
    best = static_cast<std::int64_t>(v);
    best_degree = around.size();
    best_fill = fill;
  }
  return best;
}

void insert_sorted(std::vector<std::int32_t>& list, std::int32_t item) {
  const auto place = std::lower_bound(list.begin(), list.end(), item);
  if (place == list.end() || *place != item) list.insert(place, item);
}

}  // namespace

bool Cell::compile(std::int64_t n_nodes, const std::vector<Edge>& edges) {
  buckets_.clear();
  n_entries_ = 0;
  total_weight_ = 0;
  Neighbors neighbors(at(n_nodes));
  std::vector<std::vector<std::pair<std::int32_t, double>>> costs(at(n_nodes));
  for (const Edge& edge : edges) {
    insert_sorted(neighbors[at(edge.a)], edge.b);
    insert_sorted(neighbors[at(edge.b)], edge.a);
    costs[at(edge.a)].emplace_back(edge.b, edge.weight);
    costs[at(edge.b)].emplace_back(edge.a, edge.weight);
    total_weight_ += edge.weight;
  }
  std::vector<std::uint8_t> gone(at(n_nodes), 0);
  std::vector<std::int64_t> open;  // buckets whose table no later bucket has taken up
  for (std::int64_t k = 0; k < n_nodes; ++k) {
    const std::int64_t v = next_to_eliminate(neighbors, gone);
    if (!add_bucket(static_cast<std::int32_t>(v), neighbors, costs[at(v)], open)) return false;
    const std::vector<std::int32_t>& scope = buckets_.back().scope;
    for (const std::int32_t a : scope) {
      std::erase(neighbors[at(a)], static_cast<std::int32_t>(v));
      for (const std::int32_t b : scope)
        if (a != b) insert_sorted(neighbors[at(a)], b);
    }
    gone[at(v)] = 1;
  }
  return true;
}

// The bucket of a node; costs: of all its edges, those to nodes that are gone included.
bool Cell::add_bucket(std::int32_t node, const Neighbors& neighbors, const std::vector<std::pair<std::int32_t, double>>& costs,
                      std::vector<std::int64_t>& open) {
  Bucket bucket{node, neighbors[at(node)], {}, {}, n_entries_};
  const std::vector<std::int32_t>& scope = bucket.scope;
  if (scope.size() > kWidestScope) return false;
  const std::int64_t n_states = std::int64_t{1} << scope.size();
  n_entries_ += n_states;
  if (n_entries_ > kMostEntries) return false;
  const auto bit = [&](std::int32_t other) {
    return static_cast<std::size_t>(std::lower_bound(scope.begin(), scope.end(), other) - scope.begin());
  };
  // table[state]: the sum of the steps of its bits.
  const auto by_state = [&](auto& table, const auto& steps) {
    table.assign(at(n_states), {});
    for (std::size_t state = 1; state < table.size(); ++state)
      table[state] = table[state & (state - 1)] + steps[static_cast<std::size_t>(std::countr_zero(state))];
  };
  Vector step(scope.size(), 0.0);
  for (const auto& [other, weight] : costs)
    if (std::binary_search(scope.begin(), scope.end(), other)) step[bit(other)] += weight;
  by_state(bucket.cost, step);
  std::erase_if(open, [&](std::int64_t k) {
    const std::vector<std::int32_t>& inner = buckets_[at(k)].scope;
    if (!std::binary_search(inner.begin(), inner.end(), node)) return false;
    Child child{k, {}, 0};
    std::vector<std::int32_t> steps(scope.size(), 0);
    for (std::size_t b = 0; b < inner.size(); ++b) (inner[b] == node ? child.own : steps[bit(inner[b])]) = std::int32_t{1} << b;
    by_state(child.index, steps);
    bucket.children.push_back(std::move(child));
    return true;
  });
  open.push_back(static_cast<std::int64_t>(buckets_.size()));
  buckets_.push_back(std::move(bucket));
  return true;
}

// tables[offset + state]: the best of this bucket and those below; gains: the value with the node less that without.
void Cell::upward(const double* theta, double* tables, double* gains) const {
  for (const Bucket& bucket : buckets_) {
    const std::size_t n_states = bucket.cost.size();
    double* out = tables + bucket.offset;
    double* gain = gains + bucket.offset;
    const double own = theta[bucket.node];
    for (std::size_t state = 0; state < n_states; ++state) {
      out[state] = 0;
      gain[state] = own - bucket.cost[state];
    }
    for (const Child& child : bucket.children) {
      const double* in = tables + buckets_[at(child.bucket)].offset;
      for (std::size_t state = 0; state < n_states; ++state) {
        const double without = in[child.index[state]];
        out[state] += without;
        gain[state] += in[child.index[state] + child.own] - without;
      }
    }
    for (std::size_t state = 0; state < n_states; ++state) out[state] += std::max(0.0, gain[state]);
  }
}

double Cell::maximum(const double* theta, Vector& work) const {
  work.resize(at(2 * n_entries_));
  upward(theta, work.data(), work.data() + n_entries_);
  double total = 0;
  for (const Bucket& bucket : buckets_)
    if (bucket.scope.empty()) total += work[at(bucket.offset)];
  return total;
}

double Cell::maximum(const double* theta, Vector& work, std::uint8_t* z) const {
  const double value = maximum(theta, work);
  const double* gains = work.data() + n_entries_;
  for (std::size_t k = buckets_.size(); k-- > 0;) {
    const Bucket& bucket = buckets_[k];
    std::int64_t state = 0;
    for (std::size_t b = 0; b < bucket.scope.size(); ++b) state |= std::int64_t{z[bucket.scope[b]]} << b;
    z[bucket.node] = gains[bucket.offset + state] > 0;
  }
  return value;
}

double Cell::differences(const double* theta, Vector& work, double* difference) const {
  work.resize(at(3 * n_entries_));
  double* tables = work.data();
  double* gains = tables + n_entries_;
  double* above = gains + n_entries_;  // by bucket and state of its scope: the best that all other buckets can add
  upward(theta, tables, gains);
  double total = 0;
  for (std::size_t k = buckets_.size(); k-- > 0;) {
    const Bucket& bucket = buckets_[k];
    const std::size_t n_states = bucket.cost.size();
    const double* outside = above + bucket.offset;
    const double* gain = gains + bucket.offset;
    const double* table = tables + bucket.offset;
    if (bucket.scope.empty()) {
      total += table[0];
      above[bucket.offset] = 0;
    }
    for (const Child& child : bucket.children) {
      double* to = above + buckets_[at(child.bucket)].offset;
      std::fill(to, to + buckets_[at(child.bucket)].cost.size(), -INFINITY);
    }
    double with = -INFINITY;
    double without = -INFINITY;
    for (std::size_t state = 0; state < n_states; ++state) {
      const double base = outside[state] + table[state] - std::max(0.0, gain[state]);
      with = std::max(with, base + gain[state]);
      without = std::max(without, base);
      for (const Child& child : bucket.children) {
        const std::int64_t offset = buckets_[at(child.bucket)].offset;
        const std::int64_t low = offset + child.index[state];
        const std::int64_t high = low + child.own;
        above[low] = std::max(above[low], base - tables[low]);
        above[high] = std::max(above[high], base + gain[state] - tables[high]);
      }
    }
    difference[bucket.node] = with - without;
  }
  return total;
}

}  // namespace coremax::solver
