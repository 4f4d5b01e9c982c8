// What alias.cu provides to alias.cpp: the stages of building a table, and drawing. A private header of sampling/cuda.
#pragma once

#include <cstdint>

#include "core/views.h"
#include "cuda/device.h"
#include "sampling/alias_cells.h"
#include "sampling/cuda/policy.h"

namespace coremax::sampling::on_cuda {

// Of all blocks together.
struct WeightSummary {
  unsigned long long largest_bits;  // of the largest weight, whose order as numbers is theirs
  unsigned bad;                     // not 0 where a weight is negative or not finite
  unsigned changed;                 // not 0 where units did not come out, since weights were written meanwhile
};

// blocks [ceil(n / block)]
void sum_blocks(const void* weights, DType dtype, std::int64_t n, std::int64_t block, UnitScale scale, WeightSums::Sum* blocks,
                WeightSummary* summary, const cuda::Stream& stream);

// shares [n_blocks]: how many units each block gets.
void share_out(const WeightSums::Sum* blocks, std::int64_t n_blocks, const UnitPlan& plan, std::uint64_t* shares,
               const cuda::Stream& stream);

// The tiles of elements that are packed together: D and E [n_tiles + 1] are the units that light elements before each tile lack
// and heavy ones have too many; next_heavy [n_tiles] is the first heavy element after the tile, or kNone.
struct Tiles {
  static constexpr std::int64_t kNone = INT64_MAX;
  Tiles(std::int64_t n, const cuda::Stream& stream);
  std::int64_t n;
  std::int64_t n_tiles;
  cuda::Buffer<std::uint64_t> units;  // [n]
  cuda::Buffer<std::uint64_t> deficit;
  cuda::Buffer<std::uint64_t> excess;
  cuda::Buffer<std::int64_t> next_heavy;
};

// Fills units, and of each tile its own deficit and excess (one place further on) and its first heavy element (from the end).
void give_units(const void* weights, DType dtype, std::int64_t block, UnitScale scale, double factor,
                const std::uint64_t* shares, std::uint64_t unit, Tiles& tiles, WeightSummary* summary,
                const cuda::Stream& stream);
void add_up(Tiles& tiles, const cuda::Stream& stream);
void pack(const Tiles& tiles, const AliasTable::Layout& layout, void* cells, const cuda::Stream& stream);

void draw(const void* cells, std::int64_t n, const AliasTable::Layout& layout, std::int64_t size, std::uint64_t seed,
          std::uint64_t offset, std::int64_t* out, const cuda::Stream& stream);
// bad: becomes the place of the first negative position, if there is one below what it holds.
void draw_at(const void* cells, std::int64_t n, const AliasTable::Layout& layout, const std::int64_t* positions,
             std::int64_t size, std::uint64_t seed, std::int64_t* out, unsigned long long* bad, const cuda::Stream& stream);

}  // namespace coremax::sampling::on_cuda
