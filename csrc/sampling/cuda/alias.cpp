// The alias table on a device: the same stages as alias_build.cpp. The sums of the blocks come to the host, which adds them up
// in the order that the CPU does; the rest stays on the device.
#include <bit>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "core/errors.h"
#include "sampling/cuda/alias_kernels.h"
#include "sampling/cuda/sampling.h"

namespace coremax::sampling::on_cuda {
namespace {

constexpr WeightSummary kNothing{0, 0, 0};
constexpr std::int64_t kMostElements = std::int64_t{1} << 34;  // sums of blocks are added up in two parts of 64 bits

struct Weights {
  const void* data;
  DType dtype;
  std::int64_t n;
};

// As sampling::sum_weights.
WeightSums sum_weights(const Weights& weights, std::int64_t block, const cuda::Buffer<WeightSums::Sum>& sums,
                       WeightSummary* summary, const cuda::Stream& stream, Control* control) {
  const std::int64_t n_blocks = sums.size();
  WeightSums result;
  result.blocks.resize(static_cast<std::size_t>(n_blocks));
  WeightSummary seen{};
  const auto run = [&](const UnitScale& scale) {
    cuda::copy(summary, &kNothing, 1, stream, "a summary");
    sum_blocks(weights.data, weights.dtype, weights.n, block, scale, sums.data(), summary, stream);
    cuda::copy(result.blocks.data(), sums.data(), n_blocks, stream, "the sums of the weights");
    seen = cuda::read_back(summary, stream, "a summary", control);
    result.largest = std::bit_cast<double>(std::uint64_t{seen.largest_bits});
  };
  run(result.scale);
  if (seen.bad != 0 || !(result.largest > 0)) {
    check_weights(weights.data, weights.dtype, weights.n, false, stream, control);  // which names the first bad one
    refuse_changed("weights");
  }
  if (std::abs(std::ilogb(result.largest)) <= kSafeExponent) return result;
  result.scale = UnitScale(result.largest);
  run(result.scale);
  if (seen.bad != 0) refuse_changed("weights");
  return result;
}

}  // namespace

AliasTable::AliasTable(const void* weights, DType dtype, std::int64_t n, const cuda::Stream& stream, Control* control) {
  update(weights, dtype, n, stream, control);
}

AliasTable::AliasTable(const void* weights, DType dtype, std::int64_t n, Layout layout, const cuda::Stream& stream,
                       Control* control) {
  build(weights, dtype, n, layout, stream, control);
}

AliasTable::~AliasTable() { const cuda::Turns::Turn last(turns_, turns_.home()); }

void AliasTable::update(const void* weights, DType dtype, std::int64_t n, const cuda::Stream& stream, Control* control) {
  build(weights, dtype, n, Layout::of(n), stream, control);
}

void AliasTable::build(const void* weights, DType dtype, std::int64_t n, Layout layout, const cuda::Stream& stream,
                       Control* control) {
  require(n <= kMostElements,
          [&] { return "weights has " + std::to_string(n) + " elements; an alias table on a device holds up to 2^34"; });
  const cuda::Buffer<WeightSummary> summary(1, stream, "a summary");
  const cuda::Buffer<WeightSums::Sum> blocks((n + layout.block - 1) / layout.block, stream, "the sums of the weights");
  const WeightSums sums = sum_weights({weights, dtype, n}, layout.block, blocks, summary.data(), stream, control);
  const UnitPlan plan = UnitPlan::of(sums, n, layout);
  const cuda::Buffer<std::uint64_t> shares(blocks.size(), stream, "the shares of the blocks");
  share_out(blocks.data(), blocks.size(), plan, shares.data(), stream);
  Tiles tiles(n, stream);
  give_units(weights, dtype, layout.block, sums.scale, plan.factor, shares.data(), std::uint64_t{1} << layout.unit_bits, tiles,
             summary.data(), stream);
  add_up(tiles, stream);
  if (cuda::read_back(summary.data(), stream, "a summary", control).changed != 0) refuse_changed("weights");
  cuda::Buffer<std::byte> cells;
  {
    const cuda::Turns::Turn turn(turns_, turns_.home());
    cells = cuda::Buffer<std::byte>(checked_multiply(n, layout.cell_bytes()), turns_.home(), "an alias table");
  }
  {
    const cuda::Turns::Turn turn(turns_, stream);
    pack(tiles, layout, cells.data(), stream);
  }
  // The old cells go last: their memory is given back behind all uses, of which this is one.
  const cuda::Turns::Turn turn(turns_, turns_.home());
  cells_ = std::move(cells);
  layout_ = layout;
  n_ = n;
}

void AliasTable::sample(std::int64_t size, std::uint64_t seed, std::uint64_t offset, std::int64_t* out,
                        const cuda::Stream& stream) {
  const cuda::Turns::Turn turn(turns_, stream);
  draw(cells_.data(), n_, layout_, size, seed, offset, out, stream);
}

void AliasTable::sample_at(const std::int64_t* positions, std::int64_t size, std::uint64_t seed, std::int64_t* out,
                           const cuda::Stream& stream, Control* control) {
  constexpr unsigned long long kNone = ~0ULL;
  const cuda::Buffer<unsigned long long> bad(1, stream, "a place");
  cuda::copy(bad.data(), &kNone, 1, stream, "a place");
  {
    const cuda::Turns::Turn turn(turns_, stream);
    draw_at(cells_.data(), n_, layout_, positions, size, seed, out, bad.data(), stream);
  }
  const auto first = cuda::read_back(bad.data(), stream, "a place", control);
  if (first == kNone) return;
  const auto value = cuda::read_back(positions + first, stream, "a position", control);
  throw Error(ErrorKind::value, "positions[" + std::to_string(first) + "] is negative: " + std::to_string(value));
}

void AliasTable::copy_cells(void* out, const cuda::Stream& stream, Control* control) {
  const cuda::Turns::Turn turn(turns_, stream);
  cuda::copy(static_cast<std::byte*>(out), cells_.data(), cells_.size(), stream, "an alias table");
  stream.synchronize(control);
}

}  // namespace coremax::sampling::on_cuda
