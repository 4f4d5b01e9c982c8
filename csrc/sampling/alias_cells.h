// The cells of an alias table in memory, and what its builder (alias_build.cpp) offers to the table (alias.cpp).
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "core/host_device.h"
#include "core/thread_pool.h"
#include "core/views.h"
#include "sampling/sampling.h"

namespace coremax::sampling {

// The cell's own element has `threshold` of its units, the alias the rest; a full cell is its own alias with threshold 0.
// While a table is being built, a cell holds the units of its element instead.
struct NarrowCell {
  std::uint32_t threshold;
  std::uint32_t alias;

  COREMAX_HD static NarrowCell of(std::uint64_t threshold, std::int64_t alias) {
    return {static_cast<std::uint32_t>(threshold), static_cast<std::uint32_t>(alias)};
  }
  COREMAX_HD static NarrowCell with_units(std::uint64_t units) { return std::bit_cast<NarrowCell>(units); }
  COREMAX_HD std::uint64_t units() const { return std::bit_cast<std::uint64_t>(*this); }
};

struct WideCell {
  std::uint64_t threshold;
  std::uint64_t alias;

  COREMAX_HD static WideCell of(std::uint64_t threshold, std::int64_t alias) {
    return {threshold, static_cast<std::uint64_t>(alias)};
  }
  COREMAX_HD static WideCell with_units(std::uint64_t units) { return {units, 0}; }
  COREMAX_HD std::uint64_t units() const { return threshold; }
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

// sum += term, exactly (Knuth's two-sum).
COREMAX_HD inline void add(WeightSums::Sum& sum, double term) {
  const double value = sum.value + term;
  const double part = value - sum.value;
  sum.lost += (sum.value - (value - part)) + (term - part);
  sum.value = value;
}

COREMAX_HD inline void add(WeightSums::Sum& sum, const WeightSums::Sum& other) {
  add(sum, other.value);
  sum.lost += other.lost;
}

constexpr int kSumLanes = 8;      // independent sums of a block: fixed, since they are part of the result
constexpr int kMaxAttempts = 64;  // to round a block's units down to its share; one or two suffice
// Sums and quotients of weights up to this power of two, and down to its inverse, stay normal numbers.
constexpr int kSafeExponent = 900;

// How units are given out: `factor` of them for a weight of 1, rounded so that the running sums of the blocks' shares are those
// of their weights, rounded to whole units. The sums are taken in integers, so that the last running sum is the target.
struct UnitPlan {
  static constexpr int kKept = 62;   // bits of the sum of all weights that enter the division
  static constexpr int kBelow = 40;  // bits behind them that are added up

  std::uint64_t target;  // of all units
  double factor;
  int exponent;  // of the power of two that makes a whole number of a sum

  static UnitPlan of(const WeightSums& sums, std::int64_t n, AliasTable::Layout layout);
  COREMAX_HD __int128 whole_number(const WeightSums::Sum& block) const {
    return static_cast<__int128>(std::ldexp(block.value, exponent)) + static_cast<__int128>(std::ldexp(block.lost, exponent));
  }
  // Of the blocks up to one, whose sums add up to `running` of `all`.
  COREMAX_HD std::uint64_t units_until(std::uint64_t running, std::uint64_t all) const {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(running) * target + all / 2) / all);
  }
};

// The units of a weight, already multiplied by the factor, when rounded down.
COREMAX_HD inline std::int64_t units_rounded_down(double scaled, bool positive) {
  constexpr double kMost = 0x1p62;  // weights that change meanwhile must not leave the integers
  return static_cast<std::int64_t>(positive ? (scaled < kMost ? scaled : kMost) : 0.0);
}

// The factor for another attempt, where rounding made it a hair too large.
COREMAX_HD inline double smaller_factor(double factor, std::uint64_t sum, std::uint64_t share) {
  const double part = 1 - 2 * (static_cast<double>(sum - share) / static_cast<double>(sum)) - 0x1p-52;
  return factor * (part > 0 ? part : 0.0);
}

// Where random bits point in a table: a cell, and the coin that is compared with its threshold.
struct Draw {
  std::int64_t cell;
  std::uint64_t coin;

  COREMAX_HD static Draw of(std::uint64_t bits, std::uint64_t n, int unit_bits) {
    const auto product = static_cast<unsigned __int128>(bits) * n;
    return {static_cast<std::int64_t>(product >> 64), static_cast<std::uint64_t>(product) >> (64 - unit_bits)};
  }
};

WeightSums sum_weights(const void* weights, DType dtype, std::int64_t n, std::int64_t block, ThreadPool& pool);

template <class Cell>
void build_cells(const void* weights, DType dtype, std::int64_t n, const WeightSums& sums, AliasTable::Layout layout,
                 Cell* cells, ThreadPool& pool);

}  // namespace coremax::sampling
