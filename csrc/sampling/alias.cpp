// The alias table: its layout, its memory, and drawing from it. See sampling.h for the arithmetic, alias_build.cpp for its
// making.
#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <utility>

#include "core/errors.h"
#include "isa/random_bits.h"
#include "sampling/alias_cells.h"

namespace coremax::sampling {
namespace {

constexpr std::int64_t kMostElements = std::int64_t{1} << 40;
constexpr std::int64_t kNarrowFrom = std::int64_t{1} << 16;
constexpr std::int64_t kNarrowBelow = std::int64_t{1} << 31;  // 2^32 units to each cell still fit a signed integer
constexpr int kNarrowBits = 32;
constexpr int kWideTotalBits = 62;
// Elements to a block: the weights and cells of one fit the first-level cache. Wide tables that are small are one block, whose
// share of all units has no rounding in it.
constexpr std::int64_t kBlock = 2048;
// Draws at a time: enough cache misses in flight, and random bits that stay in the first-level cache until they are used.
constexpr std::int64_t kBatch = 512;
constexpr std::int64_t kChunkBatches = 16;

template <class Cell>
void draw_batch(const Cell* cells, std::uint64_t n, int unit_bits, const std::uint64_t* bits, std::int64_t count,
                std::int64_t* out) {
  using Threshold = decltype(Cell::threshold);
  Threshold coins[kBatch];
  for (std::int64_t i = 0; i < count; ++i) {
    const Draw draw = Draw::of(bits[i], n, unit_bits);
    out[i] = draw.cell;
    coins[i] = static_cast<Threshold>(draw.coin);
#if defined(__GNUC__)
    __builtin_prefetch(cells + draw.cell);
#endif
  }
  for (std::int64_t i = 0; i < count; ++i) {
    const Cell cell = cells[out[i]];
    // By masks: a branch would be guessed wrong every other time.
    const auto alias = static_cast<std::int64_t>(cell.alias);
    const std::int64_t own = -static_cast<std::int64_t>(coins[i] < cell.threshold);
    out[i] = alias ^ ((alias ^ out[i]) & own);
  }
}

// A table restored from a file is as good as its cells.
template <class Cell>
void check_cells(const Cell* cells, std::int64_t n, std::uint64_t unit) {
  for (std::int64_t i = 0; i < n; ++i)
    require(cells[i].threshold < unit && cells[i].alias < static_cast<std::uint64_t>(n),
            [&] { return "cell " + std::to_string(i) + " of the saved alias table is not valid"; });
}

template <class Cell>
void probabilities_of(const Cell* cells, std::int64_t n, std::uint64_t unit, double* out) {
  std::vector<std::uint64_t> units(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) {
    units[static_cast<std::size_t>(i)] += cells[i].threshold;
    units[static_cast<std::size_t>(cells[i].alias)] += unit - cells[i].threshold;
  }
  const double total = static_cast<double>(n) * static_cast<double>(unit);
  for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<double>(units[static_cast<std::size_t>(i)]) / total;
}

}  // namespace

AliasTable::Layout AliasTable::Layout::of(std::int64_t n) {
  require(n >= 1, "weights is empty");
  require(n <= kMostElements, "weights has " + std::to_string(n) + " elements; an alias table holds up to 2^40");
  if (n >= kNarrowFrom && n < kNarrowBelow) return {false, kNarrowBits, kBlock};
  return {true, kWideTotalBits - static_cast<int>(std::bit_width(static_cast<std::uint64_t>(n - 1))),
          n < kNarrowFrom ? kNarrowFrom : kBlock};
}

template <class F>
auto AliasTable::with_cells(F&& f) const {
  if (layout_.wide) return f(reinterpret_cast<const WideCell*>(memory_.data()));
  return f(reinterpret_cast<const NarrowCell*>(memory_.data()));
}

AliasTable::AliasTable(const void* weights, DType dtype, std::int64_t n, ThreadPool& pool) { update(weights, dtype, n, pool); }

AliasTable::AliasTable(const void* weights, DType dtype, std::int64_t n, Layout layout, ThreadPool& pool) {
  build(weights, dtype, n, layout, pool);
}

AliasTable::AliasTable(const void* cells, std::int64_t n)
    : n_(n), layout_(Layout::of(n)), memory_(checked_multiply(n, layout_.cell_bytes())) {
  std::memcpy(memory_.data(), cells, static_cast<std::size_t>(memory_.size()));
  with_cells([&](const auto* own) { check_cells(own, n_, std::uint64_t{1} << layout_.unit_bits); });
}

void AliasTable::update(const void* weights, DType dtype, std::int64_t n, ThreadPool& pool) {
  build(weights, dtype, n, Layout::of(n), pool);
}

void AliasTable::build(const void* weights, DType dtype, std::int64_t n, Layout layout, ThreadPool& pool) {
  const WeightSums sums = sum_weights(weights, dtype, n, layout.block, pool);
  const std::int64_t bytes = checked_multiply(n, layout.cell_bytes());
  // From here on nothing is refused, but the caller may stop the work: then memory in use is in pieces, and the table empty.
  AlignedBuffer<std::byte> memory;
  if (memory_.size() >= bytes) {
    memory = std::exchange(memory_, {});
    n_ = 0;
  } else {
    memory = AlignedBuffer<std::byte>(bytes);
  }
  if (layout.wide) {
    build_cells(weights, dtype, n, sums, layout, reinterpret_cast<WideCell*>(memory.data()), pool);
  } else {
    build_cells(weights, dtype, n, sums, layout, reinterpret_cast<NarrowCell*>(memory.data()), pool);
  }
  memory_ = std::move(memory);
  layout_ = layout;
  n_ = n;
}

void AliasTable::require_content() const { require(n_ > 0, "the alias table is empty: its last update was stopped half way"); }

// fill(i, count, bits): the random bits of draws i to i + count.
template <class Fill>
void AliasTable::draw(std::int64_t size, std::int64_t* out, ThreadPool& pool, Fill&& fill) const {
  require_content();
  constexpr std::int64_t kChunk = kBatch * kChunkBatches;
  with_cells([&](const auto* cells) {
    pool.run((size + kChunk - 1) / kChunk, [&](std::int64_t chunk, ThreadPool::Worker&) {
      std::uint64_t bits[kBatch];
      const std::int64_t end = std::min(size, (chunk + 1) * kChunk);
      for (std::int64_t i = chunk * kChunk; i < end; i += kBatch) {
        const std::int64_t count = std::min(kBatch, end - i);
        fill(i, count, bits);
        draw_batch(cells, static_cast<std::uint64_t>(n_), layout_.unit_bits, bits, count, out + i);
      }
    });
  });
}

void AliasTable::sample(std::int64_t size, std::uint64_t seed, std::uint64_t offset, std::int64_t* out, Isa isa,
                        ThreadPool& pool) const {
  draw(size, out, pool, [&](std::int64_t i, std::int64_t count, std::uint64_t* bits) {
    fill_random_bits(seed, Stream::alias_draw, offset + static_cast<std::uint64_t>(i), count, bits, isa);
  });
}

void AliasTable::sample_at(const std::int64_t* positions, std::int64_t size, std::uint64_t seed, std::int64_t* out,
                           ThreadPool& pool) const {
  draw(size, out, pool, [&](std::int64_t i, std::int64_t count, std::uint64_t* bits) {
    for (std::int64_t k = 0; k < count; ++k) {
      const std::int64_t position = positions[i + k];
      require(position >= 0,
              [&] { return "positions[" + std::to_string(i + k) + "] is negative: " + std::to_string(position); });
      bits[k] = random_bits(seed, Stream::alias_draw, static_cast<std::uint64_t>(position));
    }
  });
}

void AliasTable::probabilities(double* out) const {
  require_content();
  with_cells([&](const auto* cells) { probabilities_of(cells, n_, std::uint64_t{1} << layout_.unit_bits, out); });
}

const void* AliasTable::cells() const {
  require_content();
  return memory_.data();
}

AliasTable::Parts AliasTable::parts(std::int64_t cell) const {
  return with_cells(
      [&](const auto* cells) { return Parts{cells[cell].threshold, static_cast<std::int64_t>(cells[cell].alias)}; });
}

}  // namespace coremax::sampling
