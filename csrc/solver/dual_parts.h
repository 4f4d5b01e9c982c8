// What the files of the dual bound share: the graph of the elements worth their price, the cuts, the linear program, the cells.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "solver/dual.h"

namespace coremax::solver {

// A list of lists of numbers.
struct Lists {
  std::vector<std::int64_t> start{0};
  std::vector<std::int32_t> items;

  std::int64_t size() const { return static_cast<std::int64_t>(start.size()) - 1; }
  const std::int32_t* begin(std::int64_t list) const { return items.data() + start[at(list)]; }
  const std::int32_t* end(std::int64_t list) const { return items.data() + start[at(list) + 1]; }
  std::int64_t length(std::int64_t list) const { return start[at(list) + 1] - start[at(list)]; }
  void close() { start.push_back(static_cast<std::int64_t>(items.size())); }
};
Lists transposed(const Lists& lists, std::int64_t n_items);

// The subgraph of the elements whose value exceeds a price, with the edges of positive weight between them.
struct ActiveGraph {
  std::vector<std::int32_t> element;   // by node, ascending
  Vector value;                        // by node
  Vector weight;                       // by edge: 2 alpha K_ij
  std::vector<std::int32_t> ends;      // by edge: two nodes, the lower first
  std::vector<std::int64_t> start;     // by node, into the next two
  std::vector<std::int32_t> neighbor;  // ascending within a node
  std::vector<std::int32_t> edge;

  std::int64_t n() const { return static_cast<std::int64_t>(element.size()); }
  std::int64_t n_edges() const { return static_cast<std::int64_t>(weight.size()); }
};
// value: of every element of the problem, negative similarities already added.
ActiveGraph active_graph(const Problem& problem, const Vector& value, double price, ThreadPool& pool);

// Cut r: t sum of x over its nodes - sum of y over its edges <= t (t + 1) / 2.
struct Cuts {
  Lists nodes;
  Lists edges;
  std::vector<std::int32_t> t;

  std::int64_t size() const { return static_cast<std::int64_t>(t.size()); }
  double right(std::int64_t r) const { return 0.5 * t[at(r)] * (t[at(r)] + 1); }
};
// Cliques that cover every edge, grown greedily from the edges that matter most at this price.
Cuts cover_by_cliques(const ActiveGraph& graph, double price, ThreadPool& pool);
// Appends cuts that (x, y) violates by more than tolerance; returns how many.
std::int64_t separate(const ActiveGraph& graph, const Vector& x, const Vector& y, double tolerance, Cuts& cuts,
                      ThreadPool& pool);

// The linear program over the cuts, solved by a primal-dual method whose every dual iterate gives a bound.
class LinearProgram {
 public:
  struct Outcome {
    std::int64_t iterations = 0;
    double error = 0;  // what the duality gap and the violated rows come to
  };
  using StopTest = std::function<bool(double dual)>;  // told about the dual value where it stands

  LinearProgram(const ActiveGraph& graph, std::int64_t budget, double price, ThreadPool& pool);

  void set_cuts(const Cuts& cuts);  // those it had must come first: their multipliers are kept
  void sweep();                     // one exact minimisation over every multiplier in turn, the price held
  Outcome run(std::int64_t max_iterations, double tolerance, const StopTest& stop);

  const Cuts& cuts() const { return *cuts_; }
  const Vector& x() const { return now_.x; }
  const Vector& y() const { return now_.y; }
  const Vector& u() const { return now_.u; }
  double price() const { return now_.price; }

 private:
  struct Point {
    Vector x, y, u;
    double price = 0;
  };
  struct Quality {
    double error = 0;
    double dual = 0;
  };
  void step();
  void add_to_average();
  Point average() const;
  Quality quality(const Point& point) const;
  void restart(Point point);
  void reset_average();

  const ActiveGraph& graph_;
  const double budget_;
  ThreadPool& pool_;
  const double scale_;  // of a surplus: what an element is worth above its price
  const Cuts* cuts_ = nullptr;
  Lists cuts_of_node_, cuts_of_edge_;
  Point now_;
  Vector beyond_x_, beyond_y_;
  Vector step_x_, step_y_, step_u_;
  double step_price_ = 0;
  double weight_;  // primal weight: dual steps are as many times larger than primal ones
  Point sum_;
  std::int64_t n_summed_ = 0;
  Point started_;  // where the last restart was
};

// A small subgraph on which max over z in {0,1}^m of theta'z - sum_e w_e z_a z_b is found exactly, by eliminating one node at a
// time: the table of a bucket holds the best that the nodes eliminated up to there can add, for each state of their neighbours.
class Cell {
 public:
  struct Edge {
    std::int32_t a, b;
    double weight;
  };
  static constexpr std::int64_t kMostEntries = std::int64_t{1} << 15;

  bool compile(std::int64_t n_nodes, const std::vector<Edge>& edges);  // false when the tables would hold more

  double maximum(const double* theta, Vector& work) const;
  double maximum(const double* theta, Vector& work, std::uint8_t* z) const;  // and one maximiser
  // For every node, the best value with it less the best without.
  double differences(const double* theta, Vector& work, double* difference) const;
  double weight() const { return total_weight_; }

 private:
  struct Child {
    std::int64_t bucket;
    std::vector<std::int32_t> index;  // into its table, by state of the scope with the node itself out
    std::int32_t own = 0;             // added to the index when the node is in
  };
  struct Bucket {
    std::int32_t node;
    std::vector<std::int32_t> scope;  // its neighbours at its elimination, ascending; bit b of a state is that of scope[b]
    std::vector<Child> children;      // buckets whose tables are taken up here
    Vector cost;                      // of the edges from the node, by state
    std::int64_t offset;              // of its table
  };
  using Neighbors = std::vector<std::vector<std::int32_t>>;
  bool add_bucket(std::int32_t node, const Neighbors& neighbors, const std::vector<std::pair<std::int32_t, double>>& costs,
                  std::vector<std::int64_t>& open);
  void upward(const double* theta, double* tables, double* gains) const;

  std::vector<Bucket> buckets_;
  std::int64_t n_entries_ = 0;
  double total_weight_ = 0;
};

// The cuts of a solved program gathered into overlapping cells. Every cut, with its share u of its edges, belongs to one cell
// or to none; an element's value, less the price, is shared out among its cells.
class Cells {
 public:
  // largest: elements in a cell; stop: leaves what is not gathered yet to the cuts.
  Cells(const ActiveGraph& graph, const LinearProgram& program, std::int64_t largest, const std::function<bool()>& stop,
        ThreadPool& pool);

  std::int64_t size() const { return static_cast<std::int64_t>(cells_.size()); }
  double price() const { return price_; }
  // The bound is this plus the support of `left`.
  Sum constant() const;
  // By node: what no cell and no cut holds of its value. The price for an element of a cell.
  Vector left() const;
  void find_price(std::int64_t budget, std::int64_t evaluations);  // where as many are kept as may be
  // Evens out the differences of every shared element in turn: no pass raises the bound at this price. False when stopped.
  bool even_out(const std::function<bool()>& stop);
  // By node: adds by how much the maxima fall when the element is forced in, or out.
  void add_losses(Vector& loss_in, Vector& loss_out) const;
  void maximisers(Vector& x) const;  // overwrites x for the elements of cells

 private:
  struct Grouping;
  std::vector<std::uint8_t> undecided(const Vector& x, std::int64_t small) const;
  std::vector<std::int32_t> ranked_cuts(const std::vector<std::uint8_t>& open, const Vector& x) const;
  std::vector<std::vector<std::int32_t>> group(const std::vector<std::int32_t>& list, const std::vector<std::uint8_t>& open,
                                               std::int64_t largest, Grouping& grouping) const;
  bool add(const std::vector<std::int32_t>& list);
  void share_out();
  void move_price(double price);

  const ActiveGraph& graph_;
  const Cuts& cuts_;
  const Vector& u_;
  ThreadPool& pool_;
  double price_;
  std::vector<Cell> cells_;
  Lists nodes_;   // by cell
  Vector theta_;  // in the order of nodes_.items
  Lists places_;  // by node: where it stands in nodes_.items
  std::vector<std::int32_t> cell_of_place_;
  std::vector<std::int32_t> cell_of_cut_;  // or -1
  Vector room_;                            // by edge: weight that nobody has claimed
  Vector left_;                            // by node: value that no cut outside of cells has taken
  Sum fixed_;                              // of the cuts in no cell, and of edges paid too much for
};

}  // namespace coremax::solver
