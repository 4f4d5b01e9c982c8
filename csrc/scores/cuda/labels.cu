// Labels, checked and numbered anew.
#include "cuda/scan.h"
#include "scores/cuda/policy.h"
#include "scores/cuda/stages.h"

namespace coremax::scores::on_cuda {
namespace {

using policy::kThreads;

template <class T>
__global__ void check_each(const T* labels, std::int64_t n, std::int64_t n_classes, LabelReport* report) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const std::int64_t label = i < n ? labels[i] : 0;
  if (i < n && (label < 0 || (n_classes > 0 && label >= n_classes)))
    atomicMin(reinterpret_cast<unsigned long long*>(&report->first_bad), static_cast<unsigned long long>(i));
  const auto largest = cuda::block_reduce<kThreads>(label > 0 ? label : 0, std::int64_t{0},
                                                    [](std::int64_t a, std::int64_t b) { return a > b ? a : b; });
  if (threadIdx.x == 0)
    atomicMax(reinterpret_cast<unsigned long long*>(&report->largest), static_cast<unsigned long long>(largest));
}

template <class T>
__global__ void key_each(const T* labels, std::int64_t n, std::uint64_t* keys, std::int64_t* rows) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= n) return;
  keys[i] = static_cast<std::uint64_t>(labels[i]);
  rows[i] = i;
}

__global__ void mark_changes(const std::uint64_t* keys, std::int64_t n, std::int32_t* marks) {
  const std::int64_t p = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (p < n) marks[p] = p > 0 && keys[p] != keys[p - 1] ? 1 : 0;
}

__global__ void give_numbers(const std::int32_t* numbers, const std::int64_t* rows, std::int64_t n, std::int32_t* dense,
                             std::int32_t* n_labels) {
  const std::int64_t p = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (p >= n) return;
  dense[rows[p]] = numbers[p];
  if (p == n - 1) *n_labels = numbers[p] + 1;
}

template <class F>
void with_labels(const GivenLabels& labels, F&& f) {
  if (labels.dtype == DType::int32) return f(static_cast<const std::int32_t*>(labels.data));
  return f(static_cast<const std::int64_t*>(labels.data));
}

}  // namespace

void check_labels(const GivenLabels& labels, LabelReport* report, const cuda::Stream& stream) {
  with_labels(labels, [&]<class T>(const T* data) {
    cuda::launch(stream, {cuda::blocks_for(labels.n, kThreads), kThreads}, check_each<T>, data, labels.n, labels.n_classes,
                 report);
  });
}

void prepare_labels(const GivenLabels& labels, std::uint64_t* keys, std::int64_t* rows, const cuda::Stream& stream) {
  with_labels(labels, [&]<class T>(const T* data) {
    cuda::launch(stream, {cuda::blocks_for(labels.n, kThreads), kThreads}, key_each<T>, data, labels.n, keys, rows);
  });
}

void number_labels(const std::uint64_t* keys, const std::int64_t* rows, std::int64_t n, std::int32_t* dense,
                   std::int32_t* n_labels, const cuda::Stream& stream) {
  const cuda::Buffer<std::int32_t> numbers(n, stream, "the numbers of the labels");
  const cuda::Grid grid{cuda::blocks_for(n, kThreads), kThreads};
  cuda::launch(stream, grid, mark_changes, keys, n, numbers.data());
  cuda::scan<true>(numbers.data(), numbers.data(), n, std::int32_t{0}, cuda::Sum{}, stream);
  cuda::launch(stream, grid, give_numbers, numbers.data(), rows, n, dense, n_labels);
}

}  // namespace coremax::scores::on_cuda
