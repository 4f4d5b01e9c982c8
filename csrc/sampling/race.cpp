// Sampling without replacement by exponential races. A sample of the race itself says by which time a little more than `size`
// elements have arrived; one pass over all then drops most of the others without a logarithm, since -log u >= 1 - u, and deals
// those that arrived in time into buckets between quantiles of the sample, which are sorted one by one. How the sample falls
// decides the time it takes, never the result: where too few arrived in time, the limit is lifted.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>

#include "core/aligned_buffer.h"
#include "core/errors.h"
#include "core/log.h"
#include "core/philox.h"
#include "isa/random_bits.h"
#include "sampling/cpu/race_kernels.h"
#include "sampling/race_times.h"
#include "sampling/runners.h"
#include "sampling/sampling.h"

namespace coremax::sampling {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

constexpr std::int64_t kSampleFrom = 8192;  // fewer elements are raced all at once
constexpr std::int64_t kLargestSample = 1 << 20;
constexpr std::int64_t kBlocksPerChunk = 16;  // at least: what a thread takes at a time
constexpr std::int64_t kMostChunks = 1024;    // each keeps a count for each bucket
constexpr std::int64_t kBucketSize = 4096;    // runners: fit a core's cache twice
constexpr std::int64_t kMostBuckets = 1024;
constexpr int kCellBits = 13;                  // a table of 16 KiB
constexpr std::int64_t kSampledPerBucket = 8;  // at least: keeps buckets within a factor of two or so

enum class Shortage { refused, allowed };

#if defined(COREMAX_HAVE_AVX512)
constexpr bool kHasKernels = true;
#else
constexpr bool kHasKernels = false;
#endif

bool use_kernels(Isa isa) { return kHasKernels && isa >= Isa::avx512; }

// values[i] = -log values[i].
void negative_logs(double* values, std::int64_t count, Isa isa) {
  if constexpr (kHasKernels)
    if (use_kernels(isa)) return race_kernels::negative_logs_avx512(values, count);
  for (std::int64_t c = 0; c < count; ++c) values[c] = -portable_log(values[c]);
}

// The places and uniforms of those of `count` elements that may arrive in time: few that do not, and none that does is missing.
template <class Rule, class T>
std::int64_t passing(const Rule& rule, const T* weights, const std::uint64_t* bits, std::int64_t count, std::int32_t* places,
                     double* uniforms, Isa isa) {
  if constexpr (kHasKernels)
    if (use_kernels(isa)) return rule.passing(weights, bits, count, places, uniforms);
  std::int64_t n_found = 0;
  for (std::int64_t j = 0; j < count; ++j) {
    // With k the upper 52 bits, u = (k + 1/2) 2^-52, so this is 1 - u, exactly.
    const double one_and = std::bit_cast<double>((bits[j] >> 12) | (std::uint64_t{1023} << 52));
    const double rest = (2 - 0x1p-53) - one_and;
    places[n_found] = static_cast<std::int32_t>(j);
    n_found += !(rest > rule.bound(static_cast<double>(weights[j])));
  }
  for (std::int64_t c = 0; c < n_found; ++c) uniforms[c] = open_unit(bits[places[c]]);
  return n_found;
}

// What is needed, beside the codes of times, to drop an element without taking a logarithm. bound(w) is at least the waiting
// time that brings an element of weight w in by the limit (where it is below 1).
class QuotientRace : public QuotientTime {
 public:
  explicit QuotientRace(std::uint64_t limit) {
    const int exponent = static_cast<int>(limit >> 52) - kBias - 1023;
    const double significand = std::bit_cast<double>((limit & kSignificand) | kOne);
    // Beyond a double's range it is rounded up. The factor covers the rounding of products, quotients and logarithms.
    limit_ = limit == kNever ? kInfinity
                             : std::max(std::ldexp(significand, exponent), std::numeric_limits<double>::min()) * (1 + 0x1p-30);
  }
  double bound(double weight) const { return weight * limit_; }  // not a number where all arrive in time: passes
  template <class T>
  std::int64_t passing(const T* weights, const std::uint64_t* bits, std::int64_t count, std::int32_t* places,
                       double* uniforms) const {
    return race_kernels::passing_quotients_avx512(weights, bits, count, limit_, places, uniforms);
  }

 private:
  double limit_;
};

class LogRace : public LogTime {
 public:
  explicit LogRace(std::uint64_t limit) {
    limit_ = limit == kNever ? std::numeric_limits<double>::max()
                             : std::bit_cast<double>((limit & kSign) != 0 ? limit ^ kSign : ~limit);
    margin_ = std::abs(limit_) * 0x1p-48 + 0x1p-20;
  }
  // exp(limit + log_weight) from above: 2^i (1 + f) >= 2^(i + f), read off the fixed-point exponent.
  double bound(double log_weight) const {
    const double exponent = (limit_ + log_weight) * ((1 - 0x1p-48) * 1.4426950408889634) + margin_ * 1.5;
    const double clamped = std::min(std::max(exponent, -1000.0), 1.0);
    const auto fixed = static_cast<std::int32_t>((clamped + 1023) * 0x1p20) + 1;
    return std::bit_cast<double>(static_cast<std::uint64_t>(fixed) << 32);
  }
  template <class T>
  std::int64_t passing(const T* logs, const std::uint64_t* bits, std::int64_t count, std::int32_t* places,
                       double* uniforms) const {
    return race_kernels::passing_logs_avx512(logs, bits, count, limit_, margin_, places, uniforms);
  }

 private:
  double limit_;
  double margin_;
};

// The time by which a few more than wanted arrive, and how those up to it are dealt into buckets. The range of times is cut
// into equal cells, and neighbouring cells are joined to buckets as a sample of the times fills them: a bucket is looked up.
struct Schedule {
  std::uint64_t limit = kNever;
  std::uint64_t first = 0;  // earlier times go with it, as later ones with the last
  std::uint64_t last = 0;
  int shift = 0;
  std::vector<std::uint16_t> bucket_of_cell{0};
  std::size_t n_buckets = 1;

  std::size_t bucket_of(std::uint64_t time) const { return bucket_of_cell[(std::clamp(time, first, last) - first) >> shift]; }
  void set_buckets(const std::vector<std::uint64_t>& times, std::size_t n_times, std::int64_t wanted_buckets);
};

// times [n_times] ascending.
void Schedule::set_buckets(const std::vector<std::uint64_t>& times, std::size_t n_times, std::int64_t wanted_buckets) {
  if (wanted_buckets < 2) return;
  const std::size_t per_bucket = n_times / static_cast<std::size_t>(wanted_buckets);
  first = times[per_bucket];
  last = times[n_times - 1];
  shift = std::max(0, static_cast<int>(std::bit_width(last - first)) - kCellBits);
  bucket_of_cell.resize(static_cast<std::size_t>((last - first) >> shift) + 1);
  std::size_t place = 0;
  std::size_t opened_at = 0;  // where in the sample the current bucket begins
  for (std::size_t cell = 0; cell < bucket_of_cell.size(); ++cell) {
    bucket_of_cell[cell] = static_cast<std::uint16_t>(n_buckets - 1);
    while (place < n_times && (std::max(times[place], first) - first) >> shift <= cell) ++place;
    if (place - opened_at < per_bucket || cell + 1 == bucket_of_cell.size()) continue;
    opened_at = place;
    ++n_buckets;
  }
}

// The runners of a range of elements that arrived in time, those of a bucket side by side.
struct Chunk {
  AlignedBuffer<Runner> runners;
  std::vector<std::int64_t> ends;  // of the buckets
  std::int64_t n_positive = 0;     // weights

  std::int64_t begin(std::size_t bucket) const { return bucket == 0 ? 0 : ends[bucket - 1]; }
  std::int64_t count(std::size_t bucket) const { return ends[bucket] - begin(bucket); }
};

template <class Rule, class T>
class Race {
 public:
  Race(const T* weights, std::int64_t n, std::int64_t start, std::uint64_t seed, Isa isa, ThreadPool& pool)
      : weights_(weights), n_(n), start_(start), seed_(seed), isa_(isa), pool_(pool) {}

  // The `size` fastest. Where fewer run: an error, or all of them.
  FastestRunners fastest(std::int64_t size, Shortage shortage, bool with_times) {
    for (double generosity = 1;; generosity *= 4) {
      const Schedule schedule = sample_race(size, generosity);
      const std::vector<Chunk> chunks = arrivals(schedule);
      std::int64_t n_positive = 0;
      std::int64_t n_arrived = 0;
      for (const Chunk& chunk : chunks) {
        n_positive += chunk.n_positive;
        n_arrived += chunk.ends.back();
      }
      if (shortage == Shortage::refused) require_draws(size, n_positive);
      if (n_arrived < size && schedule.limit != kNever) continue;
      if (n_arrived < std::min(size, n_positive)) refuse_changed("weights");
      return in_order(chunks, schedule, std::min(size, n_arrived), with_times);
    }
  }

 private:
  // From uniforms to what Rule::code takes.
  static void to_waiting(double* values, std::int64_t count, Isa isa) {
    negative_logs(values, count, isa);
    if (Rule::kLogWeights) negative_logs(values, count, isa);
  }

  Schedule sample_race(std::int64_t size, double generosity) {
    Schedule schedule;
    if (n_ < kSampleFrom) return schedule;
    const double share = std::min(1.0, static_cast<double>(size) / static_cast<double>(n_));
    // Of m sampled, the limit has to stand about 5 sqrt(m size / n) places beyond the m size / n wanted, so that n / m times as
    // many arrive for nothing. A sampled one costs, mostly in cache misses, some three of those: about this many cost least.
    const auto n_sampled = static_cast<std::int64_t>(std::min<double>(
        kLargestSample,
        std::sqrt(10.0 * static_cast<double>(n_)) + std::cbrt(share * static_cast<double>(n_) * static_cast<double>(n_))));
    std::vector<std::uint64_t> times = sampled_times(n_sampled);
    pool_.check();
    const double wanted = share * static_cast<double>(n_sampled);
    const double rank = generosity * (wanted + 5 * std::sqrt(wanted) + 8);
    std::size_t n_below = times.size();
    if (rank < static_cast<double>(n_sampled)) {
      n_below = static_cast<std::size_t>(rank);
      std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(n_below), times.end());
      schedule.limit = times[n_below];
    }
    std::sort(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(n_below));
    while (n_below > 0 && times[n_below - 1] == kNever) --n_below;
    const std::int64_t n_buckets =
        std::min({size / kBucketSize, kMostBuckets, static_cast<std::int64_t>(n_below) / kSampledPerBucket});
    schedule.set_buckets(times, n_below, n_buckets);
    return schedule;
  }

  // Of elements picked at random. In steps over a block, so that the cache misses of many are under way at a time.
  std::vector<std::uint64_t> sampled_times(std::int64_t n_sampled) const {
    std::vector<std::uint64_t> times(static_cast<std::size_t>(n_sampled));
    constexpr std::int64_t kBlock = 1024;
    pool_.run((n_sampled + kBlock - 1) / kBlock, [&](std::int64_t block, ThreadPool::Worker&) {
      const std::int64_t begin = block * kBlock;
      const std::int64_t count = std::min(kBlock, n_sampled - begin);
      std::uint64_t bits[kBlock];
      T weights[kBlock];
      double waiting[kBlock];
      fill_random_bits(seed_, Stream::race_sample, static_cast<std::uint64_t>(begin), count, bits, isa_);
      for (std::int64_t j = 0; j < count; ++j) {
        bits[j] = static_cast<std::uint64_t>((static_cast<unsigned __int128>(bits[j]) * static_cast<std::uint64_t>(n_)) >> 64);
        weights[j] = weights_[bits[j]];
      }
      for (std::int64_t j = 0; j < count; ++j)
        waiting[j] = open_unit(random_bits(seed_, Stream::race, static_cast<std::uint64_t>(start_) + bits[j]));
      to_waiting(waiting, count, isa_);
      for (std::int64_t j = 0; j < count; ++j)
        times[static_cast<std::size_t>(begin + j)] = Rule::code(waiting[j], static_cast<double>(weights[j]));
    });
    return times;
  }

  struct Scratch {
    std::uint64_t bits[kReductionBlock];
    std::int32_t places[kReductionBlock + race_kernels::kRoom];
    double waiting[kReductionBlock + race_kernels::kRoom];
    std::vector<Runner> runners;
    std::vector<Runner> spare;
    std::vector<std::uint16_t> buckets;
  };

  // Adds those of a block that arrive in time; returns how many weights are positive.
  std::int64_t add_arrivals(const Rule& rule, std::uint64_t limit, std::int64_t begin, std::int64_t end,
                            Scratch& scratch) const {
    const std::int64_t n_positive = count_positive(weights_, begin, end, Rule::kLogWeights);
    fill_random_bits(seed_, Stream::race, static_cast<std::uint64_t>(start_ + begin), end - begin, scratch.bits, isa_);
    const std::int64_t n_found =
        passing(rule, weights_ + begin, scratch.bits, end - begin, scratch.places, scratch.waiting, isa_);
    to_waiting(scratch.waiting, n_found, isa_);
    for (std::int64_t c = 0; c < n_found; ++c) {
      const std::int64_t i = begin + scratch.places[c];
      const std::uint64_t time = Rule::code(scratch.waiting[c], static_cast<double>(weights_[i]));
      if (time <= limit && time != kNever) scratch.runners.push_back({time, start_ + i});
    }
    return n_positive;
  }

  std::vector<Chunk> arrivals(const Schedule& schedule) {
    const std::int64_t n_blocks = (n_ + kReductionBlock - 1) / kReductionBlock;
    const std::int64_t blocks_per_chunk = std::max(kBlocksPerChunk, (n_blocks + kMostChunks - 1) / kMostChunks);
    const std::int64_t n_chunks = (n_blocks + blocks_per_chunk - 1) / blocks_per_chunk;
    std::vector<Chunk> chunks(static_cast<std::size_t>(n_chunks));
    std::vector<Scratch> scratches(static_cast<std::size_t>(pool_.size()));
    const Rule rule(schedule.limit);
    pool_.run(n_chunks, [&](std::int64_t number, ThreadPool::Worker& worker) {
      Scratch& scratch = scratches[static_cast<std::size_t>(worker.id())];
      scratch.runners.clear();
      std::int64_t n_positive = 0;
      const std::int64_t end = std::min(n_, (number + 1) * blocks_per_chunk * kReductionBlock);
      for (std::int64_t begin = number * blocks_per_chunk * kReductionBlock; begin < end; begin += kReductionBlock) {
        worker.poll();
        n_positive += add_arrivals(rule, schedule.limit, begin, std::min(end, begin + kReductionBlock), scratch);
      }
      chunks[static_cast<std::size_t>(number)] = deal(schedule, scratch);
      chunks[static_cast<std::size_t>(number)].n_positive = n_positive;
    });
    return chunks;
  }

  static Chunk deal(const Schedule& schedule, Scratch& scratch) {
    const std::size_t n = scratch.runners.size();
    Chunk chunk{AlignedBuffer<Runner>(static_cast<std::int64_t>(n)), std::vector<std::int64_t>(schedule.n_buckets + 1, 0), 0};
    scratch.buckets.resize(n);
    for (std::size_t r = 0; r < n; ++r) {
      const std::size_t bucket = schedule.bucket_of(scratch.runners[r].time);
      scratch.buckets[r] = static_cast<std::uint16_t>(bucket);
      ++chunk.ends[bucket + 1];
    }
    for (std::size_t bucket = 1; bucket < chunk.ends.size(); ++bucket) chunk.ends[bucket] += chunk.ends[bucket - 1];
    for (std::size_t r = 0; r < n; ++r) chunk.runners.data()[chunk.ends[scratch.buckets[r]]++] = scratch.runners[r];
    chunk.ends.pop_back();
    return chunk;
  }

  // The buckets follow each other in time, the chunks within a bucket by number: so ties stay in the order of numbers.
  FastestRunners in_order(const std::vector<Chunk>& chunks, const Schedule& schedule, std::int64_t size, bool with_times) {
    FastestRunners result{std::vector<std::int64_t>(static_cast<std::size_t>(size)),
                          std::vector<std::uint64_t>(with_times ? static_cast<std::size_t>(size) : 0)};
    std::vector<std::int64_t> begins(1, 0);
    for (std::size_t bucket = 0; bucket < schedule.n_buckets; ++bucket) {
      std::int64_t count = 0;
      for (const Chunk& chunk : chunks) count += chunk.count(bucket);
      begins.push_back(begins.back() + count);
    }
    std::vector<Scratch> scratches(static_cast<std::size_t>(pool_.size()));
    pool_.run(static_cast<std::int64_t>(schedule.n_buckets), [&](std::int64_t number, ThreadPool::Worker& worker) {
      const auto bucket = static_cast<std::size_t>(number);
      const std::int64_t begin = begins[bucket];
      const std::int64_t wanted = std::min(size, begins[bucket + 1]) - begin;
      if (wanted <= 0) return;
      Scratch& scratch = scratches[static_cast<std::size_t>(worker.id())];
      std::vector<Runner>& runners = scratch.runners;
      runners.clear();
      for (const Chunk& chunk : chunks) {
        const Runner* from = chunk.runners.data() + chunk.begin(bucket);
        runners.insert(runners.end(), from, from + chunk.count(bucket));
      }
      scratch.spare.resize(runners.size());
      sort_runners(runners.data(), scratch.spare.data(), static_cast<std::int64_t>(runners.size()), wanted, worker);
      for (std::int64_t r = 0; r < wanted; ++r) {
        result.indices[static_cast<std::size_t>(begin + r)] = runners[static_cast<std::size_t>(r)].index;
        if (with_times) result.times[static_cast<std::size_t>(begin + r)] = runners[static_cast<std::size_t>(r)].time;
      }
    });
    return result;
  }

  const T* weights_;
  std::int64_t n_;
  std::int64_t start_;
  std::uint64_t seed_;
  Isa isa_;
  ThreadPool& pool_;
};

FastestRunners run_race(const void* weights, DType dtype, std::int64_t n, std::int64_t start, std::int64_t size,
                        Shortage shortage, bool log_weights, std::uint64_t seed, Isa isa, bool with_times, ThreadPool& pool) {
  return with_float_pointer(weights, dtype, [&](const auto* w) {
    using T = std::remove_cvref_t<decltype(*w)>;
    if (log_weights) return Race<LogRace, T>(w, n, start, seed, isa, pool).fastest(size, shortage, with_times);
    return Race<QuotientRace, T>(w, n, start, seed, isa, pool).fastest(size, shortage, with_times);
  });
}

}  // namespace

std::vector<std::int64_t> sample_without_replacement(const void* weights, DType dtype, std::int64_t n, std::int64_t size,
                                                     bool log_weights, std::uint64_t seed, Isa isa, ThreadPool& pool) {
  require(n >= 1, "weights is empty");
  return run_race(weights, dtype, n, 0, size, Shortage::refused, log_weights, seed, isa, false, pool).indices;
}

FastestRunners fastest_runners(const void* weights, DType dtype, std::int64_t n, std::int64_t start, std::int64_t size,
                               bool log_weights, std::uint64_t seed, Isa isa, ThreadPool& pool) {
  return run_race(weights, dtype, n, start, size, Shortage::allowed, log_weights, seed, isa, true, pool);
}

}  // namespace coremax::sampling
