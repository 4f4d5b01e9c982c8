// In which order the filter visits the pairs of blocks. Pair (i, i + a mod B) lies on diagonal a; diagonals up to B / 2 have
// every pair of different blocks once (of the last, where B is even, only half the i). A diagonal shows every row two blocks,
// so panels of diagonals, each as long as all before it, raise all thresholds alike: of a panel about k candidates pass for a
// row. Panels are cut into strips of a few diagonals at one i, whose rows a block of threads loads once.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/host_device.h"

namespace coremax::graph::on_cuda {

struct Schedule {
  static constexpr int kMostPanels = 32;

  struct Strip {
    std::int32_t block;     // i
    std::int32_t diagonal;  // the first a
    std::int32_t count;     // of diagonals; can be none
  };

  std::int64_t n_blocks = 0;
  std::int64_t strip_diagonals = 1;
  int n_panels = 0;
  std::int32_t first_diagonal[kMostPanels + 1] = {};  // of each panel, and one beyond the last
  std::int64_t first_strip[kMostPanels + 1] = {};

  // All diagonals but those up to `around`.
  static Schedule make(std::int64_t n_blocks, std::int64_t around, std::int64_t strip_diagonals) {
    Schedule schedule;
    schedule.n_blocks = n_blocks;
    schedule.strip_diagonals = strip_diagonals;
    const std::int64_t end = n_blocks / 2 + 1;
    std::int64_t a = std::min(around + 1, end);
    std::int64_t strips = 0;
    schedule.first_diagonal[0] = static_cast<std::int32_t>(a);
    while (a < end) {
      const std::int64_t next = std::min(end, 2 * a);
      strips += (next - a + strip_diagonals - 1) / strip_diagonals * n_blocks;
      a = next;
      ++schedule.n_panels;
      schedule.first_diagonal[schedule.n_panels] = static_cast<std::int32_t>(a);
      schedule.first_strip[schedule.n_panels] = strips;
    }
    return schedule;
  }

  std::int64_t n_strips() const { return first_strip[n_panels]; }

  COREMAX_HD Strip strip(std::int64_t number) const {
    int panel = 0;
    while (number >= first_strip[panel + 1]) ++panel;
    const std::int64_t within = number - first_strip[panel];
    const std::int64_t block = within % n_blocks;
    const std::int64_t begin = first_diagonal[panel] + within / n_blocks * strip_diagonals;
    std::int64_t stop = begin + strip_diagonals;
    if (stop > first_diagonal[panel + 1]) stop = first_diagonal[panel + 1];
    const bool halved = 2 * (stop - 1) == n_blocks && 2 * block >= n_blocks;
    return {static_cast<std::int32_t>(block), static_cast<std::int32_t>(begin),
            static_cast<std::int32_t>(stop - begin - (halved ? 1 : 0))};
  }
};

}  // namespace coremax::graph::on_cuda
