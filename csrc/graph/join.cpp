// See join.h.
#include "graph/join.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace coremax::graph {
namespace {

// A call of the filter: thresholds it has raised count from the next call on.
constexpr std::int64_t kTileRows = kMostFilterRowGroups * kGroupRows;
constexpr std::int64_t kTileColumns = 288;  // whole register tiles of every level: panels of 48 and blocks of 32
// Where more than this share of a tile passes the filter, the tile is scored canonically as a whole.
constexpr std::int64_t kDenseShare = 2;  // one in two

}  // namespace

Join::Join(const SearchSetup& setup)
    : setup_(setup),
      rescorer_(setup.source, setup.score_kernels().row, ceiling_of(setup.metric)),
      places_(kTileRows * kTileColumns + kGroupRows),
      products_(places_.size()) {}

std::int64_t Join::bytes(std::int64_t width, std::int64_t block_rows) {
  return Rescorer::bytes(width) + (kTileRows * kTileColumns + kGroupRows) * 12 +
         (kTileRows + kTileColumns + 2 * kRowMultipleA) * width * 4 + block_rows * 16;
}

void Join::Side::enter(Collection& collection, std::int64_t block, const ErrorTerms& other, bool is_closed) {
  const Layout::Block& range = collection.layout.blocks[static_cast<std::size_t>(block)];
  rows = &collection;
  first = range.first;
  size = range.n_positions();
  closed = is_closed;
  if (limits.size() < size) limits = AlignedBuffer<float>(size);
  errors.resize(static_cast<std::size_t>(size));
  std::fill_n(limits.data(), size, std::numeric_limits<float>::infinity());
  if (closed) return;
  for (std::int64_t r = 0; r < range.n_rows; ++r) {
    errors[static_cast<std::size_t>(r)] = error_bound(collection.packed.terms(first + r), other);
    set_limit(r);
  }
}

void Join::Side::set_limit(std::int64_t r) {
  const float value = rows->lists.threshold(first + r) - errors[static_cast<std::size_t>(r)];
  limits.data()[r] = value - std::fabs(value) * 0x1p-21f;
}

void Join::blocks(Collection& rows, std::int64_t a, std::int64_t b, const ThreadPool::Worker& worker) {
  a_.enter(rows, a, rows.packed.block_terms(b), false);
  if (a != b) b_.enter(rows, b, rows.packed.block_terms(a), false);
  tiles(a_, a == b ? a_ : b_, worker);
}

void Join::queries(Collection& queries, std::int64_t a, Collection& rows, std::int64_t b, const ThreadPool::Worker& worker) {
  a_.enter(queries, a, rows.packed.block_terms(b), false);
  b_.enter(rows, b, {}, true);
  tiles(a_, b_, worker);
}

void Join::tiles(Side& rows, Side& columns, const ThreadPool::Worker& worker) {
  const bool same = &rows == &columns;
  for (std::int64_t c = 0; c < columns.size; c += kTileColumns)
    for (std::int64_t r = 0; r < rows.size; r += kTileRows) {
      const std::int64_t n_columns = std::min(kTileColumns, columns.size - c);
      if (same && r >= c + n_columns) break;
      const std::int64_t n_rows = std::min(kTileRows, rows.size - r);
      const std::int64_t n_hits =
          setup_.filter.filter(rows.rows->packed.side(rows.first + r, n_rows, rows.limits.data() + r),
                               columns.rows->packed.side(columns.first + c, n_columns, columns.limits.data() + c),
                               rows.rows->packed.n_words(), places_.data(), products_.data());
      if (n_hits * kDenseShare > n_rows * n_columns)
        take_dense(rows, r, n_rows, columns, c, n_columns);
      else
        take(n_hits, rows, r, columns, c);
      worker.poll();
    }
}

void Join::take(std::int64_t n_hits, Side& rows, std::int64_t first_row, Side& columns, std::int64_t first_column) {
  const bool same = &rows == &columns;
  const bool foreign = rows.rows != columns.rows;
  for (std::int64_t h = 0; h < n_hits; ++h) {
    const std::int64_t r = first_row + (places_.data()[h] >> 16);
    const std::int64_t c = first_column + (places_.data()[h] & 0xFFFF);
    if (same && r >= c) continue;  // each pair of the block once, and no row with itself
    if (foreign && rows.rows->row_at(rows.first + r) == columns.rows->row_at(columns.first + c)) continue;
    const float product = products_.data()[h];
    offer(rows, r, columns, c, product + columns.rows->packed.shift(columns.first + c),
          rows.errors[static_cast<std::size_t>(r)]);
    if (!columns.closed)
      offer(columns, c, rows, r, product + rows.rows->packed.shift(rows.first + r),
            columns.errors[static_cast<std::size_t>(c)]);
  }
}

// Near-duplicates, and rows whose lists are still empty: canonical scores of the whole tile cost less than those of its pairs
// one by one.
void Join::take_dense(Side& rows, std::int64_t first_row, std::int64_t n_rows, Side& columns, std::int64_t first_column,
                      std::int64_t n_columns) {
  const std::int64_t width = setup_.source.padded_columns();
  const std::int64_t staged_rows = round_up(n_rows, kRowMultipleA);
  if (staged_.size() == 0) {
    staged_ = AlignedBuffer<float>((round_up(kTileRows, kRowMultipleA) + kTileColumns) * width);
    tile_scores_ = AlignedBuffer<float>(round_up(kTileRows, kRowMultipleA) * kTileColumns);
  }
  const auto stage = [&](const Side& side, std::int64_t first, std::int64_t count, std::int64_t padded, float* out) {
    for (std::int64_t r = 0; r < padded; ++r) {
      const std::uint32_t row = r < count ? side.rows->row_at(side.first + first + r) : Layout::kNoRow;
      if (row == Layout::kNoRow)
        std::fill_n(out + r * width, width, 0.0f);
      else
        setup_.source.stage_row(row, out + r * width);
    }
  };
  float* column_floats = staged_.data() + staged_rows * width;
  stage(rows, first_row, n_rows, staged_rows, staged_.data());
  stage(columns, first_column, n_columns, n_columns, column_floats);
  setup_.score_kernels().tile(staged_.data(), staged_rows, column_floats, n_columns, width, tile_scores_.data(), kTileColumns);
  const bool same = &rows == &columns;
  const float ceiling = rescorer_.ceiling();
  for (std::int64_t r = 0; r < n_rows; ++r) {
    if (rows.rows->row_at(rows.first + first_row + r) == Layout::kNoRow) break;
    for (std::int64_t c = same ? std::max<std::int64_t>(0, first_row + r + 1 - first_column) : 0; c < n_columns; ++c) {
      const float score = std::clamp(tile_scores_.data()[r * kTileColumns + c], -ceiling, ceiling);
      offer_score(rows, first_row + r, columns, first_column + c, score);
      if (!columns.closed && columns.rows->row_at(columns.first + first_column + c) != Layout::kNoRow)
        offer_score(columns, first_column + c, rows, first_row + r, score);
    }
  }
}

void Join::offer_score(Side& side, std::int64_t r, const Side& other, std::int64_t c, float score) {
  const std::int64_t position = side.first + r;
  const std::uint32_t row = other.rows->row_at(other.first + c);
  if (row == Layout::kNoRow || row == side.rows->row_at(position)) return;
  if (side.rows->lists.append_score(position, score, row, side.rows->packed.terms(position).slack, rescorer_, scratch_))
    side.set_limit(r);
}

void Join::offer(Side& side, std::int64_t r, const Side& other, std::int64_t c, float value, float error) {
  if (!(value >= side.limits.data()[r])) return;
  if (side.rows->lists.append(side.first + r, value, other.rows->row_at(other.first + c), error, rescorer_, scratch_))
    side.set_limit(r);
}

}  // namespace coremax::graph
