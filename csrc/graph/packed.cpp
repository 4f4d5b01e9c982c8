// Quantisation. Loops are over float arrays without branches, so that the compiler vectorises them at the baseline level.
#include "graph/packed.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>

namespace coremax::graph {
namespace {

// Sums of whole numbers must stay below 2^31 in absolute value; by Cauchy-Schwarz they do if no row's norm exceeds this.
constexpr float kLargestIntegerNorm = 46000.0f;
// Of a sum of bfloat16 products, by the tile unit.
constexpr float kBfloat16SumError = 2;

// Sums in 16 lanes: vectorises, and errs by at most (d / 16 + 16) u relative.
template <class Term>
float lane_sum(std::int64_t d, Term&& term) {
  float lanes[16] = {};
  std::int64_t c = 0;
  for (; c + 16 <= d; c += 16)
    for (int l = 0; l < 16; ++l) lanes[l] += term(c + l);
  for (; c < d; ++c) lanes[c % 16] += term(c);
  float sum = 0;
  for (float lane : lanes) sum += lane;
  return sum;
}

float largest_magnitude(const float* values, std::int64_t d) {
  float lanes[16] = {};
  std::int64_t c = 0;
  for (; c + 16 <= d; c += 16)
    for (int l = 0; l < 16; ++l) lanes[l] = std::max(lanes[l], std::fabs(values[c + l]));
  for (; c < d; ++c) lanes[0] = std::max(lanes[0], std::fabs(values[c]));
  return *std::max_element(lanes, lanes + 16);
}

// The nearest whole number of a value below 2^22 in magnitude, ties to even: adding and subtracting leaves no room for digits.
float nearest(float value) {
  constexpr float kMagic = 0x1.8p23f;
  return (value + kMagic) - kMagic;
}

template <class T>
void store_as(const float* whole, std::int64_t count, std::uint32_t* words) {
  auto* out = reinterpret_cast<T*>(words);
  for (std::int64_t c = 0; c < count; ++c) out[c] = static_cast<T>(static_cast<int>(whole[c]));
}

}  // namespace

Layout Layout::in_order(std::vector<std::uint32_t> rows, std::int64_t block_rows) {
  Layout layout;
  const auto n = static_cast<std::int64_t>(rows.size());
  layout.row_at = std::move(rows);
  layout.row_at.resize(static_cast<std::size_t>(round_up(n, kGroupRows)), kNoRow);
  for (std::int64_t first = 0; first < n; first += block_rows)
    layout.blocks.push_back({first, std::min(block_rows, n - first)});
  return layout;
}

Packer::Scratch::Scratch(const Packer& packer)
    : row(packer.source_.padded_columns()),
      rounded(round_up(std::max(packer.source_.padded_columns(), packer.n_words_ * 4), kLanes)),
      words(packer.n_words_) {
  std::fill_n(rounded.data(), rounded.size(), 0.0f);
}

std::int64_t Packer::words_of(std::int64_t d, const Filter& filter) {
  const std::int64_t per_word = filter.code == Code::int8 ? 4 : 2;
  return round_up((d + per_word - 1) / per_word, filter.word_multiple);
}

Packer::Packer(const ScaledRows& source, Metric metric, const Filter& filter, bool coarse_levels)
    : source_(source),
      metric_(metric),
      code_(filter.code),
      n_columns_(source.columns()),
      n_words_(words_of(source.columns(), filter)),
      levels_(code_ == Code::int8 || coarse_levels ? 127.0f : 32767.0f),
      root_kappa_(root_kappa_of(metric)),
      eta_(eta_of(n_columns_, code_ == Code::bfloat16 ? kBfloat16SumError : 0)) {
  find_origin();
}

void Packer::find_origin() {
  if (metric_ == Metric::dot) return;
  const std::int64_t width = source_.padded_columns();
  const std::int64_t count = std::min(source_.n(), kShiftSample);
  std::vector<double> sum(static_cast<std::size_t>(width), 0.0);
  AlignedBuffer<float> row(width);
  for (std::int64_t s = 0; s < count; ++s) {
    source_.stage_row(s * source_.n() / count, row.data());
    for (std::int64_t c = 0; c < width; ++c) sum[static_cast<std::size_t>(c)] += static_cast<double>(row.data()[c]);
  }
  double square = 0;
  std::vector<float> mean(sum.size());
  for (std::size_t c = 0; c < sum.size(); ++c) {
    mean[c] = static_cast<float>(sum[c] / static_cast<double>(count));
    square += static_cast<double>(mean[c]) * static_cast<double>(mean[c]);
  }
  if (metric_ == Metric::cosine && square < kShiftFrom) return;
  origin_ = std::move(mean);
  origin_square_ = square;
}

void Packer::pack(const std::uint32_t* rows, const Group& out, Scratch& scratch) const {
  for (std::int64_t r = 0; r < kGroupRows; ++r) {
    if (rows[r] == Layout::kNoRow) {
      clear(r, out);
    } else {
      source_.stage_row(rows[r], scratch.row.data());
      pack_vector(scratch.row.data(), r, out, scratch);
    }
  }
}

void Packer::pack_vector(const float* vector, std::int64_t at, const Group& out, Scratch& scratch) const {
  quantise(vector, out.scale + at, out.shift + at, out.terms + at, scratch);
  for (std::int64_t w = 0; w < n_words_; ++w) out.words[w * kGroupRows + at] = scratch.words.data()[w];
}

void Packer::clear(std::int64_t at, const Group& out) const {
  for (std::int64_t w = 0; w < n_words_; ++w) out.words[w * kGroupRows + at] = 0;
  out.scale[at] = out.shift[at] = std::numeric_limits<float>::quiet_NaN();  // passes no comparison
  out.terms[at] = {};
}

// Rounds in place; returns the square of the residual's norm.
float Packer::round_to_integers(float* values, float scale, float levels) const {
  const float inverse = 1 / scale;
  return lane_sum(n_columns_, [&](std::int64_t c) {
    const float stored = std::clamp(nearest(values[c] * inverse), -levels, levels);
    const float rest = values[c] - stored * scale;
    values[c] = stored;
    return rest * rest;
  });
}

float Packer::round_to_bfloat16(const float* values, std::uint32_t* words) const {
  auto* out = reinterpret_cast<std::uint16_t*>(words);
  std::fill_n(out, n_words_ * 2, std::uint16_t{0});
  return lane_sum(n_columns_, [&](std::int64_t c) {
    out[c] = std::fabs(values[c]) < kSmallestStored ? std::uint16_t{0} : to_bfloat16(values[c]);  // products far from underflow
    const float rest = values[c] - std::bit_cast<float>(static_cast<std::uint32_t>(out[c]) << 16);
    return rest * rest;
  });
}

void Packer::quantise(const float* z, float* scale_out, float* shift_out, ErrorTerms* terms_out, Scratch& scratch) const {
  const std::int64_t d = n_columns_;
  float* centred = scratch.rounded.data();  // becomes the stored numbers; zero beyond the columns
  double shift = 0;
  if (origin_.empty()) {
    std::copy_n(z, d, centred);
  } else {
    const float* origin = origin_.data();
    double lanes[8] = {};
    for (std::int64_t c = 0; c < d; ++c) lanes[c % 8] += static_cast<double>(z[c]) * static_cast<double>(origin[c]);
    shift =
        ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7])) - origin_square_ / 2;
    for (std::int64_t c = 0; c < d; ++c) centred[c] = z[c] - origin[c];
  }
  const float square = lane_sum(d, [&](std::int64_t c) { return centred[c] * centred[c]; });
  if (metric_ == Metric::euclidean) shift = -static_cast<double>(square);
  const float norm = norm_bound(square, eta_);
  const float largest = largest_magnitude(centred, d);

  float scale = 1;
  float residual_square = 0;
  if (code_ == Code::bfloat16) {
    residual_square = round_to_bfloat16(centred, scratch.words.data());
  } else {
    scale = std::max({largest / levels_, norm / kLargestIntegerNorm, kSmallestStored});
    residual_square = round_to_integers(centred, scale, levels_);
    if (code_ == Code::int8)
      store_as<std::int8_t>(centred, n_words_ * 4, scratch.words.data());
    else
      store_as<std::int16_t>(centred, n_words_ * 2, scratch.words.data());
  }
  *scale_out = scale * root_kappa_;
  *shift_out = static_cast<float>(shift);
  *terms_out = error_terms(norm, residual_square, *shift_out, metric_, d, eta_);
}

PackedRows::PackedRows(const Packer& packer, const Layout& layout, ThreadPool& pool)
    : n_words_(packer.n_words()),
      shifted_(packer.shifted()),
      words_(checked_multiply(layout.n_positions(), n_words_)),
      scale_(layout.n_positions()),
      shift_(layout.n_positions()),
      terms_(layout.n_positions()),
      block_terms_(layout.blocks.size()) {
  std::vector<std::unique_ptr<Packer::Scratch>> scratch(static_cast<std::size_t>(pool.size()));
  for (auto& one : scratch) one = std::make_unique<Packer::Scratch>(packer);
  pool.run(static_cast<std::int64_t>(layout.blocks.size()), [&](std::int64_t b, ThreadPool::Worker& worker) {
    const Layout::Block& block = layout.blocks[static_cast<std::size_t>(b)];
    ErrorTerms& largest = block_terms_[static_cast<std::size_t>(b)];
    for (std::int64_t p = block.first; p < block.first + block.n_positions(); p += kGroupRows) {
      packer.pack(layout.row_at.data() + p,
                  {words_.data() + p * n_words_, scale_.data() + p, shift_.data() + p, terms_.data() + p},
                  *scratch[static_cast<std::size_t>(worker.id())]);
      for (std::int64_t r = p; r < p + kGroupRows; ++r) {
        largest.residual = std::max(largest.residual, terms(r).residual);
        largest.norm = std::max(largest.norm, terms(r).norm);
        largest.slack = std::max(largest.slack, terms(r).slack);
      }
      worker.poll();
    }
  });
}

}  // namespace coremax::graph
