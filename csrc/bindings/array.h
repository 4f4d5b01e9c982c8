// An input array of any library as the bindings see it: a typed view and a hold on whoever owns the memory.
// NumPy comes in through the buffer protocol (read-only arrays included), everything else through DLPack.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/errors.h"
#include "core/views.h"

namespace coremax::bindings {

namespace py = pybind11;

struct Array {
  const void* data = nullptr;
  DType dtype = DType::other;
  std::string dtype_name;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;  // in elements
  bool readonly = false;
  bool aligned = true;         // to the element size
  std::string device = "cpu";  // or "cuda:0", which only import_cuda_array gives out
  int device_number = -1;      // of a CUDA device
  py::object owner;            // keeps data alive: a memoryview or a DLPack capsule

  std::int64_t size(std::size_t axis) const { return shape.at(axis); }
  bool empty() const;
  bool contiguous() const;       // in C order
  bool rows_contiguous() const;  // elements of the last axis adjacent; the distance of rows is free
};

// A view of obj, without a copy; raises TypeError naming the argument where obj is no array of numbers on the CPU.
Array import_array(const py::object& obj, const std::string& name);

// The same for arrays on a CUDA device: work that the producer has under way is done before what is put into `stream` from now
// on, a stream as DLPack writes it (1: the legacy default stream, 2: that of the thread, else its address).
Array import_cuda_array(const py::object& obj, const std::string& name, std::int64_t stream);

// Checks the Python layer has made already, made again: a wrong call of the private functions raises instead of crashing.
const Array& expect(const Array& array, const char* name, std::size_t ndim, std::initializer_list<DType> dtypes);
void expect_form(const Array& array, const char* name, std::size_t ndim,
                 std::initializer_list<DType> dtypes);  // wherever it is
MatrixView matrix_view(const Array& array, const char* name, std::initializer_list<DType> dtypes);

// A NumPy array that takes over a vector's memory.
template <class T>
py::array_t<T> adopt(std::vector<T>&& values) {
  auto* owned = new std::vector<T>(std::move(values));
  py::capsule owner(owned, [](void* pointer) { delete static_cast<std::vector<T>*>(pointer); });
  return py::array_t<T>(static_cast<py::ssize_t>(owned->size()), owned->data(), owner);
}

// A NumPy array for results, whose memory starts at a multiple of 64 bytes: JAX takes over no other without a copy.
template <class T>
py::array_t<T> new_array(std::initializer_list<std::int64_t> shape) {
  constexpr std::size_t kAlignment = 64;
  constexpr std::int64_t kMostSkipped = kAlignment / sizeof(T);  // NumPy aligns to elements
  std::int64_t size = 1;
  for (const std::int64_t extent : shape) size = checked_multiply(size, extent);
  py::array_t<T> memory(size + kMostSkipped);
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  const T* first = memory.data() + (kAlignment - address % kAlignment) % kAlignment / sizeof(T);
  return py::array_t<T>(std::vector<py::ssize_t>(shape.begin(), shape.end()), first, memory);
}

py::class_<Array> bind_array_class(py::module_& module);
void bind_array(py::module_& module);

}  // namespace coremax::bindings
