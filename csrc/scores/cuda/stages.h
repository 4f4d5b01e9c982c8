// Private to the scores on devices: the kernels, and what they hand to each other. Nothing here waits.
#pragma once

#include <cstdint>

#include "cuda/device.h"
#include "scores/cuda/scores.h"

namespace coremax::scores::on_cuda {

constexpr std::uint64_t kNone = ~std::uint64_t{0};

// ---- Labels ---------------------------------------------------------------------------------------------------------------

struct LabelReport {
  std::uint64_t first_bad = kNone;
  std::uint64_t largest = 0;  // of those that are not negative
};
void check_labels(const GivenLabels& labels, LabelReport* report, const cuda::Stream& stream);

// keys [n]: the labels; rows [n]: 0 to n - 1.
void prepare_labels(const GivenLabels& labels, std::uint64_t* keys, std::int64_t* rows, const cuda::Stream& stream);

// Of sorted keys, and the rows they are of: dense[rows[p]] = how many different keys are before keys[p]; *n_labels = how many
// there are.
void number_labels(const std::uint64_t* keys, const std::int64_t* rows, std::int64_t n, std::int32_t* dense,
                   std::int32_t* n_labels, const cuda::Stream& stream);

// ---- Probabilities --------------------------------------------------------------------------------------------------------

struct Expert {
  const void* rows = nullptr;
  std::int64_t stride = 0;
  bool wide = false;  // float64
};

struct Experts {
  const Expert* each = nullptr;  // [n_experts], on the device
  std::int64_t n_experts = 0;
  std::int64_t n = 0;
  std::int64_t n_classes = 0;
};

// scales [n_experts, n]: 1 / the sum of the row. *first_bad: row n_experts + expert of the first that is no distribution.
void measure_distributions(const Experts& experts, double* scales, std::uint64_t* first_bad, const cuda::Stream& stream);

// most: the largest divergence there is, not zero.
void agree(const Experts& experts, const double* scales, double most, double* out, const cuda::Stream& stream);

// ---- Values ---------------------------------------------------------------------------------------------------------------

// ratio [n] from the cosines.
void separate(const float* own, const float* other, std::int64_t n, double epsilon, bool take_log, double* ratio,
              const cuda::Stream& stream);

// total = (first ? 0 : total) + separability norm, divided by `count` where it is the last one; times agreement where that is
// not null.
void add_model(const double* separability, const double* norm, std::int64_t n, bool first, double* total,
               const cuda::Stream& stream);
void join(double* total, std::int64_t n, double count, const double* agreement, const cuda::Stream& stream);

}  // namespace coremax::scores::on_cuda
