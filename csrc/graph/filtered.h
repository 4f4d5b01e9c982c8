// The filtered search in its steps, which the exact and the approximate mode put together in their own ways.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "graph/join.h"
#include "graph/schedule.h"
#include "graph/search.h"

namespace coremax::graph {

class FilteredSearch {
 public:
  // A pair of blocks, and the lists of both, stay in a core's level-2 cache.
  static constexpr std::int64_t kBlockBytes = 128 * 1024;
  static constexpr std::int64_t kMostBlockRows = 1008;
  static constexpr std::int64_t kLeastBlockRows = 96;
  static constexpr std::int64_t kBlocksPerThread = 6;  // so many that a free pair is always found, and the end is even
  static constexpr std::int64_t kHopeFromRows = 8192;
  static constexpr std::int64_t kRowsPerSample = 128;
  static constexpr std::int64_t kMostSample = 384;

  FilteredSearch(const SearchSetup& setup, Layout layout, std::int64_t k);

  static std::int64_t block_rows(std::int64_t n, std::int64_t n_words, int threads);
  static std::int64_t capacity_of(std::int64_t k) { return 8 * k + 96; }

  Collection& rows() { return rows_; }
  // Near blocks first, one diagonal of the triangle after the other: the pairs of a diagonal have few blocks in common.
  std::vector<PairSchedule::Pair> all_pairs() const;
  // Lets thresholds start from what a sample of rows suggests; only for searches that then visit all pairs.
  void hope();
  void run(std::vector<PairSchedule::Pair> pairs);
  // Writes every row; rows that the pairs run have left with too little are answered alone, exactly.
  void finish(const Output& output);

  // Exact answers for some rows: answer(place in numbers, row, its best), from any thread.
  using Answer = std::function<void(std::int64_t at, std::uint32_t row, const std::vector<Found>& found)>;
  void answer(std::vector<std::uint32_t> numbers, const Answer& answer);

 private:
  const SearchSetup& setup_;
  const std::int64_t k_;
  const std::int64_t capacity_;
  Collection rows_;
  std::vector<std::unique_ptr<Join>> joins_;
  float hoped_ = -std::numeric_limits<float>::infinity();
};

}  // namespace coremax::graph
