// AVX-512: the race's filter and its logarithms, eight elements to a register.
#include <immintrin.h>

#include "sampling/cpu/race_kernels.h"

namespace coremax::sampling::race_kernels {
namespace {

inline __m512d load(const double* from, __mmask8 lanes) { return _mm512_maskz_loadu_pd(lanes, from); }
inline __m512d load(const float* from, __mmask8 lanes) { return _mm512_cvtps_pd(_mm256_maskz_loadu_ps(lanes, from)); }

// bound(weights) as in race.cpp.
template <class T, class Bound>
inline std::int64_t passing(const T* weights, const std::uint64_t* bits, std::int64_t count, std::int32_t* places,
                            double* uniforms, Bound&& bound) {
  const __m512i one = _mm512_set1_epi64(std::int64_t{1023} << 52);
  const __m512d nearly_two = _mm512_set1_pd(2 - 0x1p-53);
  __m256i place = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  std::int64_t n_found = 0;
  for (std::int64_t j = 0; j < count; j += 8) {
    const auto lanes = static_cast<__mmask8>(count - j >= 8 ? 0xFF : (1 << (count - j)) - 1);
    const __m512i upper = _mm512_srli_epi64(_mm512_maskz_loadu_epi64(lanes, bits + j), 12);
    const __m512d rest = _mm512_sub_pd(nearly_two, _mm512_castsi512_pd(_mm512_or_si512(upper, one)));
    const __mmask8 passed = _mm512_mask_cmp_pd_mask(lanes, rest, bound(load(weights + j, lanes)), _CMP_NGT_UQ);
    const __m512d uniform =
        _mm512_mul_pd(_mm512_add_pd(_mm512_cvtepu64_pd(upper), _mm512_set1_pd(0.5)), _mm512_set1_pd(0x1p-52));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(places + n_found), _mm256_maskz_compress_epi32(passed, place));
    _mm512_storeu_pd(uniforms + n_found, _mm512_maskz_compress_pd(passed, uniform));
    n_found += _mm_popcnt_u32(passed);
    place = _mm256_add_epi32(place, _mm256_set1_epi32(8));
  }
  return n_found;
}

template <class T>
inline std::int64_t passing_quotients(const T* weights, const std::uint64_t* bits, std::int64_t count, double limit,
                                      std::int32_t* places, double* uniforms) {
  return passing(weights, bits, count, places, uniforms,
                 [limit](__m512d w) { return _mm512_mul_pd(w, _mm512_set1_pd(limit)); });
}

template <class T>
inline std::int64_t passing_logs(const T* logs, const std::uint64_t* bits, std::int64_t count, double limit, double margin,
                                 std::int32_t* places, double* uniforms) {
  return passing(logs, bits, count, places, uniforms, [limit, margin](__m512d w) {
    const __m512d scaled =
        _mm512_mul_pd(_mm512_add_pd(w, _mm512_set1_pd(limit)), _mm512_set1_pd((1 - 0x1p-48) * 1.4426950408889634));
    const __m512d exponent = _mm512_add_pd(scaled, _mm512_set1_pd(margin * 1.5));
    const __m512d clamped = _mm512_min_pd(_mm512_max_pd(exponent, _mm512_set1_pd(-1000)), _mm512_set1_pd(1));
    const __m256i fixed =
        _mm512_cvttpd_epi32(_mm512_mul_pd(_mm512_add_pd(clamped, _mm512_set1_pd(1023)), _mm512_set1_pd(0x1p20)));
    return _mm512_castsi512_pd(_mm512_slli_epi64(_mm512_cvtepi32_epi64(_mm256_add_epi32(fixed, _mm256_set1_epi32(1))), 32));
  });
}

}  // namespace

std::int64_t passing_quotients_avx512(const float* weights, const std::uint64_t* bits, std::int64_t count, double limit,
                                      std::int32_t* places, double* uniforms) {
  return passing_quotients(weights, bits, count, limit, places, uniforms);
}

std::int64_t passing_quotients_avx512(const double* weights, const std::uint64_t* bits, std::int64_t count, double limit,
                                      std::int32_t* places, double* uniforms) {
  return passing_quotients(weights, bits, count, limit, places, uniforms);
}

std::int64_t passing_logs_avx512(const float* logs, const std::uint64_t* bits, std::int64_t count, double limit, double margin,
                                 std::int32_t* places, double* uniforms) {
  return passing_logs(logs, bits, count, limit, margin, places, uniforms);
}

std::int64_t passing_logs_avx512(const double* logs, const std::uint64_t* bits, std::int64_t count, double limit, double margin,
                                 std::int32_t* places, double* uniforms) {
  return passing_logs(logs, bits, count, limit, margin, places, uniforms);
}

// The steps of core/log.h, one by one.
void negative_logs_avx512(double* values, std::int64_t count) {
  constexpr double kInverseOdd[] = {1.0 / 23, 1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13,
                                    1.0 / 11, 1.0 / 9,  1.0 / 7,  1.0 / 5,  1.0 / 3};
  const __m512d one = _mm512_set1_pd(1);
  for (std::int64_t j = 0; j < count; j += 8) {
    const auto lanes = static_cast<__mmask8>(count - j >= 8 ? 0xFF : (1 << (count - j)) - 1);
    const __m512d x = _mm512_mask_loadu_pd(one, lanes, values + j);
    __m512d mantissa = _mm512_getmant_pd(x, _MM_MANT_NORM_p5_1, _MM_MANT_SIGN_zero);
    __m512d exponent = _mm512_add_pd(_mm512_getexp_pd(x), one);
    const __mmask8 low = _mm512_cmp_pd_mask(mantissa, _mm512_set1_pd(0.70710678118654752440), _CMP_LT_OQ);
    mantissa = _mm512_mask_add_pd(mantissa, low, mantissa, mantissa);
    exponent = _mm512_mask_sub_pd(exponent, low, exponent, one);
    const __m512d s = _mm512_div_pd(_mm512_sub_pd(mantissa, one), _mm512_add_pd(mantissa, one));
    const __m512d s2 = _mm512_mul_pd(s, s);
    __m512d series = _mm512_setzero_pd();
    for (const double inverse : kInverseOdd) series = _mm512_mul_pd(_mm512_add_pd(series, _mm512_set1_pd(inverse)), s2);
    const __m512d twice = _mm512_add_pd(s, s);
    const __m512d small =
        _mm512_add_pd(_mm512_mul_pd(twice, series), _mm512_mul_pd(exponent, _mm512_set1_pd(0x1.ef35793c76730p-45)));
    const __m512d log =
        _mm512_add_pd(_mm512_mul_pd(exponent, _mm512_set1_pd(0x1.62e42fefa3800p-1)), _mm512_add_pd(twice, small));
    _mm512_mask_storeu_pd(values + j, lanes, _mm512_sub_pd(_mm512_set1_pd(-0.0), log));
  }
}

}  // namespace coremax::sampling::race_kernels
