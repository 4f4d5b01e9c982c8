// NEON, which every 64-bit ARM CPU has: a pair's 16 lanes are four registers, a register tile is 3 x 2 pairs (24 accumulators).
#include <arm_neon.h>

#include "graph/cpu/kernels.h"

namespace coremax::graph {
namespace {

#include "graph/cpu/filter_neon.h"

constexpr int kQuarters = 4;

// Lane order of the contract: l + 8, l + 4, l + 2, l + 1.
inline float reduce(const float32x4_t* quarters) {
  const float32x4_t four = vaddq_f32(vaddq_f32(quarters[0], quarters[2]), vaddq_f32(quarters[1], quarters[3]));
  const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
  return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

template <bool kDistance>
inline float32x4_t accumulate(float32x4_t a, float32x4_t b, float32x4_t sum) {
  if constexpr (kDistance) {
    const float32x4_t difference = vsubq_f32(a, b);
    return vfmaq_f32(sum, difference, difference);
  } else {
    return vfmaq_f32(sum, a, b);
  }
}

template <bool kDistance>
void tile(const float* a, std::int64_t n_a, const float* b, std::int64_t n_b, std::int64_t width, float* scores,
          std::int64_t ld) {
  constexpr int kA = 3;
  constexpr int kB = 2;
  for (std::int64_t c = 0; c < n_b; c += kB)
    for (std::int64_t r = 0; r < n_a; r += kA) {
      float32x4_t sums[kA][kB][kQuarters];
      for (auto& row : sums)
        for (auto& pair : row)
          for (float32x4_t& quarter : pair) quarter = vdupq_n_f32(0);
      for (std::int64_t w = 0; w < width; w += 16)
#pragma GCC unroll 4
        for (int quarter = 0; quarter < kQuarters; ++quarter) {
          float32x4_t column[kB];
          for (int j = 0; j < kB; ++j) column[j] = vld1q_f32(b + (c + j) * width + w + 4 * quarter);
          for (int i = 0; i < kA; ++i) {
            const float32x4_t row = vld1q_f32(a + (r + i) * width + w + 4 * quarter);
            for (int j = 0; j < kB; ++j) sums[i][j][quarter] = accumulate<kDistance>(row, column[j], sums[i][j][quarter]);
          }
        }
      for (int i = 0; i < kA; ++i)
        for (int j = 0; j < kB; ++j) {
          const float sum = reduce(sums[i][j]);
          scores[(r + i) * ld + c + j] = kDistance ? -sum : sum;
        }
    }
}

// One row against four at a time.
template <bool kDistance>
void row_scores(const float* a, const float* b, std::int64_t n_b, std::int64_t width, float* scores) {
  constexpr int kB = 4;
  for (std::int64_t c = 0; c < n_b; c += kB) {
    float32x4_t sums[kB][kQuarters];
    for (auto& pair : sums)
      for (float32x4_t& quarter : pair) quarter = vdupq_n_f32(0);
    for (std::int64_t w = 0; w < width; w += 16)
#pragma GCC unroll 4
      for (int quarter = 0; quarter < kQuarters; ++quarter) {
        const float32x4_t left = vld1q_f32(a + w + 4 * quarter);
        for (int j = 0; j < kB; ++j)
          sums[j][quarter] = accumulate<kDistance>(left, vld1q_f32(b + (c + j) * width + w + 4 * quarter), sums[j][quarter]);
      }
    for (int j = 0; j < kB; ++j) {
      const float sum = reduce(sums[j]);
      scores[c + j] = kDistance ? -sum : sum;
    }
  }
}

// Few scores are above: sixteen at a time are looked at together.
std::int64_t above(const float* scores, std::int64_t n, float threshold, std::int32_t* out) {
  const float32x4_t limit = vdupq_n_f32(threshold);
  std::int64_t count = 0;
  std::int64_t c = 0;
  for (; c + 16 <= n; c += 16) {
    uint32x4_t any = vdupq_n_u32(0);
    for (int quarter = 0; quarter < kQuarters; ++quarter)
      any = vorrq_u32(any, vcgtq_f32(vld1q_f32(scores + c + 4 * quarter), limit));
    if (vmaxvq_u32(any) == 0) [[likely]]
      continue;
    for (std::int64_t i = c; i < c + 16; ++i)
      if (scores[i] > threshold) out[count++] = static_cast<std::int32_t>(i);
  }
  for (; c < n; ++c)
    if (scores[c] > threshold) out[count++] = static_cast<std::int32_t>(c);
  return count;
}

// ---- The filter for CPUs without the dot product of bytes ----------------------------------------------------------------

// int8: products of two words at a time are added as int16, where two of at most 127^2 just fit, and these to int32.
struct Int8 {
  static constexpr std::int64_t kRows = 2;

  static void sums(const std::uint32_t* rows, const std::uint32_t* columns, std::int64_t n_words, int32x4_t* out) {
    int32x4_t pairs[kRows][kQuarters][2];  // sums of the two halves of a word side by side, for two words each
    for (auto& row : pairs)
      for (auto& quarter : row)
        for (int32x4_t& pair : quarter) pair = vdupq_n_s32(0);
    for (std::int64_t w = 0; w < n_words; w += 2) {
      int8x8_t first[kRows], second[kRows];
      for (int r = 0; r < kRows; ++r) {
        first[r] = vreinterpret_s8_u32(vdup_n_u32(rows[w * kGroupRows + r]));
        second[r] = vreinterpret_s8_u32(vdup_n_u32(rows[(w + 1) * kGroupRows + r]));
      }
#pragma GCC unroll 4
      for (int quarter = 0; quarter < kQuarters; ++quarter) {
        const int8x16_t column = vreinterpretq_s8_u32(vld1q_u32(columns + w * kGroupRows + 4 * quarter));
        const int8x16_t next = vreinterpretq_s8_u32(vld1q_u32(columns + (w + 1) * kGroupRows + 4 * quarter));
        for (int r = 0; r < kRows; ++r) {
          const int16x8_t low = vmlal_s8(vmull_s8(vget_low_s8(column), first[r]), vget_low_s8(next), second[r]);
          const int16x8_t high = vmlal_s8(vmull_s8(vget_high_s8(column), first[r]), vget_high_s8(next), second[r]);
          pairs[r][quarter][0] = vpadalq_s16(pairs[r][quarter][0], low);
          pairs[r][quarter][1] = vpadalq_s16(pairs[r][quarter][1], high);
        }
      }
    }
    for (int r = 0; r < kRows; ++r)
      for (int quarter = 0; quarter < kQuarters; ++quarter)
        out[r * kQuarters + quarter] = vpaddq_s32(pairs[r][quarter][0], pairs[r][quarter][1]);
  }
};

// Reckoned from what cores can issue, for the choice between the two; not measured.
const Filter kInt8Filter{Code::int8, 2, filter<Int8>, products<Int8>, 7};
const Filter kInt16Filter{Code::int16, 1, filter<Int16>, products<Int16>, 5};

}  // namespace

const Filters kNeonFilters{&kInt8Filter, &kInt16Filter};
const Scores kNeonScores{{tile<false>, row_scores<false>}, {tile<true>, row_scores<true>}, above};

}  // namespace coremax::graph
