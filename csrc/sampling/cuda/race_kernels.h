// What race.cu provides to race.cpp. A private header of sampling/cuda.
#pragma once

#include <cstdint>

#include "core/views.h"
#include "cuda/device.h"
#include "sampling/cuda/policy.h"

namespace coremax::sampling::on_cuda {

struct WeightCheck {
  unsigned long long n_positive;
  unsigned long long first_bad;  // its place; all ones where there is none
};

void check(const void* weights, DType dtype, std::int64_t n, bool log_weights, WeightCheck* result, const cuda::Stream& stream);

// The weights of a race; times are those of race_times.h.
struct Runners {
  const void* weights;
  DType dtype;
  std::int64_t n;
  bool log_weights;
  std::uint64_t seed;
};

// Some digits of times: those from bit `shift` on, of the times whose bits above are `prefix`.
struct Digits {
  int shift;
  int bits;
  std::uint64_t prefix;
};

// counts [2^bits] += how many of the times have each value there.
void count_times(const Runners& runners, const Digits& digits, unsigned long long* counts, const cuda::Stream& stream);

// The times up to the limit and whose they are, in the order of elements; keys and values have room for all.
void arrivals(const Runners& runners, std::uint64_t limit, std::uint64_t* times, std::int64_t* indices,
              const cuda::Stream& stream);

}  // namespace coremax::sampling::on_cuda
