// K from neighbour lists: sizes come back to the host twice, for the memory of the entries and for that of the result.
#include <limits>
#include <string>

#include "solver/cuda/solver.h"
#include "solver/cuda/stages.h"

namespace coremax::solver::on_cuda {
namespace {

constexpr unsigned long long kNone = ~0ULL;

void check_found(const Found& found) {
  require(found.bad_column == kNone, [&] {
    return "indices: entry " + std::to_string(found.bad_column) + " of the lists names a neighbour that is no row of the graph";
  });
  require(found.bad_value == kNone, [&] {
    return "values: entry " + std::to_string(found.bad_value) +
           " of the lists is not finite in float32 (-1 as the index marks an absent neighbour)";
  });
  require(found.too_large == kNone, [&] {
    return "values: repeated entries of row " + std::to_string(found.too_large) + " add up to more than float32 holds";
  });
}

}  // namespace

Symmetric symmetric(const graph::NeighborLists& lists, std::int64_t n_lists, const cuda::Stream& stream, Control* control) {
  const std::int64_t n = lists.n;
  const char* what = "the symmetric graph";
  require(n <= std::numeric_limits<std::int32_t>::max(),
          "a graph of " + std::to_string(n) + " rows is too large: K is limited to 2^31 - 1 rows");
  TeamSpace space(n, stream);
  Found state;
  const cuda::Buffer<Found> found(1, stream, what);
  cuda::copy(found.data(), &state, 1, stream, what);
  const cuda::Buffer<unsigned> counts(n, stream, what);
  const cuda::Buffer<std::int64_t> starts(n + 1, stream, what);
  cuda::set_bytes(counts.data(), 0, n, stream, what);
  count_entries(lists, n_lists, counts.data(), found.data(), stream);
  sum_up(counts.data(), n, starts.data(), found.data(), space, stream);
  state = cuda::read_back(found.data(), stream, what, control);
  check_found(state);

  const cuda::Buffer<Entry> entries(state.n_entries, stream, what);
  const cuda::Buffer<std::int32_t> long_rows(n, stream, what);
  cuda::set_bytes(counts.data(), 0, n, stream, what);
  scatter(lists, n_lists, starts.data(), counts.data(), entries.data(), stream);
  merge(n, starts.data(), entries.data(), counts.data(), long_rows.data(), found.data(), space, stream);
  Symmetric result;
  result.indptr = {n + 1, stream, what};
  sum_up(counts.data(), n, result.indptr.data(), found.data(), space, stream);
  state = cuda::read_back(found.data(), stream, what, control);
  check_found(state);
  result.indices = {state.n_entries, stream, what};
  result.values = {state.n_entries, stream, what};
  gather(n, starts.data(), entries.data(), result.indptr.data(), result.indices.data(), result.values.data(), stream);
  stream.synchronize(control);  // whoever uses it may do so in another stream
  return result;
}

void copy_to(const Symmetric& k, std::int64_t* indptr, std::int64_t* indices, float* values, const cuda::Stream& stream) {
  cuda::copy(indptr, k.indptr.data(), k.indptr.size(), stream, "the symmetric graph");
  widen(k.indices.data(), k.indices.size(), indices, stream);
  cuda::copy(values, k.values.data(), k.values.size(), stream, "the symmetric graph");
}

}  // namespace coremax::solver::on_cuda
