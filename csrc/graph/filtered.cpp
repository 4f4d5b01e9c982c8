// The filtered search: every pair of blocks is visited once and serves the rows of both. Schedule (PairSchedule), filter (cpu/),
// lists (CandidateLists) and canonical decision (Rescorer) are separate pieces.
//
// Most of what a list is offered in a single pass it is offered early, while its threshold is low. So thresholds start from a
// hope: the lowest k-th best score among a sample of rows that are answered first. A row whose k-th best turns out below
// what was hoped is answered again, alone; the result is exact either way.
#include "graph/filtered.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include "core/errors.h"

namespace coremax::graph {

FilteredSearch::FilteredSearch(const SearchSetup& setup, Layout layout, std::int64_t k)
    : setup_(setup), k_(k), capacity_(capacity_of(k)), rows_(setup, std::move(layout), k, capacity_) {
  for (int t = 0; t < setup.pool.size(); ++t) joins_.push_back(std::make_unique<Join>(setup));
}

std::int64_t FilteredSearch::block_rows(std::int64_t n, std::int64_t n_words, int threads) {
  const std::int64_t by_cache = std::min(kBlockBytes / (n_words * 4), kMostBlockRows);
  const std::int64_t by_threads = n / (kBlocksPerThread * threads);
  return std::max(kLeastBlockRows, std::min(by_cache, by_threads) / kGroupRows * kGroupRows);
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

void FilteredSearch::answer(std::vector<std::uint32_t> numbers, const Answer& answer) {
  if (numbers.empty()) return;
  const auto count = static_cast<std::int64_t>(numbers.size());
  const std::int64_t share = count / (4 * setup_.pool.size()) / kGroupRows * kGroupRows;
  Collection queries(setup_, Layout::in_order(std::move(numbers), std::clamp(share, kGroupRows, kLeastBlockRows)), k_, capacity_);
  setup_.pool.run(queries.n_blocks(), [&](std::int64_t q, ThreadPool::Worker& worker) {
    Join& join = *joins_[static_cast<std::size_t>(worker.id())];
    for (std::int64_t b = 0; b < rows_.n_blocks(); ++b) join.queries(queries, q, rows_, b, worker);
    const Layout::Block& block = queries.layout.blocks[static_cast<std::size_t>(q)];
    for (std::int64_t p = block.first; p < block.first + block.n_rows; ++p) answer(p, queries.row_at(p), join.finish(queries, p));
  });
}

void FilteredSearch::hope() {
  const std::int64_t n = setup_.source.n();
  if (n < kHopeFromRows) return;
  std::vector<std::uint32_t> sample(static_cast<std::size_t>(std::min(n / kRowsPerSample, kMostSample)));
  const auto count = static_cast<std::int64_t>(sample.size());
  for (std::int64_t s = 0; s < count; ++s) sample[static_cast<std::size_t>(s)] = static_cast<std::uint32_t>(s * n / count);
  std::vector<float> kth(sample.size(), -std::numeric_limits<float>::infinity());
  std::vector<float> norms(static_cast<std::size_t>(n));
  answer(std::move(sample), [&](std::int64_t at, std::uint32_t, const std::vector<Found>& found) {
    if (static_cast<std::int64_t>(found.size()) == k_) kth[static_cast<std::size_t>(at)] = found.back().score;
  });
  hoped_ = *std::min_element(kth.begin(), kth.end());
  if (setup_.metric == Metric::dot || !std::isfinite(hoped_)) {
    hoped_ = -std::numeric_limits<float>::infinity();
    return;
  }
  for (const Layout::Block& block : rows_.layout.blocks)
    for (std::int64_t p = block.first; p < block.first + block.n_rows; ++p)
      rows_.lists.raise(p, hoped_ - rows_.packed.shift(p), ceiling_of(setup_.metric));
}

void FilteredSearch::finish(const Output& output) {
  std::vector<std::vector<std::uint32_t>> disappointed(static_cast<std::size_t>(setup_.pool.size()));
  setup_.pool.run(rows_.n_blocks(), [&](std::int64_t b, ThreadPool::Worker& worker) {
    const auto id = static_cast<std::size_t>(worker.id());
    const Layout::Block& block = rows_.layout.blocks[static_cast<std::size_t>(b)];
    for (std::int64_t p = block.first; p < block.first + block.n_rows; ++p) {
      const auto& found = joins_[id]->finish(rows_, p);
      if (static_cast<std::int64_t>(found.size()) < k_ || found.back().score < hoped_)
        disappointed[id].push_back(rows_.row_at(p));
      else
        write_row(output, rows_.row_at(p), found.data(), setup_.metric, setup_.source.common_scale());
      if (p % 64 == 0) worker.poll();
    }
  });
  std::vector<std::uint32_t> again;
  for (const auto& part : disappointed) again.insert(again.end(), part.begin(), part.end());
  std::sort(again.begin(), again.end());
  answer(std::move(again), [&](std::int64_t, std::uint32_t row, const std::vector<Found>& found) {
    // Finite scores with n - 1 >= k other rows fill every list.
    if (static_cast<std::int64_t>(found.size()) < k_) refuse_changed("x");
    write_row(output, row, found.data(), setup_.metric, setup_.source.common_scale());
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

void filtered_topk(const ScaledRows& source, Metric metric, const Scores& scores, const Filter& filter, ThreadPool& pool,
                   const Output& output) {
  const Packer packer(source, metric, filter);
  const SearchSetup setup{source, metric, scores, filter, packer, pool};
  std::vector<std::uint32_t> rows(static_cast<std::size_t>(source.n()));
  std::iota(rows.begin(), rows.end(), 0u);
  Layout layout = Layout::in_order(std::move(rows), FilteredSearch::block_rows(source.n(), packer.n_words(), pool.size()));
  FilteredSearch search(setup, std::move(layout), output.k);
  search.hope();
  search.run(search.all_pairs());
  search.finish(output);
}

std::int64_t filtered_bytes(std::int64_t n, std::int64_t d, std::int64_t k, int threads) {
  const std::int64_t capacity = FilteredSearch::capacity_of(k);
  const std::int64_t n_words = (d + 1) / 2;
  return n * (PackedRows::bytes_per_position(n_words) + CandidateLists::bytes_per_position(capacity)) +
         threads * Join::bytes(round_up(d, kLanes), FilteredSearch::kMostBlockRows);
}

}  // namespace coremax::graph
