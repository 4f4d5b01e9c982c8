// Rows against a few vectors, in one pass over the rows: a tile of them is made unit vectors, stays in the level-1 cache while
// blocks of centres go by, and is added to the sums before it leaves. Schedule and reduction are here, the products are the
// graph's canonical kernels.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <memory>

#include "core/errors.h"
#include "graph/search.h"

namespace coremax::graph {
namespace {

constexpr std::int64_t kTileBytes = 32 * 1024;  // of rows: they stay in the level-1 cache
constexpr std::int64_t kMostTileRows = 96;
constexpr std::int64_t kCentreBlockBytes =
    256 * 1024;                             // of centres: they stay in the level-2 cache while a few tiles meet them
constexpr std::int64_t kTilesPerChunk = 8;  // handed to a worker at a time
// What all workers' sums may take together; beyond it they share one and add to it atomically.
constexpr std::int64_t kMostSumBytes = std::int64_t{256} << 20;

std::int64_t tile_rows(std::int64_t width) {
  return std::clamp(kTileBytes / (width * 4), kRowMultipleA, kMostTileRows) / kRowMultipleA * kRowMultipleA;
}

struct Tile {
  std::int64_t first;
  std::int64_t count;
  const float* rows;  // [tile_rows, width]; those beyond count are zero
  const double* norms;
};

// visit(tile, worker) for all rows.
template <class Visit>
void for_each_tile(const UnitRows& rows, ThreadPool& pool, Visit&& visit) {
  const std::int64_t width = round_up(rows.x.n_cols, kLanes);
  const std::int64_t n_rows = tile_rows(width);
  struct Workspace {
    AlignedBuffer<float> tile;
    AlignedBuffer<double> norms;
  };
  std::vector<Workspace> workspaces;
  for (int t = 0; t < pool.size(); ++t)
    workspaces.push_back({AlignedBuffer<float>(n_rows * width), AlignedBuffer<double>(n_rows)});
  const std::int64_t per_chunk = n_rows * kTilesPerChunk;
  pool.run((rows.n + per_chunk - 1) / per_chunk, [&](std::int64_t chunk, ThreadPool::Worker& worker) {
    Workspace& work = workspaces[static_cast<std::size_t>(worker.id())];
    const std::int64_t end = std::min(rows.n, (chunk + 1) * per_chunk);
    for (std::int64_t first = chunk * per_chunk; first < end; first += n_rows) {
      const std::int64_t count = std::min(n_rows, end - first);
      for (std::int64_t r = 0; r < count; ++r)
        work.norms.data()[r] = stage_unit_row(rows.x, rows.name, rows.numbers == nullptr ? first + r : rows.numbers[first + r],
                                              width, work.tile.data() + r * width);
      std::fill(work.tile.data() + count * width, work.tile.data() + n_rows * width, 0.0f);
      visit(Tile{first, count, work.tile.data(), work.norms.data()}, worker);
    }
  });
}

// The largest of `values` beyond *best, `skip` left out; ties to the lower number, which comes first.
void raise(const Scores& scores, const float* values, std::int64_t count, std::int64_t number, std::int64_t skip, float* best,
           std::int32_t* at) {
  constexpr std::int64_t kPiece = 128;
  std::int32_t hits[kPiece + kLanes];
  for (std::int64_t begin = 0; begin < count; begin += kPiece) {
    const std::int64_t n_hits = scores.above(values + begin, std::min(kPiece, count - begin), *best, hits);
    for (std::int64_t h = 0; h < n_hits; ++h) {
      const std::int64_t c = begin + hits[h];
      if (!(values[c] > *best) || number + c == skip) continue;
      *best = values[c];
      *at = static_cast<std::int32_t>(number + c);
    }
  }
}

}  // namespace

UnitCentres::UnitCentres(std::int64_t n, std::int64_t d)
    : n_(n), d_(d), width_(round_up(d, kLanes)), values_(checked_multiply(round_up(n, kRescoreMultiple), width_)) {
  std::fill_n(values_.data(), values_.size(), 0.0f);
}

bool UnitCentres::set(std::int64_t c, const UnitRows& rows, std::int64_t number) {
  AlignedBuffer<float> unit(width_);
  if (stage_unit_row(rows.x, rows.name, rows.numbers == nullptr ? number : rows.numbers[number], width_, unit.data()) == 0)
    return false;
  std::copy_n(unit.data(), width_, row(c));
  return true;
}

StagedRows::StagedRows(const UnitRows& rows, ThreadPool& pool)
    : rows_(rows.n, rows.x.n_cols), norms_(static_cast<std::size_t>(rows.n)) {
  for_each_tile(rows, pool, [&](const Tile& tile, ThreadPool::Worker&) {
    std::copy_n(tile.rows, tile.count * rows_.width(), rows_.row(tile.first));
    std::copy_n(tile.norms, tile.count, norms_.data() + tile.first);
  });
}

std::int64_t StagedRows::n_padded() const { return round_up(rows_.n(), kRescoreMultiple); }

void StagedRows::cosines(const float* unit_row, Isa isa, ThreadPool& pool, float* out) const {
  constexpr std::int64_t kBlock = 1024;
  const RowKernel kernel = scores_of(isa).dot.row;
  pool.run((n_padded() + kBlock - 1) / kBlock,
           [&](std::int64_t chunk, ThreadPool::Worker&) {
             const std::int64_t first = chunk * kBlock;
             kernel(unit_row, rows_.row(first), std::min(kBlock, n_padded() - first), rows_.width(), out + first);
           },
           kShareBlocksFrom);
}

LabelSums::LabelSums(std::int64_t n_labels, std::int64_t d, const ThreadPool& pool)
    : n_labels_(n_labels), width_(round_up(d, kLanes)) {
  const std::int64_t one = checked_multiply(n_labels, width_ + 1);
  shared_ = checked_multiply(checked_multiply(one, 8), pool.size()) > kMostSumBytes;
  n_sets_ = shared_ ? 1 : pool.size();
  sums_ = AlignedBuffer<std::int64_t>(checked_multiply(one, n_sets_));
  clear();
}

void LabelSums::clear() { std::fill_n(sums_.data(), sums_.size(), std::int64_t{0}); }

void LabelSums::add(int worker, std::int64_t label, const float* unit_row) {
  std::int64_t* sum = sums_.data() + ((shared_ ? 0 : worker) * n_labels_ + label) * (width_ + 1);
  const auto whole = [&](std::int64_t w) { return std::int64_t{whole_units(unit_row[w])}; };
  const std::int64_t is_row = std::any_of(unit_row, unit_row + width_, [](float value) { return value != 0; }) ? 1 : 0;
  if (shared_) {
    for (std::int64_t w = 0; w < width_; ++w) std::atomic_ref(sum[w]).fetch_add(whole(w), std::memory_order_relaxed);
    std::atomic_ref(sum[width_]).fetch_add(is_row, std::memory_order_relaxed);
  } else {
    for (std::int64_t w = 0; w < width_; ++w) sum[w] += whole(w);
    sum[width_] += is_row;
  }
}

void LabelSums::combine(ThreadPool& pool) {
  const std::int64_t one = n_labels_ * (width_ + 1);
  parallel_for(pool, one, [&](std::int64_t i) {
    for (int set = 1; set < n_sets_; ++set) {
      sums_.data()[i] += sums_.data()[set * one + i];
      sums_.data()[set * one + i] = 0;
    }
  });
}

std::int64_t LabelSums::count(std::int64_t label) const { return sums_.data()[label * (width_ + 1) + width_]; }

bool LabelSums::direction(std::int64_t label, float* out) const {
  const std::int64_t* sum = sums_.data() + label * (width_ + 1);
  double square = 0;
  for (std::int64_t w = 0; w < width_; ++w) square += static_cast<double>(sum[w]) * static_cast<double>(sum[w]);
  if (square == 0) return false;
  const double scale = 1 / std::sqrt(square);
  for (std::int64_t w = 0; w < width_; ++w) out[w] = static_cast<float>(static_cast<double>(sum[w]) * scale);
  return true;
}

void sum_by_label(const UnitRows& rows, const std::int32_t* labels, double* norms, LabelSums& sums, ThreadPool& pool) {
  for_each_tile(rows, pool, [&](const Tile& tile, ThreadPool::Worker& worker) {
    for (std::int64_t r = 0; r < tile.count; ++r)
      sums.add(worker.id(), labels[tile.first + r], tile.rows + r * round_up(rows.x.n_cols, kLanes));
    if (norms != nullptr) std::copy_n(tile.norms, tile.count, norms + tile.first);
  });
  sums.combine(pool);
}

void nearest_centres(const UnitRows& rows, const UnitCentres& centres, const std::int32_t* own, Isa isa, const Nearest& out,
                     ThreadPool& pool) {
  require(centres.n() >= (own == nullptr ? 1 : 2) && centres.n() <= INT32_MAX && centres.d() == rows.x.n_cols,
          "centres do not fit the rows");
  const Scores& scores = scores_of(isa);
  const std::int64_t width = centres.width();
  const std::int64_t n_rows = tile_rows(width);
  const std::int64_t block =
      round_up(std::min(std::max<std::int64_t>(kCentreBlockBytes / (width * 4), kRowMultipleB), centres.n()), kRowMultipleB);
  std::vector<AlignedBuffer<float>> products;
  for (int t = 0; t < pool.size(); ++t) products.emplace_back(n_rows * block);
  for_each_tile(rows, pool, [&](const Tile& tile, ThreadPool::Worker& worker) {
    float* values = products[static_cast<std::size_t>(worker.id())].data();
    float best[kMostTileRows];
    float own_cosine[kMostTileRows] = {};
    std::int32_t at[kMostTileRows] = {};
    std::fill_n(best, kMostTileRows, -std::numeric_limits<float>::infinity());
    for (std::int64_t first = 0; first < centres.n(); first += block) {
      const std::int64_t count = std::min(block, centres.n() - first);
      scores.dot.tile(tile.rows, n_rows, centres.row(first), round_up(count, kRowMultipleB), width, values, block);
      for (std::int64_t r = 0; r < tile.count; ++r) {
        const std::int64_t label = own == nullptr ? -1 : own[tile.first + r];
        if (label >= first && label < first + count) own_cosine[r] = values[r * block + label - first];
        raise(scores, values + r * block, count, first, label, best + r, at + r);
      }
      worker.poll();
    }
    for (std::int64_t r = 0; r < tile.count; ++r) {
      const std::int64_t i = tile.first + r;
      if (out.centre != nullptr) out.centre[i] = at[r];
      if (out.cosine != nullptr) out.cosine[i] = std::clamp(best[r], -1.0f, 1.0f);
      if (out.own_cosine != nullptr) out.own_cosine[i] = std::clamp(own_cosine[r], -1.0f, 1.0f);
      if (out.sums != nullptr) out.sums->add(worker.id(), at[r], tile.rows + r * width);
    }
  });
  if (out.sums != nullptr) out.sums->combine(pool);
}

}  // namespace coremax::graph
