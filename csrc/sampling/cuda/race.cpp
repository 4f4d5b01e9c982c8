// Sampling without replacement on a device: the times of the race on the CPU, counted digit by digit from the highest until it
// is known by which time little more than `size` have arrived; those are sorted.
#include <algorithm>
#include <bit>
#include <vector>

#include "core/errors.h"
#include "cuda/sort.h"
#include "sampling/cuda/race_kernels.h"
#include "sampling/cuda/sampling.h"

namespace coremax::sampling::on_cuda {
namespace {

constexpr int kTimeBits = 64;

// A time by which at least `size` have arrived, of `n_positive` that will, and how many have.
struct Limit {
  std::uint64_t time;
  std::int64_t n_arrived;
};

Limit find_limit(const Runners& runners, std::int64_t size, const cuda::Stream& stream, Control* control) {
  const cuda::Buffer<unsigned long long> counts(std::int64_t{1} << policy::kDigitBits, stream, "the counters of a race");
  std::vector<unsigned long long> host(static_cast<std::size_t>(counts.size()));
  std::int64_t before = 0;  // have arrived by all times with a lower prefix
  Digits digits{kTimeBits, 0, 0};
  while (true) {
    digits.bits = std::min(policy::kDigitBits, digits.shift);
    digits.shift -= digits.bits;
    cuda::set_bytes(counts.data(), 0, counts.size(), stream, "the counters of a race");
    count_times(runners, digits, counts.data(), stream);
    cuda::copy(host.data(), counts.data(), counts.size(), stream, "the counters of a race");
    stream.synchronize(control);
    std::uint64_t digit = 0;
    const auto count = [&] { return static_cast<std::int64_t>(host[static_cast<std::size_t>(digit)]); };
    for (; before + count() < size; ++digit) {
      before += count();
      if (digit + 1 == host.size()) refuse_changed("weights");
    }
    digits.prefix = digits.prefix << digits.bits | digit;
    const std::int64_t n_arrived = before + count();
    if (digits.shift == 0 || n_arrived <= size + size / policy::kSpareShare + policy::kSpareRunners)
      return {(digits.prefix << digits.shift) + ((std::uint64_t{1} << digits.shift) - 1), n_arrived};
  }
}

}  // namespace

std::int64_t check_weights(const void* weights, DType dtype, std::int64_t n, bool log_weights, const cuda::Stream& stream,
                           Control* control) {
  require(n >= 1, "weights is empty");
  constexpr WeightCheck kNothing{0, ~0ULL};
  const cuda::Buffer<WeightCheck> result(1, stream, "the check of the weights");
  cuda::copy(result.data(), &kNothing, 1, stream, "the check of the weights");
  check(weights, dtype, n, log_weights, result.data(), stream);
  const WeightCheck found = cuda::read_back(result.data(), stream, "the check of the weights", control);
  if (found.first_bad != kNothing.first_bad) {
    const auto place = static_cast<std::int64_t>(found.first_bad);
    with_float_pointer(weights, dtype, [&](const auto* w) {
      refuse_weight(place, static_cast<double>(cuda::read_back(w + place, stream, "a weight", control)));
    });
  }
  const auto n_positive = static_cast<std::int64_t>(found.n_positive);
  require_draws(0, n_positive);
  return n_positive;
}

void sample_without_replacement(const void* weights, DType dtype, std::int64_t n, std::int64_t size, bool log_weights,
                                std::uint64_t seed, std::int64_t* out, const cuda::Stream& stream, Control* control) {
  require_draws(size, check_weights(weights, dtype, n, log_weights, stream, control));
  if (size == 0) return;
  const Runners runners{weights, dtype, n, log_weights, seed};
  const Limit limit = find_limit(runners, size, stream, control);
  cuda::Buffer<std::uint64_t> times(limit.n_arrived, stream, "the times of a race");
  cuda::Buffer<std::int64_t> indices(limit.n_arrived, stream, "the runners of a race");
  arrivals(runners, limit.time, times.data(), indices.data(), stream);
  cuda::sort_pairs(times, indices, static_cast<int>(std::bit_width(limit.time)), stream);
  cuda::copy(out, indices.data(), size, stream, "the draws");
}

}  // namespace coremax::sampling::on_cuda
