# ringlock_library(name SOURCES... LINKS...): the one target of a folder. MUTABLE adds the variant
# <name>_mutable, with planted bugs switched in, which only the simulator links (base/mutant.h).
function(ringlock_library name)
  cmake_parse_arguments(ARG "MUTABLE" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_LINKS} PRIVATE ringlock_warnings)
  if(ARG_MUTABLE)
    set(mutable_links)
    foreach(link ${ARG_LINKS})
      if(TARGET ${link}_mutable)
        list(APPEND mutable_links ${link}_mutable)
      else()
        list(APPEND mutable_links ${link})
      endif()
    endforeach()
    add_library(${name}_mutable STATIC EXCLUDE_FROM_ALL ${ARG_SOURCES})
    target_compile_definitions(${name}_mutable PUBLIC RINGLOCK_MUTABLE)
    target_link_libraries(${name}_mutable PUBLIC ${mutable_links} PRIVATE ringlock_warnings)
  endif()
endfunction()

# ringlock_program(name SOURCES... LINKS...): a program at build/<folder>/<name>.
function(ringlock_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} ringlock_warnings)
endfunction()

# ringlock_test(name SOURCES... LINKS...): a doctest program, known to CTest under the same name.
function(ringlock_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} doctest_main ringlock_warnings)
  target_compile_options(${name} PRIVATE -O0)  # Compiling a test takes longer than running it.
  add_test(NAME ${name} COMMAND ${name})
endfunction()
