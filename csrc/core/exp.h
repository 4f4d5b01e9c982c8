// e^x from additions, multiplications and exact powers of two: the same bits on every machine, host or device, which the library's exp does
// not promise. Error below 2 units in the last place; overflows to infinity, goes down to 0 through the subnormals.
#pragma once

#include <bit>
#include <cstdint>

#include "core/host_device.h"

namespace coremax {

COREMAX_HD inline double portable_exp(double x) {
  constexpr double kMost = 710;    // already infinite
  constexpr double kLeast = -746;  // already 0
  constexpr double kInverseLog2 = 0x1.71547652b82fep+0;
  constexpr double kLog2High = 0x1.62e42fefa3800p-1;  // log 2 with its low 11 bits zero, so exponent * high is exact
  constexpr double kLog2Low = 0x1.ef35793c76730p-45;
  constexpr double kShift = 0x1.8p52;  // adding it rounds to a whole number, which is then in the low bits
  x = x > kMost ? kMost : x < kLeast ? kLeast : x;
  const double shifted = x * kInverseLog2 + kShift;
  const auto exponent = static_cast<std::int32_t>(static_cast<std::uint32_t>(std::bit_cast<std::uint64_t>(shifted)));
  const double whole = shifted - kShift;
  const double r = (x - whole * kLog2High) - whole * kLog2Low;  // |r| <= 0.3466: the 14th term of the series is below 2^-57
  constexpr double kInverseFactorial[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
                                          1.0 / 720,        1.0 / 120,       1.0 / 24,       1.0 / 6,       1.0 / 2};
  double series = 0;
  for (const double inverse : kInverseFactorial) series = (series + inverse) * r;
  series = series * r + r;  // e^r - 1
  // 2^exponent in two factors, neither of which leaves the normal numbers.
  const std::int32_t half = exponent / 2;
  const auto power = [](std::int32_t e) { return std::bit_cast<double>(static_cast<std::uint64_t>(e + 1023) << 52); };
  return (1 + series) * power(half) * power(exponent - half);
}

}  // namespace coremax
