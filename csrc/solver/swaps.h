// The formulas of moves by pairs, for the CPU and for a device. See rounding.cpp and polish.cpp.
#pragma once

#include "core/host_device.h"

namespace coremax::solver {

constexpr double kIntegral = 1e-9;  // closer than this to 0 or 1 counts as there

COREMAX_HD inline double snapped(double x) { return x < kIntegral ? 0 : x > 1 - kIntegral ? 1 : x; }

// Of the ends of -down <= t <= up the one at which slope t + curve t^2 is larger.
COREMAX_HD inline double better_end(double up, double down, double slope, double curve) {
  return up * slope + curve * up * up >= -down * slope + curve * down * down ? up : -down;
}

// What taking i in for j adds to f.
COREMAX_HD inline double swap_change(double gain_i, double gain_j, double alpha, double k_ij) {
  return gain_i - gain_j + 2 * alpha * k_ij;
}
// Improvements below the rounding error of the gains are none: they could go round in circles. sizes: of the sums that the
// gains are.
COREMAX_HD inline bool swap_improves(double change, double size_i, double size_j) { return change > 1e-12 * (size_i + size_j); }

}  // namespace coremax::solver
