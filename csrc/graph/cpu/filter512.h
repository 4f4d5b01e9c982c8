// The filter with 512-bit registers: an accumulator holds one row against the 16 rows of a group, a register tile is 8 rows x
// 3 groups. What comes after the inner product (scale, compare, collect the few that pass) is done strip by strip, so scores
// never leave the level-1 cache. Only for inclusion in files of AVX-512 levels, inside their unnamed namespace.
//
// Operation: one multiply-and-add of words, with
//   start(words of a group): what a row's sums start from, for codes that are offset to be unsigned
//   column(words): what is done once to a loaded word of a group;  multiply(sums, row's word in all lanes, column's words)
//   to_float(sums)

constexpr std::int64_t kStripRows = 8;
constexpr std::int64_t kPanelGroups = 3;

// Sums of a strip of rows with kGroups groups, stored as [row][group]. A function of its own: with the tests in sight the
// compiler (GCC 12) no longer keeps the accumulators in registers, at less than half the speed. `start` holds what each row's
// sums start from.
template <class Operation, int kGroups>
[[gnu::noinline]] void strip_sums(const std::uint32_t* rows, const std::uint32_t* columns, std::int64_t n_words,
                                  const std::int32_t* start, __m512i* out) {
  __m512i sums[kStripRows][kGroups];
#pragma GCC unroll 8
  for (int r = 0; r < kStripRows; ++r)
#pragma GCC unroll 3
    for (int g = 0; g < kGroups; ++g) sums[r][g] = _mm512_set1_epi32(start[r]);
  for (std::int64_t w = 0; w < n_words; ++w) {
    __m512i column[kGroups];
#pragma GCC unroll 3
    for (int g = 0; g < kGroups; ++g)
      column[g] = Operation::column(_mm512_load_si512(columns + (g * n_words + w) * kGroupRows));
#pragma GCC unroll 8
    for (int r = 0; r < kStripRows; ++r) {
      const __m512i row = _mm512_set1_epi32(static_cast<int>(rows[w * kGroupRows + r]));
#pragma GCC unroll 3
      for (int g = 0; g < kGroups; ++g) sums[r][g] = Operation::multiply(sums[r][g], row, column[g]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kStripRows; ++r)
#pragma GCC unroll 3
    for (int g = 0; g < kGroups; ++g) _mm512_store_si512(out + r * kGroups + g, sums[r][g]);
}

// Calls body(sums, groups side by side, first row, first group) for every strip; the panel of columns stays in the level-1
// cache while all rows pass by.
template <class Operation, int kGroups, class Body>
inline void panel(const FilterSide& rows, const FilterSide& columns, std::int64_t first_group, std::int64_t n_words,
                  const std::int32_t* start, Body& body) {
  __m512i sums[kStripRows * kGroups];
  for (std::int64_t row = 0; row < rows.n_groups * kGroupRows; row += kStripRows) {
    const std::int64_t group = row / kGroupRows * kGroupRows;
    strip_sums<Operation, kGroups>(rows.words + group * n_words + (row - group),
                                   columns.words + first_group * kGroupRows * n_words, n_words, start + row, sums);
    body(sums, kGroups, row, first_group);
  }
}

template <class Operation, class Body>
inline void all_panels(const FilterSide& rows, const FilterSide& columns, std::int64_t n_words, Body&& body) {
  alignas(64) std::int32_t start[kMostFilterRowGroups * kGroupRows];
  for (std::int64_t g = 0; g < rows.n_groups; ++g)
    Operation::start(rows.words + g * n_words * kGroupRows, n_words, start + g * kGroupRows);
  std::int64_t g = 0;
  for (; g + kPanelGroups <= columns.n_groups; g += kPanelGroups)
    panel<Operation, kPanelGroups>(rows, columns, g, n_words, start, body);
  if (columns.n_groups - g == 2) panel<Operation, 2>(rows, columns, g, n_words, start, body);
  if (columns.n_groups - g == 1) panel<Operation, 1>(rows, columns, g, n_words, start, body);
}

// One group of 16 columns as the tests see it.
struct ColumnGroup {
  __m512 scale, shift, threshold;
  std::int64_t first;

  ColumnGroup(const FilterSide& columns, std::int64_t group)
      : scale(_mm512_load_ps(columns.scale + group * kGroupRows)),
        shift(columns.shift == nullptr ? _mm512_setzero_ps() : _mm512_load_ps(columns.shift + group * kGroupRows)),
        threshold(_mm512_load_ps(columns.threshold + group * kGroupRows)),
        first(group * kGroupRows) {}
};

// Where hits go.
struct Hits {
  std::uint32_t* places;
  float* products;
  std::int64_t count = 0;

  // Compressed, then stored whole, since a store through a mask is slow on some machines.
  void add(__mmask16 mask, __m512 product, std::int64_t row, std::int64_t column) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i all = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(row << 16 | column)));
    _mm512_storeu_si512(places + count, _mm512_maskz_compress_epi32(mask, all));
    _mm512_storeu_ps(products + count, _mm512_maskz_compress_ps(mask, product));
    count += __builtin_popcount(mask);
  }
};

// Tests the sums of consecutive rows, `stride` vectors apart, with one group of columns. Without shifts both comparisons are
// one with the lower threshold.
template <class Operation, bool kShifted>
inline void test_rows(const __m512i* sums, std::int64_t stride, std::int64_t n_rows, const FilterSide& rows,
                      std::int64_t first_row, const ColumnGroup& columns, Hits& hits) {
  const float* scales = rows.scale + first_row;
  const float* shifts = kShifted ? rows.shift + first_row : nullptr;
  const float* thresholds = rows.threshold + first_row;
#pragma GCC unroll 8
  for (std::int64_t r = 0; r < n_rows; ++r) {
    const __m512 scale = _mm512_mul_ps(columns.scale, _mm512_set1_ps(scales[r]));
    const __m512 product = _mm512_mul_ps(Operation::to_float(_mm512_load_si512(sums + r * stride)), scale);
    if constexpr (kShifted) {
      const __mmask16 by_row =
          _mm512_cmp_ps_mask(_mm512_add_ps(product, columns.shift), _mm512_set1_ps(thresholds[r]), _CMP_GE_OQ);
      const __mmask16 by_column =
          _mm512_cmp_ps_mask(_mm512_add_ps(product, _mm512_set1_ps(shifts[r])), columns.threshold, _CMP_GE_OQ);
      if (!_kortestz_mask16_u8(by_row, by_column)) [[unlikely]]
        hits.add(_kor_mask16(by_row, by_column), product, first_row + r, columns.first);
    } else {
      const __mmask16 passing =
          _mm512_cmp_ps_mask(product, _mm512_min_ps(columns.threshold, _mm512_set1_ps(thresholds[r])), _CMP_GE_OQ);
      if (!_kortestz_mask16_u8(passing, passing)) [[unlikely]]
        hits.add(passing, product, first_row + r, columns.first);
    }
  }
}

template <class Operation>
inline void test_rows(const __m512i* sums, std::int64_t stride, std::int64_t n_rows, const FilterSide& rows,
                      std::int64_t first_row, const ColumnGroup& columns, Hits& hits) {
  if (rows.shift != nullptr)
    test_rows<Operation, true>(sums, stride, n_rows, rows, first_row, columns, hits);
  else
    test_rows<Operation, false>(sums, stride, n_rows, rows, first_row, columns, hits);
}

// Stores their products instead.
template <class Operation>
inline void store_rows(const __m512i* sums, std::int64_t stride, std::int64_t n_rows, const FilterSide& rows,
                       std::int64_t first_row, const FilterSide& columns, std::int64_t group, float* out, std::int64_t ld) {
  const __m512 scale = _mm512_load_ps(columns.scale + group * kGroupRows);
  for (std::int64_t r = 0; r < n_rows; ++r) {
    const __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(rows.scale[first_row + r]));
    _mm512_storeu_ps(out + (first_row + r) * ld + group * kGroupRows,
                     _mm512_mul_ps(Operation::to_float(_mm512_load_si512(sums + r * stride)), both));
  }
}

template <class Operation>
std::int64_t filter(const FilterSide& rows, const FilterSide& columns, std::int64_t n_words, std::uint32_t* places,
                    float* products) {
  Hits hits{places, products};
  all_panels<Operation>(rows, columns, n_words, [&](const __m512i* sums, int n_groups, std::int64_t row, std::int64_t group) {
    for (int g = 0; g < n_groups; ++g)
      test_rows<Operation>(sums + g, n_groups, kStripRows, rows, row, ColumnGroup(columns, group + g), hits);
  });
  return hits.count;
}

template <class Operation>
void products(const FilterSide& rows, const FilterSide& columns, std::int64_t n_words, float* out, std::int64_t ld) {
  all_panels<Operation>(rows, columns, n_words, [&](const __m512i* sums, int n_groups, std::int64_t row, std::int64_t group) {
    for (int g = 0; g < n_groups; ++g)
      store_rows<Operation>(sums + g, n_groups, kStripRows, rows, row, columns, group + g, out, ld);
  });
}

// Base of the operations on whole numbers.
struct IntegerSums {
  static void start(const std::uint32_t*, std::int64_t, std::int32_t* out) { _mm512_store_si512(out, _mm512_setzero_si512()); }
  static __m512i column(__m512i words) { return words; }
  static __m512 to_float(__m512i sums) { return _mm512_cvtepi32_ps(sums); }
};
