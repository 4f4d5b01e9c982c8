// What the bindings of the words share in the module _cuda. A binding is five steps, as for the CPU: parse, check, view,
// release the GIL and call, wrap. Arrays come as views that import_array made on the stream of the call; outputs are arrays
// that Python asked the caller's library for. The Python layer has found out device and stream (_inputs/devices.py) and passes both.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>

#include "bindings/array.h"
#include "bindings/control.h"
#include "core/floating_point.h"
#include "cuda/device.h"

namespace coremax::bindings {

// Where a call does its work. The stream is written as in DLPack, whose numbers 1 and 2 the runtime knows by the same meaning.
struct Place {
  int device;
  std::int64_t stream;
  cuda::Stream view() const { return cuda::Stream(reinterpret_cast<CUstream_st*>(stream)); }
};

// The scope of a call into the engines: f(stream, control), without the GIL, the device being current.
template <class F>
void call_device(const Place& place, F&& f) {
  PythonControl control{py::none()};
  const py::gil_scoped_release no_gil;
  const DefaultFloatingPoint environment;
  const cuda::CurrentDevice current(place.device);
  f(place.view(), control);
}

// Checks the Python layer has made already, made again: an array of the call's device, of that form.
const Array& expect(const Array& array, const Place& place, const char* name, std::size_t ndim,
                    std::initializer_list<DType> dtypes);

// The memory of an output of that shape, which must be the caller's to write.
template <class T>
T* output(const Array& array, const Place& place, const char* name, const std::vector<std::int64_t>& shape, DType dtype) {
  expect(array, place, name, shape.size(), {dtype});
  if (array.readonly || !array.contiguous() || array.shape != shape)
    throw py::value_error(std::string(name) + " is no output of this call");
  return static_cast<T*>(const_cast<void*>(array.data));
}

void bind_device_array(py::module_& module);
void bind_cuda_graph(py::module_& module);
void bind_cuda_sampling(py::module_& module);
void bind_cuda_scores(py::module_& module);
void bind_cuda_solver(py::module_& module);

}  // namespace coremax::bindings
