// The driver: presolve, one method or the portfolio, polish, bound.
#include "solver/solver.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>

#include "core/errors.h"
#include "solver/dual.h"
#include "solver/stages.h"

namespace coremax::solver {
namespace {

void check_numbers(const Problem& problem) {
  require(problem.alpha >= 0 && problem.alpha <= kLargest, "alpha must be from 0 to 1e100, got " + number_text(problem.alpha));
  for (std::int64_t i = 0; i < problem.n(); ++i) {
    const double value = problem.importance[i];
    require(std::isfinite(value), [&] {
      return "importance[" + std::to_string(i) + "] is " + non_finite_name(value) + "; importance must be finite";
    });
    require(std::abs(value) <= kLargest, [&] {
      return "importance[" + std::to_string(i) + "] is " + number_text(value) +
             ", beyond the range of 1e100 the solver works in; rescale it";
    });
  }
}

void check(const Problem& problem, const Options& options) {
  require(has_costs(problem) || (problem.budget >= 1 && problem.budget <= problem.n()),
          "budget must be from 1 to n = " + std::to_string(problem.n()) + ", got " + std::to_string(problem.budget));
  check_numbers(problem);
  for (std::int64_t i = 0; options.x0 != nullptr && i < problem.n(); ++i)
    require(std::isfinite(options.x0[i]), [&] { return "x0[" + std::to_string(i) + "] is not finite"; });
}

double largest_redundancy(const Problem& problem, ThreadPool& pool) {
  const auto size = [&](std::int64_t e) { return Max{std::abs(static_cast<double>(problem.k.values[e]))}; };
  return problem.alpha * blocked_sum(pool, problem.k.indptr[problem.n()], size).value;
}

bool is_redundant(const Problem& problem, ThreadPool& pool) { return largest_redundancy(problem, pool) >= kLeastRedundancy; }

// The same problem in the unit of unit_of.
class Rescaled {
 public:
  Rescaled(const Problem& problem, const Options& options, ThreadPool& pool) : problem_(problem), options_(options) {
    const double importance =
        blocked_sum(pool, problem.n(), [&](std::int64_t i) { return Max{std::abs(problem.importance[i])}; }).value;
    const double redundancy = largest_redundancy(problem, pool);
    const std::optional<int> unit = unit_of(importance, redundancy);
    if (!unit) return;
    exponent_ = *unit;
    importance_.resize(at(problem.n()));
    for (std::int64_t i = 0; i < problem.n(); ++i) importance_[at(i)] = std::ldexp(problem.importance[i], -exponent_);
    problem_.importance = importance_.data();
    problem_.alpha =
        std::min(std::ldexp(problem.alpha, -exponent_), kLargest * kLargest);  // more only where no edge has any weight
    options_.temperature = std::min(std::ldexp(options.temperature, -exponent_), kLargest * kLargest);
    if (options.callback)
      options_.callback = [this, &options](Iteration iteration) {
        iteration.objective = restored(iteration.objective);
        iteration.upper_bound = restored(iteration.upper_bound);
        return options.callback(iteration);
      };
  }
  Rescaled(const Rescaled&) = delete;
  Rescaled& operator=(const Rescaled&) = delete;

  const Problem& problem() const { return problem_; }
  const Options& options() const { return options_; }
  Result restored(Result result) const {
    result.objective = restored(result.objective);
    result.upper_bound = restored(result.upper_bound);
    for (double& value : result.history) value = restored(value);
    return result;
  }

 private:
  double restored(double value) const { return std::ldexp(value, exponent_); }

  Problem problem_;
  Options options_;
  int exponent_ = 0;
  Vector importance_;
};

// How long a search goes on: thousands of sweeps while they are cheap, fewer as the elements become many (measured: the time
// grows with the root of n between the limits).
std::int64_t sweeps(Effort effort, std::int64_t n) {
  struct Plan {
    double at_20000;
    double least;
    double most;
  };
  const Plan plan = effort == Effort::fast       ? Plan{100, 40, 200}
                    : effort == Effort::standard ? Plan{2500, 150, 2500}
                                                 : Plan{30000, 1000, 30000};
  const double ratio = 20000.0 / static_cast<double>(n);
  return static_cast<std::int64_t>(std::clamp(plan.at_20000 * ratio * std::sqrt(ratio), plan.least, plan.most));
}

// Gaps, as shares of Relaxations::scale.
constexpr double kNegligible = 1e-7;            // nothing more is tried for it
constexpr double kPromising = 0.05;             // after a first impression of the linear program: more of it may close it
constexpr double kEnough = 0.02;                // the next bound is not tried for it
constexpr double kClose = 0.002;                // the same at the tight effort
constexpr int kRounds = 10;                     // of the search that goes on from the best, at the best effort
constexpr std::int64_t kThoroughUpTo = 30'000;  // elements for which the default effort takes the slower methods in
constexpr std::int64_t kWarmShare = 16;         // a warm start needs so many times fewer sweeps

// Nothing to choose, or nothing to weigh against importance.
bool is_linear(const Problem& problem, ThreadPool& pool) {
  const bool all_or_nothing =
      problem.n() == 0 || (!has_costs(problem) && (problem.budget == 0 || problem.budget == problem.n()));
  return all_or_nothing || !is_redundant(problem, pool);
}

// A problem without what the caller fixes, and of that, without what is proved.
struct Presolved {
  Presolved(const Problem& problem, std::uint64_t seed, ThreadPool& pool)
      : given(problem, order_of_ties(problem, seed), pool), open(given.problem(), true, pool) {}
  const Problem& problem() const { return open.problem(); }
  double constant() const { return given.constant() + open.constant(); }
  double padding() const { return given.padding() + open.padding(); }

  const Reduced given;
  const Reduced open;
};

// What duality knows of a problem: upper bounds, points to round, elements that no better subset has or lacks.
class Relaxations {
 public:
  // announce: the bounds hold for the whole call, so that whoever watches is told.
  Relaxations(const Problem& problem, bool announce, Run& run)
      : problem_(problem), announce_(announce), run_(run), linear_(is_linear(problem, run.pool)) {}

  // At once, for whoever watches.
  void modular() { note(modular_bound(problem_, run_.pool)); }

  // What shares of the value are taken of: the value, unless a constant in all importances makes it large beside what choice
  // can change. Then twice the latter, from a subset at random to the modular bound.
  double scale(double value) {
    const double size = std::max(std::abs(value), std::numeric_limits<double>::min());
    if (has_costs(problem_) || linear_) return size;
    if (spread_ < 0) {
      const double share = static_cast<double>(problem_.budget) / static_cast<double>(problem_.n());
      const double importance =
          blocked_sum(run_.pool, problem_.n(), [&](std::int64_t i) { return Sum(problem_.importance[i]); }).value;
      const auto entry = [&](std::int64_t e) { return Sum(static_cast<double>(problem_.k.values[e])); };
      const double redundancy = blocked_sum(run_.pool, problem_.k.indptr[problem_.n()], entry).size;
      spread_ = modular_bound(problem_, run_.pool).value - share * importance + problem_.alpha * share * share * redundancy;
    }
    return std::max(std::min(size, 2 * spread_), std::numeric_limits<double>::min());
  }

  // How far the linear program is taken.
  enum class Depth { none, fast, rounding, tight };

  // A linear program with cuts: nearly tight where little is kept. `subset` is feasible, the better the tighter the bound. A
  // first impression says whether more is worth its time, unless the caller is patient. Returns a point to round; empty where
  // nothing came of it or as much has been done before.
  Vector linear_program(Depth depth, const Subset& subset, bool patient) {
    const double value = subset_objective(problem_, subset, run_.pool);
    Vector x;
    for (const Depth next : {Depth::fast, depth}) {
      if (linear_ || run_.expired() || next <= linear_program_done_) continue;
      if (next != Depth::fast && !patient && linear_gap_ > kPromising) continue;
      linear_program_done_ = next;
      DualOptions options = next == Depth::fast ? fast_dual() : next == Depth::rounding ? rounding_dual() : DualOptions{};
      if (patient) options.hopeless_cost = INFINITY;
      options.scale = scale(value);
      Dual dual = dual_bound(problem_, options, subset, value, [&] { return run_.expired(); }, run_.pool);
      note(dual.bound);
      linear_gap_ = (dual.bound.value - value) / scale(value);
      if (dual.n_cuts == 0) break;
      x = dual.x;
      if (dual_.loss_in.empty() || dual.bound.value < dual_.bound.value) dual_ = std::move(dual);
      if (is_settled(value)) break;
    }
    return x;
  }

  // A semidefinite relaxation: close where a fifth and more is kept. Groups are left out of it, which keeps it valid; with
  // costs a uniform diagonal shift takes its place.
  Vector semidefinite(BoundEffort effort, const Subset& subset) {
    if (linear_ || run_.expired() || static_cast<int>(effort) <= static_cast<int>(semidefinite_done_)) return {};
    semidefinite_done_ = effort;
    // A uniform shift hardly ever wins against it, but it does; along a path of budgets it takes too long.
    const bool hurried = effort != BoundEffort::tight && run_.options.x0 != nullptr;
    if (has_costs(problem_) || (problem_.n() <= kThoroughUpTo && !hurried))
      note(diagonal_shift_bound(problem_, spectrum(problem_.k, run_.options.seed, run_.pool), subset, run_));
    const double value = subset_objective(problem_, subset, run_.pool);
    if (has_costs(problem_) || is_settled(value)) return {};
    Problem plain = problem_;
    plain.groups = nullptr;
    plain.limits.clear();
    SemidefiniteBound found = semidefinite_bound(
        plain, effort, value, kNegligible * scale(value), run_.options.seed, [&] { return run_.expired(); }, run_.pool);
    note(found.bound);
    return std::move(found.x);
  }

  // Of a small problem that is solved as it is best, the optimum; else empty.
  Subset enumerated() {
    if (run_.options.method != Method::automatic || (linear_ && !has_costs(problem_)) || !is_enumerable(problem_)) return {};
    Optimum optimum = enumerate(problem_, run_.pool);
    note(optimum.bound);
    return std::move(optimum.subset);
  }

  // Whatever is worth its time, given what is known.
  void tighten(BoundEffort effort, const Subset& subset) {
    if (best_.kind == BoundKind::enumeration || !enumerated().empty()) return;
    const double value = subset_objective(problem_, subset, run_.pool);
    linear_program(effort == BoundEffort::tight ? Depth::tight : Depth::fast, subset, false);
    if (effort == BoundEffort::linear) return;
    if (gap(value) > (effort == BoundEffort::tight ? kClose : kEnough)) semidefinite(effort, subset);
  }

  // From the value of the best subset known, as a share.
  double gap(double value) { return (best_.value - value) / scale(value); }
  bool is_settled(double value) { return gap(value) <= kNegligible; }
  const Bound& best() const { return best_; }
  // By reduced cost: 1 and -1 where every subset better than `value` has, or lacks, the element; empty where nothing is known.
  std::vector<std::int8_t> decided(double value) const {
    if (dual_.loss_in.empty()) return {};
    std::vector<std::int8_t> sides(at(problem_.n()), 0);
    const Fixed fixed = fix_by_reduced_cost(dual_, value);
    for (const std::int64_t i : fixed.in) sides[at(i)] = 1;
    for (const std::int64_t i : fixed.out) sides[at(i)] = -1;
    return sides;
  }

 private:
  void note(const Bound& bound) {
    if (bound.value < best_.value) best_ = bound;
    if (announce_) run_.upper_bound = std::min(run_.upper_bound, run_.constant + best_.value);
  }

  const Problem& problem_;
  const bool announce_;
  Run& run_;
  const bool linear_;
  Bound best_;
  Dual dual_;
  Depth linear_program_done_ = Depth::none;
  double linear_gap_ = INFINITY;
  double spread_ = -1;
  BoundEffort semidefinite_done_ = BoundEffort::none;
};

// The best subset of one or several methods.
class Search {
 public:
  Search(const Problem& problem, Relaxations& relaxations, Run& run)
      : problem_(problem), relaxations_(relaxations), run_(run), linear_(is_linear(problem, run.pool)) {}

  void run() {
    if (Subset optimum = relaxations_.enumerated(); !optimum.empty()) return take(std::move(optimum));
    if (linear_) return without_redundancy();
    if (run_.options.method == Method::automatic) return portfolio();
    run_method(run_.options.method);
  }

  const Subset& best() const { return best_; }
  double polish_seconds() const { return polish_seconds_; }
  Result result;

 private:
  const Spectrum& ends() {
    if (!ends_) ends_ = spectrum(problem_.k, run_.options.seed, run_.pool);
    return *ends_;
  }

  void take(Subset optimum) {
    best_ = std::move(optimum);
    result.objective = subset_objective(problem_, best_, run_.pool);
    result.method = Method::enumeration;
    run_.report(result.method, 1, 1, result.objective);
  }

  // Without redundancy f is a sum of importances, and linear maximisation solves it; with costs, up to one element.
  void without_redundancy() {
    Ascent ascent;
    ascent.x = support(problem_, Vector(problem_.importance, problem_.importance + problem_.n()), run_.pool).x;
    ascent.kx = multiply(problem_.k, ascent.x, run_.pool);
    ascent.history = {relaxed_objective(problem_, ascent.x, ascent.kx, run_.pool)};
    ascent.status = Status::converged;
    offer(run_.options.method == Method::automatic ? Method::greedy : run_.options.method, std::move(ascent));
  }

  void portfolio() {
    const Effort effort = run_.options.effort;
    const bool warm = run_.options.x0 != nullptr;
    std::vector<Method> methods;
    if (!warm) methods.push_back(Method::greedy);
    methods.push_back(Method::heat_bath);
    // It hardly ever wins, but where it is cheap the portfolio can promise never to be worse.
    if (effort == Effort::best || (effort == Effort::standard && !warm && problem_.n() <= kThoroughUpTo))
      methods.push_back(Method::pgd);
    if (effort == Effort::best) methods.insert(methods.end(), {Method::annealed, Method::continuation});
    methods.push_back(Method::lp);
    run_.expect_methods(static_cast<int>(methods.size()));
    for (const Method method : methods) {
      run_method(method);
      if (run_.expired()) return;
    }
    if (effort == Effort::best)
      search_on(kRounds);
    else if (effort == Effort::standard && !warm && result.method == Method::lp)
      search_on(1);
  }

  // The points of the relaxations, rounded; then, where they decide most elements, a search among the others.
  void round_relaxations() {
    using Depth = Relaxations::Depth;
    const Effort effort = run_.options.effort;
    if (run_.options.method == Method::lp)
      return round_point(relaxations_.linear_program(effort == Effort::fast ? Depth::fast : Depth::tight, best_, true));
    const bool hurried =
        effort == Effort::fast || problem_.n() > kThoroughUpTo || (effort == Effort::standard && run_.options.x0 != nullptr);
    round_point(relaxations_.linear_program(hurried ? Depth::fast : Depth::rounding, best_, false));
    if (effort == Effort::best) round_point(relaxations_.linear_program(Depth::tight, best_, false));
    if (effort != Effort::best || relaxations_.is_settled(result.objective)) return;
    round_point(relaxations_.semidefinite(BoundEffort::tight, best_));
    if (!relaxations_.is_settled(result.objective)) search_undecided();
  }

  // From the best subset so far at a low temperature, again and again.
  void search_on(int rounds) {
    const std::int64_t n_sweeps = std::max<std::int64_t>(1, sweeps(Effort::standard, problem_.n()) / kWarmShare);
    for (int round = 1; round <= rounds && !run_.expired() && !relaxations_.is_settled(result.objective); ++round)
      for (Annealing& found : heat_bath(problem_, best_, n_sweeps, {2, true, round}, run_)) {
        complete(problem_, found.subset, run_.pool);
        offer(Method::heat_bath, std::move(found));
      }
  }

  void round_point(Vector x) {
    if (x.empty() || run_.expired()) return;
    Multipliers multipliers;
    x = project(problem_, x, Vector(x.size(), 0.0), 1.0, multipliers, run_.pool);
    Ascent ascent;
    ascent.kx = multiply(problem_.k, x, run_.pool);
    ascent.x = std::move(x);
    ascent.status = Status::converged;
    ascent.history = {relaxed_objective(problem_, ascent.x, ascent.kx, run_.pool)};
    run_.report(Method::lp, 1, 1, ascent.history.back());
    offer(Method::lp, std::move(ascent));
  }

  void search_undecided() {
    const std::vector<std::int8_t> sides = relaxations_.decided(result.objective);
    const auto open = std::count(sides.begin(), sides.end(), 0);
    if (sides.empty() || 2 * open > problem_.n()) return;
    Problem narrowed = problem_;
    narrowed.fixed = sides.data();
    const Reduced core(narrowed, false, run_.pool);
    const std::int64_t budget = core.problem().budget;
    if (open == 0 || (!has_costs(problem_) && (budget <= 0 || budget >= open)) || is_linear(core.problem(), run_.pool)) return;
    Subset start = core.restrict(best_);
    complete(core.problem(), start, run_.pool);
    for (Annealing& found : heat_bath(core.problem(), start, sweeps(run_.options.effort, open), {4, false, 0}, run_)) {
      complete(core.problem(), found.subset, run_.pool);
      found.subset = core.expand(found.subset);
      complete(problem_, found.subset, run_.pool);  // a limit less costs is a rounded one
      offer(Method::heat_bath, std::move(found));
    }
  }

  void run_method(Method method) {
    run_.next_method();
    const Effort effort = run_.options.effort;
    const bool warm = run_.options.x0 != nullptr;
    const std::int64_t n_sweeps = std::max<std::int64_t>(1, sweeps(effort, problem_.n()) / (warm ? kWarmShare : 1));
    // A search may end below where it began.
    if (warm && (method == Method::heat_bath || method == Method::swap_annealing)) offer(method, Annealing{start(), 0, {}});
    switch (method) {
      case Method::greedy: {
        Subset subset(at(problem_.n()), 0);
        complete(problem_, subset, run_.pool);
        offer(method, {std::move(subset), 0, {}});
        break;
      }
      case Method::heat_bath: {
        const int chains = effort == Effort::fast ? 1 : effort == Effort::standard ? 2 : 4;
        auto found = heat_bath(problem_, start(), n_sweeps, {chains, warm, 0}, run_);
        // With no time left, the one that was best when last looked at.
        if (run_.expired()) found = {std::move(best_of(found, [](const Annealing& one) { return one.history.back(); }))};
        for (Annealing& one : found) complete(problem_, one.subset, run_.pool);
        // A polish changes less than a chain: the best is enough, but for the last drop.
        if (effort != Effort::best && found.size() > 1)
          found = {std::move(
              best_of(found, [&](const Annealing& one) { return subset_objective(problem_, one.subset, run_.pool); }))};
        for (Annealing& one : found) offer(method, std::move(one));
        break;
      }
      case Method::lp:
        if (best_.empty()) run_method(Method::greedy);
        round_relaxations();
        break;
      case Method::swap_annealing: {
        Annealing found = swap_annealing(problem_, start(), n_sweeps * problem_.n(), warm, run_);
        complete(problem_, found.subset, run_.pool);
        offer(method, std::move(found));
        break;
      }
      default:
        offer(method,
              ascend(problem_, method, method == Method::pgd || method == Method::continuation ? ends() : Spectrum{}, run_));
    }
  }

  template <class Value>
  static Annealing& best_of(std::vector<Annealing>& found, const Value& value) {
    std::size_t best = 0;
    double most = -INFINITY;
    for (std::size_t c = 0; c < found.size(); ++c) {
      const double of_this = value(found[c]);
      if (of_this > most) best = c;
      most = std::max(most, of_this);
    }
    return found[best];
  }

  // Where searches begin: the caller's point, the best so far, or the greedy subset.
  Subset start() {
    if (run_.options.x0 != nullptr) {
      const Vector x(run_.options.x0, run_.options.x0 + problem_.n());
      if (std::all_of(x.begin(), x.end(), [](double value) { return value == 0 || value == 1; })) {
        Subset subset(x.begin(), x.end());
        complete(problem_, subset, run_.pool);
        return subset;
      }
      Multipliers multipliers;
      Vector inside = project(problem_, x, Vector(x.size(), 0.0), 1.0, multipliers, run_.pool);
      const Vector kx = multiply(problem_.k, inside, run_.pool);
      return round_pairwise(problem_, std::move(inside), kx, run_.pool);
    }
    if (!best_.empty()) return best_;
    Subset subset(at(problem_.n()), 0);
    complete(problem_, subset, run_.pool);
    return subset;
  }

  void offer(Method method, Ascent ascent) {
    Subset subset = round_pairwise(problem_, ascent.x, ascent.kx, run_.pool);
    if (offer_subset(method, std::move(subset), ascent.iterations, std::move(ascent.history))) {
      result.x = std::move(ascent.x);
      result.status = ascent.status;
    }
  }

  // Of a feasible subset.
  void offer(Method method, Annealing found) {
    if (offer_subset(method, std::move(found.subset), found.iterations, std::move(found.history))) {
      result.x.clear();
      result.status = Status::converged;
    }
  }

  // Whether it is the best so far.
  bool offer_subset(Method method, Subset subset, std::int64_t iterations, std::vector<double> history) {
    const double begin = run_.seconds();
    std::int64_t swaps = 0;
    if (run_.options.polish && (!linear_ || has_costs(problem_)) && !run_.expired()) swaps = polish(problem_, subset, run_);
    const double value = subset_objective(problem_, subset, run_.pool);
    polish_seconds_ += run_.seconds() - begin;
    if (!best_.empty() && value <= result.objective) return false;
    best_ = std::move(subset);
    result.objective = value;
    result.method = method;
    result.iterations = iterations;
    result.swaps = swaps;
    result.history = std::move(history);
    return true;
  }

  const Problem& problem_;
  Relaxations& relaxations_;
  Run& run_;
  const bool linear_;
  std::optional<Spectrum> ends_;
  Subset best_;
  double polish_seconds_ = 0;
};

Result solve_scaled(const Problem& problem, const Options& options, ThreadPool& pool) {
  Run run(options, pool);
  double last = 0;
  std::vector<std::pair<std::string, double>> timings;
  const auto lap = [&](const char* stage) {
    timings.emplace_back(stage, run.seconds() - last);
    last = run.seconds();
  };

  const Presolved whole(problem, options.seed, pool);
  // The search may have to stay within a part; the bound is of the whole all the same.
  std::optional<Presolved> part;
  if (options.within != nullptr) {
    Problem narrowed = problem;
    narrowed.fixed = options.within;
    part.emplace(narrowed, options.seed, pool);
  }
  const Presolved& searched = part ? *part : whole;
  run.constant = searched.constant();
  Vector x0;
  if (options.x0 != nullptr) {
    x0 = searched.open.restrict(searched.given.restrict(options.x0).data());
    run.options.x0 = x0.data();
  }
  const bool bounded = options.bound != BoundEffort::none;
  Relaxations relaxations(whole.problem(), bounded && !part, run);
  std::optional<Relaxations> of_part;
  if (part) of_part.emplace(part->problem(), false, run);
  if (bounded) relaxations.modular();
  lap("presolve");

  Search search(searched.problem(), part ? *of_part : relaxations, run);
  search.run();
  Subset subset = searched.open.expand(search.best());
  Result result = std::move(search.result);
  if (run.expired()) result.status = run.interrupted() ? Status::interrupted : Status::time_limit;
  // Every optimum has what presolve proved; a local optimum of the rest may still be left by a swap with it.
  double polish_seconds = search.polish_seconds();
  if (searched.open.n_proved() > 0 && options.polish && !run.expired()) {
    polish_seconds -= run.seconds();
    result.swaps += polish(searched.given.problem(), subset, run);
    polish_seconds += run.seconds();
  }
  subset = searched.given.expand(subset);
  lap("search");
  timings.back().second -= polish_seconds;
  timings.emplace_back("polish", polish_seconds);

  result.x = result.x.empty() ? as_vector(subset) : searched.given.expand(searched.open.expand(result.x));
  for (double& value : result.history) value += run.constant;
  result.objective = subset_objective(problem, subset, pool);
  result.fixed = searched.open.n_proved();
  if (bounded) {
    Subset start = whole.open.restrict(whole.given.restrict(subset));
    complete(whole.problem(), start, pool);
    relaxations.tighten(options.bound, start);
    // A bound below the value found could only be rounding: the value found is attained.
    result.upper_bound = std::max(whole.constant() + relaxations.best().value + whole.padding(), result.objective);
    result.bound_kind = relaxations.best().kind;
    lap("bound");
  }
  for (std::int64_t i = 0; i < problem.n(); ++i)
    if (subset[at(i)]) result.indices.push_back(i);
  result.timings = std::move(timings);
  return result;
}

}  // namespace

std::optional<int> unit_of(double importance, double redundancy) {
  const double smaller = importance > 0 && redundancy > 0 ? std::min(importance, redundancy) : std::max(importance, redundancy);
  const double unit = std::max({smaller, importance / kLargest, redundancy / kLargest});
  if (unit < std::numeric_limits<double>::min()) return std::nullopt;
  return std::ilogb(unit);
}

const char* name(Method method) {
  switch (method) {
    case Method::automatic:
      return "auto";
    case Method::pgd:
      return "pgd";
    case Method::annealed:
      return "annealed";
    case Method::continuation:
      return "continuation";
    case Method::softmax:
      return "softmax";
    case Method::greedy:
      return "greedy";
    case Method::swap_annealing:
      return "swap-annealing";
    case Method::heat_bath:
      return "heat-bath";
    case Method::lp:
      return "lp";
    case Method::enumeration:
      return "enumeration";
  }
  return "unknown";
}

bool Run::report(Method method, std::int64_t iteration, std::int64_t total, double objective) {
  constexpr std::int64_t kSteps = 1000;  // of the progress
  pool.progress(
      (kSteps * std::max(method_, 0) + kSteps * std::min(iteration, total) / std::max<std::int64_t>(total, 1)) / methods_,
      kSteps);
  if (options.callback && options.callback({method, iteration, constant + objective, upper_bound, seconds()}))
    interrupted_ = true;
  return expired();
}

Result solve(const Problem& problem, const Options& options, ThreadPool& pool) {
  check(problem, options);
  const Rescaled scaled(problem, options, pool);
  return scaled.restored(solve_scaled(scaled.problem(), scaled.options(), pool));
}

double objective(const Problem& problem, const std::vector<std::int64_t>& indices, ThreadPool& pool) {
  check_numbers(problem);
  Subset subset(at(problem.n()), 0);
  for (const std::int64_t i : indices) subset[at(i)] = 1;
  return subset_objective(problem, subset, pool);
}

}  // namespace coremax::solver
