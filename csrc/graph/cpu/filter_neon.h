// The filter with 128-bit registers: a group of 16 rows is four registers, a register tile is a few rows x 1 group. Only for
// inclusion in files of NEON levels, inside their unnamed namespace.
//
// Operation: kRows, the rows of a tile, and sums(rows, columns, n_words, out): their inner products with a group as
// [row][quarter of the group].

constexpr int kGroupQuarters = 4;

// int16: even and odd numbers of eight words are taken apart, then multiplied by one row's and added to int32.
struct Int16 {
  static constexpr std::int64_t kRows = 4;

  static int16x8x2_t apart(const std::uint32_t* words) {
    return vuzpq_s16(vreinterpretq_s16_u32(vld1q_u32(words)), vreinterpretq_s16_u32(vld1q_u32(words + 4)));
  }
  template <int kRow>
  static void add(const int16x8x2_t* column, int16x8_t rows, int32x4_t* sums) {
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      int32x4_t* to = sums + kRow * kGroupQuarters + 2 * half;
      to[0] = vmlal_laneq_s16(to[0], vget_low_s16(column[half].val[0]), rows, 2 * kRow);
      to[1] = vmlal_high_laneq_s16(to[1], column[half].val[0], rows, 2 * kRow);
      to[0] = vmlal_laneq_s16(to[0], vget_low_s16(column[half].val[1]), rows, 2 * kRow + 1);
      to[1] = vmlal_high_laneq_s16(to[1], column[half].val[1], rows, 2 * kRow + 1);
    }
  }
  static void sums(const std::uint32_t* rows, const std::uint32_t* columns, std::int64_t n_words, int32x4_t* out) {
    int32x4_t sums[kRows * kGroupQuarters];
    for (int32x4_t& sum : sums) sum = vdupq_n_s32(0);
    for (std::int64_t w = 0; w < n_words; ++w) {
      const std::uint32_t* words = columns + w * kGroupRows;
      const int16x8x2_t column[2] = {apart(words), apart(words + kGroupRows / 2)};
      const int16x8_t row_words = vreinterpretq_s16_u32(vld1q_u32(rows + w * kGroupRows));
      add<0>(column, row_words, sums);
      add<1>(column, row_words, sums);
      add<2>(column, row_words, sums);
      add<3>(column, row_words, sums);
    }
    for (int i = 0; i < kRows * kGroupQuarters; ++i) out[i] = sums[i];
  }
};

// Calls body(products of a row with a group's quarters, row, first column of the group) for all.
template <class Operation, class Body>
inline void all_products(const FilterSide& rows, const FilterSide& columns, std::int64_t n_words, Body&& body) {
  for (std::int64_t column = 0; column < columns.n_groups * kGroupRows; column += kGroupRows)
    for (std::int64_t row = 0; row < rows.n_groups * kGroupRows; row += Operation::kRows) {
      const std::int64_t group = row / kGroupRows * kGroupRows;
      int32x4_t sums[Operation::kRows * kGroupQuarters];
      Operation::sums(rows.words + group * n_words + (row - group), columns.words + column * n_words, n_words, sums);
      for (std::int64_t r = 0; r < Operation::kRows; ++r) {
        float32x4_t products[kGroupQuarters];
        for (int quarter = 0; quarter < kGroupQuarters; ++quarter) {
          const float32x4_t scale = vmulq_n_f32(vld1q_f32(columns.scale + column + 4 * quarter), rows.scale[row + r]);
          products[quarter] = vmulq_f32(vcvtq_f32_s32(sums[r * kGroupQuarters + quarter]), scale);
        }
        body(products, row + r, column);
      }
    }
}

// Without shifts both comparisons are one with the lower threshold.
inline uint32x4_t passing(float32x4_t product, const FilterSide& rows, std::int64_t row, const FilterSide& columns,
                          std::int64_t column) {
  const float32x4_t by_row = vdupq_n_f32(rows.threshold[row]);
  const float32x4_t by_column = vld1q_f32(columns.threshold + column);
  if (rows.shift == nullptr) return vcgeq_f32(product, vminq_f32(by_row, by_column));
  return vorrq_u32(vcgeq_f32(vaddq_f32(product, vld1q_f32(columns.shift + column)), by_row),
                   vcgeq_f32(vaddq_f32(product, vdupq_n_f32(rows.shift[row])), by_column));
}

template <class Operation>
std::int64_t filter(const FilterSide& rows, const FilterSide& columns, std::int64_t n_words, std::uint32_t* places,
                    float* products) {
  std::int64_t count = 0;
  all_products<Operation>(rows, columns, n_words, [&](const float32x4_t* found, std::int64_t row, std::int64_t column) {
    uint32x4_t passed[kGroupQuarters];
    for (int quarter = 0; quarter < kGroupQuarters; ++quarter)
      passed[quarter] = passing(found[quarter], rows, row, columns, column + 4 * quarter);
    const uint32x4_t any = vorrq_u32(vorrq_u32(passed[0], passed[1]), vorrq_u32(passed[2], passed[3]));
    if (vmaxvq_u32(any) == 0) [[likely]]
      return;
    std::uint32_t marks[kGroupRows];
    float values[kGroupRows];
    for (int quarter = 0; quarter < kGroupQuarters; ++quarter) {
      vst1q_u32(marks + 4 * quarter, passed[quarter]);
      vst1q_f32(values + 4 * quarter, found[quarter]);
    }
    for (std::int64_t lane = 0; lane < kGroupRows; ++lane) {
      if (marks[lane] == 0) continue;
      places[count] = static_cast<std::uint32_t>(row << 16 | (column + lane));
      products[count++] = values[lane];
    }
  });
  return count;
}

template <class Operation>
void products(const FilterSide& rows, const FilterSide& columns, std::int64_t n_words, float* out, std::int64_t ld) {
  all_products<Operation>(rows, columns, n_words, [&](const float32x4_t* found, std::int64_t row, std::int64_t column) {
    for (int quarter = 0; quarter < kGroupQuarters; ++quarter) vst1q_f32(out + row * ld + column + 4 * quarter, found[quarter]);
  });
}
