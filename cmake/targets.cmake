# ringlock_library(name SOURCES... LINKS...): the one target of a folder.
function(ringlock_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_LINKS} PRIVATE ringlock_warnings ${ARG_PRIVATE_LINKS})
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
  add_test(NAME ${name} COMMAND ${name})
endfunction()
