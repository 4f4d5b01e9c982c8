// Python's way into csrc/solver/cuda.
#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>

#include "bindings/cuda/bind.h"
#include "bindings/solver_names.h"
#include "core/errors.h"
#include "solver/cuda/solver.h"

namespace coremax::bindings {
namespace {

// K on a device, built once for many calls, which may come from any threads and in any streams.
class SymmetricGraph {
 public:
  SymmetricGraph(const std::optional<Array>& indptr, const Array& indices, const Array& values, const Place& place)
      : device_(place.device) {
    const std::size_t ndim = indptr ? 1 : 2;
    expect(indices, place, "indices", ndim, {DType::int32, DType::int64});
    expect(values, place, "values", ndim, {DType::float32, DType::float64});
    require(indices.shape == values.shape, "indices and values must be of the same shape");
    graph::NeighborLists lists;
    lists.indices = indices.data;
    lists.index_type = indices.dtype;
    lists.values = values.data;
    lists.value_type = values.dtype;
    if (indptr) {
      expect(*indptr, place, "indptr", 1, {DType::int64});
      lists.n = indptr->size(0) - 1;
      lists.indptr = static_cast<const std::int64_t*>(indptr->data);
    } else {
      lists.n = indices.size(0);
      lists.k = indices.size(1);
    }
    const std::int64_t n_lists = indptr ? indices.size(0) : checked_multiply(lists.n, lists.k);
    call_device(place, [&](const cuda::Stream& stream, Control& control) {
      kept_ = std::make_unique<Kept>();
      kept_->k = solver::on_cuda::symmetric(lists, n_lists, stream, &control);
      kept_->k.give_back_in(kept_->home.stream());  // the caller's stream may end before the graph does
    });
  }
  ~SymmetricGraph() {
    if (kept_ == nullptr) return;
    const cuda::CurrentDevice current(device_);
    kept_.reset();
  }
  SymmetricGraph(const SymmetricGraph&) = delete;
  SymmetricGraph& operator=(const SymmetricGraph&) = delete;

  // f(stream, control)
  template <class F>
  void use(const Place& place, F&& f) const {
    if (place.device != device_) throw py::value_error("the graph is on another device");
    call_device(place, [&](const cuda::Stream& stream, Control& control) {
      const cuda::Home::Use use(kept_->home, stream);
      f(stream, control);
    });
  }

  std::int64_t n() const { return view().n; }
  std::int64_t n_entries() const { return k().values.size(); }
  graph::CsrView view() const { return k().view(); }
  const solver::on_cuda::Symmetric& k() const { return kept_->k; }

 private:
  struct Kept {
    cuda::Home home;
    solver::on_cuda::Symmetric k;
  };
  int device_;
  std::unique_ptr<Kept> kept_;
};

solver::on_cuda::Problem problem_of(const Array& importance, const SymmetricGraph& graph, double alpha, std::int64_t budget,
                                    const Place& place) {
  expect(importance, place, "importance", 1, {DType::float32, DType::float64});
  require(importance.size(0) == graph.n(), "importance has " + std::to_string(importance.size(0)) +
                                               " elements, but graph has " + std::to_string(graph.n()) + " rows");
  return {importance.data, importance.dtype, graph.view(), graph.n_entries(), alpha, budget, nullptr};
}

py::dict solve(const Array& importance, const SymmetricGraph& graph, double alpha, std::int64_t budget,
               const std::optional<Array>& fixed, const std::optional<Array>& x0, const py::dict& options_given,
               const py::object& callback, const Array& indices, const Array& x, const Place& place) {
  solver::on_cuda::Problem problem = problem_of(importance, graph, alpha, budget, place);
  const std::int64_t n = graph.n();
  solver::Options options = solver_options(options_given);
  if (fixed) problem.fixed = static_cast<const std::int8_t*>(expect(*fixed, place, "fixed", 1, {DType::int8}).data);
  if (x0) options.x0 = static_cast<const double*>(expect(*x0, place, "x0", 1, {DType::float64}).data);
  require((!fixed || fixed->size(0) == n) && (!x0 || x0->size(0) == n),
          "fixed and x0 must have one element for each of importance");
  if (!callback.is_none()) options.callback = solver_callback(callback);
  const solver::on_cuda::Answer answer{output<std::int64_t>(indices, place, "indices", {budget}, DType::int64),
                                       output<double>(x, place, "x", {n}, DType::float64)};
  solver::Result result;
  graph.use(place, [&](const cuda::Stream& stream, Control& control) {
    result = solver::on_cuda::solve(problem, options, answer, stream, &control);
  });
  return solver_result(std::move(result));
}

double objective(const Array& importance, const SymmetricGraph& graph, const Array& indices, double alpha, const Place& place) {
  const solver::on_cuda::Problem problem = problem_of(importance, graph, alpha, 0, place);
  expect(indices, place, "indices", 1, {DType::int64});
  double value = 0;
  graph.use(place, [&](const cuda::Stream& stream, Control& control) {
    value =
        solver::on_cuda::objective(problem, static_cast<const std::int64_t*>(indices.data), indices.size(0), stream, &control);
  });
  return value;
}

void copy_graph(const SymmetricGraph& graph, const Array& indptr, const Array& indices, const Array& values,
                const Place& place) {
  auto* starts = output<std::int64_t>(indptr, place, "indptr", {graph.n() + 1}, DType::int64);
  auto* columns = output<std::int64_t>(indices, place, "indices", {graph.n_entries()}, DType::int64);
  auto* numbers = output<float>(values, place, "values", {graph.n_entries()}, DType::float32);
  graph.use(place, [&](const cuda::Stream& stream, Control&) {
    solver::on_cuda::copy_to(graph.k(), starts, columns, numbers, stream);
  });
}

}  // namespace

void bind_cuda_solver(py::module_& module) {
  py::class_<SymmetricGraph>(module, "SymmetricGraph", "The symmetric K of neighbour lists, on a device.")
      .def(py::init<const std::optional<Array>&, const Array&, const Array&, const Place&>(), py::arg("indptr"),
           py::arg("indices"), py::arg("values"), py::arg("place"))
      .def_property_readonly("n", &SymmetricGraph::n)
      .def_property_readonly("n_entries", &SymmetricGraph::n_entries)
      .def("copy_to", &copy_graph, py::arg("indptr"), py::arg("indices"), py::arg("values"), py::arg("place"));
  module.def("solve", &solve, py::arg("importance"), py::arg("graph"), py::arg("alpha"), py::arg("budget"), py::arg("fixed"),
             py::arg("x0"), py::arg("options"), py::arg("callback"), py::arg("indices"), py::arg("x"), py::arg("place"));
  module.def("objective", &objective, py::arg("importance"), py::arg("graph"), py::arg("indices"), py::arg("alpha"),
             py::arg("place"));
}

}  // namespace coremax::bindings
