// The similarity graph: exact top-k neighbours of every row of a matrix, and the symmetric K built from any neighbour lists.
//
// Contract. Scores are float32 and canonical: lane l of 16 adds the products (or squared differences) of the columns
// congruent to l modulo 16 by fused multiply-add in column order; lanes are then added as l with l+8, l+4, l+2, l+1. So the
// result is the same bits on every ISA level, thread count and tile size. Neighbours are in descending similarity, ties to the
// lower number; a row is never its own neighbour, a duplicate of it may be. Input that is not finite, and a zero row under
// cosine, is an Error naming the row. Memory beyond the output is O(threads x tile); see extra_bytes().
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

// What topk allocates beyond its outputs, in bytes.
std::int64_t extra_bytes(std::int64_t n, std::int64_t d, std::int64_t k, Isa isa, int threads);

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
