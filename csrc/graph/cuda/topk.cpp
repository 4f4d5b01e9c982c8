// The host's side: memory, the order of the stages, and errors.
#include <algorithm>
#include <bit>
#include <string>
#include <vector>

#include "core/errors.h"
#include "graph/cuda/graph.h"
#include "graph/cuda/stages.h"
#include "graph/search.h"

namespace coremax::graph::on_cuda {
namespace {

constexpr std::int64_t kMostRows = std::int64_t{1} << 31;

bool filter_pays(std::int64_t n, std::int64_t k, Search search, const Tuning& tuning) {
  if (search != Search::automatic) return search != Search::direct;
  return n >= tuning.filter_from_rows && k <= n / tuning.filter_largest_share;
}

class Call {
 public:
  Call(const MatrixView& x, std::int64_t k, Metric metric, const Tuning& tuning, const cuda::Stream& stream, Control* control,
       std::int64_t* neighbors, float* similarities)
      : x_(x),
        k_(k),
        tuning_(tuning),
        stream_(stream),
        control_(control),
        neighbors_(neighbors),
        similarities_(similarities),
        report_(1, stream, "the report"),
        scales_(metric == Metric::cosine ? x.n_rows : 0, stream, "the scales of rows"),
        source_{x, metric, metric == Metric::cosine ? scales_.data() : nullptr, 1, {}} {}

  void run(bool filtered) {
    const Report fresh;
    cuda::copy(report_.data(), &fresh, 1, stream_, "the report");
    measure(x_, source_.metric, scales_.data(), report_.data(), stream_);
    const bool may_shift = filtered && source_.metric != Metric::dot;
    const cuda::Buffer<float> origin(may_shift ? x_.n_cols : 0, stream_, "the origin");
    if (may_shift) find_origin(source_, origin.data(), report_.data(), stream_);
    const Report report = read_report();
    if (report.bad_row != kNone) refuse_row(x_, "x", static_cast<std::int64_t>(report.bad_row), source_.metric, stream_);
    if (source_.metric != Metric::cosine) source_.common_scale = common_scale_of(std::bit_cast<double>(report.largest_norm));
    cuda::set_bytes(neighbors_, 0, x_.n_rows * k_, stream_, "the neighbours");
    if (filtered)
      filtered_search(report.shifted != 0 ? origin.data() : nullptr);
    else
      direct(source_, 0, 0, {keys(), k_, nullptr}, stream_);
    finish(source_, k_, neighbors_, similarities_, report_.data(), stream_);
    check(read_report());
  }

 private:
  std::uint64_t* keys() const { return reinterpret_cast<std::uint64_t*>(neighbors_); }
  // The wait comes first: a copy to ordinary memory does not return before it is done, and nothing can stop it.
  Report read_report() const {
    stream_.synchronize(control_);
    return cuda::read_back(report_.data(), stream_, "the report");
  }

  void filtered_search(const float* origin);

  void check(const Report& report) const {
    if (report.unfilled != kNone) refuse_changed("x");  // finite scores with n - 1 >= k other rows fill every list
    if (report.overflow == kNone) return;
    const auto element = static_cast<std::int64_t>(report.overflow);
    refuse_overflow(element / k_, cuda::read_back(neighbors_ + element, stream_, "a neighbour"));
  }

  const MatrixView& x_;
  const std::int64_t k_;
  const Tuning& tuning_;
  const cuda::Stream& stream_;
  Control* const control_;
  std::int64_t* const neighbors_;
  float* const similarities_;
  const cuda::Buffer<Report> report_;
  const cuda::Buffer<double> scales_;
  Source source_;
};

// Sizes of what the filtered search allocates.
struct Sizes {
  Sizes(std::int64_t n, std::int64_t d, std::int64_t k, std::int64_t block_rows, std::int64_t most_in_hand,
        const Tuning& tuning)
      : width(round_up(d, kStep)),
        n_blocks((n + block_rows - 1) / block_rows),
        positions(n_blocks * block_rows),
        room(std::min(checked_multiply(checked_multiply(n, k), tuning.pool_per_entry), tuning.pool_most)),
        pool(n < (std::int64_t{1} << 20) ? std::min(n * n, room + most_in_hand) : room + most_in_hand) {}
  std::int64_t width;
  std::int64_t n_blocks;
  std::int64_t positions;
  std::int64_t room;
  std::int64_t pool;  // all pairs there are, or as many as can come

  std::int64_t bytes() const {
    return checked_multiply(positions,
                            checked_multiply(width, sizeof(std::uint16_t)) +
                                static_cast<std::int64_t>(2 * sizeof(float) + sizeof(ErrorTerms) + sizeof(std::uint32_t))) +
           n_blocks * static_cast<std::int64_t>(sizeof(ErrorTerms)) + pool * static_cast<std::int64_t>(sizeof(Candidate));
  }
};

void Call::filtered_search(const float* origin) {
  const std::int64_t n = x_.n_rows;
  source_.order = Order::scattered(n);
  const bool shifted = origin != nullptr;
  const FilterPlan plan = plan_filter(round_up(x_.n_cols, kStep), shifted, tuning_);
  const Sizes sizes(n, x_.n_cols, k_, plan.block_rows, plan.most_in_hand(), tuning_);
  const cuda::Buffer<std::uint16_t> rows(checked_multiply(sizes.positions, sizes.width), stream_, "the rows in bfloat16");
  const cuda::Buffer<float> shift(shifted ? sizes.positions : 0, stream_, "the rows' shifts");
  const cuda::Buffer<ErrorTerms> terms(sizes.positions, stream_, "the rows' error bounds");
  const cuda::Buffer<ErrorTerms> block_terms(sizes.n_blocks, stream_, "the blocks' error bounds");
  const cuda::Buffer<float> thresholds(n, stream_, "the thresholds");
  const cuda::Buffer<std::uint32_t> first(n, stream_, "the rows' candidates");
  const cuda::Buffer<std::uint32_t> count(1, stream_, "the number of candidates");
  const cuda::Buffer<Candidate> candidates(sizes.pool, stream_, "the candidates");
  const cuda::Buffer<std::uint64_t> progress(plan.blocks, stream_, "the progress");

  const Packed packed{plan.block_rows, sizes.n_blocks,    sizes.width, rows.data(), shifted ? shift.data() : nullptr,
                      terms.data(),    block_terms.data()};
  cuda::set_bytes(block_terms.data(), 0, block_terms.size(), stream_, "the blocks' error bounds");
  pack(source_, origin, packed, stream_);

  const Lists lists{keys(), k_, thresholds.data()};
  const std::int64_t seeds = (tuning_.seeds_per_neighbor * k_ + plan.block_rows - 1) / plan.block_rows;  // blocks
  const std::int64_t around = seeds / 2;
  direct(source_, plan.block_rows, around, lists, stream_);

  const Pool pool{candidates.data(), count.data(), first.data(), static_cast<std::uint32_t>(std::min(sizes.room, sizes.pool))};
  cuda::set_bytes(first.data(), 0xFF, n, stream_, "the rows' candidates");
  const Schedule schedule = Schedule::make(sizes.n_blocks, around, tuning_.strip_diagonals);
  const std::int64_t tiles_per_strip = tuning_.strip_diagonals * plan.tiles_per_pair;
  std::vector<std::uint64_t> reached(plan.blocks);
  for (std::size_t b = 0; b < reached.size(); ++b) reached[b] = b * static_cast<std::uint64_t>(tiles_per_strip);
  cuda::copy(progress.data(), reached.data(), progress.size(), stream_, "the progress");
  const auto round = [&](std::int64_t end) {
    cuda::set_bytes(count.data(), 0, 1, stream_, "the number of candidates");
    filter(plan, packed, n, source_.metric, thresholds.data(), schedule, end, progress.data(), pool, stream_);
    merge(source_, lists, pool, stream_);
  };
  for (int panel = 0; panel < schedule.n_panels; ++panel) round(schedule.first_strip[panel + 1]);
  // Where the pool has run full strips are left.
  const auto all = static_cast<std::uint64_t>(schedule.n_strips() * tiles_per_strip);
  const auto left = [&] {
    stream_.synchronize(control_);
    cuda::copy(reached.data(), progress.data(), progress.size(), stream_, "the progress");
    stream_.synchronize();
    return std::any_of(reached.begin(), reached.end(), [&](std::uint64_t tile) { return tile < all; });
  };
  while (left()) round(schedule.n_strips());
}

}  // namespace

void topk(const MatrixView& x, std::int64_t k, Metric metric, Search search, const Tuning& tuning, const cuda::Stream& stream,
          Control* control, std::int64_t* neighbors, float* similarities) {
  const std::int64_t n = x.n_rows;
  require(n >= 2 && k >= 1 && k < n, "k must be from 1 to n - 1 = " + std::to_string(n - 1) + ", got " + std::to_string(k));
  require(n < kMostRows, "a graph on a device is limited to 2^31 - 1 rows, got " + std::to_string(n));
  checked_multiply(n, checked_multiply(k, sizeof(std::int64_t)));
  Call(x, k, metric, tuning, stream, control, neighbors, similarities).run(filter_pays(n, k, search, tuning));
}

std::int64_t extra_bytes(std::int64_t n, std::int64_t d, std::int64_t k, Search search, const Tuning& tuning) {
  const std::int64_t bytes = checked_multiply(n, sizeof(double)) + static_cast<std::int64_t>(sizeof(Report));
  if (!filter_pays(n, k, search, tuning)) return bytes;
  const FilterPlan plan = plan_filter(round_up(d, kStep), true, tuning);
  return bytes + Sizes(n, d, k, plan.block_rows, plan.most_in_hand(), tuning).bytes() +
         d * static_cast<std::int64_t>(sizeof(float)) + plan.blocks * 8 + 4;
}

}  // namespace coremax::graph::on_cuda
