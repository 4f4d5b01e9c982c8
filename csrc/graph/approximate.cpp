// The approximate search: rows are partitioned by k-means, and of all pairs of groups only the promising ones are joined, by
// the same blocks, filter and lists as in the exact search. Which are promising, and how many are needed for the recall asked
// for, is read off a sample of rows that is answered exactly first: a true neighbour is found if, and only if, its group meets
// the row's group. One half of the sample chooses, the other half measures.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "core/errors.h"
#include "core/philox.h"
#include "graph/filtered.h"
#include "graph/partition.h"

namespace coremax::graph {
namespace {

// Groups: 4 sqrt(n), so that finding the nearest centres costs about as much as joining with a few groups does.
constexpr double kGroupsPerRoot = 4.0;
constexpr std::int64_t kLeastGroups = 16;
constexpr std::int64_t kNearest = 12;
constexpr std::int64_t kIterations = 6;
constexpr std::int64_t kSampleRows = 2000;
// Beyond this share of all pairs the exact search, whose thresholds start from a hope, costs no more.
constexpr double kExactFrom = 0.4;
// The recall aimed at lies this many standard errors above the one asked for. A row's neighbours are found or missed together:
// about so many of them count as one.
constexpr double kMargin = 1.0;
constexpr double kNeighborsPerIndependentOne = 4;

std::int64_t n_groups_of(std::int64_t n) {
  return std::clamp(static_cast<std::int64_t>(kGroupsPerRoot * std::sqrt(static_cast<double>(n))), kLeastGroups, kMostCentres);
}

struct GroupPair {
  float promise;  // expected neighbours found per pair of rows
  std::uint16_t a, b;
};

// Which groups the true neighbours of the sampled rows are in.
struct Sample {
  std::vector<std::uint32_t> rows;
  std::vector<std::uint16_t> group;      // of each row
  std::vector<std::uint16_t> neighbors;  // [rows, k] groups of its neighbours
};

class Planner {
 public:
  Planner(const Partition& partition, std::int64_t n, std::int64_t k)
      : partition_(partition), n_(n), k_(k), groups_(partition.n_centres), sizes_(static_cast<std::size_t>(groups_)) {
    for (std::int64_t i = 0; i < n; ++i) ++sizes_[group_of(i)];
  }

  std::uint16_t group_of(std::int64_t row) const {
    return partition_.nearest[static_cast<std::size_t>(row * partition_.n_nearest)];
  }
  // The pairs to visit, most promising first, such that the first half of the sample is found to the share asked for.
  std::vector<GroupPair> plan(const Sample& sample, double target);
  // The share of neighbours that the pairs find for each row of the second half.
  std::vector<double> found(const Sample& sample, const std::vector<GroupPair>& pairs) const;
  // Pairs of rows that the pairs of groups hold.
  double cost(const std::vector<GroupPair>& pairs) const;

 private:
  std::vector<double> usefulness(const Sample& sample) const;
  std::vector<GroupPair> ranked(const std::vector<double>& use) const;
  std::size_t cell(std::int64_t a, std::int64_t b) const {
    return static_cast<std::size_t>(std::min(a, b) * groups_ + std::max(a, b));
  }
  double pairs_of(std::size_t a, std::size_t b) const {
    return static_cast<double>(sizes_[a]) * static_cast<double>(sizes_[b]) * (a == b ? 0.5 : 1.0);
  }

  const Partition& partition_;
  const std::int64_t n_;
  const std::int64_t k_;
  const std::int64_t groups_;
  std::vector<std::int64_t> sizes_;
};

// use[r]: neighbours that a row has in its r-th nearest group, on average over the first half of the sample; made to fall with
// r.
std::vector<double> Planner::usefulness(const Sample& sample) const {
  const auto stride = static_cast<std::size_t>(partition_.n_nearest);
  std::vector<double> use(stride, 0.0);
  const std::size_t half = sample.rows.size() / 2;
  for (std::size_t s = 0; s < half; ++s)
    for (std::size_t r = 0; r < stride; ++r) {
      const std::uint16_t group = partition_.nearest[sample.rows[s] * stride + r];
      const auto* begin = sample.neighbors.data() + s * static_cast<std::size_t>(k_);
      use[r] += static_cast<double>(std::count(begin, begin + k_, group)) / static_cast<double>(std::max<std::size_t>(1, half));
    }
  for (std::size_t r = stride; r-- > 1;) use[r - 1] = std::max(use[r - 1], use[r]);
  for (double& value : use) value += 1e-6;
  return use;
}

std::vector<GroupPair> Planner::ranked(const std::vector<double>& use) const {
  std::vector<float> promise(static_cast<std::size_t>(groups_ * groups_), 0.0f);
  const auto stride = static_cast<std::size_t>(partition_.n_nearest);
  for (std::size_t i = 0; i < static_cast<std::size_t>(n_); ++i)
    for (std::size_t r = 0; r < stride; ++r)
      promise[cell(partition_.nearest[i * stride], partition_.nearest[i * stride + r])] += static_cast<float>(use[r]);
  std::vector<GroupPair> pairs;
  for (std::int64_t a = 0; a < groups_; ++a)
    for (std::int64_t b = a; b < groups_; ++b) {
      const double size = pairs_of(static_cast<std::size_t>(a), static_cast<std::size_t>(b));
      const double value = static_cast<double>(promise[cell(a, b)]);
      if (size > 0 && value > 0)
        pairs.push_back({static_cast<float>(value / size), static_cast<std::uint16_t>(a), static_cast<std::uint16_t>(b)});
    }
  std::sort(pairs.begin(), pairs.end(), [](const GroupPair& x, const GroupPair& y) {
    const bool x_own = x.a == x.b;  // a group with itself first: lists fill with near rows
    const bool y_own = y.a == y.b;
    if (x_own != y_own) return x_own;
    return x.promise > y.promise || (x.promise == y.promise && std::pair(x.a, x.b) < std::pair(y.a, y.b));
  });
  return pairs;
}

std::vector<GroupPair> Planner::plan(const Sample& sample, double target) {
  std::vector<GroupPair> pairs = ranked(usefulness(sample));
  std::vector<std::uint32_t> rank(static_cast<std::size_t>(groups_ * groups_), UINT32_MAX);
  for (std::size_t r = 0; r < pairs.size(); ++r) rank[cell(pairs[r].a, pairs[r].b)] = static_cast<std::uint32_t>(r);
  // Ranks of the pairs that the neighbours need: the target's quantile is how many pairs it takes.
  std::vector<std::uint32_t> needed;
  const std::size_t half = sample.rows.size() / 2;
  const auto k = static_cast<std::size_t>(k_);
  for (std::size_t s = 0; s < half; ++s)
    for (std::size_t j = 0; j < k; ++j) needed.push_back(rank[cell(sample.group[s], sample.neighbors[s * k + j])]);
  if (needed.empty()) return {};
  const auto at = std::min(needed.size() - 1, static_cast<std::size_t>(std::ceil(target * static_cast<double>(needed.size()))));
  std::nth_element(needed.begin(), needed.begin() + static_cast<std::ptrdiff_t>(at), needed.end());
  if (needed[at] == UINT32_MAX) return {};
  const auto own = static_cast<std::size_t>(
      std::count_if(pairs.begin(), pairs.end(), [](const GroupPair& pair) { return pair.a == pair.b; }));
  pairs.resize(std::max(needed[at] + std::size_t{1}, own));  // every group is joined with itself
  return pairs;
}

std::vector<double> Planner::found(const Sample& sample, const std::vector<GroupPair>& pairs) const {
  std::vector<std::uint8_t> visited(static_cast<std::size_t>(groups_ * groups_), 0);
  for (const GroupPair& pair : pairs) visited[cell(pair.a, pair.b)] = 1;
  std::vector<double> shares;
  const auto k = static_cast<std::size_t>(k_);
  for (std::size_t s = sample.rows.size() / 2; s < sample.rows.size(); ++s) {
    std::int64_t hits = 0;
    for (std::size_t j = 0; j < k; ++j) hits += visited[cell(sample.group[s], sample.neighbors[s * k + j])];
    shares.push_back(static_cast<double>(hits) / static_cast<double>(k));
  }
  return shares;
}

double Planner::cost(const std::vector<GroupPair>& pairs) const {
  double sum = 0;
  for (const GroupPair& pair : pairs) sum += pairs_of(pair.a, pair.b);
  return sum;
}

// Mean and its 95 % confidence interval over rows, by the normal approximation; a sample found whole still leaves room for
// what three rows in as many as were sampled might hold (the rule of three).
RecallEstimate estimate(const std::vector<double>& shares) {
  const auto count = static_cast<double>(shares.size());
  const double mean = std::accumulate(shares.begin(), shares.end(), 0.0) / count;
  double square = 0;
  for (const double share : shares) square += (share - mean) * (share - mean);
  const double half_width = 1.96 * std::sqrt(square / std::max(1.0, count - 1) / count);
  return {mean, std::max(0.0, std::min(mean - half_width, 1 - 3 / count)), std::min(1.0, mean + half_width),
          static_cast<std::int64_t>(shares.size())};
}

std::vector<std::uint32_t> sampled_rows(std::int64_t n, std::uint64_t seed) {
  const std::int64_t count = std::min(n, kSampleRows);
  std::vector<std::uint32_t> rows(static_cast<std::size_t>(count));
  for (std::int64_t s = 0; s < count; ++s) {
    const std::int64_t begin = s * n / count;
    const auto range = static_cast<std::uint64_t>((s + 1) * n / count - begin);
    rows[static_cast<std::size_t>(s)] = static_cast<std::uint32_t>(
        begin + static_cast<std::int64_t>(random_bits(seed, Stream::recall_sample, static_cast<std::uint64_t>(s)) % range));
  }
  // Halves that each cover all rows: even places first, then odd ones.
  std::vector<std::uint32_t> halves;
  for (std::size_t parity = 0; parity < 2; ++parity)
    for (std::size_t s = parity; s < rows.size(); s += 2) halves.push_back(rows[s]);
  return halves;
}

// The pairs of blocks that the pairs of groups stand for.
std::vector<PairSchedule::Pair> block_pairs_of(const std::vector<GroupPair>& pairs,
                                               const std::vector<std::uint32_t>& group_of_block, std::int64_t n_groups) {
  std::vector<std::vector<std::uint32_t>> blocks_of(static_cast<std::size_t>(n_groups));
  for (std::size_t b = 0; b < group_of_block.size(); ++b) blocks_of[group_of_block[b]].push_back(static_cast<std::uint32_t>(b));
  std::vector<PairSchedule::Pair> block_pairs;
  for (const GroupPair& pair : pairs)
    for (const std::uint32_t a : blocks_of[pair.a])
      for (const std::uint32_t b : blocks_of[pair.b])
        if (pair.a != pair.b || a <= b) block_pairs.emplace_back(a, b);
  return block_pairs;
}

// Groups of the true neighbours of a sample of rows.
Sample answered_sample(FilteredSearch& search, const Planner& planner, std::int64_t n, std::int64_t k, std::uint64_t seed) {
  Sample sample;
  sample.rows = sampled_rows(n, seed);
  sample.neighbors.resize(sample.rows.size() * static_cast<std::size_t>(k));
  for (const std::uint32_t row : sample.rows) sample.group.push_back(planner.group_of(row));
  search.answer(sample.rows, [&](const Collection&, std::int64_t position, const std::vector<Found>& found) {
    if (static_cast<std::int64_t>(found.size()) < k) refuse_changed("x");
    for (std::size_t j = 0; j < found.size(); ++j)
      sample.neighbors[static_cast<std::size_t>(position * k) + j] = planner.group_of(found[j].row);
  });
  return sample;
}

}  // namespace

std::int64_t approximate_extra_bytes(std::int64_t n) {
  const std::int64_t groups = n_groups_of(n);
  // Nearest centres, and closeness; two tables over the pairs of groups, and the pairs themselves.
  return n * (kNearest * 2 + 8) + 9 * groups * groups +
         static_cast<std::int64_t>(sizeof(GroupPair)) * std::min(groups * groups / 2, n * kNearest);
}

std::optional<RecallEstimate> approximate_topk(const ScaledRows& source, Metric metric, const Scores& scores,
                                               const Filter& filter, ThreadPool& pool, double recall, std::uint64_t seed,
                                               const Output& output) {
  const std::int64_t n = source.n();
  const Packer packer(source, metric, filter);
  const SearchSetup setup{source, metric, scores, filter, packer, pool};
  const PartitionOptions options{n_groups_of(n), kNearest, kIterations, seed};
  const Partition groups = partition(source, metric, scores, filter, pool, options);
  std::vector<std::uint32_t> group_of_block;
  Layout layout = groups.in_groups(FilteredSearch::block_rows(n, packer.n_words(), pool.size()), group_of_block);
  FilteredSearch search(setup, std::move(layout), output.k);
  Planner planner(groups, n, output.k);
  const Sample sample = answered_sample(search, planner, n, output.k, seed);
  const double n_choosing = static_cast<double>(sample.rows.size() * static_cast<std::size_t>(output.k)) / 2;
  const double margin = kMargin * std::sqrt(recall * (1 - recall) / n_choosing * kNeighborsPerIndependentOne);
  const std::vector<GroupPair> pairs = planner.plan(sample, std::min(1.0, recall + margin));
  if (pairs.empty() || planner.cost(pairs) > kExactFrom * static_cast<double>(n) * static_cast<double>(n) / 2)
    return std::nullopt;
  search.run(block_pairs_of(pairs, group_of_block, groups.n_centres));
  search.finish(output);
  return estimate(planner.found(sample, pairs));
}

}  // namespace coremax::graph
