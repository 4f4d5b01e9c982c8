// The driver of the relaxed methods and of the Lanczos process on a device: relaxed.cpp and lanczos.cpp, a launch at a time.
#include <algorithm>

#include "solver/cuda/policy.h"
#include "solver/cuda/stages.h"
#include "solver/lanczos.h"
#include "solver/stages.h"

namespace coremax::solver::on_cuda {
namespace {

class Relaxed {
 public:
  Relaxed(const Elements& problem, Method method, TeamSpace& space, Call& call)
      : problem_(problem),
        method_(method),
        space_(space),
        call_(call),
        value_(1, call.stream, "a value of the objective"),
        progress_(1, call.stream, "the state of an ascent"),
        history_(policy::kIterationsPerLaunch, call.stream, "the history of an ascent") {
    ascent_.x = {problem.n(), call.stream, "a relaxed point"};
    ascent_.kx = {problem.n(), call.stream, "the product of a relaxed point"};
  }

  Ascent take() { return std::move(ascent_); }

  void start(const double* x0) {
    if (x0 != nullptr) cuda::copy(ascent_.x.data(), x0, problem_.n(), call_.stream, "x0");
    begin_at(x0 != nullptr ? Begin::projected : Begin::constant);
  }

  void projected_gradient(double part_alpha, double step, std::int64_t iterations) {
    run(iterations, [&](Iterations& next, std::int64_t) {
      next.part_alpha = part_alpha;
      next.step = step;
    });
  }

  void continuation(double step, std::int64_t iterations) {
    if (iterations == 0) return;
    for (const double share : kContinuationShares) {
      if (share > kContinuationShares[0]) begin_at(Begin::restarted);
      projected_gradient(problem_.alpha * share, step / share, iterations);
      if (call_.expired()) return;
    }
  }

  void fermi_iterations(Cooling cooling, std::int64_t iterations) {
    const cuda::Buffer<double> temperatures(policy::kIterationsPerLaunch, call_.stream, "temperatures");
    run(iterations, [&](Iterations& next, std::int64_t done) {
      next.part_alpha = problem_.alpha;
      Vector of_launch(at(next.count));
      for (std::int64_t t = 0; t < next.count; ++t) of_launch[at(t)] = cooling.at(done + t);
      cuda::copy(temperatures.data(), of_launch.data(), next.count, call_.stream, "temperatures");
      next.temperatures = temperatures.data();
    });
  }

  double spread() {
    spread_of_gradient(problem_, point(), value_.data(), space_, call_.stream);
    return cuda::read_back(value_.data(), call_.stream, "the spread of a gradient", call_.control);
  }

 private:
  Point point() const { return {ascent_.x.data(), ascent_.kx.data()}; }

  void begin_at(Begin how) {
    const double share = static_cast<double>(problem_.budget) / static_cast<double>(problem_.n());
    on_cuda::begin(problem_, point(), how, share, value_.data(), space_, call_.stream);
    ascent_.history.push_back(cuda::read_back(value_.data(), call_.stream, "a value of the objective", call_.control));
  }

  // prepare(next, done) sets what the launch needs; the multiplier goes from one launch to the next.
  template <class Prepare>
  void run(std::int64_t iterations, const Prepare& prepare) {
    ascent_.status = Status::max_iterations;
    Progress progress{Multipliers::kUnknown, 0, 0};
    cuda::copy(progress_.data(), &progress, 1, call_.stream, "the state of an ascent");
    const std::int64_t work = problem_.n_entries + problem_.n();
    // Whoever wants to be told of every iteration may end the search there.
    const std::int64_t most = call_.options.callback
                                  ? 1
                                  : std::clamp<std::int64_t>(policy::kEntriesPerLaunch / work, 1, policy::kIterationsPerLaunch);
    for (std::int64_t done = 0; done < iterations;) {
      Iterations next;
      next.count = std::min(most, iterations - done);
      next.tolerance = call_.options.tolerance;
      next.history = history_.data();
      next.progress = progress_.data();
      prepare(next, done);
      iterate(problem_, point(), next, space_, call_.stream);
      progress = cuda::read_back(progress_.data(), call_.stream, "the state of an ascent", call_.control);
      const std::size_t known = ascent_.history.size();
      ascent_.history.resize(known + at(progress.done));
      cuda::copy(ascent_.history.data() + known, history_.data(), progress.done, call_.stream, "the history of an ascent");
      call_.stream.synchronize(call_.control);
      done += progress.done;
      ascent_.iterations += progress.done;
      if (call_.report(method_, ascent_.iterations, ascent_.history.back())) return;
      if (progress.converged != 0) {
        ascent_.status = Status::converged;
        return;
      }
    }
  }

  const Elements& problem_;
  const Method method_;
  TeamSpace& space_;
  Call& call_;
  const cuda::Buffer<double> value_;
  const cuda::Buffer<Progress> progress_;
  const cuda::Buffer<double> history_;
  Ascent ascent_;
};

}  // namespace

TeamSpace::TeamSpace(std::int64_t n, const cuda::Stream& stream)
    : units(std::max(n / kSumUnit + 1, policy::kBlocksMost)),
      arrived(1, stream, "the barrier of a launch"),
      partial(2 * TeamMemory::kWords * units, stream, "partial sums") {}

void Call::set_unit(int exponent) {
  exponent_ = exponent;
  options.temperature = std::min(std::ldexp(options.temperature, -exponent), kLargest * kLargest);
}

bool Call::report(Method method, std::int64_t iteration, double objective) {
  const auto restored = [&](double value) { return std::ldexp(value, exponent_); };
  if (options.callback &&
      options.callback({method, iteration, restored(constant + objective), restored(upper_bound), seconds()}))
    interrupted_ = true;
  return expired();
}

Ascent ascend(const Elements& problem, Method method, const Spectrum& ends, const double* x0, TeamSpace& space, Call& call) {
  Relaxed relaxed(problem, method, space, call);
  relaxed.start(x0);
  const std::int64_t iterations = iterations_of(method, call.options);
  if (method == Method::pgd)
    relaxed.projected_gradient(problem.alpha, gradient_step(problem.alpha, ends), iterations);
  else if (method == Method::continuation)
    relaxed.continuation(gradient_step(problem.alpha, ends), iterations);
  else
    relaxed.fermi_iterations(cooling_of(method, relaxed.spread(), call.options), iterations);
  return relaxed.take();
}

Spectrum spectrum(const graph::CsrView& k, std::int64_t n_entries, std::uint64_t seed, TeamSpace& space, Call& call) {
  const std::int64_t steps = lanczos_steps(k.n, n_entries);
  const cuda::Buffer<double> work(checked_multiply(k.n, 3 + (steps == k.n ? steps : 0)), call.stream,
                                  "the vectors of the Lanczos process");
  const cuda::Buffer<double> matrix(2 * steps, call.stream, "the matrix of the Lanczos process");
  const cuda::Buffer<LanczosState> state(1, call.stream, "the state of the Lanczos process");
  lanczos(k, seed, steps, work.data(), matrix.data(), matrix.data() + steps, state.data(), space, call.stream);
  const LanczosState reached = cuda::read_back(state.data(), call.stream, "the state of the Lanczos process", call.control);
  if (reached.radius == 0) return {};
  Vector diagonal(at(reached.steps));
  Vector off(at(reached.steps - 1));
  cuda::copy(diagonal.data(), matrix.data(), reached.steps, call.stream, "the matrix of the Lanczos process");
  cuda::copy(off.data(), matrix.data() + steps, reached.steps - 1, call.stream, "the matrix of the Lanczos process");
  call.stream.synchronize(call.control);
  return spectrum_of(diagonal, off, reached.exhausted != 0, reached.radius, k.n);
}

}  // namespace coremax::solver::on_cuda
