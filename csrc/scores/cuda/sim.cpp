// The host's side: memory, the order of the stages, and errors.
#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

#include "core/errors.h"
#include "core/log.h"
#include "cuda/sort.h"
#include "graph/cuda/graph.h"
#include "scores/checks.h"
#include "scores/cuda/stages.h"

namespace coremax::scores::on_cuda {
namespace {

constexpr std::int64_t kMostRows = std::int64_t{1} << 31;

// The wait comes first: a copy to ordinary memory does not return before it is done, and nothing can stop it.
template <class T>
T wait_for(const T* memory, const char* what, const cuda::Stream& stream, Control* control) {
  stream.synchronize(control);
  return cuda::read_back(memory, stream, what, control);
}

template <class T>
cuda::Buffer<T> filled(const T& value, std::int64_t n, const char* what, const cuda::Stream& stream) {
  const std::vector<T> values(static_cast<std::size_t>(n), value);
  cuda::Buffer<T> buffer(n, stream, what);
  cuda::copy(buffer.data(), values.data(), n, stream, what);
  return buffer;
}

[[noreturn]] void refuse_label(const GivenLabels& labels, std::int64_t place, const cuda::Stream& stream) {
  std::int64_t label = 0;
  if (labels.dtype == DType::int32)
    label = cuda::read_back(static_cast<const std::int32_t*>(labels.data) + place, stream, "a label");
  else
    label = cuda::read_back(static_cast<const std::int64_t*>(labels.data) + place, stream, "a label");
  throw Error(ErrorKind::value,
              "labels[" + std::to_string(place) + "] is " + std::to_string(label) + ", but " +
                  (labels.n_classes == 0 ? "labels must not be negative"
                                         : "probabilities has classes 0 to " + std::to_string(labels.n_classes - 1)));
}

// The rows in classes that have a number each, from 0 on, in the order of the labels given.
class DenseLabels {
 public:
  DenseLabels(const GivenLabels& labels, const cuda::Stream& stream, Control* control)
      : keys_(labels.n, stream, "the labels"),
        rows_(labels.n, stream, "the rows by label"),
        dense_(labels.n, stream, "the labels") {
    const cuda::Buffer<LabelReport> report = filled(LabelReport{}, 1, "the check of the labels", stream);
    check_labels(labels, report.data(), stream);
    prepare_labels(labels, keys_.data(), rows_.data(), stream);
    const LabelReport found = wait_for(report.data(), "the check of the labels", stream, control);
    if (found.first_bad != kNone) refuse_label(labels, static_cast<std::int64_t>(found.first_bad), stream);
    cuda::sort_pairs(keys_, rows_, static_cast<int>(std::bit_width(found.largest)), stream);
    const cuda::Buffer<std::int32_t> n_labels(1, stream, "the number of classes");
    number_labels(keys_.data(), rows_.data(), labels.n, dense_.data(), n_labels.data(), stream);
    keys_ = {};
    n_labels_ = wait_for(n_labels.data(), "the number of classes", stream, control);
  }
  graph::on_cuda::Classes classes() const { return {n_labels_, dense_.data(), rows_.data()}; }

 private:
  cuda::Buffer<std::uint64_t> keys_;
  cuda::Buffer<std::int64_t> rows_;
  cuda::Buffer<std::int32_t> dense_;
  std::int64_t n_labels_ = 0;
};

// The experts' probabilities: measured, and compared.
class Panel {
 public:
  Panel(const std::vector<Named>& experts, const cuda::Stream& stream)
      : experts_(experts),
        each_(static_cast<std::int64_t>(experts.size()), stream, "the experts"),
        bad_(filled(kNone, 1, "the check of the probabilities", stream)) {
    std::vector<Expert> each;
    for (const Named& expert : experts)
      each.push_back({expert.view.data, expert.view.row_stride, expert.view.dtype == DType::float64});
    cuda::copy(each_.data(), each.data(), each_.size(), stream, "the experts");
    const MatrixView& first = experts.front().view;
    view_ = {each_.data(), each_.size(), first.n_rows, first.n_cols};
    scales_ = cuda::Buffer<double>(checked_multiply(view_.n_experts, view_.n), stream, "the scales of the probabilities");
    measure_distributions(view_, scales_.data(), bad_.data(), stream);
  }

  // False, and out left alone, where all agree for want of experts or of classes.
  bool agreement(double* out, const cuda::Stream& stream) const {
    const double most = portable_log(static_cast<double>(std::min(view_.n_experts, view_.n_classes)));
    if (most > 0) agree(view_, scales_.data(), most, out, stream);
    return most > 0;
  }

  // Waits.
  void check(const cuda::Stream& stream, Control* control) const {
    const std::uint64_t bad = wait_for(bad_.data(), "the check of the probabilities", stream, control);
    if (bad == kNone) return;
    const auto count = static_cast<std::uint64_t>(view_.n_experts);
    const Named& expert = experts_[static_cast<std::size_t>(bad % count)];
    const auto number = static_cast<std::int64_t>(bad / count);
    const std::int64_t size = item_size(expert.view.dtype);
    std::vector<double> row(static_cast<std::size_t>(expert.view.n_cols));  // room for either type
    cuda::copy(reinterpret_cast<std::byte*>(row.data()),
               static_cast<const std::byte*>(expert.view.data) + number * expert.view.row_stride * size,
               expert.view.n_cols * size, stream, "a row of probabilities");
    stream.synchronize();
    check_distribution({row.data(), expert.view.dtype, 1, expert.view.n_cols, expert.view.n_cols}, expert.name, 0, number);
    refuse_changed(expert.name.c_str());
  }

 private:
  const std::vector<Named>& experts_;
  cuda::Buffer<Expert> each_;
  cuda::Buffer<std::uint64_t> bad_;
  cuda::Buffer<double> scales_;
  Experts view_;
};

}  // namespace

void sim(const std::vector<Named>& models, const std::vector<double>& norm_tolerances, const GivenLabels& labels,
         const std::vector<Named>& experts, const SimOptions& options, double* out, const cuda::Stream& stream,
         Control* control) {
  const std::int64_t n = labels.n;
  require(n >= 1 && n < kMostRows, "sim on a device takes 1 to 2^31 - 1 rows, got " + std::to_string(n));
  const DenseLabels dense(labels, stream, control);
  const cuda::Buffer<double> ratio(n, stream, "separability");
  const cuda::Buffer<double> norm(n, stream, "the norms");
  const cuda::Buffer<std::uint64_t> bad_rows =
      filled(kNone, static_cast<std::int64_t>(models.size()), "the check of the embeddings", stream);
  {
    const cuda::Buffer<float> own(n, stream, "the cosines");
    const cuda::Buffer<float> other(n, stream, "the cosines");
    for (std::size_t m = 0; m < models.size(); ++m) {
      graph::on_cuda::cosines_with_centres(models[m].view, dense.classes(), norm.data(), own.data(), other.data(),
                                           bad_rows.data() + m, stream);
      separate(own.data(), other.data(), n, options.epsilon, options.take_log, ratio.data(), stream);
      robust_scale(ratio.data(), n, options.low, options.high, 0, stream);
      robust_scale(norm.data(), n, options.low, options.high, norm_tolerances[m], stream);
      add_model(ratio.data(), norm.data(), n, m == 0, out, stream);
    }
  }
  std::optional<Panel> panel;
  if (!experts.empty()) panel.emplace(experts, stream);
  const bool disagree = panel && panel->agreement(ratio.data(), stream);
  join(out, n, static_cast<double>(models.size()), disagree ? ratio.data() : nullptr, stream);
  if (options.rescale) robust_scale(out, n, 0, 100, 0, stream);
  stream.synchronize(control);
  std::vector<std::uint64_t> bad(models.size());
  cuda::copy(bad.data(), bad_rows.data(), bad_rows.size(), stream, "the check of the embeddings");
  stream.synchronize();
  for (std::size_t m = 0; m < models.size(); ++m)
    if (bad[m] != kNone)
      graph::on_cuda::refuse_row(models[m].view, models[m].name, static_cast<std::int64_t>(bad[m]), graph::Metric::cosine,
                                 stream);
  if (panel) panel->check(stream, control);
}

}  // namespace coremax::scores::on_cuda
