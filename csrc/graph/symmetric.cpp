// K = (A + A^T) / 2 from neighbour lists: count both directions, scatter, then sort and merge every row on its own.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "core/errors.h"
#include "graph/graph.h"

namespace coremax::graph {
namespace {

struct Entry {
  std::int32_t column;
  float value;
};

// Reads the lists through their types, checking every entry once.
class Lists {
 public:
  explicit Lists(const NeighborLists& lists) : lists_(lists) {}

  std::int64_t begin(std::int64_t row) const { return lists_.indptr != nullptr ? lists_.indptr[row] : row * lists_.k; }
  std::int64_t end(std::int64_t row) const { return begin(row + 1); }

  // f(column, value) for every entry of a row that is present and off the diagonal.
  template <class F>
  void for_each(std::int64_t row, F&& f) const {
    for (std::int64_t e = begin(row); e < end(row); ++e) {
      const std::int64_t column = lists_.index_type == DType::int32 ? static_cast<const std::int32_t*>(lists_.indices)[e]
                                                                    : static_cast<const std::int64_t*>(lists_.indices)[e];
      if (column == -1) continue;
      require(column >= 0 && column < lists_.n, [&] {
        return "indices: row " + std::to_string(row) + " names neighbour " + std::to_string(column) +
               ", but the graph has rows 0 to " + std::to_string(lists_.n - 1);
      });
      const float value = lists_.value_type == DType::float32
                              ? static_cast<const float*>(lists_.values)[e]
                              : static_cast<float>(static_cast<const double*>(lists_.values)[e]);
      require(std::isfinite(value), [&] {
        return "values: the similarity of rows " + std::to_string(row) + " and " + std::to_string(column) + " is " +
               non_finite_name(value) + " in float32; similarities must be finite (-1 as the index marks an absent neighbour)";
      });
      if (column != row) f(static_cast<std::int32_t>(column), value);
    }
  }

 private:
  const NeighborLists& lists_;
};

// Sorts a row by column and adds up equal columns; returns how many entries are left. Values are ordered too, so that K_ij
// and K_ji are added up in the same order.
std::int64_t merge_row(Entry* row, std::int64_t count) {
  std::sort(row, row + count,
            [](const Entry& a, const Entry& b) { return a.column != b.column ? a.column < b.column : a.value < b.value; });
  std::int64_t kept = 0;
  for (std::int64_t e = 0; e < count;) {
    double sum = 0;
    const std::int32_t column = row[e].column;
    for (; e < count && row[e].column == column; ++e) sum += 0.5 * static_cast<double>(row[e].value);
    const auto value = static_cast<float>(sum);
    require(std::isfinite(value), [&] {
      return "values: the repeated entries of column " + std::to_string(column) + " add up to more than float32 holds";
    });
    row[kept++] = {column, value};
  }
  return kept;
}

}  // namespace

Csr symmetric(const NeighborLists& lists, ThreadPool& pool) {
  require(lists.n <= std::numeric_limits<std::int32_t>::max(),
          "a graph of " + std::to_string(lists.n) + " rows is too large: K is limited to 2^31 - 1 rows");
  const Lists source(lists);
  const std::int64_t n = lists.n;
  const auto at = [](auto& vector, std::int64_t i) -> auto& { return vector[static_cast<std::size_t>(i)]; };
  std::vector<std::int64_t> starts(static_cast<std::size_t>(n) + 1, 0);  // counts first, at i + 1, then their running sum
  for (std::int64_t i = 0; i < n; ++i) {
    if (i % kReductionBlock == 0) pool.check();
    source.for_each(i, [&](std::int32_t j, float) {
      ++at(starts, i + 1);
      ++at(starts, j + 1);
    });
  }
  for (std::int64_t i = 0; i < n; ++i) at(starts, i + 1) += at(starts, i);
  std::vector<Entry> entries(static_cast<std::size_t>(at(starts, n)));
  std::vector<std::int64_t> fill(starts.begin(), starts.end() - 1);
  for (std::int64_t i = 0; i < n; ++i) {
    if (i % kReductionBlock == 0) pool.check();
    source.for_each(i, [&](std::int32_t j, float value) {
      if (at(fill, i) == at(starts, i + 1)) refuse_changed("indices");
      at(entries, at(fill, i)++) = {j, value};
      if (at(fill, j) == at(starts, j + 1)) refuse_changed("indices");
      at(entries, at(fill, j)++) = {static_cast<std::int32_t>(i), value};
    });
  }

  std::vector<std::int64_t>& counts = fill;  // reused: entries left in each row
  parallel_for(pool, n, [&](std::int64_t i) {
    at(counts, i) = merge_row(entries.data() + at(starts, i), at(starts, i + 1) - at(starts, i));
  });
  Csr csr;
  csr.indptr.resize(static_cast<std::size_t>(n) + 1);
  for (std::int64_t i = 0; i < n; ++i) at(csr.indptr, i + 1) = at(csr.indptr, i) + at(counts, i);
  csr.indices.resize(static_cast<std::size_t>(at(csr.indptr, n)));
  csr.values.resize(csr.indices.size());
  parallel_for(pool, n, [&](std::int64_t i) {
    const Entry* row = entries.data() + at(starts, i);
    for (std::int64_t e = 0; e < at(counts, i); ++e) {
      at(csr.indices, at(csr.indptr, i) + e) = row[e].column;
      at(csr.values, at(csr.indptr, i) + e) = row[e].value;
    }
  });
  return csr;
}

}  // namespace coremax::graph
