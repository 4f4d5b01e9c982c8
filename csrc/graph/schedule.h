// Who joins which pair of blocks. A pair is handed out only while neither of its blocks is in other hands, so that whoever
// holds it may write to the lists of both without locks: the mutex here is taken once for a pair of blocks, not of rows.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace coremax::graph {

class PairSchedule {
 public:
  using Pair = std::pair<std::uint32_t, std::uint32_t>;

  // Pairs are handed out in this order, as far as their blocks are free.
  PairSchedule(std::vector<Pair> pairs, std::int64_t n_blocks)
      : pairs_(std::move(pairs)), taken_(pairs_.size(), 0), busy_(static_cast<std::size_t>(n_blocks), 0) {}

  // Nothing where all pairs are taken or the work was abandoned. Calls idle() from time to time while all blocks are in use.
  template <class Idle>
  std::optional<Pair> take(Idle&& idle) {
    std::unique_lock lock(mutex_);
    while (!abandoned_ && begin_ < pairs_.size()) {
      for (std::size_t i = begin_; i < pairs_.size(); ++i) {
        const auto [a, b] = pairs_[i];
        if (taken_[i] != 0 || busy_[a] != 0 || busy_[b] != 0) continue;
        taken_[i] = busy_[a] = busy_[b] = 1;
        while (begin_ < pairs_.size() && taken_[begin_] != 0) ++begin_;
        return pairs_[i];
      }
      if (freed_.wait_for(lock, std::chrono::milliseconds(20)) == std::cv_status::timeout) {
        lock.unlock();
        idle();
        lock.lock();
      }
    }
    return std::nullopt;
  }
  void give_back(const Pair& pair) {
    {
      const std::lock_guard lock(mutex_);
      busy_[pair.first] = busy_[pair.second] = 0;
      ++done_;
    }
    freed_.notify_all();
  }
  void abandon() {
    {
      const std::lock_guard lock(mutex_);
      abandoned_ = true;
    }
    freed_.notify_all();
  }
  std::int64_t done() {
    const std::lock_guard lock(mutex_);
    return done_;
  }
  std::int64_t size() const { return static_cast<std::int64_t>(pairs_.size()); }

 private:
  const std::vector<Pair> pairs_;
  std::vector<std::uint8_t> taken_;
  std::vector<std::uint8_t> busy_;
  std::size_t begin_ = 0;
  std::int64_t done_ = 0;
  bool abandoned_ = false;
  std::mutex mutex_;
  std::condition_variable freed_;
};

}  // namespace coremax::graph
