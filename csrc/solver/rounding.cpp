// Pairwise ("pipage") rounding. Along x + t (e_i - e_j), f changes by t (g_i - g_j) + 2 alpha K_ij t^2, which is convex in t
// where K_ij >= 0: one of the two ends of the feasible interval is at least as good, and there i or j is integral. Every step
// settles one element, so n steps give a binary point with f no smaller. (With K_ij < 0 the better end is taken all the same,
// but it may lose.)
#include <algorithm>
#include <cmath>

#include "solver/stages.h"

namespace coremax::solver {
namespace {

constexpr double kIntegral = 1e-9;  // closer than this to 0 or 1 counts as there

class Rounding {
 public:
  Rounding(const Problem& problem, Vector x, Vector g) : problem_(problem), x_(std::move(x)), g_(std::move(g)) {}

  Subset run() {
    std::vector<std::int64_t> open;
    for (std::int64_t i = 0; i < problem_.n(); ++i) {
      snap(i);
      if (x_[at(i)] > 0 && x_[at(i)] < 1) open.push_back(i);
    }
    // Opposite ends of the order by gradient are paired: the pair with most to gain from a decision.
    std::sort(open.begin(), open.end(), [&](std::int64_t a, std::int64_t b) { return g_[at(a)] > g_[at(b)] || (g_[at(a)] == g_[at(b)] && a < b); });
    std::int64_t left = 0;
    std::int64_t right = static_cast<std::int64_t>(open.size()) - 1;
    while (left < right) {
      settle(open[at(left)], open[at(right)]);
      if (is_integral(open[at(left)])) ++left;
      if (is_integral(open[at(right)])) --right;
    }
    if (left == right) move(open[at(left)], std::round(x_[at(open[at(left)])]));
    repair();
    Subset subset(x_.size());
    for (std::size_t i = 0; i < x_.size(); ++i) subset[i] = x_[i] > 0.5;
    return subset;
  }

 private:
  bool is_integral(std::int64_t i) const { return x_[at(i)] == 0 || x_[at(i)] == 1; }
  void snap(std::int64_t i) {
    if (x_[at(i)] < kIntegral) x_[at(i)] = 0;
    if (x_[at(i)] > 1 - kIntegral) x_[at(i)] = 1;
  }

  // Sets x_i, keeping the gradient up to date.
  void move(std::int64_t i, double value) {
    const double change = value - x_[at(i)];
    x_[at(i)] = value;
    if (change == 0) return;
    for (std::int64_t e = problem_.k.indptr[i]; e < problem_.k.indptr[i + 1]; ++e)
      g_[at(problem_.k.indices[e])] -= 2 * problem_.alpha * static_cast<double>(problem_.k.values[e]) * change;
  }

  void settle(std::int64_t i, std::int64_t j) {
    const double up = std::min(1 - x_[at(i)], x_[at(j)]);
    const double down = std::min(x_[at(i)], 1 - x_[at(j)]);
    const double slope = g_[at(i)] - g_[at(j)];
    const double curve = 2 * problem_.alpha * entry(problem_.k, i, j);
    const double t = up * slope + curve * up * up >= -down * slope + curve * down * down ? up : -down;
    move(i, x_[at(i)] + t);
    move(j, x_[at(j)] - t);
    snap(i);
    snap(j);
  }

  // sum x = p held to rounding error only, so the count may be off by one: mend it where it costs least.
  void repair() {
    std::int64_t count = 0;
    for (const double value : x_) count += value > 0.5;
    for (; count != problem_.budget; count += count < problem_.budget ? 1 : -1) {
      const bool add = count < problem_.budget;
      std::int64_t best = -1;
      for (std::int64_t i = 0; i < problem_.n(); ++i) {
        if ((x_[at(i)] > 0.5) == add) continue;
        if (best < 0 || (add ? g_[at(i)] > g_[at(best)] : g_[at(i)] < g_[at(best)])) best = i;
      }
      move(best, add ? 1 : 0);
    }
  }

  const Problem& problem_;
  Vector x_;
  Vector g_;
};

}  // namespace

Subset round_pairwise(const Problem& problem, Vector x, const Vector& kx, ThreadPool& pool) {
  return Rounding(problem, std::move(x), gains(problem, kx, pool)).run();
}

}  // namespace coremax::solver
