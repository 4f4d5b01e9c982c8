// What the AVX-512 level provides to race.cpp, where the build has it: plain functions over raw pointers, since ISA files share
// no code with others.
#pragma once

#include <cstdint>

namespace coremax::sampling::race_kernels {

// Outputs are written whole registers at a time: they need room for so many beyond the elements there are.
constexpr std::int64_t kRoom = 8;

// Of elements [0, count) the places and the uniforms of those that may arrive by the limit, as QuotientRace and LogRace of
// race.cpp say; returns how many.
std::int64_t passing_quotients_avx512(const float* weights, const std::uint64_t* bits, std::int64_t count, double limit,
                                      std::int32_t* places, double* uniforms);
std::int64_t passing_quotients_avx512(const double* weights, const std::uint64_t* bits, std::int64_t count, double limit,
                                      std::int32_t* places, double* uniforms);
std::int64_t passing_logs_avx512(const float* logs, const std::uint64_t* bits, std::int64_t count, double limit, double margin,
                                 std::int32_t* places, double* uniforms);
std::int64_t passing_logs_avx512(const double* logs, const std::uint64_t* bits, std::int64_t count, double limit, double margin,
                                 std::int32_t* places, double* uniforms);
// values[i] = -portable_log(values[i]), the same bits, for positive normal numbers.
void negative_logs_avx512(double* values, std::int64_t count);

}  // namespace coremax::sampling::race_kernels
