// The similarity graph: exact top-k neighbours of every row of a matrix, and the symmetric K built from any neighbour lists.
//
// Contract. Exact: scores are float32 and canonical: lane l of 16 adds the products (or squared differences) of the columns
// congruent to l modulo 16 by fused multiply-add in column order; lanes are then added as l with l+8, l+4, l+2, l+1. So the
// result is the same bits on every ISA level, thread count and tile size. Neighbours are in descending similarity, ties to the
// lower number; a row is never its own neighbour, a duplicate of it may be. Input that is not finite, and a zero row under
// cosine, is an Error naming the row. Rows are read as they are, converted tile by tile: no copy of the input in float32.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "core/views.h"
#include "isa/isa.h"

namespace coremax::graph {

enum class Metric { cosine, dot, euclidean };

// How to search: automatic takes what is fastest. The others are for tests and benchmarks; results are the same bits.
enum class Search { automatic, direct, coarse, fine };

// similarity: cosine in [-1, 1]; dot; euclidean as 1 / (1 + distance).
// rows: nullptr, or n_rows numbers of rows of x to which the graph is restricted; neighbours are positions in that list.
void topk(const MatrixView& x, const std::int64_t* rows, std::int64_t n, std::int64_t k, Metric metric, Isa isa, Search search,
          ThreadPool& pool, std::int64_t* neighbors, float* similarities);

// The share of true neighbours found, estimated from rows that were answered exactly, with its 95 % confidence interval.
struct RecallEstimate {
  double recall = 1;
  double low = 1;
  double high = 1;
  std::int64_t n_sampled = 0;
};

// Approximate neighbours: all a row is given are true scores, but of the true neighbours only about the share `recall` is
// found. Deterministic for a seed, on any thread count. Small graphs and long lists are answered exactly.
RecallEstimate approximate(const MatrixView& x, const std::int64_t* rows, std::int64_t n, std::int64_t k, Metric metric,
                           Isa isa, double recall, std::uint64_t seed, ThreadPool& pool, std::int64_t* neighbors,
                           float* similarities);

// What a search allocates beyond its outputs, in bytes. Filtered: at most 2 n d + 64 n + 24 n k + 256 MB (for up to 16
// threads; d rounded up to a multiple of 64),
// of which the low-precision rows take n d (int8) or 2 n d (int16, bfloat16) and the candidate lists most of the rest. Direct:
// 8 n and a few megabytes per thread; slower, for when memory is short.
std::int64_t extra_bytes(std::int64_t n, std::int64_t d, std::int64_t k, Isa isa, Search search, int threads);
std::int64_t approximate_bytes(std::int64_t n, std::int64_t d, std::int64_t k, Isa isa, int threads);

// ---- Rows against a few vectors: what k-means and scores by class are made of ----------------------------------------------

// Rows of a matrix as unit vectors; a zero row stays zero, its cosine with anything is 0. They are read and converted block by
// block, once per pass. Errors name the matrix `name`.
struct UnitRows {
  MatrixView x;
  std::string name = "x";
  const std::int64_t* numbers = nullptr;  // of the rows meant; null: all, in order
  std::int64_t n = 0;
};

// Vectors in float32 as the kernels read them: 64-byte aligned rows of `width` floats, the columns beyond d zero.
class UnitCentres {
 public:
  UnitCentres(std::int64_t n, std::int64_t d);
  std::int64_t n() const { return n_; }
  std::int64_t d() const { return d_; }
  std::int64_t width() const { return width_; }
  float* row(std::int64_t c) { return values_.data() + c * width_; }
  const float* row(std::int64_t c) const { return values_.data() + c * width_; }
  // Row c becomes row `number` of x, of length one; false, and left alone, where that is zero.
  bool set(std::int64_t c, const UnitRows& rows, std::int64_t number);

 private:
  std::int64_t n_;
  std::int64_t d_;
  std::int64_t width_;
  AlignedBuffer<float> values_;  // rows padded to what the widest kernel takes at once
};

// Some rows as unit vectors in memory, to be compared with one vector after the other.
class StagedRows {
 public:
  StagedRows(const UnitRows& rows, ThreadPool& pool);
  const float* row(std::int64_t i) const { return rows_.row(i); }
  bool is_zero(std::int64_t i) const { return norms_[static_cast<std::size_t>(i)] == 0; }
  std::int64_t n_padded() const;
  // out [n_padded]: canonical cosines of all rows with `unit_row`; what comes after the rows means nothing.
  void cosines(const float* unit_row, Isa isa, ThreadPool& pool, float* out) const;

 private:
  UnitCentres rows_;
  std::vector<double> norms_;
};

// Sums of unit vectors by label. Entries are added as whole multiples of 2^-30, so that a sum is the same in any order: on any
// number of threads, and exactly zero for vectors that cancel. Up to 2^33 vectors.
class LabelSums {
 public:
  LabelSums(std::int64_t n_labels, std::int64_t d, const ThreadPool& pool);
  void clear();
  void add(int worker, std::int64_t label, const float* unit_row);
  // Brings the workers' shares together; then the direction of a label's sum into out [width], false and out left alone
  // where the sum is zero.
  void combine(ThreadPool& pool);
  bool direction(std::int64_t label, float* out) const;
  // Rows added that were not zero.
  std::int64_t count(std::int64_t label) const;

 private:
  std::int64_t n_labels_;
  std::int64_t width_;
  int n_sets_;
  bool shared_;
  AlignedBuffer<std::int64_t> sums_;  // [n_sets, n_labels, width + 1]: the last column counts
};

// sums[labels[i]] += row i; norms[i] = its norm, where norms is not null.
void sum_by_label(const UnitRows& rows, const std::int32_t* labels, double* norms, LabelSums& sums, ThreadPool& pool);

// For every row i the centre of largest cosine, `own[i]` left out where own is not null (then there must be two centres or
// more); ties to the lower number. Null outputs are left out.
struct Nearest {
  std::int32_t* centre = nullptr;
  float* cosine = nullptr;      // canonical, so the same bits everywhere; in [-1, 1]
  float* own_cosine = nullptr;  // with own[i]
  LabelSums* sums = nullptr;    // of the rows by centre
};
void nearest_centres(const UnitRows& rows, const UnitCentres& centres, const std::int32_t* own, Isa isa, const Nearest& out,
                     ThreadPool& pool);

// A sparse square matrix in compressed rows; columns ascend within a row.
struct CsrView {
  std::int64_t n = 0;
  const std::int64_t* indptr = nullptr;
  const std::int32_t* indices = nullptr;
  const float* values = nullptr;
};

struct Csr {
  std::vector<std::int64_t> indptr;
  std::vector<std::int32_t> indices;
  std::vector<float> values;
};

// Neighbour lists as they come: row i holds entries indptr[i] to indptr[i + 1], or i * k to (i + 1) * k if indptr is null.
struct NeighborLists {
  std::int64_t n = 0;
  std::int64_t k = 0;
  const std::int64_t* indptr = nullptr;
  const void* indices = nullptr;  // int32 or int64; -1 marks an absent neighbour
  DType index_type = DType::int64;
  const void* values = nullptr;  // float32 or float64
  DType value_type = DType::float32;
};

// K = (A + A^T) / 2 with a zero diagonal: entries of A on its diagonal are dropped, repeated entries are added up.
Csr symmetric(const NeighborLists& lists, ThreadPool& pool);

}  // namespace coremax::graph
