// SIM on the emulated device against the CPU's engines, bit for bit.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "core/errors.h"
#include "core/thread_pool.h"
#include "graph/cuda/graph.h"
#include "graph/graph.h"
#include "on_device.h"
#include "scores/cuda/scores.h"
#include "scores/scores.h"

namespace {

using namespace coremax;
using scores::on_cuda::GivenLabels;
using scores::on_cuda::Named;
using scores::on_cuda::SimOptions;
using test::in_orders;
using test::kStream;
using test::to_device;
using test::to_host;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
template <class T>
std::int64_t length(const std::vector<T>& values) {
  return static_cast<std::int64_t>(values.size());
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

template <class T>
constexpr DType type_of() {
  if (std::is_same_v<T, float>) return DType::float32;
  if (std::is_same_v<T, double>) return DType::float64;
  if (std::is_same_v<T, std::int8_t>) return DType::int8;
  return std::is_same_v<T, std::int32_t> ? DType::int32 : DType::int64;
}

// Embeddings of n rows, `gap` elements apart, with their classes from 0 to n_labels - 1, each there.
struct Data {
  std::vector<double> values;
  std::vector<std::int32_t> labels;
  std::int64_t n;
  std::int64_t d;
  std::int64_t n_labels;
};

Data labelled(std::int64_t n, std::int64_t d, std::int64_t n_labels, unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> centres(at(n_labels * d));
  for (double& value : centres) value = normal(random);
  Data data{std::vector<double>(at(n * d)), std::vector<std::int32_t>(at(n)), n, d, n_labels};
  for (std::int64_t i = 0; i < n; ++i) {
    const auto label = i < n_labels ? i : static_cast<std::int64_t>(random() % at(n_labels));
    data.labels[at(i)] = static_cast<std::int32_t>(label);
    for (std::int64_t c = 0; c < d; ++c) data.values[at(i * d + c)] = 10 * centres[at(label * d + c)] + 7 * normal(random);
  }
  return data;
}

template <class T>
std::vector<T> as(const std::vector<double>& values) {
  std::vector<T> result;
  for (const double value : values)
    result.push_back(static_cast<T>(std::is_same_v<T, std::int8_t> ? std::clamp(std::round(value), -100.0, 100.0) : value));
  return result;
}

struct Cosines {
  std::vector<double> norms;
  std::vector<float> own, other;
  bool operator==(const Cosines& b) const {
    return same_bits(norms, b.norms) && same_bits(own, b.own) && same_bits(other, b.other);
  }
};

Cosines cosines_on_cpu(const MatrixView& x, const Data& data) {
  ThreadPool pool(1);
  const graph::UnitRows rows{x, "x", nullptr, x.n_rows};
  graph::LabelSums sums(data.n_labels, data.d, pool);
  Cosines found{std::vector<double>(at(data.n)), std::vector<float>(at(data.n)), std::vector<float>(at(data.n), -1)};
  graph::sum_by_label(rows, data.labels.data(), found.norms.data(), sums, pool);
  graph::UnitCentres centres(data.n_labels, data.d);
  for (std::int64_t c = 0; c < data.n_labels; ++c) sums.direction(c, centres.row(c));
  if (data.n_labels > 1)
    graph::nearest_centres(rows, centres, data.labels.data(), Isa::scalar,
                           {nullptr, found.other.data(), found.own.data(), nullptr}, pool);
  else
    graph::nearest_centres(rows, centres, nullptr, Isa::scalar, {nullptr, found.own.data(), nullptr, nullptr}, pool);
  return found;
}

// x's data are the device's; any order of the rows will do.
Cosines cosines_on_device(const MatrixView& x, const Data& data, bool by_label) {
  std::vector<std::int64_t> order(at(data.n));
  std::iota(order.begin(), order.end(), 0);
  if (by_label)
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int64_t a, std::int64_t b) { return data.labels[at(a)] < data.labels[at(b)]; });
  const auto labels = to_device(data.labels);
  const auto rows = to_device(order);
  const auto bad = to_device(std::vector<std::uint64_t>{~std::uint64_t{0}});
  const cuda::Buffer<double> norms(data.n, kStream, "norms");
  const cuda::Buffer<float> own(data.n, kStream, "own"), other(data.n, kStream, "other");
  graph::on_cuda::cosines_with_centres(x, {data.n_labels, labels.data(), rows.data()}, norms.data(), own.data(), other.data(),
                                       bad.data(), kStream);
  CHECK(to_host(bad)[0] == ~std::uint64_t{0});
  return {to_host(norms), to_host(own), to_host(other)};
}

template <class T>
bool same_cosines(const Data& data, const std::vector<T>& values, DType dtype, bool by_label = true) {
  const auto there = to_device(values);
  return cosines_on_cpu({values.data(), dtype, data.n, data.d, data.d}, data) ==
         cosines_on_device({there.data(), dtype, data.n, data.d, data.d}, data, by_label);
}

template <class T>
bool same_cosines(const Data& data) {
  return same_cosines(data, as<T>(data.values), type_of<T>());
}

TEST(cosines_with_centres_are_those_of_the_cpu) {
  emulator::set_seed(1);
  // Around the edges of lanes, of tiles of rows (32, 64) and of centres (16, 32), of pieces of columns (64); rows kept and not.
  for (const auto& [n, d, n_labels] : std::vector<std::array<std::int64_t, 3>>{{1, 1, 1},
                                                                               {2, 1, 2},
                                                                               {3, 15, 2},
                                                                               {31, 16, 7},
                                                                               {32, 17, 8},
                                                                               {33, 63, 9},
                                                                               {63, 64, 15},
                                                                               {64, 65, 16},
                                                                               {65, 33, 17},
                                                                               {70, 129, 31},
                                                                               {97, 7, 32},
                                                                               {130, 31, 33},
                                                                               {129, 20, 64},
                                                                               {200, 300, 65},
                                                                               {66, 900, 40},
                                                                               {150, 257, 1},
                                                                               {40, 5, 40}}) {
    const Data data = labelled(n, d, n_labels, static_cast<unsigned>(n));
    const std::string where = std::to_string(n) + " x " + std::to_string(d) + ", " + std::to_string(n_labels) + " classes";
    CHECK_AT(where, same_cosines<float>(data));
    CHECK_AT(where + ", any order", same_cosines(data, as<float>(data.values), DType::float32, false));
  }
  CHECK(emulator::live_allocations() == 0);
}

TEST(cosines_with_centres_of_every_type) {
  emulator::set_seed(2);
  const Data data = labelled(90, 37, 19, 5);
  CHECK(same_cosines<double>(data));
  CHECK(same_cosines<std::int8_t>(data));
  std::vector<std::uint16_t> bits;
  for (const double value : data.values)
    bits.push_back(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(static_cast<float>(value)) >> 16));
  CHECK(same_cosines(data, bits, DType::bfloat16));
  for (std::uint16_t& half : bits) half = static_cast<std::uint16_t>((half & 0x8000) | (half % 0x7BFF));  // any finite numbers
  CHECK(same_cosines(data, bits, DType::float16));
  Data wild = data;  // lengths beyond float32, rows of zeros, classes that cancel
  for (std::int64_t i = 0; i < data.n; ++i)
    for (std::int64_t c = 0; c < data.d; ++c)
      wild.values[at(i * data.d + c)] *= i % 5 == 0 ? 0x1p-300 : i % 5 == 1 ? 0x1p150 : i % 5 == 2 ? 0 : 1;
  CHECK(same_cosines<double>(wild));
  Data cancel = labelled(4, 20, 3, 1);
  cancel.labels = {0, 0, 1, 2};
  for (std::int64_t c = 0; c < 20; ++c) cancel.values[at(20 + c)] = -cancel.values[at(c)];
  CHECK(same_cosines<float>(cancel));
}

TEST(cosines_with_centres_in_every_order_of_threads) {
  const Data few = labelled(130, 40, 5, 8);
  const Data many = labelled(70, 70, 50, 9);
  in_orders(4, [&] {
    CHECK(same_cosines<float>(few));
    CHECK(same_cosines<float>(many));
  });
}

// Rows that lie apart, before each other even.
TEST(cosines_with_centres_of_strided_rows) {
  emulator::set_seed(3);
  const Data data = labelled(50, 12, 6, 2);
  std::vector<float> spread(at(50 * 20), std::numeric_limits<float>::quiet_NaN());
  for (std::int64_t i = 0; i < 50; ++i)
    for (std::int64_t c = 0; c < 12; ++c) spread[at((49 - i) * 20 + c)] = static_cast<float>(data.values[at(i * 12 + c)]);
  const auto there = to_device(spread);
  const MatrixView here{spread.data() + 49 * 20, DType::float32, 50, 12, -20};
  CHECK(cosines_on_cpu(here, data) == cosines_on_device({there.data() + 49 * 20, DType::float32, 50, 12, -20}, data, true));
}

// ---- Scales -----------------------------------------------------------------------------------------------------------------

std::vector<double> scaled_on_device(const std::vector<double>& values, double low, double high, double tolerance) {
  const auto there = to_device(values);
  scores::on_cuda::robust_scale(there.data(), there.size(), low, high, tolerance, kStream);
  return to_host(there);
}

TEST(robust_scales_are_those_of_the_cpu) {
  emulator::set_seed(4);
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  for (const std::int64_t n : {1, 2, 3, 31, 33, 255, 257, 1000, 3001}) {
    std::vector<double> spread(at(n)), coarse(at(n)), wide(at(n)), close(at(n));
    for (std::int64_t i = 0; i < n; ++i) {
      spread[at(i)] = normal(random);
      coarse[at(i)] = std::round(2 * normal(random)) + 0.0;
      wide[at(i)] = std::ldexp(normal(random), static_cast<int>(random() % 2000) - 1000);
      close[at(i)] = 1 + std::ldexp(static_cast<double>(random() % 4096), -52);  // that differ in the last bits counted
    }
    for (const auto& values : {spread, coarse, wide, close})
      for (const auto& [low, high] :
           std::vector<std::pair<double, double>>{{1, 99}, {0, 100}, {25, 75}, {50, 50}, {33.3, 33.4}, {100, 100}})
        for (const double tolerance : {0.0, 1e-13}) {
          auto expected = values;
          scores::robust_scale(expected.data(), n, low, high, tolerance);
          CHECK_AT(std::to_string(n) + ", " + std::to_string(low),
                   same_bits(scaled_on_device(values, low, high, tolerance), expected));
        }
  }
  CHECK(emulator::live_allocations() == 0);
}

TEST(robust_scales_in_every_order_of_threads) {
  std::vector<double> values(700);
  std::mt19937_64 random(1);
  for (double& value : values) value = static_cast<double>(random() % 97) - 30;
  auto expected = values;
  scores::robust_scale(expected.data(), 700, 2, 95, 0);
  in_orders(4, [&] { CHECK(same_bits(scaled_on_device(values, 2, 95, 0), expected)); });
}

// ---- All of it --------------------------------------------------------------------------------------------------------------

std::vector<double> softmax(std::int64_t n, std::int64_t n_classes, unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> p(at(n * n_classes));
  for (std::int64_t i = 0; i < n; ++i) {
    double sum = 0;
    for (std::int64_t c = 0; c < n_classes; ++c) sum += p[at(i * n_classes + c)] = std::exp(3 * normal(random));
    for (std::int64_t c = 0; c < n_classes; ++c) p[at(i * n_classes + c)] /= sum;
  }
  return p;
}

// What coremax.scores.sim does with the parts of the CPU.
struct Problem {
  std::vector<Data> models;
  std::vector<std::vector<double>> experts;
  std::int64_t n_classes = 0;
  SimOptions options;

  std::int64_t n() const { return models.front().n; }
};

constexpr double kTolerance = 8 * 0x1p-24;

std::vector<double> sim_on_cpu(const Problem& problem) {
  ThreadPool pool(1);
  const std::int64_t n = problem.n();
  std::vector<double> total(at(n)), ratio(at(n)), norm(at(n));
  for (const Data& model : problem.models) {
    const auto values = as<float>(model.values);
    scores::separability({values.data(), DType::float32, n, model.d, model.d}, "x", problem.models[0].labels.data(),
                         problem.models[0].n_labels, problem.options.epsilon, problem.options.take_log, Isa::scalar,
                         ratio.data(), norm.data(), pool);
    scores::robust_scale(ratio.data(), n, problem.options.low, problem.options.high, 0);
    scores::robust_scale(norm.data(), n, problem.options.low, problem.options.high, kTolerance);
    for (std::int64_t i = 0; i < n; ++i) total[at(i)] += ratio[at(i)] * norm[at(i)];
  }
  for (double& value : total) value /= static_cast<double>(problem.models.size());
  if (!problem.experts.empty()) {
    std::vector<MatrixView> views;
    for (const auto& expert : problem.experts)
      views.push_back({expert.data(), DType::float64, n, problem.n_classes, problem.n_classes});
    scores::agreement(views, std::vector<std::string>(views.size(), "p"), Isa::scalar, ratio.data(), pool);
    for (std::int64_t i = 0; i < n; ++i) total[at(i)] *= ratio[at(i)];
  }
  if (problem.options.rescale) scores::robust_scale(total.data(), n, 0, 100, 0);
  return total;
}

// labels: any numbers in the order of the problem's.
template <class T>
std::vector<double> sim_on_device(const Problem& problem, const std::vector<T>& labels, std::int64_t n_classes_of_labels,
                                  const cuda::Stream& stream = kStream) {
  std::vector<cuda::Buffer<float>> data;
  std::vector<cuda::Buffer<double>> probabilities;
  std::vector<Named> models, experts;
  for (const Data& model : problem.models) {
    data.push_back(to_device(as<float>(model.values)));
    models.push_back(
        {{data.back().data(), DType::float32, model.n, model.d, model.d}, "embeddings[" + std::to_string(models.size()) + "]"});
  }
  for (const auto& expert : problem.experts) {
    probabilities.push_back(to_device(expert));
    experts.push_back({{probabilities.back().data(), DType::float64, problem.n(), problem.n_classes, problem.n_classes},
                       "p[" + std::to_string(experts.size()) + "]"});
  }
  const auto labels_there = to_device(labels);
  kStream.synchronize();
  const cuda::Buffer<double> out(problem.n(), stream, "scores");
  scores::on_cuda::sim(models, std::vector<double>(models.size(), kTolerance),
                       {labels_there.data(), type_of<T>(), length(labels), n_classes_of_labels}, experts, problem.options,
                       out.data(), stream, nullptr);
  std::vector<double> result(at(problem.n()));
  cuda::copy(result.data(), out.data(), problem.n(), stream, "scores");
  stream.synchronize();
  return result;
}

std::vector<double> sim_on_device(const Problem& problem) { return sim_on_device(problem, problem.models[0].labels, 0); }

TEST(sim_on_a_device_is_that_of_the_cpu) {
  emulator::set_seed(5);
  for (const auto& [n, n_labels, n_models, n_experts, n_classes] :
       std::vector<std::array<std::int64_t, 5>>{{1, 1, 1, 0, 0},
                                                {5, 2, 1, 1, 2},
                                                {33, 4, 2, 2, 1},
                                                {64, 20, 1, 2, 20},
                                                {65, 3, 2, 3, 7},
                                                {257, 40, 1, 7, 41},
                                                {300, 9, 3, 2, 9}}) {
    Problem problem;
    for (std::int64_t m = 0; m < n_models; ++m)
      problem.models.push_back(labelled(n, 10 + 30 * m, n_labels, static_cast<unsigned>(m)));
    for (std::int64_t k = 0; k < n_experts; ++k) problem.experts.push_back(softmax(n, n_classes, static_cast<unsigned>(k)));
    problem.n_classes = n_classes;
    for (const bool flag : {true, false}) {
      problem.options.take_log = flag;
      problem.options.rescale = !flag;
      CHECK_AT(std::to_string(n), same_bits(sim_on_device(problem), sim_on_cpu(problem)));
    }
  }
  CHECK(emulator::live_allocations() == 0);
}

TEST(sim_on_a_device_in_every_order_of_threads) {
  Problem problem{{labelled(140, 24, 6, 1), labelled(140, 9, 6, 2)}, {softmax(140, 10, 1), softmax(140, 10, 2)}, 10, {}};
  const auto expected = sim_on_cpu(problem);
  in_orders(4, [&] { CHECK(same_bits(sim_on_device(problem), expected)); });
}

TEST(sim_on_a_device_takes_labels_of_any_kind) {
  emulator::set_seed(6);
  Problem problem{{labelled(100, 8, 5, 1)}, {}, 0, {}};
  const auto expected = sim_on_cpu(problem);
  std::vector<std::int64_t> large, apart;
  std::vector<std::int32_t> narrow;
  for (const std::int32_t label : problem.models[0].labels) {
    large.push_back(INT64_MAX - 5 + label);
    apart.push_back(std::int64_t{label} << 40);
    narrow.push_back(7 * label + 3);
  }
  CHECK(same_bits(sim_on_device(problem, large, 0), expected));
  CHECK(same_bits(sim_on_device(problem, apart, 0), expected));
  CHECK(same_bits(sim_on_device(problem, narrow, 0), expected));
}

TEST(sim_on_a_device_refuses) {
  emulator::set_seed(7);
  const Problem good{{labelled(40, 5, 3, 1), labelled(40, 6, 3, 2)}, {softmax(40, 3, 1), softmax(40, 3, 2)}, 3, {}};
  auto labels = good.models[0].labels;
  labels[7] = -2;
  labels[30] = -3;
  in_orders(4,
            [&] { CHECK_THROWS(Error, "labels[7] is -2, but labels must not be negative", sim_on_device(good, labels, 0)); });
  labels[7] = 1;
  labels[30] = 3;
  CHECK_THROWS(Error, "labels[30] is 3, but probabilities has classes 0 to 2", sim_on_device(good, labels, 3));
  Problem bad = good;
  bad.models[1].values[6 * 20 + 4] = std::nan("");
  bad.models[1].values[6 * 11 + 5] = kInfinity;
  bad.experts[0][2] = 2;
  in_orders(4, [&] { CHECK_THROWS(Error, "embeddings[1][11, 5] is inf; embeddings must be finite", sim_on_device(bad)); });
  bad = good;
  bad.experts[1][3 * 9 + 1] = std::nan("");
  bad.experts[0][3 * 10 + 1] = std::nan("");
  in_orders(4, [&] { CHECK_THROWS(Error, "p[1][9, 1] is nan; probabilities must be finite", sim_on_device(bad)); });
  bad.experts[0][3 * 9 + 2] = -0.25;
  CHECK_THROWS(Error, "p[0][9, 2] is -0.25, outside [0, 1]", sim_on_device(bad));
  bad = good;
  bad.experts[1][3 * 39] = bad.experts[1][3 * 39 + 1] = bad.experts[1][3 * 39 + 2] = 0.3;
  CHECK_THROWS(Error, "row 39 of p[1] sums to 0.9, not 1", sim_on_device(bad));
  // One expert or one class: nothing to compare, but much to check.
  bad.experts.erase(bad.experts.begin());
  CHECK_THROWS(Error, "row 39 of p[0] sums to 0.9, not 1", sim_on_device(bad));
  CHECK(emulator::live_allocations() == 0);
}

// A row whose sum is beyond the tolerance by lanes, but not in the order of its columns, which decides.
TEST(sim_on_a_device_takes_sums_on_the_edge_as_the_cpu_does) {
  emulator::set_seed(9);
  std::mt19937_64 random(1);
  const double limit = 1 + scores::kSumTolerance;
  const auto in_order = [](const std::vector<double>& row) { return std::accumulate(row.begin(), row.end(), 0.0); };
  const auto by_lanes = [](const std::vector<double>& row) {
    double lanes[8] = {};
    for (std::size_t c = 0; c < row.size(); ++c) lanes[c % 8] += row[c];
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
  };
  const auto over = [](double sum) { return std::abs(sum - 1) > scores::kSumTolerance; };
  std::vector<double> passes, fails;
  while (passes.empty() || fails.empty()) {
    std::vector<double> row(20);
    for (double& value : row) value = static_cast<double>(random() >> 11) * 0x1p-53;
    const double scale = limit / in_order(row);
    for (double& value : row) value *= scale;
    row[19] += static_cast<double>(static_cast<int>(random() % 9) - 4) * 0x1p-52;
    if (over(by_lanes(row)) && !over(in_order(row))) passes = row;
    if (over(by_lanes(row)) && over(in_order(row))) fails = row;
  }
  Problem problem{{labelled(10, 5, 3, 1)}, {softmax(10, 20, 1), softmax(10, 20, 2)}, 20, {}};
  std::copy(passes.begin(), passes.end(), problem.experts[1].begin() + 20 * 4);
  CHECK(same_bits(sim_on_device(problem), sim_on_cpu(problem)));
  std::copy(fails.begin(), fails.end(), problem.experts[1].begin() + 20 * 7);
  CHECK_THROWS(Error, "row 7 of p[1] sums to 1.02, not 1", sim_on_device(problem));
}

TEST(sim_on_a_device_in_a_stream_of_the_callers) {
  emulator::set_seed(8);
  const Problem problem{{labelled(100, 12, 4, 1)}, {softmax(100, 4, 1), softmax(100, 4, 2)}, 4, {}};
  const auto expected = sim_on_cpu(problem);
  const test::OwnStream stream;
  CHECK(same_bits(sim_on_device(problem, problem.models[0].labels, 4, stream.view()), expected));
  CHECK(emulator::live_allocations() == 0);
}

TEST(sim_on_a_device_out_of_memory_leaves_nothing) {
  const Problem problem{{labelled(60, 6, 3, 1)}, {softmax(60, 4, 1), softmax(60, 4, 2)}, 4, {}};
  CHECK(test::with_memory_refused([&] { sim_on_device(problem); }) > 20);
}

}  // namespace
