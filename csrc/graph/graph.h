// The similarity graph: exact top-k neighbours of every row of a matrix, and the symmetric K built from any neighbour lists.
//
// Contract. Exact: scores are float32 and canonical: lane l of 16 adds the products (or squared differences) of the columns
// congruent to l modulo 16 by fused multiply-add in column order; lanes are then added as l with l+8, l+4, l+2, l+1. So the
// result is the same bits on every ISA level, thread count and tile size. Neighbours are in descending similarity, ties to the
// lower number; a row is never its own neighbour, a duplicate of it may be. Input that is not finite, and a zero row under
// cosine, is an Error naming the row. Rows are read as they are, converted tile by tile: no copy of the input in float32.
#pragma once

#include <cstdint>
#include <vector>

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
RecallEstimate approximate(const MatrixView& x, const std::int64_t* rows, std::int64_t n, std::int64_t k, Metric metric, Isa isa,
                           double recall, std::uint64_t seed, ThreadPool& pool, std::int64_t* neighbors, float* similarities);

// What a search allocates beyond its outputs, in bytes. Filtered: at most 2 n d + 64 n + 24 n k + 256 MB (for up to 16
// threads; d rounded up to a multiple of 64),
// of which the low-precision rows take n d (int8) or 2 n d (int16, bfloat16) and the candidate lists most of the rest. Direct:
// 8 n and a few megabytes per thread; slower, for when memory is short.
std::int64_t extra_bytes(std::int64_t n, std::int64_t d, std::int64_t k, Isa isa, Search search, int threads);
std::int64_t approximate_bytes(std::int64_t n, std::int64_t d, std::int64_t k, Isa isa, int threads);

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
