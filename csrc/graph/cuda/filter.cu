// The filter: inner products of bfloat16 rows on tensor cores, tile by tile, each compared with what its row and its column
// still take.
//
// A persistent grid. Each block of threads goes through strips of tiles (schedule.h); slices of 64 columns come in through a
// ring of stages that runs ahead into the next tile. A pair passes where its value, product + g_p + g_q (a score but for a
// factor, see bound.h), is not below the limit of either side: threshold less the error bound of the row against the other
// block.
#include <algorithm>
#include <limits>

#include "cuda/block.h"
#include "cuda/ptx.h"
#include "graph/cuda/stages.h"

namespace coremax::graph::on_cuda {
namespace {

constexpr int kWarpTile = 64;  // products of a warp: 64 x 64
constexpr int kColumnWarps = kTileColumns / kWarpTile;
constexpr int kRowFragments = kWarpTile / 16;
constexpr int kColumnFragments = kWarpTile / 8;
constexpr int kChunk = 8;  // numbers in 16 bytes
constexpr int kSliceChunks = kSlice / kChunk;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

constexpr int kShapes = 3;
constexpr Shape shape_of(int number) { return number == 0 ? kResidentShape : number == 1 ? kWideShape : kSmallShape; }

constexpr int threads_of(Shape shape) { return shape.row_warps * kColumnWarps * cuda::kWarp; }

struct Shared {
  std::int64_t rows;  // offsets in bytes
  std::int64_t stages;
  std::int64_t limits;  // and shifts
  std::int64_t list;
  std::int64_t state;
  std::int64_t bytes;
};

COREMAX_HD constexpr std::int64_t n_slices_of(std::int64_t width) { return (width + kSlice - 1) / kSlice; }

COREMAX_HD constexpr Shared layout_of(Shape shape, std::int64_t width) {
  const int rows = kWarpTile * shape.row_warps;
  Shared at{};
  at.stages = shape.resident ? n_slices_of(width) * rows * kSlice * 2 : 0;
  at.limits = at.stages + std::int64_t{shape.stages} * ((shape.resident ? 0 : rows) + kTileColumns) * kSlice * 2;
  at.list = at.limits + 2 * (rows + kTileColumns) * std::int64_t{sizeof(float)};
  at.state = at.list + kBlockList * std::int64_t{2 * sizeof(std::uint32_t)};
  at.bytes = at.state + 16;
  return at;
}

struct Arguments {
  Packed packed;
  std::int64_t n;
  float inverse_kappa;
  const float* thresholds;
  Schedule schedule;
  std::int64_t end;  // of the strips
  std::uint64_t* progress;
  Pool pool;
};

// Where a block of threads is: tile t of a strip.
struct Place {
  std::int64_t number = 0;  // of the strip; at or beyond the end: none
  Schedule::Strip strip{};
  int tile = 0;

  __device__ void find(const Arguments& a, int tiles_per_pair) {
    while (number < a.end) {
      strip = a.schedule.strip(number);
      if (tile < strip.count * tiles_per_pair) return;
      number += gridDim.x;
      tile = 0;
    }
  }
  __device__ void advance(const Arguments& a, int tiles_per_pair) {
    if (++tile < strip.count * tiles_per_pair) return;
    number += gridDim.x;
    tile = 0;
    find(a, tiles_per_pair);
  }
  __device__ std::int64_t column_block(const Arguments& a, int tiles_per_pair) const {
    const std::int64_t block = strip.block + strip.diagonal + tile / tiles_per_pair;
    return block < a.schedule.n_blocks ? block : block - a.schedule.n_blocks;
  }
};

// Rows [.., 64] of a slice lie 128 bytes apart, their 16-byte chunks exchanged by the row's number: so that neither copies nor
// matrix loads meet in a bank.
__device__ inline int place_of(int row, int chunk) { return row * kSlice + ((chunk ^ (row & 7)) * kChunk); }

template <int kRows, int kThreads>
__device__ void load_slice(std::uint16_t* to, const std::uint16_t* from, std::int64_t width, std::int64_t slice) {
  static_assert(kThreads % kSliceChunks == 0 && kRows * kSliceChunks % kThreads == 0);
  const int chunk = static_cast<int>(threadIdx.x) % kSliceChunks;
  const std::int64_t column = slice * kSlice + chunk * kChunk;
  if (column >= width) return;
#pragma unroll
  for (int i = 0; i < kRows * kSliceChunks / kThreads; ++i) {
    const int row = static_cast<int>(threadIdx.x) / kSliceChunks + i * (kThreads / kSliceChunks);
    cuda::copy_async_16(to + place_of(row, chunk), from + row * width + column);
  }
}

__device__ void link(const Pool& pool, std::uint32_t at, std::uint32_t position, std::uint32_t other) {
  pool.candidates[at] = {other, atomicExch(&pool.first[position], at)};
}

// What passed, before it goes to the pool.
struct BlockList {
  uint2* entries;
  unsigned* count;
  __device__ void append(const Pool& pool, std::uint32_t position, std::uint32_t other) {
    const unsigned at = atomicAdd(count, 1u);
    if (at < kBlockList)
      entries[at] = make_uint2(position, other);
    else
      link(pool, atomicAdd(pool.count, 1u), position, other);
  }
};

template <int kShape, bool kShifted>
__global__ void __launch_bounds__(threads_of(shape_of(kShape)), shape_of(kShape).blocks) filter_tiles(Arguments a) {
  constexpr Shape shape = shape_of(kShape);
  constexpr bool kResident = shape.resident;
  constexpr int kStages = shape.stages;
  constexpr int kThreads = threads_of(shape);
  constexpr int kRows = kWarpTile * shape.row_warps;
  constexpr int kTilesPerPair = kRows / kTileColumns;
  constexpr int kStageRows = (kResident ? 0 : kRows) + kTileColumns;
  const std::int64_t width = a.packed.width;
  const int n_slices = static_cast<int>(n_slices_of(width));
  const int n_steps = static_cast<int>(width / kStep);
  const Shared at = layout_of(shape, width);
  auto* memory = cuda::dynamic_shared<unsigned char>();
  auto* resident = reinterpret_cast<std::uint16_t*>(memory + at.rows);
  auto* stages = reinterpret_cast<std::uint16_t*>(memory + at.stages);
  auto* limits = reinterpret_cast<float*>(memory + at.limits);
  auto* shifts = limits + kRows + kTileColumns;
  auto* state =
      reinterpret_cast<unsigned*>(memory + at.state);  // entries of the list, the list's place in the pool, whether to stop
  BlockList list{reinterpret_cast<uint2*>(memory + at.list), state};
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = cuda::lane_of_thread();
  const int row_warp = cuda::warp_of_thread() / kColumnWarps;
  const int column_warp = cuda::warp_of_thread() % kColumnWarps;

  Place here;
  const std::uint64_t progress = a.progress[blockIdx.x];
  const auto tiles_per_strip = static_cast<std::uint64_t>(a.schedule.strip_diagonals * kTilesPerPair);
  here.number = static_cast<std::int64_t>(progress / tiles_per_strip);
  here.tile = static_cast<int>(progress % tiles_per_strip);
  here.find(a, kTilesPerPair);
  Place ahead = here;  // what is loaded next
  int ahead_slice = 0;

  const auto load_next = [&](int stage) {
    if (ahead.number < a.end) {
      std::uint16_t* to = stages + stage * (kStageRows * kSlice);
      if constexpr (!kResident) {
        load_slice<kRows, kThreads>(to, a.packed.rows + ahead.strip.block * (kRows * width), width, ahead_slice);
        to += kRows * kSlice;
      }
      const std::int64_t first = ahead.column_block(a, kTilesPerPair) * kRows + ahead.tile % kTilesPerPair * kTileColumns;
      load_slice<kTileColumns, kThreads>(to, a.packed.rows + first * width, width, ahead_slice);
      if (++ahead_slice == n_slices) {
        ahead_slice = 0;
        ahead.advance(a, kTilesPerPair);
      }
    }
    cuda::copy_async_commit();
  };

  if (thread == 0) state[0] = 0;
  int stage = 0;
  for (int s = 0; s < kStages - 1; ++s) load_next(s);
  std::int64_t resident_strip = -1;
  bool stop = false;
  while (here.number < a.end && !stop) {
    const std::int64_t row_block = here.strip.block;
    const std::int64_t column_block = here.column_block(a, kTilesPerPair);
    const std::int64_t first_row = row_block * kRows;
    const std::int64_t first_column = column_block * kRows + here.tile % kTilesPerPair * kTileColumns;
    if (kResident && resident_strip != here.number) {
      __syncthreads();  // the last tile of the strip before is done with them
      for (int s = 0; s < n_slices; ++s)
        load_slice<kRows, kThreads>(resident + s * (kRows * kSlice), a.packed.rows + first_row * width, width, s);
      cuda::copy_async_commit();
      cuda::copy_async_wait<0>();
      __syncthreads();
      resident_strip = here.number;
    }

    // What the limits are made of is on its way while the products are formed.
    static_assert(kThreads >= kRows && kThreads >= kTileColumns);
    float threshold[2];
    float own_shift[2] = {};
    ErrorTerms terms[2];
#pragma unroll
    for (int side = 0; side < 2; ++side) {
      const std::int64_t position = (side == 0 ? first_row : first_column) + thread;
      const bool is_row = thread < (side == 0 ? kRows : kTileColumns) && position < a.n;
      threshold[side] = is_row ? a.thresholds[position] : kInfinity;  // after the last row nothing passes
      terms[side] = is_row ? a.packed.terms[position] : ErrorTerms{};
      if (kShifted && is_row) own_shift[side] = a.packed.shift[position];
    }
    const ErrorTerms block_terms[2] = {a.packed.block_terms[column_block], a.packed.block_terms[row_block]};
    const bool full = thread == 0 && __ldcg(a.pool.count) > a.pool.room;  // of which a late view is good enough

    float sums[kRowFragments][kColumnFragments][4] = {};
    for (int slice = 0; slice < n_slices; ++slice) {
      cuda::copy_async_wait<kStages - 2>();
      __syncthreads();  // the slice is here for all, and all are done with the stage that is filled next
      load_next(stage == 0 ? kStages - 1 : stage - 1);
      const std::uint16_t* from = stages + stage * (kStageRows * kSlice);
      const std::uint16_t* rows = (kResident ? resident + slice * (kRows * kSlice) : from) + row_warp * (kWarpTile * kSlice);
      const std::uint16_t* columns = from + (kResident ? 0 : kRows * kSlice) + column_warp * (kWarpTile * kSlice);
      stage = stage + 1 == kStages ? 0 : stage + 1;
#pragma unroll
      for (int step = 0; step < kSlice / kStep; ++step) {
        if (slice * (kSlice / kStep) + step >= n_steps) break;
        std::uint32_t row_fragments[kRowFragments][4];
#pragma unroll
        for (int m = 0; m < kRowFragments; ++m)
          cuda::load_matrices_x4(row_fragments[m], rows + place_of(m * 16 + lane % 16, step * 2 + lane / 16));
#pragma unroll
        for (int pair = 0; pair < kColumnFragments / 2; ++pair) {
          std::uint32_t both[4];
          cuda::load_matrices_x4(both, columns + place_of(pair * 16 + lane / 16 * 8 + lane % 8, step * 2 + lane / 8 % 2));
          const std::uint32_t one[2] = {both[0], both[1]};
          const std::uint32_t other[2] = {both[2], both[3]};
#pragma unroll
          for (int m = 0; m < kRowFragments; ++m) {
            cuda::mma_bf16(sums[m][2 * pair], row_fragments[m], one);
            cuda::mma_bf16(sums[m][2 * pair + 1], row_fragments[m], other);
          }
        }
      }
    }

#pragma unroll
    for (int side = 0; side < 2; ++side) {
      if (thread >= (side == 0 ? kRows : kTileColumns)) continue;
      limits[side * kRows + thread] =
          threshold[side] == kInfinity
              ? kInfinity
              : below(below(threshold[side]) - error_bound(terms[side], block_terms[side])) * a.inverse_kappa;
      if constexpr (kShifted) shifts[side * kRows + thread] = own_shift[side];
    }
    if (thread == 0) state[2] = full ? 1 : 0;
    const unsigned listed =
        std::min<unsigned>(state[0], kBlockList);  // by the tiles before: all threads are past them, none is at this one's
    __syncthreads();
    stop = state[2] != 0;
    if (listed > kBlockList / 2) {
      if (thread == 0) {
        state[1] = atomicAdd(a.pool.count, listed);
        state[0] = 0;
      }
      __syncthreads();
      const unsigned base = state[1];
      for (unsigned e = static_cast<unsigned>(thread); e < listed; e += kThreads)
        link(a.pool, base + e, list.entries[e].x, list.entries[e].y);
      __syncthreads();
    }

    // Nearly all values are below both limits: one comparison with the lower one rules them out.
    float column_limit[2 * kColumnFragments];
    float column_shift[2 * kColumnFragments];
    float lowest = kInfinity;
#pragma unroll
    for (int c = 0; c < 2 * kColumnFragments; ++c) {
      const int column = kRows + column_warp * kWarpTile + c / 2 * 8 + lane % 4 * 2 + c % 2;
      column_limit[c] = limits[column];
      column_shift[c] = kShifted ? shifts[column] : 0;
      lowest = std::min(lowest, column_limit[c]);
    }
#pragma unroll
    for (int r = 0; r < 2 * kRowFragments; ++r) {
      const int row = row_warp * kWarpTile + r / 2 * 16 + r % 2 * 8 + lane / 4;
      const float row_limit = limits[row];
      const float row_shift = kShifted ? shifts[row] : 0;
      const float limit = kShifted ? below(std::min(row_limit, lowest) - row_shift) : std::min(row_limit, lowest);
      bool any = false;
#pragma unroll
      for (int c = 0; c < 2 * kColumnFragments; ++c) {
        float& value = sums[r / 2][c / 2][r % 2 * 2 + c % 2];
        if constexpr (kShifted) value += column_shift[c];
        any |= value >= limit;
      }
      if (!any) continue;
      unsigned for_row = 0;
      unsigned for_column = 0;
#pragma unroll
      for (int c = 0; c < 2 * kColumnFragments; ++c) {
        const float sum = sums[r / 2][c / 2][r % 2 * 2 + c % 2];
        const float value = kShifted ? sum + row_shift : sum;
        for_row |= value >= row_limit ? 1u << c : 0;
        for_column |= value >= column_limit[c] ? 1u << c : 0;
      }
      const std::int64_t p = first_row + row;
      for (unsigned rest = for_row | for_column; rest != 0; rest &= rest - 1) {
        const int c = __ffs(static_cast<int>(rest)) - 1;
        const std::int64_t q = first_column + column_warp * kWarpTile + c / 2 * 8 + lane % 4 * 2 + c % 2;
        if (p >= a.n || q >= a.n) continue;
        if ((for_row >> c & 1) != 0) list.append(a.pool, static_cast<std::uint32_t>(p), static_cast<std::uint32_t>(q));
        if ((for_column >> c & 1) != 0) list.append(a.pool, static_cast<std::uint32_t>(q), static_cast<std::uint32_t>(p));
      }
    }
    here.advance(a, kTilesPerPair);
  }
  cuda::copy_async_wait<0>();
  __syncthreads();
  const unsigned listed = std::min<unsigned>(state[0], kBlockList);
  if (thread == 0) {
    state[1] = listed > 0 ? atomicAdd(a.pool.count, listed) : 0;
    a.progress[blockIdx.x] = static_cast<std::uint64_t>(here.number) * tiles_per_strip + static_cast<std::uint64_t>(here.tile);
  }
  __syncthreads();
  for (unsigned e = static_cast<unsigned>(thread); e < listed; e += kThreads)
    link(a.pool, state[1] + e, list.entries[e].x, list.entries[e].y);
}

using Kernel = void (*)(Arguments);

Kernel kernel_of(int shape, bool shifted) {
  constexpr Kernel kKernels[kShapes][2] = {{filter_tiles<0, false>, filter_tiles<0, true>},
                                           {filter_tiles<1, false>, filter_tiles<1, true>},
                                           {filter_tiles<2, false>, filter_tiles<2, true>}};
  return kKernels[shape][shifted ? 1 : 0];
}

int shape_for(std::int64_t width, const Tuning& tuning) {
  if (tuning.shape > 0) return tuning.shape - 1;
  const int most = cuda::device_info(cuda::current_device()).shared_bytes;
  const int best = width <= kResidentColumns ? 0 : 1;
  return layout_of(shape_of(best), width).bytes <= most ? best : 2;
}

}  // namespace

FilterPlan plan_filter(std::int64_t width, bool shifted, const Tuning& tuning) {
  const int number = shape_for(width, tuning);
  const Shape shape = shape_of(number);
  const unsigned fits = cuda::resident_blocks(kernel_of(number, shifted), threads_of(shape),
                                              static_cast<std::size_t>(layout_of(shape, width).bytes));
  return {number, kWarpTile * shape.row_warps, kWarpTile * shape.row_warps / kTileColumns,
          tuning.most_blocks > 0 ? std::min(fits, tuning.most_blocks) : fits};
}

void filter(const FilterPlan& plan, const Packed& packed, std::int64_t n, Metric metric, const float* thresholds,
            const Schedule& schedule, std::int64_t end, std::uint64_t* progress, const Pool& pool, const cuda::Stream& stream) {
  const Shape shape = shape_of(plan.shape);
  const Arguments arguments{packed, n, metric == Metric::euclidean ? 0.5f : 1.0f, thresholds, schedule, end, progress, pool};
  cuda::launch(
      stream,
      {plan.blocks, static_cast<unsigned>(threads_of(shape)), static_cast<std::size_t>(layout_of(shape, packed.width).bytes)},
      kernel_of(plan.shape, packed.shift != nullptr), arguments);
}

}  // namespace coremax::graph::on_cuda
