// The part of CUDA's language and runtime that the kernels use, in software: found instead of the toolkit's header of this name
// when g++ compiles .cu files for the emulator. Names and meanings are CUDA's; emulator.h says what is emulated how.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>
#include <utility>

#include "emulator.h"

#define COREMAX_CUDA_EMULATED 1

// ---- Language -----------------------------------------------------------------------------------------------------------

#define __host__
#define __device__
#define __global__
#define __constant__
#define __grid_constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

using uint3 = coremax::emulator::Index;
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

inline const uint3& threadIdx = coremax::emulator::place.thread;  // of the thread whose turn it is
inline const uint3& blockIdx = coremax::emulator::place.block;
inline const uint3& blockDim = coremax::emulator::place.block_shape;
inline const uint3& gridDim = coremax::emulator::place.grid_shape;
constexpr int warpSize = 32;

#define COREMAX_EMULATED_VECTOR(type, base, bytes2, bytes4)        \
  struct alignas(bytes2) type##2 { base x, y; };                   \
  struct alignas(bytes4) type##4 { base x, y, z, w; };             \
  inline type##2 make_##type##2(base x, base y) { return {x, y}; } \
  inline type##4 make_##type##4(base x, base y, base z, base w) { return {x, y, z, w}; }
COREMAX_EMULATED_VECTOR(float, float, 8, 16)
COREMAX_EMULATED_VECTOR(int, int, 8, 16)
COREMAX_EMULATED_VECTOR(uint, unsigned, 8, 16)
COREMAX_EMULATED_VECTOR(ushort, unsigned short, 4, 8)
COREMAX_EMULATED_VECTOR(char, signed char, 2, 4)
COREMAX_EMULATED_VECTOR(double, double, 16, 16)
COREMAX_EMULATED_VECTOR(longlong, long long, 16, 16)
COREMAX_EMULATED_VECTOR(ulonglong, unsigned long long, 16, 16)
#undef COREMAX_EMULATED_VECTOR

// ---- Arithmetic ---------------------------------------------------------------------------------------------------------

inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return std::sqrt(a); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __dsqrt_rn(double a) { return std::sqrt(a); }
inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
inline int __float_as_int(float a) { return std::bit_cast<int>(a); }
inline unsigned __float_as_uint(float a) { return std::bit_cast<unsigned>(a); }
inline float __int_as_float(int a) { return std::bit_cast<float>(a); }
inline float __uint_as_float(unsigned a) { return std::bit_cast<float>(a); }
inline long long __double_as_longlong(double a) { return std::bit_cast<long long>(a); }
inline double __longlong_as_double(long long a) { return std::bit_cast<double>(a); }
inline int __popc(unsigned a) { return std::popcount(a); }
inline int __popcll(unsigned long long a) { return std::popcount(a); }
inline int __clz(int a) { return std::countl_zero(static_cast<unsigned>(a)); }
inline int __clzll(long long a) { return std::countl_zero(static_cast<unsigned long long>(a)); }
inline int __ffs(int a) { return a == 0 ? 0 : std::countr_zero(static_cast<unsigned>(a)) + 1; }
inline int __ffsll(long long a) { return a == 0 ? 0 : std::countr_zero(static_cast<unsigned long long>(a)) + 1; }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(std::uint64_t{a} * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
inline int __dp4a(int a, int b, int c) {
  for (int i = 0; i < 32; i += 8) c += static_cast<signed char>(a >> i) * static_cast<signed char>(b >> i);
  return c;
}
template <class T>
T __ldg(const T* from) {
  return *from;
}
template <class T>
T __ldcs(const T* from) {
  return *from;
}
template <class T>
T __ldcg(const T* from) {
  return *from;
}
template <class T>
void __stcs(T* to, std::type_identity_t<T> value) {
  *to = value;
}

// CUDA's own min and max of mixed integers are left out on purpose: std::min and std::max work on both sides.

// ---- Barriers, warps ----------------------------------------------------------------------------------------------------

inline void __syncthreads(coremax::emulator::Location where = coremax::emulator::Location::current()) {
  coremax::emulator::synchronize_threads("__syncthreads", where);
}
inline int __syncthreads_or(int value, coremax::emulator::Location where = coremax::emulator::Location::current()) {
  return coremax::emulator::synchronize_reduce("__syncthreads_or", value != 0, [](int a, int b) { return a | b; }, 0, where);
}
inline int __syncthreads_and(int value, coremax::emulator::Location where = coremax::emulator::Location::current()) {
  return coremax::emulator::synchronize_reduce("__syncthreads_and", value != 0, [](int a, int b) { return a & b; }, 1, where);
}
inline int __syncthreads_count(int value, coremax::emulator::Location where = coremax::emulator::Location::current()) {
  return coremax::emulator::synchronize_reduce("__syncthreads_count", value != 0, [](int a, int b) { return a + b; }, 0, where);
}
inline void __threadfence() { coremax::emulator::interleave(); }
inline void __threadfence_block() { coremax::emulator::interleave(); }
inline void __nanosleep(unsigned) { coremax::emulator::yield(); }
inline unsigned __activemask() = delete;  // which lanes are together is nobody's to know: masks are stated

inline void __syncwarp(unsigned mask = 0xFFFFFFFF, coremax::emulator::Location where = coremax::emulator::Location::current()) {
  coremax::emulator::collective(mask, "__syncwarp", where, nullptr, [](void* const*) {});
}

namespace coremax::emulator {

template <class T>
struct ShuffleLane {
  T value;
  int source;
  T result;
};

// source: a lane of the segment, or less than 0 for one's own.
template <class T>
T shuffle(unsigned mask, const char* what, T value, int source, Location where) {
  ShuffleLane<T> lane{value, source < 0 ? lane_index() : source, value};
  collective_of(mask, what, where, lane, [&](ShuffleLane<T>* const* lanes) {
    for (int i = 0; i < 32; ++i) {
      if (lanes[i] == nullptr) continue;
      if (lanes[lanes[i]->source] == nullptr)
        fault(std::string(what) + ": lane " + std::to_string(i) + " reads lane " + std::to_string(lanes[i]->source) +
              ", which takes no part");
      lanes[i]->result = lanes[lanes[i]->source]->value;
    }
  });
  return lane.result;
}

inline unsigned vote(unsigned mask, const char* what, bool value, Location where) {
  struct Lane {
    bool value;
    unsigned ballot;
  } lane{value, 0};
  collective_of(mask, what, where, lane, [](Lane* const* lanes) {
    unsigned ballot = 0;
    for (int i = 0; i < 32; ++i)
      if (lanes[i] != nullptr && lanes[i]->value) ballot |= 1U << i;
    for (int i = 0; i < 32; ++i)
      if (lanes[i] != nullptr) lanes[i]->ballot = ballot;
  });
  return lane.ballot;
}

template <class T, class F>
T reduce(unsigned mask, const char* what, T value, F combine, Location where) {
  struct Lane {
    T value;
    T result;
  } lane{value, value};
  collective_of(mask, what, where, lane, [&](Lane* const* lanes) {
    const Lane* first = nullptr;
    T result{};
    for (int i = 0; i < 32; ++i) {
      if (lanes[i] == nullptr) continue;
      result = first == nullptr ? lanes[i]->value : combine(result, lanes[i]->value);
      first = lanes[i];
    }
    for (int i = 0; i < 32; ++i)
      if (lanes[i] != nullptr) lanes[i]->result = result;
  });
  return lane.result;
}

template <class T>
unsigned matching(unsigned mask, T value, Location where) {
  struct Lane {
    T value;
    unsigned result;
  } lane{value, 0};
  collective_of(mask, "__match_any_sync", where, lane, [](Lane* const* lanes) {
    for (int i = 0; i < 32; ++i)
      for (int j = 0; j < 32; ++j)
        if (lanes[i] != nullptr && lanes[j] != nullptr && lanes[i]->value == lanes[j]->value) lanes[i]->result |= 1U << j;
  });
  return lane.result;
}

}  // namespace coremax::emulator

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              coremax::emulator::Location where = coremax::emulator::Location::current()) {
  const int segment = coremax::emulator::lane_index() & ~(width - 1);
  return coremax::emulator::shuffle(mask, "__shfl_sync", value, segment + (source & (width - 1)), where);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 coremax::emulator::Location where = coremax::emulator::Location::current()) {
  const int lane = coremax::emulator::lane_index();
  const int source = lane - static_cast<int>(delta);
  return coremax::emulator::shuffle(mask, "__shfl_up_sync", value, source < (lane & ~(width - 1)) ? -1 : source, where);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   coremax::emulator::Location where = coremax::emulator::Location::current()) {
  const int lane = coremax::emulator::lane_index();
  const int source = lane + static_cast<int>(delta);
  return coremax::emulator::shuffle(mask, "__shfl_down_sync", value, source > (lane | (width - 1)) ? -1 : source, where);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32,
                  coremax::emulator::Location where = coremax::emulator::Location::current()) {
  const int lane = coremax::emulator::lane_index();
  const int source = lane ^ lanes;
  return coremax::emulator::shuffle(mask, "__shfl_xor_sync", value, source > (lane | (width - 1)) ? -1 : source, where);
}
inline unsigned __ballot_sync(unsigned mask, int value,
                              coremax::emulator::Location where = coremax::emulator::Location::current()) {
  return coremax::emulator::vote(mask, "__ballot_sync", value != 0, where);
}
inline int __any_sync(unsigned mask, int value, coremax::emulator::Location where = coremax::emulator::Location::current()) {
  return coremax::emulator::vote(mask, "__any_sync", value != 0, where) != 0;
}
inline int __all_sync(unsigned mask, int value, coremax::emulator::Location where = coremax::emulator::Location::current()) {
  return coremax::emulator::vote(mask, "__all_sync", value == 0, where) == 0;
}
template <class T>
unsigned __match_any_sync(unsigned mask, T value, coremax::emulator::Location where = coremax::emulator::Location::current()) {
  return coremax::emulator::matching(mask, value, where);
}
#define COREMAX_EMULATED_REDUCE(name, type, ...)                                                                            \
  inline type name(unsigned mask, type value, coremax::emulator::Location where = coremax::emulator::Location::current()) { \
    return coremax::emulator::reduce(mask, #name, value, [](type a, type b) -> type { return __VA_ARGS__; }, where);        \
  }
COREMAX_EMULATED_REDUCE(__reduce_add_sync, unsigned, a + b)
COREMAX_EMULATED_REDUCE(__reduce_min_sync, unsigned, std::min(a, b))
COREMAX_EMULATED_REDUCE(__reduce_max_sync, unsigned, std::max(a, b))
COREMAX_EMULATED_REDUCE(__reduce_or_sync, unsigned, a | b)
COREMAX_EMULATED_REDUCE(__reduce_and_sync, unsigned, a& b)
COREMAX_EMULATED_REDUCE(__reduce_add_sync, int, a + b)
COREMAX_EMULATED_REDUCE(__reduce_min_sync, int, std::min(a, b))
COREMAX_EMULATED_REDUCE(__reduce_max_sync, int, std::max(a, b))
#undef COREMAX_EMULATED_REDUCE

// ---- Atomics: the types that CUDA has them for --------------------------------------------------------------------------

namespace coremax::emulator {

template <class T, class F>
T atomically(T* where, F&& change) {
  interleave();
  const T old = *where;
  *where = change(old);
  return old;
}

template <class T, class... Types>
concept OneOf = (std::is_same_v<T, Types> || ...);

template <class T>
using Plain = std::type_identity_t<T>;

}  // namespace coremax::emulator

template <coremax::emulator::OneOf<int, unsigned, unsigned long long, float, double> T>
T atomicAdd(T* where, coremax::emulator::Plain<T> value) {
  return coremax::emulator::atomically(where, [=](T old) { return static_cast<T>(old + value); });
}
template <coremax::emulator::OneOf<int, unsigned> T>
T atomicSub(T* where, coremax::emulator::Plain<T> value) {
  return coremax::emulator::atomically(where, [=](T old) { return old - value; });
}
template <coremax::emulator::OneOf<int, unsigned, long long, unsigned long long> T>
T atomicMin(T* where, coremax::emulator::Plain<T> value) {
  return coremax::emulator::atomically(where, [=](T old) { return std::min(old, value); });
}
template <coremax::emulator::OneOf<int, unsigned, long long, unsigned long long> T>
T atomicMax(T* where, coremax::emulator::Plain<T> value) {
  return coremax::emulator::atomically(where, [=](T old) { return std::max(old, value); });
}
template <coremax::emulator::OneOf<int, unsigned, unsigned long long> T>
T atomicOr(T* where, coremax::emulator::Plain<T> value) {
  return coremax::emulator::atomically(where, [=](T old) { return old | value; });
}
template <coremax::emulator::OneOf<int, unsigned, unsigned long long> T>
T atomicAnd(T* where, coremax::emulator::Plain<T> value) {
  return coremax::emulator::atomically(where, [=](T old) { return old & value; });
}
template <coremax::emulator::OneOf<int, unsigned, unsigned long long, float> T>
T atomicExch(T* where, coremax::emulator::Plain<T> value) {
  return coremax::emulator::atomically(where, [=](T) { return value; });
}
template <coremax::emulator::OneOf<int, unsigned, unsigned long long> T>
T atomicCAS(T* where, coremax::emulator::Plain<T> expected, coremax::emulator::Plain<T> value) {
  return coremax::emulator::atomically(where, [=](T old) { return old == expected ? value : old; });
}

// ---- Runtime ------------------------------------------------------------------------------------------------------------

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorMemoryValueTooLarge = 32,
  cudaErrorInsufficientDriver = 35,
  cudaErrorCallRequiresNewerDriver = 36,
  cudaErrorDevicesUnavailable = 46,
  cudaErrorInvalidDeviceFunction = 98,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNoKernelImageForDevice = 209,
  cudaErrorECCUncorrectable = 214,
  cudaErrorUnsupportedPtxVersion = 222,
  cudaErrorNotReady = 600,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchTimeout = 702,
  cudaErrorAssert = 710,
  cudaErrorHardwareStackError = 714,
  cudaErrorIllegalInstruction = 715,
  cudaErrorMisalignedAddress = 716,
  cudaErrorInvalidAddressSpace = 717,
  cudaErrorInvalidPc = 718,
  cudaErrorLaunchFailure = 719,
  cudaErrorNotSupported = 801,
  cudaErrorSystemDriverMismatch = 803
};
enum cudaMemcpyKind {
  cudaMemcpyHostToHost,
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice,
  cudaMemcpyDefault
};
enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount,
  cudaDevAttrMaxSharedMemoryPerBlockOptin,
  cudaDevAttrComputeCapabilityMajor,
  cudaDevAttrComputeCapabilityMinor,
  cudaDevAttrL2CacheSize,
  cudaDevAttrMaxThreadsPerMultiProcessor,
  cudaDevAttrMemoryPoolsSupported,
  cudaDevAttrCooperativeLaunch
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
enum cudaLaunchAttributeID { cudaLaunchAttributeCooperative = 2 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal, cudaStreamCaptureModeRelaxed };

struct cudaDeviceProp {
  char name[256];
  std::size_t totalGlobalMem;
  int multiProcessorCount;
};
union cudaLaunchAttributeValue {
  int cooperative;
};
struct cudaLaunchAttribute {
  cudaLaunchAttributeID id;
  cudaLaunchAttributeValue val;
};

using cudaStream_t = struct CUstream_st*;
using cudaEvent_t = struct CUevent_st*;
using cudaGraph_t = struct CUgraph_st*;
using cudaGraphExec_t = struct CUgraphExec_st*;
constexpr unsigned cudaEventDefault = 0;
constexpr unsigned cudaEventDisableTiming = 2;
constexpr unsigned cudaStreamNonBlocking = 1;

struct cudaLaunchConfig_t {
  dim3 gridDim;
  dim3 blockDim;
  std::size_t dynamicSmemBytes;
  cudaStream_t stream;
  cudaLaunchAttribute* attrs;
  unsigned numAttrs;
};

const char* cudaGetErrorName(cudaError_t status);
const char* cudaGetErrorString(cudaError_t status);
cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int device);
cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes);

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamQuery(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventSynchronize(cudaEvent_t event);

enum cudaMemAllocationType { cudaMemAllocationTypePinned = 1 };
enum cudaMemLocationType { cudaMemLocationTypeDevice = 1 };
enum cudaMemPoolAttr { cudaMemPoolAttrReleaseThreshold = 4 };
struct cudaMemLocation {
  cudaMemLocationType type;
  int id;
};
struct cudaMemPoolProps {
  cudaMemAllocationType allocType;
  cudaMemLocation location;
};
using cudaMemPool_t = struct CUmemPoolHandle_st*;
cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties);
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr which, void* value);
cudaError_t cudaMallocFromPoolAsync(void** memory, std::size_t bytes, cudaMemPool_t pool, cudaStream_t stream);
cudaError_t cudaMalloc(void** memory, std::size_t bytes);
cudaError_t cudaFree(void* memory);
cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t stream);
cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream);
cudaError_t cudaMallocHost(void** memory, std::size_t bytes);
cudaError_t cudaFreeHost(void* memory);
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream);

// What is captured is run by each launch of the graph, with the arguments it had.
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);

namespace coremax::emulator {
cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel, std::function<void()> run);
cudaError_t allow_dynamic_shared(const void* kernel, int bytes);
int resident_blocks(int threads, std::size_t dynamic_shared);
}  // namespace coremax::emulator

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...), Arguments&&... arguments) {
  // Bound by value, and copied for each thread: as parameters of a kernel are.
  std::function<void()> run =
      [kernel, ... values = static_cast<std::decay_t<Parameters>>(std::forward<Arguments>(arguments))]() { kernel(values...); };
  return coremax::emulator::launch(*config, reinterpret_cast<const void*>(kernel), std::move(run));
}
template <class... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute, int value) {
  return coremax::emulator::allow_dynamic_shared(reinterpret_cast<const void*>(kernel), value);
}
template <class... Parameters>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void (*)(Parameters...), int threads,
                                                          std::size_t dynamic_shared) {
  *blocks = coremax::emulator::resident_blocks(threads, dynamic_shared);
  return cudaSuccess;
}
