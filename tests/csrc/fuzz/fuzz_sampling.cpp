// Any bits as weights, of both types: a table whose probabilities are those of the weights and which draws nothing of weight
// zero; races that draw every positive weight once; a permutation; any bits as the cells of a table.
#include <algorithm>
#include <cmath>

#include "fuzz/input.h"
#include "sampling/sampling.h"

namespace {

using namespace coremax;
using namespace coremax::sampling;

template <class T>
void weigh(fuzz::Input& input, DType dtype) {
  const std::uint64_t seed = input.next<std::uint64_t>();
  const std::int64_t n = static_cast<std::int64_t>(input.left() / sizeof(T));
  const std::vector<T> weights = input.many<T>(n);
  ThreadPool pool(1);
  const AliasTable table(weights.data(), dtype, n, pool);
  std::vector<double> probabilities(static_cast<std::size_t>(n));
  table.probabilities(probabilities.data());
  const double largest = static_cast<double>(*std::max_element(weights.begin(), weights.end()));
  double sum = 0, sum_of_all = 0;
  for (const T weight : weights) sum += static_cast<double>(weight) / largest;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    EXPECT(std::abs(probabilities[at] - static_cast<double>(weights[at]) / largest / sum) < 1e-12);
    EXPECT(weights[at] > 0 || probabilities[at] == 0);
    sum_of_all += probabilities[at];
  }
  EXPECT(std::abs(sum_of_all - 1) < 1e-12);
  std::vector<std::int64_t> drawn(33);
  for (const Isa isa : available_isas()) {
    table.sample(33, seed, seed >> 1, drawn.data(), isa, pool);
    for (const std::int64_t i : drawn) EXPECT(i >= 0 && i < n && probabilities[static_cast<std::size_t>(i)] > 0);
  }
  const std::int64_t n_positive = check_weights(weights.data(), dtype, n, false, pool);
  for (const Isa isa : available_isas()) {
    std::vector<std::int64_t> all = sample_without_replacement(weights.data(), dtype, n, n_positive, false, seed, isa, pool);
    std::sort(all.begin(), all.end());
    EXPECT(static_cast<std::int64_t>(all.size()) == n_positive && std::adjacent_find(all.begin(), all.end()) == all.end());
    EXPECT(std::all_of(all.begin(), all.end(), [&](std::int64_t i) { return weights[static_cast<std::size_t>(i)] > 0; }));
  }
}

void logarithms(fuzz::Input& input) {
  const std::uint64_t seed = input.next<std::uint64_t>();
  const std::int64_t n = static_cast<std::int64_t>(input.left() / 8);
  const std::vector<double> weights = input.many<double>(n);
  ThreadPool pool(1);
  const std::int64_t size = check_weights(weights.data(), DType::float64, n, true, pool);
  const auto drawn = sample_without_replacement(weights.data(), DType::float64, n, size, true, seed, Isa::scalar, pool);
  for (const std::int64_t i : drawn) EXPECT(weights[static_cast<std::size_t>(i)] > -INFINITY);
}

void cells(fuzz::Input& input) {
  const std::int64_t n = static_cast<std::int64_t>(input.left() / 16);
  const std::vector<std::uint64_t> numbers = input.many<std::uint64_t>(2 * n);
  const AliasTable table(numbers.data(), n);
  ThreadPool pool(1);
  std::vector<std::int64_t> drawn(17);
  table.sample(17, 1, 0, drawn.data(), Isa::scalar, pool);
  for (const std::int64_t i : drawn) EXPECT(i >= 0 && i < n);
}

void permuted(fuzz::Input& input) {
  const std::uint64_t seed = input.next<std::uint64_t>();
  const std::int64_t n = input.next<std::int64_t>();
  ThreadPool pool(1);
  std::vector<std::int64_t> positions = input.many<std::int64_t>(static_cast<std::int64_t>(input.left() / 8)),
                            out(positions.size());
  for (std::int64_t& position : positions) position = n > 0 ? (position & INT64_MAX) % n : position;
  permute(n, seed, positions.data(), static_cast<std::int64_t>(positions.size()), out.data(), pool);
  for (std::size_t i = 0; i < out.size(); ++i) {
    EXPECT(out[i] >= 0 && out[i] < n);
    for (std::size_t j = 0; j < i && j < 20; ++j) EXPECT((out[i] == out[j]) == (positions[i] == positions[j]));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return coremax::fuzz::answers(data, size, [](coremax::fuzz::Input& input) {
    switch (input.up_to(4)) {
      case 0:
        return weigh<double>(input, coremax::DType::float64);
      case 1:
        return weigh<float>(input, coremax::DType::float32);
      case 2:
        return logarithms(input);
      case 3:
        return cells(input);
      default:
        return permuted(input);
    }
  });
}
