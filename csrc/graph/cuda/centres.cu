// Rows against a few vectors: classes added up, and every row compared with their centres. The counterpart of
// graph/centres.cpp.
#include "graph/cuda/centres.h"

#include <algorithm>
#include <bit>

#include "graph/cuda/pairs.h"
#include "graph/cuda/policy.h"

namespace coremax::graph::on_cuda {
namespace {

constexpr RowScale kNoScale{0, 0};
constexpr int kColumnsAtOnce = kDirectDepth;

__device__ bool has_direction(double norm) { return norm >= kSmallestNorm && norm <= kLargestNorm; }
__device__ RowScale unit_scale(double norm) { return has_direction(norm) ? split_scale(1 / norm) : kNoScale; }

// Tiles of rows in the order of their labels. First four threads to a row, one for each sum of its norm; then a thread to a
// column, for some of the tile's rows, whose sum it hands on where the label changes.
template <class T>
__global__ void __launch_bounds__(kSumThreads)
    sum_rows(const T* data, std::int64_t stride, std::int64_t n, std::int64_t d, Classes classes, int columns_at_once,
             std::int64_t width, double* norms, unsigned long long* sums, std::uint64_t* bad_row) {
  COREMAX_SHARED(rows, const T* [kSumRows]);
  COREMAX_SHARED(scales, RowScale[kSumRows]);
  COREMAX_SHARED(labels, std::int32_t[kSumRows]);  // -1: not to be added
  const int thread = static_cast<int>(threadIdx.x);
  {
    const std::int64_t position = std::int64_t{blockIdx.x} * kSumRows + thread / kNormSums;
    const bool is_row = position < n;
    const std::int64_t number = is_row ? classes.order[position] : 0;
    const T* row = data + number * stride;
    double sum = 0;
    bool some = false;
    if (is_row)
      for (std::int64_t c = thread % kNormSums; c < d; c += kNormSums) {
        const double value = to_double(row[c]);
        sum += value * value;
        some = some || value != 0;
      }
    sum += __shfl_xor_sync(cuda::kAllLanes, sum, 2);
    sum += __shfl_xor_sync(cuda::kAllLanes, sum, 1);
    const unsigned four = 0xFU << (cuda::lane_of_thread() / kNormSums * kNormSums);
    some = (__ballot_sync(cuda::kAllLanes, some) & four) != 0;
    const double norm = std::sqrt(sum);
    if (thread % kNormSums == 0) {
      const int r = thread / kNormSums;
      const bool good = has_direction(norm);
      rows[r] = row;
      scales[r] = unit_scale(norm);
      labels[r] = is_row && good ? classes.labels[number] : -1;
      if (is_row) norms[number] = norm;
      if (is_row && some && !good)
        atomicMin(reinterpret_cast<unsigned long long*>(bad_row), static_cast<unsigned long long>(number));
    }
  }
  __syncthreads();
  const int rows_each = kSumRows * columns_at_once / kSumThreads;
  const int first = thread / columns_at_once * rows_each;
  for (std::int64_t c = thread % columns_at_once; c < d; c += columns_at_once) {
    std::int32_t label = -1;
    std::int64_t sum = 0;
    const auto hand_on = [&] {
      if (sum != 0) atomicAdd(&sums[label * width + c], static_cast<unsigned long long>(sum));
    };
    for (int begin = first; begin < first + rows_each; begin += kSumRowsAtOnce) {
      const int count = std::min(int{kSumRowsAtOnce}, first + rows_each - begin);
      T values[kSumRowsAtOnce];  // loads first: they are under way together
#pragma unroll
      for (int u = 0; u < kSumRowsAtOnce; ++u) values[u] = rows[begin + std::min(u, count - 1)][c];
#pragma unroll
      for (int u = 0; u < kSumRowsAtOnce; ++u) {
        const int r = begin + std::min(u, count - 1);
        if (u >= count || labels[r] < 0) continue;
        if (labels[r] != label) {
          hand_on();
          label = labels[r];
          sum = 0;
        }
        sum += whole_units(scaled(values[u], scales[r]));
      }
    }
    hand_on();
  }
}

// A block to a label. The squares are added up in the order of the columns, as on the CPU, so by one thread.
__global__ void __launch_bounds__(kDirectionThreads)
    directions(const unsigned long long* sums, std::int64_t width, float* centres) {
  COREMAX_SHARED(squares, double[kDirectionThreads]);
  COREMAX_SHARED(total, double);
  const unsigned long long* row = sums + std::int64_t{blockIdx.x} * width;
  const auto value = [&](std::int64_t c) { return static_cast<double>(static_cast<long long>(row[c])); };
  if (threadIdx.x == 0) total = 0;
  for (std::int64_t begin = 0; begin < width; begin += kDirectionThreads) {
    const std::int64_t c = begin + threadIdx.x;
    squares[threadIdx.x] = c < width ? value(c) * value(c) : 0;
    __syncthreads();
    if (threadIdx.x == 0) {
      double sum = total;
      for (const double square : squares) sum += square;
      total = sum;
    }
    __syncthreads();
  }
  const double scale = total == 0 ? 0 : 1 / std::sqrt(total);
  for (std::int64_t c = threadIdx.x; c < width; c += kDirectionThreads)
    centres[std::int64_t{blockIdx.x} * width + c] = static_cast<float>(value(c) * scale);
}

// How a block's half-warps lie over a tile of rows and centres.
template <int kRowSides>
struct TileShape {
  static constexpr int kColumnSides = kCompareThreads / kHalf / kRowSides;
  static constexpr int kRows = kRowSides * kSide;
  static constexpr int kColumns = kColumnSides * kSide;
  static constexpr std::int64_t kSharedBytes =
      sizeof(float) * (kColumns * kDirectStride + kRows * (kColumns + 1)) + sizeof(RowScale) * kRows;  // but for the rows
};

// Blocks of rows against tiles of centres. The rows stay in shared memory (`kept` columns are all there are), or come piece by
// piece anew for each tile.
template <class T, class Shape>
__global__ void __launch_bounds__(kCompareThreads)
    compare_rows(const T* data, std::int64_t stride, std::int64_t n, std::int64_t d, Classes classes, const double* norms,
                 const float* centres, std::int64_t width, int kept, float* own, float* other) {
  constexpr int kRows = Shape::kRows;
  constexpr int kColumns = Shape::kColumns;
  constexpr int kParts = kCompareThreads / kRows;  // threads that look at a row's scores
  constexpr int kPart = kColumns / kParts;
  float* const row_values =
      cuda::dynamic_shared<float>();  // [kRows, kept + 2]: halves of a warp, 8 rows apart, use different banks
  COREMAX_SHARED(centre_values, float[kColumns][kDirectStride]);
  COREMAX_SHARED(scales, RowScale[kRows]);
  COREMAX_SHARED(scores, float[kRows][kColumns + 1]);
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kHalf;
  const int first_row = thread / kHalf / Shape::kColumnSides * kSide;
  const int first_column = thread / kHalf % Shape::kColumnSides * kSide;
  const int row_stride = kept + 2;
  const std::int64_t first = std::int64_t{blockIdx.x} * kRows;
  const bool keeps = kept == width;

  const int r_own = thread / kParts;
  const std::int64_t number = first + r_own;
  const std::int64_t label = number < n ? classes.labels[number] : -1;
  float own_cosine = 0;
  float best = -std::bit_cast<float>(0x7F800000);
  if (thread < kRows) scales[thread] = first + thread < n ? unit_scale(norms[first + thread]) : kNoScale;
  __syncthreads();

  for (std::int64_t begin = 0; begin < classes.n_labels; begin += kColumns) {
    float sums[kPairs] = {};
    for (std::int64_t depth = 0; depth < width; depth += kColumnsAtOnce) {
      const int columns = static_cast<int>(std::min<std::int64_t>(kColumnsAtOnce, width - depth));
      const int at = keeps ? static_cast<int>(depth) : 0;
      for (int e = thread; e < kColumns * kColumnsAtOnce; e += kCompareThreads) {
        const int r = e / kColumnsAtOnce;
        const int c = e % kColumnsAtOnce;
        centre_values[r][c] = begin + r < classes.n_labels && c < columns ? centres[(begin + r) * width + depth + c] : 0.0f;
      }
      if (!keeps || begin == 0)
        for (int e = thread; e < kRows * kColumnsAtOnce; e += kCompareThreads) {
          const int r = e / kColumnsAtOnce;
          const int c = e % kColumnsAtOnce;
          if (c >= columns) continue;
          const bool there = scales[r].narrow != 0 && depth + c < d;
          row_values[r * row_stride + at + c] = there ? scaled(data[(first + r) * stride + depth + c], scales[r]) : 0.0f;
        }
      __syncthreads();
      for (int c = lane; c < columns; c += kHalf)
        step_pairs<false>(&row_values[first_row * row_stride + at + c], row_stride, &centre_values[first_column][c],
                          kDirectStride, sums);
      __syncthreads();
    }
    add_lanes(sums, lane);
#pragma unroll
    for (int p = 0; p < kPairs / kHalf; ++p) {
      const int pair = lane * (kPairs / kHalf) + p;
      scores[first_row + pair / kSide][first_column + pair % kSide] = sums[p];
    }
    __syncthreads();
    for (int j = 0; j < kPart; ++j) {
      const int column = thread % kParts * kPart + j;
      const std::int64_t c = begin + column;
      const float score = scores[r_own][column];
      if (c == label)
        own_cosine = score;
      else if (c < classes.n_labels)
        best = std::max(best, score);
    }
  }
  // One of the threads has the row's own, the others zero.
  for (int step = kParts / 2; step > 0; step /= 2) {
    best = std::max(best, __shfl_xor_sync(cuda::kAllLanes, best, step));
    own_cosine += __shfl_xor_sync(cuda::kAllLanes, own_cosine, step);
  }
  if (number < n && thread % kParts == 0) {
    own[number] = std::clamp(own_cosine, -1.0f, 1.0f);
    other[number] = std::clamp(best, -1.0f, 1.0f);
  }
}

}  // namespace

void sum_by_label(const MatrixView& x, const Classes& classes, std::int64_t width, double* norms, unsigned long long* sums,
                  std::uint64_t* bad_row, const cuda::Stream& stream) {
  const int columns_at_once = static_cast<int>(
      std::clamp<std::uint64_t>(std::bit_ceil(static_cast<std::uint64_t>(x.n_cols)), kSumThreads / kSumRows, kSumThreads));
  with_element_type(x.dtype, [&]<class T>(T) {
    cuda::launch(stream, {cuda::blocks_for(x.n_rows, kSumRows), kSumThreads}, sum_rows<T>, static_cast<const T*>(x.data),
                 x.row_stride, x.n_rows, x.n_cols, classes, columns_at_once, width, norms, sums, bad_row);
  });
}

void take_directions(const unsigned long long* sums, std::int64_t n_labels, std::int64_t width, float* centres,
                     const cuda::Stream& stream) {
  cuda::launch(stream, {cuda::blocks_for(n_labels, 1), kDirectionThreads}, directions, sums, width, centres);
}

void compare(const MatrixView& x, const Classes& classes, const double* norms, const float* centres, std::int64_t width,
             float* own, float* other, const cuda::Stream& stream) {
  const auto run = [&]<class T, class Shape>(T, Shape) {
    const auto row_bytes = [](std::int64_t columns) { return std::int64_t{sizeof(float)} * Shape::kRows * (columns + 2); };
    // Rows that meet one tile of centres are read once anyway.
    const bool keep = classes.n_labels > Shape::kColumns && kCompareBlocks * (row_bytes(width) + Shape::kSharedBytes) <=
                                                                cuda::device_info(cuda::current_device()).shared_bytes;
    const std::int64_t kept = keep ? width : std::min<std::int64_t>(width, kColumnsAtOnce);
    cuda::launch(stream, {cuda::blocks_for(x.n_rows, Shape::kRows), kCompareThreads, static_cast<std::size_t>(row_bytes(kept))},
                 compare_rows<T, Shape>, static_cast<const T*>(x.data), x.row_stride, x.n_rows, x.n_cols, classes, norms,
                 centres, width, static_cast<int>(kept), own, other);
  };
  with_element_type(x.dtype, [&]<class T>(T) {
    if (classes.n_labels <= TileShape<kRowSidesForFew>::kColumns)
      run(T{}, TileShape<kRowSidesForFew>{});
    else
      run(T{}, TileShape<kRowSidesForMany>{});
  });
}

}  // namespace coremax::graph::on_cuda
