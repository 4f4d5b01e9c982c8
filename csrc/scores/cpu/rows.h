// The bodies of RowKernels, to be included inside an unnamed namespace: plain loops over lanes that compilers turn into vectors
// of the level the file is compiled for. No fused multiply-add, so every level rounds alike.

#include "scores/lane_log.h"

inline double add_lanes(const double* lanes) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

template <class T>
bool load(const T* row, std::int64_t n, double most, double* out, double* sum) {
  const std::int64_t padded = (n + kRowLanes - 1) / kRowLanes * kRowLanes;
  for (std::int64_t c = 0; c < n; ++c) out[c] = static_cast<double>(row[c]);
  for (std::int64_t c = n; c < padded; ++c) out[c] = 0;
  double lanes[kRowLanes] = {}, least[kRowLanes] = {}, largest[kRowLanes] = {};
  for (std::int64_t c = 0; c < padded; c += kRowLanes)
    for (std::int64_t l = 0; l < kRowLanes; ++l) {
      const double p = out[c + l];
      lanes[l] += p;
      least[l] = p < least[l] ? p : least[l];
      largest[l] = p > largest[l] ? p : largest[l];
    }
  *sum = add_lanes(lanes);  // NaN where an element is
  bool inside = *sum == *sum;
  for (std::int64_t l = 0; l < kRowLanes; ++l) inside = inside && least[l] >= 0 && largest[l] <= most;
  return inside;
}

// The sum of term(c) for c below n: terms of a piece first, in a loop that has nothing else in it, then the lanes.
template <class Term>
double sum_terms(std::int64_t n, Term term) {
  constexpr std::int64_t kPiece = 64;
  double lanes[kRowLanes] = {};
  double terms[kPiece];
  for (std::int64_t begin = 0; begin < n; begin += kPiece) {
    const std::int64_t count = n - begin < kPiece ? n - begin : kPiece;
    for (std::int64_t c = 0; c < count; ++c) terms[c] = term(begin + c);
    for (std::int64_t c = 0; c < count; c += kRowLanes)
      for (std::int64_t l = 0; l < kRowLanes; ++l) lanes[l] += terms[c + l];
  }
  return add_lanes(lanes);
}

inline double sum_plogp(const double* p, std::int64_t n) {
  return sum_terms(n, [p](std::int64_t c) { return plogp_of(p[c]); });
}

inline double sum_divergence(const double* p, const double* q, std::int64_t n, double epsilon) {
  return sum_terms(n, [p, q, epsilon](std::int64_t c) {
    const double term = q[c] * (lane_log(q[c] + epsilon) - lane_log(p[c] + epsilon));
    return term < 0 ? -term : term;
  });
}
