// The order of the sums that the CPU and a device must have alike. Elements come in units of kSumUnit; within a unit, lane l of
// kSumLanes adds the elements congruent to l; the lanes of each group of 32 are added as l with l + 16, + 8, + 4, + 2, + 1,
// then the eight groups as g with g + 4, + 2, + 1; the units are added as the elements of one unit are. So neither threads nor
// blocks of a device matter.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "core/thread_pool.h"

namespace coremax::solver {

constexpr int kSumLanes = 256;
constexpr int kSumGroup = 32;
constexpr std::int64_t kSumUnit = 1024;

// Sum over i in [begin, end) of term(i), as if it were one unit.
template <class Term>
auto unit_sum(std::int64_t begin, std::int64_t end, const Term& term) {
  using Total = std::decay_t<decltype(term(begin))>;
  std::array<Total, kSumLanes> lanes{};
  for (; begin < end; begin += kSumLanes) {
    const std::int64_t count = std::min<std::int64_t>(kSumLanes, end - begin);
    for (std::int64_t lane = 0; lane < count; ++lane) lanes[static_cast<std::size_t>(lane)] += term(begin + lane);
  }
  constexpr std::size_t kGroups = kSumLanes / kSumGroup;
  for (std::size_t first = 0; first < kSumLanes; first += kSumGroup)
    for (std::size_t step = kSumGroup / 2; step > 0; step /= 2)
      for (std::size_t lane = first; lane < first + step; ++lane) lanes[lane] += lanes[lane + step];
  for (std::size_t step = kGroups / 2; step > 0; step /= 2)
    for (std::size_t group = 0; group < step; ++group) lanes[group * kSumGroup] += lanes[(group + step) * kSumGroup];
  return lanes[0];
}

// Sum over i in [0, n) of term(i): the same bits for any thread count, and on a device.
template <class Term>
auto ordered_sum(ThreadPool& pool, std::int64_t n, const Term& term) {
  using Total = std::decay_t<decltype(term(n))>;
  constexpr std::int64_t kUnitsPerTask = kReductionBlock / kSumUnit;
  const std::int64_t n_units = (n + kSumUnit - 1) / kSumUnit;
  std::vector<Total> units(static_cast<std::size_t>(n_units));
  pool.run((n_units + kUnitsPerTask - 1) / kUnitsPerTask,
           [&](std::int64_t task, ThreadPool::Worker&) {
             for (std::int64_t unit = task * kUnitsPerTask; unit < std::min(n_units, (task + 1) * kUnitsPerTask); ++unit)
               units[static_cast<std::size_t>(unit)] = unit_sum(unit * kSumUnit, std::min(n, (unit + 1) * kSumUnit), term);
           },
           kShareBlocksFrom);
  return unit_sum(0, n_units, [&](std::int64_t unit) { return units[static_cast<std::size_t>(unit)]; });
}

}  // namespace coremax::solver
