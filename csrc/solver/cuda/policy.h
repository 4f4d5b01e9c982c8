// Tuning numbers of the solver on a device, each with its reason. Results do not depend on them.
#pragma once

#include <cstdint>

#include "solver/sums.h"

namespace coremax::solver::on_cuda::policy {

// Threads to a block: the lanes of a sum, one to a thread.
constexpr int kThreads = kSumLanes;
// Blocks to a multiprocessor at least: 64 registers to a thread then, and 1024 threads with their loads under way, which is
// what keeps gathers from the second cache busy.
constexpr int kBlocks = 4;
// Products of a tile of rows that shared memory takes at once: eight loads of a thread under way together, and 16 KB, so that
// memory does not limit the blocks.
constexpr int kProducts = 8 * kThreads;
// Iterations of a relaxed method in one launch, so that Ctrl-C and a time limit are looked at every so often: some 50 ms of
// entries read (2e10 entries per second from the second cache), and at most as many as there is space for what they report.
constexpr std::int64_t kEntriesPerLaunch = 1'000'000'000;
constexpr std::int64_t kIterationsPerLaunch = 512;

// Rows of K up to this length are sorted by one thread each, by insertion: most rows are, and neighbouring threads' are near
// each other. The few longer ones by a block each.
constexpr std::int64_t kShortRow = 48;
// Batches of a polish in one launch, likewise: a batch is a few passes over arrays of n numbers.
constexpr std::int64_t kBatchesPerLaunch = 256;
// Steps of the diagonal-shift bound between looks at it, each of which finds the budget's largest slopes in some 64 passes.
constexpr int kShiftSteps = 10;
// Blocks of a cooperative launch at most: more than any device has room for (kBlocks or so for each multiprocessor).
constexpr std::int64_t kBlocksMost = 4096;

}  // namespace coremax::solver::on_cuda::policy
