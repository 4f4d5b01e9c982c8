// Sorting by counting: the range of times is cut into about as many equal cells as there are runners, which are dealt into them
// in order; what is left to insertion is a few steps each. A cell that caught many is sorted in the same way first, so uneven
// times cost a level or two and no input costs more than a level for each halving of the range in 64 bits.
#include "sampling/runners.h"

#include <algorithm>
#include <bit>
#include <vector>

namespace coremax::sampling {
namespace {

constexpr std::int64_t kInsertionUpTo = 16;  // above, another level of cells is faster

void insert(Runner* runners, std::int64_t n) {
  for (std::int64_t i = 1; i < n; ++i) {
    const Runner runner = runners[i];
    std::int64_t hole = i;
    for (; hole > 0 && runner.time < runners[hole - 1].time; --hole) runners[hole] = runners[hole - 1];
    runners[hole] = runner;
  }
}

}  // namespace

void sort_runners(Runner* runners, Runner* scratch, std::int64_t n, std::int64_t wanted, const ThreadPool::Worker& worker) {
  if (n <= kInsertionUpTo) return insert(runners, n);
  worker.poll();
  std::uint64_t first = runners[0].time;
  std::uint64_t last = first;
  for (std::int64_t i = 1; i < n; ++i) {
    first = std::min(first, runners[i].time);
    last = std::max(last, runners[i].time);
  }
  if (first == last) return;
  // At most 2^bits cells, of which more than half lie within the range.
  const int bits = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(n)));
  const int shift = std::max(0, static_cast<int>(std::bit_width(last - first)) - bits);
  const auto cell_of = [&](const Runner& runner) { return static_cast<std::size_t>((runner.time - first) >> shift); };
  const std::size_t n_cells = static_cast<std::size_t>((last - first) >> shift) + 1;
  std::vector<std::int64_t> ends(n_cells + 1, 0);
  for (std::int64_t i = 0; i < n; ++i) ++ends[cell_of(runners[i]) + 1];
  for (std::size_t cell = 1; cell <= n_cells; ++cell) ends[cell] += ends[cell - 1];
  for (std::int64_t i = 0; i < n; ++i) scratch[ends[cell_of(runners[i])]++] = runners[i];
  std::copy(scratch, scratch + n, runners);
  std::int64_t begin = 0;
  for (std::size_t cell = 0; cell < n_cells && begin < wanted; ++cell) {
    const std::int64_t count = ends[cell] - begin;
    if (count > 1) sort_runners(runners + begin, scratch, count, wanted - begin, worker);
    begin = ends[cell];
  }
}

}  // namespace coremax::sampling
