// The one table from error kinds to Python exceptions, for both extension modules.
#pragma once

#include <pybind11/pybind11.h>

#include <exception>

#include "core/errors.h"

namespace coremax::bindings {

// A new reference; the exception for devices is the package's.
inline pybind11::object exception_for(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::value:
      return pybind11::reinterpret_borrow<pybind11::object>(PyExc_ValueError);
    case ErrorKind::type:
      return pybind11::reinterpret_borrow<pybind11::object>(PyExc_TypeError);
    case ErrorKind::memory:
      return pybind11::reinterpret_borrow<pybind11::object>(PyExc_MemoryError);
    case ErrorKind::device:
      return pybind11::module_::import("coremax._errors").attr("DeviceError");
    case ErrorKind::internal:
      break;
  }
  return pybind11::reinterpret_borrow<pybind11::object>(PyExc_RuntimeError);
}

// For pybind11's list of translators.
inline void translate(std::exception_ptr pointer) {
  try {
    if (pointer) std::rethrow_exception(pointer);
  } catch (const Error& error) {
    PyErr_SetString(exception_for(error.kind()).ptr(), error.what());
  }
}

}  // namespace coremax::bindings
