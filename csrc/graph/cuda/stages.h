// Private to the graph on devices: the stages, and what they hand to each other. Nothing here waits.
#pragma once

#include <cstdint>

#include "core/host_device.h"
#include "core/views.h"
#include "cuda/device.h"
#include "graph/bound.h"
#include "graph/cuda/policy.h"
#include "graph/cuda/schedule.h"
#include "graph/graph.h"

namespace coremax::graph::on_cuda {

constexpr std::uint64_t kNone = ~std::uint64_t{0};

// What the device tells the host.
struct Report {
  std::uint64_t bad_row = kNone;   // the first that has no norm, or, under cosine, no direction
  std::uint64_t largest_norm = 0;  // the bits of a double
  std::uint64_t overflow = kNone;  // the first element of the output whose similarity is not finite
  std::uint64_t unfilled = kNone;  // ... that there is no neighbour for
  std::uint64_t shifted = 0;       // whether the origin is another than zero
};

// The search goes through rows in an order of its own, by position, so that wherever alike rows lie, a panel shows each row a
// fair sample: row_at(p) = p multiplier mod n, with a multiplier near the golden section of n that has no divisor in common
// with it.
struct Order {
  std::uint64_t n = 1;
  std::uint64_t multiplier = 1;
  COREMAX_HD std::int64_t row_at(std::int64_t position) const {
    return multiplier == 1 ? position : static_cast<std::int64_t>(static_cast<std::uint64_t>(position) * multiplier % n);
  }
  static Order scattered(std::int64_t n);
};

// The rows that are searched.
struct Source {
  MatrixView x;
  Metric metric = Metric::cosine;
  const double* scales = nullptr;  // of each row, under cosine
  double common_scale = 1;         // of all, otherwise
  Order order;
};

void measure(const MatrixView& x, Metric metric, double* scales, Report* report, const cuda::Stream& stream);
// origin [padded columns]: the mean of a sample of rows, or zeros where that would not pay. Takes the common scale from the
// report.
void find_origin(const Source& source, float* origin, Report* report, const cuda::Stream& stream);

// Rows by position, for the filter: n_blocks blocks of block_rows, zeros after the last row.
struct Packed {
  std::int64_t block_rows = 0;
  std::int64_t n_blocks = 0;
  std::int64_t width = 0;             // numbers to a row, a multiple of kStep
  std::uint16_t* rows = nullptr;      // bfloat16 [n_blocks, block_rows, width]
  float* shift = nullptr;             // g / kappa, see bound.h; null where all are zero
  ErrorTerms* terms = nullptr;        // of rows
  ErrorTerms* block_terms = nullptr;  // the largest of each block; zero before
};

// What the bound rests on. Tensor cores form products of bfloat16 numbers exactly, and add a few of them to the sum at a time,
// aligned to the largest and cut off. How many and how many bits below the last one are kept differs between generations and is
// not documented; taken is that each number added, and each sum, loses at most 2^-23 of the largest magnitude that sums of
// absolute values reach. A step of 16 columns then errs by at most (16 + 1) + 1 times that if it adds all at once, by 24 if it
// does four at a time (as the first generation was found to), by 32 if one by one. 64 u (u = 2^-24) a step of 16 columns covers
// all of these: 4 u a column.
constexpr float kTensorSumError = 4;
void pack(const Source& source, const float* origin, const Packed& out, const cuda::Stream& stream);

// Neighbour lists while they are made: [n, k] keys (keys.h), by row, descending; zeros where nothing was found yet.
struct Lists {
  std::uint64_t* keys = nullptr;
  std::int64_t k = 0;
  float* thresholds = nullptr;  // by position: what a canonical score must reach to be of use; null: not needed
};

// Every row against all rows, or against the blocks at most `around` from its own (block_rows > 0), scored canonically.
void direct(const Source& source, std::int64_t block_rows, std::int64_t around, const Lists& lists, const cuda::Stream& stream);

// Pairs that passed the filter, each for one row: linked lists through one array.
struct Candidate {
  std::uint32_t other;  // position
  std::uint32_t next;   // its place in the pool, or kNoCandidate
};
constexpr std::uint32_t kNoCandidate = 0xFFFFFFFF;

struct Pool {
  Candidate* candidates = nullptr;
  std::uint32_t* count = nullptr;
  std::uint32_t* first = nullptr;  // by position
  std::uint32_t room = 0;          // the filter stops once there are more; there is space for what it then has in hand
};

struct FilterPlan {
  int shape = 0;  // its number
  std::int64_t block_rows = 0;
  std::int64_t tiles_per_pair = 0;
  unsigned blocks = 0;  // of threads
  // Candidates that may still come once the pool has run full: of two tiles of each block, for both sides, and of its list.
  std::int64_t most_in_hand() const { return std::int64_t{blocks} * (2 * 2 * block_rows * kTileColumns + kBlockList); }
};
FilterPlan plan_filter(std::int64_t width, bool shifted, const Tuning& tuning);
// Strips up to `end`, from where each block of threads has got to: progress [plan.blocks], tiles (Schedule).
void filter(const FilterPlan& plan, const Packed& packed, std::int64_t n, Metric metric, const float* thresholds,
            const Schedule& schedule, std::int64_t end, std::uint64_t* progress, const Pool& pool, const cuda::Stream& stream);
// Scores the pool's candidates into the lists, raises thresholds, and empties the pool but for its count.
void merge(const Source& source, const Lists& lists, const Pool& pool, const cuda::Stream& stream);

// Keys become neighbours, in place, and similarities.
void finish(const Source& source, std::int64_t k, std::int64_t* neighbors, float* similarities, Report* report,
            const cuda::Stream& stream);

}  // namespace coremax::graph::on_cuda
