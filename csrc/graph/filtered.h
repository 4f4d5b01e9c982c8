// The filtered search in its steps, which the exact and the approximate mode put together in their own ways.
#pragma once

#include <cstdint>
#include <functional>
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
  static constexpr std::int64_t kFixedBytes = std::int64_t{256} << 20;
  static constexpr std::int64_t kPilotFromRows = 8192;
  static constexpr std::int64_t kPilotRows = 32;
  static constexpr std::int64_t kHopeFromRows = 1024;
  static constexpr std::int64_t kRowsPerSample = 48;
  static constexpr std::int64_t kMostSample = 384;

  FilteredSearch(const SearchSetup& setup, Layout layout, std::int64_t k);

  static std::int64_t block_rows(std::int64_t n, std::int64_t n_words, int threads);
  // Entries of a candidate list: what the documented formula (graph.h) leaves, within reason.
  static std::int64_t capacity_of(std::int64_t n, std::int64_t d, std::int64_t n_words, std::int64_t k);

  Collection& rows() { return rows_; }
  // Near blocks first, one diagonal of the triangle after the other: the pairs of a diagonal have few blocks in common.
  std::vector<PairSchedule::Pair> all_pairs() const;
  // How many pairs the filter lets pass for one row once its threshold is the best there is, on average over a few rows.
  double passing_per_row();
  // Lets thresholds start from what a sample of rows suggests; only for searches that then visit all pairs.
  void hope();
  void run(std::vector<PairSchedule::Pair> pairs);
  // Writes every row; rows that the pairs run have left with too little are answered alone, exactly.
  void finish(const Output& output);

  // Exact answers for some rows: answer(the rows, packed, in their order; a position there; its best), from any thread.
  using Answer = std::function<void(const Collection& queries, std::int64_t position, const std::vector<Found>& found)>;
  // known: null, or for each of them a score that its k-th best is known not to be below.
  void answer(std::vector<std::uint32_t> numbers, const Answer& answer, const std::vector<float>* known = nullptr);

 private:
  // score(predictor): a line that most rows' k-th best scores lie above.
  struct Hope {
    bool any = false;
    double offset = 0;
    double slope = 0;
    float score(float x) const { return static_cast<float>(offset + slope * static_cast<double>(x)); }
    static Hope fit(const std::vector<double>& x, const std::vector<double>& y);
  };
  static std::vector<std::uint32_t> evenly_spaced(std::int64_t n, std::int64_t count);
  float predictor(const PackedRows& packed, std::int64_t position) const;

  const SearchSetup& setup_;
  const std::int64_t k_;
  const std::int64_t capacity_;
  Collection rows_;
  std::vector<std::unique_ptr<Join>> joins_;
  Hope hope_;
};

}  // namespace coremax::graph
