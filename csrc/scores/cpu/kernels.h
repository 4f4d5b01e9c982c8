// What an ISA level provides to the scores: loops over one row of probabilities, as plain functions over raw pointers. All
// levels are compiled from rows.h, so they do the same operations in the same order and give the same bits.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace coremax::scores {

// Rows are copied to float64 and padded with zeros to a multiple of this; sums run over so many lanes.
constexpr std::int64_t kRowLanes = 8;

struct RowKernels {
  // row [n] into out [n rounded up to lanes]; *sum = their sum. False where an element is not in [0, most].
  bool (*load_float)(const float* row, std::int64_t n, double most, double* out, double* sum);
  bool (*load_double)(const double* row, std::int64_t n, double most, double* out, double* sum);
  // sum of p log p; n a multiple of kRowLanes, elements in [0, 2]; 0 log 0 = 0.
  double (*sum_plogp)(const double* p, std::int64_t n);
  // sum of |q (log(q + epsilon) - log(p + epsilon))|, epsilon in [1e-290, 1].
  double (*sum_divergence)(const double* p, const double* q, std::int64_t n, double epsilon);
};

extern const RowKernels kScalarRows;
#if defined(COREMAX_HAVE_AVX2)
extern const RowKernels kAvx2Rows;
#endif
#if defined(COREMAX_HAVE_AVX512)
extern const RowKernels kAvx512Rows;
#endif

}  // namespace coremax::scores
