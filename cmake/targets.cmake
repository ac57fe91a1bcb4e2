# The mutable variants of these libraries, as far as there are any.
function(ringlock_mutable_links result)
  set(links)
  foreach(link ${ARGN})
    if(TARGET ${link}_mutable)
      list(APPEND links ${link}_mutable)
    else()
      list(APPEND links ${link})
    endif()
  endforeach()
  set(${result} ${links} PARENT_SCOPE)
endfunction()

# ringlock_library(name SOURCES... LINKS...): the one target of a folder. MUTABLE adds the variant
# <name>_mutable, with planted bugs that can be switched in (base/mutant.h), which only tests link.
function(ringlock_library name)
  cmake_parse_arguments(ARG "MUTABLE" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_LINKS} PRIVATE ringlock_warnings)
  if(ARG_MUTABLE)
    ringlock_mutable_links(mutable_links ${ARG_LINKS})
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
# MUTABLE links the variants with planted bugs: the environment's RINGLOCK_MUTANT switches one in.
function(ringlock_test name)
  cmake_parse_arguments(ARG "MUTABLE" "" "SOURCES;LINKS" ${ARGN})
  if(ARG_MUTABLE)
    ringlock_mutable_links(ARG_LINKS ${ARG_LINKS})
    list(APPEND ARG_SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/mutant_of_environment.cc)
    set_property(GLOBAL APPEND PROPERTY RINGLOCK_MUTABLE_TESTS $<TARGET_FILE:${name}>)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} doctest_main ringlock_warnings)
  target_compile_options(${name} PRIVATE -O0)  # Compiling a test takes longer than running it.
  add_test(NAME ${name} COMMAND ${name})
endfunction()
