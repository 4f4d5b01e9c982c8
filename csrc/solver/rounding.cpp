// Pairwise ("pipage") rounding. Along x + t (e_i - e_j), f changes by t (g_i - g_j) + 2 alpha K_ij t^2, which is convex in t
// where K_ij >= 0: one of the two ends of the feasible interval is at least as good, and there i or j is integral. Every step
// settles one element, so n steps give a binary point with f no smaller. (With K_ij < 0 the better end is taken all the same,
// but it may lose.) With costs the directions are e_i / c_i - e_j / c_j, which keep the total cost; the last element is rounded
// down, which may lose.
#include <algorithm>
#include <cmath>

#include "solver/stages.h"
#include "solver/swaps.h"

namespace coremax::solver {
namespace {

class Rounding {
 public:
  Rounding(const Problem& problem, Vector x, Vector g) : problem_(problem), x_(std::move(x)), g_(std::move(g)) {}

  Subset run() {
    // Within the groups first: what is left over is one element a group, and any rounding of it keeps whole-numbered limits.
    std::vector<std::int64_t> open;
    for (const auto& group : members(problem_)) {
      std::vector<std::int64_t> fractional;
      for (const std::int64_t i : group) {
        snap(i);
        if (x_[at(i)] > 0 && x_[at(i)] < 1) fractional.push_back(i);
      }
      const std::int64_t left = settle(std::move(fractional));
      if (left >= 0) open.push_back(left);
    }
    const std::int64_t last = settle(std::move(open));
    if (last >= 0) move(last, has_costs(problem_) ? 0.0 : std::round(x_[at(last)]));
    Subset subset(x_.size());
    for (std::size_t i = 0; i < x_.size(); ++i) subset[i] = x_[i] > 0.5;
    return subset;
  }

 private:
  bool is_integral(std::int64_t i) const { return x_[at(i)] == 0 || x_[at(i)] == 1; }
  void snap(std::int64_t i) { x_[at(i)] = snapped(x_[at(i)]); }

  // Sets x_i, keeping the gradient up to date.
  void move(std::int64_t i, double value) {
    const double change = value - x_[at(i)];
    x_[at(i)] = value;
    if (change == 0) return;
    for (std::int64_t e = problem_.k.indptr[i]; e < problem_.k.indptr[i + 1]; ++e)
      g_[at(problem_.k.indices[e])] -= 2 * problem_.alpha * static_cast<double>(problem_.k.values[e]) * change;
  }

  // Pairs opposite ends of the order by gradient, the pair with most to gain from a decision, until at most one element is
  // fractional; returns it, or -1.
  std::int64_t settle(std::vector<std::int64_t> open) {
    const auto rank = [&](std::int64_t i) { return g_[at(i)] / cost(problem_, i); };
    std::sort(open.begin(), open.end(),
              [&](std::int64_t a, std::int64_t b) { return rank(a) > rank(b) || (rank(a) == rank(b) && a < b); });
    std::int64_t left = 0;
    std::int64_t right = static_cast<std::int64_t>(open.size()) - 1;
    while (left < right) {
      settle(open[at(left)], open[at(right)]);
      if (is_integral(open[at(left)])) ++left;
      if (is_integral(open[at(right)])) --right;
    }
    return left == right ? open[at(left)] : -1;
  }

  // Along e_i / c_i - e_j / c_j, which keeps the total.
  void settle(std::int64_t i, std::int64_t j) {
    const double c_i = cost(problem_, i);
    const double c_j = cost(problem_, j);
    const double up = std::min((1 - x_[at(i)]) * c_i, x_[at(j)] * c_j);
    const double down = std::min(x_[at(i)] * c_i, (1 - x_[at(j)]) * c_j);
    const double slope = g_[at(i)] / c_i - g_[at(j)] / c_j;
    const double curve = 2 * problem_.alpha * entry(problem_.k, i, j) / (c_i * c_j);
    const double t = better_end(up, down, slope, curve);
    move(i, x_[at(i)] + t / c_i);
    move(j, x_[at(j)] - t / c_j);
    snap(i);
    snap(j);
  }

  const Problem& problem_;
  Vector x_;
  Vector g_;
};

}  // namespace

Subset round_pairwise(const Problem& problem, Vector x, const Vector& kx, ThreadPool& pool) {
  Subset subset = Rounding(problem, std::move(x), gains(problem, kx, pool)).run();
  // sum x = p held to rounding error only, so the count may be off by one; with costs some budget may be left.
  complete(problem, subset, pool);
  return subset;
}

}  // namespace coremax::solver
