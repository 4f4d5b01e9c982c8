// Tuning numbers of the graph on devices, each with its reason. Results do not depend on them. None has been measured on a
// device yet: the reasons are computed, from what the makers' documents say of an H200 (132 multiprocessors, 989 TFLOP/s of
// bfloat16, 4.8 TB/s).
#pragma once

#include <cstdint>

namespace coremax::graph::on_cuda {

// The limit of the filter: n^2 / 2 pairs of d multiply-adds, 2 d operations each. At the 790 TFLOP/s that a matrix product
// reaches on an H200: n = 1,000,000, d = 128: 0.16 s; d = 768: 0.97 s. This filter uses mma.sync, whose rate on that chip is
// about 0.6 of the peak (wgmma has all of it), and compares every product: expected 0.3 s and 1.6 s.

// How the filter's tiles are laid out over threads. A warp has 64 x 64 products in 128 registers of each lane: of a step of 16
// columns it loads 4 KiB for 64 x 64 x 16 multiply-adds, 32 of the about 50 cycles that they take.
struct Shape {
  int row_warps;  // a tile has 64 rows for each
  bool resident;  // its rows stay in shared memory for a strip of tiles; else they are loaded along with the columns
  int stages;     // slices of 64 columns of the matrix under way: two while one is worked on hide the latency of level 2
  int blocks;     // to a multiprocessor, for the limit of registers
};

constexpr int kTileColumns = 128;  // rows of the matrix that are a tile's columns: two warps
constexpr int kSlice = 64;         // columns of the matrix in a stage: rows of 128 bytes, whole lines of memory
constexpr int kStep = 16;          // columns of one mma

// For rows of up to kResidentColumns numbers. A tile is done in few steps, so what follows them (comparing) has to overlap with
// the other block's: two blocks of four warps. Each loads 16 KiB a slice for 128 x 128 x 64 multiply-adds: 131 operations a
// byte of level 2. 2 x 128 threads can have 255 registers each; nvcc 13.0 gives the six kernels of the filter 246 to 255 for
// sm_90, and spills none. The code is 32 HMMA and 8 LDSM a step of 16 columns, and a comparison a product.
constexpr Shape kResidentShape{2, true, 3, 2};
constexpr std::int64_t kResidentColumns = 192;  // 48 KiB of rows and 48 KiB of stages: two blocks fit 227 KiB
// For long rows. 256 x 128 products to 48 KiB a slice: 85 operations a byte. Three stages are 144 KiB, which fit an A100 (163
// KiB) too.
constexpr Shape kWideShape{4, false, 3, 1};
// For devices with less shared memory (8.6, 8.9: 99 KiB).
constexpr Shape kSmallShape{2, false, 2, 1};

// Candidates that a block of threads collects in shared memory before it appends them to the pool: one atomic operation on the
// common counter for some hundreds of them instead of one each.
constexpr int kBlockList = 512;

// A warp scores so many candidates of a row at a time on each of its halves: so many loads are under way for a lane.
constexpr int kScoredAtOnce = 4;
constexpr int kMergeThreads = 128;
constexpr int kPackThreads = 256;
constexpr int kMeasureThreads = 256;
constexpr int kOriginThreads = 1024;  // one block goes through the sample, a column to a thread

// Direct tiles: 16 half-warps of 8 x 8 pairs, a lane of the canonical order to a thread. 64 sums to 16 loads from shared
// memory: as many cycles of loads as of multiply-adds. Rows lie 66 floats apart, so that the halves of a warp, 8 rows apart,
// use different banks.
constexpr int kDirectRows = 32;
constexpr int kDirectColumns = 32;
constexpr int kDirectDepth = 64;
constexpr int kDirectStride = 66;
constexpr int kDirectThreads = 256;

// The pass over classes. Sums: 64 rows of 768 float32 are 192 KiB, read from memory for their norms and again from level 2,
// which holds the 50 MB that two blocks to a multiprocessor have under way; of many rows of a class one number is handed on,
// and eight loads of a thread are under way.
constexpr int kSumThreads = 256;
constexpr int kSumRows = 64;
constexpr int kSumRowsAtOnce = 8;
static_assert(kSumRows * 4 == kSumThreads);
constexpr int kDirectionThreads = 128;
// Comparisons: tiles as those of the direct search, 32 x 32; where 16 centres are all, 64 x 16, as what is beyond them is
// computed in vain. Rows stay in shared memory for all centres where so many blocks fit a multiprocessor: with one, nothing
// overlaps with its loads.
constexpr int kCompareThreads = 256;
constexpr int kRowSidesForFew = 8;
constexpr int kRowSidesForMany = 4;
constexpr int kCompareBlocks = 2;

// What tests and benchmarks may set.
struct Tuning {
  // Below so many rows, or where a list holds more than a 16th of them, the direct search is taken: its n^2 d multiply-adds
  // then take less than packing, a dozen launches and the candidates.
  std::int64_t filter_from_rows = 4096;
  std::int64_t filter_largest_share = 16;
  // Diagonals of block pairs in a strip, whose rows are loaded once: 16 tiles make that load 1 / 16 of the columns', and 264
  // blocks on neighbouring strips have 264 + 16 blocks of rows in level 2, 9 MB of 50.
  std::int64_t strip_diagonals = 16;
  // The direct search at the start sees at least so many times k rows: of a panel then at most half as many pass.
  std::int64_t seeds_per_neighbor = 2;
  // Candidates the pool has room for before the filter stops for a merge, for each entry of the output: a panel lets about k
  // pass for a row, as it is as large as all before it; and at most.
  std::int64_t pool_per_entry = 2;
  std::int64_t pool_most = std::int64_t{1} << 26;
  // For tests: 0 automatic, 1 resident, 2 wide, 3 small; and a limit on the blocks of threads (0: as many as fit).
  int shape = 0;
  unsigned most_blocks = 0;
};

}  // namespace coremax::graph::on_cuda
