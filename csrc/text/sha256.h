// SHA-256 (FIPS 180-4) of short texts, as a number modulo m.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"
#include "text/cpu/kernels.h"

namespace coremax::text {

class Sha256Modulo {
 public:
  // 1 <= modulus < 2^28, so that eight products of a 32-bit word and a remainder fit into 64 bits.
  Sha256Modulo(std::uint32_t modulus, Isa isa);
  std::uint32_t operator()(const std::uint8_t* text, std::size_t length) const;

 private:
  CompressKernel compress_;
  std::uint64_t modulus_;
  std::uint64_t powers_[8];  // of 2^32, modulo the modulus, the highest first
};

}  // namespace coremax::text
