# Debian packages only; ARCHITECTURE.md names the reason for each. tools/install-deps installs them.
find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBUV REQUIRED IMPORTED_TARGET libuv)

add_library(mbedcrypto INTERFACE)
find_path(MBEDTLS_INCLUDE_DIR mbedtls/chachapoly.h REQUIRED)
find_library(MBEDCRYPTO_LIBRARY mbedcrypto REQUIRED)
target_include_directories(mbedcrypto SYSTEM INTERFACE ${MBEDTLS_INCLUDE_DIR})
target_link_libraries(mbedcrypto INTERFACE ${MBEDCRYPTO_LIBRARY})
