// NEON: four blocks to a set of registers, one for each word of theirs.
#include <arm_neon.h>

#include "isa/random_bits_kernels.h"

namespace coremax::random_bits_kernels {
namespace {

constexpr int kSets = 4;  // what 32 registers hold

struct Wide {
  uint32x4_t low, high;
};

inline Wide multiply(uint32x4_t a, std::uint32_t multiplier) {
  const uint32x4_t first = vreinterpretq_u32_u64(vmull_n_u32(vget_low_u32(a), multiplier));
  const uint32x4_t last = vreinterpretq_u32_u64(vmull_high_n_u32(a, multiplier));
  return {vuzp1q_u32(first, last), vuzp2q_u32(first, last)};
}

}  // namespace

void fill_blocks_neon(std::uint64_t seed, std::uint32_t stream, std::uint64_t first, std::int64_t n_blocks,
                      std::uint64_t* out) {
  constexpr std::uint64_t kSteps[2][2] = {{0, 1}, {2, 3}};
  for (std::int64_t done = 0; done < n_blocks; done += 4 * kSets) {
    uint32x4_t c0[kSets], c1[kSets], c2[kSets], c3[kSets];
    for (int s = 0; s < kSets; ++s) {
      const uint64x2_t start = vdupq_n_u64(first + static_cast<std::uint64_t>(done + 4 * s));
      const uint32x4_t low = vreinterpretq_u32_u64(vaddq_u64(start, vld1q_u64(kSteps[0])));
      const uint32x4_t high = vreinterpretq_u32_u64(vaddq_u64(start, vld1q_u64(kSteps[1])));
      c0[s] = vuzp1q_u32(low, high);
      c1[s] = vuzp2q_u32(low, high);
      c2[s] = vdupq_n_u32(stream);
      c3[s] = vdupq_n_u32(0);
    }
    auto key0 = static_cast<std::uint32_t>(seed);
    auto key1 = static_cast<std::uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round) {
      const uint32x4_t k0 = vdupq_n_u32(key0);
      const uint32x4_t k1 = vdupq_n_u32(key1);
      for (int s = 0; s < kSets; ++s) {
        const Wide product0 = multiply(c0[s], 0xD2511F53);
        const Wide product1 = multiply(c2[s], 0xCD9E8D57);
        c0[s] = veorq_u32(veorq_u32(product1.high, c1[s]), k0);
        c2[s] = veorq_u32(veorq_u32(product0.high, c3[s]), k1);
        c1[s] = product1.low;
        c3[s] = product0.low;
      }
      key0 += 0x9E3779B9;
      key1 += 0xBB67AE85;
    }
    for (int s = 0; s < kSets; ++s) {
      const uint32x4x2_t even = vzipq_u32(c0[s], c1[s]);
      const uint32x4x2_t odd = vzipq_u32(c2[s], c3[s]);
      std::uint64_t* to = out + 2 * (done + 4 * s);
      for (int half = 0; half < 2; ++half)
        vst2q_u64(to + 4 * half, uint64x2x2_t{{vreinterpretq_u64_u32(even.val[half]), vreinterpretq_u64_u32(odd.val[half])}});
    }
  }
}

}  // namespace coremax::random_bits_kernels
