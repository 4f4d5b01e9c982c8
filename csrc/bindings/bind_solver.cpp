// Python's way into csrc/solver.
#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include "bindings/bind.h"
#include "core/errors.h"
#include "solver/solver.h"

namespace coremax::bindings {
namespace {

const char* status_name(solver::Status status) {
  switch (status) {
    case solver::Status::converged: return "converged";
    case solver::Status::max_iterations: return "max_iterations";
    case solver::Status::time_limit: return "time_limit";
    case solver::Status::interrupted: return "interrupted";
  }
  return "unknown";
}

const char* bound_name(solver::BoundKind kind) {
  switch (kind) {
    case solver::BoundKind::none: return "none";
    case solver::BoundKind::modular: return "modular";
    case solver::BoundKind::diagonal_shift: return "diagonal-shift";
  }
  return "unknown";
}

// A problem over the caller's arrays; importance is brought to float64 here, once.
struct ProblemData {
  ProblemData(const Array& importance, const Array& indptr, const Array& indices, const Array& values, std::int64_t budget, double alpha) {
    expect(importance, "importance", 1, {DType::float32, DType::float64});
    expect(indptr, "indptr", 1, {DType::int64});
    expect(indices, "indices", 1, {DType::int32});
    expect(values, "values", 1, {DType::float32});
    const std::int64_t n = importance.size(0);
    require(indptr.size(0) == n + 1, "importance has " + std::to_string(n) + " elements, but the graph has " + std::to_string(indptr.size(0) - 1) + " rows");
    widened.resize(static_cast<std::size_t>(n));
    with_float_pointer(importance.data, importance.dtype, [&](const auto* p) { std::copy(p, p + n, widened.begin()); });
    problem = {widened.data(),
               {n, static_cast<const std::int64_t*>(indptr.data), static_cast<const std::int32_t*>(indices.data), static_cast<const float*>(values.data)},
               budget,
               alpha};
  }
  std::vector<double> widened;
  solver::Problem problem;
};

py::dict solve(const Array& importance, const Array& indptr, const Array& indices, const Array& values, std::int64_t budget, double alpha,
               std::int64_t max_iterations, double tolerance, double time_limit, bool polish, bool bound, std::uint64_t seed,
               const std::optional<Array>& x0, const py::object& callback, int threads, const py::object& progress) {
  const ProblemData data(importance, indptr, indices, values, budget, alpha);
  solver::Options options{max_iterations, tolerance, time_limit, polish, bound, seed, nullptr, nullptr};
  if (x0) {
    expect(*x0, "x0", 1, {DType::float64});
    require(x0->size(0) == data.problem.n(), "x0 must have one element for each of importance");
    options.x0 = static_cast<const double*>(x0->data);
  }
  if (!callback.is_none())
    options.callback = [&](std::int64_t iteration, double value, double seconds) {
      const py::gil_scoped_acquire gil;
      return py::cast<bool>(py::bool_(callback(iteration, value, seconds)));
    };
  solver::Result result;
  call_engine(threads, progress, [&](ThreadPool& pool) { result = solver::solve(data.problem, options, pool); });
  py::dict out;
  out["indices"] = adopt(std::move(result.indices));
  out["x"] = adopt(std::move(result.x));
  out["history"] = adopt(std::move(result.history));
  out["objective"] = result.objective;
  out["upper_bound"] = result.upper_bound;
  out["bound_kind"] = bound_name(result.bound_kind);
  out["status"] = status_name(result.status);
  out["iterations"] = result.iterations;
  out["swaps"] = result.swaps;
  const solver::Timings& t = result.timings;
  out["timings"] = py::dict(py::arg("spectrum") = t.spectrum, py::arg("gradient") = t.gradient, py::arg("rounding") = t.rounding,
                            py::arg("polish") = t.polish, py::arg("bound") = t.bound);
  return out;
}

double objective(const Array& importance, const Array& indptr, const Array& indices, const Array& values, const Array& subset, double alpha, int threads) {
  expect(subset, "indices", 1, {DType::int64});
  const auto* numbers = static_cast<const std::int64_t*>(subset.data);
  const ProblemData data(importance, indptr, indices, values, subset.size(0), alpha);
  std::vector<bool> seen(static_cast<std::size_t>(data.problem.n()), false);
  for (std::int64_t i = 0; i < subset.size(0); ++i) {
    require(numbers[i] >= 0 && numbers[i] < data.problem.n(), [&] {
      return "indices[" + std::to_string(i) + "] is " + std::to_string(numbers[i]) + ", but the graph has rows 0 to " +
             std::to_string(data.problem.n() - 1);
    });
    require(!seen[static_cast<std::size_t>(numbers[i])], [&] { return "indices[" + std::to_string(i) + "] repeats " + std::to_string(numbers[i]); });
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
  module.def("solve", &solve, py::arg("importance"), py::arg("indptr"), py::arg("indices"), py::arg("values"), py::arg("budget"), py::arg("alpha"),
             py::arg("max_iterations"), py::arg("tolerance"), py::arg("time_limit"), py::arg("polish"), py::arg("bound"), py::arg("seed"),
             py::arg("x0"), py::arg("callback"), py::arg("threads"), py::arg("progress"));
  module.def("objective", &objective, py::arg("importance"), py::arg("indptr"), py::arg("indices"), py::arg("values"), py::arg("subset"),
             py::arg("alpha"), py::arg("threads"));
}

}  // namespace coremax::bindings
