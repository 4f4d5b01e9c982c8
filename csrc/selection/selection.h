// What selection methods do element by element and NumPy can not: the reverse messages of D2 pruning, and the pairs within
// clusters that semantic deduplication looks at.
// Contract: same result for any thread count; ties to the lower rank, or number where there are no ranks; inputs are finite.
#pragma once

#include <cstdint>
#include <vector>

#include "core/thread_pool.h"
#include "isa/isa.h"

namespace coremax::selection {

// A graph in compressed rows: the edges of row i are indptr[i] to indptr[i + 1], their targets in [0, n).
struct Edges {
  std::int64_t n = 0;
  const std::int64_t* indptr = nullptr;
  const std::int32_t* targets = nullptr;
  const double* weights = nullptr;  // in [0, 1]
};

// `budget` times: takes the element of highest value among those left and lowers each value its edges lead to by
// weight * its own value; of equal values the one of lowest rank, which are distinct. Values are within +-1e300. Returns the
// elements in the order taken. O(edges of the taken * log n).
std::vector<std::int64_t> take_and_discount(const Edges& edges, const double* values, const std::int64_t* ranks,
                                            std::int64_t budget, ThreadPool& pool);

// rows: [n, d] unit vectors, cluster after cluster; offsets: [n_clusters + 1] first rows of the clusters, ascending from 0 to
// n. out[i]: the highest inner product of row i with an earlier row of its cluster, within [-1, 1]; -1 for the first of a
// cluster. Large clusters are halved: the later half meets the earlier one in the graph's kernels (canonical sums), down to
// ranges of a few thousand rows, within which sums run in eight lanes. Either is off by at most (d / 8 + 8) 2^-24, and what is
// as near to 1 counts as 1, so that copies are alike wherever they lie. The same bits for any thread count and ISA level.
void highest_earlier_cosine(const float* rows, std::int64_t d, const std::int64_t* offsets, std::int64_t n_clusters, Isa isa,
                            float* out, ThreadPool& pool);

}  // namespace coremax::selection
