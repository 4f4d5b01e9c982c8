// NEON with the dot product of bytes: the canonical scores of the NEON level behind a filter of int8 at four times the rate of
// float32.
#include <arm_neon.h>

#include "graph/cpu/kernels.h"

namespace coremax::graph {
namespace {

#include "graph/cpu/filter_neon.h"

struct Int8 {
  static constexpr std::int64_t kRows = 4;

  template <int kRow>
  static void add(const int8x16_t* column, int8x16_t rows, int32x4_t* sums) {
#pragma GCC unroll 4
    for (int quarter = 0; quarter < kGroupQuarters; ++quarter) {
      int32x4_t& sum = sums[kRow * kGroupQuarters + quarter];
      sum = vdotq_laneq_s32(sum, column[quarter], rows, kRow);
    }
  }
  static void sums(const std::uint32_t* rows, const std::uint32_t* columns, std::int64_t n_words, int32x4_t* out) {
    int32x4_t sums[kRows * kGroupQuarters];
    for (int32x4_t& sum : sums) sum = vdupq_n_s32(0);
    for (std::int64_t w = 0; w < n_words; ++w) {
      int8x16_t column[kGroupQuarters];
      for (int quarter = 0; quarter < kGroupQuarters; ++quarter)
        column[quarter] = vreinterpretq_s8_u32(vld1q_u32(columns + w * kGroupRows + 4 * quarter));
      const int8x16_t row_words = vreinterpretq_s8_u32(vld1q_u32(rows + w * kGroupRows));
      add<0>(column, row_words, sums);
      add<1>(column, row_words, sums);
      add<2>(column, row_words, sums);
      add<3>(column, row_words, sums);
    }
    for (int i = 0; i < kRows * kGroupQuarters; ++i) out[i] = sums[i];
  }
};

// Reckoned from what cores can issue, for the choice between the two; not measured.
const Filter kInt8Filter{Code::int8, 1, filter<Int8>, products<Int8>, 20};
const Filter kInt16Filter{Code::int16, 1, filter<Int16>, products<Int16>, 5};

}  // namespace

const Filters kNeonDotprodFilters{&kInt8Filter, &kInt16Filter};

}  // namespace coremax::graph
