// The extension module of the CUDA backend: what devices there are, the error table, and the words. Importing it needs no
// driver.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/cuda/bind.h"
#include "bindings/error_table.h"

namespace py = pybind11;

namespace {

py::list devices() {
  int count = 0;
  coremax::cuda::why_not(&count);
  py::list result;
  for (int number = 0; number < count; ++number) {
    const coremax::cuda::DeviceInfo info = coremax::cuda::device_info(number);
    py::dict entry;
    entry["device"] = "cuda:" + std::to_string(number);
    entry["name"] = info.name;
    entry["compute_capability"] = std::to_string(info.major) + "." + std::to_string(info.minor);
    entry["multiprocessors"] = info.multiprocessors;
    entry["memory_bytes"] = info.memory_bytes;
    result.append(entry);
  }
  return result;
}

}  // namespace

PYBIND11_MODULE(_cuda, module, py::mod_gil_not_used()) {
  module.doc() =
      "The engines of coremax on CUDA devices. Private: use the functions of the package coremax, which check and explain.";
  py::register_local_exception_translator(&coremax::bindings::translate);
  module.attr("__version__") = COREMAX_VERSION;
  module.def("is_available", [] { return coremax::cuda::why_not().empty(); }, "Whether there is a device that can be used.");
  module.def("why_not", [] { return coremax::cuda::why_not(); }, "Why there is none, or an empty text.");
  module.def("devices", &devices);
  coremax::bindings::bind_device_array(module);
  coremax::bindings::bind_cuda_graph(module);
  coremax::bindings::bind_cuda_sampling(module);
  coremax::bindings::bind_cuda_scores(module);
  coremax::bindings::bind_cuda_solver(module);
}
