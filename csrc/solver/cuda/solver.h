// The quadratic program of InfoMax on a CUDA device, see solver/solver.h: relaxed methods, rounding and polish where the arrays
// are.
//
// Contract. What the device takes: a budget, elements fixed in or out, K >= 0, the methods pgd, continuation, annealed and
// softmax, and automatic, which is the best of some of them. All else is an Error that names it. The answer is the same bits in
// any run and on any device. Against the CPU: what presolve proves, the iterations of a relaxed method, x and the history are
// the same bits below 50,000 elements, and above where the CPU leaves the elements in their order (see presolve.cpp), as is the
// modular bound. Rounding and polish move many pairs at a time, so the subset may differ from the CPU's; no swap improves it
// either, and its f is, bit for bit, what the CPU finds for it. The bound is the smaller of the modular and the diagonal-shift
// one, with the certificate of bound.cpp (that of the latter fails with probability at most 1e-12); the others are the CPU's.
//
// Memory beyond the problem: 2 x 8 n + 8 n of the point, its product and importance, 54 n of the search, and a copy of the part
// of the graph that is left where elements are fixed. An iteration reads 8 bytes for each entry of K and gathers one x for it,
// which comes from the second cache in sectors of 32 bytes: at n = 1,000,000 and 2e7 entries 160 MB and 640 MB, so 0.15 ms
// where that cache gives 5 TB/s; the vectors (24 MB a pass, some six passes) are in it too. So 300 iterations are expected to
// take 0.05 to 0.07 s.
#pragma once

#include <cstdint>

#include "core/control.h"
#include "cuda/device.h"
#include "solver/solver.h"

namespace coremax::solver::on_cuda {

// All pointers are to memory of the device; K is symmetric with a zero diagonal, its columns ascend within a row.
struct Problem {
  const void* importance = nullptr;
  DType importance_type = DType::float64;  // or float32
  graph::CsrView k;
  std::int64_t n_entries = 0;
  double alpha = 0;
  std::int64_t budget = 0;
  const std::int8_t* fixed = nullptr;  // [n]: 1 must be kept, -1 must not, 0 is free
};

// Arrays of the device to write to: the numbers kept [budget], ascending, and x [n].
struct Answer {
  std::int64_t* indices = nullptr;
  double* x = nullptr;
};

// As solver::solve, but for Result::indices and Result::x, which stay empty. Options: x0 [n] is on the device; within must be
// null; a bound is these two, whatever the effort. With a callback every iteration waits for the host, otherwise hundreds of
// them go in one launch.
Result solve(const Problem& problem, const Options& options, const Answer& answer, const cuda::Stream& stream,
             Control* control);

// f of a set of distinct elements, given as numbers in the device's memory; what solver::objective gives.
double objective(const Problem& problem, const std::int64_t* indices, std::int64_t count, const cuda::Stream& stream,
                 Control* control);

// K = (A + A^T) / 2 from neighbour lists: what graph::symmetric gives, bit for bit.
struct Symmetric {
  cuda::Buffer<std::int64_t> indptr;
  cuda::Buffer<std::int32_t> indices;
  cuda::Buffer<float> values;
  graph::CsrView view() const { return {indptr.size() - 1, indptr.data(), indices.data(), values.data()}; }
  void give_back_in(const cuda::Stream& stream) {
    indptr.give_back_in(stream);
    indices.give_back_in(stream);
    values.give_back_in(stream);
  }
};

// lists: pointers to the device's memory; n_lists entries in all. Memory meanwhile: 16 bytes for an entry and 24 for a row
// beyond the result.
Symmetric symmetric(const graph::NeighborLists& lists, std::int64_t n_lists, const cuda::Stream& stream, Control* control);

// A copy of K, its columns in 64 bits: indptr [n + 1], indices and values [entries]. Not waited for.
void copy_to(const Symmetric& k, std::int64_t* indptr, std::int64_t* indices, float* values, const cuda::Stream& stream);

}  // namespace coremax::solver::on_cuda
