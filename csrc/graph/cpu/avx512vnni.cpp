// AVX-512 with VNNI: the canonical scores of the AVX-512 level behind filters with fused integer dot products, int8 at four
// times and int16 at twice the rate of float32.
#include <immintrin.h>

#include "graph/cpu/kernels.h"

namespace coremax::graph {
namespace {

#include "graph/cpu/filter512.h"

// The instruction multiplies unsigned by signed numbers: 128 is added to the columns' (which flips the top bit), and a row's
// sum starts from -128 times the sum of the row. Sums wrap around, so nothing is lost on the way.
struct Int8 : IntegerSums {
  static __m512i flipped() { return _mm512_set1_epi8(-128); }
  static void start(const std::uint32_t* words, std::int64_t n_words, std::int32_t* out) {
    __m512i sum = _mm512_setzero_si512();
    for (std::int64_t w = 0; w < n_words; ++w)
      sum = _mm512_dpbusd_epi32(sum, flipped(), _mm512_load_si512(words + w * kGroupRows));
    _mm512_store_si512(out, _mm512_sub_epi32(_mm512_setzero_si512(), sum));
  }
  static __m512i column(__m512i words) { return _mm512_xor_si512(words, flipped()); }
  static __m512i multiply(__m512i sum, __m512i row, __m512i column_words) {
    return _mm512_dpbusd_epi32(sum, column_words, row);
  }
};

struct Int16 : IntegerSums {
  static __m512i multiply(__m512i sum, __m512i row, __m512i column_words) {
    return _mm512_dpwssd_epi32(sum, row, column_words);
  }
};

const Filter kInt8Filter{Code::int8, 1, filter<Int8>, products<Int8>, 100};
const Filter kInt16Filter{Code::int16, 1, filter<Int16>, products<Int16>, 100};

}  // namespace

const Filters kAvx512VnniFilters{&kInt8Filter, &kInt16Filter};

}  // namespace coremax::graph
