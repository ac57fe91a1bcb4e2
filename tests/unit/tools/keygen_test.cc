#include "tools/lockctl/keygen.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "tests/unit/tools/processes.h"
#include "tools/lockctl/exit_code.h"

using tools::contents;
using tools::TemporaryFolder;
using namespace tools::lockctl;

TEST_CASE("a key is random bytes that only the owner can read") {
  const TemporaryFolder folder;
  REQUIRE(write_key(folder / "a").has_value());
  REQUIRE(write_key(folder / "b").has_value());
  CHECK(contents(folder / "a").size() == kKeyFileBytes);
  CHECK(contents(folder / "a") != contents(folder / "b"));
  struct stat status {};
  REQUIRE(stat((folder / "a").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
}

TEST_CASE("a key that exists is never overwritten") {
  const TemporaryFolder folder;
  REQUIRE(write_key(folder / "a").has_value());
  const std::string before = contents(folder / "a");
  const auto again = write_key(folder / "a");
  REQUIRE(!again.has_value());
  CHECK(again.error().exit_code == kUsage);
  CHECK(again.error().message.find("exists") != std::string::npos);
  CHECK(contents(folder / "a") == before);
}

TEST_CASE("a folder that is not there is named") {
  const auto answer = write_key("/nonexistent/folder/key");
  REQUIRE(!answer.has_value());
  CHECK(answer.error().message.find("/nonexistent/folder/key") == 0);
}
