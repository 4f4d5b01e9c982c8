// A test framework in one page: cases register themselves, a failed CHECK reports its place and the case goes on.
// CHECK may be used from any thread.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace coremax::test {

struct Case {
  const char* name;
  void (*run)();
};

std::vector<Case>& cases();

struct Registration {
  Registration(const char* name, void (*run)()) { cases().push_back({name, run}); }
};

// Records the outcome of one check of the running case; returns `ok`.
bool record(bool ok, const char* file, int line, const std::string& what);

// True if f throws an E whose message contains `fragment`; otherwise says in `outcome` what happened instead.
template <class E, class F>
bool throws(F&& f, std::string_view fragment, std::string& outcome) {
  try {
    f();
    outcome = "nothing was thrown";
  } catch (const E& error) {
    outcome = std::string("the message was: ") + error.what();
    return std::string_view(error.what()).find(fragment) != std::string_view::npos;
  } catch (const std::exception& error) {
    outcome = std::string("another type was thrown: ") + error.what();
  } catch (...) {
    outcome = "something that is no std::exception was thrown";
  }
  return false;
}

}  // namespace coremax::test

#define TEST(name)                                                                  \
  static void test_##name();                                                        \
  static const coremax::test::Registration registration_##name{#name, test_##name}; \
  static void test_##name()

#define CHECK(...) coremax::test::record(static_cast<bool>(__VA_ARGS__), __FILE__, __LINE__, #__VA_ARGS__)

// As CHECK, with text that tells which turn of a loop this is.
#define CHECK_AT(where, ...)                                                                      \
  do {                                                                                            \
    if (!static_cast<bool>(__VA_ARGS__))                                                          \
      coremax::test::record(false, __FILE__, __LINE__, #__VA_ARGS__ " at " + std::string(where)); \
    else                                                                                          \
      coremax::test::record(true, __FILE__, __LINE__, "");                                        \
  } while (false)

// statement throws `type` with a message that contains `fragment`.
#define CHECK_THROWS(type, fragment, ...)                                                              \
  do {                                                                                                 \
    std::string check_outcome;                                                                         \
    const bool check_ok = coremax::test::throws<type>([&] { __VA_ARGS__; }, fragment, check_outcome);  \
    coremax::test::record(check_ok, __FILE__, __LINE__,                                                \
                          #__VA_ARGS__ " throws \"" + std::string(fragment) + "\": " + check_outcome); \
  } while (false)
