// The host's side of the pass over classes, and of rows that are refused.
#include "graph/cuda/centres.h"

#include <vector>

#include "core/errors.h"
#include "graph/rows.h"

namespace coremax::graph::on_cuda {

void cosines_with_centres(const MatrixView& x, const Classes& classes, double* norms, float* own, float* other,
                          std::uint64_t* bad_row, const cuda::Stream& stream) {
  const std::int64_t width = round_up(x.n_cols, kLanes);
  const cuda::Buffer<float> centres(checked_multiply(classes.n_labels, width), stream, "the centres");
  {
    const cuda::Buffer<unsigned long long> sums(centres.size(), stream, "the sums of the classes");
    cuda::set_bytes(sums.data(), 0, sums.size(), stream, "the sums of the classes");
    sum_by_label(x, classes, width, norms, sums.data(), bad_row, stream);
    take_directions(sums.data(), classes.n_labels, width, centres.data(), stream);
  }
  compare(x, classes, norms, centres.data(), width, own, other, stream);
}

void refuse_row(const MatrixView& x, const std::string& name, std::int64_t number, Metric metric, const cuda::Stream& stream) {
  const std::int64_t bytes = x.n_cols * item_size(x.dtype);
  std::vector<std::byte> row(static_cast<std::size_t>(bytes));
  cuda::copy(row.data(), static_cast<const std::byte*>(x.data) + number * x.row_stride * item_size(x.dtype), bytes, stream,
             "a row");
  stream.synchronize();
  check_row({row.data(), x.dtype, 1, x.n_cols, x.n_cols}, name, 0, number, metric);
  refuse_changed(name.c_str());
}

}  // namespace coremax::graph::on_cuda
