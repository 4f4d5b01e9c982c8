// Python's way into csrc/solver.
#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include "bindings/bind.h"
#include "bindings/solver_names.h"
#include "core/errors.h"
#include "solver/solver.h"

namespace coremax::bindings {
namespace {

// A problem over the caller's arrays; importance is brought to float64 here, once.
struct ProblemData {
  ProblemData(const Array& importance, const Array& indptr, const Array& indices, const Array& values, double alpha) {
    expect(importance, "importance", 1, {DType::float32, DType::float64});
    expect(indptr, "indptr", 1, {DType::int64});
    expect(indices, "indices", 1, {DType::int32});
    expect(values, "values", 1, {DType::float32});
    const std::int64_t n = importance.size(0);
    require(indptr.size(0) == n + 1, "importance has " + std::to_string(n) + " elements, but the graph has " +
                                         std::to_string(indptr.size(0) - 1) + " rows");
    widened.resize(static_cast<std::size_t>(n));
    with_float_pointer(importance.data, importance.dtype, [&](const auto* p) { std::copy(p, p + n, widened.begin()); });
    problem.importance = widened.data();
    problem.k = {n, static_cast<const std::int64_t*>(indptr.data), static_cast<const std::int32_t*>(indices.data),
                 static_cast<const float*>(values.data)};
    problem.alpha = alpha;
  }
  // What limits the subset, checked by the caller in Python: the budget, and any of costs, groups and fixed elements.
  void limit(std::int64_t budget, double cost_limit, const std::optional<Array>& costs, const std::optional<Array>& groups,
             const std::vector<std::pair<std::int64_t, std::int64_t>>& limits, const std::optional<Array>& fixed) {
    problem.budget = budget;
    problem.cost_limit = cost_limit;
    problem.costs = column<double>(costs, "costs", DType::float64);
    problem.groups = column<std::int32_t>(groups, "groups", DType::int32);
    problem.fixed = column<std::int8_t>(fixed, "fixed", DType::int8);
    for (const auto& [low, high] : limits) problem.limits.push_back({low, high});
  }

  template <class T>
  const T* column(const std::optional<Array>& array, const char* name, DType dtype) const {
    if (!array) return nullptr;
    expect(*array, name, 1, {dtype});
    require(array->size(0) == problem.n(), std::string(name) + " must have one element for each of importance");
    return static_cast<const T*>(array->data);
  }

  std::vector<double> widened;
  solver::Problem problem;
};

py::dict solve(const Array& importance, const Array& indptr, const Array& indices, const Array& values, double alpha,
               std::int64_t budget, double cost_limit, const std::optional<Array>& costs, const std::optional<Array>& groups,
               const std::vector<std::pair<std::int64_t, std::int64_t>>& limits, const std::optional<Array>& fixed,
               const std::optional<Array>& within, const std::optional<Array>& x0, const py::dict& options_given,
               const py::object& callback, int threads, const py::object& progress) {
  ProblemData data(importance, indptr, indices, values, alpha);
  data.limit(budget, cost_limit, costs, groups, limits, fixed);
  solver::Options options = solver_options(options_given);
  if (x0) {
    expect(*x0, "x0", 1, {DType::float64});
    require(x0->size(0) == data.problem.n(), "x0 must have one element for each of importance");
    options.x0 = static_cast<const double*>(x0->data);
  }
  options.within = data.column<std::int8_t>(within, "within", DType::int8);
  if (!callback.is_none()) options.callback = solver_callback(callback);
  solver::Result result;
  call_engine(threads, progress, [&](ThreadPool& pool) { result = solver::solve(data.problem, options, pool); });
  const py::object indices_found = adopt(std::move(result.indices));
  const py::object x_found = adopt(std::move(result.x));
  py::dict out = solver_result(std::move(result));
  out["indices"] = indices_found;
  out["x"] = x_found;
  return out;
}

double objective(const Array& importance, const Array& indptr, const Array& indices, const Array& values, const Array& subset,
                 double alpha, int threads) {
  expect(subset, "indices", 1, {DType::int64});
  const auto* numbers = static_cast<const std::int64_t*>(subset.data);
  const ProblemData data(importance, indptr, indices, values, alpha);
  std::vector<bool> seen(static_cast<std::size_t>(data.problem.n()), false);
  for (std::int64_t i = 0; i < subset.size(0); ++i) {
    require(numbers[i] >= 0 && numbers[i] < data.problem.n(), [&] {
      return "indices[" + std::to_string(i) + "] is " + std::to_string(numbers[i]) + ", but the graph has rows 0 to " +
             std::to_string(data.problem.n() - 1);
    });
    require(!seen[static_cast<std::size_t>(numbers[i])],
            [&] { return "indices[" + std::to_string(i) + "] repeats " + std::to_string(numbers[i]); });
    seen[static_cast<std::size_t>(numbers[i])] = true;
  }
  double value = 0;
  call_engine(threads, py::none(), [&](ThreadPool& pool) {
    value = solver::objective(data.problem, std::vector<std::int64_t>(numbers, numbers + subset.size(0)), pool);
  });
  return value;
}

}  // namespace

void bind_solver(py::module_& module) {
  module.def("solve", &solve, py::arg("importance"), py::arg("indptr"), py::arg("indices"), py::arg("values"), py::arg("alpha"),
             py::arg("budget"), py::arg("cost_limit"), py::arg("costs"), py::arg("groups"), py::arg("limits"), py::arg("fixed"),
             py::arg("within"), py::arg("x0"), py::arg("options"), py::arg("callback"), py::arg("threads"),
             py::arg("progress"));
  module.def("objective", &objective, py::arg("importance"), py::arg("indptr"), py::arg("indices"), py::arg("values"),
             py::arg("subset"), py::arg("alpha"), py::arg("threads"));
}

}  // namespace coremax::bindings
