#include "base/crc32c.h"

#include <doctest/doctest.h>

TEST_CASE("the checksum is the Castagnoli one, by its published check values") {
  CHECK(base::crc32c({}) == 0);
  CHECK(base::crc32c(base::bytes_of("123456789")) == 0xe3069283);
  const base::Buffer zeros(32);
  CHECK(base::crc32c(zeros) == 0x8a9136aa);
}
