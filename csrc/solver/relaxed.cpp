// Methods that move a relaxed point.
//
//  pgd           projected gradient ascent, x+ = Proj(x + g / L) with g = I - 2 alpha K x and L = 2 alpha ||K||_2. f need not
//  be
//                concave, yet no iteration can decrease it: it gains at least (1 / step - L / 2) |x+ - x|^2.
//  continuation  pgd with alpha raised to its value in four stages, each from 0.9 x + 0.1 p / n of the one before.
//  annealed      mean-field annealing: x moves halfway to the Fermi form of its gradient, whose temperature falls
//                geometrically from the scale of g to 0.5 % of it.
//  softmax       the Fermi form at one temperature: the softmax of the paper at the scale sum x = p.
#include <algorithm>
#include <cmath>

#include "core/power.h"
#include "solver/stages.h"
#include "solver/sums.h"

namespace coremax::solver {
namespace {

constexpr std::int64_t kIterations = 300;
constexpr std::int64_t kSoftmaxIterations = 20;
constexpr double kSoftmaxTemperature = 0.05;  // of the spread of the first gradient
constexpr double kCold = 0.005;

double largest_change(const Vector& a, const Vector& b, ThreadPool& pool) {
  return ordered_sum(pool, static_cast<std::int64_t>(a.size()),
                     [&](std::int64_t i) { return Max{std::abs(a[at(i)] - b[at(i)])}; })
      .value;
}

// Where the relaxed methods start: the caller's point brought into the set, or the same share of every element.
Vector start(const Problem& problem, const Run& run) {
  Multipliers multipliers;
  const auto n = at(problem.n());
  if (run.options.x0 != nullptr)
    return project(problem, Vector(run.options.x0, run.options.x0 + n), Vector(n, 0.0), 1.0, multipliers, run.pool);
  if (is_plain(problem)) return Vector(n, static_cast<double>(problem.budget) / static_cast<double>(problem.n()));
  return project(problem, Vector(n, 0.5), Vector(n, 0.0), 1.0, multipliers, run.pool);
}

// The spread of the gradient over the elements.
double spread(const Vector& g, ThreadPool& pool) {
  const auto n = static_cast<std::int64_t>(g.size());
  const double mean = ordered_sum(pool, n, [&](std::int64_t i) { return g[at(i)]; }) / static_cast<double>(n);
  return std::sqrt(ordered_sum(pool, n, [&](std::int64_t i) { return (g[at(i)] - mean) * (g[at(i)] - mean); }) /
                   static_cast<double>(n));
}

class Relaxed {
 public:
  Relaxed(const Problem& problem, Method method, Run& run) : problem_(problem), method_(method), run_(run) {
    set_x(start(problem, run));
  }

  Ascent take() { return std::move(ascent_); }

  // Iterations x+ = next(x, g, t) until the point rests, the iterations are used up or the call is stopped.
  template <class Next>
  void iterate(const Problem& problem, std::int64_t iterations, const Next& next) {
    ascent_.status = Status::max_iterations;
    for (std::int64_t t = 0; t < iterations; ++t) {
      run_.pool.check();
      Vector x = next(ascent_.x, gains(problem, ascent_.kx, run_.pool), t);
      const double change = largest_change(x, ascent_.x, run_.pool);
      set_x(std::move(x));
      if (run_.report(method_, ++ascent_.iterations, total_, ascent_.history.back())) return;
      if (change <= run_.options.tolerance) {
        ascent_.status = Status::converged;
        return;
      }
    }
  }

  void set_total(std::int64_t total) { total_ = total; }

  void projected_gradient(const Problem& problem, double step, std::int64_t iterations) {
    Multipliers multipliers;
    iterate(problem, iterations, [&](const Vector& x, const Vector& g, std::int64_t) {
      return project(problem, x, g, step, multipliers, run_.pool);
    });
  }

  void continuation(double step, std::int64_t iterations) {
    if (iterations == 0) return;
    for (const double share : kContinuationShares) {
      Problem part = problem_;
      part.alpha *= share;
      if (share > 0.1) {
        Multipliers multipliers;
        const double mean = ordered_sum(run_.pool, problem_.n(), [&](std::int64_t i) { return ascent_.x[at(i)]; }) /
                            static_cast<double>(problem_.n());
        for (double& value : ascent_.x) value = restarted(value, mean);
        set_x(is_plain(problem_) ? ascent_.x
                                 : project(problem_, ascent_.x, Vector(ascent_.x.size(), 0.0), 1.0, multipliers, run_.pool));
      }
      projected_gradient(part, step / share, iterations);
      if (run_.expired()) return;
    }
  }

  void fermi_iterations(Cooling cooling, std::int64_t iterations) {
    Multipliers multipliers;
    iterate(problem_, iterations, [&](const Vector& x, const Vector& g, std::int64_t t) {
      Vector next = fermi(problem_, g, cooling.at(t), multipliers, run_.pool);
      parallel_for(run_.pool, problem_.n(), [&](std::int64_t i) { next[at(i)] = damped(x[at(i)], next[at(i)]); });
      return next;
    });
  }

  double spread_of_gradient() const { return spread(gains(problem_, ascent_.kx, run_.pool), run_.pool); }

 private:
  void set_x(Vector x) {
    ascent_.x = std::move(x);
    ascent_.kx = multiply(problem_.k, ascent_.x, run_.pool);
    ascent_.history.push_back(relaxed_objective(problem_, ascent_.x, ascent_.kx, run_.pool));
  }

  const Problem& problem_;
  const Method method_;
  Run& run_;
  std::int64_t total_ = 1;  // iterations at most, for the progress
  Ascent ascent_;
};

}  // namespace

std::int64_t iterations_of(Method method, const Options& options) {
  return options.max_iterations >= 0 ? options.max_iterations : method == Method::softmax ? kSoftmaxIterations : kIterations;
}

// The norm is reached from inside, so it may be a little small; ascent holds for any step below 2 / L.
double gradient_step(double alpha, const Spectrum& ends) { return 1 / (2 * alpha * norm(ends)); }

double Cooling::at(std::int64_t t) const { return hot * portable_power(factor, static_cast<double>(t)); }

Cooling cooling_of(Method method, double spread, const Options& options) {
  const std::int64_t iterations = iterations_of(method, options);
  const double hot = std::max(spread, std::numeric_limits<double>::min());
  if (method == Method::softmax) return {options.temperature > 0 ? options.temperature : kSoftmaxTemperature * hot, 1.0};
  return {hot, iterations > 1 ? portable_power(kCold, 1.0 / static_cast<double>(iterations - 1)) : 1.0};
}

Ascent ascend(const Problem& problem, Method method, const Spectrum& ends, Run& run) {
  Relaxed relaxed(problem, method, run);
  const std::int64_t iterations = iterations_of(method, run.options);
  relaxed.set_total(method == Method::continuation ? 4 * iterations : iterations);
  if (method == Method::pgd)
    relaxed.projected_gradient(problem, gradient_step(problem.alpha, ends), iterations);
  else if (method == Method::continuation)
    relaxed.continuation(gradient_step(problem.alpha, ends), iterations);
  else
    relaxed.fermi_iterations(cooling_of(method, relaxed.spread_of_gradient(), run.options), iterations);
  return relaxed.take();
}

}  // namespace coremax::solver
