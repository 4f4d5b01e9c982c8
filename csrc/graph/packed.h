// Rows in low precision, in the filter's layout, with what is needed to bound how far a filter's score is from the canonical
// one. Rows are grouped into blocks, which a Layout names; positions count rows through all blocks.
#pragma once

#include <cstdint>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "graph/bound.h"
#include "graph/graph.h"
#include "graph/rows.h"
#include "graph/search.h"

namespace coremax::graph {

// Which row stands where. Every block begins at a multiple of kGroupRows; positions that fill up its last group hold kNoRow.
struct Layout {
  static constexpr std::uint32_t kNoRow = UINT32_MAX;

  struct Block {
    std::int64_t first;   // position
    std::int64_t n_rows;  // without filling
    std::int64_t n_positions() const { return round_up(n_rows, kGroupRows); }
  };

  std::vector<std::uint32_t> row_at;  // of each position
  std::vector<Block> blocks;

  std::int64_t n_positions() const { return static_cast<std::int64_t>(row_at.size()); }
  // These rows in their order, in blocks of at most block_rows, a multiple of kGroupRows.
  static Layout in_order(std::vector<std::uint32_t> rows, std::int64_t block_rows);
};

// Turns rows into low precision. Thread-safe: what one worker needs is its Scratch.
class Packer {
 public:
  class Scratch {
   public:
    explicit Scratch(const Packer& packer);

   private:
    friend class Packer;
    AlignedBuffer<float> row;
    AlignedBuffer<float> rounded;
    AlignedBuffer<std::uint32_t> words;
  };
  // Where a group of kGroupRows rows goes.
  struct Group {
    std::uint32_t* words;
    float* scale;
    float* shift;
    ErrorTerms* terms;
  };

  // coarse_levels: 127 levels whatever the code, so that sums of products are the same whole numbers on every ISA level.
  Packer(const ScaledRows& source, Metric metric, const Filter& filter, bool coarse_levels = false);

  std::int64_t n_words() const { return n_words_; }
  // Whether any shift is other than zero.
  bool shifted() const { return metric_ == Metric::euclidean || !origin_.empty(); }
  // rows: kGroupRows of them, kNoRow where there is none.
  void pack(const std::uint32_t* rows, const Group& out, Scratch& scratch) const;
  // The same for vectors that are no rows of the source, but staged like them: one at a time, `at` in its group.
  void pack_vector(const float* vector, std::int64_t at, const Group& out, Scratch& scratch) const;

  static std::int64_t words_of(std::int64_t d, const Filter& filter);

 private:
  void find_origin();
  void quantise(const float* z, float* scale, float* shift, ErrorTerms* terms, Scratch& scratch) const;
  void clear(std::int64_t at, const Group& out) const;
  float round_to_integers(float* values, float scale, float levels) const;
  float round_to_bfloat16(const float* values, std::uint32_t* words) const;

  const ScaledRows& source_;
  const Metric metric_;
  const Code code_;
  const std::int64_t n_columns_;
  const std::int64_t n_words_;
  const float levels_;
  const float root_kappa_;
  const float eta_;
  std::vector<float> origin_;  // the common shift m; empty where there is none
  double origin_square_ = 0;
};

class PackedRows {
 public:
  PackedRows(const Packer& packer, const Layout& layout, ThreadPool& pool);

  std::int64_t n_words() const { return n_words_; }
  FilterSide side(std::int64_t position, std::int64_t n_positions, const float* thresholds) const {
    const float* shift = shifted_ ? shift_.data() + position : nullptr;
    return {words_.data() + position * n_words_, scale_.data() + position, shift, thresholds, n_positions / kGroupRows};
  }
  float shift(std::int64_t position) const { return shift_.data()[position]; }
  const ErrorTerms& terms(std::int64_t position) const { return terms_.data()[position]; }
  const ErrorTerms& block_terms(std::int64_t block) const { return block_terms_[static_cast<std::size_t>(block)]; }

  static std::int64_t bytes_per_position(std::int64_t n_words) {
    return n_words * 4 + 2 * static_cast<std::int64_t>(sizeof(float)) + static_cast<std::int64_t>(sizeof(ErrorTerms));
  }

 private:
  const std::int64_t n_words_;
  const bool shifted_;
  AlignedBuffer<std::uint32_t> words_;
  AlignedBuffer<float> scale_;
  AlignedBuffer<float> shift_;
  AlignedBuffer<ErrorTerms> terms_;
  std::vector<ErrorTerms> block_terms_;
};

}  // namespace coremax::graph
