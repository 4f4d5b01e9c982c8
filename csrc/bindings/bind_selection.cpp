// Python's way into csrc/selection.
#include <pybind11/stl.h>

#include "bindings/bind.h"
#include "core/errors.h"
#include "selection/selection.h"

namespace coremax::bindings {
namespace {

// [n + 1] row starts, ascending from 0 to `end`: a wrong call raises instead of reading elsewhere.
const std::int64_t* checked_starts(const Array& starts, const char* name, std::int64_t end) {
  const auto* data = static_cast<const std::int64_t*>(expect(starts, name, 1, {DType::int64}).data);
  const std::int64_t n = starts.size(0) - 1;
  require(n >= 0 && data[0] == 0 && data[n] == end, std::string(name) + " must start at 0 and end at " + std::to_string(end));
  for (std::int64_t i = 0; i < n; ++i)
    require(data[i] <= data[i + 1], [&] { return std::string(name) + " falls at " + std::to_string(i); });
  return data;
}

py::array_t<std::int64_t> take_and_discount(const Array& values, const Array& indptr, const Array& targets,
                                            const Array& weights, const Array& ranks, std::int64_t budget, int threads) {
  selection::Edges edges;
  edges.n = expect(values, "values", 1, {DType::float64}).size(0);
  edges.targets = static_cast<const std::int32_t*>(expect(targets, "targets", 1, {DType::int32}).data);
  edges.weights = static_cast<const double*>(expect(weights, "weights", 1, {DType::float64}).data);
  require(weights.size(0) == targets.size(0), "weights and targets differ in length");
  edges.indptr = checked_starts(indptr, "indptr", targets.size(0));
  require(expect(ranks, "ranks", 1, {DType::int64}).size(0) == edges.n, "ranks and values differ in length");
  require(indptr.size(0) == edges.n + 1, "indptr must have one element more than values");
  for (std::int64_t e = 0; e < targets.size(0); ++e) {
    require(edges.targets[e] >= 0 && edges.targets[e] < edges.n,
            [&] { return "targets[" + std::to_string(e) + "] is no element"; });
  }
  require(budget >= 0 && budget <= edges.n, "budget must be from 0 to the number of values");
  std::vector<std::int64_t> order;
  call_engine(threads, py::none(), [&](ThreadPool& pool) {
    order = selection::take_and_discount(edges, static_cast<const double*>(values.data),
                                         static_cast<const std::int64_t*>(ranks.data), budget, pool);
  });
  return adopt(std::move(order));
}

py::array_t<float> highest_earlier_cosine(const Array& rows, const Array& offsets, const std::string& isa_name, int threads,
                                          const py::object& progress) {
  expect(rows, "rows", 2, {DType::float32});
  require(rows.contiguous(), "rows must be contiguous");
  const std::int64_t* starts = checked_starts(offsets, "offsets", rows.size(0));
  py::array_t<float> out(rows.size(0));
  float* data = out.mutable_data();
  const Isa isa = resolve_isa(isa_name);
  call_engine(threads, progress, [&](ThreadPool& pool) {
    selection::highest_earlier_cosine(static_cast<const float*>(rows.data), rows.size(1), starts, offsets.size(0) - 1, isa,
                                      data, pool);
  });
  return out;
}

}  // namespace

void bind_selection(py::module_& module) {
  module.def("take_and_discount", &take_and_discount, py::arg("values"), py::arg("indptr"), py::arg("targets"),
             py::arg("weights"), py::arg("ranks"), py::arg("budget"), py::arg("threads"));
  module.def("highest_earlier_cosine", &highest_earlier_cosine, py::arg("rows"), py::arg("offsets"), py::arg("isa"),
             py::arg("threads"), py::arg("progress"));
}

}  // namespace coremax::bindings
