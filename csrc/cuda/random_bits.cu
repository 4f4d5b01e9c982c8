// See random_bits.h. A block of the generator serves two positions, so a thread makes one block.
#include "cuda/random_bits.h"

#include "cuda/launch.h"
#include "cuda/policy.h"

namespace coremax::cuda {
namespace {

__global__ void fill(std::uint64_t seed, coremax::Stream use, std::uint64_t begin, std::uint64_t count, std::uint64_t* out) {
  const std::uint64_t pair = (begin >> 1) + std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const PhiloxBlock block = philox(seed, use, pair);
  const std::uint64_t first = 2 * pair - begin;  // wraps around for the half pair at an odd beginning
  if (first < count) out[first] = block[0] | std::uint64_t{block[1]} << 32;
  if (first + 1 < count) out[first + 1] = block[2] | std::uint64_t{block[3]} << 32;
}

}  // namespace

void fill_random_bits(std::uint64_t seed, coremax::Stream use, std::uint64_t begin, std::int64_t count, std::uint64_t* out,
                      const Stream& stream) {
  if (count <= 0) return;
  const std::int64_t pairs = count / 2 + 1;
  launch(stream, {blocks_for(pairs, policy::kElementwiseThreads), policy::kElementwiseThreads}, fill, seed, use, begin,
         static_cast<std::uint64_t>(count), out);
}

}  // namespace coremax::cuda
