// The graph on devices, bit for bit that of the CPU's scalar level.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "core/errors.h"
#include "core/thread_pool.h"
#include "graph/cuda/graph.h"
#include "graph/cuda/schedule.h"
#include "graph/cuda/stages.h"
#include "graph/elements.h"
#include "on_device.h"

namespace {

using namespace coremax;
using graph::Metric;
using graph::Search;
using graph::on_cuda::Tuning;

constexpr Metric kMetrics[] = {Metric::cosine, Metric::dot, Metric::euclidean};
constexpr DType kTypes[] = {DType::float32, DType::float64, DType::float16, DType::bfloat16, DType::int8};

struct Matrix {
  std::int64_t n = 0;
  std::int64_t d = 0;
  std::int64_t stride = 0;
  DType dtype = DType::float32;
  std::vector<std::byte> bytes;
  MatrixView view(const void* data) const { return {data, dtype, n, d, stride}; }
};

template <class T, class F>
void fill(Matrix& x, const std::vector<float>& values, F&& convert) {
  const auto n = static_cast<std::size_t>(x.n);
  const auto d = static_cast<std::size_t>(x.d);
  x.bytes.assign(n * static_cast<std::size_t>(x.stride) * sizeof(T), std::byte{0x7F});
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t c = 0; c < d; ++c) {
      const T element = convert(values[i * d + c]);
      std::memcpy(x.bytes.data() + (i * static_cast<std::size_t>(x.stride) + c) * sizeof(T), &element, sizeof(T));
    }
}

// The values as elements of the type; of float16 and int8 only small whole numbers and eighths are exact, the rest is cut off.
Matrix matrix(std::int64_t n, std::int64_t d, DType dtype, const std::vector<float>& values, std::int64_t gap = 0) {
  Matrix x{n, d, d + gap, dtype, {}};
  switch (dtype) {
    case DType::float64: fill<double>(x, values, [](float v) { return static_cast<double>(v); }); break;
    case DType::bfloat16: fill<std::uint16_t>(x, values, [](float v) { return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(v) >> 16); }); break;
    case DType::float16:
      fill<std::uint16_t>(x, values, [](float v) {
        const float small = std::clamp(v, -8.0f, 8.0f);
        if (std::fabs(small) < 0x1p-14f) return std::uint16_t{0};
        const auto bits = std::bit_cast<std::uint32_t>(small);
        return static_cast<std::uint16_t>((bits >> 16 & 0x8000) | (((bits & 0x7FFFFFFF) - (112u << 23)) >> 13));
      });
      break;
    case DType::int8: fill<std::int8_t>(x, values, [](float v) { return static_cast<std::int8_t>(std::clamp(8 * v, -127.0f, 127.0f)); }); break;
    default: fill<float>(x, values, [](float v) { return v; });
  }
  return x;
}

std::vector<float> normal_values(std::int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = normal(random);
  return values;
}

// Small whole numbers, no row all zeros: ties and duplicates are frequent.
std::vector<float> whole_values(std::int64_t n, std::int64_t d, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> values(static_cast<std::size_t>(n * d));
  for (float& value : values) value = static_cast<float>(static_cast<int>(random() % 5) - 2);
  for (std::int64_t i = 0; i < n; ++i) values[static_cast<std::size_t>(i * d)] = 1;
  return values;
}

struct Neighbors {
  std::vector<std::int64_t> indices;
  std::vector<float> similarities;
  bool operator==(const Neighbors& other) const {
    return indices == other.indices && similarities.size() == other.similarities.size() &&
           std::memcmp(similarities.data(), other.similarities.data(), similarities.size() * sizeof(float)) == 0;
  }
};

Neighbors on_cpu(const Matrix& x, std::int64_t k, Metric metric) {
  Neighbors result{std::vector<std::int64_t>(static_cast<std::size_t>(x.n * k)), std::vector<float>(static_cast<std::size_t>(x.n * k))};
  ThreadPool pool(2);
  graph::topk(x.view(x.bytes.data()), nullptr, x.n, k, metric, Isa::scalar, Search::direct, pool, result.indices.data(), result.similarities.data());
  return result;
}

Neighbors on_device(const Matrix& x, std::int64_t k, Metric metric, Search search, const Tuning& tuning = {}) {
  const auto data = test::to_device(x.bytes);
  const cuda::Buffer<std::int64_t> indices(x.n * std::max<std::int64_t>(k, 1), test::kStream, "indices");
  const cuda::Buffer<float> similarities(indices.size(), test::kStream, "similarities");
  graph::on_cuda::topk(x.view(data.data()), k, metric, search, tuning, test::kStream, nullptr, indices.data(), similarities.data());
  return {test::to_host(indices), test::to_host(similarities)};
}

std::string name(const Matrix& x, std::int64_t k, Metric metric, Search search, const Tuning& tuning = {}) {
  return "n " + std::to_string(x.n) + " d " + std::to_string(x.d) + " k " + std::to_string(k) + " type " + std::to_string(static_cast<int>(x.dtype)) + " metric " +
         std::to_string(static_cast<int>(metric)) + " search " + std::to_string(static_cast<int>(search)) + " shape " + std::to_string(tuning.shape);
}

void check_same(const Matrix& x, std::int64_t k, Metric metric, Search search, const Tuning& tuning = {}) {
  CHECK_AT(name(x, k, metric, search, tuning), on_device(x, k, metric, search, tuning) == on_cpu(x, k, metric));
}

TEST(direct_graph_on_a_device_has_the_bits_of_the_cpu) {
  unsigned seed = 0;
  for (const std::int64_t n : {2, 31, 33, 70})
    for (const std::int64_t d : {1, 7, 16, 130}) {
      const Matrix x = matrix(n, d, DType::float32, d % 2 == 0 ? normal_values(n * d, ++seed) : whole_values(n, d, ++seed));
      for (const Metric metric : kMetrics)
        for (const std::int64_t k : {std::int64_t{1}, n / 2, n - 1})
          if (k >= 1) check_same(x, k, metric, Search::direct);
    }
}

TEST(direct_graph_on_a_device_takes_every_type) {
  for (const DType dtype : kTypes)
    for (const Metric metric : kMetrics) check_same(matrix(40, 19, dtype, normal_values(40 * 19, 5), 3), 12, metric, Search::direct);
}

TEST(filtered_graph_on_a_device_has_the_bits_of_the_cpu) {
  Tuning tuning;
  for (const int shape : {1, 2, 3}) {
    tuning.shape = shape;
    for (const std::int64_t n : {2, 129, 300}) {
      const std::int64_t d = n == 300 ? 130 : 33;
      for (const Metric metric : kMetrics) {
        const Matrix x = matrix(n, d, DType::float32, normal_values(n * d, static_cast<unsigned>(n)));
        for (const std::int64_t k : {1, 10})
          if (k < n && (k > 1 || n < 300)) check_same(x, k, metric, Search::coarse, tuning);
      }
    }
  }
}

TEST(filtered_graph_on_a_device_takes_every_type_and_width) {
  for (const DType dtype : kTypes)
    for (const Metric metric : kMetrics) check_same(matrix(260, 40, dtype, normal_values(260 * 40, 6), 5), 5, metric, Search::coarse);
  for (const std::int64_t d : {1, 64, 65, 193}) check_same(matrix(260, d, DType::float32, normal_values(260 * d, 7)), 3, Metric::cosine, Search::coarse);
}

}  // namespace
