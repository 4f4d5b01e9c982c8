// One answer of every engine, as a hash of its bits: the same on every ISA level, compiler, system and architecture. Recorded
// once: a change of one is a change of what users get for the same input and seed, and belongs into the changelog.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <numeric>
#include <string>
#include <type_traits>
#include <vector>

#include "check.h"
#include "core/philox.h"
#include "core/power.h"
#include "graph/graph.h"
#include "isa/random_bits.h"
#include "sampling/sampling.h"
#include "scores/scores.h"
#include "selection/selection.h"
#include "solver/solver.h"
#include "text/text.h"

namespace {

using namespace coremax;

constexpr int kThreads = 2;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// FNV-1a, 64 bits, of the elements' bytes, low bytes first.
class Hash {
 public:
  template <class T>
  Hash& add(const std::vector<T>& values) {
    static_assert(std::is_arithmetic_v<T>);
    for (const T& value : values) {
      unsigned char bytes[sizeof(T)];
      __builtin_memcpy(bytes, &value, sizeof(T));
      for (const unsigned char byte : bytes) state_ = (state_ ^ byte) * 0x100000001b3;
    }
    return *this;
  }
  std::uint64_t state() const { return state_; }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325;
};

void check(const std::string& what, const Hash& hash, std::uint64_t expected) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%016llx", static_cast<unsigned long long>(hash.state()));
  CHECK_AT(what + ", which is " + text, hash.state() == expected);
}

// Numbers in (0, 1), of Philox, since distributions of the standard library differ between libraries.
std::vector<double> numbers(std::int64_t count, std::uint64_t seed) {
  std::vector<double> values(at(count));
  for (std::int64_t i = 0; i < count; ++i)
    values[at(i)] = open_unit(random_bits(seed, Stream::race, static_cast<std::uint64_t>(i)));
  return values;
}

std::vector<float> floats(std::int64_t count, std::uint64_t seed) {
  std::vector<float> values;
  for (const double value : numbers(count, seed)) values.push_back(static_cast<float>(2 * value - 1));
  return values;
}

// Rows around 60 centres.
struct Rows {
  static constexpr std::int64_t kN = 2500;
  static constexpr std::int64_t kD = 37;
  std::vector<float> values = floats(kN * kD, 1);

  Rows() {
    const std::vector<float> centres = floats(60 * kD, 2);
    for (std::int64_t i = 0; i < kN; ++i)
      for (std::int64_t c = 0; c < kD; ++c)
        values[at(i * kD + c)] = 0.5f * values[at(i * kD + c)] + centres[at(i % 60 * kD + c)];
  }
  MatrixView view() const { return {values.data(), DType::float32, kN, kD, kD}; }
};

struct Neighbors {
  std::vector<std::int64_t> indices;
  std::vector<float> similarities;
};

Neighbors neighbors_of(const Rows& rows, std::int64_t k, graph::Metric metric, Isa isa, ThreadPool& pool) {
  Neighbors found{std::vector<std::int64_t>(at(Rows::kN * k)), std::vector<float>(at(Rows::kN * k))};
  graph::topk(rows.view(), nullptr, Rows::kN, k, metric, isa, graph::Search::automatic, pool, found.indices.data(),
              found.similarities.data());
  return found;
}

graph::Csr kernel_of(const Neighbors& found, std::int64_t k, ThreadPool& pool) {
  return graph::symmetric({Rows::kN, k, nullptr, found.indices.data(), DType::int64, found.similarities.data(), DType::float32},
                          pool);
}

TEST(known_answers_of_the_functions) {
  std::vector<double> values;
  for (const double x : numbers(2000, 3)) {
    values.push_back(portable_log(x));
    values.push_back(portable_exp(60 * x - 30));
    values.push_back(portable_power(x, 3 * x));
  }
  check("functions", Hash().add(values), 0xb51080147740ec08);
}

TEST(known_answers_of_random_bits) {
  std::vector<std::uint64_t> bits(1001);
  for (const Isa isa : available_isas()) {
    fill_random_bits(0x0123456789abcdef, Stream::race, 77, 1001, bits.data(), isa);
    check(isa_name(isa), Hash().add(bits), 0x91fd4998fc0fe37f);
  }
}

TEST(known_answers_of_the_graph) {
  const Rows rows;
  ThreadPool pool(kThreads);
  constexpr std::uint64_t kExpected[] = {0x51bb8aae790edcd3, 0xf65f669c025248f7, 0xe65f2d1a160fcd29};
  for (const Isa isa : available_isas()) {
    for (const graph::Metric metric : {graph::Metric::cosine, graph::Metric::dot, graph::Metric::euclidean}) {
      const Neighbors found = neighbors_of(rows, 10, metric, isa, pool);
      const auto number = static_cast<std::size_t>(metric);
      check(std::string(isa_name(isa)) + ", metric " + std::to_string(number),
            Hash().add(found.indices).add(found.similarities), kExpected[number]);
    }
  }
  const graph::Csr kernel = kernel_of(neighbors_of(rows, 10, graph::Metric::cosine, Isa::scalar, pool), 10, pool);
  check("symmetric", Hash().add(kernel.indptr).add(kernel.indices).add(kernel.values), 0xfebec249630a5e68);
}

TEST(known_answers_of_sampling) {
  constexpr std::int64_t kN = 20'000;
  const std::vector<double> weights = numbers(kN, 4);
  ThreadPool pool(kThreads);
  const sampling::AliasTable table(weights.data(), DType::float64, kN, pool);
  std::vector<double> probabilities(at(kN));
  table.probabilities(probabilities.data());
  check("probabilities", Hash().add(probabilities), 0xe98c7c872436687c);
  for (const Isa isa : available_isas()) {
    std::vector<std::int64_t> draws(5000);
    table.sample(5000, 11, 3, draws.data(), isa, pool);
    check(std::string("alias ") + isa_name(isa), Hash().add(draws), 0x2d6160537b4a8e6d);
    const auto race = [&](bool logs) {
      return sampling::sample_without_replacement(weights.data(), DType::float64, kN, 3000, logs, 12, isa, pool);
    };
    check(std::string("race ") + isa_name(isa), Hash().add(race(false)), 0xc44f7956ff2881fa);
    check(std::string("race of logarithms ") + isa_name(isa), Hash().add(race(true)), 0x1573514744ca9437);
  }
  std::vector<std::int64_t> positions(1000), permuted(1000);
  std::iota(positions.begin(), positions.end(), 5);
  sampling::permute(1'000'003, 13, positions.data(), 1000, permuted.data(), pool);
  check("permutation", Hash().add(permuted), 0x4808e24d58c8001b);
}

TEST(known_answers_of_the_scores) {
  constexpr std::int64_t kN = 200;
  constexpr std::int64_t kClasses = 13;
  std::vector<double> p = numbers(kN * kClasses, 5);
  std::vector<double> q = numbers(kN * kClasses, 6);
  for (std::vector<double>* rows : {&p, &q})
    for (std::int64_t i = 0; i < kN; ++i) {
      double sum = 0;
      for (std::int64_t c = 0; c < kClasses; ++c) sum += (*rows)[at(i * kClasses + c)];
      for (std::int64_t c = 0; c < kClasses; ++c) (*rows)[at(i * kClasses + c)] /= sum;
    }
  const MatrixView view{p.data(), DType::float64, kN, kClasses, kClasses};
  const MatrixView other{q.data(), DType::float64, kN, kClasses, kClasses};
  ThreadPool pool(kThreads);
  std::vector<std::int64_t> labels(at(kN));
  for (std::int64_t i = 0; i < kN; ++i) labels[at(i)] = i % kClasses;
  std::vector<double> out(at(kN));
  constexpr std::uint64_t kExpected[] = {0x07c5d2ab2a79987d, 0xb978f58a6ea1bee8, 0x73a6ce8e91c76fc7};
  for (const scores::Score score : {scores::Score::el2n, scores::Score::margin, scores::Score::entropy}) {
    const auto number = static_cast<std::size_t>(score);
    scores::from_probabilities(score, view, score == scores::Score::entropy ? nullptr : labels.data(), DType::int64, out.data(),
                               pool);
    check("score " + std::to_string(number), Hash().add(out), kExpected[number]);
  }
  const Rows rows;
  const std::vector<MatrixView> models{view, other};
  for (const Isa isa : available_isas()) {
    scores::prediction_change(view, other, 1e-6, isa, out.data(), pool);
    check(std::string("prediction change ") + isa_name(isa), Hash().add(out), 0x7b6a6aa29c0057c5);
    scores::agreement(models, {"p", "q"}, isa, out.data(), pool);
    check(std::string("agreement ") + isa_name(isa), Hash().add(out), 0x02b8a6f756709272);
    std::vector<std::int32_t> clusters(at(Rows::kN));
    std::vector<float> cosine(at(Rows::kN));
    scores::spherical_kmeans(rows.view(), "x", {20, 5, 0, 7}, isa, pool, clusters.data(), cosine.data());
    check(std::string("k-means ") + isa_name(isa), Hash().add(clusters).add(cosine), 0x8c600086ce22349a);
  }
}

TEST(known_answers_of_selection) {
  const Rows rows;
  ThreadPool pool(kThreads);
  const graph::Csr kernel = kernel_of(neighbors_of(rows, 6, graph::Metric::cosine, Isa::scalar, pool), 6, pool);
  const std::vector<double> weights(kernel.values.begin(), kernel.values.end());
  const std::vector<double> values = numbers(Rows::kN, 8);
  const selection::Edges edges{Rows::kN, kernel.indptr.data(), kernel.indices.data(), weights.data()};
  std::vector<std::int64_t> ranks(values.size());
  std::iota(ranks.begin(), ranks.end(), 0);
  check("discount", Hash().add(selection::take_and_discount(edges, values.data(), ranks.data(), 500, pool)),
        0xae9b457fe024ffac);
  std::vector<float> highest(at(Rows::kN));
  const std::vector<std::int64_t> offsets{0, 10, 400, Rows::kN};
  for (const Isa isa : available_isas()) {
    selection::highest_earlier_cosine(rows.values.data(), Rows::kD, offsets.data(), 3, isa, highest.data(), pool);
    check(std::string("earlier cosines ") + isa_name(isa), Hash().add(highest), 0x466b287a53a1efa5);
  }
}

TEST(known_answers_of_the_solver) {
  const Rows rows;
  ThreadPool pool(kThreads);
  const graph::Csr kernel = kernel_of(neighbors_of(rows, 5, graph::Metric::cosine, Isa::scalar, pool), 5, pool);
  const std::vector<double> importance = numbers(Rows::kN, 9);
  solver::Problem problem;
  problem.importance = importance.data();
  problem.k = {Rows::kN, kernel.indptr.data(), kernel.indices.data(), kernel.values.data()};
  problem.alpha = 0.3;
  problem.budget = 400;
  using solver::Method;
  struct Expected {
    Method method;
    std::uint64_t hash;
  };
  constexpr Expected kExpected[] = {
      {Method::automatic, 0x190512838e2ffa7d},
      {Method::pgd, 0x265f85fbae871792},
      {Method::continuation, 0x28a624a81a3c85f6},
      {Method::softmax, 0x66efa80c32b9015a},
      {Method::annealed, 0xc6cb710f90799887},
      {Method::greedy, 0xc80ec765f50a271d},
      {Method::swap_annealing, 0x40e0b746fa4f0039},
      {Method::heat_bath, 0x04521a13212d1b47},
      {Method::lp, 0xa3bea9eac9377ef5},
  };
  for (const Expected& expected : kExpected) {
    solver::Options options;
    options.method = expected.method;
    options.effort = solver::Effort::fast;
    options.seed = 10;
    const solver::Result result = solver::solve(problem, options, pool);
    check(std::string("solver, method ") + std::to_string(static_cast<int>(expected.method)),
          Hash().add(result.indices).add(std::vector<double>{result.objective, result.upper_bound}), expected.hash);
  }
  // Few enough for the bound of the semidefinite relaxation.
  std::vector<std::int64_t> indptr{0};
  std::vector<std::int32_t> indices;
  std::vector<float> values;
  for (std::int64_t i = 0; i < 150; ++i) {
    for (std::int64_t e = kernel.indptr[at(i)]; e < kernel.indptr[at(i) + 1]; ++e)
      if (kernel.indices[at(e)] < 150) {
        indices.push_back(kernel.indices[at(e)]);
        values.push_back(kernel.values[at(e)]);
      }
    indptr.push_back(static_cast<std::int64_t>(indices.size()));
  }
  problem.k = {150, indptr.data(), indices.data(), values.data()};
  problem.budget = 40;
  solver::Options options;
  options.effort = solver::Effort::fast;
  options.bound = solver::BoundEffort::tight;
  const solver::Result result = solver::solve(problem, options, pool);
  check("solver, tight bound", Hash().add(result.indices).add(std::vector<double>{result.objective, result.upper_bound}),
        0x1a37d4653bdf6461);
}

TEST(known_answers_of_text) {
  std::string text;
  for (const double x : numbers(20'000, 14)) text += x < 0.2 ? ' ' : static_cast<char>('a' + static_cast<int>(26 * x));
  std::vector<std::uint32_t> entries(at(text::kCodePoints), 0);
  for (std::uint32_t c = 0; c < entries.size(); ++c)
    entries[c] = 4 * c + (c == ' ' ? text::kSpace : c >= 'a' && c <= 'z' ? text::kWord : text::kSymbol);
  const auto characters = std::make_shared<const text::Characters>(entries);
  ThreadPool pool(kThreads);
  for (const Isa isa : available_isas()) {
    const auto counts = [&](text::Hash hash) {
      text::NgramHasher hasher(characters, {hash, 2, 1000, isa});
      hasher.count({{text.data(), static_cast<std::int64_t>(text.size())}}, pool);
      return hasher.counts();
    };
    check(std::string("fast ") + isa_name(isa), Hash().add(counts(text::Hash::fast)), 0xb60d853b1ceac50e);
    check(std::string("SHA-256 ") + isa_name(isa), Hash().add(counts(text::Hash::sha256)), 0x64b4740f6a098caa);
  }
}

}  // namespace
