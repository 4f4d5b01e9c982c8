// What the fuzz targets share: numbers out of the input, one after the other, and a check that aborts, which libFuzzer takes
// for a find. An Error is an answer; any other exception, a sanitizer's complaint, a hang or an answer that is wrong is a find.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/errors.h"

#define EXPECT(condition)                                                          \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                \
    }                                                                              \
  } while (false)

namespace coremax::fuzz {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}

  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  // Zero beyond the end.
  template <class T>
  T next() {
    T value{};
    const std::size_t size = left() < sizeof value ? left() : sizeof value;
    if (size > 0) std::memcpy(&value, at_, size);
    at_ += size;
    return value;
  }
  std::int64_t up_to(std::int64_t largest) { return next<std::uint8_t>() % (largest + 1); }
  template <class T>
  std::vector<T> many(std::int64_t n) {
    std::vector<T> values(static_cast<std::size_t>(n));
    for (T& value : values) value = next<T>();
    return values;
  }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

// Runs a target; an Error of ours is fine.
template <class Body>
int answers(const std::uint8_t* data, std::size_t size, Body&& body) {
  Input input(data, size);
  try {
    body(input);
  } catch (const Error& error) {
    EXPECT(error.kind() != ErrorKind::internal && error.what()[0] != '\0');
  }
  return 0;
}

}  // namespace coremax::fuzz
