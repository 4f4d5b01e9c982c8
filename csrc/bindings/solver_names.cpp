// See solver_names.h.
#include "bindings/solver_names.h"

#include <pybind11/stl.h>

#include <string>
#include <utility>

#include "bindings/array.h"
#include "core/errors.h"

namespace coremax::bindings {
namespace {

const char* status_name(solver::Status status) {
  switch (status) {
    case solver::Status::converged:
      return "converged";
    case solver::Status::max_iterations:
      return "max_iterations";
    case solver::Status::time_limit:
      return "time_limit";
    case solver::Status::interrupted:
      return "interrupted";
  }
  return "unknown";
}

const char* bound_name(solver::BoundKind kind) {
  switch (kind) {
    case solver::BoundKind::none:
      return "none";
    case solver::BoundKind::modular:
      return "modular";
    case solver::BoundKind::lp:
      return "lp";
    case solver::BoundKind::diagonal_shift:
      return "diagonal-shift";
    case solver::BoundKind::semidefinite:
      return "semidefinite";
    case solver::BoundKind::enumeration:
      return "enumeration";
  }
  return "unknown";
}

template <class Enum, std::size_t N>
Enum by_name(const std::string& text, const std::pair<const char*, Enum> (&names)[N]) {
  for (const auto& [known, value] : names)
    if (text == known) return value;
  throw Error(ErrorKind::value, "unknown name " + text);
}

solver::Method method_by_name(const std::string& text) {
  using solver::Method;
  for (const Method method : {Method::automatic, Method::pgd, Method::annealed, Method::continuation, Method::softmax,
                              Method::greedy, Method::swap_annealing, Method::heat_bath, Method::lp})
    if (text == solver::name(method)) return method;
  throw Error(ErrorKind::value, "unknown method " + text);
}

}  // namespace

solver::Options solver_options(const py::dict& given) {
  using solver::BoundEffort;
  using solver::Effort;
  solver::Options options;
  options.method = method_by_name(py::cast<std::string>(given["method"]));
  options.effort = by_name<Effort>(py::cast<std::string>(given["effort"]),
                                   {{"fast", Effort::fast}, {"default", Effort::standard}, {"best", Effort::best}});
  options.bound = by_name<BoundEffort>(py::cast<std::string>(given["bound"]), {{"none", BoundEffort::none},
                                                                               {"linear", BoundEffort::linear},
                                                                               {"fast", BoundEffort::fast},
                                                                               {"tight", BoundEffort::tight}});
  options.max_iterations = py::cast<std::int64_t>(given["max_iterations"]);
  options.tolerance = py::cast<double>(given["tolerance"]);
  options.temperature = py::cast<double>(given["temperature"]);
  options.time_limit = py::cast<double>(given["time_limit"]);
  options.polish = py::cast<bool>(given["polish"]);
  options.seed = py::cast<std::uint64_t>(given["seed"]);
  return options;
}

solver::Callback solver_callback(const py::object& function) {
  return [function = function.ptr()](const solver::Iteration& it) {
    const py::gil_scoped_acquire gil;
    const py::handle call(function);
    return py::cast<bool>(py::bool_(call(solver::name(it.method), it.iteration, it.objective, it.upper_bound, it.seconds)));
  };
}

py::dict solver_result(solver::Result result) {
  py::dict out;
  out["history"] = adopt(std::move(result.history));
  out["objective"] = result.objective;
  out["upper_bound"] = result.upper_bound;
  out["bound_kind"] = bound_name(result.bound_kind);
  out["status"] = status_name(result.status);
  out["method"] = solver::name(result.method);
  out["iterations"] = result.iterations;
  out["swaps"] = result.swaps;
  out["fixed"] = result.fixed;
  py::dict timings;
  for (const auto& [stage, seconds] : result.timings) timings[stage.c_str()] = seconds;
  out["timings"] = timings;
  return out;
}

}  // namespace coremax::bindings
