// Hashed n-grams of text: each document becomes the buckets of its words and of its runs of up to `ngrams` words, which are
// counted, or looked up in a table and added.
//
// A token is a longest run of word characters, or a longest run of characters that are neither word nor space; text is put to
// lower case first. What each code point is comes from the caller (Python's own rules), so nothing here knows Unicode.
// An n-gram is n tokens joined by one space. Its bucket:
//   fast    the high word of (64-bit hash x n_buckets), hash as in text/fast_hash.h, version 1 [ours];
//   sha256  the SHA-256 digest of its UTF-8 bytes as a big-endian number, modulo n_buckets: as the package data-selection, by
//           the authors of DSIR (Xie et al., NeurIPS 2023, arXiv 2302.03169).
// The same result for any thread count, ISA level and division into batches: counts are integers, and the terms of one document
// are added in its order.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/thread_pool.h"
#include "isa/isa.h"

namespace coremax::text {

enum class Hash { fast, sha256 };

// UTF-8, not owned.
struct Document {
  const char* data;
  std::int64_t size;
};

enum CharacterKind : std::uint32_t { kSymbol = 0, kWord = 1, kSpace = 2 };
constexpr std::int64_t kCodePoints = 0x110000;

// What each code point is; made once and shared.
class Characters {
 public:
  // kCodePoints numbers: the code point of the lower case times 4, plus the kind. Throws where one is out of range.
  explicit Characters(std::vector<std::uint32_t> entries);
  const std::uint32_t* entries() const { return entries_.data(); }

 private:
  std::vector<std::uint32_t> entries_;
};

constexpr int kMaxNgrams = 16;
constexpr std::int64_t kMaxBuckets = std::int64_t{1} << 24;  // each worker counts for itself: 8 bytes a bucket

struct Options {
  Hash hash = Hash::fast;
  int ngrams = 2;
  std::int64_t n_buckets = 10'000;
  Isa isa = Isa::scalar;
};

// Holds what is kept from batch to batch: counts, and for SHA-256 the buckets of n-grams met before. Calls must not overlap.
class NgramHasher {
 public:
  NgramHasher(std::shared_ptr<const Characters> characters, const Options& options);  // throws where an option is out of range
  ~NgramHasher();
  NgramHasher(NgramHasher&&) noexcept;

  std::int64_t n_buckets() const;
  // Adds the n-grams of the documents to the counts. Throws, naming document and byte, where one is not UTF-8.
  void count(const std::vector<Document>& documents, ThreadPool& pool);
  std::vector<std::int64_t> counts() const;
  // sums[i] = sum over the n-grams of document i of values[bucket]; n_tokens[i] = its number of tokens.
  void sum(const std::vector<Document>& documents, const double* values, double* sums, std::int64_t* n_tokens,
           ThreadPool& pool);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace coremax::text
