// Natural logarithm of a positive finite double from additions, multiplications and one division: the same bits on every
// machine, which the library's log does not promise and reproducible draws need. Error below 2 units in the last place.
#pragma once

#include <cmath>

#include "core/host_device.h"

namespace coremax {

COREMAX_HD inline double portable_log(double x) {
  int exponent = 0;
  double mantissa = std::frexp(x, &exponent);  // in [1/2, 1)
  if (mantissa < 0.70710678118654752440) {
    mantissa *= 2;
    --exponent;
  }
  // log m = 2 atanh(s), s = (m - 1)/(m + 1), |s| <= 0.1716: the series' 12th term is below 2^-60 of the first.
  const double s = (mantissa - 1) / (mantissa + 1);
  const double s2 = s * s;
  constexpr double kInverseOdd[] = {1.0 / 23, 1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13,
                                    1.0 / 11, 1.0 / 9,  1.0 / 7,  1.0 / 5,  1.0 / 3};
  double series = 0;
  for (const double inverse : kInverseOdd) series = (series + inverse) * s2;
  constexpr double kLog2High = 0x1.62e42fefa3800p-1;  // log 2 with its low 11 bits zero, so exponent * high is exact
  constexpr double kLog2Low = 0x1.ef35793c76730p-45;
  return exponent * kLog2High + (2 * s + (2 * s * series + exponent * kLog2Low));
}

}  // namespace coremax
