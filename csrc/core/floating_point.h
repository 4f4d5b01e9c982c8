// The floating-point environment of the engines: the default one, whatever the caller's thread has set (PyTorch can flush
// denormals to zero, for one). Held by the bindings for the length of a call and by every worker of a thread pool.
#pragma once

#include <cfenv>

namespace coremax {

class DefaultFloatingPoint {
 public:
  DefaultFloatingPoint() {
    std::fegetenv(&saved_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~DefaultFloatingPoint() { std::fesetenv(&saved_); }
  DefaultFloatingPoint(const DefaultFloatingPoint&) = delete;
  DefaultFloatingPoint& operator=(const DefaultFloatingPoint&) = delete;

 private:
  std::fenv_t saved_;
};

}  // namespace coremax
