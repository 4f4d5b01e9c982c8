// The formulas of the relaxed methods, element by element, for the CPU and for a device: how x_i answers to a multiplier, and
// the search for the multiplier at which the answers add up to the budget. See multipliers.cpp.
#pragma once

#include <algorithm>
#include <cmath>

#include "core/exp.h"
#include "core/host_device.h"

namespace coremax::solver {

constexpr double kDamping = 0.5;
constexpr double kKeptOnRestart = 0.9;

// The largest of non-negative terms, as a "sum".
struct Max {
  double value = 0;
  COREMAX_HD Max& operator+=(const Max& other) {
    value = other.value > value ? other.value : value;
    return *this;
  }
};

struct Level {
  double sum = 0;
  double slope = 0;  // by how much the sum falls as lambda rises
  COREMAX_HD Level& operator+=(const Level& other) {
    sum += other.sum;
    slope += other.slope;
    return *this;
  }
};

// lambda at or below which a response is 1, at or above which it is 0
struct Range {
  double low = INFINITY;
  double high = -INFINITY;
  COREMAX_HD Range& operator+=(const Range& other) {
    low = other.low < low ? other.low : low;
    high = other.high > high ? other.high : high;
    return *this;
  }
};

COREMAX_HD inline double gain(double importance, double alpha, double kx) { return importance - 2 * alpha * kx; }
COREMAX_HD inline double value_term(double x, double importance, double alpha, double kx) {
  return x * (importance - alpha * kx);
}

// The mean-field annealing moves halfway.
COREMAX_HD inline double damped(double x, double response) { return (1 - kDamping) * x + kDamping * response; }
// Where a stage of the continuation begins.
COREMAX_HD inline double restarted(double x, double mean) { return kKeptOnRestart * x + (1 - kKeptOnRestart) * mean; }

// clip(x + step (g - lambda), 0, 1)
struct ProjectedStep {
  double step;
  COREMAX_HD Level level(double x, double g, double lambda) const {
    const double value = std::clamp(x + step * (g - lambda), 0.0, 1.0);
    return {value, value > 0 && value < 1 ? step : 0.0};
  }
  COREMAX_HD Range range(double x, double g) const { return {g - (1 - x) / step, g + x / step}; }
};

// 1 / (1 + exp((lambda - g) / temperature)), whatever x is.
struct FermiForm {
  FermiForm() = default;
  COREMAX_HD explicit FermiForm(double t) : temperature(t), coldness(1 / t < kColdest ? 1 / t : kColdest) {}
  COREMAX_HD Level level(double /*x*/, double g, double lambda) const {
    const double value = 1 / (1 + portable_exp((lambda - g) * coldness));
    return {value, value * (1 - value) * coldness};
  }
  // Beyond these the response is 1 and 0 to the last bit.
  COREMAX_HD Range range(double /*x*/, double g) const { return {g - 40 * temperature, g + 750 * temperature}; }

  static constexpr double kColdest = 1e308;  // finite, so that an element at the multiplier is halfway at any temperature
  double temperature = 1;
  double coldness = 1;
};

// Where a falling sum meets its target: at low, at high, or, where these are neighbouring doubles, between the two.
struct Root {
  double low = 0;
  double high = 0;
  double share = 1;  // of low
  COREMAX_HD double nearest() const { return share >= 0.5 ? low : high; }
  COREMAX_HD double between(double at_low, double at_high) const { return share * at_low + (1 - share) * at_high; }
};

constexpr double kSlack = 1e-12;  // relative error of a sum that counts as met
constexpr int kNewtonSteps = 24;  // before bisections come between: three times what it takes where Newton's method works

// Newton steps inside a bracket, see multipliers.cpp. level(lambda): sum and slope of all responses; most: the sum at lambda =
// -infinity; guess: where to begin, if finite.
#if defined(__CUDACC__)
#pragma nv_exec_check_disable
#endif
template <class Levels>
COREMAX_HD Root find_root(const Levels& level, Range range, double most, double target, double guess) {
  double low = range.low;
  double high = range.high;
  double sum_low = most;
  double sum_high = 0;
  // The ends have been rounded: where the whole range is but a few roundings wide, move them out until they hold.
  const double size = std::max(std::abs(low), std::abs(high));
  if (high - low < 1e-10 * size) {
    for (double margin = 0x1p-52 * size; (sum_low = level(low).sum) < target; margin *= 2) low -= margin;
    for (double margin = 0x1p-52 * size; (sum_high = level(high).sum) > target; margin *= 2) high += margin;
  }
  double lambda = std::isfinite(guess) ? guess : low + (high - low) * (1 - target / most);
  for (int step = 0; sum_low - target > kSlack * target && target - sum_high > kSlack * target; ++step) {
    const bool creeps = step >= kNewtonSteps && step % 2 == 0;
    if (creeps || !(lambda > low && lambda < high)) lambda = low + (high - low) / 2;
    if (!(lambda > low && lambda < high)) break;  // neighbouring doubles: no lambda lies between
    const Level here = level(lambda);
    if (here.sum >= target) {
      low = lambda;
      sum_low = here.sum;
    } else {
      high = lambda;
      sum_high = here.sum;
    }
    lambda = here.slope > 0 ? lambda + (here.sum - target) / here.slope : low;  // Newton; where it is flat, bisect
  }
  const double share = sum_low - target <= kSlack * target    ? 1.0
                       : target - sum_high <= kSlack * target ? 0.0
                                                              : (target - sum_high) / (sum_low - sum_high);
  return {low, high, share};
}

}  // namespace coremax::solver
