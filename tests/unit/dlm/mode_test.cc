#include "dlm/mode.h"

#include <doctest/doctest.h>

#include <string_view>

namespace dlm {

TEST_CASE("the matrix is that of the kernel's lock manager") {
  constexpr std::string_view kRows[] = {"111111", "111110", "111000", "110100", "110000", "100000"};
  for (std::uint8_t a = 0; a < kModes; ++a) {
    for (std::uint8_t b = 0; b < kModes; ++b) {
      CAPTURE(a);
      CAPTURE(b);
      CHECK(compatible(*mode_of(a), *mode_of(b)) == (kRows[a][b] == '1'));
    }
  }
}

TEST_CASE("modes are read back from their names and numbers, and nothing else is a mode") {
  for (std::uint8_t number = 0; number < kModes; ++number) {
    CHECK(mode_of(to_string(*mode_of(number))) == mode_of(number));
  }
  CHECK(!mode_of(std::uint8_t{6}));
  CHECK(!mode_of(std::uint8_t{255}));
  CHECK(!mode_of("ex"));
  CHECK(!mode_of(""));
}

}  // namespace dlm
