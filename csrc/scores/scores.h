// Per-sample scores from predicted class probabilities, one pass over the rows, in float64.
// Contract: probabilities [n, C] are finite, within [0, 1] and sum to 1 per row up to kSumTolerance (half-precision softmax
// output passes, logits do not); labels are in [0, C). Anything else is an Error naming the place.
#pragma once

#include <cstdint>

#include "core/thread_pool.h"
#include "core/views.h"

namespace coremax::scores {

constexpr double kSumTolerance = 0.02;

enum class Score {
  el2n,     // Euclidean distance of the row to the one-hot label
  margin,   // 1 - (p_label - largest other p); without labels 1 - (largest p - second largest p)
  entropy,  // - sum p log p, in nats
};

// labels: int32 or int64 as label_type says; nullptr where the score needs none.
void from_probabilities(Score score, const MatrixView& probabilities, const void* labels, DType label_type, double* out, ThreadPool& pool);

}  // namespace coremax::scores
