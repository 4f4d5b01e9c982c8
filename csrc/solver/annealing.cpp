// Searches that move a subset at a falling temperature.
//
// heat_bath: Gibbs sampling of one element at a time. Given the others, element i is kept with probability
// 1 / (1 + exp((lambda_i - g_i) / T)): sweeps go through the elements in order, and an element that changes side updates the
// gains of its neighbours. The chemical potential lambda takes the place of the count: it follows the deviation from it, so
// that the count is nearly right all the time and complete() has little to mend. Against swaps of random pairs, which keep the
// count exactly, no proposal is wasted on hopeless pairs and memory is read in order: the same objective for a fiftieth of the
// time (measured at n = 20,000; docs/benchmarks.md).
//
// swap_annealing: Metropolis swaps of random pairs; with costs, single elements come and go as well.
//
// Temperatures are in units of the median redundancy of an edge, 2 alpha |K_ij|: that is what a decision is about. (A mean is
// spoilt by one huge edge.) Elements whose
// importance is far from the threshold are frozen from the start, as they should be.
#include <algorithm>
#include <array>
#include <cmath>

#include "core/log.h"
#include "core/power.h"
#include "solver/stages.h"

namespace coremax::solver {
namespace {

// The median of 2 alpha |K_ij| over (a sample of) the edges that have any.
double typical_weight(const Problem& problem) {
  constexpr std::int64_t kSample = 1 << 16;
  const std::int64_t entries = problem.k.indptr[problem.n()];
  const std::int64_t stride = std::max<std::int64_t>(1, entries / kSample);
  std::vector<float> sizes;
  const auto collect = [&](std::int64_t step) {
    for (std::int64_t e = 0; e < entries; e += step)
      if (problem.k.values[e] != 0) sizes.push_back(std::abs(problem.k.values[e]));
  };
  collect(stride);
  if (sizes.empty()) collect(1);
  const auto middle = sizes.begin() + static_cast<std::ptrdiff_t>(sizes.size() / 2);
  std::nth_element(sizes.begin(), middle, sizes.end());
  return 2 * problem.alpha * static_cast<double>(*middle);
}

struct Schedule {
  double hot;
  double cold;
};
// Neither end is best everywhere: where importance follows density, lower temperatures are. Chains take turns.
constexpr std::array<Schedule, 4> kSchedules = {{{0.5, 0.05}, {0.35, 0.01}, {0.5, 0.02}, {0.25, 0.01}}};

constexpr double kWarm = 0.4;  // of the temperature that a warm start begins at

constexpr std::int64_t kLanes = 16;            // elements looked at together
constexpr std::uint64_t kNoiseSize = 1 << 14;  // logistic quantiles in random order, read from random places

std::vector<float> logistic_noise(std::uint64_t seed) {
  std::vector<float> noise(kNoiseSize + kLanes);
  for (std::uint64_t r = 0; r < kNoiseSize; ++r) {
    const double u = (static_cast<double>(r) + 0.5) / static_cast<double>(kNoiseSize);
    noise[r] = static_cast<float>(portable_log(u) - portable_log(1 - u));
  }
  for (std::uint64_t r = kNoiseSize - 1; r > 0; --r)
    std::swap(noise[r], noise[random_bits(seed, Stream::heat_bath_noise, r) % (r + 1)]);
  std::copy_n(noise.begin(), kLanes, noise.begin() + kNoiseSize);
  return noise;
}

// A multiplier that follows how far a sum is from its limit: at once in proportion, and in the mean by what it learns.
class Potential {
 public:
  explicit Potential(double target) : target_(target) {}
  void set_temperature(double temperature) { stiffness_ = temperature / (1 + 0.002 * std::abs(target_)); }
  double at(double sum) const { return base_ + stiffness_ * (sum - target_); }
  double deviation(double sum) const { return sum - target_; }
  void learn(double mean_deviation, double lowest, double highest) {
    base_ = std::clamp(base_ + 0.5 * stiffness_ * mean_deviation, lowest, highest);
  }
  double base() const { return base_; }

 private:
  double target_;
  double stiffness_ = 0;
  double base_ = 0;
};

// One chain. Gains are kept relative to a threshold lambda_0 (times cost), in units of the typical weight, so that float32 is
// enough without groups and costs, where speed matters most; they are computed afresh every few sweeps.
template <class Real, bool kConstrained>
class Chain {
 public:
  Chain(const Problem& problem, const Subset& start, Schedule schedule, std::int64_t sweeps, double unit, std::uint64_t seed,
        std::uint64_t number)
      : problem_(problem),
        sweeps_(sweeps),
        unit_(unit),
        seed_(seed),
        number_(number),
        schedule_(schedule),
        subset_(start),
        noise_(logistic_noise(seed)),
        gain_(start.size()),
        spin_(start.size()),
        mean_cost_(mean_cost(problem)),
        total_(limit() / mean_cost_) {
    if constexpr (kConstrained) {
      if (has_groups(problem))
        for (const GroupLimit& g : problem.limits) {
          highs_.emplace_back(static_cast<double>(g.high));
          lows_.emplace_back(static_cast<double>(g.low));
        }
      in_group_.resize(highs_.size());
      extra_.resize(highs_.size());
    }
    set_reference();
  }

  // Runs some sweeps, or as many as there is time for; returns f of the subset before them.
  double advance(std::int64_t count, const ThreadPool::Worker& worker, const Run& run) {
    const double f = refresh();
    for (const std::int64_t end = std::min(sweeps_, done_ + count); done_ < end; ++done_) {
      const double progress = sweeps_ > 1 ? static_cast<double>(done_) / static_cast<double>(sweeps_ - 1) : 1.0;
      temperature_ = static_cast<Real>(schedule_.hot * portable_power(schedule_.cold / schedule_.hot, progress));
      if (!sweep(worker, run)) break;
    }
    return f;
  }
  const Subset& subset() const { return subset_; }
  std::int64_t sweeps_done() const { return done_; }

 private:
  static double mean_cost(const Problem& problem) {
    double sum = 0;
    for (std::int64_t i = 0; i < problem.n(); ++i) sum += cost(problem, i);
    return sum / static_cast<double>(problem.n());
  }
  double limit() const { return has_costs(problem_) ? problem_.cost_limit : static_cast<double>(problem_.budget); }
  Real relative_cost(std::int64_t i) const {
    return kConstrained ? static_cast<Real>(cost(problem_, i) / mean_cost_) : Real{1};
  }

  // lambda_0: the gain per cost at which as many elements lie above as the start keeps.
  void set_reference() {
    std::vector<double> by_cost = exact_gains();
    const auto kept = static_cast<std::int64_t>(std::count(subset_.begin(), subset_.end(), 1));
    for (std::int64_t i = 0; i < problem_.n(); ++i) by_cost[at(i)] /= static_cast<double>(relative_cost(i));
    const auto rank = by_cost.begin() + std::clamp<std::int64_t>(kept - 1, 0, problem_.n() - 1);
    std::nth_element(by_cost.begin(), rank, by_cost.end(), std::greater<>());
    reference_ = has_costs(problem_) ? std::max(0.0, *rank) : *rank;
  }

  std::vector<double> exact_gains() const {
    std::vector<double> gain(problem_.importance, problem_.importance + problem_.n());
    for (std::int64_t i = 0; i < problem_.n(); ++i)
      if (subset_[at(i)]) shift_gains(problem_, i, 1.0, gain);
    return gain;
  }

  double refresh() {
    const std::vector<double> exact = exact_gains();
    double f = 0;
    sum_ = 0;
    std::fill(in_group_.begin(), in_group_.end(), 0);
    for (std::int64_t i = 0; i < problem_.n(); ++i) {
      const double relative = (exact[at(i)] - reference_ * static_cast<double>(relative_cost(i))) / unit_;
      gain_[at(i)] = static_cast<Real>(std::clamp(relative, -1e30, 1e30));
      spin_[at(i)] = subset_[at(i)] ? Real{1} : Real{-1};
      if (!subset_[at(i)]) continue;
      f += (problem_.importance[i] + exact[at(i)]) / 2;
      sum_ += static_cast<double>(relative_cost(i));
      if constexpr (kConstrained)
        if (has_groups(problem_)) in_group_[group(problem_, i)] += 1;
    }
    return f;
  }

  // Whether it came to its end.
  bool sweep(const ThreadPool::Worker& worker, const Run& run) {
    total_.set_temperature(static_cast<double>(temperature_));
    for (std::size_t g = 0; g < highs_.size(); ++g) {
      highs_[g].set_temperature(static_cast<double>(temperature_));
      lows_[g].set_temperature(static_cast<double>(temperature_));
      set_extra(g);
    }
    const std::int64_t n = problem_.n();
    const std::int64_t n_blocks = (n + kLanes - 1) / kLanes;
    double deviation = 0;
    PhiloxBlock random{};
    set_threshold();
    for (std::int64_t block = 0; block < n_blocks; ++block) {
      // A Philox block has eight places in the noise.
      if (block % 8 == 0)
        random = philox(seed_, Stream::heat_bath,
                        (number_ << 56) + static_cast<std::uint64_t>(done_ * ((n_blocks + 7) / 8) + block / 8));
      if (block % 1024 == 0) {
        worker.poll();
        if (run.expired()) return false;
      }
      const std::uint32_t word = random[at(block % 8 / 2)];
      const float* noise = noise_.data() + ((block % 2 == 0 ? word : word >> 16) & (kNoiseSize - 1));
      look(block * kLanes, std::min(n, (block + 1) * kLanes), noise);
      deviation += total_.deviation(sum_);
    }
    const double lowest = has_costs(problem_) ? -reference_ / unit_ : -INFINITY;  // a price of cost is not negative
    total_.learn(deviation / static_cast<double>(n_blocks), lowest, INFINITY);
    for (std::size_t g = 0; g < highs_.size(); ++g) {
      highs_[g].learn(highs_[g].deviation(in_group_[g]), 0, INFINITY);
      lows_[g].learn(lows_[g].deviation(in_group_[g]), -INFINITY, 0);
    }
    return true;
  }

  // Nearly always nothing changes: a loop without branches finds that out.
  void look(std::int64_t begin, std::int64_t end, const float* noise) {
    if constexpr (!kConstrained) {
      if (end - begin == kLanes) {
        int changes = 0;
        for (std::int64_t l = 0; l < kLanes; ++l)
          changes += spin_[at(begin + l)] * (gain_[at(begin + l)] - threshold_ - temperature_ * noise[l]) < 0;
        if (changes == 0) return;
      }
    }
    for (std::int64_t i = begin; i < end; ++i)
      if (spin_[at(i)] * (gain_[at(i)] - threshold(i) - temperature_ * static_cast<Real>(noise[i - begin])) < 0) flip(i);
  }

  Real threshold(std::int64_t i) const {
    if constexpr (!kConstrained) return threshold_;
    return threshold_ * relative_cost(i) + (has_groups(problem_) ? extra_[group(problem_, i)] : Real{0});
  }

  void set_threshold() {
    double potential = total_.at(sum_);
    if (has_costs(problem_)) potential = std::max(potential, -reference_ / unit_);
    threshold_ = static_cast<Real>(potential);
  }
  void set_extra(std::size_t g) {
    const double count = in_group_[g];
    extra_[g] = static_cast<Real>((highs_[g].deviation(count) > 0 ? highs_[g].at(count) : highs_[g].base()) +
                                  (lows_[g].deviation(count) < 0 ? lows_[g].at(count) : lows_[g].base()));
  }

  void flip(std::int64_t i) {
    const bool add = spin_[at(i)] < 0;
    subset_[at(i)] = add;
    spin_[at(i)] = -spin_[at(i)];
    const double factor = (add ? -2 : 2) * problem_.alpha / unit_;
    for (std::int64_t e = problem_.k.indptr[i]; e < problem_.k.indptr[i + 1]; ++e)
      gain_[at(problem_.k.indices[e])] += static_cast<Real>(factor * static_cast<double>(problem_.k.values[e]));
    sum_ += (add ? 1 : -1) * static_cast<double>(relative_cost(i));
    set_threshold();
    if constexpr (kConstrained)
      if (has_groups(problem_)) {
        in_group_[group(problem_, i)] += add ? 1 : -1;
        set_extra(group(problem_, i));
      }
  }

  const Problem& problem_;
  const std::int64_t sweeps_;
  const double unit_;
  const std::uint64_t seed_;
  const std::uint64_t number_;
  const Schedule schedule_;
  Subset subset_;
  const std::vector<float> noise_;
  std::vector<Real> gain_;
  std::vector<Real> spin_;  // +1 kept, -1 not
  double mean_cost_;
  double reference_ = 0;
  double sum_ = 0;  // of relative costs kept
  Potential total_;
  std::vector<Potential> highs_;
  std::vector<Potential> lows_;
  std::vector<double> in_group_;
  std::vector<Real> extra_;
  Real threshold_ = 0;
  Real temperature_ = 0;
  std::int64_t done_ = 0;
};

template <class Real, bool kConstrained>
std::vector<Annealing> run_chains(const Problem& problem, const Subset& start, std::int64_t sweeps, Chains asked, Run& run) {
  const double unit = typical_weight(problem);
  std::vector<Chain<Real, kConstrained>> chains;
  for (int c = 0; c < asked.count; ++c) {
    Schedule schedule = kSchedules[at(c) % kSchedules.size()];
    if (asked.warm) schedule.hot = std::max(schedule.cold, kWarm * schedule.hot);
    chains.emplace_back(problem, start, schedule, sweeps, unit, run.options.seed,
                        static_cast<std::uint64_t>(asked.round * asked.count + c));
  }
  std::vector<Annealing> found(chains.size());
  const std::int64_t stretch = std::max<std::int64_t>(10, sweeps / 40);
  for (std::int64_t done = 0; done < sweeps; done += stretch) {
    run.pool.check();
    run.pool.run(asked.count, [&](std::int64_t c, const ThreadPool::Worker& worker) {
      found[at(c)].history.push_back(chains[at(c)].advance(stretch, worker, run));
      found[at(c)].iterations = chains[at(c)].sweeps_done();
    });
    double best = -INFINITY;
    for (const Annealing& one : found) best = std::max(best, one.history.back());
    if (run.report(Method::heat_bath, found[0].iterations, sweeps, best)) break;
  }
  for (std::size_t c = 0; c < chains.size(); ++c) found[c].subset = chains[c].subset();
  return found;
}

class Swapping {
 public:
  Swapping(const Problem& problem, const Subset& start, std::int64_t moves, bool warm, Run& run)
      : problem_(problem),
        run_(run),
        moves_(moves),
        schedule_(swap_schedule(warm)),
        unit_(typical_weight(problem)),
        subset_(start),
        ledger_(problem, start),
        gain_(gains(problem, multiply(problem.k, as_vector(start), run.pool), run.pool)),
        place_(start.size()) {
    for (std::int64_t i = 0; i < problem.n(); ++i) {
      auto& list = subset_[at(i)] ? in_ : out_;
      place_[at(i)] = list.size();
      list.push_back(i);
    }
  }

  Annealing run() {
    constexpr std::int64_t kStretch = 1 << 18;
    constexpr std::int64_t kLook = 1 << 13;  // at the clock
    Annealing found;
    double f = subset_objective(problem_, subset_, run_.pool);
    found.history.push_back(f);
    for (std::int64_t move = 0; move < moves_;) {
      run_.pool.check();
      const double progress = static_cast<double>(move) / static_cast<double>(moves_);
      temperature_ = unit_ * schedule_.hot * portable_power(schedule_.cold / schedule_.hot, progress);
      for (const std::int64_t end = std::min(moves_, move + kStretch); move < end; ++move) {
        if (move % kLook == 0 && run_.expired()) break;
        f += propose(move);
      }
      found.iterations = move;
      found.history.push_back(f);
      if (run_.report(Method::swap_annealing, move, moves_, f)) break;
    }
    found.subset = std::move(subset_);
    return found;
  }

 private:
  static Schedule swap_schedule(bool warm) {
    return {warm ? kWarm * kSchedules[0].hot : kSchedules[0].hot, kSchedules[1].cold};
  }

  double propose(std::int64_t move) {
    const PhiloxBlock random = philox(run_.options.seed, Stream::swap_annealing, static_cast<std::uint64_t>(move));
    const double coin = open_unit(random[2] | static_cast<std::uint64_t>(random[3]) << 32);
    if (has_costs(problem_) && move % 2 == 1) return propose_one(pick(random[0], problem_.n()), coin);
    if (in_.empty() || out_.empty()) return 0;
    const std::int64_t i = out_[at(pick(random[0], static_cast<std::int64_t>(out_.size())))];
    const std::int64_t j = in_[at(pick(random[1], static_cast<std::int64_t>(in_.size())))];
    if (!ledger_.can_swap(i, j)) return 0;
    const double change = gain_[at(i)] - gain_[at(j)] + 2 * problem_.alpha * entry(problem_.k, i, j);
    if (!accept(change, coin)) return 0;
    flip(j);
    flip(i);
    return change;
  }

  double propose_one(std::int64_t i, double coin) {
    if (subset_[at(i)] ? !ledger_.group_gives(i) : !ledger_.can_add(i)) return 0;
    const double change = subset_[at(i)] ? -gain_[at(i)] : gain_[at(i)];
    if (!accept(change, coin)) return 0;
    flip(i);
    return change;
  }

  static std::int64_t pick(std::uint32_t bits, std::int64_t count) {
    return static_cast<std::int64_t>((static_cast<std::uint64_t>(bits) * static_cast<std::uint64_t>(count)) >> 32);
  }
  bool accept(double change, double coin) const {
    return change >= 0 || (change > -40 * temperature_ && portable_log(coin) * temperature_ < change);
  }

  void flip(std::int64_t i) {
    auto& from = subset_[at(i)] ? in_ : out_;
    auto& to = subset_[at(i)] ? out_ : in_;
    from[place_[at(i)]] = from.back();
    place_[at(from.back())] = place_[at(i)];
    from.pop_back();
    place_[at(i)] = to.size();
    to.push_back(i);
    subset_[at(i)] ^= 1;
    subset_[at(i)] ? ledger_.add(i) : ledger_.drop(i);
    shift_gains(problem_, i, subset_[at(i)] ? 1.0 : -1.0, gain_);
  }

  const Problem& problem_;
  Run& run_;
  const std::int64_t moves_;
  const Schedule schedule_;
  const double unit_;
  double temperature_ = 0;
  Subset subset_;
  Ledger ledger_;
  Vector gain_;
  std::vector<std::size_t> place_;
  std::vector<std::int64_t> in_;
  std::vector<std::int64_t> out_;
};

}  // namespace

std::vector<Annealing> heat_bath(const Problem& problem, const Subset& start, std::int64_t sweeps, Chains chains, Run& run) {
  return is_plain(problem) ? run_chains<float, false>(problem, start, sweeps, chains, run)
                           : run_chains<double, true>(problem, start, sweeps, chains, run);
}

Annealing swap_annealing(const Problem& problem, const Subset& start, std::int64_t moves, bool warm, Run& run) {
  return Swapping(problem, start, moves, warm, run).run();
}

}  // namespace coremax::solver
