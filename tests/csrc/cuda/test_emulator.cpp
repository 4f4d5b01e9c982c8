// The emulator against what CUDA's manual says, and that it finds the mistakes it is there to find.
#include <cmath>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "cuda/launch.h"
#include "cuda/ptx.h"
#include "on_device.h"

namespace {

using namespace coremax;
using namespace coremax::cuda;
using test::in_orders;
using test::kStream;
using test::OwnStream;
using test::to_device;
using test::to_host;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// Runs a kernel that must be found out; leaves a clean device.
template <class... P, class... A>
void run_faulty(const Grid& grid, void (*kernel)(P...), A... arguments) {
  struct Reset {
    ~Reset() { emulator::reset(); }
  } reset;
  launch(kStream, grid, kernel, arguments...);
  kStream.synchronize();
}

// ---- Blocks and barriers ------------------------------------------------------------------------------------------------

__global__ void reverse_blocks(const int* in, int* out, int n, bool barrier) {
  COREMAX_SHARED(tile, int[64]);
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) tile[threadIdx.x] = in[i];
  if (barrier) __syncthreads();
  const int j = static_cast<int>(blockIdx.x * blockDim.x + 63 - threadIdx.x);
  if (i < n && j < n) out[i] = tile[63 - threadIdx.x];
}

std::vector<int> reversed(int n, bool barrier) {
  std::vector<int> values(at(n));
  std::iota(values.begin(), values.end(), 0);
  const auto in = to_device(values);
  const auto out = to_device(std::vector<int>(at(n), -7));
  launch(kStream, {blocks_for(n, 64), 64}, reverse_blocks, in.data(), out.data(), n, barrier);
  return to_host(out);
}

TEST(barriers_let_threads_exchange) {
  in_orders(20, [] {
    const auto out = reversed(200, true);
    for (int i = 0; i < 192; ++i) CHECK(out[at(i)] == i / 64 * 64 + 63 - i % 64);
  });
}

TEST(a_missing_barrier_is_seen_in_some_order) {
  int n_wrong = 0;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    emulator::set_seed(seed);
    const auto out = reversed(64, false);
    for (int i = 0; i < 64; ++i) n_wrong += out[at(i)] == -1;  // what shared memory holds before anybody has written to it
  }
  CHECK(n_wrong > 0);
}

__global__ void index_arithmetic(unsigned* out) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  atomicAdd(out + block * blockDim.x * blockDim.y * blockDim.z + thread, 1U);
}

TEST(every_thread_of_every_block_runs_once) {
  in_orders(3, [] {
    const auto out = to_device(std::vector<unsigned>(2 * 3 * 4 * 4 * 8 * 2, 0));
    launch(kStream, {dim3(2, 3, 4), dim3(4, 8, 2)}, index_arithmetic, out.data());
    for (const unsigned count : to_host(out)) CHECK(count == 1);
  });
}

__global__ void divergent_barrier() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

__global__ void barrier_in_a_warp() {
  if (threadIdx.x == 0) __syncwarp();
}

__global__ void barrier_against_shuffle(int* out) {
  if (threadIdx.x == 3) __syncthreads();
  out[threadIdx.x] = __shfl_sync(kAllLanes, 1, 0);
}

__global__ void shuffle_after_return(int* out) {
  if (threadIdx.x == 5) return;
  out[threadIdx.x] = __shfl_xor_sync(kAllLanes, 1, 1);
}

__global__ void other_collectives(int* out) {
  out[threadIdx.x] = threadIdx.x < 16 ? __shfl_sync(kAllLanes, 1, 0) : __any_sync(kAllLanes, 1);
}

__global__ void not_in_the_mask(int* out) { out[threadIdx.x] = __shfl_sync(0x0000FFFF, 1, 0); }

__global__ void reads_a_stranger(int* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0x0000FFFF, 1, 20);
}

__global__ void no_dynamic_memory() { *dynamic_shared<int>() = 1; }

__global__ void copies_left_behind(const char* in) {
  COREMAX_SHARED(row, char[16]);
  copy_async_16(row, in);
}

TEST(mistakes_are_found) {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    emulator::set_seed(seed);
    std::vector<int> host(32);
    int* out = host.data();
    alignas(16) static const char bytes[32] = {};
    const Grid one_warp{1, 32};
    CHECK_THROWS(emulator::Fault, "different barriers", run_faulty({1, 64}, divergent_barrier));
    CHECK_THROWS(emulator::Fault, "has ended", run_faulty(one_warp, barrier_in_a_warp));
    CHECK_THROWS(emulator::Fault, "nothing can go on", run_faulty(one_warp, barrier_against_shuffle, out));
    CHECK_THROWS(emulator::Fault, "has ended", run_faulty(one_warp, shuffle_after_return, out));
    CHECK_THROWS(emulator::Fault, "different collectives", run_faulty(one_warp, other_collectives, out));
    CHECK_THROWS(emulator::Fault, "not in the mask", run_faulty(one_warp, not_in_the_mask, out));
    CHECK_THROWS(emulator::Fault, "takes no part", run_faulty(one_warp, reads_a_stranger, out));
    CHECK_THROWS(emulator::Fault, "gives it none", run_faulty(one_warp, no_dynamic_memory));
    CHECK_THROWS(emulator::Fault, "did not wait for", run_faulty(one_warp, copies_left_behind, bytes));
    CHECK_THROWS(emulator::Fault, "not aligned", run_faulty(one_warp, copies_left_behind, bytes + 1));
  }
  CHECK_THROWS(Error, "launching a kernel", launch(kStream, {1, 2048}, divergent_barrier));
  CHECK_THROWS(Error, "asking for shared memory", launch(kStream, {1, 32, 400'000}, divergent_barrier));
  launch(kStream, {0, 32}, divergent_barrier);
  kStream.synchronize();
}

__global__ void dynamic_reverse(int* values) {
  int* memory = dynamic_shared<int>();
  memory[threadIdx.x] = values[threadIdx.x];
  __syncthreads();
  values[threadIdx.x] = memory[blockDim.x - 1 - threadIdx.x];
}

TEST(dynamic_shared_memory) {
  in_orders(3, [] {
    std::vector<int> values(512);
    std::iota(values.begin(), values.end(), 0);
    const auto on_device = to_device(values);
    launch(kStream, {1, 512, 100'000}, dynamic_reverse, on_device.data());
    const auto out = to_host(on_device);
    for (int i = 0; i < 512; ++i) CHECK(out[at(i)] == 511 - i);
  });
}

__global__ void grid_barrier(unsigned* values, unsigned* ready) {
  // A barrier of all blocks by hand: needs them on the device together.
  if (threadIdx.x == 0) values[blockIdx.x] = blockIdx.x + 1;
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    atomicAdd(ready, 1U);
    while (load_acquire(ready) < gridDim.x) __nanosleep(100);
  }
  __syncthreads();
  if (threadIdx.x == 0) atomicAdd(values + gridDim.x, values[(blockIdx.x + 1) % gridDim.x]);
}

TEST(cooperative_blocks_are_there_together) {
  in_orders(10, [] {
    const unsigned n = resident_blocks(grid_barrier, 64);
    CHECK(n >= 4);
    const auto values = to_device(std::vector<unsigned>(n + 1, 0));
    const auto ready = to_device(std::vector<unsigned>(1, 0));
    launch(kStream, {n, 64, 0, true}, grid_barrier, values.data(), ready.data());
    CHECK(to_host(values).back() == n * (n + 1) / 2);
  });
  CHECK_THROWS(Error, "launching a kernel", launch(kStream, {1000, 64, 0, true}, grid_barrier, nullptr, nullptr));
}

// ---- Warps --------------------------------------------------------------------------------------------------------------

__global__ void warp_functions(int* out) {
  const int lane = static_cast<int>(threadIdx.x);
  int* own = out + 16 * lane;
  own[0] = __shfl_sync(kAllLanes, lane, 7);
  own[1] = __shfl_sync(kAllLanes, lane, lane + 1, 8);
  own[2] = __shfl_up_sync(kAllLanes, lane, 3);
  own[3] = __shfl_down_sync(kAllLanes, lane, 3, 16);
  own[4] = __shfl_xor_sync(kAllLanes, lane, 5);
  own[5] = static_cast<int>(__ballot_sync(kAllLanes, lane % 3 == 0));
  own[6] = __any_sync(kAllLanes, lane == 9);
  own[7] = __all_sync(kAllLanes, lane < 31);
  own[8] = static_cast<int>(__match_any_sync(kAllLanes, lane / 10));
  own[9] = __reduce_add_sync(kAllLanes, lane);
  own[10] = __syncthreads_count(lane % 2);
  own[11] = __syncthreads_or(lane == 40);
  own[12] = __syncthreads_and(lane < 32);
  // Halves of a warp on their own ways.
  if (lane < 16) {
    own[13] = __shfl_sync(0x0000FFFF, lane, 15);
  } else {
    __syncwarp(0xFFFF0000);
    own[13] = __shfl_sync(0xFFFF0000, lane, 16);
  }
}

TEST(warp_functions_are_cudas) {
  in_orders(10, [] {
    const auto buffer = to_device(std::vector<int>(16 * 32, -7));
    launch(kStream, {1, 32}, warp_functions, buffer.data());
    const auto out = to_host(buffer);
    unsigned thirds = 0;
    for (unsigned l = 0; l < 32; l += 3) thirds |= 1U << l;
    for (int l = 0; l < 32; ++l) {
      const int* own = out.data() + 16 * l;
      const unsigned tens = l < 10 ? 0x3FFU : l < 20 ? 0xFFC00U : l < 30 ? 0x3FF00000U : 0xC0000000U;
      const std::string where = "lane " + std::to_string(l);
      CHECK_AT(where, own[0] == 7 && own[1] == l / 8 * 8 + (l + 1) % 8);
      CHECK_AT(where, own[2] == (l < 3 ? l : l - 3) && own[3] == (l % 16 + 3 > 15 ? l : l + 3) && own[4] == (l ^ 5));
      CHECK_AT(where,
               static_cast<unsigned>(own[5]) == thirds && own[6] == 1 && own[7] == 0 && static_cast<unsigned>(own[8]) == tens);
      CHECK_AT(where, own[9] == 496 && own[10] == 16 && own[11] == 0 && own[12] == 1 && own[13] == (l < 16 ? 15 : 16));
    }
  });
}

__global__ void atomics(int* sum, unsigned* most, unsigned long long* bits, unsigned* spins, unsigned* guarded, float* real) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  atomicAdd(sum, static_cast<int>(i));
  atomicMax(most, i);
  atomicOr(bits + i / 64, 1ULL << (i % 64));
  atomicAdd(real, 1.0F);
  // A lock around an update that is none of an atomic's.
  if (threadIdx.x == 0) {
    while (atomicCAS(spins, 0U, 1U) != 0) __nanosleep(10);
    const unsigned old = *guarded;
    __threadfence();
    *guarded = old + 1;
    atomicExch(spins, 0U);
  }
}

TEST(atomics_lose_nothing) {
  in_orders(10, [] {
    const auto sum = to_device(std::vector<int>(1, 0));
    const auto words = to_device(std::vector<unsigned>(3, 0));
    const auto bits = to_device(std::vector<unsigned long long>(4, 0));
    const auto real = to_device(std::vector<float>(1, 0));
    launch(kStream, {8, 32}, atomics, sum.data(), words.data(), bits.data(), words.data() + 1, words.data() + 2, real.data());
    CHECK(to_host(sum)[0] == 255 * 128);
    CHECK(to_host(words) == std::vector<unsigned>{255, 0, 8});
    CHECK(to_host(bits) == std::vector<unsigned long long>(4, ~0ULL));
    CHECK(to_host(real)[0] == 256);
  });
}

// ---- Instructions of ptx.h ----------------------------------------------------------------------------------------------

// c[16, 8] = a[16, k] b[8, k]^T by one warp; rows of a and b are 2 * 8 words of 4 bytes, k of which depends on the type.
template <int kType>
__global__ void one_tile(const std::uint32_t* a, const std::uint32_t* b, float* c) {
  COREMAX_SHARED(rows_a, std::uint32_t[16][8]);
  COREMAX_SHARED(rows_b, std::uint32_t[8][8]);
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = lane; i < 128; i += 32) rows_a[i / 8][i % 8] = a[i];
  for (int i = lane; i < 64; i += 32) rows_b[i / 8][i % 8] = b[i];
  __syncthreads();
  std::uint32_t fragment_a[4];
  std::uint32_t fragment_b[2];
  // Matrices: rows 0-7 and 8-15 of the first half of the columns, then of the second.
  load_matrices_x4(fragment_a, &rows_a[lane % 16][lane / 16 * 4]);
  load_matrices_x2(fragment_b, &rows_b[lane % 8][lane / 8 % 2 * 4]);
  const int row = lane / 4;
  const int column = lane % 4 * 2;
  if constexpr (kType == 2) {
    std::int32_t sums[4] = {1, 2, 3, 4};
    mma_s8(sums, fragment_a, fragment_b);
    for (int i = 0; i < 4; ++i) c[(row + i / 2 * 8) * 8 + column + i % 2] = static_cast<float>(sums[i] - i - 1);
  } else {
    float sums[4] = {1, 2, 3, 4};
    kType == 0 ? mma_bf16(sums, fragment_a, fragment_b) : mma_f16(sums, fragment_a, fragment_b);
    for (int i = 0; i < 4; ++i) c[(row + i / 2 * 8) * 8 + column + i % 2] = sums[i] - static_cast<float>(i + 1);
  }
}

// Whole numbers from -8 to 8, exact in every type, packed as the type is; f16 and bf16 by hand.
template <class Element>
void check_tile(void (*kernel)(const std::uint32_t*, const std::uint32_t*, float*), Element (*encode)(int)) {
  constexpr int kDepth = 32 / sizeof(Element);
  std::mt19937 random(3);
  std::vector<Element> a, b;
  std::vector<int> plain_a, plain_b;
  for (int i = 0; i < 16 * kDepth; ++i) plain_a.push_back(static_cast<int>(random() % 17) - 8);
  for (int i = 0; i < 8 * kDepth; ++i) plain_b.push_back(static_cast<int>(random() % 17) - 8);
  for (const int value : plain_a) a.push_back(encode(value));
  for (const int value : plain_b) b.push_back(encode(value));
  const auto device_a = to_device(a);
  const auto device_b = to_device(b);
  const auto device_c = to_device(std::vector<float>(128));
  launch(kStream, {1, 32}, kernel, reinterpret_cast<const std::uint32_t*>(device_a.data()),
         reinterpret_cast<const std::uint32_t*>(device_b.data()), device_c.data());
  const auto c = to_host(device_c);
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 8; ++j) {
      int sum = 0;
      for (int k = 0; k < kDepth; ++k) sum += plain_a[at(i * kDepth + k)] * plain_b[at(j * kDepth + k)];
      CHECK(c[at(i * 8 + j)] == static_cast<float>(sum));
    }
}

std::uint16_t to_f16(int value) {
  if (value == 0) return 0;
  int exponent = 0;
  const float significand = std::frexp(static_cast<float>(std::abs(value)), &exponent);
  return static_cast<std::uint16_t>((value < 0 ? 0x8000 : 0) | ((exponent + 14) << 10) |
                                    (static_cast<int>(significand * 2048) & 1023));
}

TEST(tensor_cores_multiply_matrices) {
  in_orders(3, [] {
    check_tile<std::uint16_t>(one_tile<0>, [](int value) {
      return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(static_cast<float>(value)) >> 16);
    });
    check_tile<std::uint16_t>(one_tile<1>, to_f16);
    check_tile<std::int8_t>(one_tile<2>, [](int value) { return static_cast<std::int8_t>(value); });
  });
  CHECK(emulated::from_f16(0x0001) == 0x1p-24F && emulated::from_f16(0xFBFF) == -65504 &&
        std::isinf(emulated::from_f16(0x7C00)));
}

__global__ void transpose_tiles(const std::uint16_t* in, std::uint32_t* out) {
  COREMAX_SHARED(tiles, std::uint16_t[32][8]);
  const int lane = static_cast<int>(threadIdx.x);
  for (int j = 0; j < 8; ++j) tiles[lane][j] = in[8 * lane + j];
  __syncthreads();
  std::uint32_t registers[4];
  load_matrices_transposed_x4(registers, tiles[lane]);
  for (int m = 0; m < 4; ++m) out[32 * m + lane] = registers[m];
}

TEST(transposed_matrices) {
  std::vector<std::uint16_t> values(256);
  std::iota(values.begin(), values.end(), std::uint16_t{0});
  const auto in = to_device(values);
  const auto out = to_device(std::vector<std::uint32_t>(128));
  launch(kStream, {1, 32}, transpose_tiles, in.data(), out.data());
  const auto got = to_host(out);
  for (int m = 0; m < 4; ++m)
    for (int i = 0; i < 8; ++i)
      for (int j = 0; j < 4; ++j) {
        const auto element = [&](int r, int c) { return static_cast<std::uint32_t>(64 * m + 8 * r + c); };
        CHECK(got[at(32 * m + 4 * i + j)] == (element(2 * j, i) | element(2 * j + 1, i) << 16));
      }
}

__global__ void copy_in_stages(const float4* in, float4* out, int n, int groups_left) {
  COREMAX_SHARED(stages, float4[2][32]);
  copy_async_16(&stages[0][threadIdx.x], in + threadIdx.x);
  copy_async_commit();
  copy_async_16(&stages[1][threadIdx.x], in + 32 + threadIdx.x, static_cast<int>(threadIdx.x) < n ? 16 : 0);
  copy_async_commit();
  groups_left == 1 ? copy_async_wait<1>() : copy_async_wait<0>();
  __syncthreads();
  out[threadIdx.x] = stages[0][31 - threadIdx.x];
  out[32 + threadIdx.x] = stages[1][31 - threadIdx.x];
  __syncthreads();
  copy_async_wait<0>();
}

TEST(asynchronous_copies_are_there_after_the_wait_only) {
  in_orders(5, [] {
    std::vector<float4> values;
    for (int i = 0; i < 64; ++i) values.push_back(make_float4(static_cast<float>(i), 1, 2, 3));
    const auto in = to_device(values);
    for (const int left : {0, 1}) {
      const auto out = to_device(std::vector<float4>(64));
      launch(kStream, {1, 32}, copy_in_stages, in.data(), out.data(), 20, left);
      const auto got = to_host(out);
      for (int i = 0; i < 32; ++i) {
        CHECK(got[at(i)].x == static_cast<float>(31 - i));
        if (left == 1)
          CHECK(std::isnan(got[at(32 + i)].x));
        else
          CHECK(got[at(32 + i)].x == (31 - i < 20 ? static_cast<float>(63 - i) : 0.0F));
      }
    }
  });
}

// ---- Streams and memory -------------------------------------------------------------------------------------------------

__global__ void add_one(int* value) { *value += 1; }

TEST(work_waits_until_the_host_does) {
  const OwnStream own;
  int result = -5;
  {
    const Buffer<int> value(1, own.view(), "a value");
    set_bytes(value.data(), 0, 1, own.view(), "a value");
    launch(own.view(), {1, 1}, add_one, value.data());
    cuda::copy(&result, value.data(), 1, own.view(), "a value");
  }
  CHECK(result == -5);
  own.view().synchronize();
  CHECK(result == 1);
  CHECK(emulator::live_allocations() == 0);
}

TEST(events_order_streams) {
  const OwnStream first, second;
  for (const bool ordered : {false, true}) {
    Buffer<int> value(1, first.view(), "a value");
    set_bytes(value.data(), 0, 1, first.view(), "a value");
    launch(first.view(), {1, 1}, add_one, value.data());
    Event event;
    event.record(first.view());
    if (ordered) event.hold(second.view());
    int result = 0;
    cuda::copy(&result, value.data(), 1, second.view(), "a value");
    second.view().synchronize();
    CHECK(result == (ordered ? 1 : -1));  // memory that nobody has written to
    CHECK(ordered == event.reached() || event.reached());
  }
  CHECK(emulator::live_allocations() == 0);
}

// Memory of one stream that another still uses when the first gives it back.
void use_after_return(bool ordered, void (*use)(const Stream& user, int* memory, int* result), int* result) {
  const OwnStream owner, user;
  struct Reset {
    ~Reset() { emulator::reset(); }
  } reset;
  {
    const Buffer<int> value(1, owner.view(), "a value");
    set_bytes(value.data(), 0, 1, owner.view(), "a value");
    owner.view().synchronize();
    use(user.view(), value.data(), result);
    Event used;
    used.record(user.view());
    if (ordered) used.hold(owner.view());
  }
  owner.view().synchronize();
  user.view().synchronize();
  emulator::live_allocations();
}

__global__ void copy_value(const int* from, int* to) { *to = *from; }

void read_by_kernel(const Stream& user, int* memory, int* result) { launch(user, {1, 1}, copy_value, memory, result); }
void read_by_copy(const Stream& user, int* memory, int* result) { cuda::copy(result, memory, 1, user, "a value"); }
void written_by_kernel(const Stream& user, int* memory, int*) { launch(user, {1, 1}, add_one, memory); }
void written_by_copy(const Stream& user, int* memory, int*) {
  const int one = 1;
  cuda::copy(memory, &one, 1, user, "a value");
}

TEST(memory_given_back_too_early_is_found) {
  int result = 5;
  for (const auto use : {read_by_kernel, read_by_copy, written_by_kernel, written_by_copy})
    use_after_return(true, use, &result);
  CHECK(result == 0);
#if !defined(__SANITIZE_ADDRESS__)  // which would end the process
  use_after_return(false, read_by_kernel, &result);
  CHECK(result == -1);
  CHECK_THROWS(emulator::Fault, "written to after it had been given back", use_after_return(false, written_by_kernel, &result));
#endif
  CHECK_THROWS(emulator::Fault, "a copy comes after", use_after_return(false, read_by_copy, &result));
  CHECK_THROWS(emulator::Fault, "a copy comes after", use_after_return(false, written_by_copy, &result));
}

TEST(captured_work_runs_with_each_launch) {
  const OwnStream own;
  const Buffer<int> value(1, own.view(), "a value");
  set_bytes(value.data(), 0, 1, own.view(), "a value");
  cudaStreamBeginCapture(own.view().handle(), cudaStreamCaptureModeThreadLocal);
  launch(own.view(), {1, 1}, add_one, value.data());
  launch(own.view(), {1, 1}, add_one, value.data());
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  cudaStreamEndCapture(own.view().handle(), &graph);
  cudaGraphInstantiate(&executable, graph, 0);
  for (int i = 0; i < 3; ++i) cudaGraphLaunch(executable, own.view().handle());
  CHECK(read_back(value.data(), own.view(), "a value") == 6);
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
}

TEST(memory_that_is_refused_is_an_error_of_memory) {
  const int n = test::with_memory_refused([] {
    const Buffer<float> one(10, kStream, "one array");
    const Buffer<float> other(20, kStream, "another array");
    Buffer<float> moved;
    moved = Buffer<float>(30, kStream, "a third array");
  });
  CHECK(n == 3);
  emulator::fail_allocation(1);
  CHECK_THROWS(Error, "not enough memory left for the weights (40 bytes)", Buffer<float>(10, kStream, "the weights"));
  CHECK(cudaPeekAtLastError() == cudaSuccess);  // nobody else finds it
  CHECK_THROWS(Error, "overflows", Buffer<double>(INT64_MAX / 2, kStream, "too much"));
  CHECK_THROWS(Error, "cudaErrorIllegalAddress", check(700, "testing"));
  CHECK_THROWS(Error, "only a new process", check(700, "testing"));
  CHECK(why_not().empty());
  CHECK(device_info(0).name == "emulated device");
}

class StopAtOnce : public Control {
 public:
  void check() override { throw std::runtime_error("stopped"); }
};

TEST(a_wait_ends_where_control_says) {
  StopAtOnce control;
  const auto value = to_device(std::vector<int>(1, 0));
  launch(kStream, {1, 1}, add_one, value.data());
  CHECK_THROWS(std::runtime_error, "stopped", kStream.synchronize(&control));
  CHECK(read_back(value.data(), kStream, "a value") == 1);
}

}  // namespace
