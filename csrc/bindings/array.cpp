// Import of arrays. Mirrors the standard's Python protocol: https://dmlc.github.io/dlpack/latest/python_spec.html
#include "bindings/array.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "bindings/dlpack.h"

namespace coremax::bindings {
namespace {

constexpr const char* kCapsule = "dltensor";
constexpr const char* kCapsuleVersioned = "dltensor_versioned";
constexpr const char* kOurs = "coremax_tensor";

struct NamedType {
  std::uint8_t code;
  int bits;
  DType dtype;
  const char* name;
};

// The types that anything here accepts; others get a name for messages only.
constexpr NamedType kTypes[] = {
    {dlpack::kFloat, 32, DType::float32, "float32"}, {dlpack::kFloat, 64, DType::float64, "float64"},
    {dlpack::kFloat, 16, DType::float16, "float16"}, {dlpack::kBfloat, 16, DType::bfloat16, "bfloat16"},
    {dlpack::kInt, 8, DType::int8, "int8"},          {dlpack::kInt, 32, DType::int32, "int32"},
    {dlpack::kInt, 64, DType::int64, "int64"},
};

// The type of this code, or null.
const NamedType* find_type(std::uint8_t code, int bits) {
  const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [&](const NamedType& type) { return type.code == code && type.bits == bits; });
  return found == std::end(kTypes) ? nullptr : found;
}

void set_type(Array& array, const NamedType* type, const std::string& fallback) {
  array.dtype = type != nullptr ? type->dtype : DType::other;
  array.dtype_name = type != nullptr ? type->name : fallback;
}

// NumPy's types have a code, but for the bfloat16 that ml_dtypes adds to it. Its names take long to ask for.
void set_numpy_type(Array& array, const py::dtype& dtype) {
  // Bytes in the other order are numbers to nobody here; NumPy's name for such a type differs from ours.
  // Types that libraries add to NumPy's have numbers from 256 on.
  const bool native = (dtype.byteorder() == '=' || dtype.byteorder() == '|') && dtype.num() < 256;
  const std::uint8_t code = dtype.kind() == 'f' ? dlpack::kFloat : dtype.kind() == 'i' ? dlpack::kInt : 255;
  const NamedType* type = native ? find_type(code, static_cast<int>(dtype.itemsize() * 8)) : nullptr;
  const std::string name = type == nullptr ? std::string(py::str(dtype)) : "";
  if (name == "bfloat16") type = find_type(dlpack::kBfloat, 16);
  set_type(array, type, name);
}

Array from_numpy(const py::object& obj) {
  const auto numpy_array = py::reinterpret_borrow<py::array>(obj);
  Array array;
  set_numpy_type(array, numpy_array.dtype());
  array.data = numpy_array.data();
  array.readonly = !numpy_array.writeable();
  array.aligned = (numpy_array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0;
  for (py::ssize_t axis = 0; axis < numpy_array.ndim(); ++axis) {
    array.shape.push_back(numpy_array.shape(axis));
    // A stride that is no whole number of elements (a field of a record) becomes 0, which never counts as contiguous.
    const bool whole = numpy_array.itemsize() > 0 && numpy_array.strides(axis) % numpy_array.itemsize() == 0;
    array.strides.push_back(whole ? numpy_array.strides(axis) / numpy_array.itemsize() : 0);
  }
  array.owner = obj;
  return array;
}

// The destructor of our own capsule: gives a tensor back to its producer.
template <class Managed>
void give_back(PyObject* capsule) {
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, kOurs));
  if (managed->deleter != nullptr) managed->deleter(managed);
}

py::object take_capsule(const py::object& obj, const std::string& name, const std::int64_t* stream) {
  const py::object method = obj.attr("__dlpack__");
  py::dict given;
  if (stream != nullptr) given["stream"] = *stream;
  try {
    try {
      return method(**given, py::arg("max_version") = py::make_tuple(dlpack::kMajorVersion, 0));
    } catch (py::error_already_set& error) {
      if (!error.matches(PyExc_TypeError)) throw;
      return method(**given);  // a producer from before DLPack 1.0 knows no max_version
    }
  } catch (py::error_already_set& error) {
    const std::string reason = py::str(error.value());
    throw py::type_error(name + " can not be read through DLPack: " + reason);
  }
}

// A tensor's description, as far as it can be told from itself: what it says is added up here and dereferenced elsewhere.
void check_tensor(const dlpack::Tensor& tensor, bool on_cpu, const std::string& name) {
  constexpr int kMostDimensions = 64;  // as NumPy has them
  const auto require_sound = [&](bool sound, const char* what) {
    if (!sound) throw py::value_error(name + " comes with a DLPack tensor that " + what);
  };
  require_sound((tensor.device.type == dlpack::kCpu) == on_cpu, "is on another device than it said");
  require_sound(tensor.ndim >= 0 && tensor.ndim <= kMostDimensions, "does not have 0 to 64 dimensions");
  require_sound(tensor.ndim == 0 || tensor.shape != nullptr, "has no shape");
  const std::int64_t bytes = std::max<std::int64_t>(1, tensor.dtype.bits / 8) * std::max<std::int64_t>(1, tensor.dtype.lanes);
  std::int64_t size = 1, packed = 1, before = 0, after = 0;
  bool fits = true;
  for (std::int32_t axis = tensor.ndim; axis-- > 0;) {
    const std::int64_t extent = tensor.shape[axis], stride = tensor.strides != nullptr ? tensor.strides[axis] : packed;
    require_sound(extent >= 0, "has a negative size");
    std::int64_t reach = 0;
    if (extent > 1) fits = fits && !__builtin_mul_overflow(extent - 1, stride, &reach);
    std::int64_t& side = reach < 0 ? before : after;
    fits = fits && !__builtin_add_overflow(side, reach, &side) &&
           !__builtin_mul_overflow(packed, std::max<std::int64_t>(1, extent), &packed);
    size = extent == 0 ? 0 : size;
  }
  std::int64_t last = 0;
  fits = fits && !__builtin_mul_overflow(packed, bytes, &packed) && !__builtin_mul_overflow(after, bytes, &last) &&
         !__builtin_mul_overflow(before, bytes, &last);
  require_sound(fits, "is larger than memory can be");
  require_sound(size == 0 || tensor.data != nullptr, "has no data");
}

std::string device_name(int type, int number) {
  if (type == dlpack::kCpu) return "cpu";
  if (type == dlpack::kCuda || type == dlpack::kCudaManaged) return "cuda:" + std::to_string(number);
  return "device type " + std::to_string(type);
}

// stream: null for an array on the CPU, else the array is on a CUDA device. One that is elsewhere is not looked into.
Array from_dlpack(const py::object& obj, const std::string& name, const std::int64_t* stream) {
  std::pair<int, int> device;
  try {
    device = obj.attr("__dlpack_device__")().cast<std::pair<int, int>>();
  } catch (py::cast_error&) {
    throw py::type_error(name + ": __dlpack_device__ did not return two numbers");
  }
  const auto [type, number] = device;
  Array array;
  array.device = device_name(type, number);
  array.dtype_name = "unknown";
  const bool on_cuda = array.device.starts_with("cuda");
  if (stream == nullptr ? array.device != "cpu" : !on_cuda) return array;
  if (on_cuda) array.device_number = number;
  const py::object producer = take_capsule(obj, name, stream);
  const dlpack::Tensor* tensor = nullptr;
  void* managed = nullptr;
  const char* used_name = nullptr;
  PyCapsule_Destructor destroy = nullptr;
  if (PyCapsule_IsValid(producer.ptr(), kCapsuleVersioned)) {
    auto* versioned = static_cast<dlpack::ManagedTensorVersioned*>(PyCapsule_GetPointer(producer.ptr(), kCapsuleVersioned));
    if (versioned->version.major != dlpack::kMajorVersion)
      throw py::type_error(name + " speaks DLPack " + std::to_string(versioned->version.major) + ", coremax reads 0 and 1");
    array.readonly = (versioned->flags & dlpack::kFlagReadOnly) != 0;
    tensor = &versioned->tensor;
    managed = versioned;
    used_name = "used_dltensor_versioned";
    destroy = give_back<dlpack::ManagedTensorVersioned>;
  } else if (PyCapsule_IsValid(producer.ptr(), kCapsule)) {
    auto* legacy = static_cast<dlpack::ManagedTensor*>(PyCapsule_GetPointer(producer.ptr(), kCapsule));
    tensor = &legacy->tensor;
    managed = legacy;
    used_name = "used_dltensor";
    destroy = give_back<dlpack::ManagedTensor>;
  } else {
    throw py::type_error(name + ": __dlpack__ did not return a DLPack capsule");
  }
  // From here on the tensor is ours: the producer's capsule is marked as used and our own calls the deleter.
  array.owner = py::reinterpret_steal<py::object>(PyCapsule_New(managed, kOurs, destroy));
  if (!array.owner) throw py::error_already_set();
  PyCapsule_SetName(producer.ptr(), used_name);

  check_tensor(*tensor, type == dlpack::kCpu, name);
  const dlpack::DataType dtype = tensor->dtype;
  set_type(array, dtype.lanes == 1 ? find_type(dtype.code, dtype.bits) : nullptr,
           "DLPack type " + std::to_string(dtype.code) + " of " + std::to_string(dtype.bits) + " bits");
  const auto address = reinterpret_cast<std::uintptr_t>(tensor->data) + static_cast<std::uintptr_t>(tensor->byte_offset);
  array.data = reinterpret_cast<const void*>(address);
  const std::uintptr_t element = std::max<std::uintptr_t>(1, dtype.bits / 8u);
  array.aligned = !std::has_single_bit(element) || address % element == 0;
  array.shape.assign(tensor->shape, tensor->shape + tensor->ndim);
  array.strides.resize(array.shape.size());
  std::int64_t packed = 1;
  for (std::size_t axis = array.shape.size(); axis-- > 0; packed *= std::max<std::int64_t>(1, array.shape[axis]))
    array.strides[axis] = tensor->strides != nullptr ? tensor->strides[axis] : packed;
  return array;
}

}  // namespace

bool Array::empty() const { return std::find(shape.begin(), shape.end(), 0) != shape.end(); }

bool Array::rows_contiguous() const {
  return empty() || (aligned && (shape.empty() || shape.back() == 1 || strides.back() == 1));
}

bool Array::contiguous() const {
  if (empty()) return true;
  std::int64_t packed = 1;
  for (std::size_t axis = shape.size(); axis-- > 0; packed *= shape[axis])
    if (shape[axis] > 1 && strides[axis] != packed) return false;
  return aligned;
}

Array import_array(const py::object& obj, const std::string& name) {
  if (py::isinstance<py::array>(obj)) return from_numpy(obj);
  if (py::hasattr(obj, "__dlpack__") && py::hasattr(obj, "__dlpack_device__")) return from_dlpack(obj, name, nullptr);
  throw py::type_error(name + " must be an array (NumPy, PyTorch or any other DLPack producer), got " +
                       std::string(py::str(py::type::of(obj).attr("__name__"))));
}

Array import_cuda_array(const py::object& obj, const std::string& name, std::int64_t stream) {
  if (!py::hasattr(obj, "__dlpack__") || !py::hasattr(obj, "__dlpack_device__"))
    throw py::type_error(name + " must be an array on a CUDA device, got " +
                         std::string(py::str(py::type::of(obj).attr("__name__"))));
  return from_dlpack(obj, name, &stream);
}

void expect_form(const Array& array, const char* name, std::size_t ndim, std::initializer_list<DType> dtypes) {
  if (array.shape.size() != ndim) throw py::value_error(std::string(name) + " has the wrong number of dimensions");
  if (std::find(dtypes.begin(), dtypes.end(), array.dtype) == dtypes.end())
    throw py::type_error(std::string(name) + " has dtype " + array.dtype_name);
  if (ndim == 1 && !array.contiguous()) throw py::value_error(std::string(name) + " is not contiguous");
  if (ndim == 2 && !array.rows_contiguous()) throw py::value_error(std::string(name) + " does not have contiguous rows");
}

const Array& expect(const Array& array, const char* name, std::size_t ndim, std::initializer_list<DType> dtypes) {
  if (array.device != "cpu") throw py::type_error(std::string(name) + " is not on the CPU");
  expect_form(array, name, ndim, dtypes);
  return array;
}

MatrixView matrix_view(const Array& array, const char* name, std::initializer_list<DType> dtypes) {
  expect(array, name, 2, dtypes);
  return {array.data, array.dtype, array.shape[0], array.shape[1], array.strides[0]};
}

// Each extension module has a class of its own: neither needs the other.
py::class_<Array> bind_array_class(py::module_& module) {
  return py::class_<Array>(module, "Array", "A view of an array of any library; see import_array.", py::module_local())
      .def_property_readonly("shape", [](const Array& a) { return py::tuple(py::cast(a.shape)); })
      .def_property_readonly("address", [](const Array& a) { return reinterpret_cast<std::uintptr_t>(a.data); })
      .def_readonly("dtype", &Array::dtype_name)
      .def_readonly("device", &Array::device)
      .def_readonly("readonly", &Array::readonly)
      .def_property_readonly("contiguous", &Array::contiguous)
      .def_property_readonly("rows_contiguous", &Array::rows_contiguous);
}

void bind_array(py::module_& module) {
  bind_array_class(module);
  module.def("import_array", &import_array, py::arg("obj"), py::arg("name"));
}

}  // namespace coremax::bindings
