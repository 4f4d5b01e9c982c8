// Sorting on the device.
#pragma once

#include <cstdint>

#include "cuda/device.h"

namespace coremax::cuda {

// Pairs in the order of their keys, equal ones staying as they stand. Only the lowest key_bits of the keys are looked at. Takes
// memory for as many pairs again. The buffers are exchanged: their content is in place, their memory may be other than before.
void sort_pairs(Buffer<std::uint64_t>& keys, Buffer<std::int64_t>& values, int key_bits, const Stream& stream);

}  // namespace coremax::cuda
