// K = (A + A^T) / 2 from neighbour lists on a CUDA device: what graph::symmetric gives, bit for bit.
#pragma once

#include <cstdint>

#include "core/control.h"
#include "cuda/device.h"
#include "graph/graph.h"

namespace coremax::solver::on_cuda {

struct Symmetric {
  cuda::Buffer<std::int64_t> indptr;
  cuda::Buffer<std::int32_t> indices;
  cuda::Buffer<float> values;
  graph::CsrView view() const { return {indptr.size() - 1, indptr.data(), indices.data(), values.data()}; }
};

// lists: pointers to the device's memory; n_lists entries in all. Memory meanwhile: 16 bytes for an entry and 24 for a row beyond the result.
Symmetric symmetric(const graph::NeighborLists& lists, std::int64_t n_lists, const cuda::Stream& stream, Control* control);

}  // namespace coremax::solver::on_cuda
