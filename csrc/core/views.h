// Typed views of memory that somebody else owns. Engines take views and raw pointers only; who owns the memory, and that it
// outlives the call, is the business of the bindings.
#pragma once

#include <cstdint>

namespace coremax {

enum class DType { float32, float64, float16, bfloat16, int8, int32, int64, other };

constexpr std::int64_t item_size(DType dtype) {
  switch (dtype) {
    case DType::int8:
      return 1;
    case DType::float16:
    case DType::bfloat16:
      return 2;
    case DType::float32:
    case DType::int32:
      return 4;
    default:
      return 8;
  }
}

// [n_rows, n_cols]; consecutive elements of a row are adjacent, rows are row_stride elements apart (any sign).
struct MatrixView {
  const void* data = nullptr;
  DType dtype = DType::float32;
  std::int64_t n_rows = 0;
  std::int64_t n_cols = 0;
  std::int64_t row_stride = 0;
};

// Calls f(pointer) with the pointer typed as the view's element type, for the float types of scores and weights.
template <class F>
auto with_float_pointer(const void* data, DType dtype, F&& f) {
  if (dtype == DType::float32) return f(static_cast<const float*>(data));
  return f(static_cast<const double*>(data));
}

}  // namespace coremax
