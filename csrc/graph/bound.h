// How far a low-precision score can be from the canonical one: the bound that makes every filter exact, on the CPU and on
// devices.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/host_device.h"
#include "graph/graph.h"

namespace coremax::graph {

// The error bound. Let z_p be row p as the canonical score reads it (float32, scaled), m the common shift (zero but for the
// euclidean metric, and for cosines of data that lie far off the origin), and c_p = s_p q_p + r_p its low-precision form: c_p =
// z_p - m, s_p the scale, q_p the stored numbers, r_p the residual, whose norm is measured as the row is packed. With kappa = 2
// for euclidean and 1 otherwise the metric's score is exactly
//     S(p, q) = kappa c_p.c_q + g_p + g_q,     g_p = -|c_p|^2 (euclidean),  m.z_p - |m|^2 / 2 (cosine),  0 (dot),
// and the filter computes kappa s_p s_q q_p.q_q + g_p + g_q. By Cauchy-Schwarz the two differ by at most
//     kappa (|r_p| |c_q| + |s_p q_p| |r_q|).
// Rounding comes on top: the canonical sum of d products in 16 lanes errs by at most (d/16 + 4) u |z_p||z_q| (u = 2^-24), the
// filter's own float steps by a few u times the same norms, and sums of bfloat16 products by sum_error d u |c_p||c_q|. With
//     eta = (d/16 + 24) u  (+ sum_error d u for bfloat16),
//     norm = sqrt(kappa) (|c| + |r|),  residual = sqrt(kappa) |r| + eta norm,  slack = 2 eta |z|^2-like terms + underflow,
// all rounded up, every pair obeys
//     |filter - canonical| <= residual_p norm_q + norm_p residual_q + slack_p + slack_q.
// A block keeps the largest of each over its rows, so that a row's bound against a whole block is one number.
struct ErrorTerms {
  float residual = 0;
  float norm = 0;
  float slack = 0;
};

COREMAX_HD inline float error_bound(const ErrorTerms& a, const ErrorTerms& b) {
  return (a.residual * b.norm + a.norm * b.residual + (a.slack + b.slack)) * (1 + 0x1p-20f);
}

// A float that is surely not above the exact value of a float expression with a few roundings of numbers this large.
COREMAX_HD inline float below(float value) { return value - ::fabsf(value) * 0x1p-21f - 0x1p-140f; }

// Values below this are stored as zeros: so they are their own residual, and products stay far from underflow.
constexpr float kSmallestStored = 0x1p-60f;
// The shift is the mean of this many rows, evenly spaced: any vector would do, a good one makes bounds tighter.
constexpr std::int64_t kShiftSample = 1024;
// Cosines are shifted if the mean of the unit rows is at least this long, squared: else it costs more than it gains.
constexpr double kShiftFrom = 0.1;

COREMAX_HD inline float root_kappa_of(Metric metric) { return metric == Metric::euclidean ? 0x1.6a09e6p+0f : 1.0f; }

// sum_error: in units of u a column, of the filter's sums; zero where they are sums of whole numbers.
COREMAX_HD inline float eta_of(std::int64_t d, float sum_error) {
  return (static_cast<float>(d) / 16 + 24 + sum_error * static_cast<float>(d)) * 0x1p-24f;
}

// Not below |c_p|, from the sum of squares in float32 in at most d / 16 + 16 roundings.
COREMAX_HD inline float norm_bound(float square, float eta) { return ::sqrtf(square) * (1 + 2 * eta); }

// norm: see above; residual_square: the sum of squares of the residual, summed likewise; shift: g_p.
COREMAX_HD inline ErrorTerms error_terms(float norm, float residual_square, float shift, Metric metric, std::int64_t d,
                                         float eta) {
  const float root_kappa = root_kappa_of(metric);
  // Squares below 2^-149 vanish from the residual's sum, and rounding `stored * scale` moves it by u times the norm.
  const float residual =
      (::sqrtf(residual_square) * (1 + 2 * eta) + 0x1p-22f * norm) * (1 + 0x1p-20f) + static_cast<float>(d) * 0x1p-74f;
  ErrorTerms terms;
  terms.norm = root_kappa * (norm + residual) * (1 + 0x1p-20f);
  terms.residual = (root_kappa * residual + eta * terms.norm) * (1 + 0x1p-20f);
  const float size = metric == Metric::cosine ? 1.0f : metric == Metric::euclidean ? terms.norm * terms.norm : 0.0f;
  // Products that underflow in the canonical sum lose 2^-120 at most.
  terms.slack = 2 * eta * (size + ::fabsf(shift)) + 0x1p-120f * static_cast<float>(d);
  return terms;
}

}  // namespace coremax::graph
