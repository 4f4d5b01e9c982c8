// AVX-512: eight lanes at a time.
#include "scores/cpu/kernels.h"

namespace coremax::scores {
namespace {

#include "scores/cpu/rows.h"

}  // namespace

const RowKernels kAvx512Rows{load<float>, load<double>, sum_plogp, sum_divergence};

}  // namespace coremax::scores
