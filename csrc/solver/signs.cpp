// The semidefinite relaxation in signs s = 2z - 1, by coordinate ascent over low-rank vectors, with triangle inequalities.
//
// Each element gets a unit vector v_i, and v_0 = (1, 0, ..) stands for the constant 1; v_i'v_j relaxes s_i s_j. With all other
// vectors fixed the best v_i is parallel to g_i v_0 - sum_j W_ij v_j (the mixing method; Wang, Chang and Kolter 2017), and at
// the optimum the lengths of these sums are the diagonal delta of the semidefinite bound (its dual). Vectors and lengths are
// only ever a guess of delta, in float32: definite.cpp proves what it needs, so nothing here can make a bound wrong.
//
// Inequalities: for signs a, b, c with abc = 1, binary s fulfil 1 + a s_i s_j + b s_i s_k + c s_j s_k >= 0 (it is 0 or 4); also
// with k = 0, s_0 = 1. Added to f with any multipliers u >= 0 they leave a function that is at least f at every binary z, on
// the same pattern. u rises where the vectors violate the inequality and falls where they do not (projected subgradient,
// running along with the vectors); its average over the last steps is what the bound takes.
//
// Elements of one colour share no edge, so they move at the same time and any number of threads gives the same bits.
#include <algorithm>
#include <cmath>

#include "core/philox.h"
#include "solver/semidefinite.h"

namespace coremax::solver {
namespace {

constexpr float kCrowd = 5;             // what an edge counts for beside its triangles
constexpr double kLeastResponse = 0.1;  // of 0.25: near-integral points hardly respond to prices, and Newton steps would jump
constexpr std::int64_t kChunk = 256;
constexpr std::uint64_t kVectorSeed = 0x5165;

// u - step * slack, at least 0, of the four inequalities of one triangle.
inline void raise(float* u, float ab, float ac, float bc, float step) {
  u[0] = std::max(0.0f, u[0] - step * (1 + ab + ac + bc));
  u[1] = std::max(0.0f, u[1] - step * (1 + ab - ac - bc));
  u[2] = std::max(0.0f, u[2] - step * (1 - ab + ac - bc));
  u[3] = std::max(0.0f, u[3] - step * (1 - ab - ac + bc));
}

// What the four together give to one of the three products: u_0 and u_(1 + place) with the sign +, the other two with -.
// Float32 multipliers, exact as they are, add up in float64.
inline double net(const float* u, std::size_t place) {
  const double with = static_cast<double>(u[0]) + static_cast<double>(u[1 + place]);
  const double all =
      (static_cast<double>(u[0]) + static_cast<double>(u[1])) + (static_cast<double>(u[2]) + static_cast<double>(u[3]));
  return 2 * with - all;
}

inline double total(const float* u) {
  return (static_cast<double>(u[0]) + static_cast<double>(u[1])) + (static_cast<double>(u[2]) + static_cast<double>(u[3]));
}

}  // namespace

Signs::Signs(const Problem& problem, const SignsOptions& options, CappedSimplex& set, ThreadPool& pool)
    : problem_(problem), options_(options), set_(set), pool_(pool) {
  number_edges();
  if (!usable_) return;
  if (options_.inequalities) {
    list_triangles(options_.max_triangles);
    edge_multipliers_.assign(4 * edges_.size(), 0.0f);
    states_.resize(edges_.size());
    now_ = {Vector(edges_.size(), 0.0), Vector(at(problem.n()), 0.0), 0};
  }
  colour();
  const graph::CsrView& k = problem.k;
  base_.resize(at(k.n));
  parallel_for(pool_, k.n, [&](std::int64_t i) {
    double sum = 0;
    for (std::int64_t e = k.indptr[i]; e < k.indptr[i + 1]; ++e)
      sum += (edge_of_[at(e)] < 0 ? 2 : 1) * static_cast<double>(k.values[e]);
    base_[at(i)] = problem_.importance[i] - problem_.alpha * sum;
  });
  weight_.resize(at(k.indptr[k.n]));
  load(now_);
  set_.price_at(base_);
  start_vectors();
}

void Signs::number_edges() {
  const graph::CsrView& k = problem_.k;
  edge_of_.assign(at(k.indptr[k.n]), -1);
  std::vector<std::int64_t> next(k.indptr, k.indptr + k.n);  // the first entry of each row that no edge has claimed yet
  for (std::int64_t i = 0; i < k.n; ++i) {
    if (i % kReductionBlock == 0) pool_.check();
    for (std::int64_t e = next[at(i)]; e < k.indptr[i + 1]; ++e) {
      const std::int32_t j = k.indices[e];
      if (j == i) continue;
      const std::int64_t mirror = j > i ? next[at(j)]++ : -1;
      usable_ = usable_ && j > i && mirror < k.indptr[j + 1] && k.indices[mirror] == i;
      if (!usable_) return;
      edge_of_[at(e)] = edge_of_[at(mirror)] = static_cast<std::int32_t>(edges_.size());
      edges_.push_back({static_cast<std::int32_t>(i), j, e, mirror});
    }
  }
}

void Signs::list_triangles(std::int64_t limit) {
  const graph::CsrView& k = problem_.k;
  std::vector<std::int32_t> mark(at(k.n), -1);
  const auto above = [&](std::int64_t i, const auto& f) {
    for (std::int64_t e = k.indptr[i + 1] - 1; e >= k.indptr[i] && k.indices[e] > i; --e) f(k.indices[e], edge_of_[at(e)]);
  };
  for (std::int64_t i = 0; i < k.n; ++i) {
    if (i % kReductionBlock == 0) pool_.check();
    if (static_cast<std::int64_t>(triangles_.size()) >= 3 * limit) break;
    above(i, [&](std::int32_t j, std::int32_t ij) { mark[at(j)] = ij; });
    above(i, [&](std::int32_t j, std::int32_t ij) {
      above(j, [&](std::int32_t l, std::int32_t jl) {
        if (mark[at(l)] >= 0) triangles_.insert(triangles_.end(), {ij, mark[at(l)], jl});
      });
    });
    above(i, [&](std::int32_t j, std::int32_t) { mark[at(j)] = -1; });
  }
  corners_of_.assign(edges_.size() + 1, 0);
  for (const std::int32_t e : triangles_) ++corners_of_[at(e) + 1];
  for (std::size_t e = 0; e < edges_.size(); ++e) corners_of_[e + 1] += corners_of_[e];
  corners_.resize(triangles_.size());
  auto free = corners_of_;
  for (std::size_t c = 0; c < triangles_.size(); ++c) corners_[at(free[at(triangles_[c])]++)] = static_cast<std::int64_t>(c);
  triangle_multipliers_.assign(triangles_.size() / 3 * 4, 0.0f);
}

void Signs::colour() {
  const graph::CsrView& k = problem_.k;
  std::vector<std::int32_t> colour_of(at(k.n), -1);
  std::vector<std::int64_t> taken_by;  // the element that last saw the colour taken
  for (std::int64_t i = 0; i < k.n; ++i) {
    if (i % kReductionBlock == 0) pool_.check();
    for (std::int64_t e = k.indptr[i]; e < k.indptr[i + 1] && k.indices[e] < i; ++e)
      taken_by[at(colour_of[at(k.indices[e])])] = i;
    std::size_t c = 0;
    while (c < taken_by.size() && taken_by[c] == i) ++c;
    if (c == taken_by.size()) taken_by.push_back(-1);
    colour_of[at(i)] = static_cast<std::int32_t>(c);
  }
  colour_begin_.assign(taken_by.size() + 1, 0);
  for (const std::int32_t c : colour_of) ++colour_begin_[at(c) + 1];
  for (std::size_t c = 0; c < taken_by.size(); ++c) colour_begin_[c + 1] += colour_begin_[c];
  auto free = colour_begin_;
  by_colour_.resize(at(k.n));
  for (std::int64_t i = 0; i < k.n; ++i) by_colour_[at(free[at(colour_of[at(i)])]++)] = static_cast<std::int32_t>(i);
}

void Signs::start_vectors() {
  const std::int64_t rank = options_.rank;
  vectors_.resize(at(problem_.n() * rank));
  delta_.assign(at(problem_.n()), 1.0f);
  parallel_for(pool_, problem_.n(), [&](std::int64_t i) {
    float* v = vectors_.data() + i * rank;
    float size = 0;
    for (std::int64_t c = 0; c < rank; ++c) {
      v[c] = static_cast<float>(
                 open_unit(random_bits(kVectorSeed, Stream::lanczos_start, static_cast<std::uint64_t>(i * rank + c)))) -
             0.5f;
      size += v[c] * v[c];
    }
    for (std::int64_t c = 0; c < rank; ++c) v[c] /= std::sqrt(size);
  });
}

// W = alpha K - 2 pair, and the field of the signs, base + 2 single.
void Signs::load(const Totals& totals) {
  const graph::CsrView& k = problem_.k;
  const bool plain = totals.pair.empty();
  parallel_for(pool_, k.n, [&](std::int64_t i) {
    for (std::int64_t e = k.indptr[i]; e < k.indptr[i + 1]; ++e) {
      const std::int32_t edge = edge_of_[at(e)];
      const double w = problem_.alpha * static_cast<double>(k.values[e]);
      weight_[at(e)] = edge < 0 ? 0.0f : static_cast<float>(plain ? w : w - 2 * totals.pair[at(edge)]);
    }
  });
  field_ = base_;
  if (!plain) parallel_for(pool_, k.n, [&](std::int64_t i) { field_[at(i)] += 2 * totals.single[at(i)]; });
}

template <int kRank>
void Signs::relax(std::int64_t i) {
  float sum[kRank] = {static_cast<float>(field_[at(i)] - set_.price(i))};
  const graph::CsrView& k = problem_.k;
  for (std::int64_t e = k.indptr[i]; e < k.indptr[i + 1]; ++e) {
    const float w = weight_[at(e)];
    const float* v = vectors_.data() + static_cast<std::int64_t>(kRank) * k.indices[e];
    for (int c = 0; c < kRank; ++c) sum[c] -= w * v[c];
  }
  float square = 0;
  for (int c = 0; c < kRank; ++c) square += sum[c] * sum[c];
  const float length = std::sqrt(square);
  delta_[at(i)] = length;
  if (!(length > 0)) return;
  float* v = vectors_.data() + static_cast<std::int64_t>(kRank) * i;
  for (int c = 0; c < kRank; ++c) v[c] = sum[c] / length;
}

void Signs::sweep() {
  pool_.check();
  for (std::size_t c = 0; c + 1 < colour_begin_.size(); ++c) {
    const std::int64_t begin = colour_begin_[c];
    const std::int64_t end = colour_begin_[c + 1];
    pool_.run((end - begin + kChunk - 1) / kChunk, [&](std::int64_t chunk, ThreadPool::Worker&) {
      const std::int64_t stop = std::min(end, begin + (chunk + 1) * kChunk);
      for (std::int64_t t = begin + chunk * kChunk; t < stop; ++t) {
        const std::int64_t i = by_colour_[at(t)];
        options_.rank == 8 ? relax<8>(i) : relax<16>(i);
      }
    });
  }
  const Vector x = point();
  Vector response(x.size());
  parallel_for(pool_, problem_.n(), [&](std::int64_t i) {
    const double delta = static_cast<double>(delta_[at(i)]);
    response[at(i)] = delta > 0 ? 2 * std::max(kLeastResponse, x[at(i)] * (1 - x[at(i)])) / delta : 0.0;
  });
  set_.reprice(x, response, pool_);
}

Vector Signs::point() const {
  Vector x(at(problem_.n()));
  parallel_for(pool_, problem_.n(), [&](std::int64_t i) {
    x[at(i)] = std::clamp(0.5 + 0.5 * static_cast<double>(vectors_[at(i * options_.rank)]), 0.0, 1.0);
  });
  return x;
}

// A step against an inequality is in proportion to the least delta of its elements, which is how stiffly their vectors resist,
// and shared with the other triangles of its edges. Delta grows with the multipliers: the steps go by what it was at first, or
// both would run away.
void Signs::raise_multipliers(double step) {
  const std::int64_t n_edges = static_cast<std::int64_t>(edges_.size());
  const std::int64_t rank = options_.rank;
  if (stiffness_.empty()) stiffness_ = delta_;
  const float scale = static_cast<float>(step / 4);
  parallel_for(pool_, n_edges, [&](std::int64_t e) {
    const Edge& edge = edges_[at(e)];
    const float* a = vectors_.data() + rank * edge.low;
    const float* b = vectors_.data() + rank * edge.high;
    float dot = 0;
    for (std::int64_t c = 0; c < rank; ++c) dot += a[c] * b[c];
    const float least = std::min(stiffness_[at(edge.low)], stiffness_[at(edge.high)]);
    const float step_here = scale * least / (kCrowd + static_cast<float>(corners_of_[at(e + 1)] - corners_of_[at(e)]));
    states_[at(e)] = {dot, step_here};
    raise(&edge_multipliers_[at(4 * e)], dot, a[0], b[0], step_here);
  });
  const std::int64_t n_triangles = static_cast<std::int64_t>(triangles_.size()) / 3;
  parallel_for(pool_, n_triangles, [&](std::int64_t t) {
    const EdgeState ab = states_[at(triangles_[at(3 * t)])];
    const EdgeState ac = states_[at(triangles_[at(3 * t + 1)])];
    const EdgeState bc = states_[at(triangles_[at(3 * t + 2)])];
    raise(&triangle_multipliers_[at(4 * t)], ab.product, ac.product, bc.product, std::min({ab.step, ac.step, bc.step}));
  });
  parallel_for(pool_, n_edges, [&](std::int64_t e) {
    double sum = net(&edge_multipliers_[at(4 * e)], 0);
    for (std::int64_t c = corners_of_[at(e)]; c < corners_of_[at(e + 1)]; ++c)
      sum += net(&triangle_multipliers_[at(corners_[at(c)] / 3 * 4)], at(corners_[at(c)] % 3));
    now_.pair[at(e)] = sum;
  });
  const graph::CsrView& k = problem_.k;
  parallel_for(pool_, k.n, [&](std::int64_t i) {
    double sum = 0;
    for (std::int64_t e = k.indptr[i]; e < k.indptr[i + 1]; ++e) {
      const std::int32_t edge = edge_of_[at(e)];
      if (edge >= 0) sum += net(&edge_multipliers_[at(4 * static_cast<std::int64_t>(edge))], k.indices[e] > i ? 1 : 2);
    }
    now_.single[at(i)] = sum;
  });
  now_.constant = blocked_sum(pool_, n_edges, [&](std::int64_t e) { return total(&edge_multipliers_[at(4 * e)]); }) +
                  blocked_sum(pool_, n_triangles, [&](std::int64_t t) { return total(&triangle_multipliers_[at(4 * t)]); });
  if (averaged_ >= 0) {
    const double share = 1 / static_cast<double>(++averaged_);
    parallel_for(pool_, n_edges,
                 [&](std::int64_t e) { average_.pair[at(e)] += share * (now_.pair[at(e)] - average_.pair[at(e)]); });
    parallel_for(pool_, k.n,
                 [&](std::int64_t i) { average_.single[at(i)] += share * (now_.single[at(i)] - average_.single[at(i)]); });
    average_.constant += share * (now_.constant - average_.constant);
  }
  load(now_);
}

void Signs::begin_average() {
  average_ = {Vector(now_.pair.size(), 0.0), Vector(now_.single.size(), 0.0), 0};
  averaged_ = 0;
}

void Signs::use_average() {
  if (averaged_ > 0) load(average_);
}

void Signs::drop_average() {
  averaged_ = -1;
  load(now_);
}

// In z: s_i s_j = 4 z_i z_j - 2 z_i - 2 z_j + 1 and s_i = 2 z_i - 1. An edge's product occurs once in the sum of inequalities
// and twice in z'Wz.
Quadratic Signs::quadratic() const {
  const graph::CsrView& k = problem_.k;
  const double alpha = problem_.alpha;
  const Totals& totals = averaged_ > 0 ? average_ : now_;
  const bool plain = totals.pair.empty();
  Quadratic q;
  q.linear.resize(at(k.n));
  q.linear_size.resize(at(k.n));
  q.w.resize(weight_.size());
  parallel_for(pool_, k.n, [&](std::int64_t i) {
    Sum linear(problem_.importance[i]);
    if (!plain) linear += Sum(2 * totals.single[at(i)]);
    for (std::int64_t e = k.indptr[i]; e < k.indptr[i + 1]; ++e) {
      const std::int32_t edge = edge_of_[at(e)];
      if (edge < 0) {
        linear += Sum(-alpha * static_cast<double>(k.values[e]));
        continue;
      }
      const Edge& ends = edges_[at(edge)];
      // Both entries count, so their mean is as good as each where they should differ.
      const double similarity = (static_cast<double>(k.values[ends.in_low]) + static_cast<double>(k.values[ends.in_high])) / 2;
      const double pair = plain ? 0.0 : totals.pair[at(edge)];
      linear += Sum(-2 * pair);
      q.w[at(e)] = alpha * similarity - 2 * pair;
    }
    q.linear[at(i)] = linear.value;
    q.linear_size[at(i)] = linear.size;
  });
  if (plain) return q;
  q.constant = Sum(totals.constant);
  q.constant +=
      blocked_sum(pool_, static_cast<std::int64_t>(edges_.size()), [&](std::int64_t e) { return Sum(totals.pair[at(e)]); });
  q.constant += blocked_sum(pool_, k.n, [&](std::int64_t i) { return Sum(-totals.single[at(i)]); });
  // Each multiplier is in the constant once, with its absolute value, and in no more than three totals, as they are added up
  // and averaged; the totals themselves may have cancelled.
  q.constant.size += 16 * totals.constant;
  return q;
}

}  // namespace coremax::solver
