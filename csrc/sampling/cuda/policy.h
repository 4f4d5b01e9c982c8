// Tuning numbers of csrc/sampling/cuda, each with its reason. Results do not depend on them.
#pragma once

namespace coremax::sampling::on_cuda::policy {

// Threads to a block, but for those kernels below that say otherwise.
constexpr int kThreads = 256;

// Elements of a tile when cells are packed, of which a block looks at two at a time: its sums and places take 40 KiB of shared
// memory, under the 48 that need no asking. Divides the blocks of every layout.
constexpr int kPackTile = 2048;

// Pairs of draws that a thread has in flight: each is two reads at random, which wait for memory most of a microsecond.
constexpr int kPairsInFlight = 4;

// Bits of a race time that are counted at a time: 2^13 counters fill 32 KiB of shared memory.
constexpr int kDigitBits = 13;
// Blocks that count together: two for each of the multiprocessors of the largest device, so that their counters are added up
// rarely.
constexpr int kCountingBlocks = 264;
// Runners beyond those wanted are sorted with them rather than counted once more: up to an eighth of them, and this many.
constexpr int kSpareShare = 8;
constexpr int kSpareRunners = 4096;

}  // namespace coremax::sampling::on_cuda::policy
