// What host code needs of a CUDA device: streams, events, buffers, copies, and the table of errors. The one CUDA header that a
// .cpp file may include (but for the runtime's own, in this folder); kernels and launches are in .cu files, see launch.h.
//
// Rules. Work goes to the caller's stream, in order, and is not waited for unless a number has to come back to the host. Memory
// comes from a stream-ordered pool of ours for each device (cudaMallocFromPoolAsync): it may be used by work put into the same
// stream, and giving it back does not wait either; the pool keeps a little of it between calls (policy.h). Outputs are memory
// of the caller's library. Functions take the device that is current, which the bindings set with CurrentDevice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>

#include "core/control.h"
#include "core/errors.h"

struct CUstream_st;  // what cudaStream_t and cudaEvent_t point at
struct CUevent_st;

namespace coremax::cuda {

// Throws the Error that a status of the runtime stands for: out of memory is ErrorKind::memory, all else ErrorKind::device.
// Also clears it, so that the next user of the device in this process does not find it.
[[noreturn]] void fail(int status, const std::string& doing);

// doing: what was being done, for the message: "copying the weights".
inline void check(int status, const char* doing) {
  if (status != 0) [[unlikely]]
    fail(status, doing);
}

// The caller's stream on the current device.
class Stream {
 public:
  explicit Stream(CUstream_st* handle) : handle_(handle) {}
  CUstream_st* handle() const { return handle_; }
  // Waits until all that was put into the stream is done. With a Control the wait ends where it throws, as on Ctrl-C: the
  // device goes on, and buffers stay valid for it since they are given back in the stream's order.
  void synchronize(Control* control = nullptr) const;

 private:
  CUstream_st* handle_;
};

// A point in a stream, for which another stream, or the host, can wait.
class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(const Stream& stream);
  void hold(const Stream& stream) const;  // later work of the stream waits for the point
  bool reached() const;
  CUevent_st* handle() const { return handle_; }

 private:
  CUevent_st* handle_ = nullptr;
};

// The order of uses of memory that outlives a call: each comes after the one before, whatever their streams. Such memory is
// asked for and given back in the stream `home`, its own, which is there as long as it is.
class Turns {
 public:
  Turns();
  ~Turns();
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;
  Stream home() const { return Stream(home_); }

  // A use by what is put into a stream while this lives. Not by two threads at a time.
  class Turn {
   public:
    Turn(Turns& turns, const Stream& stream) : turns_(turns), stream_(stream) { turns_.last_.hold(stream_); }
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Turns& turns_;
    Stream stream_;
  };

 private:
  Event last_;
  CUstream_st* home_ = nullptr;
};

// For memory that outlives a call and is only read in later ones, by any threads and in any streams at a time: it is given back
// in the order of a stream of ours, behind all uses that this was told of.
class Home {
 public:
  Home();
  ~Home();
  Home(const Home&) = delete;
  Home& operator=(const Home&) = delete;
  Stream stream() const { return Stream(stream_); }

  // A use by what is put into a stream while this lives, even where an error ends it.
  class Use {
   public:
    Use(Home& home, const Stream& stream) : home_(home), stream_(stream) {}
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    Home& home_;
    Stream stream_;
  };

 private:
  std::mutex mutex_;
  Event last_;
  CUstream_st* stream_ = nullptr;
};

// Makes a device current, and the earlier one again at the end.
class CurrentDevice {
 public:
  explicit CurrentDevice(int device);
  ~CurrentDevice();
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

 private:
  int device_ = 0;
  int before_ = 0;
};

struct DeviceInfo {
  int number = 0;
  std::string name;
  int major = 0;  // compute capability
  int minor = 0;
  int multiprocessors = 0;
  int shared_bytes = 0;  // that a block can have
  std::int64_t l2_bytes = 0;
  std::int64_t memory_bytes = 0;
};

int current_device();
DeviceInfo device_info(int device);
// Why nothing can run here ("the driver is too old ..."), or empty; then there are so many devices.
std::string why_not(int* n_devices = nullptr);

// Memory that arrays of other libraries may share, for as long as any of them lives and in any of their streams: so giving it
// back waits for the device. Bytes, uninitialised.
class SharedMemory {
 public:
  explicit SharedMemory(std::int64_t bytes);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  void* data() const { return data_; }
  int device() const { return device_; }

 private:
  void* data_ = nullptr;
  int device_ = 0;
};

namespace detail {
void* allocate(std::int64_t bytes, const Stream& stream, const char* what);
void release(void* memory, CUstream_st* stream) noexcept;
void copy(void* to, const void* from, std::int64_t bytes, const Stream& stream, const char* what);
void set_bytes(void* memory, int value, std::int64_t bytes, const Stream& stream, const char* what);
}  // namespace detail

// Memory on the device, uninitialised, of a trivial type. what: the name in the message where there is not enough.
template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Buffer() = default;
  Buffer(std::int64_t size, const Stream& stream, const char* what)
      : data_(static_cast<T*>(detail::allocate(checked_multiply(size, sizeof(T)), stream, what))),
        size_(size),
        stream_(stream.handle()) {}
  ~Buffer() { detail::release(data_, stream_); }
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)), stream_(other.stream_) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(stream_, other.stream_);
    return *this;
  }
  T* data() const { return data_; }  // not for the host to follow
  std::int64_t size() const { return size_; }
  std::int64_t bytes() const { return size_ * static_cast<std::int64_t>(sizeof(T)); }
  // From now on it is given back in the order of this stream; all that the other was given to do with it is done.
  void give_back_in(const Stream& stream) { stream_ = stream.handle(); }

 private:
  T* data_ = nullptr;
  std::int64_t size_ = 0;
  CUstream_st* stream_ = nullptr;
};

// Copies of n elements, in the stream's order; either side may be host memory. The host may read or overwrite its own after
// synchronize() (what it gave from ordinary memory it may change at once).
template <class T>
void copy(T* to, const std::type_identity_t<T>* from, std::int64_t n, const Stream& stream, const char* what) {
  static_assert(std::is_trivially_copyable_v<T>);
  detail::copy(to, from, checked_multiply(n, sizeof(T)), stream, what);
}

// All bytes of n elements.
template <class T>
void set_bytes(T* memory, int value, std::int64_t n, const Stream& stream, const char* what) {
  detail::set_bytes(memory, value, checked_multiply(n, sizeof(T)), stream, what);
}

// One element, waited for.
template <class T>
T read_back(const T* memory, const Stream& stream, const char* what, Control* control = nullptr) {
  T value;
  copy(&value, memory, 1, stream, what);
  stream.synchronize(control);
  return value;
}

}  // namespace coremax::cuda
