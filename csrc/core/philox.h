// Philox 4x32-10 (Salmon et al., SC 2011): a counter-based generator. A block is a pure function of (seed, stream, position),
// so a draw depends on its position alone: any thread count and any device gives the same numbers.
//
// Mapping, version 1: key = the 64-bit seed, low word first; counter = (position low, position high, stream, 0). Streams keep
// the uses of one seed apart. A change of any of this is a new version and a line in the changelog.
#pragma once

#include <array>
#include <cstdint>

#include "core/host_device.h"

namespace coremax {

enum class Stream : std::uint32_t {
  alias_draw = 0,
  race = 1,
  lanczos_start = 2,
  partition = 3,
  recall_sample = 4,
  heat_bath = 5,
  heat_bath_noise = 6,
  swap_annealing = 7,
  race_sample = 8,
  systematic_start = 9,
  permutation = 12,
  ties = 13,
  kmeans = 16
};

using PhiloxBlock = std::array<std::uint32_t, 4>;

// The ten rounds, with the constants of the paper.
COREMAX_HD inline PhiloxBlock philox_4x32_10(PhiloxBlock counter, std::array<std::uint32_t, 2> key) {
  constexpr std::uint64_t kMultiplier0 = 0xD2511F53;
  constexpr std::uint64_t kMultiplier1 = 0xCD9E8D57;
  constexpr std::uint32_t kWeyl0 = 0x9E3779B9;
  constexpr std::uint32_t kWeyl1 = 0xBB67AE85;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = kMultiplier0 * counter[0];
    const std::uint64_t product1 = kMultiplier1 * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

COREMAX_HD inline PhiloxBlock philox(std::uint64_t seed, Stream stream, std::uint64_t position) {
  return philox_4x32_10(
      {static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(position >> 32), static_cast<std::uint32_t>(stream), 0},
      {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
}

// The 64 random bits of one position: half a block each, so that a block serves two positions.
COREMAX_HD inline std::uint64_t random_bits(std::uint64_t seed, Stream stream, std::uint64_t position) {
  const PhiloxBlock block = philox(seed, stream, position >> 1);
  const std::size_t half = 2 * (position & 1);
  return block[half] | (static_cast<std::uint64_t>(block[half + 1]) << 32);
}

// Uniform in (0, 1): 52 bits centred in their cells, never 0 and never 1.
COREMAX_HD inline double open_unit(std::uint64_t bits) { return (static_cast<double>(bits >> 12) + 0.5) * 0x1p-52; }

}  // namespace coremax
