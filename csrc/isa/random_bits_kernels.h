// What an ISA level provides to random_bits.cpp: plain functions over raw pointers, since ISA files share no code with others.
#pragma once

#include <cstdint>

namespace coremax::random_bits_kernels {

// A call makes a multiple of so many blocks, two positions each: several registers in flight hide the multiplier's latency.
constexpr std::int64_t kBlockMultiple = 32;

// out[2 i] and out[2 i + 1] = the bits of block first + i, i in [0, n_blocks).
using FillBlocks = void (*)(std::uint64_t seed, std::uint32_t stream, std::uint64_t first, std::int64_t n_blocks,
                            std::uint64_t* out);

#if defined(COREMAX_HAVE_NEON)
void fill_blocks_neon(std::uint64_t seed, std::uint32_t stream, std::uint64_t first, std::int64_t n_blocks, std::uint64_t* out);
#endif
#if defined(COREMAX_HAVE_AVX2)
void fill_blocks_avx2(std::uint64_t seed, std::uint32_t stream, std::uint64_t first, std::int64_t n_blocks, std::uint64_t* out);
#endif
#if defined(COREMAX_HAVE_AVX512)
void fill_blocks_avx512(std::uint64_t seed, std::uint32_t stream, std::uint64_t first, std::int64_t n_blocks,
                        std::uint64_t* out);
#endif

}  // namespace coremax::random_bits_kernels
