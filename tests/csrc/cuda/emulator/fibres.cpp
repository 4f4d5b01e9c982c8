// See fibres.h. Where the processor is known, a switch is a dozen instructions: the ucontext functions of the C library ask the
// system each time, and a test switches millions of times. The address sanitizer is told about every switch.
#include "fibres.h"

#include <sys/mman.h>

#include <new>
#include <utility>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace coremax::emulator {
namespace {

constexpr std::size_t kStackBytes = std::size_t{128} << 10;
constexpr std::size_t kGuardBytes = std::size_t{4} << 10;

// Stacks that wait for their next fibre.
class Stacks {
 public:
  void* take() {
    if (free_.empty()) {
      void* memory =
          mmap(nullptr, kStackBytes + kGuardBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (memory == MAP_FAILED) throw std::bad_alloc();
      mprotect(memory, kGuardBytes, PROT_NONE);
      free_.push_back(static_cast<char*>(memory) + kGuardBytes);
    }
    void* stack = free_.back();
    free_.pop_back();
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(stack, kStackBytes);
#endif
    return stack;
  }
  void give(void* stack) { free_.push_back(stack); }

 private:
  std::vector<void*> free_;
};

Stacks stacks;

#if defined(__x86_64__)
extern "C" void coremax_switch_fibre(void** save, void* load);
asm(R"(
.text
.globl coremax_switch_fibre
.hidden coremax_switch_fibre
.type coremax_switch_fibre, @function
coremax_switch_fibre:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size coremax_switch_fibre, .-coremax_switch_fibre
)");
#endif

}  // namespace

struct Fibre::State {
  std::function<void()> function;
  void* stack = nullptr;
  State* resumed_from = nullptr;  // the fibre that was running
#if defined(__x86_64__)
  void* inside = nullptr;
  void* outside = nullptr;
#else
  ucontext_t inside;
  ucontext_t outside;
#endif
#if defined(__SANITIZE_ADDRESS__)
  void* fake_inside = nullptr;
  void* fake_outside = nullptr;
  const void* outside_stack = nullptr;
  std::size_t outside_bytes = 0;
#endif
  static State* running;
  static void start();
};

Fibre::State* Fibre::State::running = nullptr;

void Fibre::State::start() {
  State* state = running;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &state->outside_stack, &state->outside_bytes);
#endif
  state->function();
  while (true) suspend();
}

Fibre::Fibre(std::function<void()> function) : state_(std::make_unique<State>()) {
  state_->function = std::move(function);
  state_->stack = stacks.take();
#if defined(__x86_64__)
  // As coremax_switch_fibre leaves a stack: six registers, then the address it returns to, which finds the stack as a call
  // would.
  auto* top = reinterpret_cast<void**>(static_cast<char*>(state_->stack) + kStackBytes) - 1;
  *top = nullptr;
  *--top = reinterpret_cast<void*>(&State::start);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  state_->inside = top;
#else
  getcontext(&state_->inside);
  state_->inside.uc_stack.ss_sp = state_->stack;
  state_->inside.uc_stack.ss_size = kStackBytes;
  state_->inside.uc_link = nullptr;
  makecontext(&state_->inside, &State::start, 0);
#endif
}

Fibre::~Fibre() { stacks.give(state_->stack); }

void Fibre::resume() {
  State* state = state_.get();
  state->resumed_from = std::exchange(State::running, state);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&state->fake_outside, state->stack, kStackBytes);
#endif
#if defined(__x86_64__)
  coremax_switch_fibre(&state->outside, state->inside);
#else
  swapcontext(&state->outside, &state->inside);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(state->fake_outside, nullptr, nullptr);
#endif
  State::running = state->resumed_from;
}

void Fibre::suspend() {
  State* state = State::running;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&state->fake_inside, state->outside_stack, state->outside_bytes);
#endif
#if defined(__x86_64__)
  coremax_switch_fibre(&state->inside, state->outside);
#else
  swapcontext(&state->inside, &state->outside);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(state->fake_inside, &state->outside_stack, &state->outside_bytes);
#endif
}

}  // namespace coremax::emulator
