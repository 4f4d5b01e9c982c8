// The fast hash, version 1 [ours, in the manner of wyhash: words are multiplied to 128 bits and the halves folded together].
// Good for spreading natural text over buckets; not made to withstand text written to collide. A change of anything here is a
// new version and a line in the changelog: stored counts depend on it.
//
//   fold(a, b)   = low word xor high word of the 128-bit product a b
//   token        h = K0 xor length; for each 16 bytes, the last ones filled up with zeros, as two little-endian words (a, b):
//                h = fold(a xor K1, b xor h); then h = fold(h xor K2, K3). A whole multiple of 16 has no empty last block.
//   n-gram       g = hash of its first token; for each further token with hash h: g = fold(g xor K2, h xor K3)
//   bucket       high word of g n_buckets
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace coremax::text {

// The first 64 bits after the point of the square roots of 2, 3, 5 and 7.
constexpr std::uint64_t kKey[4] = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1};

struct Product {
  std::uint64_t high;
  std::uint64_t low;
};

inline Product multiply(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return {static_cast<std::uint64_t>(product >> 64), static_cast<std::uint64_t>(product)};
}

inline std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  const Product product = multiply(a, b);
  return product.high ^ product.low;
}

inline std::uint64_t little_endian(const std::uint8_t* bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
  return word;
}

// The first n bytes, 0 to 8, the others zero; all eight are read.
inline std::uint64_t little_endian(const std::uint8_t* bytes, std::size_t n) {
  return n == 0 ? 0 : little_endian(bytes) & (~std::uint64_t{0} >> (64 - 8 * n));
}

// Reads up to 15 bytes beyond the token's end and does not depend on them.
inline std::uint64_t hash_token(const std::uint8_t* bytes, std::size_t length) {
  std::uint64_t h = kKey[0] ^ length;
  for (; length > 16; length -= 16, bytes += 16) h = fold(little_endian(bytes) ^ kKey[1], little_endian(bytes + 8) ^ h);
  const std::uint64_t first = little_endian(bytes, length < 8 ? length : 8);
  const std::uint64_t second = length > 8 ? little_endian(bytes + 8, length - 8) : 0;
  h = fold(first ^ kKey[1], second ^ h);
  return fold(h ^ kKey[2], kKey[3]);
}

inline std::uint64_t hash_longer(std::uint64_t ngram, std::uint64_t token) { return fold(ngram ^ kKey[2], token ^ kKey[3]); }

inline std::uint64_t bucket_of(std::uint64_t hash, std::uint64_t n_buckets) { return multiply(hash, n_buckets).high; }

}  // namespace coremax::text
