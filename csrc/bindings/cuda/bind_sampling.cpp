// Python's way into csrc/sampling/cuda.
#include "bindings/cuda/bind.h"

namespace coremax::bindings {

void bind_cuda_sampling(py::module_&) {}

}  // namespace coremax::bindings
