// The times of an exponential race as whole numbers in their order, the same on the CPU and on devices. A private header of
// sampling/.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

#include "core/host_device.h"
#include "core/log.h"
#include "core/philox.h"

namespace coremax::sampling {

constexpr std::uint64_t kNever = UINT64_MAX;  // the code of an element that does not run, and of no limit

// waiting / weight: a double without a sign and with a wider exponent, 12 bits for it, biased by kBias, and the 52 bits of the
// significand.
struct QuotientTime {
  static constexpr bool kLogWeights = false;
  static constexpr int kBias = 64;  // quotients have exponents from -54 - 1023 to 5 + 1074
  static constexpr std::uint64_t kSignificand = (std::uint64_t{1} << 52) - 1;
  static constexpr std::uint64_t kOne = std::uint64_t{1023} << 52;

  COREMAX_HD static std::uint64_t code(double waiting, double weight) {
    if (!(weight > 0)) return kNever;
    int lift = 0;
    if (weight < std::numeric_limits<double>::min()) {
      weight *= 0x1p64;
      lift = 64;
    }
    const auto bits = std::bit_cast<std::uint64_t>(weight);
    const double significand = std::bit_cast<double>((bits & kSignificand) | kOne);
    const int exponent = static_cast<int>(bits >> 52) - 1023 - lift;
    return std::bit_cast<std::uint64_t>(waiting / significand) + (static_cast<std::uint64_t>(kBias - exponent) << 52);
  }
};

// log waiting - log weight, from minus the logarithm of the waiting time.
struct LogTime {
  static constexpr bool kLogWeights = true;
  static constexpr std::uint64_t kSign = std::uint64_t{1} << 63;

  COREMAX_HD static std::uint64_t code(double minus_log_waiting, double log_weight) {
    if (!(log_weight > -std::numeric_limits<double>::infinity())) return kNever;
    const auto bits = std::bit_cast<std::uint64_t>(-minus_log_waiting - log_weight + 0.0);
    return (bits & kSign) != 0 ? ~bits : bits | kSign;
  }
};

// The time of an element with these random bits.
template <class Time>
COREMAX_HD inline std::uint64_t race_time(std::uint64_t bits, double weight) {
  double waiting = -portable_log(open_unit(bits));
  if (Time::kLogWeights) waiting = -portable_log(waiting);
  return Time::code(waiting, weight);
}

}  // namespace coremax::sampling
