// The solver on a device against the engine of the CPU: the same bits wherever the order of operations is the same, and what is promised
// elsewhere.
#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "on_device.h"
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
        elements{importance.data(), {problem.n(), indptr.data(), indices.data(), values.data()}, problem.k.indptr[problem.n()], problem.alpha, problem.budget} {}
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
      if (i != j && i > 0 && j > 0 && std::none_of(rows[at(i)].begin(), rows[at(i)].end(), known)) connect(rows, i, j, static_cast<float>(random() % 1000 + 1) / 1000);
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
        const solver::Spectrum found = solver::on_cuda::spectrum(device.elements.k, device.elements.n_entries, options.seed, space, call);
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

}  // namespace
