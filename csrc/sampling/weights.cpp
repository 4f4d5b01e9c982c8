// The check of weights that every sampler shares, and their unit.
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "core/errors.h"
#include "sampling/sampling.h"

namespace coremax::sampling {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Independent running values of a block: one after the other, comparisons would wait for each other.
constexpr std::int64_t kLanes = 16;

[[noreturn]] void refuse(std::int64_t i, double value) {
  const std::string name = "weights[" + std::to_string(i) + "] is ";
  if (std::isfinite(value)) throw Error(ErrorKind::value, name + "negative (" + number_text(value) + ")");
  throw Error(ErrorKind::value, name + non_finite_name(value) + "; weights must be finite");
}

// What is found in weights [begin, end); whether all are allowed.
template <class T>
bool survey_block(const T* weights, std::int64_t n, T zero, WeightRange& range) {
  using Count = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;  // of the weights' width: they share vectors
  constexpr T kMax = std::numeric_limits<T>::max();
  std::array<T, kLanes> largest;
  largest.fill(zero);
  std::array<Count, kLanes> n_positive{};
  std::array<Count, kLanes> n_good{};
  const auto look = [&](T w, std::size_t lane) {
    largest[lane] = w > largest[lane] ? w : largest[lane];
    n_positive[lane] += w > zero;
    n_good[lane] += (w >= zero) & (w <= kMax);
  };
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane) look(weights[i + static_cast<std::int64_t>(lane)], lane);
  for (; i < n; ++i) look(weights[i], 0);
  std::int64_t good = 0;
  range = {zero, 0};
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    range.largest = std::max(range.largest, static_cast<double>(largest[lane]));
    range.n_positive += n_positive[lane];
    good += n_good[lane];
  }
  return good == n;
}

}  // namespace

UnitScale::UnitScale(double largest_weight) {
  const int exponent = -std::ilogb(largest_weight);
  first_ = std::ldexp(1.0, exponent / 2);
  second_ = std::ldexp(1.0, exponent - exponent / 2);
}

WeightRange survey_weights(const void* weights, DType dtype, std::int64_t n, bool log_weights, ThreadPool& pool) {
  const double zero = log_weights ? -kInfinity : 0.0;
  const std::int64_t n_blocks = (n + kReductionBlock - 1) / kReductionBlock;
  std::vector<WeightRange> blocks(static_cast<std::size_t>(n_blocks));
  with_float_pointer(weights, dtype, [&](const auto* w) {
    pool.run(n_blocks, [&](std::int64_t block, ThreadPool::Worker&) {
      const std::int64_t begin = block * kReductionBlock;
      const std::int64_t end = std::min(n, begin + kReductionBlock);
      if (survey_block(w + begin, end - begin, static_cast<std::decay_t<decltype(*w)>>(zero), blocks[static_cast<std::size_t>(block)])) return;
      for (std::int64_t i = begin; i < end; ++i)
        if (!(w[i] >= zero && w[i] < kInfinity)) refuse(i, static_cast<double>(w[i]));
    }, kShareBlocksFrom);
  });
  WeightRange range{zero, 0};
  for (const WeightRange& block : blocks) range = {std::max(range.largest, block.largest), range.n_positive + block.n_positive};
  return range;
}

WeightRange check_weights(const void* weights, DType dtype, std::int64_t n, bool log_weights, ThreadPool& pool) {
  require(n >= 1, "weights is empty");
  const WeightRange range = survey_weights(weights, dtype, n, log_weights, pool);
  require(range.n_positive > 0, "weights has no positive element: nothing can be drawn");
  return range;
}

}  // namespace coremax::sampling
