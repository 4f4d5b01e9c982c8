// The tokens of one document, one after the other, in lower case and as UTF-8: each is written behind the one before it with
// one space between, so that the last n of them are the text of their n-gram.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/thread_pool.h"
#include "text/text.h"

namespace coremax::text {

class TokenReader {
 public:
  // characters: Characters::entries. kept: tokens before the newest whose text stays readable.
  TokenReader(const std::uint32_t* characters, int kept);

  void open(const Document& document);
  // Goes to the next token; false at the end. Throws where the bytes are not UTF-8.
  bool next(const ThreadPool::Worker& worker);

  // Of the newest token. Up to kPadding bytes behind it can be read and mean nothing.
  static constexpr std::size_t kPadding = 32;
  const std::uint8_t* token() const { return buffer_.data() + starts_[newest_]; }
  std::size_t token_length() const { return used_ - starts_[newest_]; }
  // Of the n-gram that ends with it; n at most kept + 1 and at most the tokens read.
  const std::uint8_t* ngram(int n) const { return buffer_.data() + start_of(n - 1); }
  std::size_t ngram_length(int n) const { return used_ - start_of(n - 1); }

 private:
  struct Character {
    std::uint32_t code;
    int length;
  };

  std::size_t start_of(int back) const { return starts_[(newest_ - static_cast<std::size_t>(back)) % kMaxNgrams]; }
  std::uint32_t entry() const;
  Character decode() const;
  void begin_token();
  void append_run(std::uint32_t kind);

  const std::uint32_t* characters_;
  int kept_;
  const std::uint8_t* begin_ = nullptr;
  const std::uint8_t* at_ = nullptr;
  const std::uint8_t* end_ = nullptr;
  std::int64_t n_tokens_ = 0;
  std::vector<std::uint8_t> buffer_;
  std::size_t used_ = 0;
  std::size_t starts_[kMaxNgrams] = {};  // a ring
  std::size_t newest_ = 0;
};

}  // namespace coremax::text
