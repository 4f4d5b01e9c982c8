// The multiprocessor: resident blocks, their threads as fibres, barriers and warp collectives as the points where they wait.
#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <vector>

#include "emulator.h"
#include "fibres.h"

namespace coremax::emulator {
namespace {

constexpr int kLanes = 32;
constexpr unsigned char kPoison = 0xFF;
constexpr std::size_t kResidentBlocks = 3;  // at a time, so that blocks meet each other half way
constexpr int kInterruptOneIn = 4;          // atomics and fences, where others get a turn

struct Block;

struct Copy {
  void* to;
  const void* from;
  std::size_t bytes;
  std::size_t total;
};

enum class State { ready, waiting, ended };

struct Thread {
  Index index{};
  int number = 0;
  Block* block = nullptr;
  State state = State::ready;
  // What it waits for.
  const char* what = "";
  Location where;
  unsigned mask = 0;  // of a warp collective; 0 for a barrier
  void* lane = nullptr;
  int value = 0;  // of a barrier that reduces
  std::deque<std::vector<Copy>> copies;
  std::vector<Copy> open_copies;
  std::unique_ptr<Fibre> fibre;

  int lane_number() const { return number % kLanes; }
  std::string name() const;
};

struct FreeAligned {
  std::align_val_t alignment;
  void operator()(void* memory) const { ::operator delete(memory, alignment); }
};
using Memory = std::unique_ptr<void, FreeAligned>;

Memory poisoned(std::size_t bytes, std::size_t alignment) {
  Memory memory(::operator new(std::max<std::size_t>(bytes, 1), std::align_val_t{alignment}),
                FreeAligned{std::align_val_t{alignment}});
  std::memset(memory.get(), kPoison, bytes);
  return memory;
}

struct Warp {
  unsigned there = 0;    // lanes, as bits: that have not ended
  unsigned waiting = 0;  // at a collective, the running one included
};

struct Block {
  Index index{};
  std::deque<Thread> threads;
  std::vector<Warp> warps;
  std::map<const void*, Memory> variables;
  Memory dynamic;
  int alive = 0;
  int at_barrier = 0;
};

struct Grid {
  Index shape{};
  Index block{};
  std::size_t dynamic_shared = 0;
  const std::function<void()>* kernel = nullptr;
  std::vector<std::unique_ptr<Block>> resident;
  std::vector<Thread*> ready;
  std::exception_ptr failure;
};

std::mt19937_64 generator{1};
enum class Order { own, mixed, headlong } order_of_threads = Order::mixed;
Grid* grid = nullptr;
Thread* current = nullptr;

constexpr int kHeadlongOneIn = 16;  // where the order is headlong, the others get a turn this often

// Which of the n threads that are ready goes on. Mixed, all advance about alike; headlong, the one last made ready goes on, so
// that a warp runs from barrier to barrier, perhaps ahead of threads that have not begun.
std::size_t pick(std::size_t n) {
  if (order_of_threads == Order::own) return 0;
  if (order_of_threads == Order::headlong && generator() % kHeadlongOneIn != 0) return n - 1;
  return static_cast<std::size_t>(generator() % n);
}

std::string text(const Index& i) {
  char buffer[48];
  std::snprintf(buffer, sizeof buffer, "(%u, %u, %u)", i.x, i.y, i.z);
  return buffer;
}

std::string line_of(const Location& where) {
  const std::string file = where.file_name();
  return file.substr(file.rfind('/') + 1) + ":" + std::to_string(where.line());
}

bool same(const char* a, const char* b) { return a == b || std::strcmp(a, b) == 0; }
bool same(const Location& a, const Location& b) { return a.line() == b.line() && same(a.file_name(), b.file_name()); }

std::string hex(unsigned mask) {
  char buffer[16];
  std::snprintf(buffer, sizeof buffer, "0x%08x", mask);
  return buffer;
}

std::string Thread::name() const { return "thread " + text(index) + " of block " + text(block->index); }

std::string waiting_for(const Thread& thread) {
  return thread.name() + " at " + thread.what + (thread.mask != 0 ? " of lanes " + hex(thread.mask) : "") + " (" +
         line_of(thread.where) + ")";
}

void make_ready(Thread& thread) {
  thread.state = State::ready;
  grid->ready.push_back(&thread);
}

// Suspends the running thread until it is made ready.
void wait() {
  current->state = State::waiting;
  Fibre::suspend();
}

// ---- Warp collectives ---------------------------------------------------------------------------------------------------

Thread* lane_of(const Thread& thread, int lane) {
  return &thread.block->threads[static_cast<std::size_t>(thread.number / kLanes * kLanes + lane)];
}

bool included(unsigned mask, int lane) { return (mask >> lane & 1) != 0; }

Warp& warp_of(const Thread& thread) { return thread.block->warps[static_cast<std::size_t>(thread.number / kLanes)]; }

// Whether the running thread is the last of its mask to come. Each that comes is compared with one that is there, so in the end
// all are.
bool complete(const Thread& thread) {
  Warp& warp = warp_of(thread);
  if (const unsigned missing = thread.mask & ~warp.there; missing != 0)
    fault(waiting_for(thread) + " names lane " + std::to_string(std::countr_zero(missing)) +
          ", which the block does not have or which has ended");
  if (const unsigned others = thread.mask & warp.waiting; others != 0) {
    const Thread& other = *lane_of(thread, std::countr_zero(others));
    if (other.mask != thread.mask || !same(other.what, thread.what) || !same(other.where, thread.where))
      fault("the lanes of a warp are at different collectives: " + waiting_for(thread) + ", " + waiting_for(other));
  }
  warp.waiting |= 1U << thread.lane_number();
  return (thread.mask & ~warp.waiting) == 0;
}

void pass(const Thread& thread, const std::function<void(void* const lanes[32])>& combine) {
  Thread* lanes[kLanes] = {};
  void* given[kLanes] = {};
  for (int l = 0; l < kLanes; ++l) {
    if (!included(thread.mask, l)) continue;
    lanes[l] = lane_of(thread, l);
    given[l] = lanes[l]->lane;
  }
  combine(given);
  warp_of(thread).waiting &= ~thread.mask;
  for (Thread* lane : lanes) {
    if (lane == nullptr) continue;
    lane->mask = 0;
    if (lane != current) make_ready(*lane);
  }
}

// ---- Barriers -----------------------------------------------------------------------------------------------------------

constexpr const char* kGridBarrier = "the grid's barrier";

// Lets all threads of the block go that wait at a barrier, if none is missing.
void open_barrier(Block& block) {
  if (block.at_barrier < block.alive || block.alive == 0) return;
  const Thread* first = nullptr;
  for (const Thread& thread : block.threads) {
    if (thread.state == State::ended) continue;
    if (first == nullptr) first = &thread;
    if (!same(first->what, thread.what) || !same(first->where, thread.where))
      fault("the threads of a block are at different barriers: " + waiting_for(*first) + ", " + waiting_for(thread));
  }
  block.at_barrier = 0;
  const std::size_t n = block.threads.size();
  const bool backwards = order_of_threads == Order::headlong && generator() % 2 == 0;  // which end of the block goes first
  for (std::size_t i = 0; i < n; ++i)
    if (Thread& thread = block.threads[backwards ? n - 1 - i : i]; thread.state == State::waiting) make_ready(thread);
}

void open_grid_barrier() {
  for (const auto& block : grid->resident)
    for (const Thread& thread : block->threads)
      if (thread.state != State::waiting || thread.what != kGridBarrier) return;
  for (const auto& block : grid->resident)
    for (Thread& thread : block->threads) make_ready(thread);
}

void wait_at_barrier(const char* what, int value, Location where) {
  current->what = what;
  current->where = where;
  current->mask = 0;
  current->value = value;
  current->state = State::waiting;
  Block& block = *current->block;
  if (what == kGridBarrier) {
    open_grid_barrier();
  } else {
    ++block.at_barrier;
    open_barrier(block);
  }
  Fibre::suspend();
}

// ---- Threads ------------------------------------------------------------------------------------------------------------

// After a thread has ended: those that wait for all who are left may go on.
void thread_ended(Thread& thread) {
  thread.state = State::ended;
  Block& block = *thread.block;
  --block.alive;
  Warp& warp = warp_of(thread);
  warp.there &= ~(1U << thread.lane_number());
  for (unsigned waiting = warp.waiting; waiting != 0; waiting &= waiting - 1)
    if (const Thread& other = *lane_of(thread, std::countr_zero(waiting)); included(other.mask, thread.lane_number()))
      fault(thread.name() + " has ended, but " + waiting_for(other) + " names it in its mask");
  open_barrier(block);
}

void run_thread(Thread& thread) {
  try {
    (*grid->kernel)();
    if (!thread.open_copies.empty() || !thread.copies.empty())
      fault(thread.name() + " has ended with asynchronous copies it did not wait for");
    thread_ended(thread);
  } catch (...) {
    grid->failure = std::current_exception();
    thread.state = State::ended;
  }
}

std::unique_ptr<Block> make_block(Index index) {
  auto block = std::make_unique<Block>();
  block->index = index;
  const Index& shape = grid->block;
  block->alive = static_cast<int>(shape.x * shape.y * shape.z);
  block->warps.resize(static_cast<std::size_t>((block->alive + kLanes - 1) / kLanes));
  if (grid->dynamic_shared > 0) block->dynamic = poisoned(grid->dynamic_shared, 1024);
  for (int number = 0; number < block->alive; ++number) {
    Thread& thread = block->threads.emplace_back();
    const auto n = static_cast<unsigned>(number);
    thread.index = {n % shape.x, n / shape.x % shape.y, n / shape.x / shape.y};
    thread.number = number;
    thread.block = block.get();
    warp_of(thread).there |= 1U << thread.lane_number();
    thread.fibre = std::make_unique<Fibre>([&thread] { run_thread(thread); });
    make_ready(thread);
  }
  return block;
}

void run_until_a_block_ends() {
  while (true) {
    if (grid->ready.empty()) {
      for (const auto& block : grid->resident)
        for (const Thread& thread : block->threads)
          if (thread.state == State::waiting)
            fault("nothing can go on: " + waiting_for(thread) + " waits for threads that do not come");
      return;
    }
    const std::size_t i = pick(grid->ready.size());
    Thread* thread = grid->ready[i];
    if (order_of_threads == Order::own) {
      grid->ready.erase(grid->ready.begin());
    } else {
      grid->ready[i] = grid->ready.back();
      grid->ready.pop_back();
    }
    current = thread;
    place = {thread->index, thread->block->index, grid->block, grid->shape};
    thread->fibre->resume();
    current = nullptr;
    if (grid->failure) std::rethrow_exception(grid->failure);
    if (const Block* ended = thread->block; ended->alive == 0) {
      std::erase_if(grid->resident, [&](const auto& block) { return block.get() == ended; });
      return;
    }
  }
}

}  // namespace

void fault(const std::string& message) { throw Fault(message); }

void set_seed(std::uint64_t seed) {
  generator.seed(seed);
  order_of_threads = seed == 0 ? Order::own : seed % 2 == 1 ? Order::mixed : Order::headlong;
}

Place place;

void run_kernel(Index grid_size, Index block_size, std::size_t dynamic_shared, bool cooperative,
                const std::function<void()>& kernel) {
  Grid run{grid_size, block_size, dynamic_shared, &kernel, {}, {}, nullptr};
  struct Restore {
    ~Restore() {
      grid = nullptr;
      current = nullptr;
    }
  } restore;
  grid = &run;
  const std::size_t n_blocks = std::size_t{grid_size.x} * grid_size.y * grid_size.z;
  std::vector<std::size_t> order(n_blocks);
  for (std::size_t b = 0; b < n_blocks; ++b) order[b] = b;
  if (order_of_threads != Order::own) std::shuffle(order.begin(), order.end(), generator);
  const std::size_t most = cooperative ? n_blocks : order_of_threads == Order::own ? 1 : kResidentBlocks;
  for (std::size_t next = 0; next < n_blocks || !run.resident.empty();) {
    for (; next < n_blocks && run.resident.size() < most; ++next) {
      const std::size_t b = order[next];
      run.resident.push_back(
          make_block({static_cast<unsigned>(b % grid_size.x), static_cast<unsigned>(b / grid_size.x % grid_size.y),
                      static_cast<unsigned>(b / grid_size.x / grid_size.y)}));
    }
    run_until_a_block_ends();
  }
}

void* shared_variable(const void* key, std::size_t bytes, std::size_t alignment) {
  Memory& memory = current->block->variables[key];
  if (!memory) memory = poisoned(bytes, std::max<std::size_t>(alignment, 16));
  return memory.get();
}

void* dynamic_shared() {
  if (grid->dynamic_shared == 0) fault("a kernel uses dynamic shared memory, but the launch gives it none");
  return current->block->dynamic.get();
}

void synchronize_threads(const char* what, Location where) { wait_at_barrier(what, 0, where); }

int synchronize_reduce(const char* what, int value, int (*combine)(int, int), int start, Location where) {
  wait_at_barrier(what, value, where);
  // Everybody's value stands until the second barrier has been passed.
  int result = start;
  for (const Thread& thread : current->block->threads)
    if (thread.state != State::ended) result = combine(result, thread.value);
  wait_at_barrier("the second half of a reducing barrier", value, where);
  return result;
}

void synchronize_grid(Location where) { wait_at_barrier(kGridBarrier, 0, where); }

void yield() {
  make_ready(*current);
  Fibre::suspend();
}

void interleave() {
  if (current != nullptr && order_of_threads != Order::own && generator() % kInterruptOneIn == 0) yield();
}

int lane_index() { return current->lane_number(); }

void collective(unsigned mask, const char* what, Location where, void* lane,
                const std::function<void(void* const lanes[32])>& combine) {
  current->what = what;
  current->where = where;
  current->mask = mask;
  current->lane = lane;
  if (!included(mask, current->lane_number())) fault(waiting_for(*current) + " is not in the mask itself");
  if (complete(*current)) return pass(*current, combine);
  wait();
}

void copy_later(void* to, const void* from, std::size_t bytes, std::size_t total) {
  std::memset(to, kPoison, total);
  current->open_copies.push_back({to, from, bytes, total});
}

void commit_copies() {
  current->copies.push_back(std::move(current->open_copies));
  current->open_copies.clear();
}

void wait_for_copies(int groups_left) {
  while (static_cast<int>(current->copies.size()) > groups_left) {
    for (const Copy& copy : current->copies.front()) {
      std::memset(copy.to, 0, copy.total);
      std::memcpy(copy.to, copy.from, copy.bytes);
    }
    current->copies.pop_front();
  }
}

}  // namespace coremax::emulator
