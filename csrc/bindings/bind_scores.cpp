// Python's way into csrc/scores.
#include <pybind11/stl.h>

#include "bindings/bind.h"
#include "core/errors.h"
#include "scores/scores.h"

namespace coremax::bindings {
namespace {

scores::Score parse_score(const std::string& name) {
  if (name == "el2n") return scores::Score::el2n;
  if (name == "margin") return scores::Score::margin;
  if (name == "entropy") return scores::Score::entropy;
  throw Error(ErrorKind::value, "unknown score '" + name + "'");
}

py::array_t<double> from_probabilities(const std::string& name, const Array& probabilities, const std::optional<Array>& labels, int threads) {
  const scores::Score score = parse_score(name);
  const MatrixView view = matrix_view(probabilities, "probabilities", {DType::float32, DType::float64});
  require(view.n_rows >= 1 && view.n_cols >= 1, "probabilities is empty");
  require(labels.has_value() || score != scores::Score::el2n, "el2n needs labels");
  if (labels) {
    expect(*labels, "labels", 1, {DType::int32, DType::int64});
    require(labels->size(0) == view.n_rows, "labels has " + std::to_string(labels->size(0)) + " elements, but probabilities has " +
                                                std::to_string(view.n_rows) + " rows");
  }
  py::array_t<double> out(view.n_rows);
  double* data = out.mutable_data();
  call_engine(threads, py::none(), [&](ThreadPool& pool) {
    scores::from_probabilities(score, view, labels ? labels->data : nullptr, labels ? labels->dtype : DType::int64, data, pool);
  });
  return out;
}

}  // namespace

void bind_scores(py::module_& module) {
  module.def("score_probabilities", &from_probabilities, py::arg("score"), py::arg("probabilities"), py::arg("labels"), py::arg("threads"));
}

}  // namespace coremax::bindings
