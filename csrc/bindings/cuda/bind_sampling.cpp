// Python's way into csrc/sampling/cuda.
#include <pybind11/numpy.h>

#include <chrono>
#include <memory>
#include <mutex>

#include "bindings/cuda/bind.h"
#include "core/errors.h"
#include "sampling/cuda/sampling.h"

namespace coremax::bindings {
namespace {

using sampling::on_cuda::AliasTable;

constexpr auto kWeightTypes = {DType::float32, DType::float64};

const Array& expect_weights(const Array& weights, const Place& place) {
  expect(weights, place, "weights", 1, kWeightTypes);
  require(weights.size(0) >= 1, "weights is empty");
  return weights;
}

// A table on its device, with the lock that keeps Python's threads apart.
class SharedTable {
 public:
  SharedTable(const Array& weights, const Place& place) : device_(place.device) {
    expect_weights(weights, place);
    call_device(place, [&](const cuda::Stream& stream, Control& control) {
      table_ = std::make_unique<AliasTable>(weights.data, weights.dtype, weights.size(0), stream, &control);
    });
  }
  ~SharedTable() {
    const cuda::CurrentDevice current(device_);
    table_.reset();
  }

  // f(table, stream, control)
  template <class F>
  void use(const Place& place, F&& f) {
    if (place.device != device_) throw py::value_error("the alias table is on another device");
    call_device(place, [&](const cuda::Stream& stream, Control& control) {
      std::unique_lock lock(mutex_, std::defer_lock);
      while (!lock.try_lock_for(std::chrono::milliseconds(50))) control.check();  // waiting, too, ends on Ctrl-C
      f(*table_, stream, &control);
    });
  }
  std::int64_t n() const { return table_->n(); }
  std::int64_t nbytes() const { return table_->nbytes(); }

 private:
  int device_;
  std::timed_mutex mutex_;
  std::unique_ptr<AliasTable> table_;
};

void update(SharedTable& shared, const Array& weights, const Place& place) {
  expect_weights(weights, place);
  shared.use(place, [&](AliasTable& table, const cuda::Stream& stream, Control* control) {
    table.update(weights.data, weights.dtype, weights.size(0), stream, control);
  });
}

void draw(SharedTable& shared, std::uint64_t seed, std::uint64_t offset, const Array& out, const Place& place) {
  const std::int64_t size = out.shape.empty() ? 0 : out.size(0);
  auto* data = output<std::int64_t>(out, place, "out", {size}, DType::int64);
  shared.use(place,
             [&](AliasTable& table, const cuda::Stream& stream, Control*) { table.sample(size, seed, offset, data, stream); });
}

void draw_at(SharedTable& shared, const Array& positions, std::uint64_t seed, const Array& out, const Place& place) {
  expect(positions, place, "positions", 1, {DType::int64});
  const std::int64_t size = positions.size(0);
  auto* data = output<std::int64_t>(out, place, "out", {size}, DType::int64);
  shared.use(place, [&](AliasTable& table, const cuda::Stream& stream, Control* control) {
    table.sample_at(static_cast<const std::int64_t*>(positions.data), size, seed, data, stream, control);
  });
}

py::array cells(SharedTable& shared, const Place& place) {
  std::int64_t n = 0;
  bool wide = false;
  std::unique_ptr<std::byte[]> copy;
  shared.use(place, [&](AliasTable& table, const cuda::Stream& stream, Control* control) {
    n = table.n();
    wide = table.layout().wide;
    copy = std::make_unique_for_overwrite<std::byte[]>(static_cast<std::size_t>(table.nbytes()));
    table.copy_cells(copy.get(), stream, control);
  });
  const py::dtype type = wide ? py::dtype::of<std::uint64_t>() : py::dtype::of<std::uint32_t>();
  const py::capsule owner(copy.get(), [](void* memory) { delete[] static_cast<std::byte*>(memory); });
  return py::array(type, {static_cast<py::ssize_t>(n), py::ssize_t{2}}, copy.release(), owner);
}

void draw_without_replacement(const Array& weights, bool log_weights, std::uint64_t seed, const Array& out,
                              const Place& place) {
  expect(weights, place, "weights", 1, kWeightTypes);
  const std::int64_t size = out.shape.empty() ? 0 : out.size(0);
  auto* data = output<std::int64_t>(out, place, "out", {size}, DType::int64);
  call_device(place, [&](const cuda::Stream& stream, Control& control) {
    sampling::on_cuda::sample_without_replacement(weights.data, weights.dtype, weights.size(0), size, log_weights, seed, data,
                                                  stream, &control);
  });
}

}  // namespace

void bind_cuda_sampling(py::module_& module) {
  py::class_<SharedTable>(module, "AliasTable", py::module_local())
      .def(py::init<const Array&, const Place&>(), py::arg("weights"), py::arg("place"))
      .def_property_readonly("n", &SharedTable::n)
      .def_property_readonly("nbytes", &SharedTable::nbytes)
      .def("update", &update, py::arg("weights"), py::arg("place"))
      .def("sample", &draw, py::arg("seed"), py::arg("offset"), py::arg("out"), py::arg("place"))
      .def("sample_at", &draw_at, py::arg("positions"), py::arg("seed"), py::arg("out"), py::arg("place"))
      .def("cells", &cells, py::arg("place"), "A copy of the cells [n, 2] on the host, threshold and alias.");
  module.def("sample_without_replacement", &draw_without_replacement, py::arg("weights"), py::arg("log_weights"),
             py::arg("seed"), py::arg("out"), py::arg("place"));
}

}  // namespace coremax::bindings
