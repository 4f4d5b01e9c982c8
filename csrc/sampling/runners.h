// The runners of an exponential race and their order. A private header of sampling/.
#pragma once

#include <cstdint>

#include "core/thread_pool.h"

namespace coremax::sampling {

// Times are kept as codes: whole numbers in the order of the times, whatever the range of these (race.cpp says which).
struct Runner {
  std::uint64_t time;
  std::int64_t index;
};

// Sorts runners [n] by time, equal ones staying as they stand, as far as it takes for the first `wanted` to be in place; the
// rest is left behind them in any order. scratch [n]. Expected O(n) for times that are spread evenly over some part of their
// range.
void sort_runners(Runner* runners, Runner* scratch, std::int64_t n, std::int64_t wanted, const ThreadPool::Worker& worker);

}  // namespace coremax::sampling
