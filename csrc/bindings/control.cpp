// See control.h. Both functions run without the GIL and take it only when it is time to look.
#include "bindings/control.h"

namespace coremax::bindings {
namespace {

constexpr auto kCheckInterval = std::chrono::milliseconds(50);
constexpr auto kProgressInterval = std::chrono::milliseconds(100);

}  // namespace

void PythonControl::check() {
  const auto now = Clock::now();
  if (now < next_check_) return;
  next_check_ = now + kCheckInterval;
  const py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

void PythonControl::progress(std::int64_t done, std::int64_t total) {
  const auto now = Clock::now();
  if (progress_.is_none() || (now < next_progress_ && done < total)) return;
  next_progress_ = now + kProgressInterval;
  const py::gil_scoped_acquire gil;
  progress_(done, total);
}

}  // namespace coremax::bindings
