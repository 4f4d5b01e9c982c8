// e^x from additions, multiplications and exact powers of two: the same bits on every machine, host or device, which the
// library's exp does not promise. Error below 1.1 units in the last place; overflows to infinity, goes down to 0 through the
// subnormals, NaN stays NaN. There is no branch, no table and no conversion in it, so compilers make vectors of it, and its
// sums are short chains.
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
  const double exponent = (x * kInverseLog2 + kShift) - kShift;
  const double r = (x - exponent * kLog2High) - exponent * kLog2Low;  // |r| <= 0.3466
  // (e^r - 1 - r) / r^2 through the ten Chebyshev points of |r| <= 0.34662, at most 2^-56 off where e^r - 1 is put together.
  const double r2 = r * r;
  const double r4 = r2 * r2;
  const double low = (0x1.0000000000001p-1 + r * 0x1.5555555555556p-3) + r2 * (0x1.5555555553d61p-5 + r * 0x1.11111111109b3p-7);
  const double middle =
      (0x1.6c16c1788c7f3p-10 + r * 0x1.a01a01a7c4839p-13) + r2 * (0x1.a019b90aa5587p-16 + r * 0x1.71de0dacd6939p-19);
  const double high = 0x1.28918860dd4aap-22 + r * 0x1.af38ad617009fp-26;
  const double less_one = r + r2 * (low + (r4 * middle + r4 * r4 * high));
  // 2^exponent in two factors, neither of which leaves the normal numbers.
  const double half = exponent * 0.5 + kShift;
  const double rest = (exponent - (half - kShift)) + kShift;
  const auto power = [](double shifted) { return std::bit_cast<double>((std::bit_cast<std::uint64_t>(shifted) + 1023) << 52); };
  return (1 + less_one) * power(half) * power(rest);
}

}  // namespace coremax
