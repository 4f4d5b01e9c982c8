// The one error type of the engines. Every failure below the bindings is an Error with a kind; the bindings map the kind to a
// Python exception in one table (bindings/error_table.h). Nothing here aborts, exits or prints.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace coremax {

enum class ErrorKind { value, type, memory, device, internal };

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

inline void require(bool condition, const std::string& message) {
  if (!condition) throw Error(ErrorKind::value, message);
}

// The same inside loops: the message is put together only when it is needed.
template <class MakeMessage>
  requires std::is_invocable_v<MakeMessage>
void require(bool condition, const MakeMessage& make_message) {
  if (!condition) [[unlikely]]
    throw Error(ErrorKind::value, make_message());
}

// Memory of the caller is read more than once; where what was checked is no longer there, this is the error.
[[noreturn]] inline void refuse_changed(const char* name) {
  throw Error(ErrorKind::value, std::string(name) + " was changed while it was being read; do not write to it during the call");
}

// "nan", "inf" or "-inf": how a value that is not finite is named in messages.
inline const char* non_finite_name(double value) {
  if (std::isnan(value)) return "nan";
  return value > 0 ? "inf" : "-inf";
}

// A number as messages print it, short and never rounded to zero.
inline std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

// a * b for sizes; throws instead of wrapping around.
inline std::int64_t checked_multiply(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
#if defined(__GNUC__) || defined(__clang__)
  const bool overflow = __builtin_mul_overflow(a, b, &product);
#else
  const bool overflow = a != 0 && b > INT64_MAX / a;
  if (!overflow) product = a * b;
#endif
  if (overflow)
    throw Error(ErrorKind::memory, "a size of " + std::to_string(a) + " x " + std::to_string(b) + " overflows 64 bits");
  return product;
}

}  // namespace coremax
