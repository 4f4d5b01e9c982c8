# Device code, in one place: the sources, which nvcc compiles for devices and g++ for the emulator of the tests, and the devices.
# Code for 8.0 serves 8.x, that for 9.0 and 10.0 their families; later ones compile the PTX of 10.0 when it is loaded.
set(COREMAX_CUDA_SOURCES
  csrc/cuda/device.cpp
  csrc/cuda/random_bits.cu
  csrc/cuda/sort.cu
  csrc/graph/cuda/centres.cpp
  csrc/graph/cuda/centres.cu
  csrc/graph/cuda/direct.cu
  csrc/graph/cuda/filter.cu
  csrc/graph/cuda/merge.cu
  csrc/graph/cuda/rows.cu
  csrc/graph/cuda/topk.cpp
  csrc/sampling/cuda/alias.cpp
  csrc/sampling/cuda/alias.cu
  csrc/sampling/cuda/race.cpp
  csrc/sampling/cuda/race.cu
  csrc/scores/cuda/agreement.cu
  csrc/scores/cuda/labels.cu
  csrc/scores/cuda/sim.cpp
  csrc/scores/cuda/values.cu
  csrc/solver/cuda/bound.cu
  csrc/solver/cuda/lanczos.cu
  csrc/solver/cuda/presolve.cu
  csrc/solver/cuda/relaxed.cpp
  csrc/solver/cuda/relaxed.cu
  csrc/solver/cuda/solver.cpp
  csrc/solver/cuda/swaps.cu
  csrc/solver/cuda/symmetric.cpp
  csrc/solver/cuda/symmetric.cu)
set(COREMAX_CUDA_BINDINGS
  csrc/bindings/array.cpp
  csrc/bindings/control.cpp
  csrc/bindings/solver_names.cpp
  csrc/bindings/cuda/module.cpp
  csrc/bindings/cuda/device_array.cpp
  csrc/bindings/cuda/bind_graph.cpp
  csrc/bindings/cuda/bind_sampling.cpp
  csrc/bindings/cuda/bind_scores.cpp
  csrc/bindings/cuda/bind_solver.cpp)
list(TRANSFORM COREMAX_CUDA_SOURCES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
list(TRANSFORM COREMAX_CUDA_BINDINGS PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
set(COREMAX_CUDA_ARCHITECTURES "80-real;90-real;100" CACHE STRING "Devices to compile for: compute capabilities, as CMake writes them")

if(COREMAX_CUDA)
  set(CMAKE_CUDA_ARCHITECTURES ${COREMAX_CUDA_ARCHITECTURES})
  enable_language(CUDA)
  find_package(CUDAToolkit 12.8 REQUIRED)
endif()

# As on the CPU nothing is contracted unasked. Warnings of the host's side are g++'s when it compiles for the emulator.
function(coremax_add_cuda_module target)
  target_sources(${target} PRIVATE ${COREMAX_CUDA_SOURCES})
  target_compile_features(${target} PRIVATE cuda_std_20)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-fmad=false --expt-relaxed-constexpr -Xcompiler=-fno-math-errno,-ffp-contract=off>
                                           $<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${COREMAX_WERROR}>>:-Werror=all-warnings>)
  set_target_properties(${target} PROPERTIES CUDA_RUNTIME_LIBRARY Static CUDA_VISIBILITY_PRESET hidden)
  target_link_libraries(${target} PRIVATE CUDA::cudart_static)
endfunction()
