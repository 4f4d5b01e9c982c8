// The extension module: configuration, the error table, and the words.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/bind.h"
#include "bindings/error_table.h"
#include "bindings/mapped_files.h"
#include "core/philox.h"
#include "isa/isa.h"

namespace py = pybind11;

// Free-threaded Python may call from many threads at once: what the module shares it locks (bind_sampling, bind_text).
PYBIND11_MODULE(_core, module, py::mod_gil_not_used()) {
  module.doc() = "The engines of coremax. Private: use the functions of the package coremax, which check and explain.";
  py::register_exception_translator(&coremax::bindings::translate);
  module.attr("__version__") = COREMAX_VERSION;
  module.attr("compiler") = __VERSION__;
  module.def("available_isas", [] {
    std::vector<std::string> names;
    for (const coremax::Isa isa : coremax::available_isas()) names.emplace_back(coremax::isa_name(isa));
    return names;
  });
  module.def(
      "resolve_isa", [](const std::string& request) { return std::string(coremax::isa_name(coremax::resolve_isa(request))); },
      py::arg("request"));
  module.def("default_threads", &coremax::default_threads);
  module.def("guard_mapped_files", &coremax::bindings::guard_mapped_files);
  module.def("watch_mapped_file", &coremax::bindings::watch_mapped_file, py::arg("address"), py::arg("n_bytes"));
  module.def("lost_mapped_file", &coremax::bindings::lost_mapped_file);
  module.def(
      "philox_block",
      [](const coremax::PhiloxBlock& counter, const std::array<std::uint32_t, 2>& key) {
        return coremax::philox_4x32_10(counter, key);
      },
      py::arg("counter"), py::arg("key"), "One block of the generator: for the known-answer tests.");
  coremax::bindings::bind_array(module);
  coremax::bindings::bind_graph(module);
  coremax::bindings::bind_sampling(module);
  coremax::bindings::bind_scores(module);
  coremax::bindings::bind_selection(module);
  coremax::bindings::bind_solver(module);
  coremax::bindings::bind_text(module);
}
