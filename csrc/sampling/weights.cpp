// The check of weights that every sampler shares, and their unit.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "core/errors.h"
#include "sampling/sampling.h"

namespace coremax::sampling {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

void refuse_weight(std::int64_t i, double value) {
  const std::string name = "weights[" + std::to_string(i) + "] is ";
  if (std::isfinite(value)) throw Error(ErrorKind::value, name + "negative (" + number_text(value) + ")");
  throw Error(ErrorKind::value, name + non_finite_name(value) + "; weights must be finite");
}

template <class T>
std::int64_t count_positive(const T* weights, std::int64_t begin, std::int64_t end, bool log_weights) {
  const T zero = static_cast<T>(log_weights ? -kInfinity : 0.0);
  std::int64_t n_positive = 0;
  std::int64_t n_good = 0;
  for (std::int64_t i = begin; i < end; ++i) {
    n_positive += weights[i] > zero;
    n_good += (weights[i] >= zero) & (weights[i] <= std::numeric_limits<T>::max());
  }
  if (n_good < end - begin)
    for (std::int64_t i = begin; i < end; ++i)
      if (!(weights[i] >= zero && weights[i] <= std::numeric_limits<T>::max()))
        refuse_weight(i, static_cast<double>(weights[i]));
  return n_positive;
}

template std::int64_t count_positive(const float*, std::int64_t, std::int64_t, bool);
template std::int64_t count_positive(const double*, std::int64_t, std::int64_t, bool);

UnitScale::UnitScale(double largest_weight) {
  const int exponent = -std::ilogb(largest_weight);
  first_ = std::ldexp(1.0, exponent / 2);
  second_ = std::ldexp(1.0, exponent - exponent / 2);
}

void require_draws(std::int64_t size, std::int64_t n_positive) {
  require(n_positive > 0, "weights has no positive element: nothing can be drawn");
  require(size <= n_positive, [&] {
    return "size is " + std::to_string(size) + ", but only " + std::to_string(n_positive) +
           " weights are positive: without replacement no more can be drawn";
  });
}

std::int64_t check_weights(const void* weights, DType dtype, std::int64_t n, bool log_weights, ThreadPool& pool) {
  require(n >= 1, "weights is empty");
  const std::int64_t n_blocks = (n + kReductionBlock - 1) / kReductionBlock;
  std::vector<std::int64_t> counts(static_cast<std::size_t>(n_blocks));
  with_float_pointer(weights, dtype, [&](const auto* w) {
    pool.run(
        n_blocks,
        [&](std::int64_t block, ThreadPool::Worker&) {
          const std::int64_t begin = block * kReductionBlock;
          counts[static_cast<std::size_t>(block)] = count_positive(w, begin, std::min(n, begin + kReductionBlock), log_weights);
        },
        kShareBlocksFrom);
  });
  const std::int64_t n_positive = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  require_draws(0, n_positive);
  return n_positive;
}

}  // namespace coremax::sampling
