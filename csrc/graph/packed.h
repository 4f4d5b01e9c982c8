// Rows in low precision, in the filter's layout, with what is needed to bound how far a filter's score is from the canonical
// one. Rows are grouped into blocks, which a Layout names; positions count rows through all blocks.
#pragma once

#include <cstdint>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "graph/graph.h"
#include "graph/rows.h"
#include "graph/search.h"

namespace coremax::graph {

// Which row stands where. Every block begins at a multiple of kGroupRows; positions that fill up its last group hold kNoRow.
struct Layout {
  static constexpr std::uint32_t kNoRow = UINT32_MAX;

  struct Block {
    std::int64_t first;    // position
    std::int64_t n_rows;   // without filling
    std::int64_t n_positions() const { return round_up(n_rows, kGroupRows); }
  };

  std::vector<std::uint32_t> row_at;  // of each position
  std::vector<Block> blocks;

  std::int64_t n_positions() const { return static_cast<std::int64_t>(row_at.size()); }
  // These rows in their order, in blocks of at most block_rows, a multiple of kGroupRows.
  static Layout in_order(std::vector<std::uint32_t> rows, std::int64_t block_rows);
};

// The error bound. Let z_p be row p as the canonical score reads it (float32, scaled), m the common shift (zero but for the
// euclidean metric, and for cosines of data that lie far off the origin), and c_p = s_p q_p + r_p its low-precision form: c_p = z_p - m, s_p the
// scale, q_p the stored numbers, r_p the residual, whose norm is measured as the row is packed. With kappa = 2 for euclidean
// and 1 otherwise the metric's score is exactly
//     S(p, q) = kappa c_p.c_q + g_p + g_q,     g_p = -|c_p|^2 (euclidean),  m.z_p - |m|^2 / 2 (cosine),  0 (dot),
// and the filter computes kappa s_p s_q q_p.q_q + g_p + g_q. By Cauchy-Schwarz the two differ by at most
//     kappa (|r_p| |c_q| + |s_p q_p| |r_q|).
// Rounding comes on top: the canonical sum of d products in 16 lanes errs by at most (d/16 + 4) u |z_p||z_q| (u = 2^-24), the
// filter's own float steps by a few u times the same norms, and bfloat16 sums by 2 d u |c_p||c_q|. With
//     eta = (d/16 + 24) u  (+ 2 d u for bfloat16),
//     norm = sqrt(kappa) (|c| + |r|),  residual = sqrt(kappa) |r| + eta norm,  slack = 2 eta |z|^2-like terms + underflow,
// all rounded up, every pair obeys
//     |filter - canonical| <= residual_p norm_q + norm_p residual_q + slack_p + slack_q.
// A block keeps the largest of each over its rows, so that a row's bound against a whole block is one number.
struct ErrorTerms {
  float residual = 0;
  float norm = 0;
  float slack = 0;
};

inline float error_bound(const ErrorTerms& a, const ErrorTerms& b) {
  return (a.residual * b.norm + a.norm * b.residual + (a.slack + b.slack)) * (1 + 0x1p-20f);
}

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
