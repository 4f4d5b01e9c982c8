// All pairs within clusters. Small ranges: blocks of a few rows against every earlier row, so that an earlier row is loaded
// once a block. Large ones: halves, the rows of the later one against those of the earlier one as k-means has rows against
// centres.
#include <algorithm>
#include <atomic>
#include <vector>

#include "graph/graph.h"
#include "selection/selection.h"

namespace coremax::selection {
namespace {

constexpr std::int64_t kLanes = 8;          // two registers of the baseline's four floats for each row of a block
constexpr std::int64_t kBlock = 4;          // rows of a block: with the lanes, half of the sixteen registers
constexpr std::int64_t kRowsPerChunk = 64;  // of one thread's turn: at 10,000 earlier rows of 768, some 50 ms
constexpr std::int64_t kPollEvery = 256;    // earlier rows between two looks at Ctrl-C, at most 0.2 ms

constexpr std::int64_t kWholeRows =
    2048;  // ranges up to here are not halved: what is left to them is a few percent of a large cluster
constexpr std::int64_t kSlicePerThread = 1024;  // rows of the later half between two reports of progress

using Sums = float[kBlock][kLanes];

struct Range {
  std::int64_t begin, end;
  std::int64_t size() const { return end - begin; }
  std::int64_t pairs() const { return size() * (size() - 1) / 2; }
};

// Eight lanes added up in pairs.
float total(const float* lanes) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

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
void scan(const float* rows, std::int64_t d, std::int64_t first, std::int64_t begin, std::int64_t end, float* out,
          ThreadPool::Worker& worker) {
  Sums sums;
  for (std::int64_t i = begin; i < end; i += kBlock) {
    const std::int64_t n_rows = std::min(kBlock, end - i);
    const float* block[kBlock];
    for (std::int64_t r = 0; r < kBlock; ++r) block[r] = rows + (i + std::min(r, n_rows - 1)) * d;
    float highest[kBlock] = {-1, -1, -1, -1};
    for (std::int64_t j = first; j < i + n_rows - 1; ++j) {
      if ((j - first) % kPollEvery == 0) worker.poll();
      multiply(block, rows + j * d, d, sums);
      for (std::int64_t r = std::max<std::int64_t>(0, j - i + 1); r < n_rows; ++r)
        highest[r] = std::max(highest[r], std::min(total(sums[r]), 1.0f));
    }
    std::copy(highest, highest + n_rows, out + i);
  }
}

// Raises out[i] of the later rows to their highest inner product with the earlier ones.
template <class Report>
void meet(const float* rows, std::int64_t d, const Range& earlier, const Range& later, Isa isa, float* out, ThreadPool& pool,
          Report&& report) {
  const auto view_of = [&](const Range& range) {
    return graph::UnitRows{{rows + range.begin * d, DType::float32, range.size(), d, d}, "rows", nullptr, range.size()};
  };
  graph::UnitCentres centres(earlier.size(), d);
  const graph::UnitRows first = view_of(earlier);
  parallel_for(pool, earlier.size(), [&](std::int64_t i) { centres.set(i, first, i); });
  const std::int64_t slice = kSlicePerThread * pool.size();
  std::vector<float> highest(static_cast<std::size_t>(std::min(slice, later.size())));
  for (std::int64_t begin = later.begin; begin < later.end; begin += slice) {
    const Range part{begin, std::min(later.end, begin + slice)};
    graph::nearest_centres(view_of(part), centres, nullptr, isa, {.cosine = highest.data()}, pool);
    for (std::int64_t i = part.begin; i < part.end; ++i)
      out[i] = std::max(out[i], highest[static_cast<std::size_t>(i - part.begin)]);
    report(part.size() * earlier.size());
  }
}

}  // namespace

void highest_earlier_cosine(const float* rows, std::int64_t d, const std::int64_t* offsets, std::int64_t n_clusters, Isa isa,
                            float* out, ThreadPool& pool) {
  // Halves of halves: ranges that are scanned whole, and those whose two halves meet.
  std::vector<Range> open, whole, halved;
  std::int64_t n_pairs = 0;
  for (std::int64_t c = 0; c < n_clusters; ++c) open.push_back({offsets[c], offsets[c + 1]});
  for (const Range& range : open) n_pairs += range.pairs();
  while (!open.empty()) {
    const Range range = open.back();
    open.pop_back();
    if (range.size() <= kWholeRows) {
      whole.push_back(range);
      continue;
    }
    halved.push_back(range);
    const std::int64_t middle = range.begin + range.size() / 2;
    open.push_back({range.begin, middle});
    open.push_back({middle, range.end});
  }

  struct Chunk {
    std::int64_t first, begin, end;
  };
  std::vector<Chunk> chunks;
  for (const Range& range : whole) {
    for (std::int64_t i = range.begin; i < range.end; i += kRowsPerChunk)
      chunks.push_back({range.begin, i, std::min(range.end, i + kRowsPerChunk)});
  }
  std::atomic<std::int64_t> done{0};
  pool.run(static_cast<std::int64_t>(chunks.size()), [&](std::int64_t number, ThreadPool::Worker& worker) {
    const Chunk& chunk = chunks[static_cast<std::size_t>(number)];
    scan(rows, d, chunk.first, chunk.begin, chunk.end, out, worker);
    done += Range{chunk.first, chunk.end}.pairs() - Range{chunk.first, chunk.begin}.pairs();
    if (worker.id() == 0) pool.progress(done, n_pairs);
  });
  for (const Range& range : halved) {
    const std::int64_t middle = range.begin + range.size() / 2;
    meet(rows, d, {range.begin, middle}, {middle, range.end}, isa, out, pool,
         [&](std::int64_t pairs) { pool.progress(done += pairs, n_pairs); });
  }
  pool.progress(n_pairs, n_pairs);
  const float one = 1.0f - static_cast<float>(static_cast<double>(d) / 8 + 8) * 0x1p-24f;
  parallel_for(pool, offsets[n_clusters], [&](std::int64_t i) {
    if (out[i] >= one) out[i] = 1.0f;
  });
}

}  // namespace coremax::selection
