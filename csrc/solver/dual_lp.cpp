// The linear program of the dual bound,
//
//   maximise sum_i I_i x_i - sum_e w_e y_e    over 0 <= x <= 1, sum x = p, 0 <= y <= 1, and every cut r,
//
// by the primal-dual hybrid gradient method with diagonal steps, averages and adaptive restarts (PDLP: Applegate et al.,
// NeurIPS 2021). Elements below the price at the start have x = 0 here; dual.cpp puts them back in the bound.
#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "solver/dual_parts.h"

namespace coremax::solver {
namespace {

double mean_surplus(const ActiveGraph& graph, double price) {
  double sum = 0;
  for (const double value : graph.value) sum += std::max(0.0, value - price);
  return std::max(sum / static_cast<double>(std::max<std::int64_t>(1, graph.n())), 1e-12 * (1 + std::abs(price)));
}

}  // namespace

LinearProgram::LinearProgram(const ActiveGraph& graph, std::int64_t budget, double price, ThreadPool& pool)
    : graph_(graph), budget_(static_cast<double>(budget)), pool_(pool), scale_(mean_surplus(graph, price)), weight_(scale_) {
  const double share = std::min(1.0, budget_ / static_cast<double>(std::max<std::int64_t>(1, graph.n())));
  now_ = {Vector(at(graph.n()), share), Vector(at(graph.n_edges()), 0.0), {}, price};
  beyond_x_.resize(now_.x.size());
  beyond_y_.resize(now_.y.size());
}

void LinearProgram::set_cuts(const Cuts& cuts) {
  cuts_ = &cuts;
  cuts_of_node_ = transposed(cuts.nodes, graph_.n());
  cuts_of_edge_ = transposed(cuts.edges, graph_.n_edges());
  now_.u.resize(at(cuts.size()), 0.0);
  // Steps of one over the sums of absolute entries of column and row: the scaled operator then has a norm of at most 1
  // (Pock & Chambolle, ICCV 2011).
  step_x_.resize(now_.x.size());
  step_y_.resize(now_.y.size());
  step_u_.resize(now_.u.size());
  parallel_for(pool_, graph_.n(), [&](std::int64_t i) {
    double sum = 1;  // of the budget
    for (const std::int32_t* r = cuts_of_node_.begin(i); r != cuts_of_node_.end(i); ++r) sum += cuts.t[at(*r)];
    step_x_[at(i)] = 1 / sum;
  });
  parallel_for(pool_, graph_.n_edges(),
               [&](std::int64_t e) { step_y_[at(e)] = 1 / std::max(1.0, static_cast<double>(cuts_of_edge_.length(e))); });
  parallel_for(pool_, cuts.size(), [&](std::int64_t r) {
    step_u_[at(r)] = 1 / static_cast<double>(cuts.t[at(r)] * cuts.nodes.length(r) + cuts.edges.length(r));
  });
  step_price_ = 1 / static_cast<double>(std::max<std::int64_t>(1, graph_.n()));
  reset_average();
}

void LinearProgram::sweep() {
  const Cuts& cuts = *cuts_;
  Vector& multipliers = now_.u;
  Vector s(graph_.value);  // what is left of each value
  Vector room(graph_.weight);
  for (std::int64_t r = 0; r < cuts.size(); ++r) {
    for (const std::int32_t* i = cuts.nodes.begin(r); i != cuts.nodes.end(r); ++i)
      s[at(*i)] -= cuts.t[at(r)] * multipliers[at(r)];
    for (const std::int32_t* e = cuts.edges.begin(r); e != cuts.edges.end(r); ++e) room[at(*e)] -= multipliers[at(r)];
  }
  std::vector<double> level;
  for (std::int64_t r = 0; r < cuts.size(); ++r) {
    const double t = cuts.t[at(r)];
    level.clear();
    for (const std::int32_t* i = cuts.nodes.begin(r); i != cuts.nodes.end(r); ++i)
      level.push_back(s[at(*i)] - now_.price + t * multipliers[at(r)]);
    double most = INFINITY;
    for (const std::int32_t* e = cuts.edges.begin(r); e != cuts.edges.end(r); ++e)
      most = std::min(most, room[at(*e)] + multipliers[at(r)]);
    // The bound falls in u while more than (t + 1) / 2 elements are above t u, and is flat while exactly that many are.
    const auto enough = static_cast<std::size_t>(cuts.t[at(r)] + 1) / 2;
    std::nth_element(level.begin(), level.begin() + static_cast<std::ptrdiff_t>(enough), level.end(), std::greater<>());
    double low = level[enough] / t;
    double high = low;
    if (cuts.t[at(r)] % 2 == 1)
      high = *std::min_element(level.begin(), level.begin() + static_cast<std::ptrdiff_t>(enough)) / t;
    const double u = std::max(0.0, std::min(most, std::clamp(multipliers[at(r)], low, high)));
    const double change = u - multipliers[at(r)];
    if (change == 0) continue;
    multipliers[at(r)] = u;
    for (const std::int32_t* i = cuts.nodes.begin(r); i != cuts.nodes.end(r); ++i) s[at(*i)] -= t * change;
    for (const std::int32_t* e = cuts.edges.begin(r); e != cuts.edges.end(r); ++e) room[at(*e)] -= change;
  }
}

void LinearProgram::step() {
  const Cuts& cuts = *cuts_;
  const double primal = 1 / weight_;
  double* const u = now_.u.data();
  // The rows see each variable as far past its new value as that is past the old one.
  const auto move = [primal](double& variable, double& beyond, double step, double slope) {
    const double next = std::clamp(variable + primal * step * slope, 0.0, 1.0);
    beyond = 2 * next - variable;
    variable = next;
  };
  parallel_for(pool_, graph_.n(), [&](std::int64_t i) {
    double slope = graph_.value[at(i)] - now_.price;
    for (const std::int32_t* r = cuts_of_node_.begin(i); r != cuts_of_node_.end(i); ++r) slope -= cuts.t[at(*r)] * u[*r];
    move(now_.x[at(i)], beyond_x_[at(i)], step_x_[at(i)], slope);
  });
  parallel_for(pool_, graph_.n_edges(), [&](std::int64_t e) {
    double slope = -graph_.weight[at(e)];
    for (const std::int32_t* r = cuts_of_edge_.begin(e); r != cuts_of_edge_.end(e); ++r) slope += u[*r];
    move(now_.y[at(e)], beyond_y_[at(e)], step_y_[at(e)], slope);
  });
  parallel_for(pool_, cuts.size(), [&](std::int64_t r) {
    double m = 0;
    for (const std::int32_t* i = cuts.nodes.begin(r); i != cuts.nodes.end(r); ++i) m += beyond_x_[at(*i)];
    double pairs = 0;
    for (const std::int32_t* e = cuts.edges.begin(r); e != cuts.edges.end(r); ++e) pairs += beyond_y_[at(*e)];
    u[r] = std::max(0.0, u[r] + weight_ * step_u_[at(r)] * (cuts.t[at(r)] * m - pairs - cuts.right(r)));
  });
  const double kept = blocked_sum(pool_, graph_.n(), [&](std::int64_t i) { return beyond_x_[at(i)]; });
  now_.price += weight_ * step_price_ * (kept - budget_);
}

void LinearProgram::reset_average() {
  sum_ = {Vector(now_.x.size(), 0.0), Vector(now_.y.size(), 0.0), Vector(now_.u.size(), 0.0), 0};
  n_summed_ = 0;
  started_ = now_;
}

void LinearProgram::add_to_average() {
  const auto add = [&](Vector& sum, const Vector& term) {
    parallel_for(pool_, static_cast<std::int64_t>(sum.size()), [&](std::int64_t i) { sum[at(i)] += term[at(i)]; });
  };
  add(sum_.x, now_.x);
  add(sum_.y, now_.y);
  add(sum_.u, now_.u);
  sum_.price += now_.price;
  ++n_summed_;
}

LinearProgram::Point LinearProgram::average() const {
  const double share = 1 / static_cast<double>(n_summed_);
  Point mean = sum_;
  for (Vector* vector : {&mean.x, &mean.y, &mean.u})
    parallel_for(pool_, static_cast<std::int64_t>(vector->size()), [&](std::int64_t i) { (*vector)[at(i)] *= share; });
  mean.price *= share;
  return mean;
}

// The error is the duality gap plus what the violated rows would cost at the scale of a surplus.
LinearProgram::Quality LinearProgram::quality(const Point& point) const {
  const Cuts& cuts = *cuts_;
  struct Terms {
    double primal = 0, dual = 0, violation = 0, kept = 0;
    Terms& operator+=(const Terms& other) {
      primal += other.primal, dual += other.dual, violation += other.violation, kept += other.kept;
      return *this;
    }
  };
  Terms total = blocked_sum(pool_, graph_.n(), [&](std::int64_t i) {
    double s = graph_.value[at(i)] - point.price;
    for (const std::int32_t* r = cuts_of_node_.begin(i); r != cuts_of_node_.end(i); ++r) s -= cuts.t[at(*r)] * point.u[at(*r)];
    return Terms{graph_.value[at(i)] * point.x[at(i)], std::max(0.0, s), 0, point.x[at(i)]};
  });
  total += blocked_sum(pool_, graph_.n_edges(), [&](std::int64_t e) {
    double s = -graph_.weight[at(e)];
    for (const std::int32_t* r = cuts_of_edge_.begin(e); r != cuts_of_edge_.end(e); ++r) s += point.u[at(*r)];
    return Terms{-graph_.weight[at(e)] * point.y[at(e)], std::max(0.0, s), 0, 0};
  });
  total += blocked_sum(pool_, cuts.size(), [&](std::int64_t r) {
    double left = -cuts.right(r);
    for (const std::int32_t* i = cuts.nodes.begin(r); i != cuts.nodes.end(r); ++i) left += cuts.t[at(r)] * point.x[at(*i)];
    for (const std::int32_t* e = cuts.edges.begin(r); e != cuts.edges.end(r); ++e) left -= point.y[at(*e)];
    return Terms{0, point.u[at(r)] * cuts.right(r), std::max(0.0, left), 0};
  });
  const double dual = total.dual + point.price * budget_;
  // Elements too many or too few are taken off or added at the price.
  const double missed = total.kept - budget_;
  return {std::abs(dual - total.primal + point.price * missed) + scale_ * (total.violation + std::abs(missed)), dual};
}

void LinearProgram::restart(Point point) {
  const auto distance = [&](const Vector& a, const Vector& b) {
    const auto square = [&](std::int64_t i) { return (a[at(i)] - b[at(i)]) * (a[at(i)] - b[at(i)]); };
    return std::sqrt(blocked_sum(pool_, static_cast<std::int64_t>(a.size()), square));
  };
  const double primal = distance(point.x, started_.x);
  const double dual = distance(point.u, started_.u);
  // Steps that suit how far either side had to go, half of the way on the scale of logarithms.
  if (primal > 1e-9 && dual > 1e-9 * scale_)
    weight_ = std::clamp(std::sqrt(weight_ * dual / primal), 1e-2 * scale_, 1e2 * scale_);
  now_ = std::move(point);
  reset_average();
}

LinearProgram::Outcome LinearProgram::run(std::int64_t max_iterations, double tolerance, const StopTest& stop) {
  constexpr std::int64_t kBetweenChecks = 40;
  double at_restart = quality(now_).error;
  double last = at_restart;
  std::int64_t since_restart = 0;
  Outcome outcome{0, at_restart};
  for (bool done = max_iterations <= 0; !done;) {
    pool_.check();
    step();
    add_to_average();
    ++outcome.iterations;
    ++since_restart;
    if (outcome.iterations % kBetweenChecks != 0 && outcome.iterations != max_iterations) continue;
    Point mean = average();
    const Quality of_mean = quality(mean);
    const Quality of_now = quality(now_);
    const bool take_mean = of_mean.error < of_now.error;
    const Quality& better = take_mean ? of_mean : of_now;
    done = better.error <= tolerance || outcome.iterations >= max_iterations || stop(better.dual);
    // When to restart, as in PDLP: after sufficient decay, after some decay that has stopped, or after long.
    const bool ripe = better.error <= 0.2 * at_restart || (better.error <= 0.8 * at_restart && better.error > last) ||
                      static_cast<double>(since_restart) >= 0.36 * static_cast<double>(outcome.iterations);
    last = better.error;
    outcome.error = better.error;
    if (!done && !ripe) continue;
    restart(take_mean ? std::move(mean) : Point(now_));
    at_restart = last;
    since_restart = 0;
  }
  return outcome;
}

}  // namespace coremax::solver
