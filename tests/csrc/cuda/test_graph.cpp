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
    case DType::float64:
      fill<double>(x, values, [](float v) { return static_cast<double>(v); });
      break;
    case DType::bfloat16:
      fill<std::uint16_t>(x, values, [](float v) { return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(v) >> 16); });
      break;
    case DType::float16:
      fill<std::uint16_t>(x, values, [](float v) {
        const float small = std::clamp(v, -8.0f, 8.0f);
        if (std::fabs(small) < 0x1p-14f) return std::uint16_t{0};
        const auto bits = std::bit_cast<std::uint32_t>(small);
        return static_cast<std::uint16_t>((bits >> 16 & 0x8000) | (((bits & 0x7FFFFFFF) - (112u << 23)) >> 13));
      });
      break;
    case DType::int8:
      fill<std::int8_t>(x, values, [](float v) { return static_cast<std::int8_t>(std::clamp(8 * v, -127.0f, 127.0f)); });
      break;
    default:
      fill<float>(x, values, [](float v) { return v; });
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
  Neighbors result{std::vector<std::int64_t>(static_cast<std::size_t>(x.n * k)),
                   std::vector<float>(static_cast<std::size_t>(x.n * k))};
  ThreadPool pool(2);
  graph::topk(x.view(x.bytes.data()), nullptr, x.n, k, metric, Isa::scalar, Search::direct, pool, result.indices.data(),
              result.similarities.data());
  return result;
}

Neighbors on_device(const Matrix& x, std::int64_t k, Metric metric, Search search, const Tuning& tuning = {}) {
  const auto data = test::to_device(x.bytes);
  const cuda::Buffer<std::int64_t> indices(x.n * std::max<std::int64_t>(k, 1), test::kStream, "indices");
  const cuda::Buffer<float> similarities(indices.size(), test::kStream, "similarities");
  graph::on_cuda::topk(x.view(data.data()), k, metric, search, tuning, test::kStream, nullptr, indices.data(),
                       similarities.data());
  return {test::to_host(indices), test::to_host(similarities)};
}

std::string name(const Matrix& x, std::int64_t k, Metric metric, Search search, const Tuning& tuning = {}) {
  return "n " + std::to_string(x.n) + " d " + std::to_string(x.d) + " k " + std::to_string(k) + " type " +
         std::to_string(static_cast<int>(x.dtype)) + " metric " + std::to_string(static_cast<int>(metric)) + " search " +
         std::to_string(static_cast<int>(search)) + " shape " + std::to_string(tuning.shape);
}

void check_same(const Matrix& x, std::int64_t k, Metric metric, Search search, const Tuning& tuning = {}) {
  CHECK_AT(name(x, k, metric, search, tuning), on_device(x, k, metric, search, tuning) == on_cpu(x, k, metric));
  CHECK(emulator::live_allocations() == 0);
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
    for (const Metric metric : kMetrics)
      check_same(matrix(40, 19, dtype, normal_values(40 * 19, 5), 3), 12, metric, Search::direct);
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

TEST(graph_on_a_device_has_lists_of_256_neighbors) {
  const std::int64_t n = 290;
  for (const Search search : {Search::direct, Search::coarse})
    check_same(matrix(n, 3, DType::float32, normal_values(n * 3, 8)), 256, Metric::cosine, search);
}

TEST(filtered_graph_on_a_device_takes_every_type_and_width) {
  for (const DType dtype : kTypes)
    for (const Metric metric : kMetrics)
      check_same(matrix(260, 40, dtype, normal_values(260 * 40, 6), 5), 5, metric, Search::coarse);
  for (const std::int64_t d : {1, 64, 65, 193})
    check_same(matrix(260, d, DType::float32, normal_values(260 * d, 7)), 3, Metric::cosine, Search::coarse);
}

// Rows of a few directions many times over, so that whole blocks can not be told apart.
std::vector<float> repeated_values(std::int64_t n, std::int64_t d, std::int64_t different) {
  const std::vector<float> base = normal_values(different * d, 8);
  std::vector<float> values(static_cast<std::size_t>(n * d));
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t c = 0; c < d; ++c)
      values[static_cast<std::size_t>(i * d + c)] = base[static_cast<std::size_t>(i % different * d + c)];
  return values;
}

TEST(filtered_graph_on_a_device_tells_rows_apart_that_bfloat16_does_not) {
  std::vector<float> values = repeated_values(300, 20, 3);
  const std::vector<float> noise = normal_values(300 * 20, 16);
  for (std::size_t e = 0; e < values.size(); ++e) values[e] += noise[e] / 1024;
  for (const Metric metric : kMetrics) check_same(matrix(300, 20, DType::float32, values), 5, metric, Search::coarse);
}

TEST(filtered_graph_on_a_device_loses_nothing_where_its_pool_runs_full) {
  Tuning tuning;
  tuning.pool_most = 1;
  tuning.most_blocks = 2;
  tuning.strip_diagonals = 2;
  for (const int shape : {1, 2}) {
    tuning.shape = shape;
    const std::int64_t n = shape == 1 ? 700 : 1100;
    for (const Metric metric : {Metric::cosine, Metric::euclidean})
      check_same(matrix(n, 5, DType::float32, repeated_values(n, 5, 7)), 4, metric, Search::coarse, tuning);
  }
}

TEST(filtered_graph_on_a_device_has_the_same_bits_in_any_order) {
  const Matrix x = matrix(390, 18, DType::float32, whole_values(390, 18, 9));
  Tuning tuning;
  tuning.pool_most = 100;
  for (const Metric metric : kMetrics) {
    const Neighbors expected = on_cpu(x, 40, metric);
    test::in_orders(2, [&] {
      CHECK_AT(name(x, 40, metric, Search::coarse), on_device(x, 40, metric, Search::coarse, tuning) == expected);
    });
  }
}

TEST(graph_on_a_device_survives_extreme_magnitudes) {
  std::vector<float> values = normal_values(200 * 6, 10);
  for (std::int64_t i = 0; i < 200; ++i)
    for (std::int64_t c = 0; c < 6; ++c)
      values[static_cast<std::size_t>(i * 6 + c)] *= std::ldexp(1.0f, static_cast<int>(i % 5) * 17 - 80);
  std::vector<float> far = normal_values(200 * 6, 11);  // off the origin
  for (float& value : far) value = 100 + value / 16;
  for (const Search search : {Search::direct, Search::coarse})
    for (const Metric metric : kMetrics) {
      check_same(matrix(200, 6, DType::float32, values), 9, metric, search);
      check_same(matrix(200, 6, DType::float32, far), 9, metric, search);
      if (metric != Metric::cosine)
        check_same(matrix(200, 6, DType::float32, std::vector<float>(200 * 6, 0.0f)), 3, metric, search);
    }
}

TEST(graph_on_a_device_takes_a_magnitude_apart_that_float32_lacks) {
  Matrix x = matrix(40, 3, DType::float64, normal_values(120, 12));
  for (std::size_t e = 0; e < 120; ++e) {
    double value = 0;
    std::memcpy(&value, x.bytes.data() + 8 * e, 8);
    value *= std::ldexp(1.0, e / 3 % 2 == 0 ? -300 : 30);
    std::memcpy(x.bytes.data() + 8 * e, &value, 8);
  }
  for (const Search search : {Search::direct, Search::coarse}) check_same(x, 5, Metric::cosine, search);
}

std::string refusal(const Matrix& x, std::int64_t k, Metric metric, Search search) {
  std::string message;
  try {
    on_device(x, k, metric, search);
  } catch (const Error& error) {
    message = error.what();
  }
  CHECK(emulator::live_allocations() == 0);  // what was given back is back once the streams have done their work
  return message;
}

TEST(graph_on_a_device_refuses_what_the_cpu_refuses) {
  std::vector<float> values = normal_values(150 * 4, 13);
  values[77 * 4 + 2] = std::numeric_limits<float>::quiet_NaN();
  values[90 * 4 + 1] = std::numeric_limits<float>::infinity();
  std::vector<float> zeros = normal_values(150 * 4, 14);
  std::fill_n(zeros.begin() + 33 * 4, 4, 0.0f);
  for (const Search search : {Search::direct, Search::coarse}) {
    CHECK(refusal(matrix(150, 4, DType::float32, values), 3, Metric::dot, search) ==
          "x[77, 2] is nan; embeddings must be finite");
    CHECK(refusal(matrix(150, 4, DType::float32, zeros), 3, Metric::cosine, search).starts_with("row 33 of x is all zeros"));
    CHECK(refusal(matrix(150, 4, DType::float32, zeros), 3, Metric::euclidean, search).empty());
    CHECK(refusal(matrix(150, 4, DType::float32, std::vector<float>(600, 1e30f)), 3, Metric::dot, search)
              .starts_with("the dot product of rows 0 and 1 overflows float32"));
    CHECK(refusal(matrix(150, 4, DType::float32, zeros), 150, Metric::dot, search) ==
          "k must be from 1 to n - 1 = 149, got 150");
    CHECK(refusal(matrix(150, 4, DType::float32, zeros), 0, Metric::dot, search) == "k must be from 1 to n - 1 = 149, got 0");
  }
}

TEST(graph_on_a_device_out_of_memory_leaves_nothing) {
  const Matrix x = matrix(130, 8, DType::float32, normal_values(130 * 8, 15));
  for (const Search search : {Search::direct, Search::coarse}) {
    const int allocations = test::with_memory_refused([&] { on_device(x, 2, Metric::euclidean, search); });
    CHECK(allocations >= (search == Search::direct ? 4 : 12));
  }
}

TEST(schedule_of_the_filter_has_every_pair_of_blocks_once) {
  for (const std::int64_t n_blocks : {1, 2, 3, 4, 7, 8, 31, 64})
    for (const std::int64_t around : {0, 1, 3})
      for (const std::int64_t strip : {1, 3, 16}) {
        const auto schedule = graph::on_cuda::Schedule::make(n_blocks, around, strip);
        std::vector<int> seen(static_cast<std::size_t>(n_blocks * n_blocks), 0);
        for (std::int64_t s = 0; s < schedule.n_strips(); ++s) {
          const auto at = schedule.strip(s);
          for (std::int64_t a = at.diagonal; a < at.diagonal + at.count; ++a) {
            const std::int64_t other = (at.block + a) % n_blocks;
            ++seen[static_cast<std::size_t>(at.block * n_blocks + other)];
            ++seen[static_cast<std::size_t>(other * n_blocks + at.block)];
          }
        }
        bool good = true;
        for (std::int64_t i = 0; i < n_blocks; ++i)
          for (std::int64_t j = 0; j < n_blocks; ++j) {
            const std::int64_t apart = std::min((j - i + n_blocks) % n_blocks, (i - j + n_blocks) % n_blocks);
            good = good && seen[static_cast<std::size_t>(i * n_blocks + j)] == (apart > around ? 1 : 0);
          }
        CHECK_AT(std::to_string(n_blocks) + " " + std::to_string(around) + " " + std::to_string(strip), good);
      }
}

TEST(order_of_the_filter_has_every_row_once) {
  for (const std::int64_t n : {1, 2, 3, 4, 6, 10, 129, 1024, 1000}) {
    const auto order = graph::on_cuda::Order::scattered(n);
    std::vector<bool> seen(static_cast<std::size_t>(n), false);
    for (std::int64_t p = 0; p < n; ++p) seen[static_cast<std::size_t>(order.row_at(p))] = true;
    CHECK_AT(std::to_string(n), std::all_of(seen.begin(), seen.end(), [](bool one) { return one; }));
  }
}

}  // namespace
