# One interface target with the flags every target shares.
# Contraction is off because results must be the same bits whatever the compiler fuses: where a fused multiply-add is part of
# the contract (graph/), the code asks for it by name.
add_library(coremax_flags INTERFACE)
target_compile_features(coremax_flags INTERFACE cxx_std_20)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
if(MSVC)
  target_compile_options(coremax_flags INTERFACE /W4 /fp:precise $<$<BOOL:${COREMAX_WERROR}>:/WX>)
else()
  target_compile_options(coremax_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off;-fno-math-errno;-Wall;-Wextra;-Wconversion;-Wshadow>"
    $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${COREMAX_WERROR}>>:-Werror>)
endif()
if(COREMAX_SANITIZE)
  target_compile_options(coremax_flags INTERFACE -fsanitize=${COREMAX_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(coremax_flags INTERFACE -fsanitize=${COREMAX_SANITIZE})
endif()
