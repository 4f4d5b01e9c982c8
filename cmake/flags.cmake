# One interface target with the flags every target shares.
# Contraction is off because results must be the same bits whatever the compiler fuses: where a fused multiply-add is part of
# the contract (graph/), the code asks for it by name.
add_library(coremax_flags INTERFACE)
target_compile_features(coremax_flags INTERFACE cxx_std_20)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
# On Windows Clang takes Microsoft's place (clang-cl, with the same headers and libraries): the engines use 128-bit integers, whose
# division is in Clang's own library, as is the list of what the CPU has.
if(MSVC)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "Microsoft's compiler has no 128-bit integers: build with clang-cl, -DCMAKE_CXX_COMPILER=clang-cl -G Ninja")
  endif()
  target_compile_options(coremax_flags INTERFACE /W3 /clang:-ffp-contract=off $<$<BOOL:${COREMAX_WERROR}>:/WX>)
  target_compile_definitions(coremax_flags INTERFACE NOMINMAX)
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} --print-libgcc-file-name -rtlib=compiler-rt OUTPUT_VARIABLE builtins OUTPUT_STRIP_TRAILING_WHITESPACE
                  COMMAND_ERROR_IS_FATAL ANY)
  file(TO_CMAKE_PATH "${builtins}" builtins)
  target_link_libraries(coremax_flags INTERFACE "${builtins}")
else()
  target_compile_options(coremax_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off;-fno-math-errno;-Wall;-Wextra;-Wconversion;-Wshadow>"
    $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${COREMAX_WERROR}>>:-Werror>)
endif()
if(COREMAX_SANITIZE)
  target_compile_options(coremax_flags INTERFACE -fsanitize=${COREMAX_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(coremax_flags INTERFACE -fsanitize=${COREMAX_SANITIZE})
endif()
