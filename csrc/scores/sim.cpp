// The parts of SIM. Separability takes two passes over the embeddings: one adds up the classes, one compares.
#include <algorithm>
#include <memory>

#include "core/errors.h"
#include "core/log.h"
#include "scores/checks.h"
#include "scores/cpu/kernels.h"
#include "scores/formulas.h"
#include "scores/scores.h"

namespace coremax::scores {

void separability(const MatrixView& x, const std::string& name, const std::int32_t* labels, std::int64_t n_labels,
                  double epsilon, bool take_log, Isa isa, double* ratio, double* norm, ThreadPool& pool) {
  const graph::UnitRows rows{x, name, nullptr, x.n_rows};
  graph::UnitCentres centres(n_labels, x.n_cols);
  {
    graph::LabelSums sums(n_labels, x.n_cols, pool);
    graph::sum_by_label(rows, labels, norm, sums, pool);
    for (std::int64_t c = 0; c < n_labels; ++c) sums.direction(c, centres.row(c));  // members that cancel leave a zero centre
  }
  std::vector<float> own(static_cast<std::size_t>(x.n_rows)), other(static_cast<std::size_t>(x.n_rows), -1.0f);
  if (n_labels > 1)
    graph::nearest_centres(rows, centres, labels, isa, {nullptr, other.data(), own.data(), nullptr}, pool);
  else
    graph::nearest_centres(rows, centres, nullptr, isa, {nullptr, own.data(), nullptr, nullptr}, pool);
  parallel_for(pool, x.n_rows, [&](std::int64_t i) {
    ratio[i] = separability_of(own[static_cast<std::size_t>(i)], other[static_cast<std::size_t>(i)], epsilon, take_log);
  });
}

void agreement(const std::vector<MatrixView>& models, const std::vector<std::string>& names, Isa isa, double* out,
               ThreadPool& pool) {
  const auto n_models = static_cast<std::int64_t>(models.size());
  const std::int64_t n = models.front().n_rows;
  const std::int64_t n_classes = models.front().n_cols;
  const RowKernels& kernels = rows_of(isa);
  const double largest = portable_log(static_cast<double>(std::min(n_models, n_classes)));
  RowBuffers buffers(2, n_classes, pool);
  for_row_blocks(pool, n, [&](std::int64_t begin, std::int64_t end, int worker) {
    double* row = buffers.row(worker, 0);
    double* mean = buffers.row(worker, 1);
    const std::int64_t padded = buffers.padded();
    for (std::int64_t i = begin; i < end; ++i) {
      std::fill_n(mean, padded, 0.0);
      double plogp = 0;
      for (std::int64_t k = 0; k < n_models; ++k) {
        const double scale =
            1 / load_probabilities(kernels, models[static_cast<std::size_t>(k)], names[static_cast<std::size_t>(k)], i, row);
        for (std::int64_t c = 0; c < padded; ++c) {
          row[c] *= scale;
          mean[c] += row[c];
        }
        if (largest > 0) plogp += kernels.sum_plogp(row, padded);
      }
      if (!(largest > 0)) {
        out[i] = 1;
        continue;
      }
      const auto count = static_cast<double>(n_models);
      for (std::int64_t c = 0; c < padded; ++c) mean[c] /= count;
      const double divergence = plogp / count - kernels.sum_plogp(mean, padded);
      out[i] = std::clamp(1 - divergence / largest, 0.0, 1.0);
    }
  });
}

void prediction_change(const MatrixView& p, const MatrixView& q, double epsilon, Isa isa, double* out, ThreadPool& pool) {
  const RowKernels& kernels = rows_of(isa);
  RowBuffers buffers(2, p.n_cols, pool);
  for_row_blocks(pool, p.n_rows, [&](std::int64_t begin, std::int64_t end, int worker) {
    for (std::int64_t i = begin; i < end; ++i) {
      load_probabilities(kernels, p, "probabilities", i, buffers.row(worker, 0));
      load_probabilities(kernels, q, "probabilities", i, buffers.row(worker, 1));
      out[i] = kernels.sum_divergence(buffers.row(worker, 0), buffers.row(worker, 1), buffers.padded(), epsilon);
    }
  });
}

namespace {

// By linear interpolation between ranks; reorders the values.
double percentile(double* values, std::int64_t n, double percent) {
  const Percentile place = Percentile::of(percent, n);
  std::nth_element(values, values + place.rank, values + n);
  const double lower = values[place.rank];
  return place.value(lower, place.share == 0 ? lower : *std::min_element(values + place.rank + 1, values + n));
}

}  // namespace

void robust_scale(double* values, std::int64_t n, double low, double high, double tolerance) {
  std::vector<double> sorted(values, values + n);
  const double bottom = percentile(sorted.data(), n, low);
  const RobustScale scale = RobustScale::between(bottom, percentile(sorted.data(), n, high), tolerance);
  for (std::int64_t i = 0; i < n; ++i) values[i] = scale(values[i]);
}

}  // namespace coremax::scores
