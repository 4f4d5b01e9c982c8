// Importance sampling: the alias table (with replacement) and exponential races (without).
//
// Contract. Draw i depends on (seed, i) alone: the same for any thread count, and a shorter draw is a prefix of a longer one.
// Elements of weight zero are never drawn. Weights must be finite and not negative with a positive one among them; anything
// else is an Error naming the index. The mapping from random bits to indices (version 1) is stated with each function.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/host_device.h"
#include "core/thread_pool.h"
#include "core/views.h"
#include "isa/isa.h"

namespace coremax::sampling {

// Walker's alias table (Walker 1977) over integer masses, so it is exact where floating point would leave a remainder: the n
// cells hold 2^b units each, and the units of all elements sum to n 2^b.
//
// Two layouts. For 2^16 <= n < 2^31 a cell is 8 bytes, b = 32, and each probability is within 2^-30 / n + 2^-50 of
// weight / sum. Below and above a cell is 16 bytes, b = 62 - ceil(log2 n), and the bound is 2^-50. n is at most 2^40. A cell
// is a threshold, of b bits, and an alias: the cell's own element has as many units of it as the threshold says, the alias has
// the rest; a full cell is its own alias with threshold 0. The table is a function of the weights alone, whatever the threads.
class AliasTable {
 public:
  struct Layout {
    bool wide = true;
    int unit_bits = 0;
    std::int64_t block = 0;  // elements to a block of the builder, a multiple of 64
    static Layout of(std::int64_t n);
    std::int64_t cell_bytes() const { return wide ? 16 : 8; }
  };
  struct Parts {
    std::uint64_t threshold;
    std::int64_t alias;
  };

  AliasTable(const void* weights, DType dtype, std::int64_t n, ThreadPool& pool);
  // In a layout of one's own, for tests of those that belong to other sizes.
  AliasTable(const void* weights, DType dtype, std::int64_t n, Layout layout, ThreadPool& pool);
  // From n cells as cells() gives them; checks that they form a table.
  AliasTable(const void* cells, std::int64_t n);

  // Takes other weights, as many or more or fewer, in the memory at hand where it suffices. An Error leaves the table as it
  // was. Where the caller stops the work half way the table may be left empty (n() == 0), and drawing from it is an Error.
  void update(const void* weights, DType dtype, std::int64_t n, ThreadPool& pool);

  // Mapping, version 1: u = the 64 bits of (seed, position) of Philox stream alias_draw; the 128-bit product u n has the cell
  // in its high half and, in the top b bits of its low half, the coin. The cell wins if the coin is below its threshold.
  // offset + size is at most 2^64.
  void sample(std::int64_t size, std::uint64_t seed, std::uint64_t offset, std::int64_t* out, Isa isa, ThreadPool& pool) const;
  // The same draws at any positions, in any order.
  void sample_at(const std::int64_t* positions, std::int64_t size, std::uint64_t seed, std::int64_t* out,
                 ThreadPool& pool) const;
  // The probabilities the table really has, which sum to 1 in exact arithmetic.
  void probabilities(double* out) const;

  std::int64_t n() const { return n_; }
  const Layout& layout() const { return layout_; }
  std::int64_t nbytes() const { return memory_.size(); }
  // n pairs (threshold, alias), of 32-bit integers or, in the wide layout, of 64-bit ones.
  const void* cells() const;
  Parts parts(std::int64_t cell) const;

 private:
  void build(const void* weights, DType dtype, std::int64_t n, Layout layout, ThreadPool& pool);
  void require_content() const;
  template <class F>
  auto with_cells(F&& f) const;
  template <class Fill>
  void draw(std::int64_t size, std::int64_t* out, ThreadPool& pool, Fill&& fill) const;

  std::int64_t n_ = 0;
  Layout layout_;
  AlignedBuffer<std::byte> memory_;
};

// size elements without replacement, each next one with probability proportional to its weight among those left (Efraimidis
// and Spirakis 2006), in the order drawn. Mapping, version 1: element i runs for E_i / w_i, E_i = -log u_i, u_i from the bits
// of (seed, i) of Philox stream race; the smallest times win, ties to the lower number. The quotient is rounded to the 53 bits
// of a double but has no bounds on its exponent. Where weights are given as logarithms (log_weights, -inf for zero), log E_i -
// log w_i is compared. Memory: 16 bytes for each element drawn, nothing for the others.
std::vector<std::int64_t> sample_without_replacement(const void* weights, DType dtype, std::int64_t n, std::int64_t size,
                                                     bool log_weights, std::uint64_t seed, Isa isa, ThreadPool& pool);

// The fastest of one shard, in their order: times as whole numbers in the order of the times.
struct FastestRunners {
  std::vector<std::int64_t> indices;
  std::vector<std::uint64_t> times;
};

// What a shard gives to a race over many: its first element has the number `start` among all. As many as there are of positive
// weight, at most size; the first `size` of all shards' by (time, index) are sample_without_replacement of the whole.
FastestRunners fastest_runners(const void* weights, DType dtype, std::int64_t n, std::int64_t start, std::int64_t size,
                               bool log_weights, std::uint64_t seed, Isa isa, ThreadPool& pool);

// Elements `positions` of a shuffled order of 0..n-1 that is nowhere stored: out[i] in [0, n), each at one position. Time and
// memory do not depend on n. Mapping, version 1: with a = ceil(sqrt n), b = ceil(n / a), key_t = the bits of (seed, t) of
// Philox stream permutation, position = left b + right; six rounds t = 0..5 add, in turn, the high half of the 128-bit product
// mix(right + key_t) a to left modulo a and that of mix(left + key_t) b to right modulo b, again and again until left b + right
// < n, which is the element. mix: Stafford's variant 13. Of the n! orders 2^64 are reached at most; below some 2^16 elements a
// race is the better shuffle.
void permute(std::int64_t n, std::uint64_t seed, const std::int64_t* positions, std::int64_t size, std::int64_t* out,
             ThreadPool& pool);

// Multiplies weights by the power of two that brings the largest into [1, 2), so that sums and quotients of them neither
// overflow nor vanish. In two factors, since the power itself may lie beyond a double.
class UnitScale {
 public:
  explicit UnitScale(double largest_weight);
  COREMAX_HD double operator()(double weight) const { return weight * first_ * second_; }

 private:
  double first_;
  double second_;
};

// Checks all weights (see the contract above); returns how many are positive.
std::int64_t check_weights(const void* weights, DType dtype, std::int64_t n, bool log_weights, ThreadPool& pool);
// The same for weights [begin, end) of an array of float or double, of which perhaps none is positive.
template <class T>
std::int64_t count_positive(const T* weights, std::int64_t begin, std::int64_t end, bool log_weights);
// The error of a weight that is negative or not finite.
[[noreturn]] void refuse_weight(std::int64_t i, double value);
// Throws where fewer weights are positive than are to be drawn without replacement, or none.
void require_draws(std::int64_t size, std::int64_t n_positive);

}  // namespace coremax::sampling
