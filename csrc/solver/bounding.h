// The formulas of presolve, element by element, for the CPU and for a device. See presolve.cpp.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/host_device.h"

namespace coremax::solver {

constexpr int kBoundingRounds = 8;
// A round costs about as much as a few sweeps of a search; it has to take off more than that.
COREMAX_HD inline bool is_worth_another_round(std::int64_t found, std::int64_t n) { return found * 100 > n; }

// What the neighbours of an element that are not fixed out add up to, and between which numbers its gain lies.
struct GainSums {
  double taken = 0;
  double positive = 0;
  double negative = 0;
  double size = 0;
  COREMAX_HD void add(double similarity, bool is_taken) {
    (is_taken ? taken : similarity > 0 ? positive : negative) += similarity;
    size += std::abs(similarity);
  }
  COREMAX_HD double margin(double importance, double alpha) const { return 1e-12 * (std::abs(importance) + 2 * alpha * size); }
  COREMAX_HD double least(double importance, double alpha) const {
    return importance - 2 * alpha * (taken + positive) - margin(importance, alpha);
  }
  COREMAX_HD double most(double importance, double alpha) const {
    return importance - 2 * alpha * (taken + negative) + margin(importance, alpha);
  }
};

// Sums of at most n terms in units (sums.h) or blocks of 4096 err by less than this share of the sum of absolute terms.
constexpr double kRounding = 4e-12;

// The rounding error that an element adds to f of what is taken and to the importance of the others.
COREMAX_HD inline double rounding_of_taken(bool is_taken, double importance, double alpha, double kx) {
  return (is_taken ? kRounding : 1e-15) * (std::abs(importance) + 2 * alpha * std::abs(kx));
}

}  // namespace coremax::solver
