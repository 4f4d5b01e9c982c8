// The choice of the level, the scalar level, and the ends of a range that are no whole number of kernel calls.
#include "isa/random_bits.h"

#include <algorithm>

#include "isa/random_bits_kernels.h"

namespace coremax {
namespace {

using random_bits_kernels::FillBlocks;
using random_bits_kernels::kBlockMultiple;

void fill_blocks_scalar(std::uint64_t seed, std::uint32_t stream, std::uint64_t first, std::int64_t n_blocks,
                        std::uint64_t* out) {
  for (std::int64_t i = 0; i < n_blocks; ++i) {
    const PhiloxBlock block = philox(seed, static_cast<Stream>(stream), first + static_cast<std::uint64_t>(i));
    out[2 * i] = block[0] | (static_cast<std::uint64_t>(block[1]) << 32);
    out[2 * i + 1] = block[2] | (static_cast<std::uint64_t>(block[3]) << 32);
  }
}

FillBlocks fill_blocks_of(Isa isa) {
  switch (isa) {
#if defined(COREMAX_HAVE_AVX512)
    case Isa::avx512:
    case Isa::amx:
      return random_bits_kernels::fill_blocks_avx512;
#endif
#if defined(COREMAX_HAVE_AVX2)
    case Isa::avx2:
      return random_bits_kernels::fill_blocks_avx2;
#endif
#if defined(COREMAX_HAVE_NEON)
    case Isa::neon:
      return random_bits_kernels::fill_blocks_neon;
#endif
    default:
      return fill_blocks_scalar;
  }
}

}  // namespace

void fill_random_bits(std::uint64_t seed, Stream stream, std::uint64_t begin, std::int64_t count, std::uint64_t* out, Isa isa) {
  const auto number = static_cast<std::uint32_t>(stream);
  const FillBlocks fill = fill_blocks_of(isa);
  if (count > 0 && begin % 2 == 1) {
    *out++ = random_bits(seed, stream, begin++);
    --count;
  }
  const std::int64_t n_whole = count / 2 / kBlockMultiple * kBlockMultiple;
  fill(seed, number, begin >> 1, n_whole, out);
  const std::int64_t n_left = count - 2 * n_whole;
  if (n_left == 0) return;
  std::uint64_t rest[2 * kBlockMultiple];
  const std::int64_t n_blocks = isa == Isa::scalar ? (n_left + 1) / 2 : kBlockMultiple;
  fill(seed, number, (begin >> 1) + static_cast<std::uint64_t>(n_whole), n_blocks, rest);
  std::copy(rest, rest + n_left, out + 2 * n_whole);
}

}  // namespace coremax
