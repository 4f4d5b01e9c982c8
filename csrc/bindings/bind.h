// What the bindings of the words share. A binding is five steps: parse, check, view, release the GIL and call, wrap.
#pragma once

#include <pybind11/pybind11.h>

#include "bindings/array.h"
#include "bindings/control.h"
#include "core/floating_point.h"
#include "core/thread_pool.h"

namespace coremax::bindings {

// The scope of a call into the engines: a pool with a Control, the GIL released, the floating-point environment the default.
template <class F>
void call_engine(int threads, const py::object& progress, F&& f) {
  PythonControl control(progress);
  const py::gil_scoped_release no_gil;
  const DefaultFloatingPoint environment;
  ThreadPool pool(threads, &control);
  f(pool);
}

void bind_graph(py::module_& module);
void bind_sampling(py::module_& module);
void bind_scores(py::module_& module);
void bind_selection(py::module_& module);
void bind_solver(py::module_& module);
void bind_text(py::module_& module);

}  // namespace coremax::bindings
