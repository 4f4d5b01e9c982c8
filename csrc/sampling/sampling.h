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
#include "isa/isa.h"

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
  // The probabilities the table really has, which sum to 1 in exact arithmetic.
  void probabilities(double* out) const;

  const std::vector<std::uint64_t>& thresholds() const { return thresholds_; }
  const std::vector<std::int64_t>& aliases() const { return aliases_; }

 private:
  void build_cells();

  int unit_bits_ = 0;
  std::vector<std::uint64_t> thresholds_;
  std::vector<std::int64_t> aliases_;
};

// size elements without replacement, each next one with probability proportional to its weight among those left (Efraimidis
// and Spirakis 2006), in the order drawn. Mapping, version 1: element i runs for E_i / w_i, E_i = -log u_i, u_i from the bits
// of (seed, i) of Philox stream race; the smallest times win, ties to the lower number. The quotient is rounded to the 53 bits
// of a double but has no bounds on its exponent. Where weights are given as logarithms (log_weights, -inf for zero), log E_i -
// log w_i is compared. Memory: 16 bytes for each element drawn, nothing for the others.
std::vector<std::int64_t> sample_without_replacement(const void* weights, DType dtype, std::int64_t n, std::int64_t size, bool log_weights,
                                                     std::uint64_t seed, Isa isa, ThreadPool& pool);

// The fastest of one shard, in their order: times as whole numbers in the order of the times.
struct FastestRunners {
  std::vector<std::int64_t> indices;
  std::vector<std::uint64_t> times;
};

// What a shard gives to a race over many: its first element has the number `start` among all. As many as there are of positive
// weight, at most size; the first `size` of all shards' by (time, index) are sample_without_replacement of the whole.
FastestRunners fastest_runners(const void* weights, DType dtype, std::int64_t n, std::int64_t start, std::int64_t size, bool log_weights, std::uint64_t seed,
                               Isa isa, ThreadPool& pool);

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

// Checks all weights (see the contract above); returns how many are positive.
std::int64_t check_weights(const void* weights, DType dtype, std::int64_t n, bool log_weights, ThreadPool& pool);
// The same for weights [begin, end) of an array of float or double, of which perhaps none is positive.
template <class T>
std::int64_t count_positive(const T* weights, std::int64_t begin, std::int64_t end, bool log_weights);
// Throws where fewer weights are positive than are to be drawn without replacement, or none.
void require_draws(std::int64_t size, std::int64_t n_positive);

}  // namespace coremax::sampling
