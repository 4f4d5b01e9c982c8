// The entry of the graph: which kernels, which search; and the outputs' last step.
#include "graph/graph.h"

#include <algorithm>
#include <cmath>

#include "core/errors.h"
#include "graph/search.h"

namespace coremax::graph {
namespace {

// Below this many rows, or where a list holds more than this share of all rows, the filter spares too little to be worth it.
constexpr std::int64_t kFilterFromRows = 1024;
constexpr std::int64_t kFilterLargestShare = 16;  // k <= n / 16
// Below this the exact search takes less time than finding out what to leave out.
constexpr std::int64_t kApproximateFromRows = 20000;
constexpr std::int64_t kFilterMostRows = std::int64_t{1} << 31;

bool filter_pays(std::int64_t n, std::int64_t k, Isa isa) {
  return filters_of(isa).coarse != nullptr && n >= kFilterFromRows && k <= n / kFilterLargestShare && n < kFilterMostRows;
}

bool approximates(std::int64_t n, std::int64_t k, Isa isa) { return filter_pays(n, k, isa) && n >= kApproximateFromRows; }

}  // namespace

const Scores& scores_of(Isa isa) {
  switch (isa) {
#if defined(COREMAX_HAVE_NEON)
    case Isa::neon:
      return kNeonScores;
#endif
#if defined(COREMAX_HAVE_AVX2)
    case Isa::avx2:
      return kAvx2Scores;
#endif
#if defined(COREMAX_HAVE_AVX512)
    case Isa::avx512:
    case Isa::amx:
      return kAvx512Scores;
#endif
    default:
      return kScalarScores;
  }
}

const Filters& filters_of(Isa isa) {
  static constexpr Filters kNone;
  switch (isa) {
#if defined(COREMAX_HAVE_AMX)
    case Isa::amx:
      return kAmxFilters;
#endif
#if defined(COREMAX_HAVE_AVX2)
    case Isa::avx2:
      return kAvx2Filters;
#endif
#if defined(COREMAX_HAVE_NEON)
    case Isa::neon:
#if defined(COREMAX_HAVE_NEONDOTPROD)
      if (has_dotprod()) return kNeonDotprodFilters;
#endif
      return kNeonFilters;
#endif
#if defined(COREMAX_HAVE_AVX512)
    case Isa::avx512:
#if defined(COREMAX_HAVE_AVX512VNNI)
      if (has_vnni()) return kAvx512VnniFilters;
#endif
      return kAvx512Filters;
#endif
    default:
      return kNone;
  }
}

void refuse_overflow(std::int64_t i, std::int64_t j) {
  throw Error(ErrorKind::value, "the dot product of rows " + std::to_string(i) + " and " + std::to_string(j) +
                                    " overflows float32; rescale the embeddings or use metric='cosine'");
}

void write_row(const Output& output, std::int64_t i, const Found* best, Metric metric, double common_scale) {
  for (std::int64_t j = 0; j < output.k; ++j) {
    const float similarity = similarity_of(best[j].score, metric, common_scale);
    if (!std::isfinite(similarity)) [[unlikely]]
      refuse_overflow(i, best[j].row);
    output.neighbors[i * output.k + j] = best[j].row;
    output.similarities[i * output.k + j] = similarity;
  }
}

void topk(const MatrixView& x, const std::int64_t* rows, std::int64_t n, std::int64_t k, Metric metric, Isa isa, Search search,
          ThreadPool& pool, std::int64_t* neighbors, float* similarities) {
  require(n >= 2 && k >= 1 && k < n, "k must be from 1 to n - 1 = " + std::to_string(n - 1) + ", got " + std::to_string(k));
  const ScaledRows source(x, rows, n, metric, pool);
  const Output output{k, neighbors, similarities};
  const Filters& filters = filters_of(isa);
  const bool filtered =
      search == Search::automatic ? filter_pays(n, k, isa) : search != Search::direct && filters.coarse != nullptr;
  if (filtered)
    filtered_topk(source, metric, scores_of(isa), filters, search, pool, output);
  else
    direct_topk(source, metric, scores_of(isa), pool, output);
  pool.progress(n, n);
}

RecallEstimate approximate(const MatrixView& x, const std::int64_t* rows, std::int64_t n, std::int64_t k, Metric metric,
                           Isa isa, double recall, std::uint64_t seed, ThreadPool& pool, std::int64_t* neighbors,
                           float* similarities) {
  require(recall > 0 && recall <= 1, "recall must be above 0 and at most 1, got " + number_text(recall));
  if (recall == 1 || !approximates(n, k, isa)) {
    topk(x, rows, n, k, metric, isa, Search::automatic, pool, neighbors, similarities);
    return {};
  }
  const ScaledRows source(x, rows, n, metric, pool);
  const Output output{k, neighbors, similarities};
  const Filters& filters = filters_of(isa);
  const auto estimate = approximate_topk(source, metric, scores_of(isa), *filters.coarse, pool, recall, seed, output);
  if (!estimate) filtered_topk(source, metric, scores_of(isa), filters, Search::automatic, pool, output);
  pool.progress(n, n);
  return estimate.value_or(RecallEstimate{});
}

std::int64_t extra_bytes(std::int64_t n, std::int64_t d, std::int64_t k, Isa isa, Search search, int threads) {
  std::int64_t bytes = 0;
  if (search == Search::direct || !filter_pays(n, k, isa)) {
    bytes = direct_bytes(n, d, k, threads);
  } else {
    const Filters& filters = filters_of(isa);  // which one the data needs is not known before
    for (const Filter* filter : {filters.coarse, filters.fine})
      if (filter != nullptr) bytes = std::max(bytes, filtered_bytes(n, d, k, *filter, threads));
  }
  return bytes + checked_multiply(n, sizeof(double));
}

std::int64_t approximate_bytes(std::int64_t n, std::int64_t d, std::int64_t k, Isa isa, int threads) {
  return extra_bytes(n, d, k, isa, Search::automatic, threads) + (approximates(n, k, isa) ? approximate_extra_bytes(n) : 0);
}

}  // namespace coremax::graph
