// Conversion, checks and scaling of rows. Mirrors the packing step of a matrix product.
#include "graph/rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "core/errors.h"

namespace coremax::graph {
namespace {

template <class T>
const T* row_pointer(const MatrixView& x, std::int64_t row) {
  return static_cast<const T*>(x.data) + row * x.row_stride;
}

// The Euclidean norm in float64, in a fixed order; four partial sums let the compiler keep the units busy.
template <class T>
double norm(const T* row, std::int64_t d) {
  static_assert(kNormSums == 4);
  double sums[4] = {0, 0, 0, 0};
  std::int64_t c = 0;
  for (; c + 4 <= d; c += 4)
    for (int l = 0; l < 4; ++l) {
      const double value = to_double(row[c + l]);
      sums[l] += value * value;
    }
  for (; c < d; ++c) {
    const double value = to_double(row[c]);
    sums[c % 4] += value * value;
  }
  return std::sqrt((sums[0] + sums[2]) + (sums[1] + sums[3]));
}

template <class T>
void scale_row(const T* row, std::int64_t d, double scale, float* out) {
  const RowScale split = split_scale(scale);
  if (split.exponent == 0) {
    for (std::int64_t c = 0; c < d; ++c) out[c] = to_float(row[c]) * split.narrow;  // without a branch: a vector at a time
  } else {
    for (std::int64_t c = 0; c < d; ++c) out[c] = scaled(row[c], split);
  }
}

std::string place(const std::string& name, std::int64_t row, std::int64_t column) {
  return name + "[" + std::to_string(row) + ", " + std::to_string(column) + "]";
}

// Called for a row whose norm is not finite: finds the element to blame. A float64 element may be finite and still too large.
template <class T>
[[noreturn]] void refuse_row(const std::string& name, const T* row, std::int64_t number, std::int64_t d) {
  for (std::int64_t c = 0; c < d; ++c) {
    const double value = to_double(row[c]);
    require(std::isfinite(value), place(name, number, c) + " is " + non_finite_name(value) + "; embeddings must be finite");
  }
  for (std::int64_t c = 0; c < d; ++c)
    require(std::isfinite(to_float(row[c])),
            place(name, number, c) + " is beyond the range of float32; rescale the embeddings");
  throw Error(ErrorKind::value,
              "row " + std::to_string(number) + " of " + name + " is too large to take a norm of; rescale the embeddings");
}

template <class T>
bool all_zeros(const T* row, std::int64_t d) {
  return std::all_of(row, row + d, [](T value) { return to_double(value) == 0; });
}

// Called for a row too short to have a direction.
template <class T>
[[noreturn]] void refuse_direction(const std::string& name, const T* row, std::int64_t number, std::int64_t d) {
  throw Error(ErrorKind::value,
              "row " + std::to_string(number) + " of " + name + " is " +
                  (all_zeros(row, d) ? "all zeros: its cosine similarity is undefined; drop the row or use metric='euclidean'"
                                     : "too small to take a norm of; rescale the embeddings"));
}

}  // namespace

double stage_unit_row(const MatrixView& x, const std::string& name, std::int64_t number, std::int64_t width, float* out) {
  double length = 0;
  with_element_type(x.dtype, [&]<class T>(T) {
    const T* row = row_pointer<T>(x, number);
    length = norm(row, x.n_cols);
    if (!(length <= kLargestNorm)) refuse_row(name, row, number, x.n_cols);
    if (length >= kSmallestNorm) return scale_row(row, x.n_cols, 1 / length, out);
    if (!all_zeros(row, x.n_cols)) refuse_direction(name, row, number, x.n_cols);
    length = 0;
    std::fill_n(out, x.n_cols, 0.0f);
  });
  std::fill(out + x.n_cols, out + width, 0.0f);
  return length;
}

void check_row(const MatrixView& x, const std::string& name, std::int64_t place, std::int64_t number, Metric metric) {
  with_element_type(x.dtype, [&]<class T>(T) {
    const T* row = row_pointer<T>(x, place);
    const double length = norm(row, x.n_cols);
    if (!(length <= kLargestNorm)) refuse_row(name, row, number, x.n_cols);
    if (metric == Metric::cosine && length < kSmallestNorm) refuse_direction(name, row, number, x.n_cols);
  });
}

ScaledRows::ScaledRows(const MatrixView& x, const std::int64_t* rows, std::int64_t n, Metric metric, ThreadPool& pool)
    : x_(x), rows_(rows), n_(n) {
  constexpr std::int64_t kRowsPerChunk = 256;
  const std::int64_t n_chunks = (n + kRowsPerChunk - 1) / kRowsPerChunk;
  std::vector<double> largest(static_cast<std::size_t>(n_chunks), 0.0);
  if (metric == Metric::cosine) row_scale_.resize(static_cast<std::size_t>(n));
  with_element_type(x.dtype, [&]<class T>(T) {
    pool.run(n_chunks, [&](std::int64_t chunk, ThreadPool::Worker&) {
      const std::int64_t end = std::min(n, (chunk + 1) * kRowsPerChunk);
      for (std::int64_t i = chunk * kRowsPerChunk; i < end; ++i) {
        const std::int64_t number = rows == nullptr ? i : rows[i];
        const T* row = row_pointer<T>(x, number);
        const double length = norm(row, x.n_cols);
        if (!(length <= kLargestNorm)) refuse_row("x", row, number, x.n_cols);
        largest[static_cast<std::size_t>(chunk)] = std::max(largest[static_cast<std::size_t>(chunk)], length);
        if (metric == Metric::cosine) {
          if (length < kSmallestNorm) refuse_direction("x", row, number, x.n_cols);
          row_scale_[static_cast<std::size_t>(i)] = 1 / length;
        }
      }
    });
  });
  if (metric != Metric::cosine && n_chunks > 0)
    common_scale_ = common_scale_of(*std::max_element(largest.begin(), largest.end()));
}

void ScaledRows::stage_row(std::int64_t i, float* out) const {
  with_element_type(x_.dtype, [&]<class T>(T) {
    const double scale = row_scale_.empty() ? common_scale_ : row_scale_[static_cast<std::size_t>(i)];
    scale_row(row_pointer<T>(x_, number_of(i)), x_.n_cols, scale, out);
  });
  std::fill(out + x_.n_cols, out + padded_columns(), 0.0f);
}

void ScaledRows::stage(std::int64_t first, std::int64_t count, std::int64_t count_padded, float* out) const {
  const std::int64_t width = padded_columns();
  for (std::int64_t r = 0; r < count; ++r) stage_row(first + r, out + r * width);
  std::memset(out + count * width, 0, static_cast<std::size_t>((count_padded - count) * width) * sizeof(float));
}

void ScaledRows::prefetch(std::int64_t i) const {
#if defined(__GNUC__) || defined(__clang__)
  constexpr std::int64_t kLine = 64;
  constexpr std::int64_t kMostLines = 16;  // the hardware's own prefetcher has caught on by then
  const std::int64_t size = item_size(x_.dtype);
  if (!row_scale_.empty()) __builtin_prefetch(row_scale_.data() + i);
  const char* begin = static_cast<const char*>(x_.data) + number_of(i) * x_.row_stride * size;
  const std::int64_t bytes = std::min(x_.n_cols * size, kMostLines * kLine);
  for (std::int64_t byte = 0; byte < bytes; byte += kLine) __builtin_prefetch(begin + byte);
#else
  static_cast<void>(i);
#endif
}

}  // namespace coremax::graph
