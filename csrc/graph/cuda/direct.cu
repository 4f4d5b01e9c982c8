// The direct search: blocks of rows against tiles of others, every pair scored canonically. For small graphs and long lists,
// for the first thresholds of the filtered search, and what that must equal. The counterpart of graph/direct.cpp.
#include <algorithm>

#include "graph/cuda/pairs.h"
#include "graph/cuda/rows.h"

namespace coremax::graph::on_cuda {
namespace {

static_assert(kDirectRows == 4 * kSide && kDirectColumns == 4 * kSide && kDirectThreads == 16 * kHalf &&
              kDirectDepth % kHalf == 0);

// Columns of the tiles of a block of rows: `count` positions from `first` on, around the end.
struct Window {
  std::int64_t first;
  std::int64_t count;
  std::int64_t around;  // all positions there are
  __device__ std::int64_t position(std::int64_t i) const {
    const std::int64_t p = first + i;
    return p < around ? p : p - around;
  }
};

template <class T, bool kDistance>
__global__ void __launch_bounds__(kDirectThreads) direct_tiles(Rows<T> rows, Metric metric, std::int64_t block_rows,
                                                               std::int64_t n_blocks, std::int64_t around, Lists lists) {
  COREMAX_SHARED(values, float[kDirectRows + kDirectColumns][kDirectStride]);
  COREMAX_SHARED(numbers, std::int64_t[kDirectRows + kDirectColumns]);  // of rows; -1: none
  COREMAX_SHARED(scales, RowScale[kDirectRows + kDirectColumns]);
  COREMAX_SHARED(scores, float[kDirectRows][kDirectColumns + 1]);
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kHalf;
  const int first_row = thread / (4 * kHalf) * kSide;
  const int first_column = thread / kHalf % 4 * kSide;
  const std::int64_t first = std::int64_t{blockIdx.x} * kDirectRows;
  const std::int64_t padded = (rows.d + kHalf - 1) / kHalf * kHalf;
  const float ceiling = ceiling_of(metric);
  const bool all = 2 * around + 1 >= n_blocks;
  const std::int64_t block = first / block_rows;
  const Window window{all ? 0 : (block + n_blocks - around) % n_blocks * block_rows,
                      (all ? n_blocks : 2 * around + 1) * block_rows, n_blocks * block_rows};

  for (std::int64_t begin = 0; begin < window.count; begin += kDirectColumns) {
    if (thread < kDirectRows + kDirectColumns) {
      const std::int64_t column = begin + thread - kDirectRows;
      const std::int64_t position = thread < kDirectRows    ? first + thread
                                    : column < window.count ? window.position(column)
                                                            : rows.n;
      const std::int64_t number = position < rows.n ? rows.order.row_at(position) : -1;
      numbers[thread] = number;
      if (number >= 0) scales[thread] = rows.scale(number);
    }
    __syncthreads();
    float sums[kPairs] = {};
    for (std::int64_t depth = 0; depth < padded; depth += kDirectDepth) {
      const int columns = static_cast<int>(std::min<std::int64_t>(kDirectDepth, padded - depth));
      for (int e = thread; e < (kDirectRows + kDirectColumns) * kDirectDepth; e += kDirectThreads) {
        const int r = e / kDirectDepth;
        const int c = e % kDirectDepth;
        values[r][c] = numbers[r] >= 0 ? rows.value(rows.row(numbers[r]), scales[r], depth + c) : 0.0f;
      }
      __syncthreads();
      for (int c = lane; c < columns; c += kHalf)
        step_pairs<kDistance>(&values[first_row][c], kDirectStride, &values[kDirectRows + first_column][c], kDirectStride,
                              sums);
      __syncthreads();
    }
    add_lanes(sums, lane);
#pragma unroll
    for (int p = 0; p < kPairs / kHalf; ++p) {
      const int pair = lane * (kPairs / kHalf) + p;
      scores[first_row + pair / kSide][first_column + pair % kSide] =
          std::clamp(kDistance ? -sums[p] : sums[p], -ceiling, ceiling);
    }
    __syncthreads();
    const int column = cuda::lane_of_thread();
    const std::int64_t other = numbers[kDirectRows + column];
    for (int r = cuda::warp_of_thread(); r < kDirectRows; r += kDirectThreads / cuda::kWarp) {
      if (numbers[r] < 0) continue;  // for the whole warp
      std::uint64_t* list = lists.keys + numbers[r] * lists.k;
      const std::uint64_t key = other >= 0 && other != numbers[r] ? key_of(scores[r][column], other) : 0;
      const std::uint64_t kth = merge_keys(list, lists.k, key, list[lists.k - 1]);
      if (lists.thresholds != nullptr && column == 0) lists.thresholds[first + r] = threshold_of(kth, metric);
    }
    __syncthreads();
  }
}

}  // namespace

void direct(const Source& source, std::int64_t block_rows, std::int64_t around, const Lists& lists,
            const cuda::Stream& stream) {
  const std::int64_t n = source.x.n_rows;
  const std::int64_t rows = block_rows > 0 ? block_rows : n;
  const std::int64_t n_blocks = (n + rows - 1) / rows;
  with_element_type(source.x.dtype, [&]<class T>(T) {
    const auto kernel = source.metric == Metric::euclidean ? direct_tiles<T, true> : direct_tiles<T, false>;
    cuda::launch(stream, {cuda::blocks_for(n, kDirectRows), kDirectThreads}, kernel, Rows<T>(source), source.metric, rows,
                 n_blocks, around, lists);
  });
}

}  // namespace coremax::graph::on_cuda
