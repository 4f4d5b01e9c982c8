// Private to the graph on devices: the kernels of the pass over classes. Nothing here waits.
#pragma once

#include <cstdint>

#include "core/views.h"
#include "cuda/device.h"
#include "graph/cuda/graph.h"

namespace coremax::graph::on_cuda {

// norms[i] of every row, and sums [n_labels, width]: += each row by its label, of length one, in whole multiples of 2^-30 as
// LabelSums has them. Rows that are refused are left out.
void sum_by_label(const MatrixView& x, const Classes& classes, std::int64_t width, double* norms, unsigned long long* sums,
                  std::uint64_t* bad_row, const cuda::Stream& stream);

// centres [n_labels, width]: the directions of the sums; zeros where a sum is zero.
void take_directions(const unsigned long long* sums, std::int64_t n_labels, std::int64_t width, float* centres,
                     const cuda::Stream& stream);

// Of every row, canonical cosines with its label's centre and the largest with another; -1 where there is none.
void compare(const MatrixView& x, const Classes& classes, const double* norms, const float* centres, std::int64_t width,
             float* own, float* other, const cuda::Stream& stream);

}  // namespace coremax::graph::on_cuda
