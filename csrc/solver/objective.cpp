// f, its gradient, and the product with K they share. All sums are in float64 and in an order that threads do not change.
#include <algorithm>
#include <numeric>

#include "solver/stages.h"
#include "solver/sums.h"

namespace coremax::solver {

Vector multiply(const graph::CsrView& k, const Vector& x, ThreadPool& pool) {
  Vector y(x.size());
  parallel_for(pool, k.n, [&](std::int64_t i) {
    double sum = 0;
    for (std::int64_t e = k.indptr[i]; e < k.indptr[i + 1]; ++e) sum += static_cast<double>(k.values[e]) * x[at(k.indices[e])];
    y[at(i)] = sum;
  });
  return y;
}

double relaxed_objective(const Problem& problem, const Vector& x, const Vector& kx, ThreadPool& pool) {
  return ordered_sum(pool, problem.n(),
                     [&](std::int64_t i) { return value_term(x[at(i)], problem.importance[i], problem.alpha, kx[at(i)]); });
}

Vector gains(const Problem& problem, const Vector& kx, ThreadPool& pool) {
  Vector g(kx.size());
  parallel_for(pool, problem.n(), [&](std::int64_t i) { g[at(i)] = gain(problem.importance[i], problem.alpha, kx[at(i)]); });
  return g;
}

Vector as_vector(const Subset& subset) { return Vector(subset.begin(), subset.end()); }

double subset_objective(const Problem& problem, const Subset& subset, ThreadPool& pool) {
  const Vector x = as_vector(subset);
  return relaxed_objective(problem, x, multiply(problem.k, x, pool), pool);
}

double entry(const graph::CsrView& k, std::int64_t i, std::int64_t j) {
  const std::int32_t* begin = k.indices + k.indptr[i];
  const std::int32_t* end = k.indices + k.indptr[i + 1];
  const std::int32_t* found = std::lower_bound(begin, end, static_cast<std::int32_t>(j));
  return found != end && *found == j ? static_cast<double>(k.values[found - k.indices]) : 0.0;
}

Subset largest(const Vector& values, std::int64_t count) {
  std::vector<std::int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  const auto better = [&](std::int64_t a, std::int64_t b) {
    return values[at(a)] > values[at(b)] || (values[at(a)] == values[at(b)] && a < b);
  };
  if (count < static_cast<std::int64_t>(order.size()))
    std::nth_element(order.begin(), order.begin() + count, order.end(), better);
  Subset subset(values.size(), 0);
  for (std::int64_t i = 0; i < count; ++i) subset[at(order[at(i)])] = 1;
  return subset;
}

}  // namespace coremax::solver
