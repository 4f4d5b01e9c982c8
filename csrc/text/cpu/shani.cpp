// SHA-256's compression function by the SHA extensions: each instruction does two rounds on the state split into the halves
// (a, b, e, f) and (c, d, g, h), or a third of the message schedule for four words.
#include <immintrin.h>

#include "text/cpu/kernels.h"

namespace coremax::text {
namespace {

// Four rounds with the schedule's words 4 i to 4 i + 3.
inline void four_rounds(__m128i& abef, __m128i& cdgh, __m128i words, int i) {
  const __m128i sums = _mm_add_epi32(words, _mm_loadu_si128(reinterpret_cast<const __m128i*>(kRoundConstants + 4 * i)));
  cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sums);
  abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sums, 0x0E));
}

// The next four words of the schedule from the last sixteen, oldest first.
inline __m128i next_words(__m128i w0, __m128i w1, __m128i w2, __m128i w3) {
  const __m128i nine_to_twelve = _mm_alignr_epi8(w3, w2, 4);
  return _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), nine_to_twelve), w3);
}

}  // namespace

void compress_shani(std::uint32_t* state, const std::uint8_t* blocks, std::size_t n_blocks) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);  // words are big-endian
  auto* halves = reinterpret_cast<__m128i*>(state);
  const __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(halves), 0xB1);
  const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(halves + 1), 0x1B);
  __m128i abef = _mm_alignr_epi8(cdab, efgh, 8);
  __m128i cdgh = _mm_blend_epi16(efgh, cdab, 0xF0);
  for (std::size_t block = 0; block < n_blocks; ++block) {
    const auto* words = reinterpret_cast<const __m128i*>(blocks + 64 * block);
    const __m128i abef_before = abef, cdgh_before = cdgh;
    __m128i w[4];
    for (int i = 0; i < 4; ++i) {
      w[i] = _mm_shuffle_epi8(_mm_loadu_si128(words + i), swap);
      four_rounds(abef, cdgh, w[i], i);
    }
    for (int i = 4; i < 16; i += 4)
      for (int j = 0; j < 4; ++j) {
        w[j] = next_words(w[j], w[(j + 1) & 3], w[(j + 2) & 3], w[(j + 3) & 3]);
        four_rounds(abef, cdgh, w[j], i + j);
      }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  const __m128i feba = _mm_shuffle_epi32(abef, 0x1B);
  const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xB1);
  _mm_storeu_si128(halves, _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128(halves + 1, _mm_alignr_epi8(dchg, feba, 8));
}

}  // namespace coremax::text
