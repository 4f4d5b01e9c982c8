// Upper bounds by Lagrangian duality, for budgets so small that few pairs are worth keeping together.
//
// With y_e = z_i z_j and w_e = 2 alpha K_ij >= 0 on the edges, f(z) = sum I_i z_i - sum w_e y_e. (Where K_ij < 0,
// -2 alpha K_ij z_i z_j <= -alpha K_ij (z_i + z_j) goes into the values I.) Three bounds, each at least as tight as the one
// before:
//
// cuts: a cut r, of a clique C and integer t, says sum_{e in C} y_e - t sum_{i in C} z_i + t (t + 1) / 2 >= 0 (dual_cuts.cpp).
// Any multipliers u >= 0 give f(z) <= support(I - sum_r t u_r 1_C) + sum_r u_r t (t + 1) / 2 + sum_e max(0, sum_{r: e in C} u_r
// - w_e), with y <= 1 in the last term. The best u is the dual of a linear program (dual_lp.cpp); more cuts are added where its
// primal point violates them.
//
// cells: the multipliers split f into pieces over overlapping small sets of elements, and each piece is maximised exactly at
// what the price leaves of the values: f(z) <= support(price) + sum_cells max (theta'z - w'y) (dual_cells.cpp). A component of
// the elements above the price is one cell where it is small; what then remains is the gap of one number, the budget.
//
// All start from the price at which the incumbent stands: near a local optimum the gain of the last element kept and that of
// the first left out are nearly the same, and so is the best price of the dual. Elements whose value is below it take no part.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "solver/dual_parts.h"

namespace coremax::solver {
namespace {

constexpr double kRoundTolerance = 0.03;  // solve a program to this share of the gap before cutting again
constexpr double kLeastProgress = 0.05;   // a round that closes less of the gap is the last
constexpr double kStuck = 0.7;            // of the gap, left after a round of cuts: where cuts do work, less than half is
constexpr double kViolation = 0.02;       // of cuts worth adding
constexpr double kPriceMargin = 0.05;     // of the mean surplus: how far the price may fall and still see all its elements
constexpr double kRoundCells = 0.01;  // a gap, as a share of the value, above which cells round worse than the program's point
constexpr double kNegligible = 1e-7;  // a share of DualOptions::scale
constexpr double kLeastTolerance = 1e-5;  // of the same: what the program is solved to at most; cells close what is left
constexpr double kLossRounding = 1e-11;

class DualSearch {
 public:
  DualSearch(const Problem& problem, const DualOptions& options, double incumbent_value, const std::function<bool()>& expired,
             ThreadPool& pool)
      : problem_(problem),
        options_(options),
        incumbent_value_(incumbent_value),
        scale_(options.scale > 0 ? options.scale : std::abs(incumbent_value)),
        expired_(expired),
        pool_(pool),
        value_(values()) {}

  Dual run(const Subset& incumbent) {
    const Vector kx = multiply(problem_.k, as_vector(incumbent), pool_);
    Support start = support(problem_, gains(problem_, kx, pool_), pool_);
    for (std::size_t i = 0; i < start.extra.size(); ++i) value_[i] -= start.extra[i];
    extra_ = std::move(start.extra);
    // With costs the number of elements is free; the program and the cells work at the incumbent's, which only guides them.
    n_kept_ = has_costs(problem_) ? std::count(incumbent.begin(), incumbent.end(), 1) : problem_.budget;
    dual_.x = as_vector(incumbent);
    consider(Sum{}, nullptr, Vector(), nullptr);
    if (problem_.alpha == 0 || done() || hopeless(incumbent, kx)) return std::move(dual_);
    const ActiveGraph graph = active_graph(problem_, value_, start.threshold - margin(start.threshold), pool_);
    if (graph.n_edges() == 0 || graph.n_edges() > std::numeric_limits<std::int32_t>::max()) return std::move(dual_);
    Cuts cuts = cover_by_cliques(graph, start.threshold, pool_);
    LinearProgram program(graph, n_kept_, start.threshold, pool_);
    const bool promising = cut(graph, program, cuts);
    dual_.n_cuts = cuts.size();
    if (promising && options_.cells && !done()) gather(graph, program);
    return std::move(dual_);
  }

 private:
  // Importance plus half of what each negative similarity could add.
  Vector values() const {
    Vector value(at(problem_.n()));
    parallel_for(pool_, problem_.n(), [&](std::int64_t i) {
      double negative = 0;
      for (std::int64_t e = problem_.k.indptr[i]; e < problem_.k.indptr[i + 1]; ++e)
        negative += std::max(0.0, -static_cast<double>(problem_.k.values[e]));
      value[at(i)] = problem_.importance[i] + problem_.alpha * negative;
    });
    return value;
  }

  double gap() const { return dual_.bound.value - incumbent_value_; }
  bool done() const { return gap() <= std::max(options_.target_gap, kNegligible * scale_) || expired_(); }

  double margin(double price) const {
    struct Surplus {
      double sum = 0, count = 0;
      Surplus& operator+=(const Surplus& other) {
        sum += other.sum, count += other.count;
        return *this;
      }
    };
    const Surplus all = blocked_sum(pool_, problem_.n(), [&](std::int64_t i) {
      return value_[at(i)] > price ? Surplus{value_[at(i)] - price, 1} : Surplus{};
    });
    return kPriceMargin * all.sum / std::max(1.0, all.count);
  }

  bool hopeless(const Subset& incumbent, const Vector& kx) const {
    const double cost =
        blocked_sum(pool_, problem_.n(), [&](std::int64_t i) { return incumbent[at(i)] ? std::max(0.0, kx[at(i)]) : 0.0; });
    return problem_.alpha * cost > options_.hopeless_cost * std::max(0.0, incumbent_value_);
  }

  // Takes the bound `constant + support(s)` if it is the best so far, where s is value_ but for the nodes of the graph.
  void consider(Sum bound, const ActiveGraph* graph, const Vector& left, const Cells* cells) {
    Vector s(value_);
    if (graph != nullptr)
      for (std::int64_t a = 0; a < graph->n(); ++a) s[at(graph->element[at(a)])] = left[at(a)];
    for (std::size_t i = 0; i < extra_.size(); ++i) s[i] += extra_[i];
    const Support of_s = support(problem_, s, pool_);
    bound += of_s.value;
    bound += blocked_sum(pool_, problem_.n(), [&](std::int64_t i) { return Sum{0, std::abs(value_[at(i)])}; });  // of s itself
    if (!(padded(bound) < dual_.bound.value)) return;
    dual_.bound = {padded(bound), graph == nullptr ? BoundKind::modular : BoundKind::lp};
    dual_.threshold = of_s.threshold;
    note_losses(s, of_s, graph, cells);
  }

  void note_losses(const Vector& s, const Support& of_s, const ActiveGraph* graph, const Cells* cells) {
    dual_.loss_in.resize(s.size());
    dual_.loss_out.resize(s.size());
    parallel_for(pool_, problem_.n(), [&](std::int64_t i) {
      const double surplus = s[at(i)] - of_s.threshold - (of_s.extra.empty() ? 0.0 : of_s.extra[at(i)]);
      dual_.loss_in[at(i)] = std::max(0.0, -surplus);
      dual_.loss_out[at(i)] = std::max(0.0, surplus);
    });
    if (cells != nullptr) {
      Vector in(at(graph->n()), 0.0);
      Vector out(at(graph->n()), 0.0);
      cells->add_losses(in, out);
      for (std::int64_t a = 0; a < graph->n(); ++a) {
        dual_.loss_in[at(graph->element[at(a)])] += in[at(a)];
        dual_.loss_out[at(graph->element[at(a)])] += out[at(a)];
      }
    }
    const double rounding = kLossRounding * (1 + std::abs(of_s.threshold));
    parallel_for(pool_, problem_.n(), [&](std::int64_t i) {
      for (Vector* loss : {&dual_.loss_in, &dual_.loss_out}) {
        double& of_i = (*loss)[at(i)];
        of_i = std::max(0.0, (1 - kLossRounding) * of_i - rounding * (1 + std::abs(s[at(i)])));
      }
    });
  }

  void consider(const ActiveGraph& graph, const LinearProgram& program) {
    const Cuts& cuts = program.cuts();
    Vector left(graph.value);
    Vector room(graph.weight);
    Sum bound;
    for (std::int64_t r = 0; r < cuts.size(); ++r) {
      const double u = program.u()[at(r)];
      const double payment = cuts.t[at(r)] * u;
      for (const std::int32_t* i = cuts.nodes.begin(r); i != cuts.nodes.end(r); ++i) left[at(*i)] -= payment;
      for (const std::int32_t* e = cuts.edges.begin(r); e != cuts.edges.end(r); ++e) room[at(*e)] -= u;
      bound += Sum{u * cuts.right(r), u * cuts.right(r) + payment * static_cast<double>(cuts.nodes.length(r))};
    }
    for (const double r : room)
      if (r < 0) bound += Sum{-r, -r};
    consider(bound, &graph, left, nullptr);
  }

  // Solves the program, adds the cuts its point violates, and again. False where the bound is wide and hardly moves.
  bool cut(const ActiveGraph& graph, LinearProgram& program, Cuts& cuts) {
    program.set_cuts(cuts);
    program.sweep();
    program.sweep();
    consider(graph, program);
    const double enough = incumbent_value_ + options_.target_gap;
    for (std::int64_t round = 0; !done(); ++round) {
      const double before = gap();
      const double tolerance = std::max(kRoundTolerance * before, kLeastTolerance * scale_);
      const std::int64_t most = std::min(options_.iterations_per_round, options_.max_iterations - dual_.iterations);
      const auto outcome = program.run(most, tolerance, [&](double dual) { return dual <= enough || expired_(); });
      dual_.iterations += outcome.iterations;
      consider(graph, program);
      take_point(graph, program.x());
      const bool solved = outcome.error <= tolerance;
      if (round > 0 && gap() > options_.give_up_gap * scale_ && gap() > kStuck * before) return false;
      if (round >= options_.cut_rounds || dual_.iterations >= options_.max_iterations || done()) break;
      if (round > 0 && solved && gap() > (1 - kLeastProgress) * before) break;
      if (separate(graph, program.x(), program.y(), kViolation, cuts, pool_) == 0 && solved) break;
      program.set_cuts(cuts);
    }
    program.sweep();
    consider(graph, program);
    return true;
  }

  void gather(const ActiveGraph& graph, const LinearProgram& program) {
    for (const std::int64_t largest : {12, 24}) {
      if (done()) return;
      Cells cells(graph, program, largest, expired_, pool_);
      dual_.n_cells = cells.size();
      consider(cells.constant(), &graph, cells.left(), &cells);
      for (std::int64_t round = 0; round < options_.even_rounds && !done(); ++round) {
        const double before = gap();
        if (round % 4 == 0) {
          cells.find_price(n_kept_, 12);
          consider(cells.constant(), &graph, cells.left(), &cells);
        }
        if (!cells.even_out(expired_)) break;
        consider(cells.constant(), &graph, cells.left(), &cells);
        if (gap() > (1 - kLeastProgress) * before) break;
      }
      if (gap() > kRoundCells * scale_) continue;
      // Where all cells of an element agree, what they say; the program's point elsewhere.
      Vector x(program.x());
      cells.maximisers(x);
      for (std::size_t i = 0; i < x.size(); ++i)
        if (x[i] > 0 && x[i] < 1) x[i] = program.x()[i];
      take_point(graph, x);
    }
  }

  void take_point(const ActiveGraph& graph, const Vector& x) {
    dual_.x.assign(at(problem_.n()), 0.0);
    for (std::int64_t a = 0; a < graph.n(); ++a) dual_.x[at(graph.element[at(a)])] = x[at(a)];
  }

  const Problem& problem_;
  const DualOptions& options_;
  const double incumbent_value_;
  const double scale_;
  const std::function<bool()>& expired_;
  ThreadPool& pool_;
  Vector value_;  // of every element, less what it costs by limits other than the budget
  Vector extra_;
  std::int64_t n_kept_ = 0;
  Dual dual_{{INFINITY, BoundKind::none}, {}, {}, 0, {}, 0, 0, 0};
};

}  // namespace

DualOptions fast_dual() {
  DualOptions options;
  options.max_iterations = 60;
  options.cut_rounds = 0;
  options.cells = false;
  return options;
}

DualOptions rounding_dual() {
  DualOptions options;
  options.max_iterations = 400;
  options.iterations_per_round = 100;
  options.cut_rounds = 4;
  options.cells = false;
  return options;
}

Dual dual_bound(const Problem& problem, const DualOptions& options, const Subset& incumbent, double incumbent_value,
                const std::function<bool()>& expired, ThreadPool& pool) {
  return DualSearch(problem, options, incumbent_value, expired, pool).run(incumbent);
}

// With z_i forced, every term of the bound stays valid and those that hold i fall by the loss: a subset on that side of the
// choice is worth at most bound - loss. If that is below a value at hand, no better subset lies there.
Fixed fix_by_reduced_cost(const Dual& dual, double value) {
  Fixed fixed;
  for (std::size_t i = 0; i < dual.loss_in.size(); ++i) {
    if (dual.bound.value - dual.loss_out[i] < value)
      fixed.in.push_back(static_cast<std::int64_t>(i));
    else if (dual.bound.value - dual.loss_in[i] < value)
      fixed.out.push_back(static_cast<std::int64_t>(i));
  }
  return fixed;
}

}  // namespace coremax::solver
