// The extension module of the CUDA backend.
#include <pybind11/pybind11.h>

#include "cuda/device.h"

PYBIND11_MODULE(_cuda, module) {
  module.doc() = "The engines of coremax on CUDA devices. Private: use the functions of the package coremax.";
  module.def("why_not", [] { return coremax::cuda::why_not(); });
}
