// Private to the graph: the two ways to find exact neighbours, and what they share. `direct` scores every pair in both
// directions canonically; `filtered` scores every pair once in low precision and decides canonically. Same results, same bits.
#pragma once

#include <cstdint>
#include <optional>

#include "core/thread_pool.h"
#include "graph/cpu/kernels.h"
#include "graph/graph.h"
#include "graph/rows.h"

namespace coremax::graph {

const Scores& scores_of(Isa isa);
const Filters& filters_of(Isa isa);

// What a search fills: [n, k] each.
struct Output {
  std::int64_t k = 0;
  std::int64_t* neighbors = nullptr;
  float* similarities = nullptr;
};

// A row found, by its number in the graph, with its canonical score.
struct Found {
  float score;
  std::int64_t row;
};

// An object, not a function: sorting inlines it.
constexpr auto better = [](const Found& a, const Found& b) {
  return a.score > b.score || (a.score == b.score && a.row < b.row);
};

// The message where the similarity of two rows leaves float32.
[[noreturn]] void refuse_overflow(std::int64_t i, std::int64_t j);
// Writes row i of the output: the k best, in final order.
void write_row(const Output& output, std::int64_t i, const Found* best, Metric metric, double common_scale);

void direct_topk(const ScaledRows& source, Metric metric, const Scores& scores, ThreadPool& pool, const Output& output);
std::int64_t direct_bytes(std::int64_t n, std::int64_t d, std::int64_t k, int threads);

// how: coarse or fine force a filter; automatic takes the fine one where a few rows show that the coarse one lets too much
// pass.
void filtered_topk(const ScaledRows& source, Metric metric, const Scores& scores, const Filters& filters, Search how,
                   ThreadPool& pool, const Output& output);
std::int64_t filtered_bytes(std::int64_t n, std::int64_t d, std::int64_t k, const Filter& filter, int threads);

// The same with a share of the neighbours only, at a fraction of the time; see graph.h. Nothing, and no output, where that
// would take as long as the exact search.
std::optional<RecallEstimate> approximate_topk(const ScaledRows& source, Metric metric, const Scores& scores,
                                               const Filter& filter, ThreadPool& pool, double recall, std::uint64_t seed,
                                               const Output& output);

// What it takes beyond the exact search's memory.
std::int64_t approximate_extra_bytes(std::int64_t n);

}  // namespace coremax::graph
