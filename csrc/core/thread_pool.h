// The thread pool: one per call, owned by the call. Threads start at the first region that can use them and are joined when
// the pool dies, so there is no global state, nothing to break in a fork, and two callers never meet.
//
// A region runs body(chunk, worker) for every chunk number; chunks are handed out in order by a counter, so results must not
// depend on which worker gets which chunk. The calling thread is worker 0 and the only one that talks to Control. An exception
// stops the region and is rethrown to the caller: that of the lowest chunk that throws, since lower chunks run on to their end,
// so that the first bad element of an array is the one that is named. Every region runs in the default floating-point
// environment: a caller who flushes denormals to zero gets the same bits as one who does not.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "core/control.h"

namespace coremax {

class ThreadPool {
 public:
  class Worker;
  using Body = std::function<void(std::int64_t chunk, Worker& worker)>;

  explicit ThreadPool(int n_threads, Control* control = nullptr);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return n_threads_; }
  // Fewer chunks than share_from are run by the caller alone: waking a thread costs some ten microseconds.
  void run(std::int64_t n_chunks, const Body& body, std::int64_t share_from = 2);
  // On the calling thread, between regions: lets the caller stop the work.
  void check() const {
    if (control_ != nullptr) control_->check();
  }
  void progress(std::int64_t done, std::int64_t total) const {
    if (control_ != nullptr) control_->progress(done, total);
  }

  class Worker {
   public:
    int id() const { return id_; }
    // To be called every few milliseconds inside a long chunk: throws when the region is to stop.
    void poll() const;

   private:
    friend class ThreadPool;
    Worker(ThreadPool& pool, int id) : pool_(pool), id_(id) {}
    ThreadPool& pool_;
    int id_;
    std::int64_t chunk_ = 0;
  };

 private:
  struct Stopped {};
  static constexpr std::int64_t kNoFailure = INT64_MAX;
  static constexpr std::int64_t kFailureOfControl = -1;  // below every chunk: stops them all

  void start_threads();
  void thread_main(int id);
  void work(int id);
  void record_failure(std::int64_t chunk, std::exception_ptr failure);

  const int n_threads_;
  Control* const control_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable finished_;
  std::uint64_t generation_ = 0;
  int n_busy_ = 0;
  bool closing_ = false;
  const Body* body_ = nullptr;
  std::int64_t n_chunks_ = 0;
  std::atomic<std::int64_t> next_chunk_{0};
  std::exception_ptr failure_;
  std::atomic<std::int64_t> failed_chunk_{kNoFailure};
};

// The number of threads to use when the caller names none: COREMAX_NUM_THREADS, else the CPUs this process may run on. Quotas
// of control groups are brought in by Python (_arrays.default_threads).
int default_threads();

// Elements per chunk of the loops below. Fixed whatever the thread count: where floating-point sums are combined chunk by
// chunk, the partition is part of the result.
constexpr std::int64_t kReductionBlock = 4096;
// Blocks of a light loop that are worth waking a thread for: with two, at 5,000 elements, the solver took twice as long.
constexpr std::int64_t kShareBlocksFrom = 4;

// Sum over i in [0, n) of term(i), in blocks of kReductionBlock added up in order: the same bits for any thread count.
// A term is a number or anything with += whose default value is zero.
template <class Term>
auto blocked_sum(ThreadPool& pool, std::int64_t n, Term&& term) {
  using Sum = std::decay_t<decltype(term(std::int64_t{0}))>;
  const std::int64_t n_blocks = (n + kReductionBlock - 1) / kReductionBlock;
  std::vector<Sum> partial(static_cast<std::size_t>(n_blocks));
  pool.run(
      n_blocks,
      [&](std::int64_t block, ThreadPool::Worker&) {
        const std::int64_t end = std::min(n, (block + 1) * kReductionBlock);
        Sum sum{};
        for (std::int64_t i = block * kReductionBlock; i < end; ++i) sum += term(i);
        partial[static_cast<std::size_t>(block)] = sum;
      },
      kShareBlocksFrom);
  Sum total{};
  for (const Sum& sum : partial) total += sum;
  return total;
}

// body(i) for i in [0, n), each i independent of the others.
template <class F>
void parallel_for(ThreadPool& pool, std::int64_t n, F&& body) {
  const std::int64_t n_blocks = (n + kReductionBlock - 1) / kReductionBlock;
  pool.run(
      n_blocks,
      [&](std::int64_t block, ThreadPool::Worker&) {
        const std::int64_t end = std::min(n, (block + 1) * kReductionBlock);
        for (std::int64_t i = block * kReductionBlock; i < end; ++i) body(i);
      },
      kShareBlocksFrom);
}

}  // namespace coremax
