// Rows of the caller's matrix as the tile kernels want them: float32, scaled, padded with zeros to whole vectors. Rows are
// converted tile by tile, so no input type and no scaling ever costs a second copy of the matrix.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/thread_pool.h"
#include "core/views.h"
#include "graph/elements.h"
#include "graph/graph.h"

namespace coremax::graph {

// Row `number` of x, scaled to length one, into out [width], zeros beyond its columns; returns its norm. A zero row stays zero.
// Checks the row as below; errors name the matrix `name`.
double stage_unit_row(const MatrixView& x, const std::string& name, std::int64_t number, std::int64_t width, float* out);

// Throws what is wrong with row `number`, which is row `place` of x (of that name), if anything is: see ScaledRows.
void check_row(const MatrixView& x, const std::string& name, std::int64_t place, std::int64_t number, Metric metric);

class ScaledRows {
 public:
  // Reads everything once: checks that it is finite (and, under cosine, not zero) and finds the scales.
  ScaledRows(const MatrixView& x, const std::int64_t* rows, std::int64_t n, Metric metric, ThreadPool& pool);

  std::int64_t n() const { return n_; }
  std::int64_t padded_columns() const { return round_up(x_.n_cols, kLanes); }
  // Rows first to first + count into out [count_padded, padded_columns()]; columns and rows beyond the data are zero.
  void stage(std::int64_t first, std::int64_t count, std::int64_t count_padded, float* out) const;
  // Row i alone.
  void stage_row(std::int64_t i, float* out) const;
  // Asks for the beginning of row i to be brought near, since it will be staged soon.
  void prefetch(std::int64_t i) const;
  std::int64_t columns() const { return x_.n_cols; }
  // The power of two that every row was multiplied by under dot and euclidean, so that nothing overflows or vanishes.
  double common_scale() const { return common_scale_; }

 private:
  std::int64_t number_of(std::int64_t i) const { return rows_ == nullptr ? i : rows_[i]; }

  const MatrixView x_;
  const std::int64_t* const rows_;
  const std::int64_t n_;
  double common_scale_ = 1;
  std::vector<double> row_scale_;  // cosine only: 1 / norm
};

}  // namespace coremax::graph
