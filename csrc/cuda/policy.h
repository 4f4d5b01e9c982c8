// Tuning numbers of csrc/cuda, each with its reason. Results do not depend on them.
#pragma once

namespace coremax::cuda::policy {

// Threads to a block where each thread has an element of its own: eight warps hide latency, and eight such blocks fill a multiprocessor.
constexpr int kElementwiseThreads = 256;

}  // namespace coremax::cuda::policy
