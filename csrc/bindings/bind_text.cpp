// Python's way into csrc/text.
#include <mutex>

#include "bindings/bind.h"
#include "core/errors.h"
#include "text/text.h"

namespace coremax::bindings {
namespace {

using text::Characters;
using text::Document;
using text::NgramHasher;

text::Hash parse_hash(const std::string& name) {
  if (name == "fast") return text::Hash::fast;
  if (name == "sha256") return text::Hash::sha256;
  throw Error(ErrorKind::value, "unknown hash '" + name + "'");
}

// A hasher and the lock that keeps the calls of two Python threads apart.
struct Hasher {
  NgramHasher engine;
  std::mutex mutex;
};

std::shared_ptr<Characters> characters_of(const py::array_t<std::uint32_t, py::array::c_style>& entries) {
  return std::make_shared<Characters>(std::vector<std::uint32_t>(entries.data(), entries.data() + entries.size()));
}

std::unique_ptr<Hasher> build(const std::shared_ptr<Characters>& characters, const std::string& hash, int ngrams,
                              std::int64_t n_buckets, const std::string& isa) {
  return std::make_unique<Hasher>(NgramHasher(characters, {parse_hash(hash), ngrams, n_buckets, resolve_isa(isa)}));
}

// The tuple keeps them alive, and bytes and strings do not change.
std::vector<Document> documents_of(const py::tuple& texts) {
  std::vector<Document> documents;
  documents.reserve(texts.size());
  for (const py::handle item : texts) {
    if (PyBytes_Check(item.ptr())) {
      documents.push_back({PyBytes_AS_STRING(item.ptr()), PyBytes_GET_SIZE(item.ptr())});
    } else {
      if (!PyUnicode_Check(item.ptr()) || !PyUnicode_IS_ASCII(item.ptr()))
        throw py::type_error("texts must be bytes or ASCII strings");
      documents.push_back({static_cast<const char*>(PyUnicode_DATA(item.ptr())), PyUnicode_GET_LENGTH(item.ptr())});
    }
  }
  return documents;
}

void count(Hasher& hasher, const py::tuple& texts, int threads) {
  const auto documents = documents_of(texts);
  call_engine(threads, py::none(), [&](ThreadPool& pool) {
    const std::lock_guard lock(hasher.mutex);
    hasher.engine.count(documents, pool);
  });
}

py::array_t<std::int64_t> counts(Hasher& hasher) {
  std::vector<std::int64_t> result;
  call_engine(1, py::none(), [&](ThreadPool&) {
    const std::lock_guard lock(hasher.mutex);
    result = hasher.engine.counts();
  });
  return adopt(std::move(result));
}

py::tuple sum(Hasher& hasher, const py::tuple& texts, const Array& values, int threads) {
  expect(values, "values", 1, {DType::float64});
  require(values.size(0) == hasher.engine.n_buckets(), "values must have one element per bucket");
  const auto documents = documents_of(texts);
  py::array_t<double> sums(static_cast<py::ssize_t>(documents.size()));
  py::array_t<std::int64_t> n_tokens(static_cast<py::ssize_t>(documents.size()));
  double* sums_data = sums.mutable_data();
  std::int64_t* n_tokens_data = n_tokens.mutable_data();
  call_engine(threads, py::none(), [&](ThreadPool& pool) {
    const std::lock_guard lock(hasher.mutex);
    hasher.engine.sum(documents, static_cast<const double*>(values.data), sums_data, n_tokens_data, pool);
  });
  return py::make_tuple(sums, n_tokens);
}

}  // namespace

void bind_text(py::module_& module) {
  py::class_<Characters, std::shared_ptr<Characters>>(module, "Characters").def(py::init(&characters_of), py::arg("entries"));
  py::class_<Hasher>(module, "NgramHasher")
      .def(py::init(&build), py::arg("characters").none(false), py::arg("hashing"), py::arg("ngrams"), py::arg("n_buckets"),
           py::arg("isa"))
      .def("count", &count, py::arg("texts"), py::arg("threads"))
      .def("counts", &counts)
      .def("sum", &sum, py::arg("texts"), py::arg("values"), py::arg("threads"));
}

}  // namespace coremax::bindings
