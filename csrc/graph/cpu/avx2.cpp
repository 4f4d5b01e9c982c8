// AVX2 + FMA: a pair's 16 lanes are two registers, a register tile is 3 x 2 pairs (12 accumulators).
#include <immintrin.h>

#include "graph/cpu/kernels.h"

namespace coremax::graph {
namespace {

// Lane order of the contract: l + 8, l + 4, l + 2, l + 1.
inline float reduce(__m256 low, __m256 high) {
  const __m256 eight = _mm256_add_ps(low, high);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

template <bool kDistance>
inline __m256 accumulate(__m256 a, __m256 b, __m256 sum) {
  if constexpr (kDistance) {
    const __m256 difference = _mm256_sub_ps(a, b);
    return _mm256_fmadd_ps(difference, difference, sum);
  } else {
    return _mm256_fmadd_ps(a, b, sum);
  }
}

template <bool kDistance>
void tile(const float* a, std::int64_t n_a, const float* b, std::int64_t n_b, std::int64_t width, float* scores,
          std::int64_t ld) {
  constexpr int kA = 3;
  constexpr int kB = 2;
  for (std::int64_t c = 0; c < n_b; c += kB)
    for (std::int64_t r = 0; r < n_a; r += kA) {
      __m256 sums[kA][kB][2] = {};
      for (std::int64_t w = 0; w < width; w += 16)
        for (int half = 0; half < 2; ++half) {
          __m256 column[kB];
          for (int j = 0; j < kB; ++j) column[j] = _mm256_load_ps(b + (c + j) * width + w + 8 * half);
          for (int i = 0; i < kA; ++i) {
            const __m256 row = _mm256_load_ps(a + (r + i) * width + w + 8 * half);
            for (int j = 0; j < kB; ++j) sums[i][j][half] = accumulate<kDistance>(row, column[j], sums[i][j][half]);
          }
        }
      for (int i = 0; i < kA; ++i)
        for (int j = 0; j < kB; ++j) {
          const float sum = reduce(sums[i][j][0], sums[i][j][1]);
          scores[(r + i) * ld + c + j] = kDistance ? -sum : sum;
        }
    }
}

// One row against four at a time.
template <bool kDistance>
void row_scores(const float* a, const float* b, std::int64_t n_b, std::int64_t width, float* scores) {
  constexpr int kB = 4;
  for (std::int64_t c = 0; c < n_b; c += kB) {
    __m256 sums[kB][2] = {};
    for (std::int64_t w = 0; w < width; w += 16)
      for (int half = 0; half < 2; ++half) {
        const __m256 left = _mm256_load_ps(a + w + 8 * half);
        for (int j = 0; j < kB; ++j)
          sums[j][half] = accumulate<kDistance>(left, _mm256_load_ps(b + (c + j) * width + w + 8 * half), sums[j][half]);
      }
    for (int j = 0; j < kB; ++j) {
      const float sum = reduce(sums[j][0], sums[j][1]);
      scores[c + j] = kDistance ? -sum : sum;
    }
  }
}

std::int64_t above(const float* scores, std::int64_t n, float threshold, std::int32_t* out) {
  const __m256 limit = _mm256_set1_ps(threshold);
  std::int64_t count = 0;
  std::int64_t c = 0;
  for (; c + 8 <= n; c += 8) {
    auto mask = static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(scores + c), limit, _CMP_GT_OQ)));
    for (; mask != 0; mask &= mask - 1) out[count++] = static_cast<std::int32_t>(c + __builtin_ctz(mask));
  }
  for (; c < n; ++c)
    if (scores[c] > threshold) out[count++] = static_cast<std::int32_t>(c);
  return count;
}

// ---- The filter: int16 pairs multiplied and added to int32, twice the rate of float32. A group of 16 rows is two registers,
// a register tile is 4 rows x 1 group.

constexpr int kStripRows = 4;

struct Strip {
  __m256i sums[kStripRows][2];

  Strip(const std::uint32_t* rows, const std::uint32_t* columns, std::int64_t n_words) : sums{} {
    for (std::int64_t w = 0; w < n_words; ++w) {
      const auto* words = reinterpret_cast<const __m256i*>(columns + w * kGroupRows);
      const __m256i column[2] = {_mm256_load_si256(words), _mm256_load_si256(words + 1)};
#pragma GCC unroll 4
      for (int r = 0; r < kStripRows; ++r) {
        const __m256i row_word = _mm256_set1_epi32(static_cast<int>(rows[w * kGroupRows + r]));
        for (int half = 0; half < 2; ++half)
          sums[r][half] = _mm256_add_epi32(sums[r][half], _mm256_madd_epi16(row_word, column[half]));
      }
    }
  }
  __m256 product(int r, int half, const FilterSide& rows, std::int64_t row, const FilterSide& columns,
                 std::int64_t column) const {
    const __m256 scale = _mm256_mul_ps(_mm256_load_ps(columns.scale + column + 8 * half), _mm256_set1_ps(rows.scale[row + r]));
    return _mm256_mul_ps(_mm256_cvtepi32_ps(sums[r][half]), scale);
  }
};

template <class Body>
inline void all_strips(const FilterSide& rows, const FilterSide& columns, std::int64_t n_words, Body&& body) {
  for (std::int64_t column = 0; column < columns.n_groups * kGroupRows; column += kGroupRows)
    for (std::int64_t row = 0; row < rows.n_groups * kGroupRows; row += kStripRows) {
      const std::int64_t group = row / kGroupRows * kGroupRows;
      body(Strip(rows.words + group * n_words + (row - group), columns.words + column * n_words, n_words), row, column);
    }
}

// Without shifts both comparisons are one with the lower threshold.
inline __m256 passing(__m256 product, const FilterSide& rows, std::int64_t row, const FilterSide& columns,
                      std::int64_t column) {
  const __m256 by_row = _mm256_set1_ps(rows.threshold[row]);
  const __m256 by_column = _mm256_load_ps(columns.threshold + column);
  if (rows.shift == nullptr) return _mm256_cmp_ps(product, _mm256_min_ps(by_row, by_column), _CMP_GE_OQ);
  return _mm256_or_ps(_mm256_cmp_ps(_mm256_add_ps(product, _mm256_load_ps(columns.shift + column)), by_row, _CMP_GE_OQ),
                      _mm256_cmp_ps(_mm256_add_ps(product, _mm256_set1_ps(rows.shift[row])), by_column, _CMP_GE_OQ));
}

std::int64_t filter(const FilterSide& rows, const FilterSide& columns, std::int64_t n_words, std::uint32_t* places,
                    float* products) {
  std::int64_t count = 0;
  all_strips(rows, columns, n_words, [&](const Strip& strip, std::int64_t row, std::int64_t column) {
    for (int r = 0; r < kStripRows; ++r)
      for (int half = 0; half < 2; ++half) {
        const __m256 product = strip.product(r, half, rows, row, columns, column);
        auto mask = static_cast<unsigned>(_mm256_movemask_ps(passing(product, rows, row + r, columns, column + 8 * half)));
        if (mask == 0) [[likely]]
          continue;
        alignas(32) float values[8];
        _mm256_store_ps(values, product);
        for (; mask != 0; mask &= mask - 1) {
          const int lane = __builtin_ctz(mask);
          places[count] = static_cast<std::uint32_t>((row + r) << 16 | (column + 8 * half + lane));
          products[count++] = values[lane];
        }
      }
  });
  return count;
}

void products(const FilterSide& rows, const FilterSide& columns, std::int64_t n_words, float* out, std::int64_t ld) {
  all_strips(rows, columns, n_words, [&](const Strip& strip, std::int64_t row, std::int64_t column) {
    for (int r = 0; r < kStripRows; ++r)
      for (int half = 0; half < 2; ++half)
        _mm256_storeu_ps(out + (row + r) * ld + column + 8 * half, strip.product(r, half, rows, row, columns, column));
  });
}

const Filter kInt16Filter{Code::int16, 1, filter, products, 38};

}  // namespace

const Filters kAvx2Filters{&kInt16Filter, nullptr};
const Scores kAvx2Scores{{tile<false>, row_scores<false>}, {tile<true>, row_scores<true>}, above};

}  // namespace coremax::graph
