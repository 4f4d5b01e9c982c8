// Rows grouped by their nearest centre. The exact search visits near rows together, so that thresholds rise early and
// near-duplicates meet in dense tiles; the approximate one leaves far groups out altogether.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/join.h"

namespace coremax::graph {

struct PartitionOptions {
  std::int64_t n_centres;
  std::int64_t n_nearest = 1;   // how many nearest centres to report for each row
  std::int64_t iterations = 0;  // of k-means over a sample; 0: the centres are sampled rows
  std::uint64_t seed = 0;
  bool by_norm = false;  // order the rows of a group by their norm, not by how near the centre they are
};

// Centres are compared by low-precision products of whole numbers, so that a partition is the same on every ISA level.
struct Partition {
  std::int64_t n_centres = 0;
  std::int64_t n_nearest = 0;
  std::vector<std::uint16_t> nearest;  // [n, n_nearest], nearest first
  std::vector<float> closeness;        // [n] to the first, or the norm: only the order within a group means something

  // All rows, group after group, nearest to their centre first; cut into blocks of block_rows.
  Layout in_blocks(std::int64_t block_rows) const;
  // Every group in blocks of its own; centre_of_block tells whose.
  Layout in_groups(std::int64_t block_rows, std::vector<std::uint32_t>& centre_of_block) const;

 private:
  std::vector<std::uint32_t> grouped(std::vector<std::int64_t>& begin) const;
};

constexpr std::int64_t kMostCentres = 4096;

// filter: one of whole numbers.
Partition partition(const ScaledRows& source, Metric metric, const Scores& scores, const Filter& filter, ThreadPool& pool,
                    const PartitionOptions& options);

}  // namespace coremax::graph
