// AVX-512: a pair's 16 lanes are one register, a register tile is 4 x 4 pairs; the 16 sums are reduced together by a
// transposing tree of 15 additions in the contract's lane order (l + 8, l + 4, l + 2, l + 1).
#include <immintrin.h>

#include "graph/cpu/kernels.h"

namespace coremax::graph {
namespace {

#include "graph/cpu/filter512.h"

// One level of the tree: the two halves (quarters, ...) of x are added in one half of the result, those of y in the other.
inline __m512 add_halves(__m512 x, __m512 y) {
  return _mm512_add_ps(_mm512_shuffle_f32x4(x, y, 0x44), _mm512_shuffle_f32x4(x, y, 0xEE));
}
inline __m512 add_quarters(__m512 x, __m512 y) {
  return _mm512_add_ps(_mm512_shuffle_f32x4(x, y, 0x88), _mm512_shuffle_f32x4(x, y, 0xDD));
}
inline __m512 add_pairs(__m512 x, __m512 y) {
  return _mm512_add_ps(_mm512_shuffle_ps(x, y, 0x44), _mm512_shuffle_ps(x, y, 0xEE));
}
inline __m512 add_singles(__m512 x, __m512 y) {
  return _mm512_add_ps(_mm512_shuffle_ps(x, y, 0x88), _mm512_shuffle_ps(x, y, 0xDD));
}

template <bool kDistance>
inline __m512 accumulate(__m512 a, __m512 b, __m512 sum) {
  if constexpr (kDistance) {
    const __m512 difference = _mm512_sub_ps(a, b);
    return _mm512_fmadd_ps(difference, difference, sum);
  } else {
    return _mm512_fmadd_ps(a, b, sum);
  }
}

// In: sums[i][j], 16 lanes each. What a register holds
//   after halves:   register (i, jj) = 8 lanes of (i, 2jj) | 8 lanes of (i, 2jj + 1)
//   after quarters: register i = 4 lanes of (i, 0), (i, 1), (i, 2), (i, 3) in its 128-bit parts
//   after pairs:    of rows i and i + 1: part j = 2 lanes of (i, j), 2 lanes of (i + 1, j)
//   after singles:  part j = (0, j), (1, j), (2, j), (3, j): the 4 x 4 block by columns
inline __m512 reduce(const __m512 (&sums)[4][4]) {
  __m512 rows[4];
  for (int i = 0; i < 4; ++i) rows[i] = add_quarters(add_halves(sums[i][0], sums[i][1]), add_halves(sums[i][2], sums[i][3]));
  return add_singles(add_pairs(rows[0], rows[1]), add_pairs(rows[2], rows[3]));
}

template <bool kDistance>
void tile(const float* a, std::int64_t n_a, const float* b, std::int64_t n_b, std::int64_t width, float* scores,
          std::int64_t ld) {
  const __m512i by_rows = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  for (std::int64_t c = 0; c < n_b; c += 4)
    for (std::int64_t r = 0; r < n_a; r += 4) {
      __m512 sums[4][4] = {};
      const float* pa = a + r * width;
      const float* pb = b + c * width;
      for (std::int64_t w = 0; w < width; w += 16) {
        __m512 column[4];
        for (int j = 0; j < 4; ++j) column[j] = _mm512_load_ps(pb + j * width + w);
        for (int i = 0; i < 4; ++i) {
          const __m512 row = _mm512_load_ps(pa + i * width + w);
          for (int j = 0; j < 4; ++j) sums[i][j] = accumulate<kDistance>(row, column[j], sums[i][j]);
        }
      }
      __m512 block = _mm512_permutexvar_ps(by_rows, reduce(sums));
      if constexpr (kDistance) block = _mm512_xor_ps(block, _mm512_set1_ps(-0.0f));
      float* out = scores + r * ld + c;
      _mm_storeu_ps(out, _mm512_extractf32x4_ps(block, 0));
      _mm_storeu_ps(out + ld, _mm512_extractf32x4_ps(block, 1));
      _mm_storeu_ps(out + 2 * ld, _mm512_extractf32x4_ps(block, 2));
      _mm_storeu_ps(out + 3 * ld, _mm512_extractf32x4_ps(block, 3));
    }
}

// One row against 16 at a time: row 4 i + j of the 16 takes the place of pair (i, j), so that the same reduction serves.
template <bool kDistance>
void row_scores(const float* a, const float* b, std::int64_t n_b, std::int64_t width, float* scores) {
  const __m512i by_rows = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  for (std::int64_t c = 0; c < n_b; c += kRescoreMultiple) {
    __m512 sums[4][4] = {};
    const float* pb = b + c * width;
    for (std::int64_t w = 0; w < width; w += 16) {
      const __m512 left = _mm512_load_ps(a + w);
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j)
          sums[i][j] = accumulate<kDistance>(left, _mm512_load_ps(pb + (4 * i + j) * width + w), sums[i][j]);
    }
    __m512 block = _mm512_permutexvar_ps(by_rows, reduce(sums));
    if constexpr (kDistance) block = _mm512_xor_ps(block, _mm512_set1_ps(-0.0f));
    _mm512_storeu_ps(scores + c, block);
  }
}

std::int64_t above(const float* scores, std::int64_t n, float threshold, std::int32_t* out) {
  const __m512 limit = _mm512_set1_ps(threshold);
  __m512i positions = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  std::int64_t count = 0;
  for (std::int64_t c = 0; c < n; c += 16) {
    const auto valid = static_cast<__mmask16>(n - c >= 16 ? 0xFFFF : (1 << (n - c)) - 1);
    const __mmask16 hits = _mm512_mask_cmp_ps_mask(valid, _mm512_maskz_loadu_ps(valid, scores + c), limit, _CMP_GT_OQ);
    if (hits != 0) {
      _mm512_storeu_si512(out + count, _mm512_maskz_compress_epi32(hits, positions));
      count += __builtin_popcount(hits);
    }
    positions = _mm512_add_epi32(positions, _mm512_set1_epi32(16));
  }
  return count;
}

// Without VNNI: pairs of int16 multiplied and added to an int32, a second instruction to accumulate; twice the rate of float32.
struct Int16 : IntegerSums {
  static __m512i multiply(__m512i sum, __m512i row_word, __m512i column_words) {
    return _mm512_add_epi32(sum, _mm512_madd_epi16(row_word, column_words));
  }
};

const Filter kInt16Filter{Code::int16, 1, filter<Int16>, products<Int16>, 95};

}  // namespace

const Scores kAvx512Scores{{tile<false>, row_scores<false>}, {tile<true>, row_scores<true>}, above};
const Filters kAvx512Filters{&kInt16Filter, nullptr};

}  // namespace coremax::graph
