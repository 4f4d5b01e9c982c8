// The driver on a device: presolve, one method or several, polish, bound; solver.cpp step by step.
#include "solver/cuda/solver.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "cuda/random_bits.h"
#include "cuda/sort.h"
#include "solver/cuda/policy.h"
#include "solver/cuda/stages.h"
#include "solver/stages.h"

namespace coremax::solver::on_cuda {
namespace {

constexpr double kShiftEnough = 1e-5;  // as in bound.cpp
constexpr int kShiftLooks = 12;

template <class T>
cuda::Buffer<T> copied(const T* from, std::int64_t n, const cuda::Stream& stream, const char* what) {
  cuda::Buffer<T> buffer(n, stream, what);
  cuda::copy(buffer.data(), from, n, stream, what);
  return buffer;
}

// A problem without the elements that are fixed.
class Part {
 public:
  // fixed: what is fixed so far; null where nothing is. order: of all elements; null where they stay as they are.
  Part(const Elements& whole, cuda::Buffer<std::int8_t> fixed, const cuda::Buffer<std::int64_t>& order, TeamSpace& space,
       Call& call)
      : whole_(whole), elements_(whole), fixed_(std::move(fixed)) {
    const std::int64_t n = whole.n();
    const bool ordered = order.size() > 0;
    if (fixed_.size() == 0 && !ordered) return;
    if (fixed_.size() == 0) {
      fixed_ = {n, call.stream, "presolve"};
      cuda::set_bytes(fixed_.data(), 0, n, call.stream, "presolve");
    }
    taken_ = {n, call.stream, "presolve"};
    open_ = {2 * n, call.stream, "presolve"};
    indptr_ = {n + 1, call.stream, "presolve"};
    const cuda::Buffer<double> kx(n, call.stream, "presolve");
    const cuda::Buffer<Reduced> measured(1, call.stream, "presolve");
    reduction_ = {fixed_.data(),
                  taken_.data(),
                  kx.data(),
                  open_.data(),
                  open_.data() + n,
                  indptr_.data(),
                  ordered ? order.data() : nullptr};
    measure(whole, reduction_, measured.data(), space, call.stream);
    reduced_ = cuda::read_back(measured.data(), call.stream, "presolve", call.control);
    importance_ = {reduced_.n_open, call.stream, "the reduced problem"};
    indices_ = {reduced_.n_entries, call.stream, "the reduced problem"};
    values_ = {reduced_.n_entries, call.stream, "the reduced problem"};
    const cuda::Buffer<Entry> entries(ordered ? reduced_.n_entries : 0, call.stream, "the reduced problem");
    fill(whole, reduction_, reduced_.n_open, indices_.data(), values_.data(), ordered ? entries.data() : nullptr,
         importance_.data(), call.stream);
    if (ordered) {
      const cuda::Buffer<std::int32_t> long_rows(reduced_.n_open, call.stream, "the reduced problem");
      sort_rows(reduced_.n_open, indptr_.data(), entries.data(), long_rows.data(), space, call.stream);
      gather(reduced_.n_open, indptr_.data(), entries.data(), indptr_.data(), indices_.data(), values_.data(), call.stream);
    }
    reduction_.order = nullptr;  // the elements' numbers have it now
    elements_ = {importance_.data(),
                 {reduced_.n_open, indptr_.data(), indices_.data(), values_.data()},
                 reduced_.n_entries,
                 whole.alpha,
                 whole.budget - reduced_.n_in};
  }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  const Elements& elements() const { return elements_; }
  double constant() const { return reduced_.constant; }
  double padding() const { return reduced_.padding; }

  cuda::Buffer<double> expanded(cuda::Buffer<double> x, const cuda::Stream& stream) const {
    if (is_whole()) return x;
    cuda::Buffer<double> whole(whole_.n(), stream, "a point");
    expand(reduction_, whole_.n(), x.data(), whole.data(), stream);
    return whole;
  }
  cuda::Buffer<double> restricted(cuda::Buffer<double> whole, const cuda::Stream& stream) const {
    if (is_whole()) return whole;
    cuda::Buffer<double> x(elements_.n(), stream, "a point");
    restrict_to(reduction_, elements_.n(), whole.data(), x.data(), stream);
    return x;
  }

 private:
  bool is_whole() const { return fixed_.size() == 0; }

  const Elements whole_;
  Elements elements_;
  cuda::Buffer<std::int8_t> fixed_;
  Reduced reduced_{};
  Reduction reduction_;
  cuda::Buffer<double> taken_;
  cuda::Buffer<std::int32_t> open_;
  cuda::Buffer<std::int64_t> indptr_;
  cuda::Buffer<double> importance_;
  cuda::Buffer<std::int32_t> indices_;
  cuda::Buffer<float> values_;
};

// As order_of_ties of ../presolve.cpp, of which the order is the same.
cuda::Buffer<std::int64_t> order_of_ties(const Elements& problem, Call& call) {
  const std::int64_t n = problem.n();
  const char* what = "an order of elements of equal importance";
  cuda::Buffer<std::uint64_t> keys(n, call.stream, what);
  cuda::Buffer<std::int64_t> numbers(n, call.stream, what);
  const cuda::Buffer<unsigned> tied(1, call.stream, what);
  keys_of(n, problem.importance, keys.data(), numbers.data(), call.stream);
  cuda::sort_pairs(keys, numbers, 64, call.stream);
  cuda::set_bytes(tied.data(), 0, 1, call.stream, what);
  find_equal(n, keys.data(), tied.data(), call.stream);
  if (cuda::read_back(tied.data(), call.stream, what, call.control) == 0) return {};
  keys_of(n, problem.importance, keys.data(), numbers.data(), call.stream);  // the numbers, in order
  cuda::fill_random_bits(call.options.seed, coremax::Stream::ties, 0, n, keys.data(), call.stream);
  cuda::sort_pairs(keys, numbers, 64, call.stream);
  return numbers;
}

// What rounding and polish need beside x.
class MovesSpace {
 public:
  MovesSpace(std::int64_t n, const cuda::Stream& stream)
      : numbers_(2 * n, stream, "the gains of a subset"),
        changed_(n, stream, "the gains of a subset"),
        claims_(n, stream, "the swaps of a subset"),
        lists_(3 * n, stream, "the swaps of a subset") {}
  Moves with(double* x) const {
    const std::int64_t n = claims_.size();
    return {x,
            numbers_.data(),
            numbers_.data() + n,
            changed_.data(),
            claims_.data(),
            lists_.data(),
            lists_.data() + n,
            lists_.data() + 2 * n};
  }

 private:
  const cuda::Buffer<double> numbers_;
  const cuda::Buffer<std::uint8_t> changed_;
  const cuda::Buffer<std::uint32_t> claims_;
  const cuda::Buffer<std::int32_t> lists_;
};

double value_of(const Elements& problem, const cuda::Buffer<double>& x, TeamSpace& space, Call& call) {
  const cuda::Buffer<double> kx(problem.n(), call.stream, "the product of a point");
  const cuda::Buffer<double> value(1, call.stream, "a value of the objective");
  begin(problem, {x.data(), kx.data()}, Begin::as_is, 0, value.data(), space, call.stream);
  return cuda::read_back(value.data(), call.stream, "a value of the objective", call.control);
}

// Swaps until none improves or time is up; how many.
std::int64_t polish_all(const Elements& problem, const Moves& moves, TeamSpace& space, Call& call) {
  Polishing state;
  const cuda::Buffer<Polishing> on_device = copied(&state, 1, call.stream, "the state of a polish");
  const std::int64_t batches = std::clamp<std::int64_t>(policy::kEntriesPerLaunch / (problem.n_entries + 10 * problem.n() + 1),
                                                        4, policy::kBatchesPerLaunch);
  while (state.finished == 0 && !call.expired()) {
    polish(problem, moves, batches, on_device.data(), space, call.stream);
    state = cuda::read_back(on_device.data(), call.stream, "the state of a polish", call.control);
  }
  return state.swaps;
}

bool all_or_nothing(const Elements& problem) {
  return problem.n() == 0 || problem.budget == 0 || problem.budget == problem.n();
}

// As diagonal_shift_bound of bound.cpp, looked at every kShiftSteps steps; from a subset.
double diagonal_shift(const Elements& problem, const Spectrum& ends, const cuda::Buffer<double>& subset, TeamSpace& space,
                      Call& call) {
  const std::int64_t n = problem.n();
  const char* what = "a bound";
  const cuda::Buffer<double> x = copied(subset.data(), n, call.stream, what);
  const cuda::Buffer<double> y = copied(subset.data(), n, call.stream, what);
  const cuda::Buffer<double> slope(n, call.stream, what);
  ShiftState state;
  const cuda::Buffer<ShiftState> on_device = copied(&state, 1, call.stream, what);
  const double d = std::max(0.0, ends.margin - ends.lowest);
  const Shift shift{x.data(),        y.data(), slope.data(), d, 1 / (2 * problem.alpha * (ends.highest + ends.margin + d)),
                    on_device.data()};
  double before = INFINITY;
  for (int looks = 0; looks < kShiftLooks && !call.expired(); ++looks, before = state.bound) {
    take_shift_steps(problem, shift, space, call.stream);
    state = cuda::read_back(on_device.data(), call.stream, what, call.control);
    if (!(before - state.bound > kShiftEnough * std::abs(state.bound))) break;
  }
  return state.bound;
}

// The best subset of one or several methods.
class Search {
 public:
  Search(const Elements& problem, bool linear, const double* x0, TeamSpace& space, Call& call)
      : problem_(problem), linear_(linear), x0_(x0), space_(space), call_(call), moves_(problem.n(), call.stream) {}

  void run() {
    if (linear_) return without_redundancy();
    for (const Method method : methods()) {
      const bool by_steps = method == Method::pgd || method == Method::continuation;
      offer(method, ascend(problem_, method, by_steps ? ends() : Spectrum{}, x0_, space_, call_));
      if (call_.expired()) return;
    }
  }
  // A bound beside the modular one, from the best subset; infinity where it has nothing to say.
  double bound() { return linear_ || call_.expired() ? INFINITY : diagonal_shift(problem_, ends(), best_, space_, call_); }

  cuda::Buffer<double> take_best() { return std::move(best_); }
  cuda::Buffer<double> take_x() { return std::move(x_); }
  double polish_seconds() const { return polish_seconds_; }
  Result result;

 private:
  const Spectrum& ends() {
    if (!ends_) ends_ = spectrum(problem_.k, problem_.n_entries, call_.options.seed, space_, call_);
    return *ends_;
  }

  std::vector<Method> methods() const {
    if (call_.options.method != Method::automatic) return {call_.options.method};
    // Annealing is better where much is kept, continuation where little is; pgd alone takes a fifth of the time of both.
    if (call_.options.effort == Effort::fast) return {Method::pgd};
    if (call_.options.effort == Effort::standard) return {Method::continuation, Method::annealed};
    return {Method::pgd, Method::continuation, Method::annealed};
  }

  void without_redundancy() {
    Ascent ascent;
    ascent.x = {problem_.n(), call_.stream, "a relaxed point"};
    ascent.kx = {problem_.n(), call_.stream, "the product of a relaxed point"};
    const cuda::Buffer<double> numbers(2, call_.stream, "a value of the objective");
    support(problem_, ascent.x.data(), numbers.data(), space_, call_.stream);
    begin(problem_, {ascent.x.data(), ascent.kx.data()}, Begin::as_is, 0, numbers.data(), space_, call_.stream);
    ascent.history = {cuda::read_back(numbers.data(), call_.stream, "a value of the objective", call_.control)};
    ascent.status = Status::converged;
    offer(call_.options.method == Method::automatic ? Method::greedy : call_.options.method, std::move(ascent));
  }

  void offer(Method method, Ascent ascent) {
    cuda::Buffer<double> subset = copied(ascent.x.data(), problem_.n(), call_.stream, "a subset");
    const Moves moves = moves_.with(subset.data());
    if (problem_.n() > 0) on_cuda::round_pairwise(problem_, ascent.kx.data(), moves, space_, call_.stream);
    call_.stream.synchronize(call_.control);
    const double begin = call_.seconds();
    std::int64_t swaps = 0;
    if (call_.options.polish && !linear_ && !call_.expired()) swaps = polish_all(problem_, moves, space_, call_);
    const double value = value_of(problem_, subset, space_, call_);
    polish_seconds_ += call_.seconds() - begin;
    if (offered_ && value <= result.objective) return;
    offered_ = true;
    best_ = std::move(subset);
    x_ = std::move(ascent.x);
    result.objective = value;
    result.method = method;
    result.iterations = ascent.iterations;
    result.swaps = swaps;
    result.history = std::move(ascent.history);
    result.status = ascent.status;
  }

  const Elements& problem_;
  const bool linear_;
  const double* x0_;
  TeamSpace& space_;
  Call& call_;
  const MovesSpace moves_;
  std::optional<Spectrum> ends_;
  bool offered_ = false;
  cuda::Buffer<double> best_;
  cuda::Buffer<double> x_;
  double polish_seconds_ = 0;
};

void check_options(const Problem& problem, const Options& options) {
  const Method m = options.method;
  require(
      m == Method::automatic || m == Method::pgd || m == Method::continuation || m == Method::annealed || m == Method::softmax,
      std::string("method ") + name(m) +
          " runs on the CPU only; on a device there are auto, pgd, continuation, annealed and softmax");
  require(problem.budget >= 1 && problem.budget <= problem.k.n,
          "budget must be from 1 to n = " + std::to_string(problem.k.n) + ", got " + std::to_string(problem.budget));
  require(problem.alpha >= 0 && problem.alpha <= kLargest, "alpha must be from 0 to 1e100, got " + number_text(problem.alpha));
  require(options.within == nullptr, "nested subsets are found on the CPU only");
}

// The caller's problem in float64 and, after fit_unit, in the unit of unit_of; checked.
class Whole {
 public:
  Whole(const Problem& problem, const double* x0, TeamSpace& space, Call& call)
      : importance_(problem.k.n, call.stream, "importance"),
        elements_{importance_.data(), problem.k, problem.n_entries, problem.alpha, problem.budget} {
    widen(problem.importance, problem.importance_type == DType::float32, problem.k.n, importance_.data(), call.stream);
    look_ = look_at(elements_, x0, space, call);
    if (look_.bad >= 0) {
      const auto place = static_cast<std::int64_t>(look_.bad);
      const double value = cuda::read_back(importance_.data() + place, call.stream, "importance", call.control);
      const std::string which = "importance[" + std::to_string(place) + "] is ";
      require(std::isfinite(value), which + non_finite_name(value) + "; importance must be finite");
      require(false, which + number_text(value) + ", beyond the range of 1e100 the solver works in; rescale it");
    }
    if (look_.bad_x0 >= 0) require(false, "x0[" + std::to_string(static_cast<std::int64_t>(look_.bad_x0)) + "] is not finite");
    require(look_.least_similarity >= 0, "graph: negative similarities are dealt with on the CPU only; move the arrays there");
  }

  static Look look_at(const Elements& elements, const double* x0, TeamSpace& space, Call& call) {
    const cuda::Buffer<Look> found(1, call.stream, "a look at the problem");
    look(elements, x0, kLargest, found.data(), space, call.stream);
    return cuda::read_back(found.data(), call.stream, "a look at the problem", call.control);
  }

  // The exponent of the unit.
  int fit_unit(const cuda::Stream& stream) {
    const int exponent = unit_of(look_.largest_importance, elements_.alpha * look_.largest_similarity).value_or(0);
    scale(elements_.n(), exponent, importance_.data(), stream);
    elements_.alpha = std::ldexp(elements_.alpha, -exponent);
    return exponent;
  }
  const Elements& elements() const { return elements_; }

 private:
  const cuda::Buffer<double> importance_;
  Elements elements_;
  Look look_{};
};

// What bounding proves.
cuda::Buffer<std::int8_t> proved(const Elements& problem, std::int64_t& count, TeamSpace& space, Call& call) {
  const std::int64_t n = problem.n();
  cuda::Buffer<std::int8_t> fixed(n, call.stream, "presolve");
  const cuda::Buffer<double> ends(2 * n, call.stream, "presolve");
  const cuda::Buffer<std::int64_t> found(1, call.stream, "presolve");
  cuda::set_bytes(fixed.data(), 0, n, call.stream, "presolve");
  fix(problem, fixed.data(), ends.data(), ends.data() + n, found.data(), space, call.stream);
  count = cuda::read_back(found.data(), call.stream, "presolve", call.control);
  return count > 0 ? std::move(fixed) : cuda::Buffer<std::int8_t>();
}

}  // namespace

Result solve(const Problem& asked, const Options& options, const Answer& answer, const cuda::Stream& stream, Control* control) {
  check_options(asked, options);
  Call call(options, stream, control);
  TeamSpace space(asked.k.n, stream);
  Whole caller(asked, options.x0, space, call);
  const int exponent = caller.fit_unit(stream);
  call.set_unit(exponent);
  const Elements& problem = caller.elements();
  std::vector<std::pair<std::string, double>> timings;
  double last = 0;
  const auto lap = [&](const char* stage) {
    timings.emplace_back(stage, call.seconds() - last);
    last = call.seconds();
  };

  const Part given(
      problem,
      asked.fixed != nullptr ? copied(asked.fixed, problem.n(), stream, "fixed elements") : cuda::Buffer<std::int8_t>(),
      order_of_ties(problem, call), space, call);
  std::int64_t n_proved = 0;
  const Part open(given.elements(), proved(given.elements(), n_proved, space, call), {}, space, call);
  call.constant = given.constant() + open.constant();
  cuda::Buffer<double> x0;
  if (options.x0 != nullptr)
    x0 = open.restricted(given.restricted(copied(options.x0, problem.n(), stream, "x0"), stream), stream);
  const bool linear =
      all_or_nothing(open.elements()) ||
      problem.alpha * Whole::look_at(open.elements(), nullptr, space, call).largest_similarity < kLeastRedundancy;
  double bound = INFINITY;
  if (options.bound != BoundEffort::none) {
    const cuda::Buffer<double> most(open.elements().n(), stream, "a bound");
    const cuda::Buffer<Sum> sum(1, stream, "a bound");
    support(open.elements(), most.data(), &sum.data()->value, space, stream);
    bound = padded(cuda::read_back(sum.data(), stream, "a bound", control));
    call.upper_bound = call.constant + bound;
  }
  lap("presolve");

  Search search(open.elements(), linear, options.x0 != nullptr ? x0.data() : nullptr, space, call);
  search.run();
  Result result = std::move(search.result);
  const double search_ended = call.seconds();
  const double shifted = options.bound != BoundEffort::none ? search.bound() : INFINITY;
  const double bound_seconds = call.seconds() - search_ended;
  cuda::Buffer<double> subset = open.expanded(search.take_best(), stream);
  const cuda::Buffer<double> x = given.expanded(open.expanded(search.take_x(), stream), stream);
  if (call.expired()) result.status = call.interrupted() ? Status::interrupted : Status::time_limit;
  double polish_seconds = search.polish_seconds();
  // Every optimum has what presolve proved; a local optimum of the rest may still be left by a swap with it.
  if (n_proved > 0 && options.polish && !all_or_nothing(given.elements()) && !call.expired()) {
    polish_seconds -= call.seconds();
    const MovesSpace moves(given.elements().n(), stream);
    result.swaps += polish_all(given.elements(), moves.with(subset.data()), space, call);
    polish_seconds += call.seconds();
  }
  subset = given.expanded(std::move(subset), stream);
  lap("search");
  timings.back().second -= polish_seconds + bound_seconds;
  timings.emplace_back("polish", polish_seconds);
  if (options.bound != BoundEffort::none) timings.emplace_back("bound", bound_seconds);

  result.objective = std::ldexp(value_of(problem, subset, space, call), exponent);
  for (double& value : result.history) value = std::ldexp(value + call.constant, exponent);
  result.fixed = n_proved;
  if (options.bound != BoundEffort::none) {
    result.upper_bound =
        std::max(std::ldexp(given.constant() + open.constant() + std::min(bound, shifted) + (given.padding() + open.padding()),
                            exponent),
                 result.objective);
    result.bound_kind = shifted < bound ? BoundKind::diagonal_shift : BoundKind::modular;
  }
  numbers_of(problem.n(), subset.data(), answer.indices, space, stream);
  cuda::copy(answer.x, x.data(), problem.n(), stream, "x");
  result.timings = std::move(timings);
  return result;
}

double objective(const Problem& asked, const std::int64_t* indices, std::int64_t count, const cuda::Stream& stream,
                 Control* control) {
  const Options options;
  Call call(options, stream, control);
  TeamSpace space(asked.k.n, stream);
  const Whole caller(asked, nullptr, space, call);
  const cuda::Buffer<double> x(asked.k.n, stream, "a subset");
  cuda::set_bytes(x.data(), 0, asked.k.n, stream, "a subset");
  mark(indices, count, asked.k.n, x.data(), stream);
  return value_of(caller.elements(), x, space, call);
}

}  // namespace coremax::solver::on_cuda
