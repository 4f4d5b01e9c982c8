// The exact top-k graph of a matrix on a CUDA device: same contract and same bits as coremax::graph::topk (graph/graph.h).
//
// Stages, all in the caller's stream: measure (norms, checks, scales) - pack (bfloat16, error bounds) - direct (each row
// against the blocks around its own, in float32: first thresholds) - then panel after panel of the triangle of block pairs,
// each as large as all before: filter (tensor cores, every pair once, for both rows) and merge (canonical scores of what
// passed, into the lists) - finish. What passes goes to one pool for all rows, linked by row; where it runs full, the filter
// stops before the next tile and goes on after a merge: nothing is lost. The host waits twice: for what is wrong with the
// input, and at the end.
#pragma once

#include <cstdint>
#include <string>

#include "core/control.h"
#include "core/views.h"
#include "cuda/device.h"
#include "graph/cuda/policy.h"
#include "graph/graph.h"

namespace coremax::graph::on_cuda {

// x.data, neighbors [n, k] and similarities [n, k] are the device's. search: direct, or coarse for the filter; automatic takes
// what is faster. Any k below n; n below 2^31. Waits for the end, at control's mercy where it is not null.
void topk(const MatrixView& x, std::int64_t k, Metric metric, Search search, const Tuning& tuning, const cuda::Stream& stream,
          Control* control, std::int64_t* neighbors, float* similarities);

// What it allocates beyond its outputs, in bytes, at most.
std::int64_t extra_bytes(std::int64_t n, std::int64_t d, std::int64_t k, Search search, const Tuning& tuning);

// ---- Rows against the centres of their classes: what scores by class are made of --------------------------------------------

// Rows in classes, on the device.
struct Classes {
  std::int64_t n_labels = 0;
  const std::int32_t* labels = nullptr;  // [n], from 0 to n_labels - 1
  const std::int64_t* order = nullptr;   // [n]: the rows by label, which is faster than any other order
};

// norms [n]; own [n]: the cosine of each row with the direction of the sum of its class's rows, each of length one; other [n]:
// the largest with another class's, -1 where there is none. The bits of graph::sum_by_label and graph::nearest_centres. Does
// not wait: *bad_row becomes the first row without a norm, where there is one before what it holds.
void cosines_with_centres(const MatrixView& x, const Classes& classes, double* norms, float* own, float* other,
                          std::uint64_t* bad_row, const cuda::Stream& stream);

// Brings a row that has no norm (under cosine: no direction) to the host, where its fault is put into words; x is called
// `name`.
[[noreturn]] void refuse_row(const MatrixView& x, const std::string& name, std::int64_t number, Metric metric,
                             const cuda::Stream& stream);

}  // namespace coremax::graph::on_cuda
