// AVX2: four blocks to a register, a word of each in the low half of a lane. The high halves hold what earlier rounds left: the
// multiplier does not look at them.
#include <immintrin.h>

#include "isa/random_bits_kernels.h"

namespace coremax::random_bits_kernels {
namespace {

constexpr int kRegisters = 2;  // what sixteen registers hold

inline __m256i exclusive_or(__m256i a, __m256i b, __m256i c) { return _mm256_xor_si256(_mm256_xor_si256(a, b), c); }

inline __m256i join(__m256i low, __m256i high) { return _mm256_blend_epi32(low, _mm256_slli_epi64(high, 32), 0xAA); }

}  // namespace

void fill_blocks_avx2(std::uint64_t seed, std::uint32_t stream, std::uint64_t first, std::int64_t n_blocks,
                      std::uint64_t* out) {
  const __m256i multiplier0 = _mm256_set1_epi64x(0xD2511F53);
  const __m256i multiplier1 = _mm256_set1_epi64x(0xCD9E8D57);
  // The order in which the halves of a register come out in sequence once they are interleaved by pairs of lanes.
  const __m256i order = _mm256_set_epi64x(3, 1, 2, 0);
  for (std::int64_t done = 0; done < n_blocks; done += 4 * kRegisters) {
    __m256i c0[kRegisters], c1[kRegisters], c2[kRegisters], c3[kRegisters];
    for (int r = 0; r < kRegisters; ++r) {
      c0[r] =
          _mm256_add_epi64(order, _mm256_set1_epi64x(static_cast<long long>(first + static_cast<std::uint64_t>(done + 4 * r))));
      c1[r] = _mm256_srli_epi64(c0[r], 32);
      c2[r] = _mm256_set1_epi64x(stream);
      c3[r] = _mm256_setzero_si256();
    }
    auto key0 = static_cast<std::uint32_t>(seed);
    auto key1 = static_cast<std::uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round) {
      const __m256i k0 = _mm256_set1_epi64x(key0);
      const __m256i k1 = _mm256_set1_epi64x(key1);
      for (int r = 0; r < kRegisters; ++r) {
        const __m256i product0 = _mm256_mul_epu32(c0[r], multiplier0);
        const __m256i product1 = _mm256_mul_epu32(c2[r], multiplier1);
        c0[r] = exclusive_or(_mm256_srli_epi64(product1, 32), c1[r], k0);
        c2[r] = exclusive_or(_mm256_srli_epi64(product0, 32), c3[r], k1);
        c1[r] = product1;
        c3[r] = product0;
      }
      key0 += 0x9E3779B9;
      key1 += 0xBB67AE85;
    }
    for (int r = 0; r < kRegisters; ++r) {
      const __m256i even = join(c0[r], c1[r]);
      const __m256i odd = join(c2[r], c3[r]);
      std::uint64_t* to = out + 2 * (done + 4 * r);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_unpacklo_epi64(even, odd));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 4), _mm256_unpackhi_epi64(even, odd));
    }
  }
}

}  // namespace coremax::random_bits_kernels
