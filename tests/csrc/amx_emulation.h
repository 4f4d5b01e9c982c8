// The tile instructions in software, as Intel's manual describes them, so that the AMX filter can be tested where there are no
// tiles: code that is included after this header gets them in place of the intrinsics. Where the hardware would fault, the
// first fault is kept and the instruction does nothing. Everything is local to the file that includes this.
//
// One thing is not to the bit: the hardware flushes what is below 2^-126 before rounding, here it is done after.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace coremax::test {
namespace {

class Tiles {
 public:
  static constexpr int kTiles = 8;
  static constexpr int kRows = 16;
  static constexpr int kRowBytes = 64;

  // The first fault since it was last asked for, or null.
  const char* take_fault() {
    const char* fault = fault_;
    fault_ = nullptr;
    return fault;
  }
  bool configured() const { return configured_; }

  void load_config(const void* memory) {
    unsigned char bytes[64];
    std::memcpy(bytes, memory, sizeof(bytes));
    configured_ = false;
    if (bytes[0] != 1) return fail("the palette is not 1");
    if (bytes[1] != 0) return fail("the start row is not 0");
    for (int i = 0; i < kTiles; ++i) {
      std::uint16_t row_bytes;
      std::memcpy(&row_bytes, bytes + 16 + 2 * i, sizeof(row_bytes));
      tiles_[i] = Tile{};
      tiles_[i].rows = bytes[48 + i];
      tiles_[i].row_bytes = row_bytes;
      if (tiles_[i].rows > kRows || row_bytes > kRowBytes) return fail("a tile is configured larger than a tile is");
      if ((tiles_[i].rows == 0) != (row_bytes == 0))
        return fail("a tile is configured with rows but no columns, or the reverse");
    }
    for (int i = 2; i < 16; ++i)
      if (bytes[i] != 0) return fail("a reserved byte of the configuration is not 0");
    for (int i = kTiles; i < 16; ++i)
      if (bytes[16 + 2 * i] != 0 || bytes[17 + 2 * i] != 0 || bytes[48 + i] != 0)
        return fail("a tile is configured that does not exist");
    configured_ = true;
  }

  void release() { configured_ = false; }

  void zero(int i) {
    if (usable(i)) std::memset(tiles_[i].bytes, 0, sizeof(tiles_[i].bytes));
  }

  void load(int i, const void* memory, std::int64_t stride) {
    if (!usable(i)) return;
    zero(i);  // what lies beyond the configured size reads as zero
    for (int r = 0; r < tiles_[i].rows; ++r)
      std::memcpy(tiles_[i].bytes[r], static_cast<const char*>(memory) + r * stride,
                  static_cast<std::size_t>(tiles_[i].row_bytes));
  }

  void store(int i, void* memory, std::int64_t stride) {
    if (!usable(i)) return;
    for (int r = 0; r < tiles_[i].rows; ++r)
      std::memcpy(static_cast<char*>(memory) + r * stride, tiles_[i].bytes[r], static_cast<std::size_t>(tiles_[i].row_bytes));
  }

  // TDPBSSD: four signed bytes of a row times four of a column are added to an int32, which wraps around.
  void dot_int8(int sums, int a, int b) {
    if (!fit(sums, a, b)) return;
    for (int m = 0; m < tiles_[sums].rows; ++m)
      for (int k = 0; k < tiles_[a].row_bytes / 4; ++k)
        for (int n = 0; n < tiles_[sums].row_bytes / 4; ++n) {
          auto sum = get<std::uint32_t>(sums, m, n);
          for (int j = 0; j < 4; ++j)
            sum += static_cast<std::uint32_t>(get<std::int8_t>(a, m, 4 * k + j) * get<std::int8_t>(b, k, 4 * n + j));
          put(sums, m, n, sum);
        }
  }

  // TDPBF16PS: first and second numbers of the pairs are summed apart from zero, by fused multiply-add and in order; the two
  // sums are added, and then added to the float there was. Subnormal numbers count as zero, in what goes in and in what comes
  // out.
  void dot_bfloat16(int sums, int a, int b) {
    if (!fit(sums, a, b)) return;
    for (int m = 0; m < tiles_[sums].rows; ++m)
      for (int n = 0; n < tiles_[sums].row_bytes / 4; ++n) {
        float first = 0;
        float second = 0;
        for (int k = 0; k < tiles_[a].row_bytes / 4; ++k) {
          first = flushed(std::fma(bfloat16(a, m, 2 * k), bfloat16(b, k, 2 * n), first));
          second = flushed(std::fma(bfloat16(a, m, 2 * k + 1), bfloat16(b, k, 2 * n + 1), second));
        }
        put(sums, m, n, flushed(flushed(get<float>(sums, m, n)) + flushed(first + second)));
      }
  }

 private:
  struct Tile {
    int rows = 0;
    int row_bytes = 0;
    unsigned char bytes[kRows][kRowBytes] = {};
  };

  void fail(const char* what) {
    if (fault_ == nullptr) fault_ = what;
  }

  bool usable(int i) {
    if (!configured_)
      fail("tiles are used while not configured");
    else if (i < 0 || i >= kTiles)
      fail("there is no tile of this number");
    else if (tiles_[i].rows == 0)
      fail("a tile is used that the configuration leaves out");
    else
      return true;
    return false;
  }

  bool fit(int sums, int a, int b) {
    if (!usable(sums) || !usable(a) || !usable(b)) return false;
    if (sums == a || sums == b || a == b)
      fail("a tile product of a tile with itself");
    else if ((tiles_[sums].row_bytes | tiles_[a].row_bytes | tiles_[b].row_bytes) % 4 != 0)
      fail("a row of a tile ends within a word");
    else if (tiles_[sums].rows != tiles_[a].rows)
      fail("left side and sums differ in rows");
    else if (tiles_[sums].row_bytes != tiles_[b].row_bytes)
      fail("right side and sums differ in columns");
    else if (tiles_[a].row_bytes / 4 != tiles_[b].rows)
      fail("columns of the left side are not the rows of the right side");
    else
      return true;
    return false;
  }

  template <class T>
  T get(int i, int row, int column) const {
    T value;
    std::memcpy(&value, tiles_[i].bytes[row] + static_cast<std::size_t>(column) * sizeof(T), sizeof(T));
    return value;
  }
  template <class T>
  void put(int i, int row, int column, T value) {
    std::memcpy(tiles_[i].bytes[row] + static_cast<std::size_t>(column) * sizeof(T), &value, sizeof(T));
  }

  static float flushed(float value) { return std::fabs(value) < 0x1p-126f ? std::copysign(0.0f, value) : value; }
  float bfloat16(int i, int row, int column) const {
    const std::uint32_t bits = static_cast<std::uint32_t>(get<std::uint16_t>(i, row, column)) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return flushed(value);
  }

  Tile tiles_[kTiles];
  bool configured_ = false;
  const char* fault_ = nullptr;
};

// The tiles of the file that includes this; tests of filters are single-threaded.
Tiles emulated_tiles;

}  // namespace
}  // namespace coremax::test

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbssd
#undef _tile_dpbf16ps
#define _tile_loadconfig(memory) coremax::test::emulated_tiles.load_config(memory)
#define _tile_release() coremax::test::emulated_tiles.release()
#define _tile_zero(tile) coremax::test::emulated_tiles.zero(tile)
#define _tile_loadd(tile, memory, stride) coremax::test::emulated_tiles.load(tile, memory, stride)
#define _tile_stored(tile, memory, stride) coremax::test::emulated_tiles.store(tile, memory, stride)
#define _tile_dpbssd(sums, a, b) coremax::test::emulated_tiles.dot_int8(sums, a, b)
#define _tile_dpbf16ps(sums, a, b) coremax::test::emulated_tiles.dot_bfloat16(sums, a, b)
