// The cells of an alias table in memory, and what its builder (alias_build.cpp) offers to the table (alias.cpp).
#pragma once

#include <bit>
#include <cstdint>

#include "core/thread_pool.h"
#include "core/views.h"
#include "sampling/sampling.h"

namespace coremax::sampling {

// The cell's own element has `threshold` of its units, the alias the rest; a full cell is its own alias with threshold 0.
// While a table is being built, a cell holds the units of its element instead.
struct NarrowCell {
  std::uint32_t threshold;
  std::uint32_t alias;

  static NarrowCell of(std::uint64_t threshold, std::int64_t alias) { return {static_cast<std::uint32_t>(threshold), static_cast<std::uint32_t>(alias)}; }
  static NarrowCell with_units(std::uint64_t units) { return std::bit_cast<NarrowCell>(units); }
  std::uint64_t units() const { return std::bit_cast<std::uint64_t>(*this); }
};

struct WideCell {
  std::uint64_t threshold;
  std::uint64_t alias;

  static WideCell of(std::uint64_t threshold, std::int64_t alias) { return {threshold, static_cast<std::uint64_t>(alias)}; }
  static WideCell with_units(std::uint64_t units) { return {units, 0}; }
  std::uint64_t units() const { return threshold; }
};

// What one reading of all weights gives: they are valid, and this is what each block of them adds up to.
struct WeightSums {
  // A sum in two parts: the second is what rounding took from the first.
  struct Sum {
    double value = 0;
    double lost = 0;
  };
  double largest = 0;
  UnitScale scale{1};  // by which weights were multiplied
  std::vector<Sum> blocks;
};

WeightSums sum_weights(const void* weights, DType dtype, std::int64_t n, std::int64_t block, ThreadPool& pool);

template <class Cell>
void build_cells(const void* weights, DType dtype, std::int64_t n, const WeightSums& sums, AliasTable::Layout layout, Cell* cells, ThreadPool& pool);

}  // namespace coremax::sampling
