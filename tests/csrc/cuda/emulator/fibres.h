// Fibres: functions with a stack of their own that give the processor to each other by name.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace coremax::emulator {

class Fibre {
 public:
  // Starts at the first resume(). The function must not throw. A fibre may be destroyed unfinished; then what is on its stack
  // is forgotten, not destroyed.
  explicit Fibre(std::function<void()> function);
  ~Fibre();
  Fibre(const Fibre&) = delete;
  Fibre& operator=(const Fibre&) = delete;
  void resume();          // from outside: returns when the fibre suspends or ends
  static void suspend();  // of the running fibre

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace coremax::emulator
