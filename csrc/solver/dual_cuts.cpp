// The cuts of the dual bound. For a clique C of the graph and integer t, the number m of kept elements in C satisfies
// m (m - 1) / 2 >= t m - t (t + 1) / 2, since (m - t)(m - t - 1) >= 0; the left side is the number of kept edges.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <utility>

#include "solver/dual_parts.h"

namespace coremax::solver {
namespace {

constexpr std::int64_t kLongestClique = 32;

// Grows cliques from a seed, always by the candidate of the highest score that is adjacent to all.
class CliqueGrower {
 public:
  explicit CliqueGrower(const ActiveGraph& graph) : graph_(graph) {}

  // The members, ascending; the first two are the ends of the seed edge before sorting.
  template <class Score>
  const std::vector<std::int32_t>& grow(std::int64_t seed_edge, Score&& score) {
    members_.assign({graph_.ends[at(2 * seed_edge)], graph_.ends[at(2 * seed_edge + 1)]});
    candidates_.clear();
    common(members_[0], members_[1]);
    while (!candidates_.empty() && static_cast<std::int64_t>(members_.size()) < kLongestClique) {
      const std::int32_t best = *std::max_element(candidates_.begin(), candidates_.end(), [&](std::int32_t a, std::int32_t b) {
        const double sa = score(a);
        const double sb = score(b);
        return sa < sb || (sa == sb && a > b);
      });
      if (!(score(best) > 0)) break;
      members_.push_back(best);
      const auto first = graph_.neighbor.begin() + graph_.start[at(best)];
      const auto last = graph_.neighbor.begin() + graph_.start[at(best) + 1];
      kept_.clear();
      std::set_intersection(candidates_.begin(), candidates_.end(), first, last, std::back_inserter(kept_));
      candidates_.swap(kept_);
    }
    std::sort(members_.begin(), members_.end());
    return members_;
  }

 private:
  void common(std::int32_t a, std::int32_t b) {
    const auto list = [&](std::int32_t i) { return graph_.neighbor.begin() + graph_.start[at(i)]; };
    std::set_intersection(list(a), list(a + 1), list(b), list(b + 1), std::back_inserter(candidates_));
  }

  const ActiveGraph& graph_;
  std::vector<std::int32_t> members_;
  std::vector<std::int32_t> candidates_;
  std::vector<std::int32_t> kept_;
};

// The numbers of the edges among the members, by pair in order.
void append_edges(const ActiveGraph& graph, const std::vector<std::int32_t>& members, std::vector<std::int32_t>& edges) {
  for (std::size_t a = 0; a < members.size(); ++a) {
    std::int64_t e = graph.start[at(members[a])];
    for (std::size_t b = a + 1; b < members.size(); ++b) {
      while (graph.neighbor[at(e)] != members[b]) ++e;
      edges.push_back(graph.edge[at(e)]);
    }
  }
}

void append(const ActiveGraph& graph, const std::vector<std::int32_t>& members, std::int32_t t, Cuts& cuts) {
  cuts.nodes.items.insert(cuts.nodes.items.end(), members.begin(), members.end());
  cuts.nodes.close();
  append_edges(graph, members, cuts.edges.items);
  cuts.edges.close();
  cuts.t.push_back(t);
}

}  // namespace

Lists transposed(const Lists& lists, std::int64_t n_items) {
  Lists result;
  result.start.assign(at(n_items) + 1, 0);
  for (const std::int32_t item : lists.items) ++result.start[at(item) + 1];
  std::partial_sum(result.start.begin(), result.start.end(), result.start.begin());
  result.items.resize(lists.items.size());
  std::vector<std::int64_t> place(result.start.begin(), result.start.end() - 1);
  for (std::int64_t list = 0; list < lists.size(); ++list)
    for (const std::int32_t* item = lists.begin(list); item != lists.end(list); ++item)
      result.items[at(place[at(*item)]++)] = static_cast<std::int32_t>(list);
  return result;
}

ActiveGraph active_graph(const Problem& problem, const Vector& value, double price, ThreadPool& pool) {
  ActiveGraph graph;
  std::vector<std::int32_t> node(value.size(), -1);
  for (std::int64_t i = 0; i < problem.n(); ++i)
    if (value[at(i)] > price) {
      node[at(i)] = static_cast<std::int32_t>(graph.element.size());
      graph.element.push_back(static_cast<std::int32_t>(i));
      graph.value.push_back(value[at(i)]);
    }
  const std::int64_t n = graph.n();
  // The entries of row i of K that stay: both ends active and a positive weight.
  const auto for_each_kept = [&](std::int64_t a, auto&& f) {
    const std::int64_t i = graph.element[at(a)];
    for (std::int64_t e = problem.k.indptr[i]; e < problem.k.indptr[i + 1]; ++e)
      if (node[at(problem.k.indices[e])] >= 0 && problem.k.values[e] > 0)
        f(node[at(problem.k.indices[e])], problem.k.values[e]);
  };
  graph.start.assign(at(n) + 1, 0);
  parallel_for(pool, n, [&](std::int64_t a) { for_each_kept(a, [&](std::int32_t, float) { ++graph.start[at(a) + 1]; }); });
  std::partial_sum(graph.start.begin(), graph.start.end(), graph.start.begin());
  graph.neighbor.resize(at(graph.start.back()));
  graph.edge.resize(at(graph.start.back()));
  graph.weight.reserve(graph.neighbor.size() / 2);
  graph.ends.reserve(graph.neighbor.size());
  std::vector<std::int64_t> place(graph.start.begin(), graph.start.end() - 1);
  for (std::int64_t a = 0; a < n; ++a)
    for_each_kept(a, [&](std::int32_t b, float k) {
      if (b <= a) return;  // its lower end came first and has written both entries
      const auto number = static_cast<std::int32_t>(graph.weight.size());
      for (const auto& [from, to] : {std::pair<std::int64_t, std::int64_t>{a, b}, {b, a}}) {
        graph.neighbor[at(place[at(from)])] = static_cast<std::int32_t>(to);
        graph.edge[at(place[at(from)]++)] = number;
      }
      graph.weight.push_back(2 * problem.alpha * static_cast<double>(k));
      graph.ends.push_back(static_cast<std::int32_t>(a));
      graph.ends.push_back(b);
    });
  return graph;
}

Cuts cover_by_cliques(const ActiveGraph& graph, double price, ThreadPool& pool) {
  const std::int64_t n_edges = graph.n_edges();
  // An edge never costs more than the lesser of the surpluses of its ends: past that, the element is left out instead.
  Vector need(at(n_edges));
  parallel_for(pool, n_edges, [&](std::int64_t e) {
    const double a = graph.value[at(graph.ends[at(2 * e)])] - price;
    const double b = graph.value[at(graph.ends[at(2 * e + 1)])] - price;
    need[at(e)] = std::max(0.0, std::min({graph.weight[at(e)], a, b}));
  });
  std::vector<std::int32_t> order(at(n_edges));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](std::int32_t a, std::int32_t b) { return need[at(a)] > need[at(b)] || (need[at(a)] == need[at(b)] && a < b); });

  Cuts cuts;
  CliqueGrower grower(graph);
  std::vector<std::uint8_t> covered(at(n_edges), 0);
  std::int64_t looked = 0;
  for (const std::int32_t e : order) {
    if (++looked % 65536 == 0) pool.check();
    if (covered[at(e)]) continue;
    const auto& members = grower.grow(e, [&](std::int32_t i) { return graph.value[at(i)] - price; });
    append(graph, members, 1, cuts);
    for (const std::int32_t* edge = cuts.edges.begin(cuts.size() - 1); edge != cuts.edges.end(cuts.size() - 1); ++edge)
      covered[at(*edge)] = 1;
  }
  return cuts;
}

std::int64_t separate(const ActiveGraph& graph, const Vector& x, const Vector& y, double tolerance, Cuts& cuts,
                      ThreadPool& pool) {
  CliqueGrower grower(graph);
  std::vector<std::uint8_t> used(at(graph.n_edges()), 0);
  std::vector<std::int32_t> order;
  for (std::int64_t e = 0; e < graph.n_edges(); ++e)
    if (x[at(graph.ends[at(2 * e)])] + x[at(graph.ends[at(2 * e + 1)])] > 0.5) order.push_back(static_cast<std::int32_t>(e));
  const auto sum = [&](std::int32_t e) { return x[at(graph.ends[at(2 * e)])] + x[at(graph.ends[at(2 * e + 1)])] - y[at(e)]; };
  std::sort(order.begin(), order.end(),
            [&](std::int32_t a, std::int32_t b) { return sum(a) > sum(b) || (sum(a) == sum(b) && a < b); });

  const std::int64_t before = cuts.size();
  std::vector<std::int32_t> edges;
  std::int64_t looked = 0;
  for (const std::int32_t e : order) {
    if (++looked % 4096 == 0) pool.check();
    if (used[at(e)]) continue;
    const auto& members = grower.grow(e, [&](std::int32_t i) { return x[at(i)]; });
    edges.clear();
    append_edges(graph, members, edges);
    double total_x = 0;
    double total_y = 0;
    for (const std::int32_t i : members) total_x += x[at(i)];
    for (const std::int32_t edge : edges) total_y += y[at(edge)];
    const auto t = static_cast<std::int32_t>(std::clamp(std::floor(total_x), 1.0, static_cast<double>(members.size()) - 1));
    const double violation = t * total_x - total_y - 0.5 * t * (t + 1);
    if (violation <= tolerance) continue;
    for (const std::int32_t edge : edges) used[at(edge)] = 1;
    append(graph, members, t, cuts);
  }
  return cuts.size() - before;
}

}  // namespace coremax::solver
