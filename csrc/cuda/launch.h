// How to write a kernel. For .cu files only: they are compiled by nvcc for the device and by g++ for the emulator of
// tests/csrc/cuda, which runs every kernel on small inputs in CI. So:
//   - a launch is launch(stream, Grid{blocks, threads}, kernel, arguments...), never <<<>>>;
//   - shared memory is COREMAX_SHARED(name, type); inside the kernel, or dynamic_shared<T>() where the launch gives its size;
//   - the mask of a warp collective is stated, and all its lanes come: no return before a collective or a barrier; blocks are
//   whole warps;
//   - instructions without a name in CUDA C++ are in ptx.h, reductions and scans of a block in block.h;
//   - std::min, std::bit_cast and other constexpr functions work on both sides; formulas that the CPU engines share are
//   COREMAX_HD;
//   - a * b + c is two roundings on both sides (-fmad=false); a fused one is std::fma, as in the CPU's code;
//   - the numbers that tune a kernel are in policy.h of its folder, each with a reason.
// Kernels and their helpers live in an unnamed namespace; what host code calls is declared in a header without CUDA in it.
#pragma once

#include <cuda_runtime.h>

#include <string>
#include <utility>

#include "core/host_device.h"
#include "cuda/device.h"

#if defined(COREMAX_CUDA_EMULATED)
#define COREMAX_SHARED(name, ...)                                \
  static const char name##_site = 0;                             \
  auto& name = *static_cast<std::type_identity_t<__VA_ARGS__>*>( \
      ::coremax::emulator::shared_variable(&name##_site, sizeof(__VA_ARGS__), alignof(__VA_ARGS__)))
#else
#define COREMAX_SHARED(name, ...) __shared__ std::type_identity_t<__VA_ARGS__> name
#endif

namespace coremax::cuda {

constexpr unsigned kAllLanes = 0xFFFFFFFF;
constexpr int kWarp = 32;
constexpr std::size_t kSharedWithoutAsking = 48 << 10;

// The block's dynamic shared memory, aligned to 1024 bytes.
template <class T>
__device__ inline T* dynamic_shared() {
#if defined(COREMAX_CUDA_EMULATED)
  return static_cast<T*>(emulator::dynamic_shared());
#else
  extern __shared__ __align__(1024) unsigned char coremax_dynamic_shared[];
  return reinterpret_cast<T*>(coremax_dynamic_shared);
#endif
}

struct Grid {
  dim3 blocks;
  dim3 threads;
  std::size_t dynamic_shared = 0;  // bytes
  bool cooperative = false;        // all blocks at once, or an error
};

// ceil(n / per_block) as a number of blocks.
inline unsigned blocks_for(std::int64_t n, std::int64_t per_block) {
  const std::int64_t blocks = n / per_block + (n % per_block != 0);
  if (blocks > 0x7FFFFFFF)
    throw Error(ErrorKind::memory, "a grid of " + std::to_string(blocks) + " blocks is more than a device takes");
  return static_cast<unsigned>(blocks);
}

// Nothing is launched where there are no blocks.
template <class... Parameters, class... Arguments>
void launch(const Stream& stream, const Grid& grid, void (*kernel)(Parameters...), Arguments&&... arguments) {
  if (grid.blocks.x == 0 || grid.blocks.y == 0 || grid.blocks.z == 0) return;
  if (grid.dynamic_shared > kSharedWithoutAsking)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(grid.dynamic_shared)),
          "asking for shared memory");
  cudaLaunchAttribute cooperative{};
  cooperative.id = cudaLaunchAttributeCooperative;
  cooperative.val.cooperative = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid.blocks;
  config.blockDim = grid.threads;
  config.dynamicSmemBytes = grid.dynamic_shared;
  config.stream = stream.handle();
  config.attrs = &cooperative;
  config.numAttrs = grid.cooperative ? 1 : 0;
  check(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), "launching a kernel");
}

// How many blocks of a kernel can be on the device at a time: the most for a cooperative launch, and the grid of a kernel that
// loops.
template <class... Parameters>
unsigned resident_blocks(void (*kernel)(Parameters...), int threads, std::size_t dynamic_shared = 0) {
  if (dynamic_shared > kSharedWithoutAsking)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(dynamic_shared)),
          "asking for shared memory");
  int per_multiprocessor = 0;
  int multiprocessors = 0;
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&per_multiprocessor, kernel, threads, dynamic_shared),
        "asking how much fits the device");
  check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, current_device()), "looking at the device");
  return static_cast<unsigned>(per_multiprocessor * multiprocessors);
}

}  // namespace coremax::cuda
