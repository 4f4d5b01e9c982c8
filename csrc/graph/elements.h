// What the graph's engines on the CPU and on a device share, so that both give the same bits: elements as numbers, the scaling
// of rows, the canonical step, and a score as a similarity.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "core/errors.h"
#include "core/host_device.h"
#include "core/views.h"
#include "graph/graph.h"

namespace coremax::graph {

constexpr std::int64_t kLanes = 16;  // the canonical order of summation is defined over 16 lanes

constexpr std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

struct Half {
  std::uint16_t bits;
};
struct BFloat16 {
  std::uint16_t bits;
};

COREMAX_HD inline float to_float(float value) { return value; }
COREMAX_HD inline float to_float(double value) { return static_cast<float>(value); }
COREMAX_HD inline float to_float(std::int8_t value) { return static_cast<float>(value); }
COREMAX_HD inline float to_float(BFloat16 value) { return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16); }
COREMAX_HD inline float to_float(Half value) {
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000) << 16;
  const std::uint32_t magnitude = value.bits & 0x7FFF;
  if (magnitude >= 0x7C00) return std::bit_cast<float>(sign | 0x7F800000 | ((magnitude & 0x3FF) << 13));  // inf, nan
  // Exponent and mantissa in a float's place are the value times 2^-112; subnormal halves come out right too.
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude << 13) * 0x1p112f) | sign);
}

COREMAX_HD inline double to_double(double value) { return value; }
template <class T>
COREMAX_HD double to_double(T value) {
  return to_float(value);
}

// Nearest, ties to even; of finite values.
COREMAX_HD inline std::uint16_t to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

// Calls f with a value of the type of x's elements.
template <class F>
void with_element_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::float32:
      return f(float{});
    case DType::float64:
      return f(double{});
    case DType::float16:
      return f(Half{});
    case DType::bfloat16:
      return f(BFloat16{});
    case DType::int8:
      return f(std::int8_t{});
    default:
      throw Error(ErrorKind::type, "x must be float32, float16, bfloat16, int8 or float64");
  }
}

// Below this, squares have lost digits to underflow; only float64 rows can be that small.
constexpr double kSmallestNorm = 0x1p-450;
// Above this a row is refused; only float64 rows can be that large.
constexpr double kLargestNorm = 0x1p200;
// A norm is the root of (sums[0] + sums[2]) + (sums[1] + sums[3]), sums[s] of the squares of columns congruent to s in column
// order.
constexpr int kNormSums = 4;

// A row is multiplied by narrow 2^exponent. The exponent is zero where the product of its parts stays within float32 by itself;
// else the power of two is applied apart and through float64, so that neither it nor a product leaves the range: the same bits
// wherever both can be had.
struct RowScale {
  float narrow;
  int exponent;
};

COREMAX_HD inline RowScale split_scale(double scale) {
  if (scale > 0x1p-60 && scale < 0x1p60) return {static_cast<float>(scale), 0};
  const int exponent = ::ilogb(scale);
  return {static_cast<float>(::ldexp(scale, -exponent)), exponent};
}

template <class T>
COREMAX_HD float scaled(T value, RowScale scale) {
  if (scale.exponent == 0) return to_float(value) * scale.narrow;
  return static_cast<float>(to_double(value) * ::ldexp(1.0, scale.exponent)) * scale.narrow;
}

// An entry of a unit vector as the whole number that LabelSums adds: sums of these are the same in any order.
COREMAX_HD inline std::int32_t whole_units(float entry) { return static_cast<std::int32_t>(entry * 0x1p30f); }

// The power of two that brings the largest norm to below 1, by which dot and euclidean multiply all rows.
COREMAX_HD inline double common_scale_of(double largest_norm) {
  if (!(largest_norm > 0)) return 1;
  int exponent = 0;
  ::frexp(largest_norm, &exponent);
  return ::ldexp(1.0, -exponent);
}

// What a lane of the canonical sum adds for a pair of elements.
template <bool kDistance>
COREMAX_HD float canonical_step(float x, float y, float lane) {
  return kDistance ? ::fmaf(x - y, x - y, lane) : ::fmaf(x, y, lane);
}

// The largest score of a metric: canonical scores are clipped to it, and to its negative.
COREMAX_HD inline float ceiling_of(Metric metric) { return metric == Metric::cosine ? 1.0f : std::bit_cast<float>(0x7F800000); }

COREMAX_HD inline float similarity_of(float score, Metric metric, double common_scale) {
  switch (metric) {
    case Metric::cosine:
      return score;
    case Metric::dot:
      return static_cast<float>(static_cast<double>(score) / (common_scale * common_scale));
    case Metric::euclidean:
      return static_cast<float>(1.0 / (1.0 + ::sqrt(-static_cast<double>(score)) / common_scale));
  }
  return score;
}

}  // namespace coremax::graph
