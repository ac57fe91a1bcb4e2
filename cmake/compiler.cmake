# Warnings are errors everywhere; sanitizers come by preset.
set(RINGLOCK_SANITIZE "" CACHE STRING "Value for -fsanitize, e.g. address,undefined")

# Coverage that libFuzzer steers by, in everything, and the programs of tests/fuzz/ made for it. Needs clang.
option(RINGLOCK_FUZZ "Build the targets of tests/fuzz/ for libFuzzer" OFF)
if(RINGLOCK_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(RINGLOCK_CCACHE ccache)
if(RINGLOCK_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${RINGLOCK_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${RINGLOCK_CCACHE})
endif()

add_library(ringlock_warnings INTERFACE)
target_compile_options(ringlock_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)

if(RINGLOCK_SANITIZE)
  add_compile_options(-fsanitize=${RINGLOCK_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${RINGLOCK_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # g++ 12 sees uninitialised values in std::optional where its own instrumentation put them.
    add_compile_options(-Wno-maybe-uninitialized)
  endif()
endif()

include_directories(${PROJECT_SOURCE_DIR})
