// Python's way into csrc/scores/cuda.
#include <pybind11/stl.h>

#include "bindings/cuda/bind.h"
#include "core/errors.h"
#include "scores/cuda/scores.h"

namespace coremax::bindings {
namespace {

using scores::on_cuda::Named;

// Matrices of n rows, with their names.
std::vector<Named> named(const std::vector<Array>& arrays, const std::vector<std::string>& names, std::int64_t n,
                         std::initializer_list<DType> dtypes, const Place& place) {
  require(arrays.size() == names.size(), "every array needs a name");
  std::vector<Named> result;
  for (std::size_t m = 0; m < arrays.size(); ++m) {
    const Array& array = expect(arrays[m], place, names[m].c_str(), 2, dtypes);
    require(array.rows_contiguous(), names[m] + ": the elements of a row must be adjacent");
    require(array.size(0) == n && array.size(1) >= 1, names[m] + " does not fit the labels");
    result.push_back({{array.data, array.dtype, array.size(0), array.size(1), array.strides.at(0)}, names[m]});
  }
  return result;
}

void sim(const std::vector<Array>& embeddings, const std::vector<std::string>& names,
         const std::vector<double>& norm_tolerances, const Array& labels, const std::vector<Array>& probabilities,
         const std::vector<std::string>& expert_names, double epsilon, bool take_log, double low, double high, bool rescale,
         const Array& out, const Place& place) {
  expect(labels, place, "labels", 1, {DType::int32, DType::int64});
  const std::int64_t n = labels.size(0);
  const auto models =
      named(embeddings, names, n, {DType::float32, DType::float64, DType::float16, DType::bfloat16, DType::int8}, place);
  const auto experts = named(probabilities, expert_names, n, {DType::float32, DType::float64}, place);
  require(!models.empty() && norm_tolerances.size() == models.size(), "sim needs embeddings, and for each a tolerance");
  for (const Named& expert : experts)
    require(expert.view.n_cols == experts.front().view.n_cols, "the experts' probabilities differ in shape");
  require(low >= 0 && low <= high && high <= 100, "percentiles are out of range");
  auto* data = output<double>(out, place, "out", {n}, DType::float64);
  const scores::on_cuda::GivenLabels given{labels.data, labels.dtype, n, experts.empty() ? 0 : experts.front().view.n_cols};
  call_device(place, [&](const cuda::Stream& stream, Control& control) {
    scores::on_cuda::sim(models, norm_tolerances, given, experts, {epsilon, take_log, low, high, rescale}, data, stream,
                         &control);
  });
}

}  // namespace

void bind_cuda_scores(py::module_& module) {
  module.def("sim", &sim, py::arg("embeddings"), py::arg("names"), py::arg("norm_tolerances"), py::arg("labels"),
             py::arg("probabilities"), py::arg("expert_names"), py::arg("epsilon"), py::arg("take_log"), py::arg("low"),
             py::arg("high"), py::arg("rescale"), py::arg("out"), py::arg("place"));
}

}  // namespace coremax::bindings
