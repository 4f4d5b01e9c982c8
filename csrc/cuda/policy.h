// Tuning numbers of csrc/cuda, each with its reason. Results do not depend on them.
#pragma once

namespace coremax::cuda::policy {

// Threads to a block where each thread has an element of its own: eight warps hide latency, and eight such blocks fill a
// multiprocessor.
constexpr int kElementwiseThreads = 256;

// The share of a device's memory that our pool keeps between calls once it has had it (1 / this): asking the driver for it anew
// takes milliseconds, as long as small calls take in all; more would be missing from what other libraries can have.
constexpr int kPoolKeepsShare = 64;

// Scans: elements in order to a thread, few enough to stay in registers, so that a tile of 2048 is read twice for each time it
// is written.
constexpr int kScanThreads = 256;
constexpr int kScanItems = 8;

// Radix sort: a digit of 8 bits has as many values as a block has threads, one for each; tiles are what a block ranks with 16
// warps' worth of counters in shared memory.
constexpr int kSortThreads = 256;
constexpr int kSortItems = 8;

}  // namespace coremax::cuda::policy
