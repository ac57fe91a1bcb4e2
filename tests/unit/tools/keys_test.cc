#include "tools/lockctl/keys.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/unit/tools/processes.h"
#include "tools/lockctl/exit_code.h"
#include "tools/lockctl/keygen.h"

using tools::contents;
using tools::TemporaryFolder;
using namespace tools::lockctl;

namespace {

using Ids = std::vector<std::uint16_t>;

std::string error_of(const base::Result<KeyListing, Failure>& result) {
  return result ? "no error" : result.error().message;
}

}  // namespace

TEST_CASE("a new key file is one key, and a change of keys leads to a file with the new one only") {
  const TemporaryFolder folder;
  const std::string file = folder / "key";
  REQUIRE(write_key(file).has_value());
  const std::string first = contents(file);
  const auto listed = list_keys(file);
  REQUIRE(listed.has_value());
  CHECK(listed->ids == Ids{1});
  CHECK(listed->in_use == 1);
  CHECK(contents(file) == first);

  const auto added = add_key(file);
  REQUIRE(added.has_value());
  CHECK(added->ids == Ids{1, 2});
  CHECK(added->in_use == 1);
  const std::string text = contents(file);
  const auto both = base::parse_key_set(base::bytes_of(text));
  REQUIRE(both.has_value());
  CHECK(base::text_of(both->keys[0].secret) == first);
  CHECK(both->keys[0].secret != both->keys[1].secret);
  struct stat status {};
  REQUIRE(stat(file.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);

  CHECK(error_of(remove_key(file, 1)).find("key 1 is in use here") != std::string::npos);
  CHECK(contents(file) == text);
  REQUIRE(use_key(file, 2).has_value());
  const auto removed = remove_key(file, 1);
  REQUIRE(removed.has_value());
  CHECK(removed->ids == Ids{2});
  CHECK(removed->in_use == 2);
  const auto left = base::parse_key_set(base::bytes_of(contents(file)));
  REQUIRE(left.has_value());
  CHECK(left->keys[0].secret == both->keys[1].secret);
}

TEST_CASE("an id that is not there, a file that is not one and a full file are refused unchanged") {
  const TemporaryFolder folder;
  const std::string file = folder / "key";
  CHECK(error_of(add_key(file)).find(file) == 0);
  REQUIRE(write_key(file).has_value());
  CHECK(error_of(use_key(file, 2)) == file + ": has no key 2");
  CHECK(error_of(remove_key(file, 2)) == file + ": has no key 2");
  for (std::size_t count = 2; count <= base::kKeysMax; ++count) REQUIRE(add_key(file).has_value());
  const std::string full = contents(file);
  CHECK(error_of(add_key(file)).find("no room") != std::string::npos);
  CHECK(contents(file) == full);
  CHECK(error_of(list_keys(folder / ".")).find("not a regular file") != std::string::npos);
  std::ofstream(folder / "text") << "ringlock keys\nuse 1\nkey 1 short\n";
  CHECK(error_of(list_keys(folder / "text")).find("line 3") != std::string::npos);
}

TEST_CASE("a change that was interrupted is not overwritten by the next one") {
  const TemporaryFolder folder;
  const std::string file = folder / "key";
  REQUIRE(write_key(file).has_value());
  std::ofstream(file + ".new") << "half";
  CHECK(error_of(add_key(file)).find(file + ".new") == 0);
  CHECK(contents(file).size() == kKeyFileBytes);
}
