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
void tile(const float* a, std::int64_t n_a, const float* b, std::int64_t n_b, std::int64_t width, float* scores, std::int64_t ld) {
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

}  // namespace

const Kernels kAvx2Kernels{tile<false>, tile<true>, above};

}  // namespace coremax::graph
