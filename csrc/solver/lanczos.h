// What the Lanczos process on the CPU and that on a device share: its start, its length, and what follows from its matrix.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "core/cosine.h"
#include "core/host_device.h"
#include "core/log.h"
#include "core/philox.h"

namespace coremax::solver {

struct Spectrum;

// A normal number (Box-Muller), so that the direction of n of them is uniform on the sphere.
COREMAX_HD inline double normal_number(std::uint64_t seed, std::int64_t i) {
  const auto position = 2 * static_cast<std::uint64_t>(i);
  const double radius = std::sqrt(-2 * portable_log(open_unit(random_bits(seed, Stream::lanczos_start, position))));
  return radius * portable_cosine_of_turns(open_unit(random_bits(seed, Stream::lanczos_start, position + 1)));
}

// Steps to take, at most n; with n of them the process is kept orthogonal to all before.
std::int64_t lanczos_steps(std::int64_t n, std::int64_t n_entries);

// The process has met an invariant subspace when what is left of a vector is so small beside the radius.
constexpr double kExhausted = 1e-13;

// radius: of Gershgorin; exhausted: the process ended by itself.
Spectrum spectrum_of(const std::vector<double>& diagonal, const std::vector<double>& off, bool exhausted, double radius,
                     std::int64_t n);

}  // namespace coremax::solver
