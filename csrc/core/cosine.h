// cos(2 pi turns) for turns in [0, 1] from additions and multiplications: the same bits on every machine, host or device. Error
// below 1e-15.
#pragma once

#include "core/host_device.h"

namespace coremax {

COREMAX_HD inline double portable_cosine_of_turns(double turns) {
  // To the eighth nearest to zero, exactly: cos is even, turns by half change its sign, by a quarter its kind.
  double t = turns > 0.5 ? 1 - turns : turns;
  const bool negative = t > 0.25;
  if (negative) t = 0.5 - t;
  const bool as_sine = t > 0.125;
  if (as_sine) t = 0.25 - t;
  const double angle = 0x1.921fb54442d18p+2 * t;
  const double square = angle * angle;
  // The series of 1 - cos and of 1 - sin / angle: at pi / 4 their next terms are below 2^-56.
  constexpr double kCosine[] = {1.0 / 20922789888000, -1.0 / 87178291200, 1.0 / 479001600, -1.0 / 3628800,
                                1.0 / 40320,          -1.0 / 720,         1.0 / 24,        -1.0 / 2};
  constexpr double kSine[] = {-1.0 / 1307674368000, 1.0 / 6227020800, -1.0 / 39916800, 1.0 / 362880,
                              -1.0 / 5040,          1.0 / 120,        -1.0 / 6};
  double series = 0;
  if (as_sine) {
    for (const double term : kSine) series = (series + term) * square;
    series = angle + angle * series;
  } else {
    for (const double term : kCosine) series = (series + term) * square;
    series = 1 + series;
  }
  return negative ? -series : series;
}

}  // namespace coremax
