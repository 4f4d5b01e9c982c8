// An array on the device that belongs to no library: a DLPack producer over memory of its own. Results are given to callers
// whose library can not be asked for memory; tests bring their data with it.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <memory>
#include <numeric>
#include <optional>
#include <vector>

#include "bindings/cuda/bind.h"
#include "bindings/dlpack.h"
#include "core/errors.h"

namespace coremax::bindings {
namespace {

struct Type {
  const char* name;
  dlpack::DataType code;
  DType dtype;
};

constexpr Type kTypes[] = {
    {"float32", {dlpack::kFloat, 32, 1}, DType::float32}, {"float64", {dlpack::kFloat, 64, 1}, DType::float64},
    {"float16", {dlpack::kFloat, 16, 1}, DType::float16}, {"bfloat16", {dlpack::kBfloat, 16, 1}, DType::bfloat16},
    {"int8", {dlpack::kInt, 8, 1}, DType::int8},          {"int32", {dlpack::kInt, 32, 1}, DType::int32},
    {"int64", {dlpack::kInt, 64, 1}, DType::int64},
};

constexpr std::int64_t kLegacyDefaultStream = 1;

const Type& type_of(const std::string& name) {
  for (const Type& type : kTypes)
    if (name == type.name) return type;
  throw py::type_error("an array of " + name + " on a device is not known here");
}

class DeviceArray {
 public:
  DeviceArray(std::vector<std::int64_t> shape, const std::string& dtype, const Place& place)
      : shape_(std::move(shape)), type_(type_of(dtype)), place_(place) {
    const cuda::CurrentDevice current(place.device);
    std::int64_t items = 1;
    for (const std::int64_t length : shape_) items = checked_multiply(items, length);
    bytes_ = checked_multiply(items, item_size(type_.dtype));
    memory_ = std::make_shared<cuda::SharedMemory>(bytes_);
  }

  // stream: of the reader, which has to wait for all that is in the call's stream now; None: the legacy default stream, -1: no
  // need to.
  py::capsule dlpack(const py::object& stream, const py::object& max_version) const {
    const std::int64_t reader = stream.is_none() ? kLegacyDefaultStream : stream.cast<std::int64_t>();
    if (reader != place_.stream && reader >= 0) {
      const cuda::CurrentDevice current(place_.device);
      cuda::Event written;
      written.record(place_.view());
      written.hold(Place{place_.device, reader}.view());
    }
    const bool versioned =
        !max_version.is_none() && max_version.cast<std::pair<std::uint32_t, std::uint32_t>>().first >= dlpack::kMajorVersion;
    return versioned ? capsule<dlpack::ManagedTensorVersioned>("dltensor_versioned")
                     : capsule<dlpack::ManagedTensor>("dltensor");
  }

  std::pair<int, int> device() const { return {dlpack::kCuda, place_.device}; }
  const std::vector<std::int64_t>& shape() const { return shape_; }
  const char* dtype() const { return type_.name; }

  // The bytes as they are, since NumPy has no bfloat16.
  py::bytes read() const {
    std::vector<char> host(static_cast<std::size_t>(bytes_));
    call_device(place_, [&](const cuda::Stream& stream, Control& control) {
      cuda::copy(host.data(), static_cast<const char*>(memory_->data()), bytes_, stream, "an array");
      stream.synchronize(&control);
    });
    return py::bytes(host.data(), host.size());
  }

 private:
  // A tensor of DLPack with all it points at.
  template <class Managed>
  struct Exported {
    Managed managed{};
    std::vector<std::int64_t> shape;
    std::vector<std::int64_t> strides;
    std::shared_ptr<cuda::SharedMemory> memory;
  };

  template <class Managed>
  py::capsule capsule(const char* name) const {
    auto exported = std::make_unique<Exported<Managed>>();
    exported->shape = shape_;
    exported->strides.resize(shape_.size());
    std::int64_t packed = 1;
    for (std::size_t axis = shape_.size(); axis-- > 0; packed *= shape_[axis]) exported->strides[axis] = packed;
    exported->memory = memory_;
    Managed& managed = exported->managed;
    if constexpr (requires { managed.version; }) managed.version = {dlpack::kMajorVersion, 0};
    managed.tensor = {memory_->data(),
                      {dlpack::kCuda, place_.device},
                      static_cast<std::int32_t>(shape_.size()),
                      type_.code,
                      exported->shape.data(),
                      exported->strides.data(),
                      0};
    managed.manager = exported.get();
    managed.deleter = [](Managed* self) { delete static_cast<Exported<Managed>*>(self->manager); };
    // A capsule that nobody took still has its name.
    PyObject* made = PyCapsule_New(&managed, name, [](PyObject* object) {
      for (const char* own : {"dltensor_versioned", "dltensor"})
        if (PyCapsule_IsValid(object, own)) {
          auto* unused = static_cast<Managed*>(PyCapsule_GetPointer(object, own));
          unused->deleter(unused);
        }
    });
    if (made == nullptr) throw py::error_already_set();
    exported.release();
    return py::reinterpret_steal<py::capsule>(made);
  }

  std::vector<std::int64_t> shape_;
  Type type_;
  Place place_;
  std::int64_t bytes_ = 0;
  std::shared_ptr<cuda::SharedMemory> memory_;
};

// Copies an array of NumPy to an output of as many bytes.
void write(const Array& out, const py::buffer& values, const Place& place) {
  const py::buffer_info info = values.request();
  std::int64_t bytes = item_size(out.dtype);
  for (const std::int64_t length : out.shape) bytes = checked_multiply(bytes, length);
  require(info.size * info.itemsize == bytes, "the array to copy has another size");
  char* data = output<char>(out, place, "out", out.shape, out.dtype);
  call_device(place, [&](const cuda::Stream& stream, Control& control) {
    cuda::copy(data, static_cast<const char*>(info.ptr), bytes, stream, "an array");
    stream.synchronize(&control);
  });
}

}  // namespace

const Array& expect(const Array& array, const Place& place, const char* name, std::size_t ndim,
                    std::initializer_list<DType> dtypes) {
  if (array.device_number != place.device) throw py::type_error(std::string(name) + " is not on the device of the call");
  expect_form(array, name, ndim, dtypes);
  return array;
}

void bind_device_array(py::module_& module) {
  bind_array_class(module);
  module.def("write", &write, py::arg("out"), py::arg("values"), py::arg("place"));
  module.def("import_array", &import_cuda_array, py::arg("obj"), py::arg("name"), py::arg("stream"));
  py::class_<Place>(module, "Place", "The device and the stream of a call, written as in DLPack.")
      .def(py::init<int, std::int64_t>(), py::arg("device"), py::arg("stream"))
      .def_readonly("device", &Place::device)
      .def_readonly("stream", &Place::stream);
  py::class_<DeviceArray>(module, "DeviceArray", "An array on a CUDA device, to be read through DLPack.")
      .def(py::init<std::vector<std::int64_t>, std::string, Place>(), py::arg("shape"), py::arg("dtype"), py::arg("place"))
      .def(
          "__dlpack__",
          [](const DeviceArray& array, const py::object& stream, const py::object& max_version, const py::object&,
             const py::object&) { return array.dlpack(stream, max_version); },
          py::kw_only(), py::arg("stream") = py::none(), py::arg("max_version") = py::none(), py::arg("dl_device") = py::none(),
          py::arg("copy") = py::none())
      .def("__dlpack_device__", &DeviceArray::device)
      .def_property_readonly("shape", [](const DeviceArray& array) { return py::tuple(py::cast(array.shape())); })
      .def_property_readonly("dtype", &DeviceArray::dtype)
      .def("read", &DeviceArray::read);
}

}  // namespace coremax::bindings
