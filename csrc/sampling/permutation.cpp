// A shuffled order of any length of which every position can be asked for alone: nothing is stored, so 10^12 elements cost no
// memory.
//
// A Feistel network on the pairs (left, right) of an a x b rectangle with a = ceil(sqrt n), b = ceil(n / a): the rectangle has
// fewer than a cells beyond n, and a walk that ends in one of them goes on ("cycle walking", Black and Rogaway 2002) until it
// is inside.
#include <cmath>
#include <string>

#include "core/errors.h"
#include "core/philox.h"
#include "sampling/sampling.h"

namespace coremax::sampling {
namespace {

// Four make a permutation that some sqrt(n) positions can not tell from a random one (Luby and Rackoff 1988), but a whole order
// shows: pairs of positions half of which agree are displaced alike far too often. Five pass that test (tests/test_torch.py);
// six are used.
constexpr int kRounds = 6;

struct Network {
  explicit Network(std::uint64_t size, std::uint64_t seed) : n(size), rows(ceil_sqrt(size)), columns((size + rows - 1) / rows) {
    for (int round = 0; round < kRounds; ++round)
      keys[round] = random_bits(seed, Stream::permutation, static_cast<std::uint64_t>(round));
  }

  static std::uint64_t ceil_sqrt(std::uint64_t value) {
    auto root = static_cast<std::uint64_t>(std::sqrt(static_cast<double>(value)));
    while (root * root > value) --root;
    while (root * root < value) ++root;
    return root;
  }

  // Where a half goes: uniform in [0, size). The mixing is Stafford's variant 13 of the finalizer of MurmurHash3.
  static std::uint64_t scatter(std::uint64_t half, std::uint64_t key, std::uint64_t size) {
    std::uint64_t h = half + key;
    h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9;
    h = (h ^ (h >> 27)) * 0x94D049BB133111EB;
    h ^= h >> 31;
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(h) * size) >> 64);
  }

  static std::uint64_t add(std::uint64_t a, std::uint64_t b, std::uint64_t size) { return a + b < size ? a + b : a + b - size; }

  std::uint64_t operator()(std::uint64_t position) const {
    std::uint64_t left = position / columns;
    std::uint64_t right = position % columns;
    do {
      for (int round = 0; round < kRounds; round += 2) {
        left = add(left, scatter(right, keys[round], rows), rows);
        right = add(right, scatter(left, keys[round + 1], columns), columns);
      }
    } while (left * columns + right >= n);
    return left * columns + right;
  }

  std::uint64_t n;
  std::uint64_t rows;
  std::uint64_t columns;
  std::uint64_t keys[kRounds];
};

}  // namespace

void permute(std::int64_t n, std::uint64_t seed, const std::int64_t* positions, std::int64_t size, std::int64_t* out,
             ThreadPool& pool) {
  require(n >= 1, "n must be positive, got " + std::to_string(n));
  const Network network(static_cast<std::uint64_t>(n), seed);
  parallel_for(pool, size, [&](std::int64_t i) {
    const std::int64_t position = positions[i];
    require(position >= 0 && position < n, [&] {
      return "positions[" + std::to_string(i) + "] is " + std::to_string(position) + ", not in [0, " + std::to_string(n) + ")";
    });
    out[i] = static_cast<std::int64_t>(network(static_cast<std::uint64_t>(position)));
  });
}

}  // namespace coremax::sampling
