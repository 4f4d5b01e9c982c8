// AVX-512: eight blocks to a register, a word of each in the low half of a lane. The high halves hold what earlier rounds left:
// the multiplier does not look at them.
#include <immintrin.h>

#include "isa/random_bits_kernels.h"

namespace coremax::random_bits_kernels {
namespace {

constexpr int kRegisters = kBlockMultiple / 8;

inline __m512i exclusive_or(__m512i a, __m512i b, __m512i c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }

inline __m512i join(__m512i low, __m512i high) { return _mm512_mask_blend_epi32(0xAAAA, low, _mm512_slli_epi64(high, 32)); }

}  // namespace

void fill_blocks_avx512(std::uint64_t seed, std::uint32_t stream, std::uint64_t first, std::int64_t n_blocks,
                        std::uint64_t* out) {
  const __m512i multiplier0 = _mm512_set1_epi64(0xD2511F53);
  const __m512i multiplier1 = _mm512_set1_epi64(0xCD9E8D57);
  // The order in which the halves of a register come out in sequence once they are interleaved by pairs of lanes.
  const __m512i order = _mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0);
  for (std::int64_t done = 0; done < n_blocks; done += kBlockMultiple) {
    __m512i c0[kRegisters], c1[kRegisters], c2[kRegisters], c3[kRegisters];
    for (int r = 0; r < kRegisters; ++r) {
      c0[r] =
          _mm512_add_epi64(order, _mm512_set1_epi64(static_cast<long long>(first + static_cast<std::uint64_t>(done + 8 * r))));
      c1[r] = _mm512_srli_epi64(c0[r], 32);
      c2[r] = _mm512_set1_epi64(stream);
      c3[r] = _mm512_setzero_si512();
    }
    auto key0 = static_cast<std::uint32_t>(seed);
    auto key1 = static_cast<std::uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round) {
      const __m512i k0 = _mm512_set1_epi64(key0);
      const __m512i k1 = _mm512_set1_epi64(key1);
      for (int r = 0; r < kRegisters; ++r) {
        const __m512i product0 = _mm512_mul_epu32(c0[r], multiplier0);
        const __m512i product1 = _mm512_mul_epu32(c2[r], multiplier1);
        c0[r] = exclusive_or(_mm512_srli_epi64(product1, 32), c1[r], k0);
        c2[r] = exclusive_or(_mm512_srli_epi64(product0, 32), c3[r], k1);
        c1[r] = product1;
        c3[r] = product0;
      }
      key0 += 0x9E3779B9;
      key1 += 0xBB67AE85;
    }
    for (int r = 0; r < kRegisters; ++r) {
      const __m512i even = join(c0[r], c1[r]);
      const __m512i odd = join(c2[r], c3[r]);
      std::uint64_t* to = out + 2 * (done + 8 * r);
      _mm512_storeu_si512(to, _mm512_unpacklo_epi64(even, odd));
      _mm512_storeu_si512(to + 8, _mm512_unpackhi_epi64(even, odd));
    }
  }
}

}  // namespace coremax::random_bits_kernels
