// The cells of the dual bound. A cut r pays for its share u_r of the quadratic form on its edges by a linear function; the cuts
// gathered in a cell take their payments back, and the form they stood for is maximised exactly over the cell's nodes together:
// never more than what they paid. Cells overlap, since every cut belongs to one cell while a node may have cuts in several.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "solver/dual_parts.h"

namespace coremax::solver {
namespace {

constexpr double kFractional = 0.005;  // x this far from 0 and 1 is undecided
constexpr std::int64_t kLongestCut = 12;
constexpr int kLayers = 4;
constexpr double kSmallPayment = 1e-3;  // of the mean: what a cut without payment counts when cuts are ranked

}  // namespace

// Disjoint sets of nodes with the number of those that count.
struct Cells::Grouping {
  std::vector<std::int32_t> parent;
  std::vector<std::int64_t> count;

  explicit Grouping(std::int64_t n) : parent(at(n)), count(at(n), 1) { std::iota(parent.begin(), parent.end(), 0); }
  void reset(std::int32_t i) { parent[at(i)] = i, count[at(i)] = 1; }
  std::int32_t find(std::int32_t i) {
    while (parent[at(i)] != i) i = parent[at(i)] = parent[at(parent[at(i)])];
    return i;
  }
  void join(std::int32_t a, std::int32_t b) {
    a = find(a), b = find(b);
    if (a == b) return;
    if (a > b) std::swap(a, b);
    parent[at(b)] = a;
    count[at(a)] += count[at(b)];
  }
};

Cells::Cells(const ActiveGraph& graph, const LinearProgram& program, std::int64_t largest, const std::function<bool()>& stop,
             ThreadPool& pool)
    : graph_(graph),
      cuts_(program.cuts()),
      u_(program.u()),
      pool_(pool),
      price_(program.price()),
      cell_of_cut_(at(cuts_.size()), -1),
      room_(graph.weight),
      left_(graph.value) {
  for (std::int64_t r = 0; r < cuts_.size(); ++r)
    for (const std::int32_t* e = cuts_.edges.begin(r); e != cuts_.edges.end(r); ++e) room_[at(*e)] -= u_[at(r)];
  for (double& room : room_)
    if (room < 0) {  // y is at most 1: an edge that is paid too much for costs the excess
      fixed_ += Sum{-room, -room};
      room = 0;
    }
  const std::vector<std::uint8_t> open = undecided(program.x(), 2 * largest);
  std::vector<std::int32_t> list = ranked_cuts(open, program.x());
  Grouping grouping(graph.n());
  // What the first layer leaves out, because its nodes fell to several cells, is gathered again.
  for (int layer = 0; layer < kLayers && !list.empty(); ++layer) {
    std::vector<std::pair<std::int64_t, std::vector<std::int32_t>>> pending{{2 * largest, std::move(list)}};
    while (!pending.empty() && !stop()) {
      pool_.check();
      const auto [limit, of_limit] = std::move(pending.back());
      pending.pop_back();
      for (auto& of_cell : group(of_limit, open, limit, grouping)) {
        if (!add(of_cell) && limit > 4) pending.emplace_back(limit / 2, std::move(of_cell));
        pool_.check();
      }
    }
    list.clear();
    for (const std::int32_t r : ranked_cuts(open, program.x()))
      if (cell_of_cut_[at(r)] < 0) list.push_back(r);
  }
  share_out();
}

// Components of the elements above the price that are small enough are taken whole; of the others, where x is fractional.
std::vector<std::uint8_t> Cells::undecided(const Vector& x, std::int64_t small) const {
  std::vector<std::uint8_t> open(at(graph_.n()), 0);
  Grouping components(graph_.n());
  const auto worth = [&](std::int32_t i) { return graph_.value[at(i)] > price_; };
  for (std::int64_t e = 0; e < graph_.n_edges(); ++e)
    if (worth(graph_.ends[at(2 * e)]) && worth(graph_.ends[at(2 * e + 1)]))
      components.join(graph_.ends[at(2 * e)], graph_.ends[at(2 * e + 1)]);
  for (std::int32_t i = 0; i < graph_.n(); ++i)
    open[at(i)] = worth(i) &&
                  (components.count[at(components.find(i))] <= small || (x[at(i)] > kFractional && x[at(i)] < 1 - kFractional));
  return open;
}

// Cuts that may join open nodes or pay for one, those first that hold most of the undecided value.
std::vector<std::int32_t> Cells::ranked_cuts(const std::vector<std::uint8_t>& open, const Vector& x) const {
  const double least =
      kSmallPayment * std::accumulate(u_.begin(), u_.end(), 0.0) / static_cast<double>(std::max<std::int64_t>(1, cuts_.size()));
  Vector weight(at(cuts_.size()), 0.0);
  std::vector<std::int32_t> list;
  for (std::int64_t r = 0; r < cuts_.size(); ++r) {
    int n_open = 0;
    for (const std::int32_t* i = cuts_.nodes.begin(r); i != cuts_.nodes.end(r); ++i) {
      if (!open[at(*i)]) continue;
      weight[at(r)] += (u_[at(r)] + least) * (1e-3 + x[at(*i)] * (1 - x[at(*i)]));
      ++n_open;
    }
    if ((n_open > 1 || (n_open == 1 && u_[at(r)] > 0)) && cuts_.nodes.length(r) <= kLongestCut)
      list.push_back(static_cast<std::int32_t>(r));
  }
  std::sort(list.begin(), list.end(), [&](std::int32_t a, std::int32_t b) {
    return weight[at(a)] > weight[at(b)] || (weight[at(a)] == weight[at(b)] && a < b);
  });
  return list;
}

// The cuts of a list by the groups they form when, in order, each joins its open nodes as long as a group stays small.
std::vector<std::vector<std::int32_t>> Cells::group(const std::vector<std::int32_t>& list,
                                                    const std::vector<std::uint8_t>& open, std::int64_t largest,
                                                    Grouping& grouping) const {
  const auto for_each_open = [&](std::int32_t r, auto&& f) {
    for (const std::int32_t* i = cuts_.nodes.begin(r); i != cuts_.nodes.end(r); ++i)
      if (open[at(*i)]) f(*i);
  };
  for (const std::int32_t r : list) for_each_open(r, [&](std::int32_t i) { grouping.reset(i); });
  std::vector<std::int32_t> roots;
  const auto find_roots = [&](std::int32_t r) {
    roots.clear();
    for_each_open(r, [&](std::int32_t i) { roots.push_back(grouping.find(i)); });
    std::sort(roots.begin(), roots.end());
    roots.erase(std::unique(roots.begin(), roots.end()), roots.end());
  };
  for (const std::int32_t r : list) {
    find_roots(r);
    std::int64_t together = 0;
    for (const std::int32_t root : roots) together += grouping.count[at(root)];
    if (together <= std::max(largest, cuts_.nodes.length(r)))
      for (const std::int32_t root : roots) grouping.join(roots[0], root);
  }
  std::vector<std::pair<std::int32_t, std::int32_t>> members;  // root, cut
  for (const std::int32_t r : list) {
    find_roots(r);
    if (roots.size() == 1) members.emplace_back(roots[0], r);
  }
  std::stable_sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::vector<std::int32_t>> groups;
  for (std::size_t k = 0; k < members.size(); ++k) {
    if (k == 0 || members[k].first != members[k - 1].first) groups.emplace_back();
    groups.back().push_back(members[k].second);
  }
  return groups;
}

// A cell of these cuts; false if it would be too wide. Besides the shares of the cuts it claims what room is left on its edges.
bool Cells::add(const std::vector<std::int32_t>& list) {
  std::vector<std::int32_t> members;
  for (const std::int32_t r : list) members.insert(members.end(), cuts_.nodes.begin(r), cuts_.nodes.end(r));
  std::sort(members.begin(), members.end());
  members.erase(std::unique(members.begin(), members.end()), members.end());
  std::vector<std::pair<std::int32_t, double>> shares;  // of edges
  for (const std::int32_t r : list)
    for (const std::int32_t* e = cuts_.edges.begin(r); e != cuts_.edges.end(r); ++e) shares.emplace_back(*e, u_[at(r)]);
  std::vector<std::int32_t> claimed;
  const auto place = [&](std::int32_t i) {
    return static_cast<std::int32_t>(std::lower_bound(members.begin(), members.end(), i) - members.begin());
  };
  for (const std::int32_t i : members)
    for (std::int64_t k = graph_.start[at(i)]; k < graph_.start[at(i) + 1]; ++k) {
      const std::int32_t e = graph_.edge[at(k)];
      if (graph_.neighbor[at(k)] < i || room_[at(e)] <= 0 ||
          !std::binary_search(members.begin(), members.end(), graph_.neighbor[at(k)]))
        continue;
      shares.emplace_back(e, room_[at(e)]);
      claimed.push_back(e);
    }
  std::vector<Cell::Edge> edges;
  for (const auto& [e, share] : shares)
    edges.push_back({place(graph_.ends[at(2 * e)]), place(graph_.ends[at(2 * e + 1)]), share});
  Cell cell;
  if (!cell.compile(static_cast<std::int64_t>(members.size()), edges)) return false;
  for (const std::int32_t e : claimed) room_[at(e)] = 0;
  for (const std::int32_t r : list) cell_of_cut_[at(r)] = static_cast<std::int32_t>(size());
  cells_.push_back(std::move(cell));
  nodes_.items.insert(nodes_.items.end(), members.begin(), members.end());
  nodes_.close();
  return true;
}

// A node brings to a cell what its cuts there took from its value; what no cut takes, less the price, is shared out evenly.
void Cells::share_out() {
  theta_.assign(nodes_.items.size(), 0.0);
  cell_of_place_.resize(nodes_.items.size());
  places_ = transposed(nodes_, graph_.n());  // the cells of each node, here still by number of cell
  for (std::int64_t i = 0; i < graph_.n(); ++i)
    for (std::int64_t k = places_.start[at(i)]; k < places_.start[at(i) + 1]; ++k) {
      std::int32_t& item = places_.items[at(k)];
      const std::int32_t* found = std::lower_bound(nodes_.begin(item), nodes_.end(item), static_cast<std::int32_t>(i));
      cell_of_place_[static_cast<std::size_t>(found - nodes_.items.data())] = item;
      item = static_cast<std::int32_t>(found - nodes_.items.data());
    }
  Vector rest(left_);
  for (std::int64_t r = 0; r < cuts_.size(); ++r) {
    const std::int32_t c = cell_of_cut_[at(r)];
    for (const std::int32_t* i = cuts_.nodes.begin(r); i != cuts_.nodes.end(r); ++i) {
      const double payment = cuts_.t[at(r)] * u_[at(r)];
      rest[at(*i)] -= payment;
      if (c < 0)
        left_[at(*i)] -= payment;
      else
        theta_[static_cast<std::size_t>(std::lower_bound(nodes_.begin(c), nodes_.end(c), *i) - nodes_.items.data())] += payment;
    }
    if (c >= 0) continue;
    const double paid = u_[at(r)] * cuts_.right(r);
    fixed_ += Sum{paid, paid + u_[at(r)] * cuts_.t[at(r)] * static_cast<double>(cuts_.nodes.length(r))};
  }
  for (std::int64_t i = 0; i < graph_.n(); ++i)
    for (const std::int32_t* k = places_.begin(i); k != places_.end(i); ++k)
      theta_[at(*k)] += (rest[at(i)] - price_) / static_cast<double>(places_.length(i));
}

void Cells::move_price(double price) {
  for (std::int64_t i = 0; i < graph_.n(); ++i)
    for (const std::int32_t* k = places_.begin(i); k != places_.end(i); ++k)
      theta_[at(*k)] -= (price - price_) / static_cast<double>(places_.length(i));
  price_ = price;
}

Sum Cells::constant() const {
  std::vector<Sum> of_cell(at(size()));
  pool_.run(size(), [&](std::int64_t c, ThreadPool::Worker&) {
    Vector work;
    double terms = cells_[at(c)].weight();
    for (std::int64_t k = nodes_.start[at(c)]; k < nodes_.start[at(c) + 1]; ++k) terms += std::abs(theta_[at(k)]);
    of_cell[at(c)] = {cells_[at(c)].maximum(theta_.data() + nodes_.start[at(c)], work), terms};
  });
  Sum total = fixed_;
  for (const Sum& sum : of_cell) total += sum;
  // The shares of a node were made to add up to its value, up to rounding.
  for (std::int64_t i = 0; i < graph_.n(); ++i)
    if (places_.length(i) > 0) total += Sum{0, std::abs(graph_.value[at(i)]) + std::abs(price_)};
  return total;
}

Vector Cells::left() const {
  Vector left(left_);
  for (std::int64_t i = 0; i < graph_.n(); ++i)
    if (places_.length(i) > 0) left[at(i)] = price_;
  return left;
}

void Cells::maximisers(Vector& x) const {
  std::vector<std::uint8_t> z(theta_.size());
  pool_.run(size(), [&](std::int64_t c, ThreadPool::Worker&) {
    Vector work;
    cells_[at(c)].maximum(theta_.data() + nodes_.start[at(c)], work, z.data() + nodes_.start[at(c)]);
  });
  for (std::int64_t i = 0; i < graph_.n(); ++i) {
    if (places_.length(i) == 0) continue;
    double sum = 0;
    for (const std::int32_t* k = places_.begin(i); k != places_.end(i); ++k) sum += z[at(*k)];
    x[at(i)] = sum / static_cast<double>(places_.length(i));
  }
}

void Cells::find_price(std::int64_t budget, std::int64_t evaluations) {
  double span = 0;
  for (const double value : graph_.value) span += std::max(0.0, value - price_);
  span = 0.002 * span / static_cast<double>(std::max<std::int64_t>(1, graph_.n()));
  double low = -INFINITY;
  double high = INFINITY;
  Vector x(at(graph_.n()));
  for (std::int64_t k = 0; k < evaluations; ++k) {
    pool_.check();
    for (std::int64_t i = 0; i < graph_.n(); ++i) x[at(i)] = left_[at(i)] > price_;
    maximisers(x);
    const double kept = std::accumulate(x.begin(), x.end(), 0.0);
    (kept > static_cast<double>(budget) ? low : high) = price_;
    const bool bracketed = low > -INFINITY && high < INFINITY;
    move_price(bracketed ? 0.5 * (low + high) : high < INFINITY ? high - span : low + span);
    if (!bracketed) span *= 3;
  }
}

bool Cells::even_out(const std::function<bool()>& stop) {
  std::vector<Vector> difference(at(size()));
  std::vector<std::uint8_t> fresh(at(size()), 0);
  Vector work;
  const auto difference_at = [&](std::int32_t place) {
    const auto c = at(cell_of_place_[at(place)]);
    if (!fresh[c]) {
      difference[c].resize(at(nodes_.length(cell_of_place_[at(place)])));
      cells_[c].differences(theta_.data() + nodes_.start[c], work, difference[c].data());
      fresh[c] = 1;
    }
    return difference[c][at(place - nodes_.start[c])];
  };
  std::int64_t looked = 0;
  for (std::int64_t i = 0; i < graph_.n(); ++i) {
    if (places_.length(i) < 2) continue;
    if (looked++ % 64 == 0) {
      pool_.check();
      if (stop()) return false;
    }
    double mean = 0;
    for (const std::int32_t* k = places_.begin(i); k != places_.end(i); ++k)
      mean += difference_at(*k) / static_cast<double>(places_.length(i));
    for (const std::int32_t* k = places_.begin(i); k != places_.end(i); ++k) {
      const double change = mean - difference_at(*k);
      if (change == 0) continue;
      theta_[at(*k)] += change;
      fresh[at(cell_of_place_[at(*k)])] = 0;
    }
  }
  return true;
}

void Cells::add_losses(Vector& loss_in, Vector& loss_out) const {
  Vector difference(theta_.size());
  pool_.run(size(), [&](std::int64_t c, ThreadPool::Worker&) {
    Vector work;
    cells_[at(c)].differences(theta_.data() + nodes_.start[at(c)], work, difference.data() + nodes_.start[at(c)]);
  });
  for (std::size_t k = 0; k < difference.size(); ++k)
    (difference[k] < 0 ? loss_in : loss_out)[at(nodes_.items[k])] += std::abs(difference[k]);
}

}  // namespace coremax::solver
