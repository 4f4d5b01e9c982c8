# Fails where an object of an ISA level defines a weak symbol: the linker could take such a body, compiled for that level, for
# the baseline path of another file, which then stops on older CPUs.
# cmake -DNM=... -DOBJECTS=a.o,b.o -P check_isa_symbols.cmake
string(REPLACE "," ";" objects "${OBJECTS}")
set(checked 0)
foreach(object IN LISTS objects)
  if(object MATCHES "(avx|amx|neon|shani)[0-9a-z]*\\.cpp")
    execute_process(COMMAND ${NM} --defined-only -C ${object} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCH "[0-9a-f]+ [WVu] [^\n]*" weak "${symbols}")
    if(weak)
      message(FATAL_ERROR "${object} defines the weak symbol: ${weak}")
    endif()
    math(EXPR checked "${checked} + 1")
  endif()
endforeach()
if(checked EQUAL 0)
  message(FATAL_ERROR "no object of an ISA level among: ${OBJECTS}")
endif()
