// All pairs within clusters: blocks of a few rows against every earlier row, so that an earlier row is loaded once a block.
#include <algorithm>

#include "selection/selection.h"

namespace coremax::selection {
namespace {

constexpr std::int64_t kLanes = 8;         // two registers of the baseline's four floats for each row of a block
constexpr std::int64_t kBlock = 4;         // rows of a block: with the lanes, half of the sixteen registers
constexpr std::int64_t kRowsPerChunk = 64;  // of one thread's turn: at 10,000 earlier rows of 768, some 50 ms
constexpr std::int64_t kPollEvery = 256;   // earlier rows between two looks at Ctrl-C, at most 0.2 ms

using Sums = float[kBlock][kLanes];

// Eight lanes added up in pairs.
float total(const float* lanes) { return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7])); }

void multiply(const float* const* block, const float* other, std::int64_t d, Sums& sums) {
  float local[kBlock][kLanes] = {};
  std::int64_t c = 0;
  for (; c + kLanes <= d; c += kLanes) {
    for (std::int64_t r = 0; r < kBlock; ++r) {
      for (std::int64_t l = 0; l < kLanes; ++l) local[r][l] += block[r][c + l] * other[c + l];
    }
  }
  for (std::int64_t l = 0; c + l < d; ++l) {
    for (std::int64_t r = 0; r < kBlock; ++r) local[r][l] += block[r][c + l] * other[c + l];
  }
  std::copy(&local[0][0], &local[0][0] + kBlock * kLanes, &sums[0][0]);
}

// Rows [begin, end) of a cluster that starts at row `first`.
void scan(const float* rows, std::int64_t d, std::int64_t first, std::int64_t begin, std::int64_t end, float* out, ThreadPool::Worker& worker) {
  Sums sums;
  for (std::int64_t i = begin; i < end; i += kBlock) {
    const std::int64_t n_rows = std::min(kBlock, end - i);
    const float* block[kBlock];
    for (std::int64_t r = 0; r < kBlock; ++r) block[r] = rows + (i + std::min(r, n_rows - 1)) * d;
    float highest[kBlock] = {-1, -1, -1, -1};
    for (std::int64_t j = first; j < i + n_rows - 1; ++j) {
      if ((j - first) % kPollEvery == 0) worker.poll();
      multiply(block, rows + j * d, d, sums);
      for (std::int64_t r = std::max<std::int64_t>(0, j - i + 1); r < n_rows; ++r) highest[r] = std::max(highest[r], std::min(total(sums[r]), 1.0f));
    }
    std::copy(highest, highest + n_rows, out + i);
  }
}

}  // namespace

void highest_earlier_cosine(const float* rows, std::int64_t d, const std::int64_t* offsets, std::int64_t n_clusters, float* out, ThreadPool& pool) {
  struct Chunk {
    std::int64_t first, begin, end;
  };
  std::vector<Chunk> chunks;
  for (std::int64_t c = 0; c < n_clusters; ++c) {
    for (std::int64_t i = offsets[c]; i < offsets[c + 1]; i += kRowsPerChunk) chunks.push_back({offsets[c], i, std::min(offsets[c + 1], i + kRowsPerChunk)});
  }
  pool.run(static_cast<std::int64_t>(chunks.size()), [&](std::int64_t number, ThreadPool::Worker& worker) {
    const Chunk& chunk = chunks[static_cast<std::size_t>(number)];
    scan(rows, d, chunk.first, chunk.begin, chunk.end, out, worker);
  });
}

}  // namespace coremax::selection
