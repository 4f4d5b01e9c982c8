// See sha256.h.
#include "text/sha256.h"

#include <cstring>

namespace coremax::text {
namespace {

constexpr std::size_t kBlock = 64;
constexpr std::size_t kLengthField = 8;

CompressKernel kernel_for(Isa isa) {
#if defined(COREMAX_HAVE_SHANI)
  if (isa != Isa::scalar && has_sha()) return compress_shani;
#endif
#if defined(COREMAX_HAVE_NEONSHA)
  if (isa != Isa::scalar && has_sha()) return compress_neonsha;
#endif
  (void)isa;
  return compress_scalar;
}

}  // namespace

Sha256Modulo::Sha256Modulo(std::uint32_t modulus, Isa isa) : compress_(kernel_for(isa)), modulus_(modulus) {
  powers_[7] = 1 % modulus_;
  for (int i = 6; i >= 0; --i) powers_[i] = (powers_[i + 1] << 32) % modulus_;
}

std::uint32_t Sha256Modulo::operator()(const std::uint8_t* text, std::size_t length) const {
  // The first 32 bits after the point of the square roots of the first eight primes.
  std::uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  const std::size_t whole = length / kBlock;
  const std::size_t rest = length % kBlock;
  if (whole > 0) compress_(state, text, whole);
  // The end: the rest of the text, one set bit, zeros, and the length in bits, big-endian, as the last bytes of a block.
  std::uint8_t end[2 * kBlock] = {};
  if (rest > 0) std::memcpy(end, text + whole * kBlock, rest);
  end[rest] = 0x80;
  const std::size_t n_blocks = rest + 1 + kLengthField <= kBlock ? 1 : 2;
  const std::uint64_t bits = std::uint64_t{length} * 8;
  for (std::size_t i = 0; i < kLengthField; ++i) end[n_blocks * kBlock - 1 - i] = static_cast<std::uint8_t>(bits >> (8 * i));
  compress_(state, end, n_blocks);
  std::uint64_t sum = 0;
  for (int i = 0; i < 8; ++i) sum += state[i] * powers_[i];
  return static_cast<std::uint32_t>(sum % modulus_);
}

}  // namespace coremax::text
