# The table of ISA levels: one translation unit each, compiled with its own flags while everything else stays at the baseline.
# GCC 12 takes the undefined source operand inside its own AVX-512 intrinsics for an uninitialised read (GCC bug 105593), so
# the warnings of such reads are off in those files.
# A new level is a row here (level|sources|flags), a value in csrc/isa/isa.h and the files of its row.
include(CheckCXXCompilerFlag)
set(COREMAX_ISA_SOURCES "")
set(COREMAX_AVX512_FLAGS "-mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  string(APPEND COREMAX_AVX512_FLAGS " -Wno-uninitialized -Wno-maybe-uninitialized")
elseif(MSVC)  # clang-cl
  string(REPLACE "-mprefer" "/clang:-mprefer" COREMAX_AVX512_FLAGS "${COREMAX_AVX512_FLAGS}")
endif()
if(NOT COREMAX_SCALAR_ONLY AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  list(APPEND COREMAX_ISA_SOURCES
    "avx2|csrc/graph/cpu/avx2.cpp csrc/isa/random_bits_avx2.cpp csrc/scores/cpu/avx2.cpp|-mavx2 -mfma"
    "avx512|csrc/graph/cpu/avx512.cpp csrc/isa/random_bits_avx512.cpp csrc/sampling/cpu/race_avx512.cpp csrc/scores/cpu/avx512.cpp|${COREMAX_AVX512_FLAGS}"
    "avx512vnni|csrc/graph/cpu/avx512vnni.cpp|${COREMAX_AVX512_FLAGS} -mavx512vnni"
    "shani|csrc/text/cpu/shani.cpp|-msha -msse4.1")
  # Tiles have to be asked for, which is known for Linux only; compilers know them since GCC 11 and Clang 12.
  if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    check_cxx_compiler_flag("-mamx-tile -mamx-int8 -mamx-bf16" COREMAX_COMPILER_HAS_AMX)
    if(COREMAX_COMPILER_HAS_AMX)
      list(APPEND COREMAX_ISA_SOURCES "amx|csrc/graph/cpu/amx.cpp|${COREMAX_AVX512_FLAGS} -mamx-tile -mamx-int8 -mamx-bf16")
    endif()
  endif()
elseif(NOT COREMAX_SCALAR_ONLY AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  # NEON is the baseline. The scalar loops of scores/ are compiled to it already. GCC 12 moves all of a tile's loads to its front and
  # then has too few registers for the sums: left where they are, nothing is spilled.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set(in_order "-fno-schedule-insns")
  endif()
  list(APPEND COREMAX_ISA_SOURCES
    "neon|csrc/graph/cpu/neon.cpp csrc/isa/random_bits_neon.cpp|${in_order}"
    "neondotprod|csrc/graph/cpu/neondotprod.cpp|-march=armv8.2-a+dotprod"
    "neonsha|csrc/text/cpu/neonsha.cpp|-march=armv8-a+crypto")
endif()

function(coremax_add_isa_sources target)
  foreach(row IN LISTS COREMAX_ISA_SOURCES)
    string(REPLACE "|" ";" fields "${row}")
    list(GET fields 0 level)
    list(GET fields 1 sources)
    list(GET fields 2 flags)
    separate_arguments(sources)
    separate_arguments(flags)
    target_sources(${target} PRIVATE ${sources})
    set_source_files_properties(${sources} PROPERTIES COMPILE_OPTIONS "${flags}")
    string(TOUPPER ${level} upper)
    target_compile_definitions(${target} PUBLIC COREMAX_HAVE_${upper}=1)
  endforeach()
endfunction()
