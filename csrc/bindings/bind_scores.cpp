// Python's way into csrc/scores.
#include <pybind11/stl.h>

#include "bindings/bind.h"
#include "core/errors.h"
#include "isa/isa.h"
#include "scores/scores.h"

namespace coremax::bindings {
namespace {

constexpr auto kEmbeddingTypes = {DType::float32, DType::float64, DType::float16, DType::bfloat16, DType::int8};

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

py::tuple spherical_kmeans(const Array& x, const std::string& name, std::int64_t n_clusters, std::int64_t iterations, std::int64_t sample_per_cluster,
                           std::uint64_t seed, const std::string& isa_name, int threads, const py::object& progress) {
  const MatrixView view = matrix_view(x, "x", kEmbeddingTypes);
  require(view.n_rows >= 1 && view.n_cols >= 1, name + " is empty");
  const Isa isa = resolve_isa(isa_name);
  py::array_t<std::int32_t> labels(view.n_rows);
  py::array_t<float> cosine(view.n_rows);
  std::int32_t* labels_out = labels.mutable_data();
  float* cosine_out = cosine.mutable_data();
  std::optional<graph::UnitCentres> found;
  call_engine(threads, progress, [&](ThreadPool& pool) {
    found = scores::spherical_kmeans(view, name, {n_clusters, iterations, sample_per_cluster, seed}, isa, pool, labels_out, cosine_out);
  });
  py::array_t<float> centres({found->n(), found->d()});
  for (std::int64_t c = 0; c < found->n(); ++c) std::copy_n(found->row(c), found->d(), centres.mutable_data(c, 0));
  return py::make_tuple(centres, labels, cosine);
}

}  // namespace

void bind_scores(py::module_& module) {
  module.def("score_probabilities", &from_probabilities, py::arg("score"), py::arg("probabilities"), py::arg("labels"), py::arg("threads"));
  module.def("spherical_kmeans", &spherical_kmeans, py::arg("x"), py::arg("name"), py::arg("n_clusters"), py::arg("iterations"),
             py::arg("sample_per_cluster"), py::arg("seed"), py::arg("isa"), py::arg("threads"), py::arg("progress"));
}

}  // namespace coremax::bindings
