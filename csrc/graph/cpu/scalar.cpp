// The level every machine has, and the statement in code of the canonical order of summation that the others must match.
#include <cmath>

#include "graph/cpu/kernels.h"

namespace coremax::graph {
namespace {

constexpr std::int64_t kLaneCount = 16;

template <bool kDistance>
float score(const float* a, const float* b, std::int64_t width) {
  float lanes[kLaneCount] = {};
  for (std::int64_t c = 0; c < width; c += kLaneCount)
    for (std::int64_t l = 0; l < kLaneCount; ++l) {
      const float x = a[c + l];
      const float y = b[c + l];
      lanes[l] = kDistance ? std::fma(x - y, x - y, lanes[l]) : std::fma(x, y, lanes[l]);
    }
  for (std::int64_t half = kLaneCount / 2; half >= 1; half /= 2)
    for (std::int64_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  return kDistance ? -lanes[0] : lanes[0];
}

template <bool kDistance>
void tile(const float* a, std::int64_t n_a, const float* b, std::int64_t n_b, std::int64_t width, float* scores,
          std::int64_t ld) {
  for (std::int64_t r = 0; r < n_a; ++r)
    for (std::int64_t c = 0; c < n_b; ++c) scores[r * ld + c] = score<kDistance>(a + r * width, b + c * width, width);
}

template <bool kDistance>
void row_scores(const float* a, const float* b, std::int64_t n_b, std::int64_t width, float* scores) {
  tile<kDistance>(a, 1, b, n_b, width, scores, n_b);
}

std::int64_t above(const float* scores, std::int64_t n, float threshold, std::int32_t* out) {
  std::int64_t count = 0;
  for (std::int64_t c = 0; c < n; ++c)
    if (scores[c] > threshold) out[count++] = static_cast<std::int32_t>(c);
  return count;
}

}  // namespace

const Scores kScalarScores{{tile<false>, row_scores<false>}, {tile<true>, row_scores<true>}, above};

}  // namespace coremax::graph
