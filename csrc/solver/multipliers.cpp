// From a gradient to a point of the relaxed feasible set, by the multipliers of its limits.
//
// Each multiplier is the root of a monotone function of one variable: Newton steps inside a bracket find it in a few passes.
// Where they do not (beside a multiplier of another scale the function is a staircase, of which each step is a rounding wide,
// and Newton creeps along the stairs), every other step bisects, so that the search ends at neighbouring doubles at the latest.
// Multipliers are written on the scale of g, because g_i - lambda keeps its precision where x + step g would have lost it.
// With groups, the multiplier of the total and those of the groups are found in turn: coordinate ascent on a smooth concave
// dual. It is ended after kRounds, so group counts may be a little off; rounding completes the subset in any case.
#include <algorithm>
#include <cmath>

#include "solver/responses.h"
#include "solver/stages.h"
#include "solver/sums.h"

namespace coremax::solver {
namespace {

constexpr int kRounds = 20;

// Responses: level(i, lambda) gives {x_i, slope}, range(i) the lambdas at which x_i is 1 and 0.
template <class Responses>
class Fit {
 public:
  Fit(const Problem& problem, const Responses& response, Multipliers& multipliers, ThreadPool& pool)
      : problem_(problem), response_(response), multipliers_(multipliers), pool_(pool) {
    if (has_groups(problem)) multipliers.group.resize(problem.limits.size(), 0.0);
  }

  Vector run() {
    Root root = fit_total();
    if (has_groups(problem_)) {
      const auto groups = members(problem_);
      for (int round = 0; round < kRounds && fit_groups(groups); ++round) root = fit_total();
    }
    Vector x(at(problem_.n()));
    parallel_for(pool_, problem_.n(),
                 [&](std::int64_t i) { x[at(i)] = root.between(at_total(i, root.low).sum, at_total(i, root.high).sum); });
    return x;
  }

 private:
  double of_group(std::int64_t i) const { return has_groups(problem_) ? multipliers_.group[group(problem_, i)] : 0.0; }
  Level at_total(std::int64_t i, double total) const { return response_.level(i, total * cost(problem_, i) + of_group(i)); }

  Root fit_total() {
    const auto level = [&](double total) {
      pool_.check();
      // What follows gives the same bits, but compilers make no vectors of it.
      if (is_plain(problem_))
        return ordered_sum(pool_, problem_.n(), [&, response = response_](std::int64_t i) { return response.level(i, total); });
      return ordered_sum(pool_, problem_.n(), [&](std::int64_t i) {
        const Level one = at_total(i, total);
        const double c = cost(problem_, i);
        return Level{c * one.sum, c * c * one.slope};
      });
    };
    const double target = has_costs(problem_) ? problem_.cost_limit : static_cast<double>(problem_.budget);
    double most = static_cast<double>(problem_.n());
    if (has_costs(problem_)) {
      if (level(0).sum <= target) {
        multipliers_.total = 0;
        return {0, 0, 1};
      }
      most = blocked_sum(pool_, problem_.n(), [&](std::int64_t i) { return problem_.costs[i]; });
    }
    const Range range = blocked_sum(pool_, problem_.n(), [&](std::int64_t i) {
      const Range one = response_.range(i);
      return Range{(one.low - of_group(i)) / cost(problem_, i), (one.high - of_group(i)) / cost(problem_, i)};
    });
    const Root root = find_root(level, range, most, target, multipliers_.total);
    multipliers_.total = root.nearest();
    return root;
  }

  // Whether a multiplier has moved.
  bool fit_groups(const std::vector<std::vector<std::int64_t>>& groups) {
    bool moved = false;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const auto& list = groups[g];
      const auto size = static_cast<std::int64_t>(list.size());
      const auto lambda = [&](std::int64_t i, double extra) { return multipliers_.total * cost(problem_, i) + extra; };
      const auto level = [&](double extra) {
        pool_.check();
        return blocked_sum(pool_, size,
                           [&](std::int64_t r) { return response_.level(list[at(r)], lambda(list[at(r)], extra)); });
      };
      const double free = level(0).sum;
      const auto low = static_cast<double>(problem_.limits[g].low);
      const auto high = static_cast<double>(std::min(problem_.limits[g].high, size));
      double next = 0;
      if (free < low * (1 - kSlack) || free > high * (1 + kSlack)) {
        const Range range = blocked_sum(pool_, size, [&](std::int64_t r) {
          const Range one = response_.range(list[at(r)]);
          const double shift = lambda(list[at(r)], 0);
          return Range{one.low - shift, one.high - shift};
        });
        const double target = free < low ? low : high;
        next = target == 0 ? range.high
               : target >= static_cast<double>(size)
                   ? range.low
                   : find_root(level, range, static_cast<double>(size), target, multipliers_.group[g]).nearest();
      }
      moved = moved || std::abs(next - multipliers_.group[g]) > 1e-9 * (std::abs(next) + std::abs(multipliers_.total));
      multipliers_.group[g] = next;
    }
    return moved;
  }

  const Problem& problem_;
  const Responses& response_;
  Multipliers& multipliers_;
  ThreadPool& pool_;
};

// A formula of responses.h for elements by number.
template <class Formula>
struct Response {
  const Vector& x;
  const Vector& g;
  Formula formula;
  Level level(std::int64_t i, double lambda) const { return formula.level(x[at(i)], g[at(i)], lambda); }
  Range range(std::int64_t i) const { return formula.range(x[at(i)], g[at(i)]); }
};

struct MetricProjection {
  const Vector& x;
  const Vector& g;
  const Vector& metric;
  Level level(std::int64_t i, double lambda) const {
    const double value = std::clamp(x[at(i)] + (g[at(i)] - lambda) / metric[at(i)], 0.0, 1.0);
    return {value, value > 0 && value < 1 ? 1 / metric[at(i)] : 0.0};
  }
  Range range(std::int64_t i) const { return {g[at(i)] - (1 - x[at(i)]) * metric[at(i)], g[at(i)] + x[at(i)] * metric[at(i)]}; }
};

}  // namespace

Vector project(const Problem& problem, const Vector& x, const Vector& g, double step, Multipliers& multipliers,
               ThreadPool& pool) {
  const Response<ProjectedStep> response{x, g, {step}};
  return Fit<Response<ProjectedStep>>(problem, response, multipliers, pool).run();
}

Vector project(const Problem& problem, const Vector& x, const Vector& g, const Vector& metric, Multipliers& multipliers,
               ThreadPool& pool) {
  const MetricProjection response{x, g, metric};
  return Fit<MetricProjection>(problem, response, multipliers, pool).run();
}

Vector fermi(const Problem& problem, const Vector& g, double temperature, Multipliers& multipliers, ThreadPool& pool) {
  const Response<FermiForm> response{g, g, FermiForm(temperature)};
  return Fit<Response<FermiForm>>(problem, response, multipliers, pool).run();
}

}  // namespace coremax::solver
