// AMX: the filter's inner products by the tile unit, of int8 or of bfloat16 numbers; what follows (scale, compare, collect) is
// AVX-512. A tile is 16 rows of 64 bytes. The right-hand side of a tile product is [word][column]: a packed group as it lies.
// The left-hand side is [row][word]: groups of rows are transposed, once a call.
//
// What a block of 32 x 32 pairs should cost, in cycles of a Sapphire Rapids core: computed, not measured, from 16 cycles for a
// tile product, 8 for a tile load, 16 for a tile store, and two ports for 512-bit vector instructions.
//   tile products   4 a step of 16 words, 64 cycles. The 4 loads of a step take 32 cycles of the load ports, two of them from
//                   the level-2 cache: 32 bytes a cycle, of about 48 that it gives. 4 sums hide the latency of 52 cycles.
//   tile stores     4 a block, 64 cycles of the store ports, which have little else to do.
//   scan            64 vectors of 6 instructions on the vector ports (convert, 2 multiplications, minimum, comparison, test of
//                   the mask; bfloat16 converts nothing): 3 cycles each, 192 together (bfloat16 160). With shifts 8: 256 (224).
//   transposition   80 such instructions a group and step, for two groups, done for one of 9 blocks: 11 cycles a block and
//   step.
// The tile unit and the vector ports work side by side, so a block costs the larger of the two sums:
//               tile unit   vector ports                       bound by         share of the tile unit's peak
//   int8, 128         128   192 + 22 = 214                     scan             60 %
//   int8, 768         768   192 + 128 = 320                    tile unit        near 100 %
//   bfloat16, 128     256   160 + 43 = 203                     tile unit        near 100 %
//   bfloat16, 768    1536   160 + 256 = 416                    tile unit        near 100 %
// They do so only if both kinds of work are within reach of each other in the stream of instructions (512 are in flight, 64
// vectors' scan is 600): hence the scan of a block is dealt out in slices among the steps of the next.
#include <immintrin.h>

#include "graph/cpu/kernels.h"

namespace coremax::graph {
namespace {

#include "graph/cpu/filter512.h"

constexpr std::int64_t kStepWords = 16;  // words in a row of a tile
constexpr std::int64_t kTileWords = kStepWords * kGroupRows;
constexpr std::int64_t kTileStride = 64;  // bytes from row to row, wherever a tile lies
constexpr std::int64_t kBlockGroups = 2;  // a block is 2 x 2 groups
constexpr std::int64_t kSliceRows = 8;    // rows of one tile that are scanned between steps
constexpr std::int64_t kTileSlices = kGroupRows / kSliceRows;
// Transposed steps that are kept for the blocks to come: 2 groups of 2048 int8 or 1024 bfloat16 numbers, 64 KiB of stack. Those
// beyond are transposed for each block anew, at a cost of about as much as their tile products.
constexpr std::int64_t kKeptSteps = 32;

// Static, since GCC's intrinsic names only the first 8 bytes as read: stores into a local variable may be dropped.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr TileConfig kTileConfig;
static_assert(sizeof(TileConfig) == 64);

// Tiles 0 to 3 are sums, [row group][column group]; 4 and 5 the groups of rows, 6 and 7 those of columns. The intrinsics take
// nothing but literal numbers.
struct Int8 {
  template <int kRows, int kColumns>
  static void multiply() {
    _tile_dpbssd(0, 4, 6);
    if constexpr (kColumns == 2) _tile_dpbssd(1, 4, 7);
    if constexpr (kRows == 2) _tile_dpbssd(2, 5, 6);
    if constexpr (kRows == 2 && kColumns == 2) _tile_dpbssd(3, 5, 7);
  }
  static __m512 to_float(__m512i sums) { return _mm512_cvtepi32_ps(sums); }
};

struct Bfloat16 {
  template <int kRows, int kColumns>
  static void multiply() {
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kColumns == 2) _tile_dpbf16ps(1, 4, 7);
    if constexpr (kRows == 2) _tile_dpbf16ps(2, 5, 6);
    if constexpr (kRows == 2 && kColumns == 2) _tile_dpbf16ps(3, 5, 7);
  }
  static __m512 to_float(__m512i sums) { return _mm512_castsi512_ps(sums); }
};

// Words w, w + 4, w + 8, w + 12 of four rows, one word in each 128-bit part; `in` points to word w of the first row.
inline __m512i every_fourth_word(const std::uint32_t* in) {
  const auto part = [in](std::int64_t p) { return _mm_load_si128(reinterpret_cast<const __m128i*>(in + 4 * p * kGroupRows)); };
  const __m512i two = _mm512_inserti32x4(_mm512_zextsi128_si512(part(0)), part(1), 1);
  return _mm512_inserti32x4(_mm512_inserti32x4(two, part(2), 2), part(3), 3);
}

// out[row][word] = in[word][row], 16 of each. Loads put every word into its part, 4 x 4 transpositions within the parts do the
// rest: half the shuffles of a transposition of whole registers, and shuffles have one port only.
inline void transpose(const std::uint32_t* in, std::uint32_t* out) {
  for (std::int64_t row = 0; row < kGroupRows; row += 4) {
    __m512i words[4];
    for (std::int64_t w = 0; w < 4; ++w) words[w] = every_fourth_word(in + w * kGroupRows + row);
    const __m512i first_low = _mm512_unpacklo_epi32(words[0], words[1]);   // rows 0 and 1: words 0, 1
    const __m512i first_high = _mm512_unpackhi_epi32(words[0], words[1]);  // rows 2 and 3
    const __m512i second_low = _mm512_unpacklo_epi32(words[2], words[3]);  // rows 0 and 1: words 2, 3
    const __m512i second_high = _mm512_unpackhi_epi32(words[2], words[3]);
    std::uint32_t* to = out + row * kStepWords;
    _mm512_store_si512(to, _mm512_unpacklo_epi64(first_low, second_low));
    _mm512_store_si512(to + kStepWords, _mm512_unpackhi_epi64(first_low, second_low));
    _mm512_store_si512(to + 2 * kStepWords, _mm512_unpacklo_epi64(first_high, second_high));
    _mm512_store_si512(to + 3 * kStepWords, _mm512_unpackhi_epi64(first_high, second_high));
  }
}

// Calls body(sums of kSliceRows rows with a group, first row, group) for all pairs.
template <class Operation, class Body>
class Blocks {
 public:
  Blocks(const FilterSide& rows, const FilterSide& columns, std::int64_t n_words, Body& body)
      : rows_(rows), columns_(columns), n_words_(n_words), n_steps_(n_words / kStepWords), body_(body) {}

  void run() {
    for (std::int64_t row = 0; row < rows_.n_groups; row += kBlockGroups) {
      if (row + 1 < rows_.n_groups)
        block_row<2>(row);
      else
        block_row<1>(row);
    }
    while (n_slices_ > 0) scan_slice();
  }

 private:
  template <int kRows>
  void block_row(std::int64_t row) {
    std::int64_t column = 0;
    for (; column + 1 < columns_.n_groups; column += kBlockGroups) block<kRows, 2>(row, column);
    if (column < columns_.n_groups) block<kRows, 1>(row, column);
  }

  template <int kRows, int kColumns>
  void block(std::int64_t row, std::int64_t column) {
    const bool first = column == 0;
    if (first) transpose_step<kRows>(row, 0);
    zero<kRows, kColumns>();
    const std::int64_t slices = n_slices_;
    std::int64_t due = 0;
    for (std::int64_t step = 0; step < n_steps_; ++step) {
      multiply<kRows, kColumns>(step, column);
      if (step + 1 < n_steps_ && (first || step + 1 >= kKeptSteps)) transpose_step<kRows>(row, step + 1);
      for (due += slices; due >= n_steps_; due -= n_steps_) scan_slice();
    }
    store<kRows, kColumns>();
    row_ = row;
    column_ = column;
    next_slice_ = 0;
    n_slices_ = kRows * kColumns * kTileSlices;
    two_columns_ = kColumns == 2;
  }

  std::uint32_t* left(std::int64_t step) {
    const std::int64_t place = step < kKeptSteps ? step : kKeptSteps + (step & 1);
    return left_ + place * kBlockGroups * kTileWords;
  }

  template <int kRows>
  void transpose_step(std::int64_t row, std::int64_t step) {
    for (std::int64_t r = 0; r < kRows; ++r)
      transpose(rows_.words + ((row + r) * n_words_ + step * kStepWords) * kGroupRows, left(step) + r * kTileWords);
    asm volatile("" ::: "memory");  // GCC's tile loads do not say that they read memory: the stores have to be done before
  }

  template <int kRows, int kColumns>
  void multiply(std::int64_t step, std::int64_t column) {
    const std::uint32_t* row_words = left(step);
    const std::uint32_t* column_words = columns_.words + (column * n_words_ + step * kStepWords) * kGroupRows;
    _tile_loadd(4, row_words, kTileStride);
    _tile_loadd(6, column_words, kTileStride);
    if constexpr (kColumns == 2) _tile_loadd(7, column_words + n_words_ * kGroupRows, kTileStride);
    if constexpr (kRows == 2) _tile_loadd(5, row_words + kTileWords, kTileStride);
    Operation::template multiply<kRows, kColumns>();
  }

  template <int kRows, int kColumns>
  static void zero() {
    _tile_zero(0);
    if constexpr (kColumns == 2) _tile_zero(1);
    if constexpr (kRows == 2) _tile_zero(2);
    if constexpr (kRows == 2 && kColumns == 2) _tile_zero(3);
  }

  // All slices of the block before have been scanned by now, so one place for sums is enough; the tiles themselves are the
  // second one.
  template <int kRows, int kColumns>
  void store() {
    _tile_stored(0, sums_[0], kTileStride);
    if constexpr (kColumns == 2) _tile_stored(1, sums_[1], kTileStride);
    if constexpr (kRows == 2) _tile_stored(2, sums_[kColumns], kTileStride);
    if constexpr (kRows == 2 && kColumns == 2) _tile_stored(3, sums_[3], kTileStride);
  }

  // One body for all shapes of blocks, so that there is one copy of the scan.
  [[gnu::noinline]] void scan_slice() {
    const std::int64_t tile = next_slice_ / kTileSlices;
    const std::int64_t row_in_tile = next_slice_ % kTileSlices * kSliceRows;
    const std::int64_t r = two_columns_ ? tile / 2 : tile;
    const std::int64_t c = two_columns_ ? tile % 2 : 0;
    body_(sums_[tile] + row_in_tile, (row_ + r) * kGroupRows + row_in_tile, column_ + c);
    ++next_slice_;
    --n_slices_;
  }

  const FilterSide& rows_;
  const FilterSide& columns_;
  const std::int64_t n_words_;
  const std::int64_t n_steps_;
  Body& body_;
  // The block whose sums are stored: where it is, and what remains to be scanned.
  std::int64_t row_ = 0;
  std::int64_t column_ = 0;
  bool two_columns_ = false;
  std::int64_t next_slice_ = 0;
  std::int64_t n_slices_ = 0;
  alignas(64) __m512i sums_[kBlockGroups * kBlockGroups][kGroupRows];
  // Transposed words, [step][group][row][word]; two places more for the steps that are not kept.
  alignas(64) std::uint32_t left_[(kKeptSteps + 2) * kBlockGroups * kTileWords];
};

// The tiles are configured for the call only: nothing else finds them in use.
template <class Operation, class Body>
inline void all_blocks(const FilterSide& rows, const FilterSide& columns, std::int64_t n_words, Body&& body) {
  _tile_loadconfig(&kTileConfig);
  Blocks<Operation, Body>(rows, columns, n_words, body).run();
  _tile_release();
}

template <class Operation>
std::int64_t tile_filter(const FilterSide& rows, const FilterSide& columns, std::int64_t n_words, std::uint32_t* places,
                         float* products) {
  Hits hits{places, products};
  all_blocks<Operation>(rows, columns, n_words, [&](const __m512i* sums, std::int64_t row, std::int64_t group) {
    test_rows<Operation>(sums, 1, kSliceRows, rows, row, ColumnGroup(columns, group), hits);
  });
  return hits.count;
}

template <class Operation>
void tile_products(const FilterSide& rows, const FilterSide& columns, std::int64_t n_words, float* out, std::int64_t ld) {
  all_blocks<Operation>(rows, columns, n_words, [&](const __m512i* sums, std::int64_t row, std::int64_t group) {
    store_rows<Operation>(sums, 1, kSliceRows, rows, row, columns, group, out, ld);
  });
}

const Filter kInt8Filter{Code::int8, kStepWords, tile_filter<Int8>, tile_products<Int8>, 600};
const Filter kBfloat16Filter{Code::bfloat16, kStepWords, tile_filter<Bfloat16>, tile_products<Bfloat16>, 600};

}  // namespace

const Filters kAmxFilters{&kInt8Filter, &kBfloat16Filter};

}  // namespace coremax::graph
