// See tokens.h. ASCII is one look-up a byte; the rest is decoded, looked up and encoded again.
#include "text/tokens.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "core/errors.h"

namespace coremax::text {
namespace {

constexpr std::size_t kRun = 16'384;          // bytes of input between looks at the clock and at the room left
constexpr std::size_t kGrowth = 4;            // the most bytes a byte can become, whatever the table says
constexpr std::size_t kCompactFrom = 65'536;  // bytes of old tokens worth moving the kept ones to the front

std::uint8_t* encode(std::uint32_t code, std::uint8_t* out) {
  const auto tail = [code](int shift) { return static_cast<std::uint8_t>(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) {
    *out++ = static_cast<std::uint8_t>(code);
  } else if (code < 0x800) {
    *out++ = static_cast<std::uint8_t>(0xC0 | code >> 6);
    *out++ = tail(0);
  } else if (code < 0x10000) {
    *out++ = static_cast<std::uint8_t>(0xE0 | code >> 12);
    *out++ = tail(6);
    *out++ = tail(0);
  } else {
    *out++ = static_cast<std::uint8_t>(0xF0 | code >> 18);
    *out++ = tail(12);
    *out++ = tail(6);
    *out++ = tail(0);
  }
  return out;
}

std::uint32_t kind_of(std::uint32_t entry) { return entry & 3; }

}  // namespace

TokenReader::TokenReader(const std::uint32_t* characters, int kept) : characters_(characters), kept_(kept) {}

void TokenReader::open(const Document& document) {
  begin_ = at_ = reinterpret_cast<const std::uint8_t*>(document.data);
  end_ = begin_ + document.size;
  n_tokens_ = 0;
  used_ = 0;
}

// The code point at at_. What Unicode's table 3-7 calls ill-formed is an error.
TokenReader::Character TokenReader::decode() const {
  const std::uint8_t lead = *at_;
  if (lead < 0x80) return {lead, 1};
  const int length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  bool good = length > 0 && end_ - at_ >= length;
  std::uint32_t code = lead & (0x7FU >> length);
  for (int i = 1; good && i < length; ++i) {
    good = (at_[i] & 0xC0) == 0x80;
    code = code << 6 | (at_[i] & 0x3FU);
  }
  constexpr std::uint32_t kSmallest[5] = {0, 0, 0x80, 0x800, 0x10000};
  good = good && code >= kSmallest[length] && code < kCodePoints && (code < 0xD800 || code > 0xDFFF);
  require(good, [&] { return "byte " + std::to_string(at_ - begin_) + " is not UTF-8"; });
  return {code, length};
}

bool TokenReader::next(const ThreadPool::Worker& worker) {
  std::uint32_t kind = kSpace;
  for (std::size_t skipped = 1; at_ != end_; ++skipped) {
    const Character character = decode();
    kind = kind_of(characters_[character.code]);
    if (kind != kSpace) break;
    at_ += character.length;
    if (skipped % kRun == 0) worker.poll();
  }
  if (kind == kSpace) return false;
  begin_token();
  const std::uint8_t* before = nullptr;
  do {
    before = at_;
    append_run(kind);
    if (static_cast<std::size_t>(at_ - before) < kRun) break;
    worker.poll();
  } while (true);
  return true;
}

void TokenReader::begin_token() {
  if (n_tokens_ > 0) buffer_[used_++] = ' ';
  const int back = static_cast<int>(std::min<std::int64_t>(kept_, n_tokens_));
  const std::size_t oldest = back > 0 ? start_of(back - 1) : used_;
  // Moved only when twice as much is dropped as is kept, so that every byte is moved less than once on average.
  if (oldest > kCompactFrom && oldest > 2 * (used_ - oldest)) {
    std::memmove(buffer_.data(), buffer_.data() + oldest, used_ - oldest);
    used_ -= oldest;
    for (std::size_t& start : starts_) start -= oldest;  // those before the oldest wrap around and are not read again
  }
  newest_ = (newest_ + 1) % kMaxNgrams;
  starts_[newest_] = used_;
  ++n_tokens_;
}

// Appends characters of one kind, until another kind, the end, or kRun bytes or a few more.
void TokenReader::append_run(std::uint32_t kind) {
  const std::size_t needed = used_ + kGrowth * (kRun + 4) + kPadding;
  if (buffer_.size() < needed) buffer_.resize(std::max(needed, 2 * buffer_.size()));
  const std::uint8_t* stop = static_cast<std::size_t>(end_ - at_) > kRun ? at_ + kRun : end_;
  std::uint8_t* out = buffer_.data() + used_;
  while (at_ < stop) {
    if (*at_ < 0x80) {
      const std::uint32_t entry = characters_[*at_];
      if (kind_of(entry) != kind) break;
      out = encode(entry >> 2, out);
      ++at_;
    } else {
      const Character character = decode();
      const std::uint32_t entry = characters_[character.code];
      if (kind_of(entry) != kind) break;
      out = encode(entry >> 2, out);
      at_ += character.length;
    }
  }
  used_ = static_cast<std::size_t>(out - buffer_.data());
}

}  // namespace coremax::text
