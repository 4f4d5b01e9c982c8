// Per-sample scores: from predictions, from embeddings with labels, from clusters.
//
// Probabilities: one pass over the rows, in float64. Contract: probabilities [n, C] are finite, within [0, 1] and sum to 1 per
// row up to kSumTolerance (half-precision softmax output passes, logits do not); labels are in [0, C). Anything else is an
// Error naming the place.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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
void from_probabilities(Score score, const MatrixView& probabilities, const void* labels, DType label_type, double* out,
                        ThreadPool& pool);

// out[i] = sum over classes of |q (log(q + epsilon) - log(p + epsilon))| for row i of p and of q, probabilities as above: how
// far predictions moved from one epoch (p) to the next (q).
void prediction_change(const MatrixView& p, const MatrixView& q, double epsilon, Isa isa, double* out, ThreadPool& pool);

// out[i] = z_label - max over the other classes of z, for logits of any scale; 0 with one class. Error naming `name` where not
// finite.
void logit_margin(const MatrixView& logits, const std::string& name, const void* labels, DType label_type, double* out,
                  ThreadPool& pool);

// ---- SIM: separability, integrity, model uncertainty (Grosz et al., ICPR 2024, as described) -----------------------------

// labels [n]: from 0 to n_labels - 1, each there at least once. norm[i] = the row's norm. ratio[i] = d_N / (d_P + epsilon) with
// d_P its cosine distance to its own class's centre and d_N that to the nearest other, 2 where there is one class only; a
// centre is the direction of the mean of unit rows; distances to a centre or of a row that is zero are 1. take_log: its
// logarithm, of at least epsilon. The same bits on any thread count and ISA level.
void separability(const MatrixView& x, const std::string& name, const std::int32_t* labels, std::int64_t n_labels,
                  double epsilon, bool take_log, Isa isa, double* ratio, double* norm, ThreadPool& pool);

// out[i] = 1 - JSD(rows i of the models) / log(min(number of models, n_classes)); 1 with one model or one class. Rows are
// scaled to sum 1 after the check.
void agreement(const std::vector<MatrixView>& models, const std::vector<std::string>& names, Isa isa, double* out,
               ThreadPool& pool);

// values to [0, 1]: linear between their percentiles `low` and `high`, clipped. Where the two are no further apart than a
// slack, tolerance times the larger magnitude: 1/2 between them and within the slack of them, 0 below, 1 above.
void robust_scale(double* values, std::int64_t n, double low, double high, double tolerance);

// ---- Clusters -----------------------------------------------------------------------------------------------------------

// Spherical k-means: unit vectors in clusters by cosine (Dhillon and Modha 2001). What ssp scores by, and what others cut data
// by. The same bits for a seed on any thread count and ISA level. Zero rows have no direction: they move no centre and count as
// nearest to centre 0. Where rows have fewer distinct directions than there are clusters, the spare centres repeat centre 0 and
// stay empty.
struct KMeansOptions {
  std::int64_t n_clusters = 1;
  std::int64_t iterations = 20;         // at most: it ends where no row changes its cluster
  std::int64_t sample_per_cluster = 0;  // centres are moved by this many rows per cluster, drawn evenly; 0: by all rows
  std::uint64_t seed = 0;
};

// labels [n], cosine [n] of every row with its centre. Error where all rows are zero.
graph::UnitCentres spherical_kmeans(const MatrixView& x, const std::string& name, const KMeansOptions& options, Isa isa,
                                    ThreadPool& pool, std::int32_t* labels, float* cosine);

}  // namespace coremax::scores
