// See partition.h.
#include "graph/partition.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include "core/philox.h"

namespace coremax::graph {
namespace {

// Rows scored at a time: one group, so that their products with thousands of centres stay in the level-2 cache.
constexpr std::int64_t kChunkRows = kGroupRows;
// Rows of the sample that k-means moves its centres by, for each centre.
constexpr std::int64_t kSamplePerCentre = 24;

// One row out of each of `count` equal ranges of all rows.
std::vector<std::uint32_t> stratified_rows(std::int64_t n, std::int64_t count, std::uint64_t seed) {
  std::vector<std::uint32_t> rows(static_cast<std::size_t>(count));
  for (std::int64_t s = 0; s < count; ++s) {
    const std::int64_t begin = s * n / count;
    const auto range = static_cast<std::uint64_t>((s + 1) * n / count - begin);
    rows[static_cast<std::size_t>(s)] = static_cast<std::uint32_t>(
        begin + static_cast<std::int64_t>(random_bits(seed, Stream::partition, static_cast<std::uint64_t>(s)) % range));
  }
  return rows;
}

class Centres {
 public:
  Centres(const ScaledRows& source, Metric metric, const Scores& scores, const Filter& filter, ThreadPool& pool,
          const PartitionOptions& options)
      : source_(source),
        metric_(metric),
        scores_(scores),
        filter_(filter),
        pool_(pool),
        packer_(source, metric, filter, true),
        by_norm_(options.by_norm),
        n_(options.n_centres),
        n_padded_(round_up(n_, kGroupRows)),
        width_(source.padded_columns()),
        vectors_(checked_multiply(n_, width_)),
        words_(n_padded_ * packer_.n_words()),
        scale_(n_padded_),
        shift_(n_padded_),
        terms_(n_padded_) {
    const auto rows = stratified_rows(source.n(), n_, options.seed);
    for (std::int64_t c = 0; c < n_; ++c) source.stage_row(rows[static_cast<std::size_t>(c)], vectors_.data() + c * width_);
    pack();
    if (options.iterations == 0) return;
    const auto sample = stratified_rows(source.n(), std::min(source.n(), n_ * kSamplePerCentre), options.seed + 1);
    for (std::int64_t iteration = 0; iteration < options.iterations; ++iteration) move(sample);
  }

  // nearest[i * n_nearest + j] = number of the j-th nearest centre of the i-th of these rows; all rows where rows is null.
  void assign(const std::uint32_t* rows, std::int64_t count, std::int64_t n_nearest, std::uint16_t* nearest,
              float* closeness) const;

 private:
  void pack();
  void move(const std::vector<std::uint32_t>& sample);

  const ScaledRows& source_;
  const Metric metric_;
  const Scores& scores_;
  const Filter& filter_;
  ThreadPool& pool_;
  const Packer packer_;
  const bool by_norm_;
  const std::int64_t n_;
  const std::int64_t n_padded_;
  const std::int64_t width_;
  AlignedBuffer<float> vectors_;  // [n, width], staged like rows
  AlignedBuffer<std::uint32_t> words_;
  AlignedBuffer<float> scale_;
  AlignedBuffer<float> shift_;
  AlignedBuffer<ErrorTerms> terms_;
};

void Centres::pack() {
  Packer::Scratch scratch(packer_);
  const std::vector<std::uint32_t> none(kGroupRows, Layout::kNoRow);
  for (std::int64_t first = 0; first < n_padded_; first += kGroupRows) {
    const Packer::Group group{words_.data() + first * packer_.n_words(), scale_.data() + first, shift_.data() + first,
                              terms_.data() + first};
    packer_.pack(none.data(), group, scratch);
    for (std::int64_t c = first; c < std::min(n_, first + kGroupRows); ++c)
      packer_.pack_vector(vectors_.data() + c * width_, c - first, group, scratch);
  }
}

// The best n_nearest of `values`, best first, ties to the lower number, by insertion: few get past the scan.
void best_of(const Scores& scores, const float* values, std::int64_t count, std::int64_t n_nearest, std::uint16_t* nearest,
             float* best_values) {
  constexpr std::int64_t kChunk = 128;
  std::int32_t hits[kChunk + 16];
  std::fill_n(best_values, n_nearest, -std::numeric_limits<float>::infinity());
  std::fill_n(nearest, n_nearest, std::uint16_t{0});
  for (std::int64_t begin = 0; begin < count; begin += kChunk) {
    const std::int64_t n_hits = scores.above(values + begin, std::min(kChunk, count - begin), best_values[n_nearest - 1], hits);
    for (std::int64_t h = 0; h < n_hits; ++h) {
      const std::int64_t c = begin + hits[h];
      if (!(values[c] > best_values[n_nearest - 1])) continue;
      std::int64_t at = n_nearest - 1;
      for (; at > 0 && values[c] > best_values[at - 1]; --at) {
        best_values[at] = best_values[at - 1];
        nearest[at] = nearest[at - 1];
      }
      best_values[at] = values[c];
      nearest[at] = static_cast<std::uint16_t>(c);
    }
  }
}

void Centres::assign(const std::uint32_t* rows, std::int64_t count, std::int64_t n_nearest, std::uint16_t* nearest,
                     float* closeness) const {
  struct Workspace {
    explicit Workspace(const Centres& centres, std::int64_t n_nearest)
        : scratch(centres.packer_),
          words(kChunkRows * centres.packer_.n_words()),
          floats(2 * kChunkRows),
          terms(kChunkRows),
          products(kChunkRows * centres.n_padded_),
          best(static_cast<std::size_t>(n_nearest)) {}
    Packer::Scratch scratch;
    AlignedBuffer<std::uint32_t> words;
    AlignedBuffer<float> floats;
    AlignedBuffer<ErrorTerms> terms;
    AlignedBuffer<float> products;
    std::vector<float> best;
  };
  std::vector<std::unique_ptr<Workspace>> workspaces;
  for (int t = 0; t < pool_.size(); ++t) workspaces.push_back(std::make_unique<Workspace>(*this, n_nearest));
  const FilterSide columns{words_.data(), scale_.data(), shift_.data(), nullptr, n_padded_ / kGroupRows};
  pool_.run((count + kChunkRows - 1) / kChunkRows, [&](std::int64_t chunk, ThreadPool::Worker& worker) {
    Workspace& work = *workspaces[static_cast<std::size_t>(worker.id())];
    const std::int64_t first = chunk * kChunkRows;
    for (std::int64_t g = 0; g < kChunkRows; g += kGroupRows) {
      std::uint32_t numbers[kGroupRows];
      for (std::int64_t r = 0; r < kGroupRows; ++r) {
        const std::int64_t i = first + g + r;
        numbers[r] = i >= count ? Layout::kNoRow : rows == nullptr ? static_cast<std::uint32_t>(i) : rows[i];
      }
      packer_.pack(numbers,
                   {work.words.data() + g * packer_.n_words(), work.floats.data() + g, work.floats.data() + kChunkRows + g,
                    work.terms.data() + g},
                   work.scratch);
    }
    const FilterSide side{work.words.data(), work.floats.data(), work.floats.data() + kChunkRows, nullptr,
                          kChunkRows / kGroupRows};
    filter_.products(side, columns, packer_.n_words(), work.products.data(), n_padded_);
    for (std::int64_t r = 0; r < std::min(kChunkRows, count - first); ++r) {
      float* values = work.products.data() + r * n_padded_;
      if (packer_.shifted())
        for (std::int64_t c = 0; c < n_; ++c) values[c] += shift_.data()[c];
      best_of(scores_, values, n_, n_nearest, nearest + (first + r) * n_nearest, work.best.data());
      if (closeness != nullptr) closeness[first + r] = by_norm_ ? work.terms.data()[r].norm : work.best[0];
    }
  });
}

// One step of k-means: every centre becomes the mean of the sampled rows nearest to it; one without rows stays.
void Centres::move(const std::vector<std::uint32_t>& sample) {
  const auto count = static_cast<std::int64_t>(sample.size());
  std::vector<std::uint16_t> nearest(sample.size());
  assign(sample.data(), count, 1, nearest.data(), nullptr);
  std::vector<std::vector<std::uint32_t>> members(static_cast<std::size_t>(n_));
  for (std::size_t s = 0; s < sample.size(); ++s) members[nearest[s]].push_back(sample[s]);
  pool_.run(n_, [&](std::int64_t c, ThreadPool::Worker&) {
    const auto& rows = members[static_cast<std::size_t>(c)];
    if (rows.empty()) return;
    std::vector<double> sum(static_cast<std::size_t>(width_), 0.0);
    AlignedBuffer<float> row(width_);
    for (const std::uint32_t number : rows) {
      source_.stage_row(number, row.data());
      for (std::int64_t w = 0; w < width_; ++w) sum[static_cast<std::size_t>(w)] += static_cast<double>(row.data()[w]);
    }
    double scale = 1 / static_cast<double>(rows.size());
    if (metric_ == Metric::cosine) {
      double square = 0;
      for (const double value : sum) square += value * value;
      if (!(square > 0)) return;
      scale = 1 / std::sqrt(square);
    }
    for (std::int64_t w = 0; w < width_; ++w)
      vectors_.data()[c * width_ + w] = static_cast<float>(sum[static_cast<std::size_t>(w)] * scale);
  });
  pack();
}

}  // namespace

// Rows in the order of their groups; begin[c] to begin[c + 1] are those of centre c, nearest to it first.
std::vector<std::uint32_t> Partition::grouped(std::vector<std::int64_t>& begin) const {
  const std::size_t n = closeness.size();
  const auto stride = static_cast<std::size_t>(n_nearest);
  begin.assign(static_cast<std::size_t>(n_centres) + 1, 0);
  for (std::size_t i = 0; i < n; ++i) ++begin[nearest[i * stride] + std::size_t{1}];
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<std::uint32_t> rows(n);
  std::vector<std::int64_t> next(begin.begin(), begin.end() - 1);
  for (std::size_t i = 0; i < n; ++i)
    rows[static_cast<std::size_t>(next[nearest[i * stride]]++)] = static_cast<std::uint32_t>(i);
  for (std::size_t c = 0; c + 1 < begin.size(); ++c)
    std::sort(rows.begin() + begin[c], rows.begin() + begin[c + 1], [&](std::uint32_t a, std::uint32_t b) {
      return closeness[a] > closeness[b] || (closeness[a] == closeness[b] && a < b);
    });
  return rows;
}

Layout Partition::in_blocks(std::int64_t block_rows) const {
  std::vector<std::int64_t> begin;
  return Layout::in_order(grouped(begin), block_rows);
}

Layout Partition::in_groups(std::int64_t block_rows, std::vector<std::uint32_t>& centre_of_block) const {
  std::vector<std::int64_t> begin;
  const std::vector<std::uint32_t> rows = grouped(begin);
  Layout layout;
  for (std::int64_t c = 0; c < n_centres; ++c) {
    const std::int64_t size = begin[static_cast<std::size_t>(c) + 1] - begin[static_cast<std::size_t>(c)];
    const std::int64_t n_parts = (size + block_rows - 1) / block_rows;
    for (std::int64_t part = 0; part < n_parts; ++part) {
      const std::int64_t from = begin[static_cast<std::size_t>(c)] + part * size / n_parts;
      const std::int64_t to = begin[static_cast<std::size_t>(c)] + (part + 1) * size / n_parts;
      layout.blocks.push_back({layout.n_positions(), to - from});
      layout.row_at.insert(layout.row_at.end(), rows.begin() + from, rows.begin() + to);
      layout.row_at.resize(static_cast<std::size_t>(round_up(layout.n_positions(), kGroupRows)), Layout::kNoRow);
      centre_of_block.push_back(static_cast<std::uint32_t>(c));
    }
  }
  return layout;
}

Partition partition(const ScaledRows& source, Metric metric, const Scores& scores, const Filter& filter, ThreadPool& pool,
                    const PartitionOptions& options) {
  const Centres centres(source, metric, scores, filter, pool, options);
  Partition result;
  result.n_centres = options.n_centres;
  result.n_nearest = std::min(options.n_nearest, options.n_centres);
  result.nearest.resize(static_cast<std::size_t>(checked_multiply(source.n(), result.n_nearest)));
  result.closeness.resize(static_cast<std::size_t>(source.n()));
  centres.assign(nullptr, source.n(), result.n_nearest, result.nearest.data(), result.closeness.data());
  return result;
}

}  // namespace coremax::graph
