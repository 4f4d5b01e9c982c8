// Per-sample scores: from predicted class probabilities, from clusters.
//
// Probabilities: one pass over the rows, in float64. Contract: probabilities [n, C] are finite, within [0, 1] and sum to 1 per row up to kSumTolerance (half-precision softmax
// output passes, logits do not); labels are in [0, C). Anything else is an Error naming the place.
#pragma once

#include <cstdint>
#include <string>

#include "core/thread_pool.h"
#include "core/views.h"
#include "graph/graph.h"

namespace coremax::scores {

constexpr double kSumTolerance = 0.02;

enum class Score {
  el2n,     // Euclidean distance of the row to the one-hot label
  margin,   // 1 - (p_label - largest other p); without labels 1 - (largest p - second largest p)
  entropy,  // - sum p log p, in nats
};

// labels: int32 or int64 as label_type says; nullptr where the score needs none.
void from_probabilities(Score score, const MatrixView& probabilities, const void* labels, DType label_type, double* out, ThreadPool& pool);

// ---- Clusters -----------------------------------------------------------------------------------------------------------

// Spherical k-means: unit vectors in clusters by cosine (Dhillon and Modha 2001). What ssp scores by, and what others cut data
// by. The same bits for a seed on any thread count and ISA level. Zero rows have no direction: they move no centre and count as
// nearest to centre 0. Where rows have fewer distinct directions than there are clusters, the spare centres repeat centre 0 and
// stay empty.
struct KMeansOptions {
  std::int64_t n_clusters = 1;
  std::int64_t iterations = 20;        // at most: it ends where no row changes its cluster
  std::int64_t sample_per_cluster = 0;  // centres are moved by this many rows per cluster, drawn evenly; 0: by all rows
  std::uint64_t seed = 0;
};

// labels [n], cosine [n] of every row with its centre. Error where all rows are zero.
graph::UnitCentres spherical_kmeans(const MatrixView& x, const std::string& name, const KMeansOptions& options, Isa isa, ThreadPool& pool, std::int32_t* labels,
                                float* cosine);

}  // namespace coremax::scores
