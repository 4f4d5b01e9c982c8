// Start by k-means++ over a sample, Lloyd's steps with the sums taken in the pass that assigns, empty clusters moved to the
// rows that fit worst, a last pass over all rows.
#include <algorithm>
#include <string>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/errors.h"
#include "core/philox.h"
#include "scores/scores.h"

namespace coremax::scores {
namespace {

using graph::LabelSums;
using graph::UnitCentres;
using graph::UnitRows;

// k-means++ looks at this many rows per cluster, and at fewer where there are so many clusters that it would cost more
// multiplications than this: a second or two. With as few rows as clusters it takes each of them.
constexpr std::int64_t kStartRowsPerCluster = 16;
constexpr std::int64_t kMostStartProducts = std::int64_t{1} << 34;
// Cosines of float32 products are this uncertain: rows nearer than this point the same way.
constexpr float kSameDirection = 1e-6f;
// Draws of the start come after those of the samples in the seed's stream.
constexpr std::uint64_t kStartDraws = std::uint64_t{1} << 40;

// One row out of each of `count` equal ranges of n.
std::vector<std::int64_t> drawn_evenly(std::int64_t n, std::int64_t count, std::uint64_t seed) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  // (s n) / count without the product, which could overflow
  const auto place = [&](std::int64_t s) { return s * (n / count) + s * (n % count) / count; };
  for (std::int64_t s = 0; s < count; ++s) {
    const auto range = static_cast<std::uint64_t>(place(s + 1) - place(s));
    rows[static_cast<std::size_t>(s)] =
        place(s) + static_cast<std::int64_t>(random_bits(seed, Stream::kmeans, static_cast<std::uint64_t>(s)) % range);
  }
  return rows;
}

std::vector<std::int64_t> numbers_of(const UnitRows& rows, const std::vector<std::int64_t>& positions) {
  std::vector<std::int64_t> numbers = positions;
  if (rows.numbers != nullptr)
    for (std::int64_t& number : numbers) number = rows.numbers[number];
  return numbers;
}

// The position drawn with probability in proportion to weights [n]; their sum must be positive.
std::int64_t draw(const std::vector<double>& weights, double unit, ThreadPool& pool) {
  const auto n = static_cast<std::int64_t>(weights.size());
  const double total = blocked_sum(pool, n, [&](std::int64_t i) { return weights[static_cast<std::size_t>(i)]; });
  if (!(total > 0)) return -1;
  double left = unit * total;
  std::int64_t last = -1;
  for (std::int64_t i = 0; i < n; ++i) {
    const double weight = weights[static_cast<std::size_t>(i)];
    if (weight > 0) last = i;
    left -= weight;
    if (left < 0 && weight > 0) return i;
  }
  return last;  // rounding has left a crumb
}

// k-means++ (Arthur and Vassilvitskii 2007) over a sample of the rows: every next centre is a row drawn in proportion to its
// squared chord to the nearest centre so far, 2 (1 - cos). Returns how many directions it found, at most centres.n().
std::int64_t start(const UnitRows& rows, UnitCentres& centres, std::uint64_t seed, Isa isa, ThreadPool& pool) {
  const std::int64_t by_work = std::max(centres.n(), kMostStartProducts / checked_multiply(centres.n(), centres.width()));
  const std::int64_t count = std::min({rows.n, kStartRowsPerCluster * centres.n(), by_work});
  const std::vector<std::int64_t> numbers = numbers_of(rows, drawn_evenly(rows.n, count, seed));
  const graph::StagedRows staged({rows.x, rows.name, numbers.data(), count}, pool);
  std::vector<double> chord(numbers.size());
  for (std::size_t s = 0; s < chord.size(); ++s) chord[s] = staged.is_zero(static_cast<std::int64_t>(s)) ? 0 : 2;
  AlignedBuffer<float> cosine(staged.n_padded());
  for (std::int64_t c = 0; c < centres.n(); ++c) {
    const std::int64_t chosen =
        draw(chord, open_unit(random_bits(seed, Stream::kmeans, kStartDraws + static_cast<std::uint64_t>(c))), pool);
    if (chosen < 0) return c;
    std::copy_n(staged.row(chosen), centres.width(), centres.row(c));
    staged.cosines(centres.row(c), isa, pool, cosine.data());
    for (std::size_t s = 0; s < chord.size(); ++s)
      chord[s] =
          std::min(chord[s], cosine.data()[s] < 1 - kSameDirection ? 2 * (1 - static_cast<double>(cosine.data()[s])) : 0);
  }
  return centres.n();
}

// The rows that point elsewhere than their centres, worst first.
std::vector<std::int64_t> misfits(const std::vector<float>& cosine) {
  std::vector<std::int64_t> order;
  for (std::size_t i = 0; i < cosine.size(); ++i)
    if (cosine[i] < 1 - kSameDirection) order.push_back(static_cast<std::int64_t>(i));
  std::sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    const float left = cosine[static_cast<std::size_t>(a)], right = cosine[static_cast<std::size_t>(b)];
    return left < right || (left == right && a < b);
  });
  return order;
}

// Every centre to the direction of its members' sum, those without members to the rows that fit worst.
void move(const UnitRows& rows, const LabelSums& sums, const std::vector<float>& cosine, UnitCentres& centres) {
  std::vector<std::int64_t> empty;
  for (std::int64_t c = 0; c < centres.n(); ++c) {
    if (sums.count(c) == 0)
      empty.push_back(c);
    else
      sums.direction(c, centres.row(c));  // members that cancel leave it where it was
  }
  if (empty.empty()) return;
  const std::vector<std::int64_t> worst = misfits(cosine);
  auto next = worst.begin();
  for (const std::int64_t c : empty) {
    bool moved = false;
    while (!moved && next != worst.end()) moved = centres.set(c, rows, *next++);  // not to a zero row
    if (!moved) std::copy_n(centres.row(0), centres.width(), centres.row(c));
  }
}

}  // namespace

UnitCentres spherical_kmeans(const MatrixView& x, const std::string& name, const KMeansOptions& options, Isa isa,
                             ThreadPool& pool, std::int32_t* labels, float* cosine) {
  const UnitRows all{x, name, nullptr, x.n_rows};
  require(options.n_clusters >= 1 && options.n_clusters <= std::min<std::int64_t>(x.n_rows, INT32_MAX),
          "n_clusters must be from 1 to the number of rows, " + std::to_string(x.n_rows) + ", got " +
              std::to_string(options.n_clusters));
  UnitRows sample = all;
  std::vector<std::int64_t> numbers;
  if (options.sample_per_cluster > 0 && options.sample_per_cluster < x.n_rows / options.n_clusters) {
    sample.n = options.sample_per_cluster * options.n_clusters;
    numbers = drawn_evenly(x.n_rows, sample.n, options.seed);
    sample.numbers = numbers.data();
  }
  UnitCentres centres(options.n_clusters, x.n_cols);
  std::int64_t found = start(sample, centres, options.seed, isa, pool);
  for (std::int64_t i = 0; found == 0 && i < x.n_rows; ++i) found = centres.set(0, all, i) ? 1 : 0;
  require(found > 0, [&] { return name + " holds only zero rows, which have no direction"; });
  for (std::int64_t c = found; c < centres.n(); ++c) std::copy_n(centres.row(0), centres.width(), centres.row(c));

  std::vector<std::int32_t> now(static_cast<std::size_t>(sample.n)), before;
  std::vector<float> fit(static_cast<std::size_t>(sample.n));
  LabelSums sums(centres.n(), x.n_cols, pool);
  for (std::int64_t iteration = 0; iteration < options.iterations; ++iteration) {
    sums.clear();
    graph::nearest_centres(sample, centres, nullptr, isa, {now.data(), fit.data(), nullptr, &sums}, pool);
    if (now == before) break;
    move(sample, sums, fit, centres);
    before = now;
    pool.progress(iteration + 1, options.iterations + 1);
  }
  graph::nearest_centres(all, centres, nullptr, isa, {labels, cosine, nullptr, nullptr}, pool);
  pool.progress(options.iterations + 1, options.iterations + 1);
  return centres;
}

}  // namespace coremax::scores
