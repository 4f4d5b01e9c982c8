// Tuning numbers of csrc/scores/cuda, each with its reason. Results do not depend on them. None has been measured on a device
// yet.
#pragma once

namespace coremax::scores::on_cuda::policy {

// Threads to a block.
constexpr int kThreads = 256;

// Bits of a value that are counted at a time when one of a given rank is looked for: 2^11 counters for each of four ranks fill
// 32 KiB of shared memory, under the 48 that need no asking, and six passes over n values do.
constexpr int kDigitBits = 11;
// Blocks that count together: two for each of the multiprocessors of the largest device, so that their counters are added up
// rarely.
constexpr int kCountingBlocks = 264;

}  // namespace coremax::scores::on_cuda::policy
