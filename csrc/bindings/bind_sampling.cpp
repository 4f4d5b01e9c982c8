// Python's way into csrc/sampling.
#include <chrono>
#include <mutex>
#include <shared_mutex>

#include "bindings/bind.h"
#include "core/errors.h"
#include "sampling/sampling.h"

namespace coremax::bindings {
namespace {

using sampling::AliasTable;

constexpr auto kWeightTypes = {DType::float32, DType::float64};

void check_size(std::int64_t size) { require(size >= 0, "size must not be negative, got " + std::to_string(size)); }

// A table with the lock that keeps draws and updates of several Python threads apart.
class SharedTable {
 public:
  explicit SharedTable(AliasTable&& table) : table_(std::move(table)) {}

  template <class F>
  void read(const ThreadPool& pool, F&& f) {
    auto gate = wait<std::unique_lock<std::timed_mutex>>(gate_, pool);
    const auto lock = wait<std::shared_lock<std::shared_timed_mutex>>(mutex_, pool);
    gate.unlock();
    f(std::as_const(table_));
  }
  template <class F>
  void write(const ThreadPool& pool, F&& f) {
    const auto gate = wait<std::unique_lock<std::timed_mutex>>(gate_, pool);
    const auto lock = wait<std::unique_lock<std::shared_timed_mutex>>(mutex_, pool);
    f(table_);
  }

 private:
  // Waiting, too, ends on Ctrl-C.
  template <class Lock>
  static Lock wait(typename Lock::mutex_type& mutex, const ThreadPool& pool) {
    Lock lock(mutex, std::defer_lock);
    while (!lock.try_lock_for(std::chrono::milliseconds(50))) pool.check();
    return lock;
  }

  std::timed_mutex
      gate_;  // an update that waits holds it, so that draws which never pause between them can not keep it waiting
  std::shared_timed_mutex mutex_;
  AliasTable table_;
};

const Array& expect_weights(const Array& weights) {
  expect(weights, "weights", 1, kWeightTypes);
  require(weights.size(0) >= 1, "weights is empty");
  return weights;
}

std::unique_ptr<SharedTable> build(const Array& weights, int threads) {
  expect_weights(weights);
  std::unique_ptr<SharedTable> table;
  call_engine(threads, py::none(), [&](ThreadPool& pool) {
    table = std::make_unique<SharedTable>(AliasTable(weights.data, weights.dtype, weights.size(0), pool));
  });
  return table;
}

void update(SharedTable& shared, const Array& weights, int threads) {
  expect_weights(weights);
  call_engine(threads, py::none(), [&](ThreadPool& pool) {
    shared.write(pool, [&](AliasTable& table) { table.update(weights.data, weights.dtype, weights.size(0), pool); });
  });
}

py::array_t<std::int64_t> draw(SharedTable& shared, std::int64_t size, std::uint64_t seed, std::uint64_t offset,
                               const std::string& isa_name, int threads) {
  check_size(size);
  checked_multiply(size, 8);
  const Isa isa = resolve_isa(isa_name);
  auto out = new_array<std::int64_t>({size});
  std::int64_t* data = out.mutable_data();
  call_engine(threads, py::none(), [&](ThreadPool& pool) {
    shared.read(pool, [&](const AliasTable& table) { table.sample(size, seed, offset, data, isa, pool); });
  });
  return out;
}

py::array_t<std::int64_t> draw_at(SharedTable& shared, const Array& positions, std::uint64_t seed, int threads) {
  expect(positions, "positions", 1, {DType::int64});
  auto out = new_array<std::int64_t>({positions.size(0)});
  std::int64_t* data = out.mutable_data();
  call_engine(threads, py::none(), [&](ThreadPool& pool) {
    shared.read(pool, [&](const AliasTable& table) {
      table.sample_at(static_cast<const std::int64_t*>(positions.data), positions.size(0), seed, data, pool);
    });
  });
  return out;
}

// What make(table) gives, a value that owns its memory, taken under the lock and without the GIL.
template <class F>
auto look(SharedTable& shared, F&& make) {
  decltype(make(std::declval<const AliasTable&>())) result{};
  call_engine(1, py::none(),
              [&](ThreadPool& pool) { shared.read(pool, [&](const AliasTable& table) { result = make(table); }); });
  return result;
}

py::array_t<double> probabilities(SharedTable& shared) {
  return adopt(look(shared, [](const AliasTable& table) {
    std::vector<double> out(static_cast<std::size_t>(table.n()));
    table.probabilities(out.data());
    return out;
  }));
}

py::array cells(SharedTable& shared) {
  struct Copy {
    bool wide;
    std::vector<std::uint64_t> words;
  };
  Copy copy = look(shared, [](const AliasTable& table) {
    const auto* first = static_cast<const std::uint64_t*>(table.cells());
    return Copy{table.layout().wide, {first, first + table.n() * table.layout().cell_bytes() / 8}};
  });
  const py::array_t<std::uint64_t> words = adopt(std::move(copy.words));
  const py::dtype type = copy.wide ? py::dtype::of<std::uint64_t>() : py::dtype::of<std::uint32_t>();
  return py::array(type, {words.nbytes() / 2 / type.itemsize(), py::ssize_t{2}}, words.data(), words);
}

// Cells of any type and shape; those of a table of so many are what the engine reads.
std::unique_ptr<SharedTable> restore(const py::array& given) {
  if (given.ndim() != 2 || given.shape(1) != 2 || given.shape(0) == 0)
    throw py::value_error("a saved alias table is an array of cells [n, 2], n at least 1");
  const bool wide = AliasTable::Layout::of(given.shape(0)).wide;
  if (!(wide ? py::dtype::of<std::uint64_t>() : py::dtype::of<std::uint32_t>()).equal(given.dtype()))
    throw py::value_error(std::string("an alias table of so many cells is saved as ") + (wide ? "uint64" : "uint32"));
  const py::array contiguous = py::array::ensure(given, py::array::c_style);
  return std::make_unique<SharedTable>(AliasTable(contiguous.data(), contiguous.shape(0)));
}

py::array_t<std::int64_t> permute(std::int64_t n, const Array& positions, std::uint64_t seed, int threads) {
  expect(positions, "positions", 1, {DType::int64});
  auto out = new_array<std::int64_t>({positions.size(0)});
  std::int64_t* data = out.mutable_data();
  call_engine(threads, py::none(), [&](ThreadPool& pool) {
    sampling::permute(n, seed, static_cast<const std::int64_t*>(positions.data), positions.size(0), data, pool);
  });
  return out;
}

py::array_t<std::int64_t> draw_without_replacement(const Array& weights, std::int64_t size, bool log_weights,
                                                   std::uint64_t seed, const std::string& isa_name, int threads) {
  expect(weights, "weights", 1, kWeightTypes);
  check_size(size);
  const Isa isa = resolve_isa(isa_name);
  std::vector<std::int64_t> drawn;
  call_engine(threads, py::none(), [&](ThreadPool& pool) {
    drawn =
        sampling::sample_without_replacement(weights.data, weights.dtype, weights.size(0), size, log_weights, seed, isa, pool);
  });
  return adopt(std::move(drawn));
}

void check_draws(const Array& weights, std::int64_t size, bool log_weights, int threads) {
  expect(weights, "weights", 1, kWeightTypes);
  check_size(size);
  call_engine(threads, py::none(), [&](ThreadPool& pool) {
    sampling::require_draws(size, sampling::check_weights(weights.data, weights.dtype, weights.size(0), log_weights, pool));
  });
}

py::tuple fastest_runners(const Array& weights, std::int64_t start, std::int64_t size, bool log_weights, std::uint64_t seed,
                          const std::string& isa_name, int threads) {
  expect(weights, "weights", 1, kWeightTypes);
  check_size(size);
  require(start >= 0 && start <= INT64_MAX - weights.size(0), "start must leave the numbers of all elements below 2^63");
  const Isa isa = resolve_isa(isa_name);
  sampling::FastestRunners fastest;
  call_engine(threads, py::none(), [&](ThreadPool& pool) {
    fastest =
        sampling::fastest_runners(weights.data, weights.dtype, weights.size(0), start, size, log_weights, seed, isa, pool);
  });
  return py::make_tuple(adopt(std::move(fastest.indices)), adopt(std::move(fastest.times)));
}

}  // namespace

void bind_sampling(py::module_& module) {
  py::class_<SharedTable>(module, "AliasTable")
      .def_property_readonly(
          "n", [](SharedTable& shared) { return look(shared, [](const AliasTable& table) { return table.n(); }); })
      .def_property_readonly(
          "nbytes", [](SharedTable& shared) { return look(shared, [](const AliasTable& table) { return table.nbytes(); }); })
      .def("sample", &draw, py::arg("size"), py::arg("seed"), py::arg("offset"), py::arg("isa"), py::arg("threads"))
      .def("sample_at", &draw_at, py::arg("positions"), py::arg("seed"), py::arg("threads"))
      .def("update", &update, py::arg("weights"), py::arg("threads"))
      .def("probabilities", &probabilities)
      .def("cells", &cells, "A copy of the cells [n, 2], threshold and alias, for restore_alias_table.");
  module.def("build_alias_table", &build, py::arg("weights"), py::arg("threads"));
  module.def("restore_alias_table", &restore, py::arg("cells"));
  module.def("permute", &permute, py::arg("n"), py::arg("positions"), py::arg("seed"), py::arg("threads"));
  module.def("sample_without_replacement", &draw_without_replacement, py::arg("weights"), py::arg("size"),
             py::arg("log_weights"), py::arg("seed"), py::arg("isa"), py::arg("threads"));
  module.def("check_draws", &check_draws, py::arg("weights"), py::arg("size"), py::arg("log_weights"), py::arg("threads"));
  module.def("fastest_runners", &fastest_runners, py::arg("weights"), py::arg("start"), py::arg("size"), py::arg("log_weights"),
             py::arg("seed"), py::arg("isa"), py::arg("threads"));
}

}  // namespace coremax::bindings
