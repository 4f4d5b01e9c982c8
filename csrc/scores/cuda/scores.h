// SIM on a CUDA device: the parts of scores/scores.h, by the same contract and with the same bits, joined as coremax.scores.sim
// does it.
//
// Stages, all in the caller's stream: label the rows anew (sorted, so that classes without rows have no number) - for each
// model the cosines with the centres (graph/cuda), separability, and both scaled between percentiles, which are found by
// counting - agreement of the experts - join. The host waits three times: for what is wrong with the labels, for the number of
// classes, and at the end for what is wrong with the rest.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/control.h"
#include "core/views.h"
#include "cuda/device.h"

namespace coremax::scores::on_cuda {

struct Named {
  MatrixView view;
  std::string name;
};

// Labels [n] on the device, int32 or int64: not negative, and below n_classes where that is not zero.
struct GivenLabels {
  const void* data = nullptr;
  DType dtype = DType::int64;
  std::int64_t n = 0;
  std::int64_t n_classes = 0;
};

struct SimOptions {
  double epsilon = 1e-6;
  bool take_log = true;
  double low = 1;  // percentiles
  double high = 99;
  bool rescale = true;
};

// out [n]. models: embeddings, one or more, each with the tolerance of its norms (scores::robust_scale); experts:
// probabilities, of one shape, may be none. Data and out are the device's. n below 2^31.
void sim(const std::vector<Named>& models, const std::vector<double>& norm_tolerances, const GivenLabels& labels,
         const std::vector<Named>& experts, const SimOptions& options, double* out, const cuda::Stream& stream,
         Control* control);

// As scores::robust_scale. Does not wait.
void robust_scale(double* values, std::int64_t n, double low, double high, double tolerance, const cuda::Stream& stream);

}  // namespace coremax::scores::on_cuda
