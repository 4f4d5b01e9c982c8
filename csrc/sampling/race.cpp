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

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kMaxQuotientSpan = 900;  // binary orders of magnitude; waiting times add up to 60 to them, a double holds 1022

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

WeightRange check_weights(const void* weights, DType dtype, std::int64_t n, bool log_weights, ThreadPool& pool) {
  require(n >= 1, "weights is empty");
  const double zero = log_weights ? -kInfinity : 0.0;
  std::vector<WeightRange> blocks(static_cast<std::size_t>((n + kReductionBlock - 1) / kReductionBlock), {kInfinity, zero});
  with_float_pointer(weights, dtype, [&](const auto* w) {
    parallel_for(pool, n, [&](std::int64_t i) {
      const double value = static_cast<double>(w[i]);
      if (value == zero) return;
      require(std::isfinite(value), [&] { return "weights[" + std::to_string(i) + "] is " + non_finite_name(value) + "; weights must be finite"; });
      require(log_weights || value > 0, [&] { return "weights[" + std::to_string(i) + "] is negative (" + number_text(value) + ")"; });
      WeightRange& block = blocks[static_cast<std::size_t>(i / kReductionBlock)];
      block = {std::min(block.smallest, value), std::max(block.largest, value)};
    });
  });
  WeightRange range{kInfinity, zero};
  for (const WeightRange& block : blocks) range = {std::min(range.smallest, block.smallest), std::max(range.largest, block.largest)};
  require(range.largest > zero, "weights has no positive element: nothing can be drawn");
  return range;
}

std::vector<std::int64_t> sample_without_replacement(const void* weights, DType dtype, std::int64_t n, std::int64_t size, bool log_weights,
                                                     std::uint64_t seed, ThreadPool& pool) {
  const WeightRange range = check_weights(weights, dtype, n, log_weights, pool);
  const UnitScale scale(log_weights ? 1.0 : range.largest);
  // Quotients would leave a double's range: their logarithms do not.
  const bool compare_logs = log_weights || std::ilogb(range.smallest) < std::ilogb(range.largest) - kMaxQuotientSpan;
  std::vector<Runner> runners(static_cast<std::size_t>(n));
  with_float_pointer(weights, dtype, [&](const auto* w) {
    parallel_for(pool, n, [&](std::int64_t i) {
      const double weight = static_cast<double>(w[i]);
      const double waiting = -portable_log(open_unit(random_bits(seed, Stream::race, static_cast<std::uint64_t>(i))));
      double time = kInfinity;
      if (log_weights ? weight > -kInfinity : weight > 0)
        time = compare_logs ? portable_log(waiting) - (log_weights ? weight : portable_log(weight)) : waiting / scale(weight);
      runners[static_cast<std::size_t>(i)] = {time, i};
    });
  });
  runners.erase(std::remove_if(runners.begin(), runners.end(), [](const Runner& r) { return r.time == kInfinity; }), runners.end());
  const auto n_positive = static_cast<std::int64_t>(runners.size());
  require(size <= n_positive, "size is " + std::to_string(size) + ", but only " + std::to_string(n_positive) +
                                  " weights are positive: without replacement no more can be drawn");
  pool.check();
  const auto end = runners.begin() + size;
  if (size < n_positive) std::nth_element(runners.begin(), end, runners.end(), faster);
  std::sort(runners.begin(), end, faster);
  std::vector<std::int64_t> drawn(static_cast<std::size_t>(size));
  std::transform(runners.begin(), end, drawn.begin(), [](const Runner& r) { return r.index; });
  return drawn;
}

}  // namespace coremax::sampling
