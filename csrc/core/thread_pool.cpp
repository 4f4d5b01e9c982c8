// See thread_pool.h. The caller works too, and goes on polling Control while it waits for the others.
#include "core/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>

#if defined(__linux__)
#include <sched.h>
#endif

#include "core/errors.h"
#include "core/floating_point.h"

namespace coremax {
namespace {

// While waiting for the other workers the caller looks at Control this often: well within the promised second.
constexpr auto kPollInterval = std::chrono::milliseconds(20);

}  // namespace

ThreadPool::ThreadPool(int n_threads, Control* control) : n_threads_(std::max(1, n_threads)), control_(control) {}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void ThreadPool::start_threads() {
  threads_.reserve(static_cast<std::size_t>(n_threads_ - 1));
  while (static_cast<int>(threads_.size()) < n_threads_ - 1) {
    try {
      threads_.emplace_back(&ThreadPool::thread_main, this, static_cast<int>(threads_.size()) + 1);
    } catch (const std::system_error&) {
      return;  // The system has no thread left for us: go on with those we have.
    }
  }
}

void ThreadPool::run(std::int64_t n_chunks, const Body& body, std::int64_t share_from) {
  if (n_chunks <= 0) return;
  const bool share = n_threads_ > 1 && n_chunks >= share_from;
  if (share && threads_.empty()) start_threads();
  body_ = &body;
  n_chunks_ = n_chunks;
  next_chunk_ = 0;
  failure_ = nullptr;
  failed_chunk_ = kNoFailure;
  if (share && !threads_.empty()) {
    {
      std::lock_guard lock(mutex_);
      ++generation_;
      n_busy_ = static_cast<int>(threads_.size());
    }
    wake_.notify_all();
  }
  work(0);
  std::unique_lock lock(mutex_);
  while (n_busy_ > 0) {
    finished_.wait_for(lock, kPollInterval, [this] { return n_busy_ == 0; });
    if (n_busy_ == 0 || failed_chunk_ == kFailureOfControl) continue;
    lock.unlock();
    try {
      check();
    } catch (...) {
      record_failure(kFailureOfControl, std::current_exception());
    }
    lock.lock();
  }
  if (failure_) std::rethrow_exception(failure_);
}

void ThreadPool::thread_main(int id) {
  std::uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return closing_ || generation_ != seen; });
    if (closing_) return;
    seen = generation_;
    lock.unlock();
    work(id);
    lock.lock();
    if (--n_busy_ == 0) finished_.notify_one();
  }
}

void ThreadPool::work(int id) {
  const DefaultFloatingPoint environment;
  Worker worker(*this, id);
  try {
    while ((worker.chunk_ = next_chunk_++) < n_chunks_) {
      worker.poll();
      (*body_)(worker.chunk_, worker);
    }
  } catch (const Stopped&) {
    // A lower chunk failed, or Control did: recorded where it happened.
  } catch (...) {
    record_failure(worker.chunk_, std::current_exception());
  }
}

void ThreadPool::record_failure(std::int64_t chunk, std::exception_ptr failure) {
  std::lock_guard lock(mutex_);
  if (chunk < failed_chunk_) {
    failure_ = failure;
    failed_chunk_ = chunk;
  }
}

void ThreadPool::Worker::poll() const {
  if (pool_.failed_chunk_ < chunk_) throw Stopped{};
  if (id_ != 0) return;
  try {
    pool_.check();
  } catch (...) {
    pool_.record_failure(kFailureOfControl, std::current_exception());
    throw Stopped{};
  }
}

int default_threads() {
  if (const char* text = std::getenv("COREMAX_NUM_THREADS")) {
    char* end = nullptr;
    const long value = std::strtol(text, &end, 10);
    require(end != text && *end == '\0' && value >= 1 && value <= 4096,
            "COREMAX_NUM_THREADS must be a whole number from 1 to 4096, got '" + std::string(text) + "'");
    return static_cast<int>(value);
  }
#if defined(__linux__)
  cpu_set_t allowed;  // machines of more CPUs than it can name are told by the line below
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) return std::max(1, CPU_COUNT(&allowed));
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace coremax
