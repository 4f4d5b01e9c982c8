// Philox in bulk on the device: the counterpart of isa/random_bits.h.
#pragma once

#include <cstdint>

#include "core/philox.h"
#include "cuda/device.h"

namespace coremax::cuda {

// out[i] = random_bits(seed, use, begin + i) for i in [0, count).
void fill_random_bits(std::uint64_t seed, coremax::Stream use, std::uint64_t begin, std::int64_t count, std::uint64_t* out,
                      const Stream& stream);

}  // namespace coremax::cuda
