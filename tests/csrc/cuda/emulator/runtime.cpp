// The runtime: streams that put work off until the host waits, memory that is given out and taken back in their order.
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "cuda_runtime.h"

using Work = std::function<void()>;

struct CUgraph_st {
  std::vector<Work> work;
};
struct CUgraphExec_st {
  std::vector<Work> work;
};

struct CUstream_st {
  std::deque<Work> queue;
  std::uint64_t issued = 0;
  std::uint64_t done = 0;
  bool busy = false;
  std::unique_ptr<CUgraph_st> capture;
};

struct CUevent_st {
  CUstream_st* stream = nullptr;
  std::uint64_t position = 0;
};

namespace {

using namespace coremax::emulator;

constexpr int kPoison = 0xFF;
constexpr int kMultiprocessors = 3;
constexpr std::size_t kSharedUsual = 48 << 10;
constexpr std::size_t kSharedMost = 227 << 10;
constexpr int kThreadsMost = 1024;
constexpr int kThreadsPerMultiprocessor = 2048;
constexpr unsigned kGridMostYz = 65535;
// Memory that was given back is poisoned and held for a while, so that what still reads it gets no numbers, and what writes to
// it is found.
constexpr std::size_t kHeldBytes = std::size_t{64} << 20;
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kHolds = false;  // the sanitizer finds either at once
#else
constexpr bool kHolds = true;
#endif

struct Held {
  void* memory;
  std::size_t bytes;
};

struct Device {
  CUstream_st null_stream;
  std::set<CUstream_st*> streams{&null_stream};
  std::map<void*, std::size_t> allocations;
  std::set<void*> given_back;  // but not yet by the stream
  std::deque<Held> held;
  std::size_t held_bytes = 0;
  std::map<void*, std::size_t> pinned;
  std::map<const void*, int> dynamic_shared;
  cudaError_t last_error = cudaSuccess;
  std::int64_t fail_in = 0;
  std::int64_t launches = 0;
};

Device& device() {
  static Device the_device;
  return the_device;
}

CUstream_st* stream_of(cudaStream_t handle) {
  const auto number = reinterpret_cast<std::uintptr_t>(handle);
  if (number <= 2) return &device().null_stream;
  if (!device().streams.contains(handle)) fault("a stream is used that does not exist, or no more");
  return handle;
}

cudaError_t failed(cudaError_t status) {
  device().last_error = status;
  return status;
}

// Does the work of a stream up to a position.
void run(CUstream_st& stream, std::uint64_t until) {
  if (stream.done >= until) return;
  if (stream.busy) fault("streams wait for each other in a circle");
  stream.busy = true;
  struct Idle {
    CUstream_st& stream;
    ~Idle() { stream.busy = false; }
  } idle{stream};
  while (stream.done < until) {
    const Work work = std::move(stream.queue.front());
    stream.queue.pop_front();
    ++stream.done;
    work();
  }
}

void put(cudaStream_t handle, Work work) {
  CUstream_st* stream = stream_of(handle);
  if (stream->capture) {
    stream->capture->work.push_back(std::move(work));
    return;
  }
  stream->queue.push_back(std::move(work));
  ++stream->issued;
}

void forbid_capture(const CUstream_st* stream, const char* what) {
  if (stream->capture) fault(std::string(what) + " while the stream is captured");
}

bool refuse_allocation() { return device().fail_in > 0 && --device().fail_in == 0; }

bool is_poisoned(const Held& held) {
  const auto* bytes = static_cast<const unsigned char*>(held.memory);
  return held.bytes == 0 || (bytes[0] == kPoison && std::memcmp(bytes, bytes + 1, held.bytes - 1) == 0);
}

// Lets go of held memory but for so many bytes of it.
void release_held(std::size_t bytes_left) {
  bool intact = true;
  while (device().held_bytes > bytes_left) {
    const Held oldest = device().held.front();
    device().held.pop_front();
    device().held_bytes -= oldest.bytes;
    intact = intact && is_poisoned(oldest);
    std::free(oldest.memory);
  }
  if (!intact) fault("memory was written to after it had been given back");
}

void give_memory_back(void* memory) {
  device().given_back.erase(memory);
  const auto found = device().allocations.find(memory);
  if (found == device().allocations.end()) fault("memory is given back that is not there, or twice");
  const std::size_t bytes = found->second;
  device().allocations.erase(found);
  if (!kHolds) return std::free(memory);
  std::memset(memory, kPoison, std::max<std::size_t>(bytes, 1));
  device().held.push_back({memory, std::max<std::size_t>(bytes, 1)});
  device().held_bytes += std::max<std::size_t>(bytes, 1);
  release_held(kHeldBytes);
}

// Whether all of [memory, memory + bytes) is one allocation's.
bool on_device(const void* memory, std::size_t bytes) {
  auto& allocations = device().allocations;
  auto next = allocations.upper_bound(const_cast<void*>(memory));
  if (next == allocations.begin()) return false;
  --next;
  const auto* first = static_cast<const char*>(next->first);
  return static_cast<const char*>(memory) + bytes <= first + next->second;
}

bool is_pinned(const void* memory) {
  for (const auto& [first, size] : device().pinned)
    if (memory >= first && static_cast<const char*>(memory) < static_cast<const char*>(first) + size) return true;
  return false;
}

void finish_all() {
  for (CUstream_st* stream : device().streams) run(*stream, stream->issued);
}

}  // namespace

namespace coremax::emulator {

void fail_allocation(std::int64_t n) { device().fail_in = n; }

std::int64_t live_allocations() {
  finish_all();
  release_held(0);
  return static_cast<std::int64_t>(device().allocations.size() + device().pinned.size());
}

std::int64_t launches() { return device().launches; }

void reset() {
  for (CUstream_st* stream : device().streams) {
    stream->queue.clear();
    stream->done = stream->issued;
    stream->capture.reset();
  }
  for (const auto& [memory, size] : device().allocations) std::free(memory);
  for (const Held& held : device().held) std::free(held.memory);
  device().held.clear();
  device().held_bytes = 0;
  device().allocations.clear();
  device().given_back.clear();
  device().fail_in = 0;
  device().last_error = cudaSuccess;
}

cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel, std::function<void()> body) {
  const dim3 grid = config.gridDim;
  const dim3 block = config.blockDim;
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7FFFFFFF || grid.y > kGridMostYz || grid.z > kGridMostYz)
    return failed(cudaErrorInvalidConfiguration);
  if (threads == 0 || threads > kThreadsMost || block.z > 64) return failed(cudaErrorInvalidConfiguration);
  const auto allowed = device().dynamic_shared.find(kernel);
  const std::size_t most = allowed == device().dynamic_shared.end() ? kSharedUsual : static_cast<std::size_t>(allowed->second);
  if (config.dynamicSmemBytes > most) return failed(cudaErrorInvalidValue);
  bool cooperative = false;
  for (unsigned i = 0; i < config.numAttrs; ++i)
    cooperative = cooperative || (config.attrs[i].id == cudaLaunchAttributeCooperative && config.attrs[i].val.cooperative != 0);
  const int most_blocks = kMultiprocessors * resident_blocks(static_cast<int>(threads), config.dynamicSmemBytes);
  if (cooperative && std::uint64_t{grid.x} * grid.y * grid.z > static_cast<std::uint64_t>(most_blocks))
    return failed(cudaErrorInvalidConfiguration);
  ++device().launches;
  put(config.stream, [=, shared = config.dynamicSmemBytes, body = std::move(body)] {
    run_kernel({grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, shared, cooperative, body);
  });
  return cudaSuccess;
}

cudaError_t allow_dynamic_shared(const void* kernel, int bytes) {
  if (bytes < 0 || static_cast<std::size_t>(bytes) > kSharedMost) return failed(cudaErrorInvalidValue);
  device().dynamic_shared[kernel] = bytes;
  return cudaSuccess;
}

int resident_blocks(int threads, std::size_t dynamic_shared) {
  const int by_threads = kThreadsPerMultiprocessor / std::max(threads, 1);
  const int by_memory = dynamic_shared == 0 ? by_threads : static_cast<int>(kSharedMost / dynamic_shared);
  return std::min({by_threads, by_memory, 2});
}

}  // namespace coremax::emulator

const char* cudaGetErrorName(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorIllegalAddress:
      return "cudaErrorIllegalAddress";
    case cudaErrorNoDevice:
      return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    default:
      return "cudaErrorUnknown";
  }
}
const char* cudaGetErrorString(cudaError_t) { return "an error of the emulated device"; }
cudaError_t cudaGetLastError() { return std::exchange(device().last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return device().last_error; }
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* number) {
  *number = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int number) { return number == 0 ? cudaSuccess : failed(cudaErrorInvalidDevice); }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int number) {
  *properties = {"emulated device", std::size_t{1} << 30, kMultiprocessors};
  return cudaSetDevice(number);
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int number) {
  switch (which) {
    case cudaDevAttrMultiProcessorCount:
      *value = kMultiprocessors;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(kSharedMost);
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 9;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      break;
    case cudaDevAttrL2CacheSize:
      *value = 1 << 20;
      break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = kThreadsPerMultiprocessor;
      break;
    case cudaDevAttrMemoryPoolsSupported:
    case cudaDevAttrCooperativeLaunch:
      *value = 1;
      break;
  }
  return cudaSetDevice(number);
}
cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
  *free_bytes = *total_bytes = std::size_t{1} << 30;
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  device().streams.insert(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  CUstream_st* own = stream_of(stream);
  run(*own, own->issued);
  device().streams.erase(own);
  delete own;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  CUstream_st* stream = stream_of(handle);
  forbid_capture(stream, "the host waits");
  run(*stream, stream->issued);
  return cudaSuccess;
}
// Ready at the second time of asking: the first does the work.
cudaError_t cudaStreamQuery(cudaStream_t handle) {
  CUstream_st* stream = stream_of(handle);
  forbid_capture(stream, "the host asks");
  if (stream->done == stream->issued) return cudaSuccess;
  run(*stream, stream->issued);
  return cudaErrorNotReady;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
  if (event->stream == nullptr || event->stream == stream_of(handle)) return cudaSuccess;
  put(handle, [stream = event->stream, position = event->position] {
    if (device().streams.contains(stream)) run(*stream, position);
  });
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  forbid_capture(stream_of(handle), "an event is recorded");
  event->stream = stream_of(handle);
  event->position = event->stream->issued;
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (event->stream == nullptr || event->stream->done >= event->position) return cudaSuccess;
  run(*event->stream, event->position);
  return cudaErrorNotReady;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->stream != nullptr) run(*event->stream, event->position);
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, std::size_t bytes) { return cudaMallocAsync(memory, bytes, nullptr); }
cudaError_t cudaFree(void* memory) {
  finish_all();
  if (memory != nullptr) give_memory_back(memory);
  return cudaSuccess;
}
cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t stream) {
  forbid_capture(stream_of(stream), "memory is asked for");
  *memory = nullptr;
  if (refuse_allocation() || bytes > std::size_t{1} << 34) return failed(cudaErrorMemoryAllocation);
  *memory = std::malloc(std::max<std::size_t>(bytes, 1));
  std::memset(*memory, kPoison, std::max<std::size_t>(bytes, 1));
  device().allocations[*memory] = bytes;
  return cudaSuccess;
}
cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties) {
  if (properties->allocType != cudaMemAllocationTypePinned || properties->location.type != cudaMemLocationTypeDevice ||
      properties->location.id != 0)
    return failed(cudaErrorInvalidValue);
  *pool = reinterpret_cast<cudaMemPool_t>(&device());
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
cudaError_t cudaMallocFromPoolAsync(void** memory, std::size_t bytes, cudaMemPool_t pool, cudaStream_t stream) {
  if (pool != reinterpret_cast<cudaMemPool_t>(&device())) fault("memory is asked of a pool that is none");
  return cudaMallocAsync(memory, bytes, stream);
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  if (memory == nullptr) return cudaSuccess;
  forbid_capture(stream_of(stream), "memory is given back");
  if (!device().given_back.insert(memory).second) fault("memory is given back twice");
  put(stream, [memory] { give_memory_back(memory); });
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
  *memory = nullptr;
  if (refuse_allocation()) return failed(cudaErrorMemoryAllocation);
  *memory = std::malloc(bytes);
  std::memset(*memory, kPoison, bytes);
  device().pinned[*memory] = bytes;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* memory) {
  finish_all();  // as the runtime does
  if (device().pinned.erase(memory) == 0) fault("pinned memory is given back that is not there");
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  if (!on_device(from, bytes) && !is_pinned(from)) {
    // From ordinary host memory: taken at once, as the runtime promises.
    const auto* first = static_cast<const char*>(from);
    put(stream, [to, to_device = on_device(to, bytes), staged = std::vector<char>(first, first + bytes)] {
      if (to_device && !on_device(to, staged.size())) fault("a copy comes after its memory was given back");
      std::memcpy(to, staged.data(), staged.size());
    });
    return cudaSuccess;
  }
  put(stream, [=, of_device = on_device(from, bytes), to_device = on_device(to, bytes)] {
    if ((of_device && !on_device(from, bytes)) || (to_device && !on_device(to, bytes)))
      fault("a copy comes after its memory was given back");
    std::memcpy(to, from, bytes);
  });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  put(stream, [=] {
    if (!on_device(memory, bytes)) fault("memory is set that is no part of one allocation of the device");
    std::memset(memory, value, bytes);
  });
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode) {
  CUstream_st* stream = stream_of(handle);
  if (stream == &device().null_stream) return failed(cudaErrorInvalidValue);
  forbid_capture(stream, "a capture begins");
  stream->capture = std::make_unique<CUgraph_st>();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  CUstream_st* stream = stream_of(handle);
  if (!stream->capture) return failed(cudaErrorInvalidValue);
  *graph = stream->capture.release();
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new CUgraphExec_st{graph->work};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  for (const Work& work : executable->work) put(stream, work);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
