// Building the alias table in parallel: split and pack (Huebschle-Schneider and Sanders, ESA 2019, section 4.2).
//
// Three passes over blocks of elements, each block on its own, so that neither threads nor their number touch the result:
// weights are checked and summed; each block's share of all units is fixed from the sums and divided among its elements; the
// cells are packed. Packing in sequence moves two fingers through the elements: one over the light (fewer units than a cell)
// and one over the heavy, which fill the light ones' cells until less than a cell of them is left, and are then filled up by
// the next heavy. With D(p) the units that the light before place p lack and E(q) those that the heavy before place q have too
// many, the path of (p, q) is a merge: a light step where E(q) > D(p), a heavy step otherwise. So its points at the ends of
// blocks follow from sums over blocks, and the stretches between such points are packed at the same time.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "core/errors.h"
#include "sampling/alias_cells.h"

namespace coremax::sampling {
namespace {

using Wide = unsigned __int128;

constexpr std::int64_t kWord = 64;  // elements to a word of the map of heavy elements
// Work for a thread: blocks to a chunk, and ends of blocks (of either finger) that the path passes in one stretch.
constexpr std::int64_t kChunkBlocks = 8;
constexpr std::int64_t kStretchEvents = 32;

template <class F>
void for_each_block(ThreadPool& pool, std::int64_t n_blocks, F&& f) {
  pool.run((n_blocks + kChunkBlocks - 1) / kChunkBlocks, [&](std::int64_t chunk, ThreadPool::Worker&) {
    for (std::int64_t b = chunk * kChunkBlocks; b < std::min(n_blocks, (chunk + 1) * kChunkBlocks); ++b) f(b);
  });
}

// ---- Weights ------------------------------------------------------------------------------------------------------------

struct BlockSum {
  WeightSums::Sum sum;
  double largest;
  bool good;
};

// Two lanes to a register of the baseline, asked for by name: left to itself the compiler takes one number at a time.
using Pair = double __attribute__((vector_size(16)));

template <class T>
BlockSum sum_block(const T* w, std::int64_t count, const UnitScale& scale) {
  constexpr int kPairs = kSumLanes / 2;
  Pair value[kPairs] = {};
  Pair lost[kPairs] = {};
  Pair largest[kPairs] = {};
  decltype(largest[0] < largest[0]) bad[kPairs] = {};
  const auto take = [&](const T* weights) {
    for (int k = 0; k < kPairs; ++k) {
      const Pair x = {scale(static_cast<double>(weights[2 * k])), scale(static_cast<double>(weights[2 * k + 1]))};
      const Pair sum = value[k] + x;
      const Pair part = sum - value[k];
      lost[k] += (value[k] - (sum - part)) + (x - part);
      value[k] = sum;
      largest[k] = x > largest[k] ? x : largest[k];
      bad[k] |= (x < 0.0) | (x - x != 0.0);
    }
  };
  std::int64_t i = 0;
  for (; i + kSumLanes <= count; i += kSumLanes) take(w + i);
  T rest[kSumLanes] = {};
  std::copy(w + i, w + count, rest);
  take(rest);
  BlockSum block{{}, 0, true};
  for (int l = 0; l < kSumLanes; ++l) {
    add(block.sum, {value[l / 2][l % 2], lost[l / 2][l % 2]});
    block.largest = std::max(block.largest, largest[l / 2][l % 2]);
    block.good = block.good && bad[l / 2][l % 2] == 0;
  }
  return block;
}

// False where a weight is not finite or negative.
template <class T>
bool sum_blocks(const T* w, std::int64_t n, std::int64_t block, const UnitScale& scale, WeightSums& sums, ThreadPool& pool) {
  std::vector<BlockSum> blocks(sums.blocks.size());
  for_each_block(pool, static_cast<std::int64_t>(blocks.size()), [&](std::int64_t b) {
    blocks[static_cast<std::size_t>(b)] = sum_block(w + b * block, std::min(block, n - b * block), scale);
  });
  bool good = true;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    sums.blocks[b] = blocks[b].sum;
    sums.largest = std::max(sums.largest, blocks[b].largest);
    good = good && blocks[b].good;
  }
  return good;
}

}  // namespace

WeightSums sum_weights(const void* weights, DType dtype, std::int64_t n, std::int64_t block, ThreadPool& pool) {
  WeightSums sums;
  sums.blocks.resize(static_cast<std::size_t>((n + block - 1) / block));
  with_float_pointer(weights, dtype, [&](const auto* w) {
    if (!sum_blocks(w, n, block, UnitScale(1), sums, pool) || !(sums.largest > 0)) {
      check_weights(weights, dtype, n, false, pool);  // which names the first bad one
      refuse_changed("weights");
    }
    if (std::abs(std::ilogb(sums.largest)) <= kSafeExponent) return;
    sums.scale = UnitScale(sums.largest);
    if (!sum_blocks(w, n, block, sums.scale, sums, pool)) refuse_changed("weights");
  });
  return sums;
}

namespace {

// ---- Units --------------------------------------------------------------------------------------------------------------

// How many of the target's units each block gets.
std::vector<std::uint64_t> shares_of(const std::vector<WeightSums::Sum>& blocks, const UnitPlan& plan) {
  std::vector<std::uint64_t> running;
  running.reserve(blocks.size());
  __int128 sum = 0;
  for (const WeightSums::Sum& block : blocks) {
    sum += plan.whole_number(block);
    running.push_back(static_cast<std::uint64_t>(sum >> UnitPlan::kBelow));
  }
  const std::uint64_t all = running.back();
  std::uint64_t before = 0;
  for (std::uint64_t& share : running) {
    const std::uint64_t until = plan.units_until(share, all);
    share = until - before;
    before = until;
  }
  return running;
}

}  // namespace

UnitPlan UnitPlan::of(const WeightSums& sums, std::int64_t n, AliasTable::Layout layout) {
  WeightSums::Sum total;
  for (const WeightSums::Sum& sum : sums.blocks) add(total, sum);
  const std::uint64_t target = static_cast<std::uint64_t>(n) << layout.unit_bits;
  const double all = total.value + total.lost;
  return {target, static_cast<double>(target) / all, kKept + kBelow - std::ilogb(all)};
}

namespace {

// Of a block, and then of all blocks before a block: the units that light elements lack and that heavy ones have too many, and
// the last heavy element (-1: none).
struct Balance {
  std::uint64_t deficit = 0;
  std::uint64_t excess = 0;
  std::int64_t last_heavy = -1;
};

template <class Cell>
struct Builder {
  const std::int64_t n;
  const std::int64_t block;
  const std::uint64_t unit;
  Cell* const cells;
  ThreadPool& pool;
  const std::int64_t n_blocks = (n + block - 1) / block;
  std::vector<std::uint64_t> heavy =
      std::vector<std::uint64_t>(static_cast<std::size_t>((n + kWord - 1) / kWord));  // a bit for each element
  std::vector<Balance> before = std::vector<Balance>(static_cast<std::size_t>(n_blocks + 1));

  std::int64_t end_of(std::int64_t b) const { return std::min(n, (b + 1) * block); }
  const Balance& balance(std::int64_t b) const { return before[static_cast<std::size_t>(b)]; }

  template <class T>
  std::uint64_t round_down(const T* w, std::int64_t b, const UnitScale& scale, double factor, std::int64_t& n_positive);
  template <class T>
  void give_units(const T* w, std::int64_t b, std::uint64_t share, const UnitScale& scale, double factor);
  void classify(std::int64_t b, std::uint64_t each, std::uint64_t n_more);
  void add_up();
  struct Point;
  std::vector<Point> stretches() const;
  void locate(Point& point) const;
  void pack(Point& from, const Point& to);
  void pack_all();
};

// Leaves in each cell one unit more than the weight is worth when rounded down, and none for a weight of zero.
template <class Cell>
template <class T>
std::uint64_t Builder<Cell>::round_down(const T* w, std::int64_t b, const UnitScale& scale, double factor,
                                        std::int64_t& n_positive) {
  Wide sum = 0;
  n_positive = 0;
  for (std::int64_t i = b * block; i < end_of(b); ++i) {
    const double x = scale(static_cast<double>(w[i])) * factor;
    const bool positive = w[i] > 0;
    const std::int64_t units = units_rounded_down(x, positive);
    cells[i] = Cell::with_units(static_cast<std::uint64_t>(units) + positive);
    sum += static_cast<std::uint64_t>(units);
    n_positive += positive;
  }
  return static_cast<std::uint64_t>(std::min<Wide>(sum, ~std::uint64_t{0}));
}

template <class Cell>
template <class T>
void Builder<Cell>::give_units(const T* w, std::int64_t b, std::uint64_t share, const UnitScale& scale, double factor) {
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    std::int64_t n_positive = 0;
    const std::uint64_t sum = round_down(w, b, scale, factor, n_positive);
    if (sum <= share) {
      const std::uint64_t missing = share - sum;
      if (missing > 0 && n_positive == 0) break;
      const auto takers = static_cast<std::uint64_t>(std::max<std::int64_t>(1, n_positive));
      return classify(b, missing / takers, missing % takers);
    }
    factor = smaller_factor(factor, sum, share);
  }
  refuse_changed("weights");
}

// Hands out the units that rounding down left over, `each` to every positive element and one more to the first n_more.
template <class Cell>
void Builder<Cell>::classify(std::int64_t b, std::uint64_t each, std::uint64_t n_more) {
  Balance sum;
  std::uint64_t rank = 0;
  for (std::int64_t start = b * block; start < end_of(b); start += kWord) {
    std::uint64_t map = 0;
    const std::int64_t count = std::min(kWord, end_of(b) - start);
    for (std::int64_t k = 0; k < count; ++k) {
      // By masks: branches would be guessed wrong every other time.
      const std::uint64_t rounded = cells[start + k].units();
      const std::uint64_t positive = rounded > 0;
      const std::uint64_t units = (rounded - 1 + each + (rank < n_more)) & (0 - positive);
      rank += positive;
      const std::uint64_t is_heavy = units >= unit;
      map |= is_heavy << k;
      sum.excess += (units - unit) & (0 - is_heavy);
      sum.deficit += (unit - units) & (is_heavy - 1);
      cells[start + k] = Cell::with_units(units);
    }
    heavy[static_cast<std::size_t>(start / kWord)] = map;
    if (map != 0) sum.last_heavy = start + kWord - 1 - std::countl_zero(map);
  }
  before[static_cast<std::size_t>(b + 1)] = sum;
}

template <class Cell>
void Builder<Cell>::add_up() {
  for (std::size_t b = 1; b < before.size(); ++b) {
    before[b].deficit += before[b - 1].deficit;
    before[b].excess += before[b - 1].excess;
    before[b].last_heavy = std::max(before[b].last_heavy, before[b - 1].last_heavy);
  }
}

// ---- Packing ------------------------------------------------------------------------------------------------------------

// A point of the path at the end of a block of one of the fingers, the last such point.
template <class Cell>
struct Builder<Cell>::Point {
  std::int64_t light_block = 0;  // whole blocks that the fingers have passed
  std::int64_t heavy_block = 0;
  bool ends_light_block = false;
  std::int64_t p = 0;
  std::int64_t q = 0;
  std::int64_t current = -1;  // the heavy element last reached
  std::int64_t left = 0;      // E(q) - D(p), which is what it has beyond its own cell; negative: its cell lacks so much
  // The final cell of `current`, where the stretch from here on reaches the next heavy element. It is put down when all
  // stretches are done, for the one before reads the units there.
  bool closes = false;
  Cell closed{};
};

template <class Cell>
auto Builder<Cell>::stretches() const -> std::vector<Point> {
  Point next;
  std::vector<Point> points{next};
  for (std::int64_t event = 1; event < 2 * n_blocks; ++event) {
    next.ends_light_block =
        next.light_block < n_blocks &&
        (next.heavy_block == n_blocks || balance(next.heavy_block + 1).excess > balance(next.light_block + 1).deficit);
    ++(next.ends_light_block ? next.light_block : next.heavy_block);
    if (event % kStretchEvents == 0) points.push_back(next);
  }
  return points;
}

// The places of elements of one kind in [begin, end), by the map.
class Finger {
 public:
  Finger(const std::uint64_t* heavy, bool light, std::int64_t begin, std::int64_t end)
      : heavy_(heavy), flip_(light ? ~std::uint64_t{0} : 0), end_(end) {
    base_ = begin / kWord * kWord;
    if (begin < end) word_ = (heavy_[base_ / kWord] ^ flip_) & (~std::uint64_t{0} << (begin % kWord));
  }
  // At or beyond the end when there are no more.
  std::int64_t next() {
    while (word_ == 0) {
      base_ += kWord;
      if (base_ >= end_) return base_;
      word_ = heavy_[base_ / kWord] ^ flip_;
    }
    const std::int64_t place = base_ + std::countr_zero(word_);
    word_ &= word_ - 1;
    return place;
  }

 private:
  const std::uint64_t* heavy_;
  std::uint64_t flip_;
  std::int64_t end_;
  std::int64_t base_ = 0;
  std::uint64_t word_ = 0;
};

// The place of the other finger: in the block after those it has passed.
template <class Cell>
void Builder<Cell>::locate(Point& point) const {
  const Balance& lights = balance(point.light_block);
  const Balance& heavies = balance(point.heavy_block);
  point.p = std::min(n, point.light_block * block);
  point.q = std::min(n, point.heavy_block * block);
  point.current = heavies.last_heavy;
  point.left = static_cast<std::int64_t>(heavies.excess - lights.deficit);
  if (point.ends_light_block) {
    const std::int64_t end = end_of(point.heavy_block);
    for (Finger finger(heavy.data(), false, point.q, end); point.left <= 0;) {
      const std::int64_t q = finger.next();
      if (q >= end) break;
      point.left += static_cast<std::int64_t>(cells[q].units() - unit);
      point.q = q + 1;
      point.current = q;
    }
    if (point.left <= 0) point.q = end;
  } else {
    const std::int64_t end = end_of(point.light_block);
    for (Finger finger(heavy.data(), true, point.p, end); point.left > 0;) {
      const std::int64_t p = finger.next();
      if (p >= end) break;
      point.left -= static_cast<std::int64_t>(unit - cells[p].units());
      point.p = p + 1;
    }
  }
}

template <class Cell>
void Builder<Cell>::pack(Point& from, const Point& to) {
  Finger lights(heavy.data(), true, from.p, to.p);
  Finger heavies(heavy.data(), false, from.q, to.q);
  const auto whole = static_cast<std::int64_t>(unit);
  std::int64_t current = from.current;
  std::int64_t left = from.left;
  while (true) {
    while (left > 0) {
      const std::int64_t p = lights.next();
      if (p >= to.p) return;
      const std::uint64_t units = cells[p].units();
      cells[p] = Cell::of(units, current);
      left -= static_cast<std::int64_t>(unit - units);
    }
    const std::int64_t q = heavies.next();
    if (q >= to.q) return;
    const Cell closed = left == 0 ? Cell::of(0, current) : Cell::of(static_cast<std::uint64_t>(whole + left), q);
    if (current != from.current) {
      cells[current] = closed;
    } else if (current >= 0) {
      from.closes = true;
      from.closed = closed;
    }
    left += static_cast<std::int64_t>(cells[q].units() - unit);
    current = q;
  }
}

template <class Cell>
void Builder<Cell>::pack_all() {
  std::vector<Point> points = stretches();
  pool.run(static_cast<std::int64_t>(points.size()),
           [&](std::int64_t i, ThreadPool::Worker&) { locate(points[static_cast<std::size_t>(i)]); });
  Point end;
  end.p = end.q = n;
  points.push_back(end);
  pool.run(static_cast<std::int64_t>(points.size()) - 1, [&](std::int64_t i, ThreadPool::Worker&) {
    pack(points[static_cast<std::size_t>(i)], points[static_cast<std::size_t>(i) + 1]);
  });
  for (const Point& point : points)
    if (point.closes) cells[point.current] = point.closed;
  const std::int64_t last = balance(n_blocks).last_heavy;
  cells[last] = Cell::of(0, last);
}

}  // namespace

template <class Cell>
void build_cells(const void* weights, DType dtype, std::int64_t n, const WeightSums& sums, AliasTable::Layout layout,
                 Cell* cells, ThreadPool& pool) {
  const UnitPlan plan = UnitPlan::of(sums, n, layout);
  const std::vector<std::uint64_t> shares = shares_of(sums.blocks, plan);
  Builder<Cell> builder{n, layout.block, std::uint64_t{1} << layout.unit_bits, cells, pool};
  with_float_pointer(weights, dtype, [&](const auto* w) {
    for_each_block(pool, builder.n_blocks, [&](std::int64_t b) {
      builder.give_units(w, b, shares[static_cast<std::size_t>(b)], sums.scale, plan.factor);
    });
  });
  builder.add_up();
  builder.pack_all();
}

template void build_cells(const void*, DType, std::int64_t, const WeightSums&, AliasTable::Layout, NarrowCell*, ThreadPool&);
template void build_cells(const void*, DType, std::int64_t, const WeightSums&, AliasTable::Layout, WideCell*, ThreadPool&);

}  // namespace coremax::sampling
