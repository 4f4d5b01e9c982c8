// A 64-byte aligned, uninitialised array of a trivial type: tiles start on a cache line and on a vector register's width. Large
// ones ask the system for huge pages, since they are walked at random: fewer page faults, fewer misses of the page tables'
// cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "core/errors.h"

namespace coremax {

template <class T>
class AlignedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::int64_t size) : size_(size) {
    const auto bytes = static_cast<std::size_t>(checked_multiply(size, sizeof(T)));
    const Free free{std::align_val_t{bytes >= 4 * kHugePage ? kHugePage : kAlignment}};
    data_ = {static_cast<T*>(::operator new(bytes, free.alignment)), free};
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (bytes >= 4 * kHugePage)
      madvise(data_.get(), bytes / kHugePage * kHugePage, MADV_HUGEPAGE);  // a wish: failure is no error
#endif
  }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  std::int64_t size() const { return size_; }

 private:
  static constexpr std::size_t kAlignment = 64;
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;
  struct Free {
    std::align_val_t alignment{kAlignment};
    void operator()(T* pointer) const { ::operator delete(pointer, alignment); }
  };
  std::unique_ptr<T, Free> data_;
  std::int64_t size_ = 0;
};

}  // namespace coremax
