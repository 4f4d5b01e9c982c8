// See scores.h for the formulas.
#include "scores/scores.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/errors.h"

namespace coremax::scores {
namespace {

template <class T>
void check_row(const T* row, std::int64_t number, std::int64_t n_classes) {
  double sum = 0;
  for (std::int64_t c = 0; c < n_classes; ++c) {
    const double p = static_cast<double>(row[c]);
    if (!(p >= 0 && p <= 1 + kSumTolerance)) {
      const std::string place = "probabilities[" + std::to_string(number) + ", " + std::to_string(c) + "] is ";
      throw Error(ErrorKind::value, std::isfinite(p) ? place + number_text(p) + ", outside [0, 1]; pass probabilities (a softmax), not logits"
                                                     : place + non_finite_name(p) + "; probabilities must be finite");
    }
    sum += p;
  }
  require(std::abs(sum - 1) <= kSumTolerance,
          [&] { return "row " + std::to_string(number) + " of probabilities sums to " + number_text(sum) + ", not 1; pass probabilities (a softmax)"; });
}

template <class T>
double row_score(Score score, const T* row, std::int64_t n_classes, std::int64_t label) {
  double result = 0;
  switch (score) {
    case Score::el2n:
      for (std::int64_t c = 0; c < n_classes; ++c) {
        const double error = static_cast<double>(row[c]) - (c == label ? 1.0 : 0.0);
        result += error * error;
      }
      return std::sqrt(result);
    case Score::entropy:
      for (std::int64_t c = 0; c < n_classes; ++c) {
        const double p = static_cast<double>(row[c]);
        if (p > 0) result -= p * std::log(p);
      }
      return std::max(result, 0.0);  // p may exceed 1 by rounding
    case Score::margin: {
      if (label < 0) label = std::max_element(row, row + n_classes) - row;
      double other = 0;
      for (std::int64_t c = 0; c < n_classes; ++c)
        if (c != label) other = std::max(other, static_cast<double>(row[c]));
      return 1 - (static_cast<double>(row[label]) - other);
    }
  }
  return result;
}

std::int64_t read_label(const void* labels, DType type, std::int64_t i, std::int64_t n_classes) {
  if (labels == nullptr) return -1;
  const std::int64_t label = type == DType::int32 ? static_cast<const std::int32_t*>(labels)[i] : static_cast<const std::int64_t*>(labels)[i];
  require(label >= 0 && label < n_classes, [&] {
    return "labels[" + std::to_string(i) + "] is " + std::to_string(label) + ", but probabilities has classes 0 to " + std::to_string(n_classes - 1);
  });
  return label;
}

}  // namespace

void from_probabilities(Score score, const MatrixView& probabilities, const void* labels, DType label_type, double* out, ThreadPool& pool) {
  const std::int64_t n_classes = probabilities.n_cols;
  with_float_pointer(probabilities.data, probabilities.dtype, [&](const auto* data) {
    parallel_for(pool, probabilities.n_rows, [&](std::int64_t i) {
      const auto* row = data + i * probabilities.row_stride;
      check_row(row, i, n_classes);
      out[i] = row_score(score, row, n_classes, read_label(labels, label_type, i, n_classes));
    });
  });
}

}  // namespace coremax::scores
