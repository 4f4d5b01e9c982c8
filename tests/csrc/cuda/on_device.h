// What tests of device code share: memory on the emulated device, and many orders of its threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <cuda_runtime.h>

#include "check.h"
#include "cuda/device.h"
#include "emulator.h"

namespace coremax::test {

inline const cuda::Stream kStream{nullptr};

// Another stream, for tests of the order of work in several.
class OwnStream {
 public:
  OwnStream() { cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking); }
  ~OwnStream() { cudaStreamDestroy(handle_); }
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;
  cuda::Stream view() const { return cuda::Stream(handle_); }

 private:
  cudaStream_t handle_ = nullptr;
};

template <class T>
cuda::Buffer<T> to_device(const std::vector<T>& values) {
  cuda::Buffer<T> buffer(static_cast<std::int64_t>(values.size()), kStream, "a test's array");
  cuda::copy(buffer.data(), values.data(), buffer.size(), kStream, "a test's array");
  return buffer;
}

template <class T>
std::vector<T> to_host(const T* memory, std::int64_t n) {
  std::vector<T> values(static_cast<std::size_t>(n));
  cuda::copy(values.data(), memory, n, kStream, "a test's array");
  kStream.synchronize();
  return values;
}

template <class T>
std::vector<T> to_host(const cuda::Buffer<T>& buffer) {
  return to_host(buffer.data(), buffer.size());
}

// f() in the threads' own order and in `count` others; then nothing may be left on the device. Sanitizers look at addresses,
// which the order changes little, and take ten times as long: one other order.
template <class F>
void in_orders(int count, F&& f) {
#if defined(__SANITIZE_ADDRESS__)
  count = std::min(count, 1);
#endif
  for (int seed = 0; seed <= count; ++seed) {
    emulator::set_seed(static_cast<std::uint64_t>(seed));
    f();
    CHECK(emulator::live_allocations() == 0);
  }
  emulator::set_seed(1);
}

// f() with the first allocation refused, then the second, until it needs no more: each time an Error of ErrorKind::memory that
// leaves nothing on the device. Returns how many allocations f makes.
template <class F>
int with_memory_refused(F&& f) {
  for (int nth = 1;; ++nth) {
    emulator::fail_allocation(nth);
    try {
      f();
      emulator::fail_allocation(0);
      CHECK(emulator::live_allocations() == 0);
      return nth - 1;
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::memory);
    }
    CHECK(emulator::live_allocations() == 0);
  }
}

}  // namespace coremax::test
