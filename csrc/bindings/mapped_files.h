// Files that are mapped into memory while another process may shorten them.
//
// Reading behind the end of such a file raises SIGBUS, which ends the process. Between the guard and the end of the process
// this puts zeros in place of the pages that are gone, so that whoever reads goes on, and tells Python as if the signal had
// come from outside: its handler raises in the main thread, in engines as Ctrl-C does. For a program that is ours alone, the
// command line.
#pragma once

#include <cstdint>

namespace coremax::bindings {

// Begins to guard. Python must have a handler of SIGBUS already. False where the system has no such signal.
bool guard_mapped_files();

// A range of memory to which a file is mapped; returns its number, -1 where there is no room for more.
int watch_mapped_file(std::uintptr_t address, std::int64_t n_bytes);

// The number of a range whose file was shortened while it was read; -1 for none so far.
int lost_mapped_file();

}  // namespace coremax::bindings
