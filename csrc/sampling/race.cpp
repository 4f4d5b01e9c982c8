// Sampling without replacement by exponential races, and the check of weights that both samplers share.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "core/errors.h"
#include "core/log.h"
#include "core/philox.h"
#include "sampling/sampling.h"

namespace coremax::sampling {
namespace {

struct Runner {
  double time;
  std::int64_t index;
};

bool faster(const Runner& a, const Runner& b) { return a.time < b.time || (a.time == b.time && a.index < b.index); }

}  // namespace

UnitScale::UnitScale(double largest_weight) {
  const int exponent = -std::ilogb(largest_weight);
  first_ = std::ldexp(1.0, exponent / 2);
  second_ = std::ldexp(1.0, exponent - exponent / 2);
}

double check_weights(const void* weights, DType dtype, std::int64_t n, bool log_weights, ThreadPool& pool) {
  require(n >= 1, "weights is empty");
  const std::int64_t n_blocks = (n + kReductionBlock - 1) / kReductionBlock;
  std::vector<double> largest(static_cast<std::size_t>(n_blocks), -std::numeric_limits<double>::infinity());
  with_float_pointer(weights, dtype, [&](const auto* w) {
    parallel_for(pool, n, [&](std::int64_t i) {
      const double value = static_cast<double>(w[i]);
      const bool zero_log = log_weights && value == -std::numeric_limits<double>::infinity();
      require(std::isfinite(value) || zero_log,
              [&] { return "weights[" + std::to_string(i) + "] is " + non_finite_name(value) + "; weights must be finite"; });
      require(log_weights || value >= 0, [&] { return "weights[" + std::to_string(i) + "] is negative (" + number_text(value) + ")"; });
      double& block = largest[static_cast<std::size_t>(i / kReductionBlock)];
      block = std::max(block, value);
    });
  });
  const double result = *std::max_element(largest.begin(), largest.end());
  require(log_weights ? std::isfinite(result) : result > 0, "weights has no positive element: nothing can be drawn");
  return result;
}

void sample_without_replacement(const void* weights, DType dtype, std::int64_t n, std::int64_t size, bool log_weights, std::uint64_t seed,
                                std::int64_t* out, ThreadPool& pool) {
  const double largest = check_weights(weights, dtype, n, log_weights, pool);
  const UnitScale scale(log_weights ? 1.0 : largest);
  constexpr double kAbsent = std::numeric_limits<double>::infinity();
  std::vector<Runner> runners(static_cast<std::size_t>(n));
  with_float_pointer(weights, dtype, [&](const auto* w) {
    parallel_for(pool, n, [&](std::int64_t i) {
      const double weight = static_cast<double>(w[i]);
      const double waiting = -portable_log(open_unit(random_bits(seed, Stream::race, static_cast<std::uint64_t>(i))));
      double time = kAbsent;
      if (log_weights) {
        if (std::isfinite(weight)) time = portable_log(waiting) - weight;
      } else if (weight > 0) {
        // A weight 2^1000 times smaller than the largest would give an infinite time; the largest finite one keeps it present.
        time = std::min(waiting / scale(weight), std::numeric_limits<double>::max());
      }
      runners[static_cast<std::size_t>(i)] = {time, i};
    });
  });
  runners.erase(std::remove_if(runners.begin(), runners.end(), [](const Runner& r) { return r.time == kAbsent; }), runners.end());
  const auto n_positive = static_cast<std::int64_t>(runners.size());
  require(size <= n_positive, "size is " + std::to_string(size) + ", but only " + std::to_string(n_positive) +
                                  " weights are positive: without replacement no more can be drawn");
  pool.check();
  const auto end = runners.begin() + size;
  if (size < n_positive) std::nth_element(runners.begin(), end, runners.end(), faster);
  std::sort(runners.begin(), end, faster);
  for (std::int64_t i = 0; i < size; ++i) out[i] = runners[static_cast<std::size_t>(i)].index;
}

}  // namespace coremax::sampling
