// Control as Python sees it: Ctrl-C is looked for, and progress reported, at most every few milliseconds.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <utility>

#include "core/control.h"

namespace coremax::bindings {

namespace py = pybind11;

class PythonControl : public Control {
 public:
  // progress: None or callable(done, total).
  explicit PythonControl(py::object progress) : progress_(std::move(progress)) {}
  void check() override;
  void progress(std::int64_t done, std::int64_t total) override;

 private:
  using Clock = std::chrono::steady_clock;
  py::object progress_;
  Clock::time_point next_check_ = Clock::now();
  Clock::time_point next_progress_ = Clock::now();
};

}  // namespace coremax::bindings
