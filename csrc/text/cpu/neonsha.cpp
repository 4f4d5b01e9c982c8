// SHA-256's compression function by the SHA instructions of ARM: each pair does four rounds on the state split into the halves
// (a, b, c, d) and (e, f, g, h), or gives four words of the message schedule.
#include <arm_neon.h>

#include "text/cpu/kernels.h"

namespace coremax::text {
namespace {

// Four rounds with the schedule's words 4 i to 4 i + 3.
inline void four_rounds(uint32x4_t& abcd, uint32x4_t& efgh, uint32x4_t words, int i) {
  const uint32x4_t sums = vaddq_u32(words, vld1q_u32(kRoundConstants + 4 * i));
  const uint32x4_t before = abcd;
  abcd = vsha256hq_u32(abcd, efgh, sums);
  efgh = vsha256h2q_u32(efgh, before, sums);
}

// The next four words of the schedule from the last sixteen, oldest first.
inline uint32x4_t next_words(uint32x4_t w0, uint32x4_t w1, uint32x4_t w2, uint32x4_t w3) {
  return vsha256su1q_u32(vsha256su0q_u32(w0, w1), w2, w3);
}

}  // namespace

void compress_neonsha(std::uint32_t* state, const std::uint8_t* blocks, std::size_t n_blocks) {
  uint32x4_t abcd = vld1q_u32(state);
  uint32x4_t efgh = vld1q_u32(state + 4);
  for (std::size_t block = 0; block < n_blocks; ++block) {
    const uint32x4_t abcd_before = abcd, efgh_before = efgh;
    uint32x4_t w[4];
    for (int i = 0; i < 4; ++i) {
      w[i] = vreinterpretq_u32_u8(
          vrev32q_u8(vld1q_u8(blocks + 64 * block + 16 * static_cast<std::size_t>(i))));  // words are big-endian
      four_rounds(abcd, efgh, w[i], i);
    }
    for (int i = 4; i < 16; i += 4)
      for (int j = 0; j < 4; ++j) {
        w[j] = next_words(w[j], w[(j + 1) & 3], w[(j + 2) & 3], w[(j + 3) & 3]);
        four_rounds(abcd, efgh, w[j], i + j);
      }
    abcd = vaddq_u32(abcd, abcd_before);
    efgh = vaddq_u32(efgh, efgh_before);
  }
  vst1q_u32(state, abcd);
  vst1q_u32(state + 4, efgh);
}

}  // namespace coremax::text
