// Building and drawing from the alias table. See sampling.h for the arithmetic.
#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include "core/errors.h"
#include "core/philox.h"
#include "sampling/sampling.h"

namespace coremax::sampling {
namespace {

constexpr int kMaxAttempts = 64;  // one or two suffice

// A sum of non-negative terms that carries its own rounding error along (Neumaier 1974): as good as exact for weights, where
// a plain sum of many small ones beside a large one is not.
struct CarefulSum {
  double value = 0;
  double lost = 0;
  CarefulSum() = default;
  explicit CarefulSum(double term) : value(term) {}
  CarefulSum& operator+=(const CarefulSum& other) {
    const double sum = value + other.value;
    lost += (value >= other.value ? (value - sum) + other.value : (other.value - sum) + value) + other.lost;
    value = sum;
    return *this;
  }
};

int unit_bits(std::int64_t n) {
  require(n >= 1, "weights is empty");
  return 63 - static_cast<int>(std::bit_width(static_cast<std::uint64_t>(n - 1)));
}

// Whole units for every weight, at least as many as leave the sum at or below the target.
std::vector<std::uint64_t> round_to_units(const void* weights, DType dtype, std::int64_t n, std::uint64_t target, ThreadPool& pool) {
  check_weights(weights, dtype, n, false, pool);
  return with_float_pointer(weights, dtype, [&](const auto* w) {
    const UnitScale scale(static_cast<double>(*std::max_element(w, w + n)));
    const auto scaled = [&](std::int64_t i) { return scale(static_cast<double>(w[i])); };
    const CarefulSum total = blocked_sum(pool, n, [&](std::int64_t i) { return CarefulSum(scaled(i)); });
    double factor = static_cast<double>(target) / (total.value + total.lost);
    std::vector<std::uint64_t> units(static_cast<std::size_t>(n));
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
      const std::uint64_t sum = blocked_sum(pool, n, [&](std::int64_t i) {
        return units[static_cast<std::size_t>(i)] = static_cast<std::uint64_t>(scaled(i) * factor);
      });
      if (sum <= target) return units;
      // Rounding made the factor a hair too large.
      factor *= 1 - 2 * (static_cast<double>(sum - target) / static_cast<double>(target)) - 0x1p-52;
    }
    refuse_changed("weights");
  });
}

// Hands the units still missing to the elements that have some, equally.
void fill_up(std::vector<std::uint64_t>& units, std::uint64_t target) {
  std::uint64_t sum = 0;
  std::uint64_t n_positive = 0;
  for (const std::uint64_t u : units) {
    sum += u;
    n_positive += u > 0;
  }
  if (n_positive == 0) refuse_changed("weights");
  const std::uint64_t share = (target - sum) / n_positive;
  std::uint64_t rest = (target - sum) % n_positive;
  for (std::uint64_t& u : units) {
    if (u == 0) continue;
    u += share + (rest > 0);
    rest -= rest > 0;
  }
}

}  // namespace

AliasTable::AliasTable(const void* weights, DType dtype, std::int64_t n, ThreadPool& pool) : unit_bits_(unit_bits(n)) {
  const std::uint64_t target = static_cast<std::uint64_t>(n) << unit_bits_;
  thresholds_ = round_to_units(weights, dtype, n, target, pool);
  fill_up(thresholds_, target);
  pool.check();
  build_cells();
}

AliasTable::AliasTable(std::vector<std::uint64_t> thresholds, std::vector<std::int64_t> aliases)
    : thresholds_(std::move(thresholds)), aliases_(std::move(aliases)) {
  require(!thresholds_.empty() && thresholds_.size() == aliases_.size(), "a saved alias table needs equally many thresholds and aliases, at least one");
  unit_bits_ = unit_bits(n());
  const std::uint64_t unit = std::uint64_t{1} << unit_bits_;
  for (std::size_t i = 0; i < thresholds_.size(); ++i)
    require(thresholds_[i] <= unit && aliases_[i] >= 0 && aliases_[i] < n(),
            [&] { return "cell " + std::to_string(i) + " of the saved alias table is not valid"; });
}

// One sweep with a finger on the next light element (fewer units than a cell) and one on the current heavy element, which
// fills the light ones' cells until it is no longer heavy and is itself filled by the next heavy element. Since the units sum
// to n cells exactly, the last one ends with precisely one cell.
void AliasTable::build_cells() {
  const std::uint64_t unit = std::uint64_t{1} << unit_bits_;
  const std::int64_t count = n();
  aliases_.resize(thresholds_.size());
  for (std::int64_t i = 0; i < count; ++i) aliases_[static_cast<std::size_t>(i)] = i;
  const auto units = [&](std::int64_t i) -> std::uint64_t& { return thresholds_[static_cast<std::size_t>(i)]; };
  const auto next_light = [&](std::int64_t i) {
    while (i < count && (units(i) >= unit || aliases_[static_cast<std::size_t>(i)] != i)) ++i;
    return i;
  };
  const auto next_heavy = [&](std::int64_t i) {
    while (i < count && units(i) <= unit) ++i;
    return i;
  };
  std::int64_t light = next_light(0);
  std::int64_t heavy = next_heavy(0);
  if (heavy == count) return;  // all equal
  std::uint64_t left = units(heavy);
  while (true) {
    while (left > unit) {
      if (light == count) refuse_changed("weights");
      left -= unit - units(light);
      aliases_[static_cast<std::size_t>(light)] = heavy;
      light = next_light(light + 1);
    }
    const std::int64_t following = next_heavy(heavy + 1);
    units(heavy) = left;
    if (following == count) return;
    // The spent element keeps its own cell and the next heavy one fills it; its alias tells the light finger to pass by.
    aliases_[static_cast<std::size_t>(heavy)] = following;
    heavy = following;
    left = units(heavy) - (unit - left);
  }
}

void AliasTable::sample(std::int64_t size, std::uint64_t seed, std::uint64_t offset, std::int64_t* out, ThreadPool& pool) const {
  const auto count = static_cast<std::uint64_t>(n());
  parallel_for(pool, size, [&](std::int64_t i) {
    const std::uint64_t bits = random_bits(seed, Stream::alias_draw, offset + static_cast<std::uint64_t>(i));
    const auto product = static_cast<unsigned __int128>(bits) * count;
    const auto cell = static_cast<std::size_t>(product >> 64);
    const std::uint64_t coin = static_cast<std::uint64_t>(product) >> (64 - unit_bits_);
    out[i] = coin < thresholds_[cell] ? static_cast<std::int64_t>(cell) : aliases_[cell];
  });
}

void AliasTable::probabilities(double* out) const {
  const std::uint64_t unit = std::uint64_t{1} << unit_bits_;
  std::vector<std::uint64_t> units(thresholds_);
  for (std::size_t i = 0; i < units.size(); ++i) units[static_cast<std::size_t>(aliases_[i])] += unit - thresholds_[i];
  const double total = static_cast<double>(units.size()) * static_cast<double>(unit);
  for (std::size_t i = 0; i < units.size(); ++i) out[i] = static_cast<double>(units[i]) / total;
}

}  // namespace coremax::sampling
