// The thread pool's promises, Philox's published answers, the portable logarithm, buffers and errors.
#include <algorithm>
#include <atomic>
#include <bit>
#include <cfenv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "core/aligned_buffer.h"
#include "core/control.h"
#include "core/errors.h"
#include "core/exp.h"
#include "core/log.h"
#include "core/philox.h"
#include "core/thread_pool.h"
#include "isa/isa.h"
#include "isa/random_bits.h"

namespace {

using namespace coremax;

struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

// Throws at the given call of check(), and remembers who called.
class StopAt : public Control {
 public:
  explicit StopAt(int call) : call_(call) {}
  void check() override {
    if (std::this_thread::get_id() != caller_) foreign_ = true;
    if (++calls_ == call_) throw Interrupted();
  }
  bool foreign() const { return foreign_; }

 private:
  const std::thread::id caller_ = std::this_thread::get_id();
  const int call_;
  int calls_ = 0;
  std::atomic<bool> foreign_{false};
};

// Waits for a condition, ten seconds at most: a test that would hang fails instead.
template <class F>
bool wait_until(F&& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(pool_runs_every_chunk_once) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    CHECK(pool.size() == threads);
    for (const std::int64_t n : {0, 1, 2, 3, 7, 8, 9, 1000}) {
      std::vector<std::atomic<int>> counts(static_cast<std::size_t>(n));
      std::atomic<bool> bad_id{false};
      pool.run(n, [&](std::int64_t chunk, ThreadPool::Worker& worker) {
        ++counts[static_cast<std::size_t>(chunk)];
        if (worker.id() < 0 || worker.id() >= threads) bad_id = true;
        worker.poll();
      });
      CHECK(std::all_of(counts.begin(), counts.end(), [](const auto& count) { return count == 1; }));
      CHECK(!bad_id);
    }
  }
}

TEST(pool_uses_its_threads) {
  ThreadPool pool(2);
  std::atomic<int> arrived{0};
  bool met = true;
  // Neither chunk ends before both have begun: only two threads can do that.
  pool.run(2, [&](std::int64_t, ThreadPool::Worker& worker) {
    ++arrived;
    if (!wait_until([&] { return arrived == 2; }) && worker.id() == 0) met = false;
  });
  CHECK(met);
}

TEST(pool_of_no_threads_is_a_pool_of_one) {
  ThreadPool pool(0);
  CHECK(pool.size() == 1);
  int chunks = 0;
  pool.run(3, [&](std::int64_t, ThreadPool::Worker&) { ++chunks; });
  CHECK(chunks == 3);
}

TEST(pool_rethrows_the_lowest_chunk) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    for (int turn = 0; turn < 300; ++turn) {
      // From chunk 3 on all throw: which one first is a matter of luck, which one is named must not be.
      std::string message;
      try {
        pool.run(40, [&](std::int64_t chunk, ThreadPool::Worker&) {
          if (chunk >= 3) throw std::runtime_error("chunk " + std::to_string(chunk));
        });
      } catch (const std::runtime_error& error) {
        message = error.what();
      }
      CHECK_AT(std::to_string(threads) + " threads: " + message, message == "chunk 3");
    }
    std::atomic<int> after{0};
    pool.run(10, [&](std::int64_t, ThreadPool::Worker&) { ++after; });
    CHECK(after == 10);
  }
}

TEST(pool_lets_lower_chunks_finish_after_a_failure) {
  ThreadPool pool(2);
  std::atomic<bool> late_failed{false};
  // Chunk 1 fails while chunk 0, which polls, is still on its way to its own failure.
  CHECK_THROWS(std::runtime_error, "chunk 0", pool.run(2, [&](std::int64_t chunk, ThreadPool::Worker& worker) {
    if (chunk == 1) {
      late_failed = true;
      throw std::runtime_error("chunk 1");
    }
    wait_until([&] { return late_failed.load(); });
    for (int i = 0; i < 20; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      worker.poll();
    }
    throw std::runtime_error("chunk 0");
  }));
}

TEST(pool_stops_after_a_failure) {
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    std::atomic<int> done{0};
    CHECK_THROWS(std::logic_error, "enough", pool.run(1'000'000, [&](std::int64_t chunk, ThreadPool::Worker&) {
      ++done;
      if (chunk == 5) throw std::logic_error("enough");
    }));
    CHECK(done < 1'000'000);
  }
}

TEST(pool_control_stops_a_region) {
  for (const int threads : {1, 2, 3, 8}) {
    StopAt control(4);
    ThreadPool pool(threads, &control);
    std::atomic<std::int64_t> done{0};
    // Short chunks: the caller looks at Control after each of its own.
    CHECK_THROWS(Interrupted, "interrupted", pool.run(1'000'000, [&](std::int64_t, ThreadPool::Worker& worker) {
      ++done;
      if (worker.id() != 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
    }));
    CHECK(done < 1'000'000);
    CHECK(!control.foreign());
    std::atomic<int> after{0};
    pool.run(100, [&](std::int64_t, ThreadPool::Worker&) { ++after; });
    CHECK(after == 100);
  }
}

TEST(pool_control_stops_workers_the_caller_waits_for) {
  StopAt control(5);
  ThreadPool pool(2, &control);
  std::atomic<bool> other_began{false};
  std::atomic<bool> ran_out{false};
  // The caller ends its chunk at once and then waits; the other worker goes on until poll() tells it to stop.
  CHECK_THROWS(Interrupted, "interrupted", pool.run(2, [&](std::int64_t, ThreadPool::Worker& worker) {
    if (worker.id() == 0) {
      wait_until([&] { return other_began.load(); });
      return;
    }
    other_began = true;
    ran_out = !wait_until([&] {
      worker.poll();
      return false;
    });
  }));
  CHECK(other_began);
  CHECK(!ran_out);
  CHECK(!control.foreign());
  std::atomic<int> after{0};
  pool.run(100, [&](std::int64_t, ThreadPool::Worker&) { ++after; });
  CHECK(after == 100);
}

TEST(pool_progress_and_check_reach_control) {
  struct Log : Control {
    std::int64_t done = 0;
    std::int64_t total = 0;
    int checks = 0;
    void check() override { ++checks; }
    void progress(std::int64_t d, std::int64_t t) override { done = d, total = t; }
  } log;
  ThreadPool pool(2, &log);
  pool.progress(3, 7);
  pool.check();
  CHECK(log.done == 3 && log.total == 7 && log.checks == 1);
  ThreadPool mute(2);
  mute.progress(1, 2);
  mute.check();
}

TEST(pools_on_two_threads_do_not_meet) {
  std::vector<std::int64_t> sums(2, 0);
  const auto work = [&](std::size_t who) {
    for (int turn = 0; turn < 50; ++turn) {
      ThreadPool outer(2);
      std::atomic<std::int64_t> sum{0};
      outer.run(4, [&](std::int64_t chunk, ThreadPool::Worker&) {
        ThreadPool inner(2);  // a pool inside a region of another
        inner.run(5, [&](std::int64_t i, ThreadPool::Worker&) { sum += 5 * chunk + i; });
      });
      sums[who] += sum;
    }
  };
  std::thread other(work, 1);
  work(0);
  other.join();
  CHECK(sums[0] == 50 * 190);
  CHECK(sums[1] == 50 * 190);
}

TEST(blocked_sum_has_the_same_bits_for_any_thread_count) {
  const auto term = [](std::int64_t i) { return 1.0 / static_cast<double>(i + 1) * (i % 3 == 0 ? -1.0 : 1.0); };
  for (const std::int64_t n : {std::int64_t{0}, std::int64_t{1}, kReductionBlock - 1, kReductionBlock, kReductionBlock + 1,
                               20 * kReductionBlock + 17}) {
    // The contract in plain code: blocks of kReductionBlock, added up in order.
    double expected = 0;
    for (std::int64_t begin = 0; begin < n; begin += kReductionBlock) {
      double block = 0;
      for (std::int64_t i = begin; i < std::min(n, begin + kReductionBlock); ++i) block += term(i);
      expected += block;
    }
    for (const int threads : {1, 2, 3}) {
      ThreadPool pool(threads);
      for (int turn = 0; turn < 5; ++turn)
        CHECK(std::bit_cast<std::uint64_t>(blocked_sum(pool, n, term)) == std::bit_cast<std::uint64_t>(expected));
    }
  }
}

TEST(parallel_for_visits_each_element_once) {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    for (const std::int64_t n : {std::int64_t{0}, std::int64_t{1}, kReductionBlock, 3 * kReductionBlock + 1}) {
      std::vector<std::int64_t> seen(static_cast<std::size_t>(n), 0);
      parallel_for(pool, n, [&](std::int64_t i) { seen[static_cast<std::size_t>(i)] += i + 1; });
      std::vector<std::int64_t> expected(static_cast<std::size_t>(n));
      std::iota(expected.begin(), expected.end(), 1);
      CHECK(seen == expected);
    }
  }
}

#if defined(FE_UPWARD) && defined(FE_DOWNWARD)
TEST(pool_regions_run_in_the_default_floating_point_environment) {
  for (const int threads : {1, 3})
    for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
      std::vector<double> thirds(50);
      std::atomic<int> other_modes{0};
      std::fesetround(mode);
      {
        ThreadPool pool(threads);
        pool.run(50, [&](std::int64_t chunk, ThreadPool::Worker&) {
          volatile double one = 1;
          volatile double minus_three = -3;
          other_modes += std::fegetround() != FE_TONEAREST;
          thirds[static_cast<std::size_t>(chunk)] = one / minus_three;
        });
      }
      const int mode_after = std::fegetround();
      std::fesetround(FE_TONEAREST);
      CHECK(mode_after == mode);
      CHECK(other_modes == 0);
      CHECK(std::all_of(thirds.begin(), thirds.end(), [](double x) { return x == -0x1.5555555555555p-2; }));
    }
}
#endif

#if defined(__SSE2__)
TEST(pool_regions_keep_denormals_when_the_caller_flushes_them) {
  constexpr unsigned kFlush = 0x8040;  // FTZ and DAZ
  const unsigned saved = __builtin_ia32_stmxcsr();
  for (const int threads : {1, 3}) {
    __builtin_ia32_ldmxcsr(saved | kFlush);
    std::atomic<int> flushed{0};
    {
      ThreadPool pool(threads);
      pool.run(50, [&](std::int64_t, ThreadPool::Worker&) {
        volatile double tiny = std::numeric_limits<double>::denorm_min();
        flushed += tiny * 2 == 0;
      });
    }
    const unsigned after = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(saved);
    CHECK(flushed == 0);
    CHECK((after & kFlush) == kFlush);
  }
}
#endif

TEST(philox_gives_the_published_answers) {
  // kat_vectors of Random123 for philox4x32-10.
  constexpr std::uint32_t kOnes = 0xffffffff;
  CHECK(philox_4x32_10({0, 0, 0, 0}, {0, 0}) == PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox_4x32_10({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}) ==
        PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox_4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST(philox_mapping_version_1) {
  const std::uint64_t seed = 0x0123456789abcdef;
  const std::uint64_t position = 0xfedcba9876543210;
  const PhiloxBlock direct = philox_4x32_10({0x76543210, 0xfedcba98, 1, 0}, {0x89abcdef, 0x01234567});
  CHECK(philox(seed, Stream::race, position) == direct);
  CHECK(random_bits(seed, Stream::race, 2 * (position >> 2)) ==
        (philox(seed, Stream::race, position >> 2)[0] | static_cast<std::uint64_t>(philox(seed, Stream::race, position >> 2)[1])
                                                            << 32));
  CHECK(random_bits(seed, Stream::race, 2 * (position >> 2) + 1) ==
        (philox(seed, Stream::race, position >> 2)[2] | static_cast<std::uint64_t>(philox(seed, Stream::race, position >> 2)[3])
                                                            << 32));
  CHECK(random_bits(seed, Stream::alias_draw, 5) != random_bits(seed, Stream::race, 5));
}

TEST(random_bits_in_bulk_are_those_of_each_position) {
  for (const Isa isa : available_isas())
    for (const std::uint64_t seed : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{0x0123456789abcdef}})
      for (const std::uint64_t begin :
           {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{0x1'ffff'fff0}, std::uint64_t{0x1'ffff'fff1},
            std::uint64_t{0xfedcba9876543211}, ~std::uint64_t{0} - 999})
        for (const std::int64_t count : {0, 1, 2, 3, 63, 64, 65, 66, 127, 128, 129, 1000}) {
          std::vector<std::uint64_t> bits(static_cast<std::size_t>(count) + 1, 77);
          fill_random_bits(seed, Stream::race, begin, count, bits.data(), isa);
          bool same = bits.back() == 77;
          for (std::uint64_t i = 0; i + 1 < bits.size(); ++i)
            same = same && bits[i] == random_bits(seed, Stream::race, begin + i);
          CHECK_AT(std::string(isa_name(isa)) + ", begin " + std::to_string(begin) + ", count " + std::to_string(count), same);
        }
}

TEST(open_unit_never_reaches_its_ends) {
  CHECK(open_unit(0) == 0x1p-53);
  CHECK(open_unit(~std::uint64_t{0}) == 1 - 0x1p-53);
  CHECK(open_unit(std::uint64_t{1} << 63) == 0.5 + 0x1p-53);
}

// Distance in units in the last place of the correctly rounded result.
double ulps(double value, long double exact) {
  const double rounded = static_cast<double>(exact);
  if (rounded == 0) return value == 0 ? 0 : 1e9;
  const double unit = std::nextafter(std::abs(rounded), std::numeric_limits<double>::infinity()) - std::abs(rounded);
  return static_cast<double>(std::abs(static_cast<long double>(value) - exact) / static_cast<long double>(unit));
}

TEST(portable_log_is_within_two_units) {
  double worst = 0;
  for (int exponent = -1074; exponent <= 1023; ++exponent)
    for (std::uint64_t i = 0; i < 40; ++i) {
      const double mantissa = 1 + open_unit(random_bits(7, Stream::race, static_cast<std::uint64_t>(exponent + 1074) * 40 + i));
      const double x = std::ldexp(i == 0 ? 1.0 : mantissa, exponent);
      if (std::isfinite(x) && x > 0) worst = std::max(worst, ulps(portable_log(x), std::log(static_cast<long double>(x))));
    }
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    // Close to 1, where the result is small and its relative error would show.
    const double distance = std::ldexp(open_unit(random_bits(8, Stream::race, i)), -static_cast<int>(i % 52));
    for (const double x : {1 + distance, 1 - distance / 2})
      worst = std::max(worst, ulps(portable_log(x), std::log(static_cast<long double>(x))));
  }
  for (const double edge : {0.70710678118654752440, 1.4142135623730951}) {
    for (const double x : {std::nextafter(edge, 0.0), edge, std::nextafter(edge, 2.0)})
      worst = std::max(worst, ulps(portable_log(x), std::log(static_cast<long double>(x))));
  }
  CHECK_AT(std::to_string(worst) + " ulp", worst <= 2);
  CHECK(portable_log(1) == 0);
  CHECK(portable_log(std::numeric_limits<double>::denorm_min()) < -744);
}

TEST(portable_exp_is_within_little_more_than_a_unit) {
  double worst = 0;
  double worst_subnormal = 0;  // rounded a second time
  const auto look = [&](double x) {
    const long double exact = std::exp(static_cast<long double>(x));
    if (!std::isfinite(static_cast<double>(exact))) return;
    double& most = exact < 0x1p-1022L ? worst_subnormal : worst;
    most = std::max(most, ulps(portable_exp(x), exact));
  };
  for (std::uint64_t i = 0; i < 200'000; ++i) look(-746 + 1456 * open_unit(random_bits(9, Stream::race, i)));
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    const double distance = std::ldexp(open_unit(random_bits(10, Stream::race, i)), -static_cast<int>(i % 60));
    look(distance);
    look(-distance);
  }
  // Where the exponent steps, and where its halves do.
  for (int step = -2152; step <= 2048; ++step) {
    const double edge = step * 0.34657359027997264;
    for (const double x : {std::nextafter(edge, -1e9), edge, std::nextafter(edge, 1e9)}) look(x);
  }
  CHECK_AT(std::to_string(worst) + " ulp", worst <= 1.1);
  CHECK_AT(std::to_string(worst_subnormal) + " ulp", worst_subnormal <= 1.6);
}

TEST(portable_exp_at_the_ends_of_its_range) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  CHECK(portable_exp(0.0) == 1);
  CHECK(portable_exp(-0.0) == 1);
  CHECK(portable_exp(kInfinity) == kInfinity);
  CHECK(portable_exp(-kInfinity) == 0);
  CHECK(portable_exp(std::numeric_limits<double>::max()) == kInfinity);
  CHECK(portable_exp(-std::numeric_limits<double>::max()) == 0);
  CHECK(std::isnan(portable_exp(kNaN)));
  CHECK(portable_exp(std::numeric_limits<double>::denorm_min()) == 1);
  CHECK(std::isfinite(portable_exp(709.782712893384)));  // log of the largest double, rounded down
  CHECK(portable_exp(709.7827128933841) == kInfinity);
  CHECK(portable_exp(-745.1332191019411) == std::numeric_limits<double>::denorm_min());
  CHECK(portable_exp(-745.1332191019412) == 0);
}

TEST(portable_exp_keeps_its_bits) {
  std::uint64_t seen = 0;
  for (std::uint64_t i = 0; i < 100'000; ++i)
    seen = seen * 31 + std::bit_cast<std::uint64_t>(portable_exp(-746 + 1456 * open_unit(random_bits(11, Stream::race, i))));
  CHECK_AT(std::to_string(seen), seen == 14632317503660976475U);  // a change of this is a change of relaxed points
}

TEST(portable_log_keeps_its_bits) {
  // Recorded once: a change of these is a change of every draw without replacement.
  CHECK(portable_log(0.5) == -0x1.62e42fefa39efp-1);
  CHECK(portable_log(3) == 0x1.193ea7aad030bp+0);
  CHECK(portable_log(10) == 0x1.26bb1bbb55516p+1);
}

TEST(sizes_multiply_with_a_check) {
  CHECK(checked_multiply(3, 5) == 15);
  CHECK(checked_multiply(0, INT64_MAX) == 0);
  CHECK(checked_multiply(INT64_MAX / 8, 8) == INT64_MAX / 8 * 8);
  CHECK_THROWS(Error, "overflows 64 bits", checked_multiply(INT64_MAX / 8 + 1, 8));
  CHECK_THROWS(Error, "overflows 64 bits", AlignedBuffer<double>(INT64_MAX / 4));
  try {
    checked_multiply(INT64_MAX, 2);
    CHECK(false);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::memory);
  }
}

TEST(buffers_are_aligned) {
  for (const std::int64_t size : {0, 1, 17, 1000}) {
    AlignedBuffer<float> buffer(size);
    CHECK(buffer.size() == size);
    CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64 == 0);
    for (std::int64_t i = 0; i < size; ++i) buffer.data()[i] = 1;
  }
  CHECK(AlignedBuffer<float>().data() == nullptr);
}

TEST(isa_levels_resolve) {
  const auto levels = available_isas();
  CHECK(!levels.empty() && levels.front() == Isa::scalar);
  CHECK(std::is_sorted(levels.begin(), levels.end()));
  for (const Isa isa : levels) CHECK(resolve_isa(isa_name(isa)) == isa);
  CHECK_THROWS(Error, "isa is 'mmx', but this build on this CPU has: scalar", resolve_isa("mmx"));
}

}  // namespace
