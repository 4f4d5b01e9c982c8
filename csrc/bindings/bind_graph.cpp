// Python's way into csrc/graph.
#include <pybind11/stl.h>

#include "bindings/bind.h"
#include "bindings/graph_names.h"
#include "core/errors.h"
#include "graph/graph.h"

namespace coremax::bindings {
namespace {

constexpr auto kEmbeddingTypes = {DType::float32, DType::float64, DType::float16, DType::bfloat16, DType::int8};
constexpr auto kIndexTypes = {DType::int32, DType::int64};
constexpr auto kFloatTypes = {DType::float32, DType::float64};

py::tuple topk(const Array& x, const std::optional<Array>& rows, std::int64_t k, const std::string& metric_name,
               const std::string& isa_name, int threads, const py::object& progress, const std::string& search,
               std::optional<double> recall, std::uint64_t seed) {
  const MatrixView view = matrix_view(x, "x", kEmbeddingTypes);
  const graph::Metric metric = parse_metric(metric_name);
  const Isa isa = resolve_isa(isa_name);
  const std::int64_t* row_numbers = nullptr;
  std::int64_t n = view.n_rows;
  if (rows) {
    row_numbers = static_cast<const std::int64_t*>(expect(*rows, "rows", 1, {DType::int64}).data);
    n = rows->size(0);
    for (std::int64_t i = 0; i < n; ++i)
      require(row_numbers[i] >= 0 && row_numbers[i] < view.n_rows,
              [&] { return "rows[" + std::to_string(i) + "] is not a row of x"; });
  }
  require(k >= 1 && k < n, "k must be from 1 to n - 1 = " + std::to_string(n - 1) + ", got " + std::to_string(k));
  checked_multiply(checked_multiply(n, k), 8);
  auto neighbors = new_array<std::int64_t>({n, k});
  auto similarities = new_array<float>({n, k});
  std::int64_t* neighbors_out = neighbors.mutable_data();
  float* similarities_out = similarities.mutable_data();
  graph::RecallEstimate found;
  call_engine(threads, progress, [&](ThreadPool& pool) {
    if (recall)
      found = graph::approximate(view, row_numbers, n, k, metric, isa, *recall, seed, pool, neighbors_out, similarities_out);
    else
      graph::topk(view, row_numbers, n, k, metric, isa, parse_search(search), pool, neighbors_out, similarities_out);
  });
  return py::make_tuple(neighbors, similarities, py::make_tuple(found.recall, found.low, found.high, found.n_sampled));
}

py::tuple symmetric(const std::optional<Array>& indptr, const Array& indices, const Array& values, int threads) {
  const std::size_t ndim = indptr ? 1 : 2;
  graph::NeighborLists lists;
  std::vector<std::int64_t> pointers;
  expect(indices, "indices", ndim, kIndexTypes);
  expect(values, "values", ndim, kFloatTypes);
  require(indices.shape == values.shape, "indices and values must have the same shape");
  require(indices.contiguous() && values.contiguous(), "indices and values must be contiguous");
  if (indptr) {
    // A copy of its own: it is checked once and then trusted, whatever the caller does to the original meanwhile.
    const auto* given = static_cast<const std::int64_t*>(expect(*indptr, "indptr", 1, {DType::int64}).data);
    pointers.assign(given, given + indptr->size(0));
    lists.indptr = pointers.data();
    lists.n = indptr->size(0) - 1;
    require(lists.n >= 0 && lists.indptr[0] == 0 && lists.indptr[lists.n] == indices.size(0),
            "indptr must start at 0 and end at the number of indices, " + std::to_string(indices.size(0)));
    for (std::int64_t i = 0; i < lists.n; ++i)
      require(lists.indptr[i] <= lists.indptr[i + 1], [&] { return "indptr falls at row " + std::to_string(i); });
  } else {
    lists.n = indices.size(0);
    lists.k = indices.size(1);
  }
  lists.indices = indices.data;
  lists.index_type = indices.dtype;
  lists.values = values.data;
  lists.value_type = values.dtype;
  graph::Csr csr;
  call_engine(threads, py::none(), [&](ThreadPool& pool) { csr = graph::symmetric(lists, pool); });
  return py::make_tuple(adopt(std::move(csr.indptr)), adopt(std::move(csr.indices)), adopt(std::move(csr.values)));
}

}  // namespace

void bind_graph(py::module_& module) {
  module.def("topk", &topk, py::arg("x"), py::arg("rows"), py::arg("k"), py::arg("metric"), py::arg("isa"), py::arg("threads"),
             py::arg("progress"), py::arg("search") = "automatic", py::arg("recall") = py::none(), py::arg("seed") = 0);
  module.def(
      "topk_extra_bytes",
      [](std::int64_t n, std::int64_t d, std::int64_t k, const std::string& isa, const std::string& search, int threads) {
        if (search == "approximate") return graph::approximate_bytes(n, d, k, resolve_isa(isa), threads);
        return graph::extra_bytes(n, d, k, resolve_isa(isa), parse_search(search), threads);
      },
      py::arg("n"), py::arg("d"), py::arg("k"), py::arg("isa"), py::arg("search"), py::arg("threads"));
  module.def("symmetric", &symmetric, py::arg("indptr"), py::arg("indices"), py::arg("values"), py::arg("threads"));
}

}  // namespace coremax::bindings
