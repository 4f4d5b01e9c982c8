// Every filter this machine can run, and the AMX filter over emulated tiles, against plain sums: the contract of
// graph/cpu/kernels.h, with nothing of the search around it.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "amx_emulation.h"
#include "check.h"
#include "core/aligned_buffer.h"
#include "graph/cpu/kernels.h"
#include "isa/isa.h"

#if defined(COREMAX_HAVE_AVX512)
namespace coremax::graph {
extern const Filters kEmulatedAmxFilters;
}
namespace coremax::test {
extern const char* emulated_amx_fault();
}
#endif

namespace {

using namespace coremax;
using namespace coremax::graph;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// ---- Which filters there are ---------------------------------------------------------------------------------------------

struct Candidate {
  std::string name;
  const Filter* filter;
  bool emulated = false;
};

const char* name_of(Code code) { return code == Code::int8 ? "int8" : code == Code::int16 ? "int16" : "bfloat16"; }

[[maybe_unused]] void add(std::vector<Candidate>& list, const char* level, const Filters& filters, bool emulated = false) {
  for (const Filter* filter : {filters.coarse, filters.fine})
    if (filter != nullptr) list.push_back({std::string(level) + " " + name_of(filter->code), filter, emulated});
}

// Says what is not there, for a level that goes untested should not go unseen.
std::vector<Candidate> filters_here() {
  const std::vector<Isa> levels = available_isas();
  [[maybe_unused]] const auto have = [&](Isa isa, const char* what) {
    const bool found = std::find(levels.begin(), levels.end(), isa) != levels.end();
    if (!found) std::printf("skip %s: this CPU can not run it\n", what);
    return found;
  };
  std::vector<Candidate> list;
#if defined(COREMAX_HAVE_NEON)
  add(list, "neon", kNeonFilters);
#endif
#if defined(COREMAX_HAVE_NEONDOTPROD)
  if (has_dotprod())
    add(list, "neondotprod", kNeonDotprodFilters);
  else
    std::printf("skip neondotprod: this CPU can not run it\n");
#endif
#if defined(COREMAX_HAVE_AVX2)
  if (have(Isa::avx2, "avx2")) add(list, "avx2", kAvx2Filters);
#endif
#if defined(COREMAX_HAVE_AVX512)
  if (have(Isa::avx512, "avx512 and emulated amx")) {
    add(list, "avx512", kAvx512Filters);
    add(list, "emulated amx", kEmulatedAmxFilters, true);
  }
#endif
#if defined(COREMAX_HAVE_AVX512VNNI)
  if (!has_vnni())
    std::printf("skip avx512vnni: this CPU can not run it\n");
  else if (have(Isa::avx512, "avx512vnni"))
    add(list, "avx512vnni", kAvx512VnniFilters);
#endif
#if defined(COREMAX_HAVE_AMX)
  if (have(Isa::amx, "amx")) add(list, "amx", kAmxFilters);
#endif
  if (list.empty()) std::printf("skip filters: this build has none for this CPU\n");
  return list;
}

// ---- Rows ----------------------------------------------------------------------------------------------------------------

// Rows of one side: the numbers, and the same packed.
struct Rows {
  std::int64_t n;                   // with filling
  std::int64_t n_filled;            // rows at the end that only fill the last group
  std::int64_t width;               // numbers in a row
  std::vector<std::int32_t> whole;  // [row][number], for the integer codes
  std::vector<float> real;          // for bfloat16
  AlignedBuffer<std::uint32_t> words;
  AlignedBuffer<float> scale, shift, threshold;

  FilterSide side() const { return {words.data(), scale.data(), shift.data(), threshold.data(), n / kGroupRows}; }
  bool filling(std::int64_t r) const { return r >= n - n_filled; }
};

// Whole numbers as the packer makes them: within the code's range and a norm of 46000, so that sums stay within an int32. Every
// other row is as large as it may be.
void fill_whole(Rows& rows, std::int64_t r, Code code, std::mt19937& random) {
  std::int32_t* row = rows.whole.data() + r * rows.width;
  const std::int32_t largest = code == Code::int8 ? 127 : 32767;
  const double norm = 46000;
  const auto level = static_cast<std::int32_t>(std::min<double>(largest, norm / std::sqrt(static_cast<double>(rows.width))));
  const auto number = [&] { return static_cast<std::int32_t>(random() % static_cast<unsigned>(2 * level + 1)) - level; };
  const bool extreme = r % 2 == 0;
  for (std::int64_t c = 0; c < rows.width; ++c) row[c] = !extreme ? number() : random() % 2 == 0 ? level : -level;
  if (extreme && code == Code::int16 && random() % 2 == 0) {  // two large ones: 32767^2 + 32286^2 < 46000^2
    std::fill_n(row, rows.width, 0);
    row[0] = random() % 2 == 0 ? 32767 : -32767;
    row[1] = random() % 2 == 0 ? 32286 : -32286;
  }
}

void fill_real(Rows& rows, std::int64_t r, std::mt19937& random) {
  std::normal_distribution<float> normal;
  const float size = std::ldexp(1.0f, static_cast<int>(random() % 13) - 6);
  for (std::int64_t c = 0; c < rows.width; ++c) {
    const float value = random() % 8 == 0 ? 0.0f : size * normal(random);
    rows.real[static_cast<std::size_t>(r * rows.width + c)] =
        std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) & 0xFFFF0000U);
  }
}

std::uint32_t word_of(const Rows& rows, std::int64_t r, std::int64_t w, Code code) {
  if (code == Code::bfloat16) {
    const float* pair = rows.real.data() + r * rows.width + 2 * w;
    return std::bit_cast<std::uint32_t>(pair[0]) >> 16 | std::bit_cast<std::uint32_t>(pair[1]);
  }
  const int per_word = code == Code::int8 ? 4 : 2;
  const int bits = 32 / per_word;
  std::uint32_t word = 0;
  for (int i = 0; i < per_word; ++i)
    word |= (static_cast<std::uint32_t>(rows.whole[static_cast<std::size_t>(r * rows.width + w * per_word + i)]) &
             ((1U << bits) - 1))
            << (i * bits);
  return word;
}

// Scales are powers of two: then there is one rounding in a product of whole numbers, and its value does not depend on the
// order.
Rows make_rows(std::int64_t n_groups, std::int64_t n_words, std::int64_t n_filled, Code code, std::mt19937& random) {
  const std::int64_t n = n_groups * kGroupRows;
  const std::int64_t width = n_words * (code == Code::int8 ? 4 : 2);
  const auto size = static_cast<std::size_t>(n * width);
  const bool whole = code != Code::bfloat16;
  Rows rows{n,
            n_filled,
            width,
            std::vector<std::int32_t>(whole ? size : 0),
            std::vector<float>(whole ? 0 : size),
            AlignedBuffer<std::uint32_t>(n * n_words),
            AlignedBuffer<float>(n),
            AlignedBuffer<float>(n),
            AlignedBuffer<float>(n)};
  for (std::int64_t r = 0; r < n; ++r) {
    const bool filling = rows.filling(r);
    if (!filling) whole ? fill_whole(rows, r, code, random) : fill_real(rows, r, random);
    for (std::int64_t w = 0; w < n_words; ++w)
      rows.words.data()[(r / kGroupRows * n_words + w) * kGroupRows + r % kGroupRows] = word_of(rows, r, w, code);
    rows.scale.data()[r] = filling ? 0.0f : std::ldexp(1.0f, -static_cast<int>(random() % 9));
    rows.shift.data()[r] = filling ? std::numeric_limits<float>::quiet_NaN() : 0.0f;
    rows.threshold.data()[r] = kInfinity;
  }
  return rows;
}

// ---- One pair of sides and one filter ------------------------------------------------------------------------------------

class Trial {
 public:
  Trial(const Candidate& candidate, std::int64_t row_groups, std::int64_t column_groups, std::int64_t n_words, unsigned seed)
      : candidate_(candidate),
        code_(candidate.filter->code),
        n_words_(n_words),
        random_(seed),
        rows_(make_rows(row_groups, n_words, random_() % 6, code_, random_)),
        columns_(make_rows(column_groups, n_words, random_() % 6, code_, random_)),
        ld_(columns_.n + 5),
        where_(candidate.name + ", " + std::to_string(row_groups) + " x " + std::to_string(column_groups) + " groups, " +
               std::to_string(n_words) + " words") {}

  void run() {
    check_products();
    for (const bool shifted : {false, true}) {
      if (shifted) draw_shifts();
      const std::string shifts = shifted ? ", shifted" : "";
      set_all(-kInfinity);
      check_hits("all pass" + shifts);
      set_all(kInfinity);
      check_hits("none pass" + shifts);
      for (const bool by_row : {true, false}) {
        meet_one(by_row);
        check_hits("equality" + shifts);
        exceed_all(by_row);
        check_hits("just above the best" + shifts);
      }
      mix();
      check_hits("mixed" + shifts);
    }
  }

 private:
  float product(std::int64_t p, std::int64_t q) const { return products_[static_cast<std::size_t>(p * ld_ + q)]; }

  void check_products() {
    constexpr float kUntouched = -12345.0f;
    products_.assign(static_cast<std::size_t>(rows_.n * ld_), kUntouched);
    candidate_.filter->products(rows_.side(), columns_.side(), n_words_, products_.data(), ld_);
    check_fault();
    std::int64_t wrong = 0;
    for (std::int64_t p = 0; p < rows_.n; ++p) {
      for (std::int64_t q = 0; q < columns_.n; ++q) wrong += !right_product(p, q);
      for (std::int64_t q = columns_.n; q < ld_; ++q) wrong += product(p, q) != kUntouched;
    }
    CHECK_AT(where_ + ": " + std::to_string(wrong) + " wrong products", wrong == 0);
  }

  // Whole numbers: exact but for the conversion to float. bfloat16: n sums of products in any order, each rounded (packed.h).
  bool right_product(std::int64_t p, std::int64_t q) const {
    const double scale = static_cast<double>(rows_.scale.data()[p]) * static_cast<double>(columns_.scale.data()[q]);
    const double value = static_cast<double>(product(p, q));
    if (code_ == Code::bfloat16) {
      const float* a = rows_.real.data() + p * rows_.width;
      const float* b = columns_.real.data() + q * rows_.width;
      double sum = 0;
      double size = 0;
      for (std::int64_t c = 0; c < rows_.width; ++c) {
        const double term = static_cast<double>(a[c]) * static_cast<double>(b[c]);
        sum += term;
        size += std::fabs(term);
      }
      return std::fabs(value - sum * scale) <= 2 * static_cast<double>(rows_.width) * 0x1p-24 * size * scale;
    }
    const std::int32_t* a = rows_.whole.data() + p * rows_.width;
    const std::int32_t* b = columns_.whole.data() + q * rows_.width;
    std::int64_t sum = 0;
    for (std::int64_t c = 0; c < rows_.width; ++c) sum += std::int64_t{a[c]} * b[c];
    return value == static_cast<double>(static_cast<float>(sum)) * scale;
  }

  // Shifts of the size of products, so that either may decide.
  void draw_shifts() {
    std::uniform_real_distribution<float> uniform(-1, 1);
    float size = 0;
    for (std::int64_t p = 0; p < rows_.n; ++p) size = std::max(size, std::fabs(product(p, p % columns_.n)));
    for (Rows* side : {&rows_, &columns_})
      for (std::int64_t r = 0; r < side->n; ++r)
        if (!side->filling(r)) side->shift.data()[r] = size * uniform(random_);
  }

  // Filling keeps the threshold of a closed row.
  void set_all(float threshold) {
    for (Rows* side : {&rows_, &columns_})
      for (std::int64_t r = 0; r < side->n; ++r) side->threshold.data()[r] = side->filling(r) ? kInfinity : threshold;
  }

  // What row r of a side is offered by row s of the other.
  float offered(bool by_row, std::int64_t r, std::int64_t s) const {
    return by_row ? product(r, s) + columns_.shift.data()[s] : product(s, r) + rows_.shift.data()[s];
  }

  // Every row of one side has for its threshold exactly what one row of the other offers.
  void meet_one(bool by_row) {
    set_all(kInfinity);
    Rows& side = by_row ? rows_ : columns_;
    const Rows& other = by_row ? columns_ : rows_;
    const auto real_rows = static_cast<unsigned>(other.n - other.n_filled);
    for (std::int64_t r = 0; r < side.n - side.n_filled; ++r)
      side.threshold.data()[r] = offered(by_row, r, random_() % real_rows);
  }

  // Every row of one side has the smallest threshold that nothing reaches.
  void exceed_all(bool by_row) {
    set_all(kInfinity);
    Rows& side = by_row ? rows_ : columns_;
    const Rows& other = by_row ? columns_ : rows_;
    for (std::int64_t r = 0; r < side.n - side.n_filled; ++r) {
      float best = -kInfinity;
      for (std::int64_t s = 0; s < other.n - other.n_filled; ++s) best = std::max(best, offered(by_row, r, s));
      side.threshold.data()[r] = std::nextafter(best, kInfinity);
    }
    CHECK_AT(where_, n_expected() == 0);
  }

  // Some rows closed, one in 40 open to all, and the others with a threshold as in a search, which few reach.
  void mix() {
    for (const bool by_row : {true, false}) {
      Rows& side = by_row ? rows_ : columns_;
      const Rows& other = by_row ? columns_ : rows_;
      for (std::int64_t r = 0; r < side.n; ++r) {
        const auto kind = random_() % 40;
        float limit = -kInfinity;
        for (int i = 0; i < 12; ++i)
          limit = std::max(limit, offered(by_row, r, random_() % static_cast<unsigned>(other.n - other.n_filled)));
        side.threshold.data()[r] = side.filling(r) || kind < 10 ? kInfinity : kind == 10 ? -kInfinity : limit;
      }
    }
  }

  bool expected(std::int64_t p, std::int64_t q) const {
    return offered(true, p, q) >= rows_.threshold.data()[p] || offered(false, q, p) >= columns_.threshold.data()[q];
  }
  std::int64_t n_expected() const {
    std::int64_t count = 0;
    for (std::int64_t p = 0; p < rows_.n; ++p)
      for (std::int64_t q = 0; q < columns_.n; ++q) count += expected(p, q);
    return count;
  }

  // The pairs that pass, all of them and each once, with the product that `products` gives; nothing behind the room there is.
  void check_hits(const std::string& what) {
    constexpr std::uint32_t kUntouched = 0xABABABAB;
    const auto room = static_cast<std::size_t>(rows_.n * columns_.n + kGroupRows);
    std::vector<std::uint32_t> places(room + 16, kUntouched);
    std::vector<float> values(room + 16, std::bit_cast<float>(kUntouched));
    const std::int64_t count = candidate_.filter->filter(rows_.side(), columns_.side(), n_words_, places.data(), values.data());
    check_fault();
    const std::string at = where_ + ", " + what;
    if (!CHECK(count >= 0 && count <= rows_.n * columns_.n)) return;
    std::vector<bool> seen(room);
    std::int64_t wrong = 0;
    for (std::size_t h = 0; h < static_cast<std::size_t>(count); ++h) {
      const std::int64_t p = places[h] >> 16;
      const std::int64_t q = places[h] & 0xFFFF;
      const bool in_range = p < rows_.n && q < columns_.n;
      const auto pair = static_cast<std::size_t>(p * columns_.n + q);
      if (!in_range || seen[pair] || !expected(p, q) ||
          std::bit_cast<std::uint32_t>(values[h]) != std::bit_cast<std::uint32_t>(product(p, q))) {
        ++wrong;
      } else {
        seen[pair] = true;
      }
    }
    CHECK_AT(at + ": " + std::to_string(wrong) + " wrong hits", wrong == 0);
    const std::int64_t wanted = n_expected();
    CHECK_AT(at + ": " + std::to_string(count) + " hits of " + std::to_string(wanted), count == wanted);
    for (std::size_t i = room; i < places.size(); ++i)
      CHECK_AT(at, places[i] == kUntouched && std::bit_cast<std::uint32_t>(values[i]) == kUntouched);
  }

  void check_fault() const {
#if defined(COREMAX_HAVE_AVX512)
    if (!candidate_.emulated) return;
    const char* fault = test::emulated_amx_fault();
    CHECK_AT(where_ + ": " + (fault == nullptr ? "" : fault), fault == nullptr);
#endif
  }

  const Candidate& candidate_;
  const Code code_;
  const std::int64_t n_words_;
  std::mt19937 random_;
  Rows rows_;
  Rows columns_;
  const std::int64_t ld_;
  const std::string where_;
  std::vector<float> products_;  // [row][column] with rows of ld_
};

TEST(filters_at_every_size) {
  const std::vector<Candidate> list = filters_here();
  CHECK(list.empty() == (available_isas().size() == 1));
  for (const Candidate& candidate : list) {
    unsigned seed = 0;
    for (std::int64_t row_groups = 1; row_groups <= kMostFilterRowGroups; ++row_groups)
      for (std::int64_t column_groups = 1; column_groups <= 15; ++column_groups, ++seed)
        Trial(candidate, row_groups, column_groups, candidate.filter->word_multiple * (1 + seed % 3), seed).run();
  }
}

// 9 and 12 steps of an AMX tile are more than there are slices to scan, 32 to 35 at the end of what AMX keeps transposed.
TEST(filters_at_every_width) {
  const std::vector<Candidate> list = filters_here();
  CHECK(list.empty() == (available_isas().size() == 1));
  for (const Candidate& candidate : list)
    for (const std::int64_t multiples : {4, 5, 7, 8, 9, 12, 16, 31, 32, 33, 34, 35}) {
      const std::int64_t n_words = candidate.filter->word_multiple * multiples;
      Trial(candidate, 3, 5, n_words, static_cast<unsigned>(multiples)).run();
    }
}

// ---- The emulation -------------------------------------------------------------------------------------------------------

struct Config {
  std::uint8_t bytes[64] = {1};
  Config& tile(int i, int rows, int row_bytes) {
    bytes[48 + i] = static_cast<std::uint8_t>(rows);
    bytes[16 + 2 * i] = static_cast<std::uint8_t>(row_bytes);
    return *this;
  }
};

bool faults(test::Tiles& tiles, const std::string& fragment) {
  const char* fault = tiles.take_fault();
  return fault != nullptr && std::string(fault).find(fragment) != std::string::npos;
}

TEST(emulated_tiles_fault_where_the_hardware_does) {
  test::Tiles tiles;
  std::uint8_t memory[16 * 64] = {};
  tiles.zero(0);
  CHECK(faults(tiles, "not configured"));
  CHECK(tiles.take_fault() == nullptr);
  tiles.load_config(Config().tile(0, 17, 64).bytes);
  CHECK(faults(tiles, "larger than a tile"));
  tiles.load_config(Config().tile(0, 16, 65).bytes);
  CHECK(faults(tiles, "larger than a tile"));
  tiles.load_config(Config().tile(0, 16, 0).bytes);
  CHECK(faults(tiles, "no columns"));
  tiles.load_config(Config().tile(8, 16, 64).bytes);
  CHECK(faults(tiles, "does not exist"));
  tiles.zero(0);
  CHECK(faults(tiles, "not configured"));
  // 0: 3 x 5 sums; 1: 3 rows of 2 words, 2: 2 rows of 5 words, which fit; 3, 4, 5: each off by one row or word.
  tiles.load_config(Config().tile(0, 3, 20).tile(1, 3, 8).tile(2, 2, 20).tile(3, 4, 8).tile(4, 2, 16).tile(5, 3, 12).bytes);
  tiles.dot_int8(0, 1, 2);
  tiles.dot_bfloat16(0, 1, 2);
  CHECK(tiles.take_fault() == nullptr);
  tiles.dot_int8(0, 3, 2);
  CHECK(faults(tiles, "differ in rows"));
  tiles.dot_int8(0, 1, 4);
  CHECK(faults(tiles, "differ in columns"));
  tiles.dot_bfloat16(0, 5, 2);
  CHECK(faults(tiles, "not the rows of the right side"));
  tiles.dot_bfloat16(0, 0, 2);
  CHECK(faults(tiles, "with itself"));
  tiles.load(6, memory, 64);
  CHECK(faults(tiles, "leaves out"));
  tiles.load(8, memory, 64);
  CHECK(faults(tiles, "no tile of this number"));
  tiles.release();
  tiles.store(0, memory, 64);
  CHECK(faults(tiles, "not configured"));
}

TEST(emulated_tiles_load_and_store_their_size_only) {
  test::Tiles tiles;
  tiles.load_config(Config().tile(0, 2, 8).bytes);
  std::uint8_t in[32], out[32];
  for (int i = 0; i < 32; ++i) in[i] = static_cast<std::uint8_t>(i + 1);
  std::fill_n(out, 32, std::uint8_t{0xEE});
  tiles.load(0, in, 12);
  tiles.store(0, out, 16);
  for (int i = 0; i < 32; ++i) CHECK(out[i] == (i < 8 ? i + 1 : i < 16 ? 0xEE : i < 24 ? i - 16 + 13 : 0xEE));
  CHECK(tiles.take_fault() == nullptr);
}

TEST(emulated_int8_products) {
  test::Tiles tiles;
  tiles.load_config(Config().tile(0, 2, 4).tile(1, 2, 8).tile(2, 2, 4).bytes);
  const std::int8_t a[2][8] = {{1, -2, 3, -128, 5, 6, 7, 8}, {-128, -128, -128, -128, 127, 127, 127, 127}};
  const std::int8_t b[2][4] = {{-128, 127, -1, -128}, {2, -3, 4, 100}};
  std::int32_t sums[2] = {10, std::numeric_limits<std::int32_t>::max()};
  tiles.load(0, sums, 4);
  tiles.load(1, a, 8);
  tiles.load(2, b, 4);
  tiles.dot_int8(0, 1, 2);
  tiles.store(0, sums, 4);
  CHECK(sums[0] == 10 + (-128 - 254 - 3 + 16384) + (10 - 18 + 28 + 800));
  const std::int64_t second =
      std::numeric_limits<std::int32_t>::max() + std::int64_t{-128 * (-128 + 127 - 1 - 128)} + 127 * (2 - 3 + 4 + 100);
  CHECK(sums[1] == static_cast<std::int32_t>(static_cast<std::uint32_t>(second)));  // wraps around
}

// One sum of up to two pairs, from bit patterns of bfloat16.
float emulated_sum(float start, std::vector<std::uint16_t> a, std::vector<std::uint16_t> b) {
  test::Tiles tiles;
  const auto pairs = static_cast<int>(a.size() / 2);
  tiles.load_config(Config().tile(0, 1, 4).tile(1, 1, 4 * pairs).tile(2, pairs, 4).bytes);
  tiles.load(0, &start, 4);
  tiles.load(1, a.data(), 0);
  tiles.load(2, b.data(), 4);
  tiles.dot_bfloat16(0, 1, 2);
  tiles.store(0, &start, 4);
  CHECK(tiles.take_fault() == nullptr);
  return start;
}

TEST(emulated_bfloat16_products) {
  constexpr std::uint16_t kOne = 0x3F80, kTwo = 0x4000, kThree = 0x4040, kMinusOne = 0xBF80;
  constexpr std::uint16_t kSubnormal = 0x007F, kSmallest = 0x0080;  // below 2^-126, and 2^-126
  constexpr std::uint16_t kLarge = 0x4B80, kMinusLarge = 0xCB80;    // 2^24
  constexpr std::uint16_t kHalf = 0x3F00;
  CHECK(emulated_sum(10, {kTwo, kThree}, {kThree, kMinusOne}) == 13);
  CHECK(emulated_sum(0, {kSubnormal, 0}, {kLarge, 0}) == 0);
  CHECK(emulated_sum(0, {kSmallest, 0}, {kLarge, 0}) == 0x1p-102f);
  CHECK(emulated_sum(0, {kSmallest, 0}, {kHalf, 0}) == 0);
  CHECK(emulated_sum(0x1p-127f, {0, 0}, {0, 0}) == 0);
  // To nearest, ties to even: 2^24 + 1 is a tie, and so is 2^24 + 3.
  CHECK(emulated_sum(0x1p24f, {kOne, 0}, {kOne, 0}) == 0x1p24f);
  CHECK(emulated_sum(0x1p24f, {kThree, 0}, {kOne, 0}) == 0x1p24f + 4);
  // First and second numbers are summed apart: 2^24 and 1 meet at the end only, where the one is lost, or has met another one.
  CHECK(emulated_sum(0, {kLarge, kOne, kMinusLarge, kOne}, {kOne, kOne, kOne, kOne}) == 2);
  CHECK(emulated_sum(0, {kLarge, kOne, kOne, kMinusLarge}, {kOne, kOne, kOne, kOne}) == 1);
  CHECK(emulated_sum(0, {kLarge, 0, kOne, 0}, {kOne, 0, kOne, 0}) == 0x1p24f);
}

TEST(levels_are_named_and_in_order) {
  const std::vector<Isa> levels = available_isas();
  CHECK(levels.front() == Isa::scalar);
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) CHECK(levels[i] < levels[i + 1]);
  for (const Isa isa : levels) CHECK(resolve_isa(isa_name(isa)) == isa);
  CHECK(std::string(isa_name(Isa::amx)) == "amx");
}

}  // namespace
