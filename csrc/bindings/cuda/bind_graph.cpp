// Python's way into csrc/graph/cuda.
#include "bindings/cuda/bind.h"
#include "bindings/graph_names.h"
#include "core/errors.h"
#include "graph/cuda/graph.h"

namespace coremax::bindings {
namespace {

constexpr auto kEmbeddingTypes = {DType::float32, DType::float64, DType::float16, DType::bfloat16, DType::int8};

void topk(const Array& x, std::int64_t k, const std::string& metric_name, const std::string& search, const Array& neighbors,
          const Array& similarities, const Place& place) {
  expect(x, place, "x", 2, kEmbeddingTypes);
  require(x.rows_contiguous(), "x: the elements of a row must be adjacent");
  const MatrixView view{x.data, x.dtype, x.size(0), x.size(1), x.strides.at(0)};
  require(view.n_cols >= 1, "x must have a column");
  const graph::Metric metric = parse_metric(metric_name);
  require(k >= 1 && k < view.n_rows,
          "k must be from 1 to n - 1 = " + std::to_string(view.n_rows - 1) + ", got " + std::to_string(k));
  const std::vector<std::int64_t> shape{view.n_rows, k};
  auto* neighbors_out = output<std::int64_t>(neighbors, place, "neighbors", shape, DType::int64);
  auto* similarities_out = output<float>(similarities, place, "similarities", shape, DType::float32);
  call_device(place, [&](const cuda::Stream& stream, Control& control) {
    graph::on_cuda::topk(view, k, metric, parse_search(search), {}, stream, &control, neighbors_out, similarities_out);
  });
}

std::int64_t topk_extra_bytes(std::int64_t n, std::int64_t d, std::int64_t k, const std::string& search, const Place& place) {
  const cuda::CurrentDevice current(place.device);
  return graph::on_cuda::extra_bytes(n, d, k, parse_search(search), {});
}

}  // namespace

void bind_cuda_graph(py::module_& module) {
  module.def("topk", &topk, py::arg("x"), py::arg("k"), py::arg("metric"), py::arg("search"), py::arg("neighbors"),
             py::arg("similarities"), py::arg("place"));
  module.def("topk_extra_bytes", &topk_extra_bytes, py::arg("n"), py::arg("d"), py::arg("k"), py::arg("search"),
             py::arg("place"));
}

}  // namespace coremax::bindings
