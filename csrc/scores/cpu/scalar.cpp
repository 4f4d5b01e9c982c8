// The level every machine has.
#include "scores/cpu/kernels.h"

namespace coremax::scores {
namespace {

#include "scores/cpu/rows.h"

}  // namespace

const RowKernels kScalarRows{load<float>, load<double>, sum_plogp, sum_divergence};

}  // namespace coremax::scores
