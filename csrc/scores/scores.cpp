// See scores.h for the formulas.
#include "scores/scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "core/errors.h"
#include "core/log.h"
#include "scores/checks.h"

namespace coremax::scores {
namespace {

// Names what is wrong with a row; every way of reading rows ends here.
template <class T>
void check_row(const T* row, const std::string& name, std::int64_t number, std::int64_t n_classes) {
  double sum = 0;
  for (std::int64_t c = 0; c < n_classes; ++c) {
    const double p = static_cast<double>(row[c]);
    if (!(p >= 0 && p <= 1 + kSumTolerance)) {
      const std::string place = name + "[" + std::to_string(number) + ", " + std::to_string(c) + "] is ";
      throw Error(ErrorKind::value,
                  std::isfinite(p) ? place + number_text(p) + ", outside [0, 1]; pass probabilities (a softmax), not logits"
                                   : place + non_finite_name(p) + "; probabilities must be finite");
    }
    sum += p;
  }
  require(std::abs(sum - 1) <= kSumTolerance, [&] {
    return "row " + std::to_string(number) + " of " + name + " sums to " + number_text(sum) +
           ", not 1; pass probabilities (a softmax)";
  });
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
        if (p > 0) result -= p * portable_log(p);
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

}  // namespace

const RowKernels& rows_of(Isa isa) {
  switch (isa) {
#if defined(COREMAX_HAVE_AVX2)
    case Isa::avx2:
      return kAvx2Rows;
#endif
#if defined(COREMAX_HAVE_AVX512)
    case Isa::avx512:
    case Isa::amx:
      return kAvx512Rows;
#endif
    default:
      return kScalarRows;
  }
}

void check_distribution(const MatrixView& probabilities, const std::string& name, std::int64_t place, std::int64_t number) {
  with_float_pointer(probabilities.data, probabilities.dtype, [&](const auto* data) {
    check_row(data + place * probabilities.row_stride, name, number, probabilities.n_cols);
  });
}

double load_probabilities(const RowKernels& kernels, const MatrixView& probabilities, const std::string& name, std::int64_t i,
                          double* out) {
  const std::int64_t n = probabilities.n_cols;
  return with_float_pointer(probabilities.data, probabilities.dtype, [&]<class T>(const T* data) {
    const T* row = data + i * probabilities.row_stride;
    double sum = 0;
    bool inside = false;
    if constexpr (sizeof(T) == sizeof(float))
      inside = kernels.load_float(row, n, 1 + kSumTolerance, out, &sum);
    else
      inside = kernels.load_double(row, n, 1 + kSumTolerance, out, &sum);
    if (!inside || !(std::abs(sum - 1) <= kSumTolerance)) {
      check_row(row, name, i, n);
      // Only a sum on the very edge, or memory written to meanwhile, comes here.
      if (!inside) refuse_changed(name.c_str());
    }
    return sum;
  });
}

std::int64_t read_label(const void* labels, DType type, std::int64_t i, std::int64_t n_classes, const char* of) {
  if (labels == nullptr) return -1;
  const std::int64_t label =
      type == DType::int32 ? static_cast<const std::int32_t*>(labels)[i] : static_cast<const std::int64_t*>(labels)[i];
  require(label >= 0 && label < n_classes, [&] {
    return "labels[" + std::to_string(i) + "] is " + std::to_string(label) + ", but " + of + " has classes 0 to " +
           std::to_string(n_classes - 1);
  });
  return label;
}

void logit_margin(const MatrixView& logits, const std::string& name, const void* labels, DType label_type, double* out,
                  ThreadPool& pool) {
  with_float_pointer(logits.data, logits.dtype, [&]<class T>(const T* data) {
    parallel_for(pool, logits.n_rows, [&](std::int64_t i) {
      const T* row = data + i * logits.row_stride;
      const std::int64_t label = read_label(labels, label_type, i, logits.n_cols, name.c_str());
      double other = -std::numeric_limits<double>::infinity();
      for (std::int64_t c = 0; c < logits.n_cols; ++c) {
        const double z = static_cast<double>(row[c]);
        require(std::isfinite(z), [&] {
          return name + "[" + std::to_string(i) + ", " + std::to_string(c) + "] is " + non_finite_name(z) +
                 "; logits must be finite";
        });
        if (c != label) other = std::max(other, z);
      }
      out[i] = logits.n_cols == 1 ? 0 : static_cast<double>(row[label]) - other;
    });
  });
}

void from_probabilities(Score score, const MatrixView& probabilities, const void* labels, DType label_type, double* out,
                        ThreadPool& pool) {
  const std::int64_t n_classes = probabilities.n_cols;
  with_float_pointer(probabilities.data, probabilities.dtype, [&](const auto* data) {
    parallel_for(pool, probabilities.n_rows, [&](std::int64_t i) {
      const auto* row = data + i * probabilities.row_stride;
      check_row(row, "probabilities", i, n_classes);
      out[i] = row_score(score, row, n_classes, read_label(labels, label_type, i, n_classes, "probabilities"));
    });
  });
}

}  // namespace coremax::scores
