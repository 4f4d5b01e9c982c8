// The logarithm of sums over rows of probabilities, on the CPU and on a device. To be included inside an unnamed namespace,
// after core/host_device.h: every ISA level has bodies of its own.

COREMAX_HD inline std::uint64_t bits_of(double x) {
  std::uint64_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
}
COREMAX_HD inline double number_of(std::uint64_t bits) {
  double x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}

// log x for normal positive x without a branch, within 2 units in the last place; see core/log.h for the series.
COREMAX_HD inline double lane_log(double x) {
  constexpr std::uint64_t kOne = std::uint64_t{1} << 52;
  constexpr std::uint64_t kRootHalf = 0x3FE6A09E667F3BCDu;
  // x = 2^(k - 1024) m, m in [sqrt 1/2, sqrt 2): the exponent of x / sqrt 1/2, kept positive, so that no signed shift is
  // needed.
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

COREMAX_HD inline double plogp_of(double p) {
  return p * lane_log(p + 1e-290);
}  // changes no p but those near 0, which add nothing
