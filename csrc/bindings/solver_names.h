// The solver's options and results as Python writes them: what its bindings for the CPU and for a device share.
#pragma once

#include <pybind11/pybind11.h>

#include "solver/solver.h"

namespace coremax::bindings {

namespace py = pybind11;

solver::Options solver_options(const py::dict& given);
// function is borrowed: it has to outlive the call.
solver::Callback solver_callback(const py::object& function);
// All but indices and x.
py::dict solver_result(solver::Result result);

}  // namespace coremax::bindings
