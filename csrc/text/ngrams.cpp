// See text.h. Each worker has a reader, its own counts and, for SHA-256, a memo: natural text repeats itself, and a look-up in
// a table that fits into the cache costs less than a digest. The memo holds texts whole, so it never changes a result.
#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "core/errors.h"
#include "text/fast_hash.h"
#include "text/sha256.h"
#include "text/text.h"
#include "text/tokens.h"

namespace coremax::text {
namespace {

// Buckets of short n-grams, each at the one place that its fast hash gives it; the newest stays.
class Memo {
 public:
  static constexpr std::size_t kLongest = 24;

  Memo() : slots_(kSlots) {}

  template <class Compute>
  std::uint32_t operator()(std::uint64_t hash, const std::uint8_t* text, std::size_t length, Compute&& compute) {
    if (length > kLongest) return compute();
    Slot& slot = slots_[bucket_of(hash, kSlots)];
    const Text key{little_endian(text, std::min<std::size_t>(length, 8)), part(text, length, 8), part(text, length, 16)};
    if (slot.length != length || slot.text != key) slot = {key, static_cast<std::uint32_t>(length), compute()};
    return slot.bucket;
  }

 private:
  using Text = std::array<std::uint64_t, kLongest / 8>;
  struct alignas(32) Slot {
    Text text{};
    std::uint32_t length = 0;  // 0 is free: no n-gram is empty
    std::uint32_t bucket = 0;
  };
  // 128 KiB. With the SHA extensions a digest costs little more than a miss of the cache, and larger memos were slower on
  // prose and on code (32,768 places: by a tenth and a third).
  static constexpr std::size_t kSlots = 4096;

  static std::uint64_t part(const std::uint8_t* text, std::size_t length, std::size_t from) {
    return length > from ? little_endian(text + from, std::min<std::size_t>(length - from, 8)) : 0;
  }

  std::vector<Slot> slots_;
};

// The bucket of an n-gram from its hash and its text.
struct FastBuckets {
  std::uint64_t n_buckets;
  std::size_t operator()(std::uint64_t hash, const TokenReader&, int) const { return bucket_of(hash, n_buckets); }
};

struct Sha256Buckets {
  const Sha256Modulo& digest;
  Memo& memo;
  std::size_t operator()(std::uint64_t hash, const TokenReader& reader, int n) const {
    const std::uint8_t* text = reader.ngram(n);
    const std::size_t length = reader.ngram_length(n);
    return memo(hash, text, length, [&] { return digest(text, length); });
  }
};

// Calls visit(bucket) for every n-gram of the document, by its last token and then by n; returns the number of tokens.
template <class Buckets, class Visit>
std::int64_t visit_ngrams(const Document& document, TokenReader& reader, int ngrams, const Buckets& buckets,
                          const ThreadPool::Worker& worker, Visit&& visit) {
  constexpr std::int64_t kPollEvery = 4096;
  std::uint64_t hashes[kMaxNgrams + 1];  // [n]: of the n-gram that ends with the newest token
  std::int64_t n_tokens = 0;
  reader.open(document);
  while (reader.next(worker)) {
    const std::uint64_t token = hash_token(reader.token(), reader.token_length());
    const int longest = n_tokens < ngrams ? static_cast<int>(n_tokens) + 1 : ngrams;
    for (int n = longest; n >= 2; --n) hashes[n] = hash_longer(hashes[n - 1], token);
    hashes[1] = token;
    for (int n = 1; n <= longest; ++n) visit(buckets(hashes[n], reader, n));
    if (++n_tokens % kPollEvery == 0) worker.poll();
  }
  return n_tokens;
}

}  // namespace

struct NgramHasher::State {
  struct PerWorker {
    PerWorker(const State& state) : reader(state.characters->entries(), state.options.ngrams - 1) {}
    TokenReader reader;
    std::unique_ptr<Memo> memo;
    std::vector<std::int64_t> counts;
  };

  std::shared_ptr<const Characters> characters;
  Options options;
  Sha256Modulo digest;
  std::vector<std::unique_ptr<PerWorker>> workers;

  // visit(document, bucket) for every n-gram, then done(document, number of tokens); each document on one worker. visit is made
  // by make_visit(worker's part) once a document.
  template <class MakeVisit>
  void run(const std::vector<Document>& documents, ThreadPool& pool, MakeVisit&& make_visit) {
    if (workers.size() < static_cast<std::size_t>(pool.size())) workers.resize(static_cast<std::size_t>(pool.size()));
    pool.run(static_cast<std::int64_t>(documents.size()), [&](std::int64_t i, ThreadPool::Worker& worker) {
      auto& mine = workers[static_cast<std::size_t>(worker.id())];
      if (!mine) mine = std::make_unique<PerWorker>(*this);
      try {
        make_visit(i, *mine,
                   [&](auto&& visit) { return visit_document(documents[static_cast<std::size_t>(i)], *mine, worker, visit); });
      } catch (const Error& error) {
        throw Error(error.kind(), "document " + std::to_string(i) + ": " + error.what());
      }
    });
  }

  template <class Visit>
  std::int64_t visit_document(const Document& document, PerWorker& mine, const ThreadPool::Worker& worker, Visit&& visit) {
    if (options.hash == Hash::fast)
      return visit_ngrams(document, mine.reader, options.ngrams, FastBuckets{static_cast<std::uint64_t>(options.n_buckets)},
                          worker, visit);
    if (!mine.memo) mine.memo = std::make_unique<Memo>();
    return visit_ngrams(document, mine.reader, options.ngrams, Sha256Buckets{digest, *mine.memo}, worker, visit);
  }
};

Characters::Characters(std::vector<std::uint32_t> entries) : entries_(std::move(entries)) {
  require(static_cast<std::int64_t>(entries_.size()) == kCodePoints, "characters must have one number per code point");
  const auto good = [](std::uint32_t entry) { return (entry >> 2) < kCodePoints && (entry & 3) <= kSpace; };
  require(std::all_of(entries_.begin(), entries_.end(), good), "characters holds a number out of range");
}

NgramHasher::NgramHasher(std::shared_ptr<const Characters> characters, const Options& options) {
  require(options.ngrams >= 1 && options.ngrams <= kMaxNgrams, "ngrams must be from 1 to " + std::to_string(kMaxNgrams));
  require(options.n_buckets >= 1 && options.n_buckets <= kMaxBuckets,
          "n_buckets must be from 1 to " + std::to_string(kMaxBuckets));
  state_ = std::make_unique<State>(
      State{std::move(characters), options, Sha256Modulo(static_cast<std::uint32_t>(options.n_buckets), options.isa), {}});
}

NgramHasher::~NgramHasher() = default;
NgramHasher::NgramHasher(NgramHasher&&) noexcept = default;

std::int64_t NgramHasher::n_buckets() const { return state_->options.n_buckets; }

void NgramHasher::count(const std::vector<Document>& documents, ThreadPool& pool) {
  const auto n_buckets = static_cast<std::size_t>(state_->options.n_buckets);
  state_->run(documents, pool, [n_buckets](std::int64_t, State::PerWorker& mine, auto&& each_bucket) {
    mine.counts.resize(n_buckets);
    std::int64_t* counts = mine.counts.data();
    each_bucket([counts](std::size_t bucket) { ++counts[bucket]; });
  });
}

std::vector<std::int64_t> NgramHasher::counts() const {
  std::vector<std::int64_t> total(static_cast<std::size_t>(state_->options.n_buckets));
  for (const auto& worker : state_->workers)
    if (worker)
      for (std::size_t b = 0; b < worker->counts.size(); ++b) total[b] += worker->counts[b];
  return total;
}

void NgramHasher::sum(const std::vector<Document>& documents, const double* values, double* sums, std::int64_t* n_tokens,
                      ThreadPool& pool) {
  state_->run(documents, pool, [=](std::int64_t i, State::PerWorker&, auto&& each_bucket) {
    double sum = 0;
    n_tokens[i] = each_bucket([&sum, values](std::size_t bucket) { sum += values[bucket]; });
    sums[i] = sum;
  });
}

}  // namespace coremax::text
