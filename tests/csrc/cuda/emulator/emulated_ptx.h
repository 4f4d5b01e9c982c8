// The functions of csrc/cuda/ptx.h in software, from the fragment layouts in the PTX manual (sections on mma.m16n8k16,
// mma.m16n8k32 and ldmatrix). One thing is not to the bit: how sums of bf16 and f16 products are rounded, which is not
// documented. Here it is done as the first tensor cores were found to, the coarsest so far: four products at a time and the
// sum, aligned to the largest and cut off 23 bits below it. Nothing may depend on more than a bound.
#pragma once

#include <cstdint>
#include <cstring>

#include "cuda_runtime.h"

namespace coremax::cuda {
namespace emulated {

using Location = emulator::Location;

inline float from_bf16(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

inline float from_f16(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const int significand = bits & 1023;
  const float magnitude = exponent == 31  ? (significand == 0 ? INFINITY : NAN)
                          : exponent == 0 ? std::ldexp(static_cast<float>(significand), -24)
                                          : std::ldexp(static_cast<float>(significand + 1024), exponent - 25);
  return bits >> 15 != 0 ? -magnitude : magnitude;
}

template <class Sum>
struct Fragments {
  const std::uint32_t* a;
  const std::uint32_t* b;
  Sum* c;
};

inline double cut_off(double value, int below_exponent) {
  const double quantum = std::ldexp(1.0, below_exponent);
  return std::trunc(value / quantum) * quantum;
}

// sum + the products, as tensor cores might round it.
template <int kDepth>
float add_products(float sum, const double (&products)[kDepth]) {
  for (int first = 0; first < kDepth; first += 4) {
    double largest = std::fabs(static_cast<double>(sum));
    for (int k = first; k < first + 4; ++k) largest = std::max(largest, std::fabs(products[k]));
    if (largest == 0 || !std::isfinite(largest)) {
      for (int k = first; k < first + 4; ++k) sum += static_cast<float>(products[k]);
      continue;
    }
    const int last_bit = std::ilogb(largest) - 23;
    double exact = cut_off(sum, last_bit);
    for (int k = first; k < first + 4; ++k) exact += cut_off(products[k], last_bit);
    sum = exact == 0 ? 0.0F : static_cast<float>(cut_off(exact, std::max(std::ilogb(exact) - 23, -149)));
  }
  return sum;
}

template <int kDepth>
std::int32_t add_products(std::int32_t sum, const std::int64_t (&products)[kDepth]) {
  for (const std::int64_t product : products) sum += static_cast<std::int32_t>(product);
  return sum;
}

// c[16, 8] += a[16, k] b[k, 8] of elements of `Element`, `kPerWord` to a register, which `value` makes numbers of.
template <class Element, class Sum, class Exact, class F>
void multiply(Fragments<Sum>* const* lanes, F value) {
  constexpr int kPerWord = 4 / sizeof(Element);
  constexpr int kDepth = 8 * kPerWord;
  Exact a[16][kDepth];
  Exact b[kDepth][8];
  for (int lane = 0; lane < 32; ++lane) {
    if (lanes[lane] == nullptr) emulator::fault("mma: lane " + std::to_string(lane) + " takes no part");
    const int group = lane / 4;
    const int within = lane % 4;
    for (int word = 0; word < 4; ++word) {
      Element elements[kPerWord];
      std::memcpy(elements, &lanes[lane]->a[word], 4);
      for (int e = 0; e < kPerWord; ++e)
        a[group + word % 2 * 8][word / 2 * (kDepth / 2) + within * kPerWord + e] = value(elements[e]);
    }
    for (int word = 0; word < 2; ++word) {
      Element elements[kPerWord];
      std::memcpy(elements, &lanes[lane]->b[word], 4);
      for (int e = 0; e < kPerWord; ++e) b[word * (kDepth / 2) + within * kPerWord + e][group] = value(elements[e]);
    }
  }
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + i / 2 * 8;
      const int column = lane % 4 * 2 + i % 2;
      Exact products[kDepth];
      for (int k = 0; k < kDepth; ++k) products[k] = a[row][k] * b[k][column];
      lanes[lane]->c[i] = add_products(lanes[lane]->c[i], products);
    }
}

template <class Element, class Sum, class Exact, class F>
void multiply_accumulate(const char* what, Sum (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], F value,
                         Location where) {
  Fragments<Sum> lane{a, b, c};
  emulator::collective_of(0xFFFFFFFF, what, where, lane,
                          [&](Fragments<Sum>* const* lanes) { multiply<Element, Sum, Exact>(lanes, value); });
}

template <int kMatrices>
void load_matrices(const char* what, std::uint32_t (&registers)[kMatrices], const void* row, bool transposed, Location where) {
  struct Lane {
    const void* row;
    std::uint32_t* registers;
  } lane{row, registers};
  emulator::collective_of(0xFFFFFFFF, what, where, lane, [&](Lane* const* lanes) {
    for (int m = 0; m < kMatrices; ++m) {
      std::uint16_t matrix[8][8];
      for (int r = 0; r < 8; ++r) {
        const Lane* from = lanes[8 * m + r];
        if (from == nullptr) emulator::fault("ldmatrix: a lane takes no part");
        if (reinterpret_cast<std::uintptr_t>(from->row) % 16 != 0)
          emulator::fault("ldmatrix: the row of lane " + std::to_string(8 * m + r) + " is not aligned to 16 bytes");
        std::memcpy(matrix[r], from->row, 16);
      }
      for (int l = 0; l < 32; ++l) {
        const int i = l / 4;
        const int j = l % 4 * 2;
        const std::uint32_t low = transposed ? matrix[j][i] : matrix[i][j];
        const std::uint32_t high = transposed ? matrix[j + 1][i] : matrix[i][j + 1];
        lanes[l]->registers[m] = low | high << 16;
      }
    }
  });
}

}  // namespace emulated

inline void mma_bf16(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                     emulated::Location where = emulated::Location::current()) {
  emulated::multiply_accumulate<std::uint16_t, float, double>("mma_bf16", c, a, b, emulated::from_bf16, where);
}
inline void mma_f16(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                    emulated::Location where = emulated::Location::current()) {
  emulated::multiply_accumulate<std::uint16_t, float, double>("mma_f16", c, a, b, emulated::from_f16, where);
}
inline void mma_s8(std::int32_t (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                   emulated::Location where = emulated::Location::current()) {
  emulated::multiply_accumulate<std::int8_t, std::int32_t, std::int64_t>(
      "mma_s8", c, a, b, [](std::int8_t x) { return x; }, where);
}

inline void load_matrices_x4(std::uint32_t (&registers)[4], const void* row,
                             emulated::Location where = emulated::Location::current()) {
  emulated::load_matrices("load_matrices_x4", registers, row, false, where);
}
inline void load_matrices_x2(std::uint32_t (&registers)[2], const void* row,
                             emulated::Location where = emulated::Location::current()) {
  emulated::load_matrices("load_matrices_x2", registers, row, false, where);
}
inline void load_matrices_transposed_x4(std::uint32_t (&registers)[4], const void* row,
                                        emulated::Location where = emulated::Location::current()) {
  emulated::load_matrices("load_matrices_transposed_x4", registers, row, true, where);
}

inline void copy_async_16(void* shared, const void* global, int bytes = 16) {
  if (reinterpret_cast<std::uintptr_t>(shared) % 16 != 0 || reinterpret_cast<std::uintptr_t>(global) % 16 != 0)
    emulator::fault("copy_async_16: an address is not aligned to 16 bytes");
  if (bytes < 0 || bytes > 16) emulator::fault("copy_async_16: " + std::to_string(bytes) + " bytes");
  emulator::copy_later(shared, global, static_cast<std::size_t>(bytes), 16);
}
inline void copy_async_commit() { emulator::commit_copies(); }
template <int kGroupsLeft>
void copy_async_wait() {
  emulator::wait_for_copies(kGroupsLeft);
}

template <class T>
T load_acquire(const T* from) {
  emulator::yield();
  return *from;
}
template <class T>
void store_release(T* to, std::type_identity_t<T> value) {
  emulator::interleave();
  *to = value;
}

}  // namespace coremax::cuda
