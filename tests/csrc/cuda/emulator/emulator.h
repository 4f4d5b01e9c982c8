// A CUDA device in software, for tests: kernels run as ordinary C++, one fibre to a thread, so that their logic can be compared
// with the CPU engines where there is no device. What tests say to it, and what cuda_runtime.h and ptx.h beside this need of
// it.
//
// What it finds: wrong results in any of many orders of threads and blocks (the seed permutes them), missing barriers and
// waits, collectives that not all threads reach, use of memory that nothing was written to (all memory starts as 0xFF bytes:
// not a number), uses before or after a stream has given memory out or taken it back (it is poisoned once more then), copies
// not waited for (work is put off until the host waits), and, built with the address sanitizer, accesses beyond global and
// shared arrays. What it does not show: time, races that need a weaker memory model than threads taking turns at barriers,
// atomics and fences, how tensor cores round sums, and limits of registers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <stdexcept>
#include <string>

namespace coremax::emulator {

// What would be a wrong program on a device: thrown at the host where it waits for the work.
class Fault : public std::logic_error {
  using std::logic_error::logic_error;
};

// ---- For tests ----------------------------------------------------------------------------------------------------------

// The order of blocks and threads from now on: 0 is their own, without interruption; with odd seeds all threads advance about
// alike, with even ones some warps run ahead of others.
void set_seed(std::uint64_t seed);
// The n-th allocation from now on (1: the next) is refused; 0: none.
void fail_allocation(std::int64_t n);
// Allocations of device memory that were not given back, after all streams have done their work.
std::int64_t live_allocations();
// Kernels that have been launched so far.
std::int64_t launches();
// Forgets streams, work and allocations: after a fault.
void reset();

// ---- For cuda_runtime.h and ptx.h ---------------------------------------------------------------------------------------

using Location = std::source_location;

struct Index {
  unsigned x, y, z;
};

struct Place {
  Index thread, block, block_shape, grid_shape;
};
extern Place place;

void run_kernel(Index grid, Index block, std::size_t dynamic_shared, bool cooperative, const std::function<void()>& kernel);

// Memory of the block: the same for all its threads, poisoned when the block starts. key: one for each variable.
void* shared_variable(const void* key, std::size_t bytes, std::size_t alignment);
void* dynamic_shared();

void synchronize_threads(const char* what, Location where);
int synchronize_reduce(const char* what, int value, int (*combine)(int, int), int start, Location where);
void synchronize_grid(Location where);
// Lets others run, perhaps: where the device could.
void interleave();
// Lets others run: where a thread waits for another.
void yield();
int lane_index();

// Runs `combine` once when all lanes of the mask are here with the same operation; lanes[i] is what lane i gave, null beyond
// the mask.
void collective(unsigned mask, const char* what, Location where, void* lane,
                const std::function<void(void* const lanes[32])>& combine);

template <class Lane, class F>
void collective_of(unsigned mask, const char* what, Location where, Lane& lane, F&& combine) {
  collective(mask, what, where, &lane, [&](void* const lanes[32]) {
    Lane* typed[32];
    for (int i = 0; i < 32; ++i) typed[i] = static_cast<Lane*>(lanes[i]);
    combine(typed);
  });
}

// cp.async: done as late as allowed, the target being poisoned until then.
void copy_later(void* to, const void* from, std::size_t bytes, std::size_t filled_up_to);
void commit_copies();
void wait_for_copies(int groups_left);

[[noreturn]] void fault(const std::string& message);

}  // namespace coremax::emulator
