// Rounding and polish on a device, by batches of pairs.
//
// Pairs of elements are proposed for all of the graph at once and claim their elements, the claims being settled by the number
// of a pair, scattered. A pair that holds both of its own moves if none of their neighbours is claimed by one before it. So
// pairs that move share no element and no edge, and what one adds to f does not depend on the others; the first pair of all
// always moves. The gains of their neighbours are then summed anew, in the order of the rows: no drift, and no order of
// additions.
//
//   rounding  fractional elements of gradient above the mean with ones not above, each pair to the better end of the interval
//   in which it
//             keeps its sum: as rounding.cpp, which takes the pairs one by one in order of gradient
//   polish    elements outside of gain above the middle between the largest gain outside and the least inside, with ones inside
//   below it:
//             the interval halves until no two apart improve; then pairs along edges, of elements whose gain or side has
//             changed
//
// K >= 0. Every stage is the same bits in any run; subsets differ from those of the CPU, whose moves come in another order.
#include "solver/swaps.h"

#include "solver/cuda/stages.h"
#include "solver/cuda/team.h"
#include "solver/responses.h"

namespace coremax::solver::on_cuda {
namespace {

constexpr std::uint32_t kUnclaimed = 0xFFFFFFFF;

// One to one, so that no two pairs of a batch have the same.
__device__ std::uint32_t rank_of(std::int64_t p) {
  auto h = static_cast<std::uint32_t>(p);
  h ^= h >> 16;
  h *= 0x85EBCA6BU;
  h ^= h >> 13;
  h *= 0xC2B2AE35U;
  return h ^ h >> 16;
}

__device__ double entry_of(const graph::CsrView& k, std::int64_t i, std::int64_t j) {
  std::int64_t low = k.indptr[i];
  std::int64_t high = k.indptr[i + 1];
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (k.indices[middle] < j)
      low = middle + 1;
    else
      high = middle;
  }
  return low < k.indptr[i + 1] && k.indices[low] == j ? static_cast<double>(k.values[low]) : 0.0;
}

// f(m, K_im) for the neighbours of i, by the lanes of a warp.
template <class F>
__device__ void for_row(const graph::CsrView& k, std::int64_t i, const F& f) {
  const std::int64_t end = k.indptr[i + 1];
  for (std::int64_t e = k.indptr[i] + cuda::lane_of_thread(); e < end; e += cuda::kWarp)
    f(k.indices[e], static_cast<double>(k.values[e]));
}

struct Count {
  double value = 0;
  __device__ Count& operator+=(const Count& other) {
    value += other.value;
    return *this;
  }
};

// One batch over the pairs (up[p], down[p]), p in [0, count). move(i, j), by a whole warp, for those that may; it says whether
// it did anything. All claims are kUnclaimed before. A barrier between and after; how many moved.
template <class Move>
__device__ std::int64_t move_batch(Team& team, const graph::CsrView& k, std::uint32_t* claims, std::int64_t count,
                                   const std::int32_t* up, const std::int32_t* down, const Move& move) {
  team.for_each(count, [&](std::int64_t p) {
    atomicMin(claims + up[p], rank_of(p));
    atomicMin(claims + down[p], rank_of(p));
  });
  team.barrier();
  Count moved;
  team.for_each_by_warps(count, [&](std::int64_t p) {
    const std::uint32_t rank = rank_of(p);
    bool first = claims[up[p]] == rank && claims[down[p]] == rank;
    const auto check = [&](std::int64_t m, double) { first = first && claims[m] >= rank; };
    for_row(k, up[p], check);
    for_row(k, down[p], check);
    const bool may = __all_sync(cuda::kAllLanes, first) != 0;
    const bool done = may && move(up[p], down[p]);
    if (cuda::lane_of_thread() == 0 && done) moved.value += 1;
  });
  return static_cast<std::int64_t>(team.combined(moved).value);
}

// changed: bits of an element whose gain is not that of x now, and of one whose gain or side has changed since it was last
// looked at.
constexpr std::uint8_t kStale = 1;
constexpr std::uint8_t kNew = 2;

// Sets x_i, by a whole warp, which alone has to do with i.
__device__ void set_x(const Elements& problem, const Moves& moves, std::int64_t i, double value) {
  for_row(problem.k, i, [&](std::int64_t m, double) { moves.changed[m] = kStale | kNew; });
  if (cuda::lane_of_thread() == 0) {
    moves.x[i] = value;
    moves.changed[i] = kStale | kNew;
  }
}

// The gains that are stale, and their sizes, from x; a barrier after.
__device__ void refresh(Team& team, const Elements& problem, const Moves& moves) {
  team.for_units(problem.n(), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t first = begin; first < end; first += kThreads) {
      const std::int64_t i = first + threadIdx.x;
      const bool stale = i < end && (moves.changed[i] & kStale) != 0;
      if (__syncthreads_or(stale) == 0) continue;
      const double kx = product_of_row(problem.k, moves.x, first);
      if (!stale) continue;
      moves.gain[i] = gain(problem.importance[i], problem.alpha, kx);
      moves.size[i] = std::abs(problem.importance[i]) + 2 * problem.alpha * kx;
      moves.changed[i] = static_cast<std::uint8_t>(moves.changed[i] & ~kStale);
    }
  });
  team.barrier();
}

// The elements of largest gain outside and of least gain inside, ties to the lower number.
struct Ends {
  double most = -INFINITY;
  double most_at = -1;
  double least = INFINITY;
  double least_at = -1;
  __device__ Ends& operator+=(const Ends& other) {
    if (other.most_at >= 0 && (most_at < 0 || other.most > most || (other.most == most && other.most_at < most_at))) {
      most = other.most;
      most_at = other.most_at;
    }
    if (other.least_at >= 0 && (least_at < 0 || other.least < least || (other.least == least && other.least_at < least_at))) {
      least = other.least;
      least_at = other.least_at;
    }
    return *this;
  }
};

__device__ Ends ends_of(Team& team, const Elements& problem, const Moves& moves) {
  return team.sum(problem.n(), [&](std::int64_t i) {
    Ends ends;
    if (moves.x[i] == 0) {
      ends.most = moves.gain[i];
      ends.most_at = static_cast<double>(i);
    } else {
      ends.least = moves.gain[i];
      ends.least_at = static_cast<double>(i);
    }
    return ends;
  });
}

// By the first warp of the team, all others waiting.
template <class F>
__device__ void alone(Team& team, const F& f) {
  team.for_each_by_warps(1, [&](std::int64_t) { f(); });
  team.barrier();
}

struct Fractional {
  double count = 0;
  double gain = 0;
  __device__ Fractional& operator+=(const Fractional& other) {
    count += other.count;
    gain += other.gain;
    return *this;
  }
};

__device__ bool is_fractional(double x) { return x > 0 && x < 1; }

__global__ void __launch_bounds__(kThreads, policy::kBlocks)
    round_by_pairs(TeamMemory memory, Elements problem, const double* kx, Moves moves) {
  Team team(memory);
  const std::int64_t n = problem.n();
  team.for_each(n, [&](std::int64_t i) {
    moves.x[i] = snapped(moves.x[i]);
    moves.gain[i] = gain(problem.importance[i], problem.alpha, kx[i]);
    moves.changed[i] = 0;
  });
  while (true) {
    const Fractional open = team.sum(n, [&](std::int64_t i) {
      moves.claims[i] = kUnclaimed;
      return is_fractional(moves.x[i]) ? Fractional{1, moves.gain[i]} : Fractional{};
    });
    if (open.count < 2) break;
    const double mean = open.gain / open.count;
    std::int64_t n_up =
        team.select(n, [&](std::int64_t i) { return is_fractional(moves.x[i]) && moves.gain[i] > mean; }, moves.up);
    std::int64_t n_down =
        team.select(n, [&](std::int64_t i) { return is_fractional(moves.x[i]) && !(moves.gain[i] > mean); }, moves.down);
    const std::int32_t* up = moves.up;
    const std::int32_t* down = moves.down;
    if (n_up == 0 || n_down == 0) {  // equal gradients: the first half of the elements with the second
      up = n_up == 0 ? moves.down : moves.up;
      n_up = n_down = (n_up + n_down) / 2;
      down = up + n_up;
    }
    move_batch(team, problem.k, moves.claims, n_up < n_down ? n_up : n_down, up, down, [&](std::int64_t i, std::int64_t j) {
      const double x_i = moves.x[i];
      const double x_j = moves.x[j];
      const double curve = 2 * problem.alpha * entry_of(problem.k, i, j);
      const double t = better_end(std::min(1 - x_i, x_j), std::min(x_i, 1 - x_j), moves.gain[i] - moves.gain[j], curve);
      __syncwarp();
      set_x(problem, moves, i, snapped(x_i + t));
      set_x(problem, moves, j, snapped(x_j - t));
      return true;
    });
    refresh(team, problem, moves);
  }
  const Max last =
      team.sum(n, [&](std::int64_t i) { return Max{is_fractional(moves.x[i]) ? static_cast<double>(i + 1) : 0.0}; });
  if (last.value > 0) {
    const auto i = static_cast<std::int64_t>(last.value) - 1;
    alone(team, [&] { set_x(problem, moves, i, moves.x[i] > 0.5 ? 1.0 : 0.0); });
    refresh(team, problem, moves);
  }
  // The sum held to rounding error only, so the count may be off by one.
  auto count = static_cast<std::int64_t>(team.sum(n, [&](std::int64_t i) { return moves.x[i]; }));
  while (count != problem.budget) {
    const Ends ends = ends_of(team, problem, moves);
    const bool add = count < problem.budget;
    alone(team, [&] { set_x(problem, moves, static_cast<std::int64_t>(add ? ends.most_at : ends.least_at), add ? 1.0 : 0.0); });
    refresh(team, problem, moves);
    count += add ? 1 : -1;
  }
}

class Polish {
 public:
  __device__ Polish(Team& team, const Elements& problem, const Moves& moves) : team_(team), problem_(problem), moves_(moves) {}

  __device__ void begin() {
    const double kept =
        static_cast<double>(2 * problem_.budget <= problem_.n());  // every edge between the sides has an end on the smaller one
    team_.for_each(problem_.n(), [&](std::int64_t i) { moves_.changed[i] = moves_.x[i] == kept ? kStale | kNew : kStale; });
    team_.barrier();
    refresh(team_, problem_, moves_);
  }

  // Swaps made; 0 where none improves.
  __device__ std::int64_t step() {
    std::int64_t swaps = swap_apart();
    if (swaps == 0) swaps = swap_adjacent();
    if (swaps > 0) refresh(team_, problem_, moves_);
    return swaps;
  }

 private:
  __device__ bool improves(std::int64_t i, std::int64_t j, double k_ij) const {
    return swap_improves(swap_change(moves_.gain[i], moves_.gain[j], problem_.alpha, k_ij), moves_.size[i], moves_.size[j]);
  }
  __device__ void swap(std::int64_t in, std::int64_t out) const {
    set_x(problem_, moves_, in, 1.0);
    set_x(problem_, moves_, out, 0.0);
  }

  // Where K >= 0 no two that share no edge improve if the best two do not.
  __device__ std::int64_t swap_apart() {
    const std::int64_t n = problem_.n();
    const Ends ends = ends_of(team_, problem_, moves_);
    const auto best_in = static_cast<std::int64_t>(ends.most_at);
    const auto best_out = static_cast<std::int64_t>(ends.least_at);
    if (!improves(best_in, best_out, entry_of(problem_.k, best_in, best_out))) return 0;
    const double middle = ends.least + (ends.most - ends.least) / 2;
    const std::int64_t n_in =
        team_.select(n, [&](std::int64_t i) { return moves_.x[i] == 0 && moves_.gain[i] > middle; }, moves_.up);
    const std::int64_t n_out =
        team_.select(n, [&](std::int64_t i) { return moves_.x[i] == 1 && moves_.gain[i] < middle; }, moves_.down);
    team_.for_each(n, [&](std::int64_t i) { moves_.claims[i] = kUnclaimed; });
    team_.barrier();
    const std::int64_t moved = move_batch(team_, problem_.k, moves_.claims, n_in < n_out ? n_in : n_out, moves_.up, moves_.down,
                                          [&](std::int64_t in, std::int64_t out) {
                                            const bool better = improves(in, out, 0);
                                            __syncwarp();
                                            if (better) swap(in, out);
                                            return better;
                                          });
    if (moved > 0) return moved;
    alone(team_, [&] { swap(best_in, best_out); });
    return 1;
  }

  // Of the elements whose gain or side has changed, each with the best of its neighbours on the other side.
  __device__ std::int64_t swap_adjacent() {
    const graph::CsrView& k = problem_.k;
    team_.for_each(k.n, [&](std::int64_t a) {
      moves_.claims[a] = kUnclaimed;
      moves_.partner[a] = -1;
      if (moves_.changed[a] != kNew) return;
      double most = -INFINITY;
      for (std::int64_t e = k.indptr[a]; e < k.indptr[a + 1]; ++e) {
        const std::int64_t b = k.indices[e];
        if (moves_.x[a] == moves_.x[b]) continue;
        const std::int64_t in = moves_.x[a] == 0 ? a : b;
        const std::int64_t out = moves_.x[a] == 0 ? b : a;
        const auto k_ab = static_cast<double>(k.values[e]);
        const double change = swap_change(moves_.gain[in], moves_.gain[out], problem_.alpha, k_ab);
        if (!improves(in, out, k_ab) || !(change > most)) continue;
        most = change;
        moves_.partner[a] = static_cast<std::int32_t>(b);
      }
      if (moves_.partner[a] < 0) moves_.changed[a] = 0;
    });
    const std::int64_t count = team_.select(k.n, [&](std::int64_t a) { return moves_.partner[a] >= 0; }, moves_.up);
    if (count == 0) return 0;
    team_.for_each(count, [&](std::int64_t p) {
      const std::int32_t a = moves_.up[p];
      const bool in = moves_.x[a] == 0;
      moves_.up[p] = in ? a : moves_.partner[a];
      moves_.down[p] = in ? moves_.partner[a] : a;
    });
    team_.barrier();
    return move_batch(team_, k, moves_.claims, count, moves_.up, moves_.down, [&](std::int64_t in, std::int64_t out) {
      swap(in, out);
      return true;
    });
  }

  Team& team_;
  const Elements& problem_;
  const Moves& moves_;
};

__global__ void __launch_bounds__(kThreads, policy::kBlocks)
    polish_by_batches(TeamMemory memory, Elements problem, Moves moves, std::int64_t batches, Polishing* state) {
  Team team(memory);
  Polishing now = *state;
  Polish polish(team, problem, moves);
  if (now.begun == 0) polish.begin();
  now.begun = 1;
  for (std::int64_t batch = 0; batch < batches && now.finished == 0; ++batch) {
    const std::int64_t swaps = polish.step();
    now.swaps += swaps;
    now.finished = swaps == 0;
  }
  team.barrier();  // everyone has read what comes now
  if (team.is_first()) *state = now;
}

}  // namespace

void round_pairwise(const Elements& problem, const double* kx, const Moves& moves, TeamSpace& space,
                    const cuda::Stream& stream) {
  launch_team(space, problem.n(), stream, round_by_pairs, problem, kx, moves);
}

void polish(const Elements& problem, const Moves& moves, std::int64_t batches, Polishing* state, TeamSpace& space,
            const cuda::Stream& stream) {
  launch_team(space, problem.n(), stream, polish_by_batches, problem, moves, batches, state);
}

}  // namespace coremax::solver::on_cuda
