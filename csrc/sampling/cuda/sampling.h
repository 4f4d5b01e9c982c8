// Sampling on a device: the contract of sampling/sampling.h, bit for bit. Weights, positions and draws are in the device's
// memory; n, size and seeds come from the host. What is refused (a bad weight, too few positive ones) is known before the
// functions return, so these wait for the device; drawing from a table does not.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/control.h"
#include "core/views.h"
#include "cuda/device.h"
#include "sampling/sampling.h"

namespace coremax::sampling::on_cuda {

// The cells are those of sampling::AliasTable of the same weights. Building takes 8 bytes for each element beside the table,
// for as long as it lasts. May be used from several streams, in the order of the calls, by one thread at a time.
class AliasTable {
 public:
  using Layout = sampling::AliasTable::Layout;

  AliasTable(const void* weights, DType dtype, std::int64_t n, const cuda::Stream& stream, Control* control);
  // In a layout of one's own, for tests of those that belong to other sizes.
  AliasTable(const void* weights, DType dtype, std::int64_t n, Layout layout, const cuda::Stream& stream, Control* control);
  ~AliasTable();

  // Takes other weights; an Error leaves the table as it was.
  void update(const void* weights, DType dtype, std::int64_t n, const cuda::Stream& stream, Control* control);
  // out [size]
  void sample(std::int64_t size, std::uint64_t seed, std::uint64_t offset, std::int64_t* out, const cuda::Stream& stream);
  void sample_at(const std::int64_t* positions, std::int64_t size, std::uint64_t seed, std::int64_t* out,
                 const cuda::Stream& stream, Control* control);
  // The cells, to host memory [n * layout().cell_bytes()] or the device's; what is the host's is there when the function
  // returns.
  void copy_cells(void* out, const cuda::Stream& stream, Control* control);

  std::int64_t n() const { return n_; }
  const Layout& layout() const { return layout_; }
  std::int64_t nbytes() const { return cells_.bytes(); }

 private:
  void build(const void* weights, DType dtype, std::int64_t n, Layout layout, const cuda::Stream& stream, Control* control);

  cuda::Turns turns_;
  std::int64_t n_ = 0;
  Layout layout_;
  cuda::Buffer<std::byte> cells_;
};

// out [size]. Takes 40 bytes for each element drawn, and for some more.
void sample_without_replacement(const void* weights, DType dtype, std::int64_t n, std::int64_t size, bool log_weights,
                                std::uint64_t seed, std::int64_t* out, const cuda::Stream& stream, Control* control);

// As on the CPU: throws an Error that names the first bad weight; returns how many are positive.
std::int64_t check_weights(const void* weights, DType dtype, std::int64_t n, bool log_weights, const cuda::Stream& stream,
                           Control* control);

}  // namespace coremax::sampling::on_cuda
