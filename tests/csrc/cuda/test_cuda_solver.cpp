// The solver on a device against the engine of the CPU: the same bits wherever the order of operations is the same, and what is
// promised elsewhere.
#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "on_device.h"
#include "solver/cuda/solver.h"
#include "solver/cuda/stages.h"
#include "solver/stages.h"
#include "solver_instances.h"

namespace {

using namespace coremax;
using namespace coremax::test;
using solver::Method;
using solver::Options;

// A problem with copies of its arrays on the device.
struct OnDevice {
  explicit OnDevice(const Problem& problem)
      : importance(to_device(std::vector<double>(problem.importance, problem.importance + problem.n()))),
        indptr(to_device(std::vector<std::int64_t>(problem.k.indptr, problem.k.indptr + problem.n() + 1))),
        indices(to_device(std::vector<std::int32_t>(problem.k.indices, problem.k.indices + problem.k.indptr[problem.n()]))),
        values(to_device(std::vector<float>(problem.k.values, problem.k.values + problem.k.indptr[problem.n()]))),
        elements{importance.data(),
                 {problem.n(), indptr.data(), indices.data(), values.data()},
                 problem.k.indptr[problem.n()],
                 problem.alpha,
                 problem.budget} {}
  cuda::Buffer<double> importance;
  cuda::Buffer<std::int64_t> indptr;
  cuda::Buffer<std::int32_t> indices;
  cuda::Buffer<float> values;
  solver::on_cuda::Elements elements;
};

// Some ten edges an element, the first without any; a hub with many.
struct Sample {
  explicit Sample(std::int64_t n, unsigned seed = 1) {
    std::mt19937 random(seed);
    Rows rows(at(n));
    for (std::int64_t i = 0; i < n; ++i) importance.push_back(static_cast<double>(random() % 10'000) / 10'000);
    const auto join = [&](std::int64_t i, std::int64_t j) {
      const auto known = [&](const auto& edge) { return edge.first == static_cast<std::int32_t>(j); };
      if (i != j && i > 0 && j > 0 && std::none_of(rows[at(i)].begin(), rows[at(i)].end(), known))
        connect(rows, i, j, static_cast<float>(random() % 1000 + 1) / 1000);
    };
    for (std::int64_t i = 1; i < n; ++i) {
      for (int e = 0; e < 4; ++e) join(i, static_cast<std::int64_t>(random()) % n);
      if (i % 3 == 0 && n > 3) join(i, 2);
    }
    k = csr_of(std::move(rows));
  }
  Problem problem(std::int64_t budget, double alpha) const { return problem_of(importance, k, budget, alpha); }
  std::vector<double> importance;
  graph::Csr k;
};

bool same_bits_of(const cuda::Buffer<double>& buffer, const Vector& vector) { return same_bits(to_host(buffer), vector); }

TEST(ascents_are_those_of_the_cpu) {
  for (const std::int64_t n : {std::int64_t{5}, std::int64_t{33}, std::int64_t{257}, std::int64_t{2500}}) {
    const Sample instance(n);
    for (const Method method : {Method::pgd, Method::continuation, Method::annealed, Method::softmax}) {
      const Problem problem = instance.problem(std::max<std::int64_t>(1, n / 3), 0.7);
      Options options;
      options.method = method;
      options.max_iterations = n > 1000 ? 3 : 12;
      ThreadPool pool(1);
      solver::Run run(options, pool);
      const solver::Spectrum ends = solver::spectrum(problem.k, options.seed, pool);
      const solver::Ascent expected = solver::ascend(problem, method, ends, run);
      in_orders(n > 1000 ? 0 : 2, [&] {
        const OnDevice device(problem);
        solver::on_cuda::TeamSpace space(n, kStream);
        solver::on_cuda::Call call(options, kStream, nullptr);
        const solver::Spectrum found =
            solver::on_cuda::spectrum(device.elements.k, device.elements.n_entries, options.seed, space, call);
        const std::string where = std::string(solver::name(method)) + ", n " + std::to_string(n);
        CHECK_AT(where, found.lowest == ends.lowest && found.highest == ends.highest && found.margin == ends.margin);
        const auto ascent = solver::on_cuda::ascend(device.elements, method, found, nullptr, space, call);
        CHECK_AT(where, same_bits(ascent.history, expected.history));
        CHECK_AT(where, same_bits_of(ascent.x, expected.x));
        CHECK_AT(where, same_bits_of(ascent.kx, expected.kx));
        CHECK_AT(where, ascent.status == expected.status && ascent.iterations == expected.iterations);
      });
    }
  }
}

struct Solved {
  solver::Result result;  // with indices and x
};

solver::Result solve_on_device(const Problem& problem, const Options& options, Control* control = nullptr) {
  const OnDevice device(problem);
  const auto n = problem.n();
  solver::on_cuda::Problem asked{
      device.importance.data(), DType::float64, device.elements.k, device.elements.n_entries, problem.alpha,
      problem.budget,           nullptr};
  cuda::Buffer<std::int8_t> fixed;
  if (problem.fixed != nullptr) {
    fixed = to_device(std::vector<std::int8_t>(problem.fixed, problem.fixed + n));
    asked.fixed = fixed.data();
  }
  Options on_device = options;
  cuda::Buffer<double> x0;
  if (options.x0 != nullptr) {
    x0 = to_device(std::vector<double>(options.x0, options.x0 + n));
    on_device.x0 = x0.data();
  }
  const cuda::Buffer<std::int64_t> indices(problem.budget, kStream, "indices");
  const cuda::Buffer<double> x(n, kStream, "x");
  solver::Result result = solver::on_cuda::solve(asked, on_device, {indices.data(), x.data()}, kStream, control);
  result.indices = to_host(indices);
  result.x = to_host(x);
  CHECK(solver::on_cuda::objective(asked, indices.data(), problem.budget, kStream, nullptr) == result.objective);
  return result;
}

// What the best swap would add to f, by gains in plain double; 0 where there is none.
double best_swap(const Problem& problem, const std::vector<std::int64_t>& subset) {
  std::vector<char> kept(at(problem.n()), 0);
  for (const std::int64_t i : subset) kept[at(i)] = 1;
  Vector gain(at(problem.n()));
  for (std::int64_t i = 0; i < problem.n(); ++i) {
    gain[at(i)] = problem.importance[i];
    for (std::int64_t e = problem.k.indptr[i]; e < problem.k.indptr[i + 1]; ++e)
      if (kept[at(problem.k.indices[e])]) gain[at(i)] -= 2 * problem.alpha * static_cast<double>(problem.k.values[e]);
  }
  double best = 0;
  for (std::int64_t i = 0; i < problem.n(); ++i)
    for (std::int64_t j = 0; j < problem.n(); ++j) {
      if (kept[at(i)] || !kept[at(j)] || (problem.fixed != nullptr && (problem.fixed[i] != 0 || problem.fixed[j] != 0)))
        continue;
      best = std::max(best, gain[at(i)] - gain[at(j)] + 2 * problem.alpha * solver::entry(problem.k, i, j));
    }
  return best;
}

// All that is promised of an answer, against that of the CPU.
void compare(const Problem& problem, Options options, const std::string& where, int orders = 1) {
  ThreadPool pool(1);
  options.bound = solver::BoundEffort::none;
  const solver::Result expected = solver::solve(problem, options, pool);
  const bool bounded = problem.n() <= 5;  // the bound takes longer here than all else; it has a test of its own
  if (bounded) options.bound = solver::BoundEffort::fast;
  solver::Result first;
  in_orders(orders, [&] {
    const solver::Result found = solve_on_device(problem, options);
    CHECK_AT(where, same_bits(found.history, expected.history));
    CHECK_AT(where, same_bits(found.x, expected.x));
    CHECK_AT(where,
             found.iterations == expected.iterations && found.status == expected.status && found.fixed == expected.fixed);
    CHECK_AT(where, found.method == expected.method);
    CHECK_AT(where, std::is_sorted(found.indices.begin(), found.indices.end()) &&
                        std::adjacent_find(found.indices.begin(), found.indices.end()) == found.indices.end());
    CHECK_AT(where, found.indices.front() >= 0 && found.indices.back() < problem.n());
    CHECK_AT(where, found.objective == solver::objective(problem, found.indices, pool));
    if (bounded) CHECK_AT(where, found.upper_bound >= found.objective && found.upper_bound >= expected.objective);
    for (const std::int64_t i : found.indices) CHECK_AT(where, problem.fixed == nullptr || problem.fixed[i] >= 0);
    if (problem.fixed != nullptr)
      CHECK_AT(where, std::count(problem.fixed, problem.fixed + problem.n(), 1) ==
                          std::count_if(found.indices.begin(), found.indices.end(),
                                        [&](std::int64_t i) { return problem.fixed[i] > 0; }));
    double size = 1e-300;
    for (std::int64_t i = 0; i < problem.n(); ++i) size = std::max(size, std::abs(problem.importance[i]));
    if (options.polish) CHECK_AT(where, best_swap(problem, found.indices) <= 1e-10 * (size + problem.alpha * 100));
    // Pairwise rounding loses nothing, nor does the polish.
    if (found.method != Method::greedy && !found.history.empty())
      CHECK_AT(where, found.objective >= found.history.back() - 1e-9 * std::abs(found.history.back()));
    if (first.indices.empty()) first = found;
    CHECK_AT(where, found.indices == first.indices && found.objective == first.objective && found.swaps == first.swaps &&
                        found.upper_bound == first.upper_bound);
  });
}

TEST(answers_on_a_device_are_local_optima_of_the_same_points) {
  for (const std::int64_t n : {std::int64_t{1}, std::int64_t{2}, std::int64_t{5}, std::int64_t{12}})
    for (const Method method : {Method::pgd, Method::continuation, Method::annealed, Method::softmax})
      for (const std::int64_t budget : {std::int64_t{1}, n / 2, n}) {
        if (budget < 1) continue;
        const Sample sample(n, static_cast<unsigned>(n));
        Options options;
        options.method = method;
        options.max_iterations = 6;
        compare(sample.problem(budget, 0.6), options,
                std::string(solver::name(method)) + ", n " + std::to_string(n) + ", budget " + std::to_string(budget));
      }
}

TEST(large_answers_on_a_device_are_local_optima) {
  for (const Method method : {Method::annealed, Method::softmax}) {
    const Sample sample(1100, 7);
    Options options;
    options.method = method;
    options.max_iterations = 4;
    compare(sample.problem(200, 0.6), options, solver::name(method), 0);
  }
}

TEST(symmetric_graphs_are_those_of_the_cpu) {
  std::mt19937 random(3);
  for (const std::int64_t n : {std::int64_t{1}, std::int64_t{2}, std::int64_t{40}, std::int64_t{300}})
    for (const bool coarse : {false, true}) {
      const std::int64_t k = 3;
      std::vector<std::int64_t> indices;
      std::vector<float> values;
      for (std::int64_t e = 0; e < n * k; ++e) {
        // Many name row 0, some name themselves, the same twice, or nobody.
        const auto draw = static_cast<std::int64_t>(random() % static_cast<unsigned>(n));
        indices.push_back(random() % 4 == 0 ? 0 : random() % 9 == 0 ? -1 : draw);
        values.push_back(coarse ? static_cast<float>(random() % 3) - 1 : static_cast<float>(random() % 10007) / 10007 - 0.2F);
      }
      ThreadPool pool(1);
      const graph::Csr expected =
          graph::symmetric({n, k, nullptr, indices.data(), DType::int64, values.data(), DType::float32}, pool);
      in_orders(2, [&] {
        const auto i = to_device(indices);
        const auto v = to_device(values);
        const auto found = solver::on_cuda::symmetric({n, k, nullptr, i.data(), DType::int64, v.data(), DType::float32}, n * k,
                                                      kStream, nullptr);
        const std::string where = "n " + std::to_string(n);
        CHECK_AT(where, to_host(found.indptr) == expected.indptr);
        CHECK_AT(where, to_host(found.indices) == expected.indices);
        CHECK_AT(where, to_host(found.values) == expected.values);
      });
    }
  const auto numbers = to_device(std::vector<std::int64_t>{1, 2});
  const auto values = to_device(std::vector<float>{1, 1});
  CHECK_THROWS(Error, "entry 1 of the lists names",
               solver::on_cuda::symmetric({2, 1, nullptr, numbers.data(), DType::int64, values.data(), DType::float32}, 2,
                                          kStream, nullptr));
}

TEST(solver_on_a_device_takes_what_is_fixed_and_a_start) {
  const std::int64_t n = 40;
  const Sample sample(n, 5);
  Problem problem = sample.problem(12, 0.6);
  Options options;
  options.method = Method::pgd;
  options.max_iterations = 5;
  std::vector<std::int8_t> fixed(at(n), 0);
  for (std::int64_t i = 0; i < n; i += 7) fixed[at(i)] = static_cast<std::int8_t>(i % 2 == 0 ? 1 : -1);
  problem.fixed = fixed.data();
  compare(problem, options, "fixed");
  Vector x0(at(n));
  for (std::int64_t i = 0; i < n; ++i) x0[at(i)] = static_cast<double>(i % 5) / 3;
  options.x0 = x0.data();
  compare(problem, options, "fixed, from x0");
  options.max_iterations = 0;
  options.polish = false;
  compare(sample.problem(12, 0.6), options, "x0 rounded");
}

TEST(solver_on_a_device_answers_at_extreme_scales) {
  for (const double scale : {0.0, 1e-300, 1e-30, 1e30, 1e95}) {
    Sample sample(20, 9);
    for (double& value : sample.importance) value *= scale;
    for (const double alpha : {0.0, 1e-300, 0.5, 1e60}) {
      Options options;
      options.method = Method::annealed;
      options.max_iterations = 3;
      compare(sample.problem(6, alpha), options, "scale " + std::to_string(scale) + ", alpha " + std::to_string(alpha), 0);
    }
  }
}

TEST(solver_on_a_device_refuses_and_gives_back) {
  Sample sample(30, 2);
  Options options;
  options.method = Method::annealed;
  options.max_iterations = 2;
  const Problem problem = sample.problem(8, 0.5);
  CHECK(with_memory_refused([&] { solve_on_device(problem, options); }) > 20);
  struct Stop : Control {
    void check() override { throw std::runtime_error("stop"); }
  } stop;
  CHECK_THROWS(std::runtime_error, "stop", solve_on_device(problem, options, &stop));
  int calls = 0;
  options.callback = [&](const solver::Iteration& it) {
    return ++calls == 1 && it.iteration == 1 && it.method == Method::annealed;
  };
  const solver::Result result = solve_on_device(problem, options);
  CHECK(calls == 1 && result.status == solver::Status::interrupted && result.iterations == 1 && result.indices.size() == 8);
  options.callback = nullptr;
  options.method = Method::greedy;
  CHECK_THROWS(Error, "method greedy runs on the CPU only", solve_on_device(problem, options));
  options.method = Method::pgd;
  sample.importance[3] = NAN;
  CHECK_THROWS(Error, "importance[3] is nan", solve_on_device(problem, options));
  sample.importance[3] = 1e101;
  CHECK_THROWS(Error, "importance[3] is 1e+101", solve_on_device(problem, options));
  sample.importance[3] = 0;
  sample.k.values[0] = -1;
  CHECK_THROWS(Error, "negative similarities", solve_on_device(problem, options));
}

TEST(the_shifted_bound_on_a_device_is_that_of_the_cpu) {
  int won = 0;
  for (const std::int64_t n : {std::int64_t{9}, std::int64_t{120}})
    for (const double alpha : {0.5, 3.0}) {
      const Sample sample(n, 11);
      const Problem problem = sample.problem(2 * n / 3, alpha);
      Options options;
      options.method = Method::annealed;
      options.max_iterations = 3;
      options.bound = solver::BoundEffort::none;
      if (n < 10) CHECK(solve_on_device(problem, options).bound_kind == solver::BoundKind::none);
      options.bound = solver::BoundEffort::fast;
      ThreadPool pool(1);
      solver::Run run(options, pool);
      in_orders(n < 10 ? 2 : 0, [&] {
        const solver::Result found = solve_on_device(problem, options);
        const std::string where = "n " + std::to_string(n) + ", alpha " + std::to_string(alpha);
        CHECK_AT(where, found.upper_bound >= found.objective);
        if (solver::is_enumerable(problem))
          CHECK_AT(where, found.upper_bound >= solver::enumerate(problem, pool).bound.value - 1e-9);
        if (found.fixed > 0) return;  // bounded without what is fixed
        solver::Subset subset(at(n), 0);
        for (const std::int64_t i : found.indices) subset[at(i)] = 1;
        const double shifted =
            solver::diagonal_shift_bound(problem, solver::spectrum(problem.k, options.seed, pool), subset, run).value;
        const double expected = std::min(shifted, solver::modular_bound(problem, pool).value);
        CHECK_AT(where + ", " + std::to_string(found.upper_bound) + " for " + std::to_string(expected),
                 std::abs(found.upper_bound - expected) <= 2e-3 * std::abs(expected));
        CHECK_AT(where, (found.bound_kind == solver::BoundKind::diagonal_shift) ==
                            (found.upper_bound < solver::modular_bound(problem, pool).value));
        won += found.bound_kind == solver::BoundKind::diagonal_shift;
      });
    }
  CHECK(won > 0);
}

TEST(symmetric_graphs_are_copied) {
  const std::vector<std::int64_t> numbers{1, 2, 0, -1, 1, 0};
  const std::vector<float> values{0.5F, 0.25F, 1.0F, 7.0F, 0.125F, 2.0F};
  ThreadPool pool(1);
  const graph::Csr expected =
      graph::symmetric({3, 2, nullptr, numbers.data(), DType::int64, values.data(), DType::float32}, pool);
  const auto there = to_device(numbers);
  const auto values_there = to_device(values);
  auto k = solver::on_cuda::symmetric({3, 2, nullptr, there.data(), DType::int64, values_there.data(), DType::float32}, 6,
                                      kStream, nullptr);
  const cuda::Buffer<std::int64_t> indptr(4, kStream, "indptr");
  const cuda::Buffer<std::int64_t> indices(k.indices.size(), kStream, "indices");
  const cuda::Buffer<float> similarities(k.indices.size(), kStream, "values");
  solver::on_cuda::copy_to(k, indptr.data(), indices.data(), similarities.data(), kStream);
  CHECK(to_host(indptr) == expected.indptr);
  CHECK(to_host(indices) == std::vector<std::int64_t>(expected.indices.begin(), expected.indices.end()));
  CHECK(to_host(similarities) == expected.values);
}

TEST(memory_of_a_home_is_given_back_behind_its_uses) {
  {
    const OwnStream owner;
    const OwnStream user;
    float result = 0;
    {
      cuda::Home home;
      cuda::Buffer<float> value(1, owner.view(), "a value");
      const float five = 5;
      cuda::copy(value.data(), &five, 1, owner.view(), "a value");
      owner.view().synchronize();
      value.give_back_in(home.stream());
      const cuda::Home::Use use(home, user.view());
      cuda::copy(&result, value.data(), 1, user.view(), "a value");
    }
    user.view().synchronize();
    CHECK(result == 5);
  }
  CHECK(emulator::live_allocations() == 0);
}

TEST(device_auto_is_the_best_of_several) {
  const Sample sample(24, 4);
  Options options;
  options.max_iterations = 3;
  options.bound = solver::BoundEffort::none;
  const solver::Result best = solve_on_device(sample.problem(8, 0.6), options);
  for (const Method method : {Method::continuation, Method::annealed}) {
    options.method = method;
    CHECK(solve_on_device(sample.problem(8, 0.6), options).objective <= best.objective);
  }
}

}  // namespace
