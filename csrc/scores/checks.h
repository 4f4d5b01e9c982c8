// Private to the scores: rows of probabilities and labels, read and checked.
#pragma once

#include <cstdint>
#include <string>

#include "core/aligned_buffer.h"
#include "core/errors.h"
#include "core/thread_pool.h"
#include "core/views.h"
#include "isa/isa.h"
#include "scores/cpu/kernels.h"

namespace coremax::scores {

const RowKernels& rows_of(Isa isa);

// Throws what is wrong with row `number`, which is row `place` of the view, if anything is.
void check_distribution(const MatrixView& probabilities, const std::string& name, std::int64_t place, std::int64_t number);

// Row i into out, padded with zeros to whole lanes; returns its sum. An Error names the element of `name` that is no
// probability.
double load_probabilities(const RowKernels& kernels, const MatrixView& probabilities, const std::string& name, std::int64_t i,
                          double* out);

std::int64_t read_label(const void* labels, DType type, std::int64_t i, std::int64_t n_classes, const char* of);

// A few rows of float64 for every worker.
class RowBuffers {
 public:
  RowBuffers(std::int64_t n_rows, std::int64_t n_columns, const ThreadPool& pool)
      : n_rows_(n_rows),
        padded_((n_columns + kRowLanes - 1) / kRowLanes * kRowLanes),
        values_(checked_multiply(n_rows * pool.size(), padded_)) {}
  double* row(int worker, std::int64_t r) { return values_.data() + (worker * n_rows_ + r) * padded_; }
  std::int64_t padded() const { return padded_; }

 private:
  std::int64_t n_rows_;
  std::int64_t padded_;
  AlignedBuffer<double> values_;
};

// body(begin, end, worker) over blocks of rows.
template <class F>
void for_row_blocks(ThreadPool& pool, std::int64_t n, F&& body) {
  constexpr std::int64_t kRows = 512;
  pool.run((n + kRows - 1) / kRows, [&](std::int64_t block, ThreadPool::Worker& worker) {
    body(block * kRows, n < (block + 1) * kRows ? n : (block + 1) * kRows, worker.id());
  });
}

}  // namespace coremax::scores
