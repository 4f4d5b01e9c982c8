// The parts of the semidefinite bound, private to semidefinite.cpp, signs.cpp and definite.cpp.
//
// Everything is about quadratic functions q(z) = constant + linear'z - z'Wz on the pattern of K that are at least f at every
// feasible binary z, and about diagonals delta with W + diag(delta) positive semidefinite: then, as z_i^2 = z_i,
// q(z) = constant + (linear + delta)'z - z'(W + delta)z is concave and bounded from above by any of its tangents.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "solver/stages.h"

namespace coremax::solver {

// The relaxed feasible set {0 <= x <= 1, sum x = p}: all that the bound knows of the constraints.
class CappedSimplex {
 public:
  explicit CappedSimplex(const Problem& problem) : problem_(problem) {}

  Sum support(const Vector& s, ThreadPool& pool) const { return solver::support(problem_, s, pool).value; }
  // The point of the set nearest to x + g / metric in the norm of the metric (positive numbers, one an element).
  Vector nearest(const Vector& x, const Vector& g, const Vector& metric, ThreadPool& pool) {
    return project(problem_, x, g, metric, multipliers_, pool);
  }

  // Lagrange price of an element.
  double price(std::int64_t) const { return price_; }
  void price_at(const Vector& value);  // a first guess: the set is filled by the elements worth more than their price
  // A damped Newton step towards the price at which x would sum to p; x_i falls by response_i for each unit.
  void reprice(const Vector& x, const Vector& response, ThreadPool& pool);

 private:
  const Problem& problem_;
  double price_ = 0;
  Multipliers multipliers_;
};

struct Quadratic {
  Sum constant;
  Vector linear;
  Vector linear_size;  // sums of the absolute terms that linear was added up from
  Vector w;            // an entry for each of K's
};

// signs.cpp: the semidefinite relaxation, its low-rank point, and the multipliers of triangle inequalities.
struct SignsOptions {
  int rank = 16;                   // 8 or 16
  std::int64_t max_triangles = 0;  // none: inequalities of edges alone
  bool inequalities = true;
};

class Signs {
 public:
  Signs(const Problem& problem, const SignsOptions& options, CappedSimplex& set, ThreadPool& pool);

  bool usable() const { return usable_; }  // false where K's pattern is not symmetric
  void sweep();                            // one pass of coordinate ascent over the vectors, and one of the prices
  void raise_multipliers(double step);     // towards the violated inequalities
  void begin_average();                    // of the multipliers from here on
  void use_average();                      // sweeps and quadratic() go by the average, if one was begun
  void drop_average();                     // ... and by the multipliers as they are again
  Quadratic quadratic() const;
  Vector point() const;  // x of the relaxation
  Vector diagonal() const { return Vector(delta_.begin(), delta_.end()); }

 private:
  // Linear functions of the multipliers: what an edge's product, an element's sign and the constant get.
  struct Totals {
    Vector pair;
    Vector single;
    double constant = 0;
  };
  void number_edges();
  void list_triangles(std::int64_t limit);
  void colour();
  void start_vectors();
  void load(const Totals& totals);
  template <int kRank>
  void relax(std::int64_t i);

  const Problem& problem_;
  const SignsOptions options_;
  CappedSimplex& set_;
  ThreadPool& pool_;
  bool usable_ = true;

  struct Edge {
    std::int32_t low, high;
    std::int64_t in_low, in_high;  // its entries in the rows of its two ends
  };
  struct EdgeState {
    float product;  // v_i'v_j
    float step;     // of the multipliers at this edge
  };
  std::vector<Edge> edges_;
  std::vector<std::int32_t> edge_of_;     // of each entry of K; -1 on the diagonal
  std::vector<std::int32_t> triangles_;   // three edges each
  std::vector<std::int64_t> corners_of_;  // edge e: its places in triangles_ are corners_[corners_of_[e]..]
  std::vector<std::int64_t> corners_;

  std::vector<std::int64_t> colour_begin_;
  std::vector<std::int32_t> by_colour_;

  Vector self_;  // -alpha K_ii: nothing, unless a diagonal is stored
  Vector base_;
  std::vector<float> weight_;  // W by entry
  Vector field_;
  std::vector<float> vectors_;
  std::vector<float> delta_;
  std::vector<float> stiffness_;  // delta before the multipliers first move
  std::vector<EdgeState> states_;
  std::vector<float> edge_multipliers_;
  std::vector<float> triangle_multipliers_;
  Totals now_;
  Totals average_;
  std::int64_t averaged_ = -1;
};

// definite.cpp
enum class Proof { factored, probable };  // by Cholesky factors alone, or also by Lanczos runs with a random start
struct Definite {
  Proof proof = Proof::factored;
  double highest = 0;  // about the largest eigenvalue of delta^-1/2 (W + delta) delta^-1/2
};
// Raises delta (or lowers it) to where W + diag(delta) is positive semidefinite for certain or all but certain. lanczos_work:
// multiplications to spend where components are too large to factor.
Definite make_definite(const graph::CsrView& k, const Vector& w, Vector& delta, double lanczos_work, std::uint64_t seed,
                       ThreadPool& pool);

}  // namespace coremax::solver
