// The direct search: a block of rows against all tiles of rows, every pair scored canonically in both directions, scores never
// kept beyond one tile. It serves small graphs, long lists and the scalar level, and is what the filtered search must equal.
// Schedule (this file), reduction (CandidateBlock) and distance (cpu/) are separate pieces.
#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/errors.h"
#include "graph/search.h"

namespace coremax::graph {
namespace {

// Sizes of the blocks one worker holds. The row block and the tile of the other side stay in a core's level-2 cache together;
// the candidate buffers are bounded so that a large k shrinks the block instead of filling the memory.
struct Tiling {
  static constexpr std::int64_t kRowBlockBytes = 384 * 1024;
  static constexpr std::int64_t kTileBytes = 128 * 1024;
  static constexpr std::int64_t kMaxRows = 252;  // beyond this the share of loads no longer falls noticeably
  static constexpr std::int64_t kCandidateBytes = 32 << 20;
  static constexpr std::int64_t kMinSpareCandidates = 64;  // appended between two compressions of a row's list

  std::int64_t block_rows;
  std::int64_t tile_rows;
  std::int64_t capacity;  // of one row's candidate list

  Tiling(std::int64_t n, std::int64_t d, std::int64_t k, int threads) {
    const std::int64_t row_bytes = round_up(std::max<std::int64_t>(d, 1), kLanes) * static_cast<std::int64_t>(sizeof(float));
    capacity = k + std::max(k, kMinSpareCandidates);
    const std::int64_t by_cache = kRowBlockBytes / row_bytes;
    const std::int64_t by_candidates = kCandidateBytes / checked_multiply(capacity, sizeof(Found));
    const std::int64_t by_threads = (n + threads - 1) / threads;  // small n: every thread gets a block
    block_rows =
        round_up(std::clamp<std::int64_t>(std::min({by_cache, by_candidates, by_threads}), 1, kMaxRows), kRowMultipleA);
    tile_rows = round_up(std::clamp<std::int64_t>(std::min(kTileBytes / row_bytes, n), 1, kMaxRows), kRowMultipleB);
  }
  std::int64_t bytes_per_worker(std::int64_t width) const {
    return checked_multiply(checked_multiply(block_rows + tile_rows, width), sizeof(float)) + block_rows * tile_rows * 4 +
           (tile_rows + kLanes) * 4 + checked_multiply(checked_multiply(block_rows, capacity), sizeof(Found)) + block_rows * 16;
  }
};

// The candidate lists of one block of rows. Tiles arrive in ascending order of their rows' numbers, so among equal scores the
// one already kept has the lower number: a candidate must beat the k-th best strictly.
class CandidateBlock {
 public:
  CandidateBlock(const Tiling& tiling, std::int64_t k, float ceiling)
      : k_(k),
        capacity_(tiling.capacity),
        ceiling_(ceiling),
        entries_(checked_multiply(tiling.block_rows, tiling.capacity)),
        counts_(static_cast<std::size_t>(tiling.block_rows)),
        thresholds_(static_cast<std::size_t>(tiling.block_rows)) {}

  void clear() {
    std::fill(counts_.begin(), counts_.end(), 0);
    std::fill(thresholds_.begin(), thresholds_.end(), -std::numeric_limits<float>::infinity());
  }

  // A score at or below this can not enter row r's list. Scores are clipped to the ceiling (1 for a cosine) and its negative,
  // so a list whose k-th best has reached the ceiling is closed.
  float threshold(std::int64_t r) const {
    const float value = thresholds_[static_cast<std::size_t>(r)];
    return value >= ceiling_ ? std::numeric_limits<float>::infinity() : value;
  }

  void offer(std::int64_t r, float score, std::int64_t index) {
    score = std::clamp(score, -ceiling_, ceiling_);
    std::int64_t& count = counts_[static_cast<std::size_t>(r)];
    if (!(score > thresholds_[static_cast<std::size_t>(r)])) return;
    entries_.data()[r * capacity_ + count++] = {score, index};
    if (count == capacity_) compress(r);
  }

  // The k best of row r in final order.
  const Found* finish(std::int64_t r) {
    // Finite scores against n - 1 >= k other rows fill every list.
    if (counts_[static_cast<std::size_t>(r)] < k_) refuse_changed("x");
    compress(r);
    Found* row = entries_.data() + r * capacity_;
    std::sort(row, row + k_, better);
    return row;
  }

 private:
  void compress(std::int64_t r) {
    std::int64_t& count = counts_[static_cast<std::size_t>(r)];
    Found* row = entries_.data() + r * capacity_;
    if (count > k_) std::nth_element(row, row + k_ - 1, row + count, better);
    count = k_;
    thresholds_[static_cast<std::size_t>(r)] = row[k_ - 1].score;
  }

  const std::int64_t k_;
  const std::int64_t capacity_;
  const float ceiling_;
  AlignedBuffer<Found> entries_;
  std::vector<std::int64_t> counts_;
  std::vector<float> thresholds_;
};

// What one worker needs, allocated once per call.
struct Workspace {
  Workspace(const Tiling& tiling, std::int64_t width, std::int64_t k, float ceiling)
      : block(tiling.block_rows * width),
        tile(tiling.tile_rows * width),
        scores(tiling.block_rows * tiling.tile_rows),
        hits(tiling.tile_rows + kLanes),
        candidates(tiling, k, ceiling) {}
  AlignedBuffer<float> block;
  AlignedBuffer<float> tile;
  AlignedBuffer<float> scores;
  AlignedBuffer<std::int32_t> hits;
  CandidateBlock candidates;
};

}  // namespace

void direct_topk(const ScaledRows& source, Metric metric, const Scores& scores, ThreadPool& pool, const Output& output) {
  const std::int64_t n = source.n();
  const std::int64_t k = output.k;
  const TileKernel kernel = metric == Metric::euclidean ? scores.negated_distance.tile : scores.dot.tile;
  const Tiling tiling(n, source.padded_columns(), k, pool.size());
  const std::int64_t width = source.padded_columns();
  std::vector<std::unique_ptr<Workspace>> workspaces(static_cast<std::size_t>(pool.size()));
  for (auto& workspace : workspaces) workspace = std::make_unique<Workspace>(tiling, width, k, ceiling_of(metric));
  std::atomic<std::int64_t> rows_done{0};

  const std::int64_t n_blocks = (n + tiling.block_rows - 1) / tiling.block_rows;
  pool.run(n_blocks, [&](std::int64_t block_number, ThreadPool::Worker& worker) {
    Workspace& work = *workspaces[static_cast<std::size_t>(worker.id())];
    const std::int64_t first = block_number * tiling.block_rows;
    const std::int64_t count = std::min(tiling.block_rows, n - first);
    source.stage(first, count, round_up(count, kRowMultipleA), work.block.data());
    work.candidates.clear();
    for (std::int64_t begin = 0; begin < n; begin += tiling.tile_rows) {
      const std::int64_t tile_count = std::min(tiling.tile_rows, n - begin);
      source.stage(begin, tile_count, round_up(tile_count, kRowMultipleB), work.tile.data());
      kernel(work.block.data(), round_up(count, kRowMultipleA), work.tile.data(), round_up(tile_count, kRowMultipleB), width,
             work.scores.data(), tiling.tile_rows);
      for (std::int64_t r = 0; r < count; ++r) {
        const float* row_scores = work.scores.data() + r * tiling.tile_rows;
        const std::int64_t n_hits = scores.above(row_scores, tile_count, work.candidates.threshold(r), work.hits.data());
        for (std::int64_t h = 0; h < n_hits; ++h) {
          const std::int32_t c = work.hits.data()[h];
          if (begin + c != first + r) work.candidates.offer(r, row_scores[c], begin + c);  // a row is excluded by its number
        }
      }
      worker.poll();
    }
    for (std::int64_t r = 0; r < count; ++r)
      write_row(output, first + r, work.candidates.finish(r), metric, source.common_scale());
    rows_done += count;
    if (worker.id() == 0) pool.progress(rows_done, n);
  });
}

std::int64_t direct_bytes(std::int64_t n, std::int64_t d, std::int64_t k, int threads) {
  const Tiling tiling(n, d, k, threads);
  return checked_multiply(threads, tiling.bytes_per_worker(round_up(d, kLanes)));
}

}  // namespace coremax::graph
