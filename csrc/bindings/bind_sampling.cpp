// Python's way into csrc/sampling.
#include "bindings/bind.h"
#include "core/errors.h"
#include "sampling/sampling.h"

namespace coremax::bindings {
namespace {

using sampling::AliasTable;

constexpr auto kWeightTypes = {DType::float32, DType::float64};

void check_size(std::int64_t size) { require(size >= 0, "size must not be negative, got " + std::to_string(size)); }

std::unique_ptr<AliasTable> build(const Array& weights, int threads) {
  expect(weights, "weights", 1, kWeightTypes);
  require(weights.size(0) >= 1, "weights is empty");
  std::unique_ptr<AliasTable> table;
  call_engine(threads, py::none(), [&](ThreadPool& pool) { table = std::make_unique<AliasTable>(weights.data, weights.dtype, weights.size(0), pool); });
  return table;
}

py::array_t<std::int64_t> draw(const AliasTable& table, std::int64_t size, std::uint64_t seed, std::uint64_t offset, int threads) {
  check_size(size);
  checked_multiply(size, 8);
  py::array_t<std::int64_t> out(size);
  std::int64_t* data = out.mutable_data();
  call_engine(threads, py::none(), [&](ThreadPool& pool) { table.sample(size, seed, offset, data, pool); });
  return out;
}

py::array_t<std::int64_t> draw_without_replacement(const Array& weights, std::int64_t size, bool log_weights, std::uint64_t seed,
                                                   const std::string& isa_name, int threads) {
  expect(weights, "weights", 1, kWeightTypes);
  check_size(size);
  const Isa isa = resolve_isa(isa_name);
  std::vector<std::int64_t> drawn;
  call_engine(threads, py::none(), [&](ThreadPool& pool) {
    drawn = sampling::sample_without_replacement(weights.data, weights.dtype, weights.size(0), size, log_weights, seed, isa, pool);
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

py::tuple fastest_runners(const Array& weights, std::int64_t start, std::int64_t size, bool log_weights, std::uint64_t seed, const std::string& isa_name,
                          int threads) {
  expect(weights, "weights", 1, kWeightTypes);
  check_size(size);
  require(start >= 0 && start <= INT64_MAX - weights.size(0), "start must leave the numbers of all elements below 2^63");
  const Isa isa = resolve_isa(isa_name);
  sampling::FastestRunners fastest;
  call_engine(threads, py::none(), [&](ThreadPool& pool) {
    fastest = sampling::fastest_runners(weights.data, weights.dtype, weights.size(0), start, size, log_weights, seed, isa, pool);
  });
  return py::make_tuple(adopt(std::move(fastest.indices)), adopt(std::move(fastest.times)));
}

std::unique_ptr<AliasTable> restore(const py::array_t<std::uint64_t, py::array::c_style>& thresholds,
                                    const py::array_t<std::int64_t, py::array::c_style>& aliases) {
  if (thresholds.ndim() != 1 || aliases.ndim() != 1) throw py::value_error("a saved alias table has one-dimensional parts");
  return std::make_unique<AliasTable>(std::vector<std::uint64_t>(thresholds.data(), thresholds.data() + thresholds.size()),
                                      std::vector<std::int64_t>(aliases.data(), aliases.data() + aliases.size()));
}

}  // namespace

void bind_sampling(py::module_& module) {
  py::class_<AliasTable>(module, "AliasTable")
      .def_property_readonly("n", &AliasTable::n)
      .def("sample", &draw, py::arg("size"), py::arg("seed"), py::arg("offset"), py::arg("threads"))
      .def("probabilities",
           [](const AliasTable& table) {
             py::array_t<double> out(table.n());
             table.probabilities(out.mutable_data());
             return out;
           })
      .def("thresholds", [](const AliasTable& table) { return adopt(std::vector<std::uint64_t>(table.thresholds())); })
      .def("aliases", [](const AliasTable& table) { return adopt(std::vector<std::int64_t>(table.aliases())); });
  module.def("build_alias_table", &build, py::arg("weights"), py::arg("threads"));
  module.def("restore_alias_table", &restore, py::arg("thresholds"), py::arg("aliases"));
  module.def("sample_without_replacement", &draw_without_replacement, py::arg("weights"), py::arg("size"), py::arg("log_weights"), py::arg("seed"),
             py::arg("isa"), py::arg("threads"));
  module.def("check_draws", &check_draws, py::arg("weights"), py::arg("size"), py::arg("log_weights"), py::arg("threads"));
  module.def("fastest_runners", &fastest_runners, py::arg("weights"), py::arg("start"), py::arg("size"), py::arg("log_weights"), py::arg("seed"),
             py::arg("isa"), py::arg("threads"));
}

}  // namespace coremax::bindings
