// Candidate lists of the filtered search, one for each position of a layout, and the canonical scores that decide among them.
//
// A list collects pairs that the filter let through, with their low-precision values, and has a threshold: a number that the
// k-th best canonical score can not be below. A pair whose value plus error bound is below the threshold can never be among
// the k best. When a list is full it is compressed: the threshold rises and what fell below it goes. Mostly the bounds of the
// values alone do it. Where too many can not be told apart, the k best are scored canonically to raise the threshold; where
// that is not enough (near-duplicates), the list turns exact: from then on it keeps the k best scored ones and nothing else.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/aligned_buffer.h"
#include "graph/packed.h"
#include "graph/search.h"

namespace coremax::graph {

// Scores rows against one row canonically, 16 at a time. One for each worker.
class Rescorer {
 public:
  static constexpr std::int64_t kBatch = kRescoreMultiple;

  Rescorer(const ScaledRows& source, RowKernel kernel, float ceiling);
  float ceiling() const { return ceiling_; }
  void prefetch(std::int64_t row) const { source_.prefetch(row); }
  // The row that the following ones are scored against.
  void choose(std::int64_t row) { source_.stage_row(row, row_.data()); }
  // scores[h] = canonical score of the chosen row with row_of(h), for h < count.
  template <class RowOf>
  void score(std::int64_t count, RowOf&& row_of, float* scores) {
    n_scored_ += count;
    for (std::int64_t h = 0; h < std::min(count, kBatch); ++h) source_.prefetch(row_of(h));
    for (std::int64_t begin = 0; begin < count; begin += kBatch) {
      const std::int64_t size = std::min(kBatch, count - begin);
      for (std::int64_t h = 0; h < size; ++h) {
        if (begin + kBatch + h < count) source_.prefetch(row_of(begin + kBatch + h));
        source_.stage_row(row_of(begin + h), others_.data() + h * width_);
      }
      score_batch(size, scores + begin);
    }
  }
  // How many pairs were scored so far.
  std::int64_t n_scored() const { return n_scored_; }
  static std::int64_t bytes(std::int64_t width) { return (kBatch + 1) * width * static_cast<std::int64_t>(sizeof(float)); }

 private:
  void score_batch(std::int64_t size, float* scores);

  const ScaledRows& source_;
  const RowKernel kernel_;
  const float ceiling_;
  const std::int64_t width_;
  AlignedBuffer<float> row_;
  AlignedBuffer<float> others_;
  std::int64_t n_scored_ = 0;
};

class CandidateLists {
 public:
  // Scratch of one worker: found scores, and a list's worth of floats.
  struct Scratch {
    std::vector<Found> found;
    std::vector<float> scores;
  };

  CandidateLists(const PackedRows& packed, const Layout& layout, std::int64_t k, std::int64_t capacity);

  // In units of value = score - shift of the position.
  float threshold(std::int64_t position) const { return states_.data()[position].threshold; }
  // The caller has compared value + error with the threshold. True where the threshold has risen.
  bool append(std::int64_t position, float value, std::uint32_t row, float error, Rescorer& rescorer, Scratch& scratch) {
    State& state = states_.data()[position];
    list(position)[state.count++] = {value, row};
    state.error = std::max(state.error, error);
    if (state.count < state.limit) return false;
    compress(position, rescorer, scratch);
    return true;
  }
  // Raises the threshold to a value that the k-th best is known, or hoped, not to be below; hopes are the caller's to check.
  void raise(std::int64_t position, float value, float ceiling);
  // Takes a canonical score: as a value with the rounding error `slack`, until the list has turned out hard to tell apart; then
  // it turns exact. True where the list has taken it.
  bool append_score(std::int64_t position, float score, std::uint32_t row, float slack, Rescorer& rescorer, Scratch& scratch) {
    const State& state = states_.data()[position];
    if (!state.exact) {
      const float value = score - packed_.shift(position);
      if (!(value + slack >= state.threshold)) return false;
      if (state.limit <= first_limit(k_)) {
        append(position, value, row, slack, rescorer, scratch);
        return true;
      }
      make_exact(position, rescorer, scratch);
    }
    if (state.complete) {
      const Entry& last = list(position)[k_ - 1];
      if (score < last.value || (score == last.value && row > last.number())) return false;
    }
    append(position, score, row | kScored, 0, rescorer, scratch);
    return true;
  }
  // To be called some time before finish(position): brings the best values to the front and asks for their rows.
  void prepare(std::int64_t position, const Rescorer& rescorer);
  // The k best in final order, in scratch.found; fewer where fewer were offered.
  void finish(std::int64_t position, Rescorer& rescorer, Scratch& scratch);

  static std::int64_t bytes_per_entry() { return sizeof(Entry); }
  static std::int64_t bytes_per_position(std::int64_t capacity) {
    return capacity * bytes_per_entry() + static_cast<std::int64_t>(sizeof(State));
  }
  // What a list must hold, and what it holds before it is compressed for the first time where there is room.
  static std::int64_t smallest_capacity(std::int64_t k) { return 2 * k + 1; }
  static std::int64_t first_limit(std::int64_t k) { return 2 * k + 24; }

 private:
  struct Entry {
    float value;        // where the row is marked: the canonical score
    std::uint32_t row;  // marked only in exact lists
    std::uint32_t number() const { return row & ~kScored; }
    bool scored() const { return (row & kScored) != 0; }
  };
  static constexpr std::uint32_t kScored = std::uint32_t{1} << 31;
  static constexpr std::uint32_t kLimitMask = (std::uint32_t{1} << 30) - 1;
  // Of one list; together, since appending touches them all.
  struct State {
    float threshold = -std::numeric_limits<float>::infinity();
    float error = 0;  // the largest bound of the values in the list
    std::uint32_t count = 0;
    std::uint32_t limit : 30 = 0;  // compress when this many are in the list
    std::uint32_t exact : 1 = 0;
    std::uint32_t complete : 1 = 0;  // exact, and its k-th entry is the k-th best so far
  };

  Entry* list(std::int64_t position) { return entries_.data() + position * capacity_; }
  void compress(std::int64_t position, Rescorer& rescorer, Scratch& scratch);
  std::int64_t drop(std::int64_t position, std::int64_t first, std::int64_t count);
  void make_exact(std::int64_t position, Rescorer& rescorer, Scratch& scratch);
  void score(std::int64_t position, std::int64_t begin, std::int64_t end, Rescorer& rescorer, Scratch& scratch);

  const PackedRows& packed_;
  const Layout& layout_;
  const std::int64_t k_;
  const std::int64_t capacity_;
  AlignedBuffer<Entry> entries_;
  AlignedBuffer<State> states_;
};

}  // namespace coremax::graph
