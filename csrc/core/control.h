// How a long call talks to its caller: is it time to stop, and how far are we. The engines call check() and progress() on the
// calling thread only; an implementation throws to stop the work, and the exception reaches the caller unchanged.
#pragma once

#include <cstdint>

namespace coremax {

class Control {
 public:
  virtual ~Control() = default;
  virtual void check() {}
  virtual void progress(std::int64_t /*done*/, std::int64_t /*total*/) {}
};

}  // namespace coremax
