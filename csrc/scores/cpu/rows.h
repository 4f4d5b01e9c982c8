// The bodies of RowKernels, to be included inside an unnamed namespace: plain loops over lanes that compilers turn into vectors
// of the level the file is compiled for. No fused multiply-add, so every level rounds alike.

inline std::uint64_t bits_of(double x) {
  std::uint64_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline double number_of(std::uint64_t bits) {
  double x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}

// log x for normal positive x without a branch, within 2 units in the last place; see core/log.h for the series.
inline double lane_log(double x) {
  constexpr std::uint64_t kOne = std::uint64_t{1} << 52;
  constexpr std::uint64_t kRootHalf = 0x3FE6A09E667F3BCDu;
  // x = 2^(k - 1024) m, m in [sqrt 1/2, sqrt 2): the exponent of x / sqrt 1/2, kept positive, so that no signed shift is needed.
  const std::uint64_t k = (bits_of(x) - kRootHalf + (kOne << 10)) >> 52;
  const double m = number_of(bits_of(x) - (k << 52) + (kOne << 10));
  const double exponent = number_of(k | 0x4330000000000000u) - (0x1p52 + 1024);
  const double s = (m - 1) / (m + 1);
  const double s2 = s * s;
  double series = s2 * (1.0 / 23);
  series = (series + 1.0 / 21) * s2;
  series = (series + 1.0 / 19) * s2;
  series = (series + 1.0 / 17) * s2;
  series = (series + 1.0 / 15) * s2;
  series = (series + 1.0 / 13) * s2;
  series = (series + 1.0 / 11) * s2;
  series = (series + 1.0 / 9) * s2;
  series = (series + 1.0 / 7) * s2;
  series = (series + 1.0 / 5) * s2;
  series = (series + 1.0 / 3) * s2;
  return exponent * 0x1.62e42fefa3800p-1 + (2 * s + (2 * s * series + exponent * 0x1.ef35793c76730p-45));
}

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
  return sum_terms(n, [p](std::int64_t c) { return p[c] * lane_log(p[c] + 1e-290); });  // changes no p but those near 0, which add nothing
}

inline double sum_divergence(const double* p, const double* q, std::int64_t n, double epsilon) {
  return sum_terms(n, [p, q, epsilon](std::int64_t c) {
    const double term = q[c] * (lane_log(q[c] + epsilon) - lane_log(p[c] + epsilon));
    return term < 0 ? -term : term;
  });
}
