// See device.h. Everything that asks the CUDA runtime goes through check(), which knows the table of errors.
#include "cuda/device.h"

#include <cuda_runtime.h>

#include <chrono>
#include <map>
#include <mutex>
#include <thread>

#include "cuda/policy.h"

namespace coremax::cuda {
namespace {

// A wait asks at once, again and again, for as long as a short kernel takes, and then at this interval: the host's processor is
// others' too.
constexpr int kBusyPolls = 100;
constexpr auto kPoll = std::chrono::microseconds(50);

// The table of errors: what to say beside the runtime's own words. All that is not here needs no advice.
const char* advice(cudaError_t status) {
  switch (status) {
    case cudaErrorInsufficientDriver:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCallRequiresNewerDriver:
    case cudaErrorUnsupportedPtxVersion:
      return "; the NVIDIA driver is missing or too old for this build of coremax";
    case cudaErrorNoDevice:
    case cudaErrorDevicesUnavailable:
      return "; no device is visible to this process (see CUDA_VISIBLE_DEVICES)";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
      return "; this build of coremax has no code for this device: it needs compute capability 8.0 or later";
    case cudaErrorNotSupported:
      return "; coremax needs stream-ordered memory pools, which this device or its driver does not offer";
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorECCUncorrectable:
      return "; all that this process has on the device is lost, and only a new process can use it again";
    default:
      return "";
  }
}

bool out_of_memory(cudaError_t status) { return status == cudaErrorMemoryAllocation || status == cudaErrorMemoryValueTooLarge; }

std::string described(cudaError_t status) {
  return std::string(cudaGetErrorName(status)) + ", " + cudaGetErrorString(status) + advice(status);
}

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, device), "looking at the device");
  return value;
}

// Pools are made once and live as long as the process: memory may be given back to them at any time.
cudaMemPool_t pool_of(int device) {
  static std::mutex mutex;
  static std::map<int, cudaMemPool_t> pools;
  const std::lock_guard lock(mutex);
  cudaMemPool_t& pool = pools[device];
  if (pool != nullptr) return pool;
  std::size_t free_bytes = 0;
  std::size_t all_bytes = 0;
  check(cudaMemGetInfo(&free_bytes, &all_bytes), "looking at the device");
  cudaMemPoolProps properties{};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location.type = cudaMemLocationTypeDevice;
  properties.location.id = device;
  cudaMemPool_t made = nullptr;
  check(cudaMemPoolCreate(&made, &properties), "making a pool of memory");
  std::uint64_t kept = all_bytes / policy::kPoolKeepsShare;
  check(cudaMemPoolSetAttribute(made, cudaMemPoolAttrReleaseThreshold, &kept), "making a pool of memory");
  return pool = made;
}

}  // namespace

void fail(int status, const std::string& doing) {
  const auto error = static_cast<cudaError_t>(status);
  cudaGetLastError();
  if (out_of_memory(error)) throw Error(ErrorKind::memory, "the device has not enough memory left for " + doing);
  throw Error(ErrorKind::device, "CUDA failed while " + doing + ": " + described(error));
}

void Stream::synchronize(Control* control) const {
  if (control == nullptr) return check(cudaStreamSynchronize(handle_), "waiting for the device");
  for (int polls = 0;; ++polls) {
    const cudaError_t status = cudaStreamQuery(handle_);
    if (status != cudaErrorNotReady) return check(status, "waiting for the device");
    control->check();
    if (polls >= kBusyPolls) std::this_thread::sleep_for(kPoll);
  }
}

Event::Event() { check(cudaEventCreateWithFlags(&handle_, cudaEventDisableTiming), "making an event"); }

Event::~Event() { cudaEventDestroy(handle_); }

void Event::record(const Stream& stream) { check(cudaEventRecord(handle_, stream.handle()), "recording an event"); }

void Event::hold(const Stream& stream) const {
  check(cudaStreamWaitEvent(stream.handle(), handle_, 0), "waiting for an event");
}

bool Event::reached() const {
  const cudaError_t status = cudaEventQuery(handle_);
  if (status == cudaErrorNotReady) return false;
  check(status, "looking at an event");
  return true;
}

Turns::Turns() { check(cudaStreamCreateWithFlags(&home_, cudaStreamNonBlocking), "making a stream"); }

Turns::~Turns() { cudaStreamDestroy(home_); }

Turns::Turn::~Turn() {
  // Where it fails all later work fails too, and says so.
  cudaEventRecord(turns_.last_.handle(), stream_.handle());
}

Home::Home() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream"); }

Home::~Home() { cudaStreamDestroy(stream_); }

Home::Use::~Use() {
  const std::lock_guard lock(home_.mutex_);
  // Where it fails all later work fails too, and says so.
  cudaEventRecord(home_.last_.handle(), stream_.handle());
  cudaStreamWaitEvent(home_.stream_, home_.last_.handle(), 0);
}

SharedMemory::SharedMemory(std::int64_t bytes) : device_(current_device()) {
  if (bytes == 0) return;
  const cudaError_t status = cudaMalloc(&data_, static_cast<std::size_t>(bytes));
  if (status != cudaSuccess) fail(status, "an array of " + std::to_string(bytes) + " bytes");
}

SharedMemory::~SharedMemory() { cudaFree(data_); }

CurrentDevice::CurrentDevice(int device) : device_(device), before_(current_device()) {
  if (device_ != before_) check(cudaSetDevice(device_), "choosing a device");
}

CurrentDevice::~CurrentDevice() {
  if (device_ != before_) cudaSetDevice(before_);
}

int current_device() {
  int device = 0;
  check(cudaGetDevice(&device), "asking for the current device");
  return device;
}

DeviceInfo device_info(int device) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "looking at the device");
  DeviceInfo info;
  info.number = device;
  info.name = properties.name;
  info.memory_bytes = static_cast<std::int64_t>(properties.totalGlobalMem);
  info.major = attribute(cudaDevAttrComputeCapabilityMajor, device);
  info.minor = attribute(cudaDevAttrComputeCapabilityMinor, device);
  info.multiprocessors = attribute(cudaDevAttrMultiProcessorCount, device);
  info.shared_bytes = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  info.l2_bytes = attribute(cudaDevAttrL2CacheSize, device);
  return info;
}

std::string why_not(int* n_devices) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (n_devices != nullptr) *n_devices = status == cudaSuccess ? count : 0;
  if (status == cudaSuccess) return count > 0 ? "" : described(cudaErrorNoDevice);
  cudaGetLastError();
  return described(status);
}

namespace detail {

void* allocate(std::int64_t bytes, const Stream& stream, const char* what) {
  if (bytes < 0) throw Error(ErrorKind::memory, std::string("a negative size was asked for ") + what);
  if (bytes == 0) return nullptr;
  void* memory = nullptr;
  const cudaError_t status =
      cudaMallocFromPoolAsync(&memory, static_cast<std::size_t>(bytes), pool_of(current_device()), stream.handle());
  if (status != cudaSuccess) fail(status, std::string(what) + " (" + std::to_string(bytes) + " bytes)");
  return memory;
}

void release(void* memory, CUstream_st* stream) noexcept {
  if (memory != nullptr) cudaFreeAsync(memory, stream);
}

void copy(void* to, const void* from, std::int64_t bytes, const Stream& stream, const char* what) {
  if (bytes == 0) return;
  const cudaError_t status = cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDefault, stream.handle());
  if (status != cudaSuccess) fail(status, std::string("copying ") + what);
}

void set_bytes(void* memory, int value, std::int64_t bytes, const Stream& stream, const char* what) {
  if (bytes == 0) return;
  const cudaError_t status = cudaMemsetAsync(memory, value, static_cast<std::size_t>(bytes), stream.handle());
  if (status != cudaSuccess) fail(status, std::string("setting ") + what);
}

}  // namespace detail
}  // namespace coremax::cuda
