// Any bits as neighbour lists, importance and limits: K is symmetric with a zero diagonal, the answer is feasible, its
// objective is that of its elements, and no bound lies below it.
#include <algorithm>
#include <cmath>

#include "fuzz/input.h"
#include "graph/graph.h"
#include "solver/solver.h"

namespace {

using namespace coremax;

double entry(const graph::Csr& k, std::int64_t row, std::int32_t column) {
  const auto* begin = k.indices.data() + k.indptr[static_cast<std::size_t>(row)];
  const auto* end = k.indices.data() + k.indptr[static_cast<std::size_t>(row) + 1];
  const auto* found = std::lower_bound(begin, end, column);
  return found != end && *found == column ? static_cast<double>(k.values[static_cast<std::size_t>(found - k.indices.data())])
                                          : 0;
}

// Mostly in range and of common size, now and then any bits.
double real(fuzz::Input& input) {
  const std::uint8_t kind = input.next<std::uint8_t>();
  return kind < 8 ? input.next<double>() : kind < 128 ? (kind - 68) / 4.0 : input.next<std::int16_t>() / 1024.0;
}

void solve(fuzz::Input& input) {
  ThreadPool pool(1);
  graph::NeighborLists lists;
  lists.n = 1 + input.up_to(23);
  lists.k = input.up_to(4);
  const auto size = static_cast<std::size_t>(lists.n * lists.k);
  std::vector<std::int64_t> indices(size);
  std::vector<double> values(size);
  for (std::size_t i = 0; i < size; ++i) {
    const auto number = input.next<std::int8_t>();
    indices[i] = number >= 0 ? number % lists.n : number < -120 ? number : -1;
    values[i] = real(input);
  }
  lists.indices = indices.data();
  lists.values = values.data();
  lists.value_type = DType::float64;
  const graph::Csr k = graph::symmetric(lists, pool);
  for (std::int64_t i = 0; i < lists.n; ++i) {
    EXPECT(entry(k, i, static_cast<std::int32_t>(i)) == 0);
    for (std::int64_t e = k.indptr[static_cast<std::size_t>(i)]; e < k.indptr[static_cast<std::size_t>(i) + 1]; ++e)
      EXPECT(entry(k, k.indices[static_cast<std::size_t>(e)], static_cast<std::int32_t>(i)) ==
             static_cast<double>(k.values[static_cast<std::size_t>(e)]));
  }

  solver::Problem problem;
  std::vector<double> importance(static_cast<std::size_t>(lists.n));
  for (double& value : importance) value = real(input);
  problem.importance = importance.data();
  problem.k = {lists.n, k.indptr.data(), k.indices.data(), k.values.data()};
  problem.alpha = real(input);
  problem.budget = input.up_to(lists.n + 1);
  solver::Options options;
  options.method = static_cast<solver::Method>(input.up_to(8));
  options.effort = static_cast<solver::Effort>(input.up_to(2));
  options.bound = static_cast<solver::BoundEffort>(input.up_to(3));
  options.polish = input.up_to(3) != 0;
  options.max_iterations = input.up_to(1) == 0 ? -1 : input.up_to(20);
  options.seed = input.next<std::uint16_t>();
  const solver::Result result = solver::solve(problem, options, pool);

  EXPECT(static_cast<std::int64_t>(result.indices.size()) == problem.budget);
  EXPECT(std::is_sorted(result.indices.begin(), result.indices.end(), std::less_equal<>()));
  EXPECT(result.indices.front() >= 0 && result.indices.back() < lists.n);
  EXPECT(std::isfinite(result.objective));
  double total = 0, largest = 0;
  for (const std::int64_t i : result.indices) {
    total += importance[static_cast<std::size_t>(i)];
    largest += std::abs(importance[static_cast<std::size_t>(i)]);
    for (const std::int64_t j : result.indices) {
      const double share = problem.alpha * entry(k, i, static_cast<std::int32_t>(j));
      total -= share;
      largest += std::abs(share);
    }
  }
  // The solver works in a unit of its own, in which numbers that are not normal in the caller's lose digits.
  const double rounding = 1e-9 * largest + 1e-300;
  EXPECT(std::abs(total - result.objective) <= rounding);
  EXPECT(result.bound_kind == solver::BoundKind::none || result.upper_bound >= result.objective - rounding);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return coremax::fuzz::answers(data, size, solve);
}
