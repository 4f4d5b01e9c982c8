// Philox in bulk: the bits of consecutive positions with the widest instructions at hand, the same for every ISA level as
// random_bits of core/philox.h gives one by one. A word (a folder of csrc) that draws much fills a small buffer at a time.
#pragma once

#include <cstdint>

#include "core/philox.h"
#include "isa/isa.h"

namespace coremax {

// out[i] = random_bits(seed, stream, begin + i) for i in [0, count); begin + count is at most 2^64.
void fill_random_bits(std::uint64_t seed, Stream stream, std::uint64_t begin, std::int64_t count, std::uint64_t* out, Isa isa);

}  // namespace coremax
