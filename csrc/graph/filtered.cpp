// The filtered search: every pair of blocks is visited once and serves the rows of both. Schedule (PairSchedule), filter
// (cpu/), lists (CandidateLists) and canonical decision (Rescorer) are separate pieces.
//
// Most of what a list is offered in a single pass it is offered early, while its threshold is low. So thresholds start from a
// hope, drawn from the k-th best scores of a sample of rows that are answered first. A row whose k-th best turns out below
// what was hoped is answered again, alone; the result is exact either way.
#include "graph/filtered.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>

#include "core/errors.h"
#include "graph/partition.h"

namespace coremax::graph {
namespace {

// Centres that rows are ordered by, from so many rows on: few, since each costs as much as a row.
constexpr std::int64_t kOrderFromRows = 8192;
constexpr std::int64_t kRowsPerCentre = 512;
constexpr std::int64_t kRowsPerDotCentre = 16384;
constexpr std::int64_t kLeastCentres = 32;
constexpr std::int64_t kMostOrderCentres = 512;
// The fine filter must let so many times fewer pairs pass.
constexpr double kFineGain = 4;
// What a row takes in the source's scales, and in the layout and the partition.
constexpr std::int64_t kScaleBytes = 8;
constexpr std::int64_t kOrderBytes = 16;

}  // namespace

FilteredSearch::FilteredSearch(const SearchSetup& setup, Layout layout, std::int64_t k)
    : setup_(setup),
      k_(k),
      capacity_(capacity_of(setup.source.n(), setup.source.columns(), setup.packer.n_words(), k)),
      rows_(setup, std::move(layout), k, capacity_) {
  for (int t = 0; t < setup.pool.size(); ++t) joins_.push_back(std::make_unique<Join>(setup));
}

std::int64_t FilteredSearch::block_rows(std::int64_t n, std::int64_t n_words, int threads) {
  const std::int64_t by_cache = std::min(kBlockBytes / (n_words * 4), kMostBlockRows);
  const std::int64_t by_threads = n / (kBlocksPerThread * threads);
  return std::max(kLeastBlockRows, std::min(by_cache, by_threads) / kGroupRows * kGroupRows);
}

std::int64_t FilteredSearch::capacity_of(std::int64_t n, std::int64_t d, std::int64_t n_words, std::int64_t k) {
  const std::int64_t promised = 2 * d + 64 + 24 * k + kFixedBytes / 4 / n;
  const std::int64_t taken =
      PackedRows::bytes_per_position(n_words) + CandidateLists::bytes_per_position(0) + kScaleBytes + kOrderBytes;
  const std::int64_t entries = (promised - taken) / CandidateLists::bytes_per_entry();
  return std::clamp(entries, CandidateLists::smallest_capacity(k), 4 * k + 64);
}

void FilteredSearch::run(std::vector<PairSchedule::Pair> pairs) {
  PairSchedule schedule(std::move(pairs), rows_.n_blocks());
  const std::int64_t n = setup_.source.n();
  setup_.pool.run(setup_.pool.size(), [&](std::int64_t, ThreadPool::Worker& worker) {
    try {
      while (const auto pair = schedule.take([&] { worker.poll(); })) {
        joins_[static_cast<std::size_t>(worker.id())]->blocks(rows_, pair->first, pair->second, worker);
        schedule.give_back(*pair);
        if (worker.id() == 0) setup_.pool.progress(n * schedule.done() / schedule.size(), n);
      }
    } catch (...) {
      schedule.abandon();
      throw;
    }
  });
}

void FilteredSearch::answer(std::vector<std::uint32_t> numbers, const Answer& answer, const std::vector<float>* known) {
  if (numbers.empty()) return;
  const auto count = static_cast<std::int64_t>(numbers.size());
  const std::int64_t share = count / (4 * setup_.pool.size()) / kGroupRows * kGroupRows;
  Collection queries(setup_, Layout::in_order(std::move(numbers), std::clamp(share, kGroupRows, kLeastBlockRows)), k_,
                     capacity_);
  for (std::int64_t p = 0; known != nullptr && p < count; ++p)
    queries.lists.raise(p, (*known)[static_cast<std::size_t>(p)] - queries.packed.shift(p), ceiling_of(setup_.metric));
  setup_.pool.run(queries.n_blocks(), [&](std::int64_t q, ThreadPool::Worker& worker) {
    Join& join = *joins_[static_cast<std::size_t>(worker.id())];
    for (std::int64_t b = 0; b < rows_.n_blocks(); ++b) join.queries(queries, q, rows_, b, worker);
    join.finish(queries, q, worker, [&](std::int64_t p, const std::vector<Found>& found) { answer(queries, p, found); });
  });
}

std::vector<std::uint32_t> FilteredSearch::evenly_spaced(std::int64_t n, std::int64_t count) {
  std::vector<std::uint32_t> rows(static_cast<std::size_t>(count));
  for (std::int64_t s = 0; s < count; ++s) rows[static_cast<std::size_t>(s)] = static_cast<std::uint32_t>(s * n / count);
  return rows;
}

double FilteredSearch::passing_per_row() {
  const std::vector<std::uint32_t> rows = evenly_spaced(setup_.source.n(), kPilotRows);
  std::vector<float> kth(rows.size(), -std::numeric_limits<float>::infinity());
  answer(rows, [&](const Collection&, std::int64_t position, const std::vector<Found>& found) {
    if (static_cast<std::int64_t>(found.size()) == k_) kth[static_cast<std::size_t>(position)] = found.back().score;
  });
  const auto scored = [&] {
    return std::accumulate(joins_.begin(), joins_.end(), std::int64_t{0},
                           [](std::int64_t sum, const auto& join) { return sum + join->n_scored(); });
  };
  const std::int64_t before = scored();
  answer(rows, [](const Collection&, std::int64_t, const std::vector<Found>&) {}, &kth);
  return static_cast<double>(scored() - before) / kPilotRows;
}

// What a row's k-th best score goes along with: the norm for inner products, else the shift (constant where there is none).
float FilteredSearch::predictor(const PackedRows& packed, std::int64_t position) const {
  return setup_.metric == Metric::dot ? packed.terms(position).norm : packed.shift(position);
}

// The least-squares line of the sample's k-th best scores over the predictor, lowered until no sampled row lies below it.
void FilteredSearch::hope() {
  const std::int64_t n = setup_.source.n();
  if (n < kHopeFromRows) return;
  std::vector<std::uint32_t> sample = evenly_spaced(n, std::min(n / kRowsPerSample, kMostSample));
  std::vector<double> x(sample.size());
  std::vector<double> y(sample.size(), -std::numeric_limits<double>::infinity());
  answer(std::move(sample), [&](const Collection& queries, std::int64_t position, const std::vector<Found>& found) {
    x[static_cast<std::size_t>(position)] = static_cast<double>(predictor(queries.packed, position));
    if (static_cast<std::int64_t>(found.size()) == k_)
      y[static_cast<std::size_t>(position)] = static_cast<double>(found.back().score);
  });
  hope_ = Hope::fit(x, y);
  if (!hope_.any) return;
  for (const Layout::Block& block : rows_.layout.blocks)
    for (std::int64_t p = block.first; p < block.first + block.n_rows; ++p)
      rows_.lists.raise(p, hope_.score(predictor(rows_.packed, p)) - rows_.packed.shift(p), ceiling_of(setup_.metric));
}

FilteredSearch::Hope FilteredSearch::Hope::fit(const std::vector<double>& x, const std::vector<double>& y) {
  const auto count = static_cast<double>(x.size());
  const double mean_x = std::accumulate(x.begin(), x.end(), 0.0) / count;
  const double mean_y = std::accumulate(y.begin(), y.end(), 0.0) / count;
  if (!std::isfinite(mean_x) || !std::isfinite(mean_y)) return {};
  double xx = 0;
  double xy = 0;
  for (std::size_t s = 0; s < x.size(); ++s) {
    xx += (x[s] - mean_x) * (x[s] - mean_x);
    xy += (x[s] - mean_x) * (y[s] - mean_y);
  }
  Hope hope;
  hope.any = true;
  hope.slope = xx > 0 ? xy / xx : 0;
  double lowest = 0;
  for (std::size_t s = 0; s < x.size(); ++s) lowest = std::min(lowest, y[s] - mean_y - hope.slope * (x[s] - mean_x));
  hope.offset = mean_y - hope.slope * mean_x + lowest;
  return hope;
}

void FilteredSearch::finish(const Output& output) {
  std::vector<std::vector<std::uint32_t>> disappointed(static_cast<std::size_t>(setup_.pool.size()));
  setup_.pool.run(rows_.n_blocks(), [&](std::int64_t b, ThreadPool::Worker& worker) {
    const auto id = static_cast<std::size_t>(worker.id());
    joins_[id]->finish(rows_, b, worker, [&](std::int64_t p, const std::vector<Found>& found) {
      if (static_cast<std::int64_t>(found.size()) < k_ ||
          (hope_.any && found.back().score < hope_.score(predictor(rows_.packed, p))))
        disappointed[id].push_back(rows_.row_at(p));
      else
        write_row(output, rows_.row_at(p), found.data(), setup_.metric, setup_.source.common_scale());
    });
  });
  std::vector<std::uint32_t> again;
  for (const auto& part : disappointed) again.insert(again.end(), part.begin(), part.end());
  std::sort(again.begin(), again.end());
  answer(std::move(again), [&](const Collection& queries, std::int64_t position, const std::vector<Found>& found) {
    // Finite scores with n - 1 >= k other rows fill every list.
    if (static_cast<std::int64_t>(found.size()) < k_) refuse_changed("x");
    write_row(output, queries.row_at(position), found.data(), setup_.metric, setup_.source.common_scale());
  });
}

std::vector<PairSchedule::Pair> FilteredSearch::all_pairs() const {
  const auto n_blocks = static_cast<std::uint32_t>(rows_.n_blocks());
  std::vector<PairSchedule::Pair> pairs;
  pairs.reserve(static_cast<std::size_t>(n_blocks) * (n_blocks + 1) / 2);
  for (std::uint32_t apart = 0; apart < n_blocks; ++apart)
    for (std::uint32_t a = 0; a + apart < n_blocks; ++a) pairs.emplace_back(a, a + apart);
  return pairs;
}

namespace {

Layout layout_of(const ScaledRows& source, Metric metric, const Scores& scores, const Filter& coarse, ThreadPool& pool,
                 std::int64_t n_words) {
  const std::int64_t n = source.n();
  const std::int64_t block_rows = FilteredSearch::block_rows(n, n_words, pool.size());
  if (n >= kOrderFromRows) {
    // Inner products: an error bound grows with the largest norm of a block, so blocks shall have rows of like norms.
    const bool dot = metric == Metric::dot;
    const std::int64_t n_centres = dot ? std::max<std::int64_t>(1, n / kRowsPerDotCentre)
                                       : std::clamp(n / kRowsPerCentre, kLeastCentres, kMostOrderCentres);
    return partition(source, metric, scores, coarse, pool, {.n_centres = n_centres, .by_norm = dot}).in_blocks(block_rows);
  }
  std::vector<std::uint32_t> rows(static_cast<std::size_t>(n));
  std::iota(rows.begin(), rows.end(), 0u);
  return Layout::in_order(std::move(rows), block_rows);
}

// Whether what the coarse filter lets pass costs more to score than the fine filter costs more to run.
bool too_coarse(double passing, std::int64_t n, std::int64_t d, std::int64_t k, const Filter& coarse, const Filter& fine) {
  constexpr double kScoreNanoseconds = 20;  // of one pair, measured, and for each column
  constexpr double kColumnNanoseconds = 0.35;
  const double filter = static_cast<double>(n) / 2 *
                        (static_cast<double>(Packer::words_of(d, fine)) / fine.words_per_ns -
                         static_cast<double>(Packer::words_of(d, coarse)) / coarse.words_per_ns);
  const double spared =
      std::max(0.0, passing - 1.5 * static_cast<double>(k)) * (kScoreNanoseconds + kColumnNanoseconds * static_cast<double>(d));
  return spared > filter;
}

}  // namespace

void filtered_topk(const ScaledRows& source, Metric metric, const Scores& scores, const Filters& filters, Search how,
                   ThreadPool& pool, const Output& output) {
  // Returns how many pairs pass for a row where the search was not run because `run` refused that number.
  const auto attempt = [&](const Filter& filter, auto&& run) -> std::optional<double> {
    const Packer packer(source, metric, filter);
    const SearchSetup setup{source, metric, scores, filter, packer, pool};
    FilteredSearch search(setup, layout_of(source, metric, scores, *filters.coarse, pool, packer.n_words()), output.k);
    if (const std::optional<double> passing = run(search)) return passing;
    search.hope();
    search.run(search.all_pairs());
    search.finish(output);
    return std::nullopt;
  };
  const auto always = [](FilteredSearch&) -> std::optional<double> { return std::nullopt; };
  if (filters.fine == nullptr || how == Search::coarse ||
      (how == Search::automatic && source.n() < FilteredSearch::kPilotFromRows)) {
    attempt(*filters.coarse, always);
  } else if (how == Search::fine) {
    attempt(*filters.fine, always);
  } else {
    const auto coarse = attempt(*filters.coarse, [&](FilteredSearch& search) -> std::optional<double> {
      const double passing = search.passing_per_row();
      if (too_coarse(passing, source.n(), source.columns(), output.k, *filters.coarse, *filters.fine)) return passing;
      return std::nullopt;
    });
    if (!coarse) return;
    // Near-duplicates pass any filter: then the faster one is the better one.
    const auto fine = attempt(*filters.fine, [&](FilteredSearch& search) -> std::optional<double> {
      const double passing = search.passing_per_row();
      if (passing * kFineGain > *coarse) return passing;
      return std::nullopt;
    });
    if (fine) attempt(*filters.coarse, always);
  }
}

std::int64_t filtered_bytes(std::int64_t n, std::int64_t d, std::int64_t k, const Filter& filter, int threads) {
  const std::int64_t n_words = Packer::words_of(d, filter);
  const std::int64_t capacity = FilteredSearch::capacity_of(n, d, n_words, k);
  const std::int64_t row = PackedRows::bytes_per_position(n_words) + CandidateLists::bytes_per_position(capacity) + kOrderBytes;
  return checked_multiply(round_up(n, kGroupRows), row) +
         threads * Join::bytes(round_up(d, kLanes), FilteredSearch::kMostBlockRows);
}

}  // namespace coremax::graph
