// The formulas of SIM that the engines on the CPU and on a device share, so that both give the same bits.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/host_device.h"
#include "core/log.h"

namespace coremax::scores {

// A cosine of float32 rows of length one is off by some roundings: nearer than these two directions can not be told apart.
COREMAX_HD inline double distance_of(float cosine) {
  const double distance = 1 - static_cast<double>(cosine);
  return distance < 8 * 0x1p-24 ? 0 : distance;
}

// From the cosines with the centre of the own class and with the nearest other.
COREMAX_HD inline double separability_of(float own, float other, double epsilon, bool take_log) {
  const double ratio = distance_of(other) / (distance_of(own) + epsilon);
  return take_log ? portable_log(std::max(ratio, epsilon)) : ratio;
}

// Where a percentile of n values is: at a rank, or a share of the way from there to the next.
struct Percentile {
  std::int64_t rank;
  double share;

  static Percentile of(double percent, std::int64_t n) {
    const double place = percent / 100 * static_cast<double>(n - 1);
    const std::int64_t rank = std::clamp(static_cast<std::int64_t>(std::floor(place)), std::int64_t{0}, n - 1);
    return {rank, rank + 1 == n ? 0 : place - static_cast<double>(rank)};
  }
  // From the values of the rank and of the next, which is not looked at where there is none.
  COREMAX_HD double value(double lower, double upper) const { return share == 0 ? lower : lower + share * (upper - lower); }
};

// The scale between two percentiles.
struct RobustScale {
  double bottom;
  double top;
  double slack;

  COREMAX_HD static RobustScale between(double bottom, double top, double tolerance) {
    return {bottom, top, tolerance * std::max(std::abs(bottom), std::abs(top))};
  }
  COREMAX_HD double operator()(double value) const {
    if (!(top - bottom > slack)) return value < bottom - slack ? 0 : value > top + slack ? 1 : 0.5;
    return std::clamp((value - bottom) / (top - bottom), 0.0, 1.0);
  }
};

}  // namespace coremax::scores
