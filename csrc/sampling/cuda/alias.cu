// The kernels of the alias table. Sums of blocks and units are those of alias_build.cpp, lane by lane. Packing uses that its
// path is a merge: with D(p) the units that the light before p lack and E(q) those that the heavy up to q have too many, the
// cell of a light element p is filled up by the first heavy q with E(q) > D(p), and a heavy element q is filled up by the next
// heavy when the first light p with D(p), its own lack included,
// >= E(q) is done. So every cell follows from two searches. Merging the ends of tiles, the path passes 2 n_tiles pairs of a
// tile of light and a tile of heavy elements; one block of threads has each, scans both, and searches in shared memory.
#include <algorithm>
#include <type_traits>

#include "core/philox.h"
#include "cuda/scan.h"
#include "sampling/cuda/alias_kernels.h"

namespace coremax::sampling::on_cuda {
namespace {

using cuda::kAllLanes;
using policy::kPackTile;
using policy::kThreads;

constexpr int kItems = kPackTile / kThreads;

// ---- Weights ------------------------------------------------------------------------------------------------------------

template <class T>
__global__ void sum_lanes(const T* weights, std::int64_t n, std::int64_t block, UnitScale scale, WeightSums::Sum* blocks,
                          WeightSummary* summary) {
  const std::int64_t b = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) / kSumLanes;
  const int lane = static_cast<int>(threadIdx.x) % kSumLanes;
  const std::int64_t end = std::min(n, (b + 1) * block);
  WeightSums::Sum sum;
  double largest = 0;
  bool bad = false;
  for (std::int64_t i = b * block + lane; i < end; i += kSumLanes) {
    const double x = scale(static_cast<double>(weights[i]));
    add(sum, x);
    largest = x > largest ? x : largest;
    bad = bad || x < 0.0 || x - x != 0.0;
  }
  WeightSums::Sum total;
  for (int l = 0; l < kSumLanes; ++l) {
    const double value = __shfl_sync(kAllLanes, sum.value, l, kSumLanes);
    const double lost = __shfl_sync(kAllLanes, sum.lost, l, kSumLanes);
    add(total, WeightSums::Sum{value, lost});
  }
  if (lane == 0 && b * block < n) blocks[b] = total;
  largest = cuda::warp_reduce(largest, [](double a, double c) { return a > c ? a : c; });
  const bool any_bad = __any_sync(kAllLanes, bad) != 0;
  if (cuda::lane_of_thread() == 0) {
    atomicMax(&summary->largest_bits, static_cast<unsigned long long>(std::bit_cast<std::uint64_t>(largest)));
    if (any_bad) atomicOr(&summary->bad, 1U);
  }
}

// ---- Units --------------------------------------------------------------------------------------------------------------

// The whole number of each block, in a high part and a low one: sums of each stay within 64 bits.
__global__ void to_whole_numbers(const WeightSums::Sum* blocks, std::int64_t n_blocks, UnitPlan plan, std::uint64_t* high,
                                 std::uint64_t* low) {
  const std::int64_t b = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (b >= n_blocks) return;
  const __int128 whole = plan.whole_number(blocks[b]);
  high[b] = static_cast<std::uint64_t>(whole >> UnitPlan::kBelow);
  low[b] = static_cast<std::uint64_t>(whole) & ((std::uint64_t{1} << UnitPlan::kBelow) - 1);
}

// high and low: running sums.
__global__ void to_shares(const std::uint64_t* high, const std::uint64_t* low, std::int64_t n_blocks, UnitPlan plan,
                          std::uint64_t* shares) {
  const std::int64_t b = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (b >= n_blocks) return;
  const auto running = [&](std::int64_t block) { return high[block] + (low[block] >> UnitPlan::kBelow); };
  const std::uint64_t all = running(n_blocks - 1);
  shares[b] = plan.units_until(running(b), all) - (b > 0 ? plan.units_until(running(b - 1), all) : 0);
}

struct SaturatingSum {
  COREMAX_HD std::uint64_t operator()(std::uint64_t a, std::uint64_t b) const { return a + b < a ? ~std::uint64_t{0} : a + b; }
};

// A factor with which the block's units, rounded down, are at most its share; 0 where there is none.
template <class T>
__device__ double fitting_factor(const T* weights, std::int64_t begin, std::int64_t end, std::uint64_t share,
                                 const UnitScale& scale, double factor, std::uint64_t& sum, std::uint64_t& n_positive) {
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    sum = 0;
    n_positive = 0;
    for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
      const bool positive = weights[i] > 0;
      sum = SaturatingSum{}(
          sum, static_cast<std::uint64_t>(units_rounded_down(scale(static_cast<double>(weights[i])) * factor, positive)));
      n_positive += positive;
    }
    sum = cuda::block_reduce<kThreads>(sum, std::uint64_t{0}, SaturatingSum{});
    n_positive = cuda::block_reduce<kThreads>(n_positive, std::uint64_t{0}, cuda::Sum{});
    if (sum <= share) return sum < share && n_positive == 0 ? 0 : factor;
    factor = smaller_factor(factor, sum, share);
  }
  return 0;
}

template <class T>
__global__ void give(const T* weights, std::int64_t n, std::int64_t block, UnitScale scale, double first_factor,
                     const std::uint64_t* shares, std::uint64_t unit, std::uint64_t* units, std::uint64_t* deficit,
                     std::uint64_t* excess, std::int64_t* first_heavy_from_end, WeightSummary* summary) {
  const std::int64_t begin = std::int64_t{blockIdx.x} * block;
  const std::int64_t end = std::min(n, begin + block);
  const std::int64_t n_tiles = (n + kPackTile - 1) / kPackTile;
  const std::uint64_t share = shares[blockIdx.x];
  std::uint64_t sum;
  std::uint64_t n_positive;
  const double factor = fitting_factor(weights, begin, end, share, scale, first_factor, sum, n_positive);
  if (!(factor > 0) && threadIdx.x == 0) atomicOr(&summary->changed, 1U);
  // What rounding down left over: `each` to every positive element and one more to the first n_more.
  const std::uint64_t takers = n_positive > 0 ? n_positive : 1;
  const std::uint64_t each = (share - sum) / takers;
  const std::uint64_t n_more = (share - sum) % takers;
  std::uint64_t rank = 0;
  for (std::int64_t tile = begin / kPackTile; tile * kPackTile < end; ++tile) {
    std::uint64_t lacking = 0;
    std::uint64_t beyond = 0;
    std::int64_t first_heavy = Tiles::kNone;
    for (int row = 0; row < kItems; ++row) {
      const std::int64_t i = tile * kPackTile + row * kThreads + threadIdx.x;
      const double weight = i < end ? static_cast<double>(weights[i]) : 0.0;
      const bool positive = weight > 0;
      std::uint32_t in_row;
      const std::uint64_t own_rank = rank + cuda::block_exclusive_sum<kThreads>(static_cast<std::uint32_t>(positive), in_row);
      rank += in_row;
      if (i >= end) continue;
      const std::uint64_t rounded = static_cast<std::uint64_t>(units_rounded_down(scale(weight) * factor, positive));
      const std::uint64_t own = positive ? rounded + each + (own_rank < n_more) : 0;
      units[i] = own;
      if (own >= unit) {
        beyond += own - unit;
        first_heavy = std::min(first_heavy, i);
      } else {
        lacking += unit - own;
      }
    }
    lacking = cuda::block_reduce<kThreads>(lacking, std::uint64_t{0}, cuda::Sum{});
    beyond = cuda::block_reduce<kThreads>(beyond, std::uint64_t{0}, cuda::Sum{});
    first_heavy = cuda::block_reduce<kThreads>(first_heavy, Tiles::kNone, cuda::Smallest{});
    if (threadIdx.x == 0) {
      deficit[tile + 1] = lacking;
      excess[tile + 1] = beyond;
      first_heavy_from_end[n_tiles - 1 - tile] = first_heavy;
    }
  }
}

// ---- Packing ------------------------------------------------------------------------------------------------------------

// Of the first `step` ends of tiles on the path, how many are the light finger's; ends that fall together are the heavy one's
// first.
__global__ void find_pairs(const std::uint64_t* deficit, const std::uint64_t* excess, std::int64_t n_tiles,
                           std::int64_t* light_tiles) {
  const std::int64_t step = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (step >= 2 * n_tiles) return;
  std::int64_t low = std::max<std::int64_t>(0, step - n_tiles);
  std::int64_t high = std::min(step, n_tiles);
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (deficit[middle + 1] < excess[step - middle]) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  light_tiles[step] = low;
}

// The elements of one kind of a tile, in order: where they are in it, and running sums of what they lack or have too much,
// their own included.
struct Kind {
  std::uint64_t sums[kPackTile];
  std::uint16_t places[kPackTile];
};

// Returns how many there are.
template <bool kLight>
__device__ int collect(const std::uint64_t* units, std::int64_t n, std::int64_t tile, std::uint64_t unit, Kind& kind) {
  const std::int64_t begin = tile * kPackTile + std::int64_t{threadIdx.x} * kItems;
  std::uint64_t amounts[kItems];
  bool of_kind[kItems];
  std::uint64_t amount = 0;
  int count = 0;
  for (int j = 0; j < kItems; ++j) {
    const bool there = begin + j < n;
    const std::uint64_t own = there ? units[begin + j] : 0;
    of_kind[j] = there && (own < unit) == kLight;
    amounts[j] = of_kind[j] ? (kLight ? unit - own : own - unit) : 0;
    amount += amounts[j];
    count += of_kind[j];
  }
  std::uint64_t total_amount;
  int total;
  std::uint64_t running = cuda::block_exclusive_sum<kThreads>(amount, total_amount);
  int place = cuda::block_exclusive_sum<kThreads>(count, total);
  for (int j = 0; j < kItems; ++j) {
    running += amounts[j];
    if (!of_kind[j]) continue;
    kind.sums[place] = running;
    kind.places[place++] = static_cast<std::uint16_t>(threadIdx.x * kItems + j);
  }
  return total;
}

// The first of sums [count] ascending for which `reached` holds; count if none.
template <class F>
__device__ int first_where(const std::uint64_t* sums, int count, F reached) {
  int low = 0;
  int high = count;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (reached(sums[middle])) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

template <class Cell>
__global__ void pack_pairs(const std::uint64_t* units, std::int64_t n, std::uint64_t unit, const std::uint64_t* deficit,
                           const std::uint64_t* excess, const std::int64_t* first_heavy_from_end, std::int64_t n_tiles,
                           const std::int64_t* light_tiles, Cell* cells) {
  COREMAX_SHARED(lights, Kind);
  COREMAX_SHARED(heavies, Kind);
  const std::int64_t i = light_tiles[blockIdx.x];
  const std::int64_t j = std::int64_t{blockIdx.x} - i;
  if (i >= n_tiles || j >= n_tiles) return;  // all threads of the block
  const int n_lights = collect<true>(units, n, i, unit, lights);
  const int n_heavies = collect<false>(units, n, j, unit, heavies);
  __syncthreads();
  const std::uint64_t lacking = deficit[i];
  const std::uint64_t beyond = excess[j];

  // Light elements that a heavy one of the tile j fills up.
  for (int k = static_cast<int>(threadIdx.x); k < n_lights; k += kThreads) {
    const std::uint64_t before = k == 0 ? 0 : lights.sums[k - 1];
    if (lacking + before < beyond || lacking + before >= excess[j + 1]) continue;
    const int q = first_where(heavies.sums, n_heavies, [&](std::uint64_t sum) { return beyond + sum > lacking + before; });
    cells[i * kPackTile + lights.places[k]] = Cell::of(unit - (lights.sums[k] - before), j * kPackTile + heavies.places[q]);
  }

  // Heavy elements that have nothing left after a light one of the tile i. One that never had any is there from the start.
  for (int k = static_cast<int>(threadIdx.x); k < n_heavies; k += kThreads) {
    const std::uint64_t until = beyond + heavies.sums[k];
    if ((i > 0 && until <= lacking) || until > deficit[i + 1]) continue;
    std::uint64_t lent = 0;  // by the next heavy element
    const auto covered = [&](std::uint64_t sum) { return lacking + sum >= until; };
    if (until > 0) lent = lacking + lights.sums[first_where(lights.sums, n_lights, covered)] - until;
    const std::int64_t own = j * kPackTile + heavies.places[k];
    std::int64_t next = j + 1 < n_tiles ? first_heavy_from_end[n_tiles - 2 - j] : Tiles::kNone;
    if (k + 1 < n_heavies) next = j * kPackTile + heavies.places[k + 1];
    cells[own] = lent == 0 || next == Tiles::kNone ? Cell::of(0, own) : Cell::of(unit - lent, next);
  }
}

// ---- Drawing ------------------------------------------------------------------------------------------------------------

template <class Cell>
__device__ std::int64_t winner(const Cell& cell, const Draw& draw) {
  return draw.coin < cell.threshold ? draw.cell : static_cast<std::int64_t>(cell.alias);
}

template <class Cell>
__global__ void draw_range(const Cell* cells, std::uint64_t n, int unit_bits, std::uint64_t size, std::uint64_t seed,
                           std::uint64_t offset, std::int64_t* out) {
  constexpr int kPairs = policy::kPairsInFlight;
  const std::uint64_t first_pair = (offset >> 1) + std::uint64_t{blockIdx.x} * kThreads * kPairs + threadIdx.x;
  Draw draws[2 * kPairs];
  Cell found[2 * kPairs];
#pragma unroll
  for (int k = 0; k < kPairs; ++k) {
    const PhiloxBlock block = philox(seed, Stream::alias_draw, first_pair + static_cast<std::uint64_t>(k) * kThreads);
    draws[2 * k] = Draw::of(block[0] | std::uint64_t{block[1]} << 32, n, unit_bits);
    draws[2 * k + 1] = Draw::of(block[2] | std::uint64_t{block[3]} << 32, n, unit_bits);
  }
#pragma unroll
  for (int k = 0; k < 2 * kPairs; ++k) found[k] = cells[draws[k].cell];
#pragma unroll
  for (int k = 0; k < kPairs; ++k) {
    const std::uint64_t place =
        2 * (first_pair + static_cast<std::uint64_t>(k) * kThreads) - offset;  // wraps around before an odd offset
    if (place < size) out[place] = winner(found[2 * k], draws[2 * k]);
    if (place + 1 < size) out[place + 1] = winner(found[2 * k + 1], draws[2 * k + 1]);
  }
}

template <class Cell>
__global__ void draw_positions(const Cell* cells, std::uint64_t n, int unit_bits, const std::int64_t* positions,
                               std::int64_t size, std::uint64_t seed, std::int64_t* out, unsigned long long* bad) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= size) return;
  const std::int64_t position = positions[i];
  if (position < 0) atomicMin(bad, static_cast<unsigned long long>(i));
  const Draw draw = Draw::of(random_bits(seed, Stream::alias_draw, static_cast<std::uint64_t>(position)), n, unit_bits);
  out[i] = winner(cells[draw.cell], draw);
}

template <class F>
void with_cells(const void* cells, const AliasTable::Layout& layout, F&& f) {
  if (layout.wide) {
    f(static_cast<const WideCell*>(cells));
  } else {
    f(static_cast<const NarrowCell*>(cells));
  }
}

}  // namespace

void sum_blocks(const void* weights, DType dtype, std::int64_t n, std::int64_t block, UnitScale scale, WeightSums::Sum* blocks,
                WeightSummary* summary, const cuda::Stream& stream) {
  const std::int64_t n_blocks = (n + block - 1) / block;
  with_float_pointer(weights, dtype, [&](const auto* w) {
    using T = std::remove_cvref_t<decltype(*w)>;
    cuda::launch(stream, {cuda::blocks_for(n_blocks * kSumLanes, kThreads), kThreads}, sum_lanes<T>, w, n, block, scale, blocks,
                 summary);
  });
}

void share_out(const WeightSums::Sum* blocks, std::int64_t n_blocks, const UnitPlan& plan, std::uint64_t* shares,
               const cuda::Stream& stream) {
  const cuda::Buffer<std::uint64_t> high(n_blocks, stream, "the shares of the blocks");
  const cuda::Buffer<std::uint64_t> low(n_blocks, stream, "the shares of the blocks");
  const cuda::Grid grid{cuda::blocks_for(n_blocks, kThreads), kThreads};
  cuda::launch(stream, grid, to_whole_numbers, blocks, n_blocks, plan, high.data(), low.data());
  for (std::uint64_t* sums : {high.data(), low.data()})
    cuda::scan<true>(sums, sums, n_blocks, std::uint64_t{0}, cuda::Sum{}, stream);
  cuda::launch(stream, grid, to_shares, high.data(), low.data(), n_blocks, plan, shares);
}

Tiles::Tiles(std::int64_t n_elements, const cuda::Stream& stream)
    : n(n_elements),
      n_tiles((n + kPackTile - 1) / kPackTile),
      units(n, stream, "the units of the weights"),
      deficit(n_tiles + 1, stream, "the balances of the tiles"),
      excess(n_tiles + 1, stream, "the balances of the tiles"),
      next_heavy(n_tiles, stream, "the balances of the tiles") {}

void give_units(const void* weights, DType dtype, std::int64_t block, UnitScale scale, double factor,
                const std::uint64_t* shares, std::uint64_t unit, Tiles& tiles, WeightSummary* summary,
                const cuda::Stream& stream) {
  with_float_pointer(weights, dtype, [&](const auto* w) {
    using T = std::remove_cvref_t<decltype(*w)>;
    cuda::launch(stream, {cuda::blocks_for(tiles.n, block), kThreads}, give<T>, w, tiles.n, block, scale, factor, shares, unit,
                 tiles.units.data(), tiles.deficit.data(), tiles.excess.data(), tiles.next_heavy.data(), summary);
  });
}

void add_up(Tiles& tiles, const cuda::Stream& stream) {
  for (std::uint64_t* sums : {tiles.deficit.data(), tiles.excess.data()}) {
    cuda::set_bytes(sums, 0, 1, stream, "the balances of the tiles");
    cuda::scan<true>(sums + 1, sums + 1, tiles.n_tiles, std::uint64_t{0}, cuda::Sum{}, stream);
  }
  cuda::scan<true>(tiles.next_heavy.data(), tiles.next_heavy.data(), tiles.n_tiles, Tiles::kNone, cuda::Smallest{}, stream);
}

void pack(const Tiles& tiles, const AliasTable::Layout& layout, void* cells, const cuda::Stream& stream) {
  const std::int64_t n_pairs = 2 * tiles.n_tiles;
  const cuda::Buffer<std::int64_t> light_tiles(n_pairs, stream, "the path through the tiles");
  cuda::launch(stream, {cuda::blocks_for(n_pairs, kThreads), kThreads}, find_pairs, tiles.deficit.data(), tiles.excess.data(),
               tiles.n_tiles, light_tiles.data());
  with_cells(cells, layout, [&](const auto* typed) {
    using Cell = std::remove_cvref_t<decltype(*typed)>;
    cuda::launch(stream, {cuda::blocks_for(n_pairs, 1), kThreads}, pack_pairs<Cell>, tiles.units.data(), tiles.n,
                 std::uint64_t{1} << layout.unit_bits, tiles.deficit.data(), tiles.excess.data(), tiles.next_heavy.data(),
                 tiles.n_tiles, light_tiles.data(), static_cast<Cell*>(cells));
  });
}

void draw(const void* cells, std::int64_t n, const AliasTable::Layout& layout, std::int64_t size, std::uint64_t seed,
          std::uint64_t offset, std::int64_t* out, const cuda::Stream& stream) {
  if (size == 0) return;
  const std::int64_t n_pairs = size / 2 + 1;
  with_cells(cells, layout, [&](const auto* typed) {
    using Cell = std::remove_cvref_t<decltype(*typed)>;
    cuda::launch(stream, {cuda::blocks_for(n_pairs, kThreads * policy::kPairsInFlight), kThreads}, draw_range<Cell>, typed,
                 static_cast<std::uint64_t>(n), layout.unit_bits, static_cast<std::uint64_t>(size), seed, offset, out);
  });
}

void draw_at(const void* cells, std::int64_t n, const AliasTable::Layout& layout, const std::int64_t* positions,
             std::int64_t size, std::uint64_t seed, std::int64_t* out, unsigned long long* bad, const cuda::Stream& stream) {
  with_cells(cells, layout, [&](const auto* typed) {
    using Cell = std::remove_cvref_t<decltype(*typed)>;
    cuda::launch(stream, {cuda::blocks_for(size, kThreads), kThreads}, draw_positions<Cell>, typed,
                 static_cast<std::uint64_t>(n), layout.unit_bits, positions, size, seed, out, bad);
  });
}

}  // namespace coremax::sampling::on_cuda
