// Neighbour lists to K: count both directions, scatter in any order, sort and merge every row on its own: as
// graph/symmetric.cpp.
#include "solver/cuda/stages.h"
#include "solver/cuda/team.h"

namespace coremax::solver::on_cuda {
namespace {

__device__ float value_of(Entry entry) {
  const auto bits = static_cast<std::uint32_t>(entry);
  return std::bit_cast<float>(bits >> 31 != 0 ? bits & 0x7FFFFFFFU : ~bits);
}
__device__ std::int32_t column_of(Entry entry) { return static_cast<std::int32_t>(entry >> 32); }

__device__ std::int64_t column_at(const graph::NeighborLists& lists, std::int64_t e) {
  return lists.index_type == DType::int32 ? static_cast<const std::int32_t*>(lists.indices)[e]
                                          : static_cast<const std::int64_t*>(lists.indices)[e];
}
__device__ float value_at(const graph::NeighborLists& lists, std::int64_t e) {
  return lists.value_type == DType::float32 ? static_cast<const float*>(lists.values)[e]
                                            : static_cast<float>(static_cast<const double*>(lists.values)[e]);
}
__device__ std::int64_t row_of(const graph::NeighborLists& lists, std::int64_t e) {
  if (lists.indptr == nullptr) return e / lists.k;
  std::int64_t low = 0;  // the last row that begins at or before e
  std::int64_t high = lists.n;
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (lists.indptr[middle] <= e ? low : high) = middle;
  }
  return low;
}

// f(i, j, value) for entry e, where it is present, good and off the diagonal.
template <class F>
__device__ void with_entry(const graph::NeighborLists& lists, std::int64_t e, const F& f) {
  const std::int64_t j = column_at(lists, e);
  const float value = value_at(lists, e);
  if (j < 0 || j >= lists.n || !std::isfinite(value)) return;
  const std::int64_t i = row_of(lists, e);
  if (i != j) f(i, j, value);
}

__global__ void count_both(graph::NeighborLists lists, std::int64_t n_lists, unsigned* counts, Found* found) {
  const std::int64_t e = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (e >= n_lists) return;
  const std::int64_t j = column_at(lists, e);
  if (j < -1 || j >= lists.n)
    atomicMin(&found->bad_column, static_cast<unsigned long long>(e));
  else if (j >= 0 && !std::isfinite(value_at(lists, e)))
    atomicMin(&found->bad_value, static_cast<unsigned long long>(e));
  with_entry(lists, e, [&](std::int64_t row, std::int64_t column, float) {
    atomicAdd(counts + row, 1U);
    atomicAdd(counts + column, 1U);
  });
}

__global__ void __launch_bounds__(kThreads, policy::kBlocks)
    starts_of(TeamMemory memory, const unsigned* counts, std::int64_t n, std::int64_t* starts, Found* found) {
  Team team(memory);
  const std::int64_t all = team.running_sum(
      n, [&](std::int64_t i) { return counts[i]; }, [&](std::int64_t i, std::int64_t before) { starts[i] = before; });
  if (!team.is_first()) return;
  starts[n] = all;
  found->n_entries = all;
}

__global__ void scatter_both(graph::NeighborLists lists, std::int64_t n_lists, const std::int64_t* starts, unsigned* counts,
                             Entry* entries) {
  const std::int64_t e = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (e >= n_lists) return;
  // Lists that change meanwhile must not lead beyond a row.
  const auto put = [&](std::int64_t row, std::int64_t column, float value) {
    const std::int64_t place = starts[row] + atomicAdd(counts + row, 1U);
    if (place < starts[row + 1]) entries[place] = entry_at(column, value);
  };
  with_entry(lists, e, [&](std::int64_t row, std::int64_t column, float value) {
    put(row, column, value);
    put(column, row, value);
  });
}

__device__ void merge_row(std::int64_t i, Entry* row, std::int64_t count, unsigned* left, Found* found) {
  std::int64_t kept = 0;
  for (std::int64_t e = 0; e < count;) {
    double sum = 0;
    const std::int32_t column = column_of(row[e]);
    for (; e < count && column_of(row[e]) == column; ++e) sum += 0.5 * static_cast<double>(value_of(row[e]));
    const auto value = static_cast<float>(sum);
    if (!std::isfinite(value)) atomicMin(&found->too_large, static_cast<unsigned long long>(i));
    row[kept++] = entry_at(column, value);
  }
  *left = static_cast<unsigned>(kept);
}

// merged(i, row, count) is called by one thread for each row, once it is sorted.
template <class Merged>
__device__ void sort_each(TeamMemory memory, std::int64_t n, const std::int64_t* starts, Entry* entries,
                          std::int32_t* long_rows, const Merged& merged) {
  Team team(memory);
  team.for_each(n, [&](std::int64_t i) {
    Entry* row = entries + starts[i];
    const std::int64_t count = starts[i + 1] - starts[i];
    if (count > policy::kShortRow) return;
    for (std::int64_t sorted = 1; sorted < count; ++sorted) {
      const Entry entry = row[sorted];
      std::int64_t place = sorted;
      for (; place > 0 && row[place - 1] > entry; --place) row[place] = row[place - 1];
      row[place] = entry;
    }
    merged(i, row, count);
  });
  const std::int64_t n_long =
      team.select(n, [&](std::int64_t i) { return starts[i + 1] - starts[i] > policy::kShortRow; }, long_rows);
  // Bitonic, with every comparison in the same direction, so that what is missing to a power of two may be thought larger than
  // all.
  for (std::int64_t r = blockIdx.x; r < n_long; r += gridDim.x) {
    const std::int64_t i = long_rows[r];
    Entry* row = entries + starts[i];
    const std::int64_t count = starts[i + 1] - starts[i];
    const auto exchange = [&](std::int64_t mask) {
      for (std::int64_t a = threadIdx.x; a < count; a += kThreads) {
        const std::int64_t b = a ^ mask;
        if (b <= a || b >= count || row[a] <= row[b]) continue;
        const Entry larger = row[a];
        row[a] = row[b];
        row[b] = larger;
      }
      __syncthreads();
    };
    for (std::int64_t size = 2; size < 2 * count; size *= 2) {
      exchange(size - 1);
      for (std::int64_t step = size / 4; step > 0; step /= 2) exchange(step);
    }
    if (threadIdx.x == 0) merged(i, row, count);
    __syncthreads();
  }
}

__global__ void __launch_bounds__(kThreads, policy::kBlocks)
    sort_and_merge(TeamMemory memory, std::int64_t n, const std::int64_t* starts, Entry* entries, unsigned* counts,
                   std::int32_t* long_rows, Found* found) {
  sort_each(memory, n, starts, entries, long_rows,
            [&](std::int64_t i, Entry* row, std::int64_t count) { merge_row(i, row, count, counts + i, found); });
}

__global__ void __launch_bounds__(kThreads, policy::kBlocks)
    sort_only(TeamMemory memory, std::int64_t n, const std::int64_t* starts, Entry* entries, std::int32_t* long_rows) {
  sort_each(memory, n, starts, entries, long_rows, [](std::int64_t, Entry*, std::int64_t) {});
}

__global__ void gather_rows(std::int64_t n, const std::int64_t* starts, const Entry* entries, const std::int64_t* indptr,
                            std::int32_t* indices, float* values) {
  const std::int64_t i = std::int64_t{blockIdx.x} * (kThreads / cuda::kWarp) + threadIdx.x / cuda::kWarp;
  if (i >= n) return;
  for (std::int64_t e = cuda::lane_of_thread(); e < indptr[i + 1] - indptr[i]; e += cuda::kWarp) {
    indices[indptr[i] + e] = column_of(entries[starts[i] + e]);
    values[indptr[i] + e] = value_of(entries[starts[i] + e]);
  }
}

__global__ void widen_columns(const std::int32_t* from, std::int64_t count, std::int64_t* to) {
  const std::int64_t e = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (e < count) to[e] = from[e];
}

}  // namespace

void count_entries(const graph::NeighborLists& lists, std::int64_t n_lists, unsigned* counts, Found* found,
                   const cuda::Stream& stream) {
  cuda::launch(stream, {cuda::blocks_for(n_lists, kThreads), kThreads}, count_both, lists, n_lists, counts, found);
}

void sum_up(const unsigned* counts, std::int64_t n, std::int64_t* starts, Found* found, TeamSpace& space,
            const cuda::Stream& stream) {
  launch_team(space, n, stream, starts_of, counts, n, starts, found);
}

void scatter(const graph::NeighborLists& lists, std::int64_t n_lists, const std::int64_t* starts, unsigned* counts,
             Entry* entries, const cuda::Stream& stream) {
  cuda::launch(stream, {cuda::blocks_for(n_lists, kThreads), kThreads}, scatter_both, lists, n_lists, starts, counts, entries);
}

void merge(std::int64_t n, const std::int64_t* starts, Entry* entries, unsigned* counts, std::int32_t* long_rows, Found* found,
           TeamSpace& space, const cuda::Stream& stream) {
  launch_team(space, n, stream, sort_and_merge, n, starts, entries, counts, long_rows, found);
}

void sort_rows(std::int64_t n, const std::int64_t* starts, Entry* entries, std::int32_t* long_rows, TeamSpace& space,
               const cuda::Stream& stream) {
  launch_team(space, n, stream, sort_only, n, starts, entries, long_rows);
}

void gather(std::int64_t n, const std::int64_t* starts, const Entry* entries, const std::int64_t* indptr, std::int32_t* indices,
            float* values, const cuda::Stream& stream) {
  cuda::launch(stream, {cuda::blocks_for(n, kThreads / cuda::kWarp), kThreads}, gather_rows, n, starts, entries, indptr,
               indices, values);
}

void widen(const std::int32_t* from, std::int64_t count, std::int64_t* to, const cuda::Stream& stream) {
  cuda::launch(stream, {cuda::blocks_for(count, kThreads), kThreads}, widen_columns, from, count, to);
}

}  // namespace coremax::solver::on_cuda
