// SHA-256 against known digests and its two implementations against each other, UTF-8, and the reader's buffer.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "core/errors.h"
#include "text/fast_hash.h"
#include "text/sha256.h"
#include "text/text.h"
#include "text/tokens.h"

namespace {

using namespace coremax;
using namespace coremax::text;

// ASCII letters, digits and what is beyond ASCII are words; lower case of ASCII and of the Kelvin sign, which becomes shorter.
std::shared_ptr<const Characters> simple_characters() {
  std::vector<std::uint32_t> entries(static_cast<std::size_t>(kCodePoints));
  for (std::uint32_t code = 0; code < kCodePoints; ++code) {
    const bool upper = code >= 'A' && code <= 'Z';
    const bool word = upper || (code >= 'a' && code <= 'z') || (code >= '0' && code <= '9') || code >= 128;
    entries[code] = 4 * (upper ? code + 32 : code == 0x212A ? 'k' : code) + (word ? kWord : code == ' ' ? kSpace : kSymbol);
  }
  return std::make_shared<Characters>(std::move(entries));
}

Document document(const std::string& text) { return {text.data(), static_cast<std::int64_t>(text.size())}; }

std::vector<std::int64_t> counts_of(const std::vector<std::string>& texts, const Options& options, int threads = 1) {
  std::vector<Document> documents;
  for (const std::string& text : texts) documents.push_back(document(text));
  NgramHasher hasher(simple_characters(), options);
  ThreadPool pool(threads);
  hasher.count(documents, pool);
  return hasher.counts();
}

std::uint32_t digest(const std::string& text, std::uint32_t modulus, Isa isa) {
  return Sha256Modulo(modulus, isa)(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

TEST(sha256_known_answers) {
  // The low 24 bits of the digests in NIST's examples.
  const std::string million(1'000'000, 'a');
  const std::string two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  for (const Isa isa : available_isas()) {
    CHECK_AT(isa_name(isa), digest("", 1 << 24, isa) == 0x52b855);
    CHECK_AT(isa_name(isa), digest("abc", 1 << 24, isa) == 0x0015ad);
    CHECK_AT(isa_name(isa), digest(two_blocks, 1 << 24, isa) == 0xdb06c1);
    CHECK_AT(isa_name(isa), digest(million, 1 << 24, isa) == 0x112cd0);
    CHECK_AT(isa_name(isa), digest("abc", 1, isa) == 0);
  }
}

TEST(sha256_is_the_same_on_every_level) {
  std::string text;
  for (int length = 0; length < 300; ++length) {
    for (const std::uint32_t modulus : {2U, 9973U, 10'000U, (1U << 28) - 57U})
      CHECK_AT(std::to_string(length), digest(text, modulus, Isa::scalar) == digest(text, modulus, available_isas().back()));
    text += static_cast<char>(length * 37 + 11);
  }
}

TEST(reader_gives_tokens_and_their_ngrams) {
  const auto characters = simple_characters();
  TokenReader reader(characters->entries(), 2);
  const std::string text =
      "  Ab, c!! \xE2\x84\xAA"
      "ELVIN";
  const std::vector<std::string> tokens{"ab", ",", "c", "!!", "kelvin"};
  ThreadPool pool(1);
  pool.run(1, [&](std::int64_t, ThreadPool::Worker& worker) {
    for (int round = 0; round < 2; ++round) {
      reader.open(document(text));
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (!CHECK(reader.next(worker))) return;
        CHECK(std::string(reinterpret_cast<const char*>(reader.token()), reader.token_length()) == tokens[i]);
        if (i < 2) continue;
        const std::string three = tokens[i - 2] + " " + tokens[i - 1] + " " + tokens[i];
        CHECK(std::string(reinterpret_cast<const char*>(reader.ngram(3)), reader.ngram_length(3)) == three);
      }
      CHECK(!reader.next(worker));
      CHECK(!reader.next(worker));
    }
  });
}

TEST(reader_keeps_ngrams_when_it_moves_them) {
  // Tokens of all sizes about the buffer's limits, some of them larger than everything before.
  const auto characters = simple_characters();
  constexpr int kKept = 3;
  TokenReader reader(characters->entries(), kKept);
  std::vector<std::string> tokens;
  std::string text;
  std::uint64_t random = 1;
  for (int i = 0; i < 4000; ++i) {
    random = fold(random ^ kKey[0], kKey[1]);
    const std::size_t length = i % 401 == 0 ? 60'000 + random % 80'000 : 1 + random % 50;
    tokens.emplace_back(length, static_cast<char>('a' + i % 26));
    text += tokens.back() + " ";
  }
  ThreadPool pool(1);
  pool.run(1, [&](std::int64_t, ThreadPool::Worker& worker) {
    reader.open(document(text));
    for (std::size_t i = 0; reader.next(worker); ++i) {
      std::string joined;
      for (std::size_t back = std::min<std::size_t>(i, kKept) + 1; back-- > 0;)
        joined += tokens[i - back] + (back > 0 ? " " : "");
      const int n = static_cast<int>(std::min<std::size_t>(i, kKept)) + 1;
      CHECK_AT(std::to_string(i),
               std::string(reinterpret_cast<const char*>(reader.ngram(n)), reader.ngram_length(n)) == joined);
    }
  });
}

TEST(text_that_is_not_utf8_is_refused) {
  for (const char* bad : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF",
                          "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC3", "\xC3(", "\xE2\x84",
                          "\xE2\x84(", "\xF0\x9F\x98", "\xF0\x9F\x98("})
    for (const std::string before : {"", "abc", "abc "})
      for (const int threads : {1, 2}) {
        const std::string text = before + bad;
        CHECK_THROWS(Error, "document 1: byte " + std::to_string(before.size()) + " is not UTF-8",
                     counts_of({"good", text, text}, {}, threads));
      }
  for (const char* good :
       {"\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    std::int64_t total = 0;
    for (const std::int64_t count : counts_of({good}, {})) total += count;
    CHECK(total == 1);
  }
}

TEST(memo_does_not_change_buckets) {
  // More pairs than the memo has places, so that they drive each other out; lengths about its limit.
  std::vector<std::string> texts;
  std::vector<std::int64_t> expected(10'000);
  std::uint64_t random = 1;
  std::string before;
  std::string text;
  const auto add = [&](const std::string& ngram) { ++expected[digest(ngram, 10'000, Isa::scalar)]; };
  for (int i = 0; i < 200'000; ++i) {
    random = fold(random ^ kKey[0], kKey[1]);
    const std::string token = std::string(random % 16, 'x') + std::to_string((random >> 32) % 300);
    add(token);
    if (!before.empty()) add(before + " " + token);
    text += token + " ";
    before = token;
  }
  Options options;
  options.hash = Hash::sha256;
  for (const Isa isa : available_isas()) {
    options.isa = isa;
    CHECK(counts_of({text}, options) == expected);
  }
}

TEST(workers_and_calls_add_up) {
  std::vector<std::string> texts;
  for (int i = 0; i < 500; ++i) texts.push_back("text number " + std::to_string(i) + " of some");
  const std::vector<std::int64_t> expected = counts_of(texts, {});
  std::vector<double> values(10'000);
  for (std::size_t b = 0; b < values.size(); ++b) values[b] = 1.0 / (1.0 + static_cast<double>(b));
  std::vector<double> first;
  for (const int threads : {1, 2, 5}) {
    CHECK(counts_of(texts, {}, threads) == expected);
    NgramHasher hasher(simple_characters(), {});
    std::vector<Document> documents;
    for (const std::string& text : texts) documents.push_back(document(text));
    std::vector<double> sums(texts.size());
    std::vector<std::int64_t> n_tokens(texts.size());
    ThreadPool pool(threads);
    hasher.sum(documents, values.data(), sums.data(), n_tokens.data(), pool);
    for (const std::int64_t n : n_tokens) CHECK(n == 5);
    if (first.empty()) first = sums;
    CHECK(sums == first);
    hasher.count(documents, pool);
    hasher.count(documents, pool);
    std::vector<std::int64_t> twice = expected;
    for (std::int64_t& count : twice) count *= 2;
    CHECK(hasher.counts() == twice);
  }
}

// Lets go after some looks.
class StopAfter : public Control {
 public:
  explicit StopAfter(int looks) : left_(looks) {}
  void check() override {
    if (--left_ < 0) throw std::runtime_error("stopped");
  }

 private:
  int left_;
};

TEST(a_long_document_can_be_stopped) {
  std::string pairs;
  for (int i = 0; i < 100'000; ++i) pairs += "a b ";
  for (const std::string& text : {pairs, std::string(1'000'000, 'x'), std::string(1'000'000, ' ')}) {
    NgramHasher hasher(simple_characters(), {});
    StopAfter control(10);
    ThreadPool pool(1, &control);
    CHECK_THROWS(std::runtime_error, "stopped", hasher.count({document(text)}, pool));
  }
}

TEST(hasher_refuses_options_out_of_range) {
  const auto characters = simple_characters();
  CHECK_THROWS(Error, "ngrams", NgramHasher(characters, {Hash::fast, 0, 10, Isa::scalar}));
  CHECK_THROWS(Error, "ngrams", NgramHasher(characters, {Hash::fast, kMaxNgrams + 1, 10, Isa::scalar}));
  CHECK_THROWS(Error, "n_buckets", NgramHasher(characters, {Hash::fast, 2, 0, Isa::scalar}));
  CHECK_THROWS(Error, "n_buckets", NgramHasher(characters, {Hash::fast, 2, kMaxBuckets + 1, Isa::scalar}));
  CHECK_THROWS(Error, "one number per code point", Characters({1, 2, 3}));
}

}  // namespace
