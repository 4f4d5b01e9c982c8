// Importance sampling: the alias table (with replacement) and exponential races (without).
//
// Contract. Draw i depends on (seed, i) alone: the same for any thread count, and a shorter draw is a prefix of a longer one.
// Elements of weight zero are never drawn. Weights must be finite and not negative with a positive one among them; anything
// else is an Error naming the index. The mapping from random bits to indices (version 1) is stated with each function.
#pragma once

#include <cstdint>
#include <vector>

#include "core/thread_pool.h"
#include "core/views.h"

namespace coremax::sampling {

// Walker's alias table (Walker 1977; built in the manner of Vose 1991) over integer masses, so it is exact where floating
// point would leave a remainder: the n cells hold 2^b units each, b = 63 - ceil(log2 n), and weights are rounded to whole
// units whose sum is exactly n 2^b. Each probability is within 2^-50 of weight / sum.
class AliasTable {
 public:
  AliasTable(const void* weights, DType dtype, std::int64_t n, ThreadPool& pool);
  // From parts as saved; checks that they form a table.
  AliasTable(std::vector<std::uint64_t> thresholds, std::vector<std::int64_t> aliases);

  std::int64_t n() const { return static_cast<std::int64_t>(thresholds_.size()); }
  // Mapping, version 1: u = the 64 bits of (seed, position) of Philox stream alias_draw; the 128-bit product u n has the cell
  // in its high half and, in the top b bits of its low half, the coin. The cell wins if the coin is below its threshold.
  void sample(std::int64_t size, std::uint64_t seed, std::uint64_t offset, std::int64_t* out, ThreadPool& pool) const;
  // The same draws at any positions, in any order.
  void sample_at(const std::int64_t* positions, std::int64_t size, std::uint64_t seed, std::int64_t* out, ThreadPool& pool) const;
  // The probabilities the table really has, which sum to 1 in exact arithmetic.
  void probabilities(double* out) const;

  const std::vector<std::uint64_t>& thresholds() const { return thresholds_; }
  const std::vector<std::int64_t>& aliases() const { return aliases_; }

 private:
  void build_cells();
  std::int64_t pick(std::uint64_t bits) const;

  int unit_bits_ = 0;
  std::vector<std::uint64_t> thresholds_;
  std::vector<std::int64_t> aliases_;
};

// size elements without replacement, each next one with probability proportional to its weight among those left (Efraimidis
// and Spirakis 2006), in the order drawn. Mapping, version 1: element i runs for E_i / w_i, E_i = -log u_i, u_i from the bits
// of (seed, i) of Philox stream race; the smallest times win, ties to the lower number. Where weights span more than 2^900,
// and where they are given as logarithms (log_weights, -inf for zero), log E_i - log w_i is compared.
std::vector<std::int64_t> sample_without_replacement(const void* weights, DType dtype, std::int64_t n, std::int64_t size, bool log_weights,
                                                     std::uint64_t seed, ThreadPool& pool);

// Elements `positions` of a shuffled order of 0..n-1 that is nowhere stored: out[i] in [0, n), each at one position. Time and memory
// do not depend on n. Mapping, version 1: with a = ceil(sqrt n), b = ceil(n / a), key_t = the bits of (seed, t) of Philox stream
// permutation, position = left b + right; six rounds t = 0..5 add, in turn, the high half of the 128-bit product mix(right + key_t) a to
// left modulo a and that of mix(left + key_t) b to right modulo b, again and again until left b + right < n, which is the element.
// mix: Stafford's variant 13. Of the n! orders 2^64 are reached at most; below some 2^16 elements a race is the better shuffle.
void permute(std::int64_t n, std::uint64_t seed, const std::int64_t* positions, std::int64_t size, std::int64_t* out, ThreadPool& pool);

// Multiplies weights by the power of two that brings the largest into [1, 2), so that sums and quotients of them neither
// overflow nor vanish. In two factors, since the power itself may lie beyond a double.
class UnitScale {
 public:
  explicit UnitScale(double largest_weight);
  double operator()(double weight) const { return weight * first_ * second_; }

 private:
  double first_;
  double second_;
};

struct WeightRange {
  double smallest;  // of the positive weights
  double largest;
};

// Checks all weights (see the contract above).
WeightRange check_weights(const void* weights, DType dtype, std::int64_t n, bool log_weights, ThreadPool& pool);

}  // namespace coremax::sampling
