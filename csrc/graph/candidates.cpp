// See candidates.h.
#include "graph/candidates.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace coremax::graph {
Rescorer::Rescorer(const ScaledRows& source, RowKernel kernel, float ceiling)
    : source_(source),
      kernel_(kernel),
      ceiling_(ceiling),
      width_(source.padded_columns()),
      row_(width_),
      others_(kBatch * width_) {
  std::fill_n(others_.data(), others_.size(), 0.0f);
}

void Rescorer::score_batch(std::int64_t size, float* scores) {
  alignas(64) float batch[kBatch];
  kernel_(row_.data(), others_.data(), kBatch, width_, batch);
  for (std::int64_t h = 0; h < size; ++h) scores[h] = std::clamp(batch[h], -ceiling_, ceiling_);
}

CandidateLists::CandidateLists(const PackedRows& packed, const Layout& layout, std::int64_t k, std::int64_t capacity)
    : packed_(packed),
      layout_(layout),
      k_(k),
      capacity_(capacity),
      entries_(checked_multiply(layout.n_positions(), capacity)),
      states_(layout.n_positions()) {
  State state;
  state.limit = static_cast<std::uint32_t>(std::min(capacity, first_limit(k))) & kLimitMask;
  std::fill_n(states_.data(), layout.n_positions(), state);
}

void CandidateLists::raise(std::int64_t position, float value, float ceiling) {
  // Scores are clipped at the ceiling: a bound beyond it is no bound.
  const float clipped = std::isinf(ceiling) ? value : std::min(value, below(ceiling - packed_.shift(position)));
  float& threshold = states_.data()[position].threshold;
  threshold = std::max(threshold, clipped);
}

// Removes the entries from `first` on that can not be among the k best; returns the new count.
std::int64_t CandidateLists::drop(std::int64_t position, std::int64_t first, std::int64_t count) {
  Entry* entries = list(position);
  const float limit = below(threshold(position) - states_.data()[position].error);
  return std::remove_if(entries + first, entries + count,
                        [&](const Entry& entry) { return !entry.scored() && entry.value < limit; }) -
         entries;
}

void CandidateLists::compress(std::int64_t position, Rescorer& rescorer, Scratch& scratch) {
  State& state = states_.data()[position];
  if (state.exact) return make_exact(position, rescorer, scratch);
  Entry* entries = list(position);
  std::nth_element(entries, entries + k_ - 1, entries + state.count,
                   [](const Entry& a, const Entry& b) { return a.value > b.value; });
  raise(position, below(entries[k_ - 1].value - state.error), rescorer.ceiling());
  std::int64_t count = drop(position, 0, state.count);
  const std::int64_t limit = state.limit;
  if (count > limit / 2 && limit == capacity_) {
    rescorer.choose(layout_.row_at[static_cast<std::size_t>(position)]);
    score(position, 0, k_, rescorer, scratch);
    const float worst = *std::min_element(scratch.scores.begin(), scratch.scores.begin() + k_);
    raise(position, below(worst - packed_.shift(position)), rescorer.ceiling());
    count = drop(position, 0, count);
  }
  state.count = static_cast<std::uint32_t>(count);
  if (count > limit / 2 && limit < capacity_)
    state.limit = static_cast<std::uint32_t>(std::min(capacity_, 2 * limit)) & kLimitMask;
  else if (count > capacity_ * 3 / 4)
    make_exact(position, rescorer, scratch);
}

// scratch.scores = canonical scores of the entries from begin to end with the chosen row.
void CandidateLists::score(std::int64_t position, std::int64_t begin, std::int64_t end, Rescorer& rescorer, Scratch& scratch) {
  const Entry* entries = list(position) + begin;
  if (static_cast<std::int64_t>(scratch.scores.size()) < end - begin)
    scratch.scores.resize(static_cast<std::size_t>(end - begin));
  rescorer.score(end - begin, [&](std::int64_t h) { return entries[h].number(); }, scratch.scores.data());
}

// The list becomes, or stays, the k best of what it holds, scored.
void CandidateLists::make_exact(std::int64_t position, Rescorer& rescorer, Scratch& scratch) {
  State& state = states_.data()[position];
  Entry* entries = list(position);
  std::int64_t count = drop(position, 0, state.count);
  const std::int64_t scored =
      std::partition(entries, entries + count, [](const Entry& entry) { return entry.scored(); }) - entries;
  if (count > scored) {
    rescorer.choose(layout_.row_at[static_cast<std::size_t>(position)]);
    score(position, scored, count, rescorer, scratch);
    for (std::int64_t h = scored; h < count; ++h)
      entries[h] = {scratch.scores[static_cast<std::size_t>(h - scored)], entries[h].row | kScored};
  }
  if (count >= k_) {
    std::nth_element(entries, entries + k_ - 1, entries + count,
                     [](const Entry& a, const Entry& b) { return a.value > b.value || (a.value == b.value && a.row < b.row); });
    count = k_;
    state.complete = 1;
    raise(position, below(entries[k_ - 1].value - packed_.shift(position)), rescorer.ceiling());
  }
  state.count = static_cast<std::uint32_t>(count);
  state.limit = static_cast<std::uint32_t>(capacity_) & kLimitMask;
  state.error = 0;
  state.exact = 1;
}

void CandidateLists::prepare(std::int64_t position, const Rescorer& rescorer) {
  const State& state = states_.data()[position];
  Entry* entries = list(position);
  if (!state.exact && state.count > k_)
    std::nth_element(entries, entries + k_ - 1, entries + state.count,
                     [](const Entry& a, const Entry& b) { return a.value > b.value; });
  for (std::int64_t h = 0; h < std::min<std::int64_t>({state.count, k_, Rescorer::kBatch}); ++h)
    rescorer.prefetch(entries[h].number());
}

void CandidateLists::finish(std::int64_t position, Rescorer& rescorer, Scratch& scratch) {
  scratch.found.clear();
  Entry* entries = list(position);
  State& state = states_.data()[position];
  std::int64_t count = state.count;
  if (state.exact) {
    make_exact(position, rescorer, scratch);
    for (std::int64_t h = 0; h < state.count; ++h) scratch.found.push_back({entries[h].value, entries[h].number()});
    std::sort(scratch.found.begin(), scratch.found.end(), better);
    return;
  }
  if (count == 0) return;
  rescorer.choose(layout_.row_at[static_cast<std::size_t>(position)]);
  // The best values come first, see prepare(): their scores raise the threshold that the others must still pass. The best k so
  // far are a heap.
  std::int64_t done = std::min(count, k_);
  score(position, 0, done, rescorer, scratch);
  for (std::int64_t h = 0; h < done; ++h)
    scratch.found.push_back({scratch.scores[static_cast<std::size_t>(h)], entries[h].number()});
  std::make_heap(scratch.found.begin(), scratch.found.end(), better);
  while (done < count) {
    raise(position, below(scratch.found.front().score - packed_.shift(position)), rescorer.ceiling());
    count = drop(position, done, count);
    const std::int64_t end = std::min(count, done + 2 * Rescorer::kBatch);
    score(position, done, end, rescorer, scratch);
    for (std::int64_t h = done; h < end; ++h) {
      const Found candidate{scratch.scores[static_cast<std::size_t>(h - done)], entries[h].number()};
      if (!better(candidate, scratch.found.front())) continue;
      std::pop_heap(scratch.found.begin(), scratch.found.end(), better);
      scratch.found.back() = candidate;
      std::push_heap(scratch.found.begin(), scratch.found.end(), better);
    }
    done = end;
  }
  std::sort_heap(scratch.found.begin(), scratch.found.end(), better);
}

}  // namespace coremax::graph
