// Any bytes as documents: counts are the same for both ways to divide them into batches and on every ISA level, and their sum
// is the number of n-grams.
#include <numeric>

#include "fuzz/input.h"
#include "text/text.h"

namespace {

using namespace coremax;
using namespace coremax::text;

// Every code point is something, and lower case may be longer or shorter than what it is of.
std::shared_ptr<const Characters> some_characters() {
  std::vector<std::uint32_t> entries(static_cast<std::size_t>(kCodePoints));
  for (std::uint32_t code = 0; code < kCodePoints; ++code) {
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    const std::uint32_t lower = code == 0x212A ? 'k' : code == 'Q' ? 0x1F4A9 : code;
    entries[code] = 4 * (surrogate ? 0 : lower) + (code == ' ' || code == '\n' ? kSpace : code % 5 == 0 ? kSymbol : kWord);
  }
  return std::make_shared<Characters>(std::move(entries));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto characters = some_characters();
  return fuzz::answers(data, size, [&](fuzz::Input& input) {
    Options options;
    options.hash = input.up_to(1) == 0 ? Hash::fast : Hash::sha256;
    options.ngrams = 1 + static_cast<int>(input.up_to(kMaxNgrams - 1));
    options.n_buckets = 1 + input.next<std::uint16_t>() % 1000;
    const auto cut = static_cast<std::int64_t>(input.next<std::uint16_t>());
    const std::vector<char> bytes = input.many<char>(static_cast<std::int64_t>(input.left()));  // its end is the memory's
    const auto length = static_cast<std::int64_t>(bytes.size());
    const std::int64_t first = length == 0 ? 0 : cut % (length + 1);
    const std::vector<Document> documents{{bytes.data(), first}, {bytes.data() + first, length - first}};
    ThreadPool pool(1);
    std::vector<std::vector<std::int64_t>> counts;
    for (const Isa isa : available_isas()) {
      options.isa = isa;
      NgramHasher together(characters, options), apart(characters, options);
      together.count(documents, pool);
      for (const Document& document : documents) apart.count({document}, pool);
      EXPECT(together.counts() == apart.counts());
      EXPECT(counts.empty() || counts.front() == together.counts());
      counts.push_back(together.counts());
      const std::vector<double> ones(static_cast<std::size_t>(options.n_buckets), 1.0);
      double sums[2];
      std::int64_t n_tokens[2];
      apart.sum(documents, ones.data(), sums, n_tokens, pool);
      const std::int64_t n_ngrams = std::accumulate(counts.front().begin(), counts.front().end(), std::int64_t{0});
      EXPECT(sums[0] + sums[1] == static_cast<double>(n_ngrams));
      EXPECT(n_tokens[0] + n_tokens[1] <= length);
    }
  });
}
