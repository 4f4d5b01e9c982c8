// Reading the input: norms, checks and scales; the origin; rows in bfloat16 with their error terms.
#include <algorithm>
#include <numeric>

#include "graph/cuda/rows.h"

namespace coremax::graph::on_cuda {
namespace {

// Four threads to a row, one for each sum of the norm.
template <class T>
__global__ void measure_rows(Rows<T> rows, Metric metric, double* scales, Report* report) {
  const std::int64_t number = std::int64_t{blockIdx.x} * (kMeasureThreads / kNormSums) + threadIdx.x / kNormSums;
  const bool is_row = number < rows.n;
  double sum = 0;
  if (is_row) {
    const T* row = rows.row(number);
    for (std::int64_t c = threadIdx.x % kNormSums; c < rows.d; c += kNormSums) {
      const double value = to_double(row[c]);
      sum += value * value;
    }
  }
  sum += __shfl_xor_sync(cuda::kAllLanes, sum, 2);
  sum += __shfl_xor_sync(cuda::kAllLanes, sum, 1);
  const double length = std::sqrt(sum);
  const bool good = length <= kLargestNorm && (metric != Metric::cosine || length >= kSmallestNorm);
  if (is_row && threadIdx.x % kNormSums == 0) {
    if (!good) atomicMin(reinterpret_cast<unsigned long long*>(&report->bad_row), static_cast<unsigned long long>(number));
    if (metric == Metric::cosine) scales[number] = 1 / length;
  }
  const double largest = cuda::warp_reduce(is_row && good ? length : 0.0, [](double a, double b) { return std::max(a, b); });
  if (cuda::lane_of_thread() == 0)
    atomicMax(reinterpret_cast<unsigned long long*>(&report->largest_norm),
              static_cast<unsigned long long>(std::bit_cast<std::uint64_t>(largest)));
}

// One block: the mean row of an evenly spaced sample.
template <class T>
__global__ void mean_row(Rows<T> rows, Metric metric, float* origin, Report* report) {
  const std::int64_t count = rows.n < kShiftSample ? rows.n : kShiftSample;
  const RowScale common = split_scale(common_scale_of(std::bit_cast<double>(report->largest_norm)));
  double square = 0;
  for (std::int64_t c = threadIdx.x; c < rows.d; c += kOriginThreads) {
    double sum = 0;
    for (std::int64_t s = 0; s < count; ++s) {
      const std::int64_t number = s * rows.n / count;
      sum += static_cast<double>(scaled(rows.row(number)[c], metric == Metric::cosine ? rows.scale(number) : common));
    }
    const auto mean = static_cast<float>(sum / static_cast<double>(count));
    origin[c] = mean;
    square += static_cast<double>(mean) * static_cast<double>(mean);
  }
  square = cuda::block_reduce<kOriginThreads>(square, 0.0, [](double a, double b) { return a + b; });
  const bool shifted = metric == Metric::euclidean || square >= kShiftFrom;
  if (!shifted)
    for (std::int64_t c = threadIdx.x; c < rows.d; c += kOriginThreads) origin[c] = 0;
  if (threadIdx.x == 0) report->shifted = shifted ? 1 : 0;
}

__device__ void raise_to(float* to, float value) {  // neither is negative: then floats are ordered as their bits
  atomicMax(reinterpret_cast<unsigned*>(to), std::bit_cast<unsigned>(value));
}

// A warp to a position.
template <class T>
__global__ void pack_rows(Rows<T> rows, Metric metric, const float* origin, float eta, Packed out) {
  const int lane = cuda::lane_of_thread();
  const std::int64_t position = std::int64_t{blockIdx.x} * (kPackThreads / cuda::kWarp) + cuda::warp_of_thread();
  const bool is_row = position < rows.n;
  const bool is_place = position < out.n_blocks * out.block_rows;
  const std::int64_t number = is_row ? rows.order.row_at(position) : 0;
  const T* row = rows.row(number);
  const RowScale scale = rows.scale(number);
  std::uint16_t* stored = out.rows + position * out.width;
  float square = 0;
  float residual_square = 0;
  double along = 0;  // m.z - |m|^2 / 2
  for (std::int64_t c = lane; c < out.width; c += cuda::kWarp) {
    std::uint16_t bits = 0;
    if (is_row && c < rows.d) {
      const float z = scaled(row[c], scale);
      float centred = z;
      if (origin != nullptr) {
        const double m = origin[c];
        along += m * (static_cast<double>(z) - m / 2);
        centred = z - origin[c];
      }
      bits = std::fabs(centred) < kSmallestStored ? std::uint16_t{0} : to_bfloat16(centred);
      const float rest = centred - to_float(BFloat16{bits});
      square += centred * centred;
      residual_square += rest * rest;
    }
    if (is_place) stored[c] = bits;
  }
  const auto add = [](auto a, auto b) { return a + b; };
  square = cuda::warp_reduce(square, add);
  residual_square = cuda::warp_reduce(residual_square, add);
  along = cuda::warp_reduce(along, add);
  if (lane != 0 || !is_place) return;
  const float shift = origin == nullptr ? 0.0f : metric == Metric::euclidean ? -square : static_cast<float>(along);
  if (out.shift != nullptr) out.shift[position] = metric == Metric::euclidean ? shift / 2 : shift;
  const ErrorTerms terms =
      is_row ? error_terms(norm_bound(square, eta), residual_square, shift, metric, rows.d, eta) : ErrorTerms{};
  out.terms[position] = terms;
  ErrorTerms* block = out.block_terms + position / out.block_rows;
  raise_to(&block->residual, terms.residual);
  raise_to(&block->norm, terms.norm);
  raise_to(&block->slack, terms.slack);
}

}  // namespace

Order Order::scattered(std::int64_t n) {
  Order order;
  order.n = static_cast<std::uint64_t>(n);
  order.multiplier = static_cast<std::uint64_t>(static_cast<double>(n) * 0.6180339887498949);
  while (order.multiplier > 1 && std::gcd(order.multiplier, order.n) != 1) --order.multiplier;
  order.multiplier = std::max<std::uint64_t>(order.multiplier, 1);
  return order;
}

void measure(const MatrixView& x, Metric metric, double* scales, Report* report, const cuda::Stream& stream) {
  with_element_type(x.dtype, [&]<class T>(T) {
    cuda::launch(stream, {cuda::blocks_for(x.n_rows, kMeasureThreads / kNormSums), kMeasureThreads}, measure_rows<T>,
                 Rows<T>(Source{x, metric, {}, 1, {}}), metric, scales, report);
  });
}

void find_origin(const Source& source, float* origin, Report* report, const cuda::Stream& stream) {
  with_element_type(source.x.dtype, [&]<class T>(T) {
    cuda::launch(stream, {1, kOriginThreads}, mean_row<T>, Rows<T>(source), source.metric, origin, report);
  });
}

void pack(const Source& source, const float* origin, const Packed& out, const cuda::Stream& stream) {
  const float eta = eta_of(source.x.n_cols + kStep, kTensorSumError);
  with_element_type(source.x.dtype, [&]<class T>(T) {
    cuda::launch(stream, {cuda::blocks_for(out.n_blocks * out.block_rows, kPackThreads / cuda::kWarp), kPackThreads},
                 pack_rows<T>, Rows<T>(source), source.metric, origin, eta, out);
  });
}

}  // namespace coremax::graph::on_cuda
