// Python's way into csrc/scores.
#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/bind.h"
#include "core/errors.h"
#include "isa/isa.h"
#include "scores/scores.h"

namespace coremax::bindings {
namespace {

constexpr auto kFloatTypes = {DType::float32, DType::float64};
constexpr auto kEmbeddingTypes = {DType::float32, DType::float64, DType::float16, DType::bfloat16, DType::int8};

scores::Score parse_score(const std::string& name) {
  if (name == "el2n") return scores::Score::el2n;
  if (name == "margin") return scores::Score::margin;
  if (name == "entropy") return scores::Score::entropy;
  throw Error(ErrorKind::value, "unknown score '" + name + "'");
}

py::array_t<double> from_probabilities(const std::string& name, const Array& probabilities, const std::optional<Array>& labels,
                                       int threads) {
  const scores::Score score = parse_score(name);
  const MatrixView view = matrix_view(probabilities, "probabilities", kFloatTypes);
  require(view.n_rows >= 1 && view.n_cols >= 1, "probabilities is empty");
  require(labels.has_value() || score != scores::Score::el2n, "el2n needs labels");
  if (labels) {
    expect(*labels, "labels", 1, {DType::int32, DType::int64});
    require(labels->size(0) == view.n_rows, "labels has " + std::to_string(labels->size(0)) +
                                                " elements, but probabilities has " + std::to_string(view.n_rows) + " rows");
  }
  auto out = new_array<double>({view.n_rows});
  double* data = out.mutable_data();
  call_engine(threads, py::none(), [&](ThreadPool& pool) {
    scores::from_probabilities(score, view, labels ? labels->data : nullptr, labels ? labels->dtype : DType::int64, data, pool);
  });
  return out;
}

// Labels that the Python layer has made dense: 0 to n_labels - 1.
const std::int32_t* dense_labels(const Array& labels, std::int64_t n, std::int64_t n_labels) {
  expect(labels, "labels", 1, {DType::int32});
  require(labels.size(0) == n && n_labels >= 1, "labels do not fit the rows");
  const auto* data = static_cast<const std::int32_t*>(labels.data);
  require(std::all_of(data, data + n, [&](std::int32_t label) { return label >= 0 && label < n_labels; }),
          "labels are not dense");
  return data;
}

py::tuple separability(const Array& x, const std::string& name, const Array& labels, std::int64_t n_labels, double epsilon,
                       bool take_log, const std::string& isa_name, int threads) {
  const MatrixView view = matrix_view(x, "x", kEmbeddingTypes);
  const Isa isa = resolve_isa(isa_name);
  const std::int32_t* label_data = dense_labels(labels, view.n_rows, n_labels);
  auto ratio = new_array<double>({view.n_rows}), norm = new_array<double>({view.n_rows});
  double* ratio_out = ratio.mutable_data();
  double* norm_out = norm.mutable_data();
  call_engine(threads, py::none(), [&](ThreadPool& pool) {
    scores::separability(view, name, label_data, n_labels, epsilon, take_log, isa, ratio_out, norm_out, pool);
  });
  return py::make_tuple(ratio, norm);
}

py::array_t<double> agreement(const std::vector<Array>& models, const std::vector<std::string>& names,
                              const std::string& isa_name, int threads) {
  require(!models.empty() && models.size() == names.size(), "agreement needs models, each with a name");
  std::vector<MatrixView> views;
  for (const Array& model : models) {
    views.push_back(matrix_view(model, "probabilities", kFloatTypes));
    require(
        views.back().n_rows == views.front().n_rows && views.back().n_cols == views.front().n_cols && views.back().n_cols >= 1,
        "the models' probabilities differ in shape");
  }
  const Isa isa = resolve_isa(isa_name);
  auto out = new_array<double>({views.front().n_rows});
  double* data = out.mutable_data();
  call_engine(threads, py::none(), [&](ThreadPool& pool) { scores::agreement(views, names, isa, data, pool); });
  return out;
}

py::array_t<double> prediction_change(const Array& before, const Array& after, double epsilon, const std::string& isa_name,
                                      int threads) {
  const MatrixView p = matrix_view(before, "probabilities", kFloatTypes);
  const MatrixView q = matrix_view(after, "probabilities", kFloatTypes);
  require(p.n_rows == q.n_rows && p.n_cols == q.n_cols && p.n_cols >= 1, "the epochs' probabilities differ in shape");
  require(epsilon >= 1e-290 && epsilon <= 1, "epsilon is out of range");
  const Isa isa = resolve_isa(isa_name);
  auto out = new_array<double>({p.n_rows});
  double* data = out.mutable_data();
  call_engine(threads, py::none(), [&](ThreadPool& pool) { scores::prediction_change(p, q, epsilon, isa, data, pool); });
  return out;
}

py::array_t<double> logit_margin(const Array& logits, const std::string& name, const Array& labels, int threads) {
  const MatrixView view = matrix_view(logits, "logits", kFloatTypes);
  expect(labels, "labels", 1, {DType::int32, DType::int64});
  require(view.n_cols >= 1 && labels.size(0) == view.n_rows, "labels do not fit the logits");
  auto out = new_array<double>({view.n_rows});
  double* data = out.mutable_data();
  call_engine(threads, py::none(),
              [&](ThreadPool& pool) { scores::logit_margin(view, name, labels.data, labels.dtype, data, pool); });
  return out;
}

// A scaled copy.
py::array_t<double> robust_scale(const Array& values, double low, double high, double tolerance) {
  expect(values, "values", 1, {DType::float64});
  require(values.size(0) >= 1 && low >= 0 && low <= high && high <= 100, "percentiles are out of range");
  const auto* data = static_cast<const double*>(values.data);
  std::vector<double> scaled(data, data + values.size(0));
  scores::robust_scale(scaled.data(), values.size(0), low, high, tolerance);
  return adopt(std::move(scaled));
}

py::tuple spherical_kmeans(const Array& x, const std::string& name, std::int64_t n_clusters, std::int64_t iterations,
                           std::int64_t sample_per_cluster, std::uint64_t seed, const std::string& isa_name, int threads,
                           const py::object& progress) {
  const MatrixView view = matrix_view(x, "x", kEmbeddingTypes);
  require(view.n_rows >= 1 && view.n_cols >= 1, name + " is empty");
  const Isa isa = resolve_isa(isa_name);
  auto labels = new_array<std::int32_t>({view.n_rows});
  auto cosine = new_array<float>({view.n_rows});
  std::int32_t* labels_out = labels.mutable_data();
  float* cosine_out = cosine.mutable_data();
  std::optional<graph::UnitCentres> found;
  call_engine(threads, progress, [&](ThreadPool& pool) {
    found = scores::spherical_kmeans(view, name, {n_clusters, iterations, sample_per_cluster, seed}, isa, pool, labels_out,
                                     cosine_out);
  });
  auto centres = new_array<float>({found->n(), found->d()});
  for (std::int64_t c = 0; c < found->n(); ++c) std::copy_n(found->row(c), found->d(), centres.mutable_data(c, 0));
  return py::make_tuple(centres, labels, cosine);
}

}  // namespace

void bind_scores(py::module_& module) {
  module.def("score_probabilities", &from_probabilities, py::arg("score"), py::arg("probabilities"), py::arg("labels"),
             py::arg("threads"));
  module.def("separability", &separability, py::arg("x"), py::arg("name"), py::arg("labels"), py::arg("n_labels"),
             py::arg("epsilon"), py::arg("take_log"), py::arg("isa"), py::arg("threads"));
  module.def("agreement", &agreement, py::arg("models"), py::arg("names"), py::arg("isa"), py::arg("threads"));
  module.def("prediction_change", &prediction_change, py::arg("before"), py::arg("after"), py::arg("epsilon"), py::arg("isa"),
             py::arg("threads"));
  module.def("logit_margin", &logit_margin, py::arg("logits"), py::arg("name"), py::arg("labels"), py::arg("threads"));
  module.def("robust_scale", &robust_scale, py::arg("values"), py::arg("low"), py::arg("high"), py::arg("tolerance"));
  module.def("spherical_kmeans", &spherical_kmeans, py::arg("x"), py::arg("name"), py::arg("n_clusters"), py::arg("iterations"),
             py::arg("sample_per_cluster"), py::arg("seed"), py::arg("isa"), py::arg("threads"), py::arg("progress"));
}

}  // namespace coremax::bindings
