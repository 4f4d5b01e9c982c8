// Joining blocks of rows: the filter over their tiles, hits offered to the lists of both sides. One Join for each worker.
#pragma once

#include <cstdint>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "graph/candidates.h"
#include "graph/packed.h"
#include "graph/search.h"

namespace coremax::graph {

// What every part of one filtered search works with.
struct SearchSetup {
  const ScaledRows& source;
  Metric metric;
  const Scores& scores;
  const Filter& filter;
  const Packer& packer;
  ThreadPool& pool;

  const ScoreKernels& score_kernels() const { return metric == Metric::euclidean ? scores.negated_distance : scores.dot; }
};

// Rows in blocks, packed, with their candidate lists.
struct Collection {
  Collection(const SearchSetup& setup, Layout rows, std::int64_t k, std::int64_t capacity)
      : layout(std::move(rows)), packed(setup.packer, layout, setup.pool), lists(packed, layout, k, capacity) {}
  Collection(const Collection&) = delete;  // the parts refer to each other
  Collection& operator=(const Collection&) = delete;

  const Layout layout;
  const PackedRows packed;
  CandidateLists lists;

  std::int64_t n_blocks() const { return static_cast<std::int64_t>(layout.blocks.size()); }
  std::uint32_t row_at(std::int64_t position) const { return layout.row_at[static_cast<std::size_t>(position)]; }
};

class Join {
 public:
  explicit Join(const SearchSetup& setup);

  // Every pair of two blocks of a collection, for the lists of both; a == b is allowed.
  void blocks(Collection& rows, std::int64_t a, std::int64_t b, const ThreadPool::Worker& worker);
  // Every pair of a block of queries with a block of another collection, for the lists of the queries alone.
  void queries(Collection& queries, std::int64_t a, Collection& rows, std::int64_t b, const ThreadPool::Worker& worker);
  // Calls body(position, its best in final order) for every row of a block.
  template <class Body>
  void finish(Collection& rows, std::int64_t block, const ThreadPool::Worker& worker, Body&& body) {
    const Layout::Block& range = rows.layout.blocks[static_cast<std::size_t>(block)];
    rows.lists.prepare(range.first, rescorer_);
    for (std::int64_t p = range.first; p < range.first + range.n_rows; ++p) {
      if (p + 1 < range.first + range.n_rows) rows.lists.prepare(p + 1, rescorer_);
      rows.lists.finish(p, rescorer_, scratch_);
      body(p, scratch_.found);
      if (p % 64 == 0) worker.poll();
    }
  }

  std::int64_t n_scored() const { return rescorer_.n_scored(); }
  static std::int64_t bytes(std::int64_t width, std::int64_t block_rows);

 private:
  // One block of the pair: what its rows' products must reach against the other block.
  struct Side {
    Collection* rows = nullptr;
    std::int64_t first = 0;
    std::int64_t size = 0;
    bool closed = false;  // takes no offers
    std::vector<float> errors;
    AlignedBuffer<float> limits;

    void enter(Collection& collection, std::int64_t block, const ErrorTerms& other, bool is_closed);
    void set_limit(std::int64_t r);
  };

  void tiles(Side& rows, Side& columns, const ThreadPool::Worker& worker);
  void take(std::int64_t n_hits, Side& rows, std::int64_t first_row, Side& columns, std::int64_t first_column);
  void take_dense(Side& rows, std::int64_t first_row, std::int64_t n_rows, Side& columns, std::int64_t first_column,
                  std::int64_t n_columns);
  void offer_score(Side& side, std::int64_t r, const Side& other, std::int64_t c, float score);
  void offer(Side& side, std::int64_t r, const Side& other, std::int64_t c, float value, float error);

  const SearchSetup& setup_;
  Rescorer rescorer_;
  CandidateLists::Scratch scratch_;
  Side a_;
  Side b_;
  AlignedBuffer<std::uint32_t> places_;
  AlignedBuffer<float> products_;
  AlignedBuffer<float> staged_;  // rows and columns of a dense tile
  AlignedBuffer<float> tile_scores_;
};

}  // namespace coremax::graph
