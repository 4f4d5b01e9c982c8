// The stages of a solve on a device, private to this folder: kernels and their launches, each named as the file of csrc/solver
// whose counterpart it is. Pointers of a problem are to the device's memory.
#pragma once

#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <vector>

#include "core/host_device.h"
#include "cuda/device.h"
#include "graph/graph.h"
#include "solver/solver.h"
#include "solver/sums.h"

namespace coremax::solver {
struct Spectrum;
}

namespace coremax::solver::on_cuda {

struct Elements {
  const double* importance = nullptr;
  graph::CsrView k;
  std::int64_t n_entries = 0;
  double alpha = 0;
  std::int64_t budget = 0;
  COREMAX_HD std::int64_t n() const { return k.n; }
};

// What the blocks of a launch use to work together.
struct TeamMemory {
  static constexpr std::int64_t kWords = 4;  // doubles of one term of a sum, at most
  std::uint32_t* arrived = nullptr;
  double* partial = nullptr;
  std::int64_t units = 0;
};

struct TeamSpace {
  TeamSpace(std::int64_t n, const cuda::Stream& stream);
  TeamMemory memory() const { return {arrived.data(), partial.data(), units}; }
  std::int64_t units;  // that a sum can have, or blocks
  cuda::Buffer<std::uint32_t> arrived;
  cuda::Buffer<double> partial;
};

// An entry as it is sorted: column, then value.
using Entry = unsigned long long;
// Floats in the order of their values.
COREMAX_HD inline std::uint32_t ordered(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return bits >> 31 != 0 ? ~bits : bits | 0x80000000U;
}
COREMAX_HD inline Entry entry_at(std::int64_t column, float value) { return static_cast<Entry>(column) << 32 | ordered(value); }

// ---- relaxed.cpp --------------------------------------------------------------------------------------------------------

class Call {
 public:
  Call(const Options& asked, const cuda::Stream& where, Control* whose) : options(asked), stream(where), control(whose) {}
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
  bool expired() const { return interrupted_ || (options.time_limit > 0 && seconds() >= options.time_limit); }
  bool interrupted() const { return interrupted_; }
  // After an iteration whose f is known; true asks to end.
  bool report(Method method, std::int64_t iteration, double objective);

  Options options;  // in the unit of the solve
  const cuda::Stream& stream;
  Control* control;
  double upper_bound = INFINITY;
  double constant = 0;  // f of what presolve has taken
  void set_unit(int exponent);

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  bool interrupted_ = false;
  int exponent_ = 0;  // of the unit of all values here
};

// Launches one of the relaxed methods, part by part, from a point of its own or x0 (of the elements of this problem; may be
// null).
struct Ascent {
  cuda::Buffer<double> x;
  cuda::Buffer<double> kx;
  Status status = Status::max_iterations;
  std::int64_t iterations = 0;
  std::vector<double> history;
};
Ascent ascend(const Elements& problem, Method method, const Spectrum& ends, const double* x0, TeamSpace& space, Call& call);

// The ends of K's spectrum, as lanczos.cpp has them.
Spectrum spectrum(const graph::CsrView& k, std::int64_t n_entries, std::uint64_t seed, TeamSpace& space, Call& call);

// ---- relaxed.cu ---------------------------------------------------------------------------------------------------------

// How far a run of iterations has come.
struct Progress {
  double lambda;  // the multiplier, where the next search for it begins; not finite while there is none
  std::int64_t done;
  std::int64_t converged;
};

struct Point {
  double* x = nullptr;
  double* kx = nullptr;
};

enum class Begin { constant, projected, restarted, as_is };

// x is set to a constant, or to its projection, or moved towards its mean, or left; then K x, and f in *value.
void begin(const Elements& problem, Point point, Begin how, double constant, double* value, TeamSpace& space,
           const cuda::Stream& stream);

struct Iterations {
  double part_alpha = 0;                 // of the gradient
  double step = 0;                       // of the projected gradient
  const double* temperatures = nullptr;  // of every iteration of this launch; null: projected gradient
  std::int64_t count = 0;                // at most
  double tolerance = 0;
  double* history = nullptr;     // f after each
  Progress* progress = nullptr;  // lambda is read; all is written
};
void iterate(const Elements& problem, Point point, const Iterations& iterations, TeamSpace& space, const cuda::Stream& stream);

// The standard deviation of the gradient over the elements.
void spread_of_gradient(const Elements& problem, Point point, double* spread, TeamSpace& space, const cuda::Stream& stream);

// ---- swaps.cu -----------------------------------------------------------------------------------------------------------

// What both stages work on; all of n elements.
struct Moves {
  double* x = nullptr;  // of rounding: any relaxed point at first; of polish: 0 and 1
  double* gain = nullptr;
  double* size = nullptr;           // the scale of a gain's rounding error
  std::uint8_t* changed = nullptr;  // see swaps.cu
  std::uint32_t* claims = nullptr;
  std::int32_t* up = nullptr;
  std::int32_t* down = nullptr;
  std::int32_t* partner = nullptr;
};

// x becomes a subset of the budget's size, f no smaller.
void round_pairwise(const Elements& problem, const double* kx, const Moves& moves, TeamSpace& space,
                    const cuda::Stream& stream);

struct Polishing {
  std::int64_t swaps = 0;
  std::int64_t begun = 0;
  std::int64_t finished = 0;  // no swap improves
};
// Goes on with a polish for so many batches. x has some elements on either side.
void polish(const Elements& problem, const Moves& moves, std::int64_t batches, Polishing* state, TeamSpace& space,
            const cuda::Stream& stream);

// ---- presolve.cu --------------------------------------------------------------------------------------------------------

// What a look at a problem tells.
struct Look {
  double largest_importance;
  double largest_similarity;
  double least_similarity;
  double bad;     // the first importance that is not finite or beyond the limit, -1
  double bad_x0;  // the first of x0 that is not finite, -1
};
void look(const Elements& problem, const double* x0, double largest, Look* out, TeamSpace& space, const cuda::Stream& stream);

// float32 or float64 to float64.
void widen(const void* from, bool from_float32, std::int64_t n, double* to, const cuda::Stream& stream);
// values times 2^-exponent.
void scale(std::int64_t n, int exponent, double* values, const cuda::Stream& stream);

// Fixes what bounding proves, on top of what is fixed; how many it fixes.
void fix(const Elements& problem, std::int8_t* fixed, double* least, double* most, std::int64_t* found, TeamSpace& space,
         const cuda::Stream& stream);

// The problem of the open elements.
struct Reduction {
  std::int8_t* fixed = nullptr;
  double* taken = nullptr;  // x of what is fixed in
  double* kx = nullptr;
  std::int32_t* open = nullptr;         // numbers of the open elements
  std::int32_t* place = nullptr;        // of an element among the open, -1
  std::int64_t* indptr = nullptr;       // [n + 1], of the reduced
  const std::int64_t* order = nullptr;  // [n] of all elements; null: as they are
};
struct Reduced {
  double constant;
  double padding;
  std::int64_t n_open;
  std::int64_t n_in;
  std::int64_t n_entries;
};
void measure(const Elements& problem, const Reduction& reduction, Reduced* out, TeamSpace& space, const cuda::Stream& stream);
// Where the elements come in another order, the entries of a row have to be put in order: a row's go to `entries` then.
void fill(const Elements& problem, const Reduction& reduction, std::int64_t n_open, std::int32_t* indices, float* values,
          Entry* entries, double* importance, const cuda::Stream& stream);
// Of order_of_ties in ../presolve.cpp: keys in the order of the values, and whether two neighbours among sorted keys are equal
// (*tied).
void keys_of(std::int64_t n, const double* values, std::uint64_t* keys, std::int64_t* numbers, const cuda::Stream& stream);
void find_equal(std::int64_t n, const std::uint64_t* keys, unsigned* tied, const cuda::Stream& stream);
// To the whole from the open elements, and back.
void expand(const Reduction& reduction, std::int64_t n, const double* x, double* whole, const cuda::Stream& stream);
void restrict_to(const Reduction& reduction, std::int64_t n_open, const double* whole, double* x, const cuda::Stream& stream);

// ---- bound.cu -----------------------------------------------------------------------------------------------------------

// x becomes the indicator of the budget's largest values, ties to the lower number; values[i] is importance (K >= 0). sum: s'x
// with its size.
void support(const Elements& problem, double* x, double* sum_and_size, TeamSpace& space, const cuda::Stream& stream);
// The accelerated ascent of the diagonal-shift bound: x and y [n] begin as a feasible point, slope [n] is room.
struct ShiftState {
  double bound = INFINITY;
  double quadratic = 0;  // alpha y'(K + d)y of the last slopes, padded
  double momentum = 1;
  double lambda = INFINITY;
};
struct Shift {
  double* x = nullptr;
  double* y = nullptr;
  double* slope = nullptr;
  double d = 0;     // K + d is positive semidefinite
  double step = 0;  // of the ascent
  ShiftState* state = nullptr;
};
// kShiftSteps of it, then a look at the bound. Budget: at least 1.
void take_shift_steps(const Elements& problem, const Shift& shift, TeamSpace& space, const cuda::Stream& stream);
// x of the numbers becomes 1; what is not from 0 to n - 1 is left out.
void mark(const std::int64_t* numbers, std::int64_t count, std::int64_t n, double* x, const cuda::Stream& stream);
// Numbers of the elements with x > 1/2.
void numbers_of(std::int64_t n, const double* x, std::int64_t* numbers, TeamSpace& space, const cuda::Stream& stream);

// ---- symmetric.cu -------------------------------------------------------------------------------------------------------

struct Found {
  unsigned long long bad_column = ~0ULL;  // the first place whose number is none of a row
  unsigned long long bad_value = ~0ULL;   // the first place whose similarity is not finite
  unsigned long long too_large = ~0ULL;   // the first row whose repeated entries add up to more than float32 holds
  std::int64_t n_entries = 0;
};
// Entries of each row of A and A^T into counts [n], off the diagonal.
void count_entries(const graph::NeighborLists& lists, std::int64_t n_lists, unsigned* counts, Found* found,
                   const cuda::Stream& stream);
// starts [n + 1] from counts; found->n_entries.
void sum_up(const unsigned* counts, std::int64_t n, std::int64_t* starts, Found* found, TeamSpace& space,
            const cuda::Stream& stream);
// counts: 0 at first.
void scatter(const graph::NeighborLists& lists, std::int64_t n_lists, const std::int64_t* starts, unsigned* counts,
             Entry* entries, const cuda::Stream& stream);
// Sorts the rows, adds up equal columns at the front of each; counts: how many are left.
void merge(std::int64_t n, const std::int64_t* starts, Entry* entries, unsigned* counts, std::int32_t* long_rows, Found* found,
           TeamSpace& space, const cuda::Stream& stream);
// Sorts the rows, of columns that differ.
void sort_rows(std::int64_t n, const std::int64_t* starts, Entry* entries, std::int32_t* long_rows, TeamSpace& space,
               const cuda::Stream& stream);
void gather(std::int64_t n, const std::int64_t* starts, const Entry* entries, const std::int64_t* indptr, std::int32_t* indices,
            float* values, const cuda::Stream& stream);
void widen(const std::int32_t* from, std::int64_t count, std::int64_t* to, const cuda::Stream& stream);

// ---- lanczos.cu ---------------------------------------------------------------------------------------------------------

struct LanczosState {
  double radius;  // of Gershgorin
  std::int64_t steps;
  std::int64_t exhausted;
};
// diagonal and off have room for `steps`; work for 3 n numbers, and n more for each step where n == steps.
void lanczos(const graph::CsrView& k, std::uint64_t seed, std::int64_t steps, double* work, double* diagonal, double* off,
             LanczosState* state, TeamSpace& space, const cuda::Stream& stream);

}  // namespace coremax::solver::on_cuda
