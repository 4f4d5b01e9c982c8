// What an ISA level provides to the graph, as plain functions over raw pointers: the canonical scores, which decide, and a
// low-precision filter, which spares most pairs the canonical score. One table per level; the driver picks a table once per
// call. Levels share no code but headers whose every body is local to the file (house rule: a shared inline body could be
// linked in its AVX-512 form onto the baseline path).
#pragma once

#include <cstdint>

#include "isa/isa.h"

namespace coremax::graph {

// ---- Canonical scores ---------------------------------------------------------------------------------------------------

// Rows of a come in multiples of 12 and rows of b in multiples of 4, so that every level's register tile divides them.
constexpr std::int64_t kRowMultipleA = 12;
constexpr std::int64_t kRowMultipleB = 4;
// Rows that one row is scored against come in multiples of 16.
constexpr std::int64_t kRescoreMultiple = 16;

// scores[r * ld + c] = canonical score of row r of a with row c of b. Rows are 64-byte aligned, `width` floats long (a
// multiple of 16) and contiguous.
using TileKernel = void (*)(const float* a, std::int64_t n_a, const float* b, std::int64_t n_b, std::int64_t width,
                            float* scores, std::int64_t ld);
// scores[c] = canonical score of the row a with row c of b.
using RowKernel = void (*)(const float* a, const float* b, std::int64_t n_b, std::int64_t width, float* scores);

struct ScoreKernels {
  TileKernel tile;
  RowKernel row;
};

// ---- The filter ---------------------------------------------------------------------------------------------------------

// Rows in low precision, in groups of kGroupRows. A row is a string of 4-byte words, each of four int8, two int16 or two
// bfloat16 numbers; a group holds word 0 of its 16 rows, then word 1, and so on, so that a vector register loads one word of
// 16 rows, and any one row's word can be broadcast. The approximate score of rows p and q is
//     product(p, q) + shift_p + shift_q,    product(p, q) = scale_p * scale_q * (inner product of their numbers).
constexpr std::int64_t kGroupRows = 16;

enum class Code { int8, int16, bfloat16 };

struct FilterSide {
  const std::uint32_t* words = nullptr;
  const float* scale = nullptr;
  const float* shift = nullptr;      // null on both sides where all shifts are zero
  const float* threshold = nullptr;  // of product + shift of the other side; +infinity closes a row
  std::int64_t n_groups = 0;
};

// A call takes at most this many groups of rows, and any number of groups of columns up to 4096.
constexpr std::int64_t kMostFilterRowGroups = 4;

// Finds the pairs with product + shift_q >= threshold_p or product + shift_p >= threshold_q, p a row of `rows` and q of
// `columns`. places[h] = p << 16 | q, both counted from the side's start; products[h] their product. Room for every pair and
// kGroupRows more. Returns how many.
using FilterKernel = std::int64_t (*)(const FilterSide& rows, const FilterSide& columns, std::int64_t n_words,
                                      std::uint32_t* places, float* products);
// products[p * ld + q] = product(p, q); thresholds and shifts are not used.
using ProductKernel = void (*)(const FilterSide& rows, const FilterSide& columns, std::int64_t n_words, float* products,
                               std::int64_t ld);

struct Filter {
  Code code;
  std::int64_t word_multiple;  // rows are padded with zeros to a multiple of this many words
  FilterKernel filter;
  ProductKernel products;
  double
      words_per_ns;  // about how many words of pairs a core gets through: weighs the filter against scoring what it lets pass
};

// ---- The tables ---------------------------------------------------------------------------------------------------------

struct Scores {
  ScoreKernels dot;               // sum of products
  ScoreKernels negated_distance;  // minus the sum of squared differences
  // Writes the positions, ascending, of scores above the threshold to out (room for n + 16); returns how many.
  std::int64_t (*above)(const float* scores, std::int64_t n, float threshold, std::int32_t* out);
};

struct Filters {
  const Filter* coarse = nullptr;  // the fastest there is
  const Filter* fine = nullptr;    // slower, for data that the coarse one can not tell apart; null where there is only one
};

extern const Scores kScalarScores;
#if defined(COREMAX_HAVE_NEON)
extern const Scores kNeonScores;
extern const Filters kNeonFilters;
#endif
#if defined(COREMAX_HAVE_NEONDOTPROD)
extern const Filters kNeonDotprodFilters;
#endif
#if defined(COREMAX_HAVE_AVX2)
extern const Scores kAvx2Scores;
extern const Filters kAvx2Filters;
#endif
#if defined(COREMAX_HAVE_AVX512)
extern const Scores kAvx512Scores;
extern const Filters kAvx512Filters;
#endif
#if defined(COREMAX_HAVE_AVX512VNNI)
extern const Filters kAvx512VnniFilters;
#endif
#if defined(COREMAX_HAVE_AMX)
extern const Filters kAmxFilters;
#endif

}  // namespace coremax::graph
