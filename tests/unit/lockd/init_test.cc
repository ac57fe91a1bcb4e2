#include "lockd/init.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "lockd/record_file.h"
#include "tests/unit/lockd/temporary_folder.h"

namespace lockd {
namespace {

constexpr ClusterId kCluster = {1, 2, 3};
constexpr base::NodeId kSelf{2};

Record record_in(const std::string& state_dir) {
  const auto file = RecordFile::open(state_dir, kCluster, kSelf);
  REQUIRE_MESSAGE(file, file.error().text);
  REQUIRE(file->record());
  return *file->record();
}

TEST_CASE("init makes a folder for its user alone, and a voter that has promised nothing") {
  TemporaryFolder folder;
  const std::string state_dir = folder.path() + "/a/state";
  const auto made = initialize(state_dir, kCluster, kSelf, RecordRole::voter);
  REQUIRE_MESSAGE(made, made.error());
  CHECK(made->find(state_dir + "/record") != std::string::npos);
  struct stat status {};
  REQUIRE(stat(state_dir.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
  REQUIRE(stat(record_path(state_dir).c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(static_cast<std::size_t>(status.st_size) == kRecordFileBytes);

  const Record record = record_in(state_dir);
  CHECK(record.node == kSelf);
  CHECK(record.role == RecordRole::voter);
  CHECK(record.attempts.empty());
  CHECK(record.last_active.number == 0);
  CHECK(std::distance(std::filesystem::directory_iterator(state_dir), {}) == 1);
}

TEST_CASE("each store has an id of its own") {
  TemporaryFolder folder;
  REQUIRE(initialize(folder.path() + "/1", kCluster, kSelf, RecordRole::voter));
  REQUIRE(initialize(folder.path() + "/2", kCluster, kSelf, RecordRole::voter));
  const StoreId first = record_in(folder.path() + "/1").store;
  CHECK(first != record_in(folder.path() + "/2").store);
  CHECK(std::any_of(first.begin(), first.end(), [](std::uint8_t b) { return b != 0; }));
}

TEST_CASE("a member that lost its record is made an amnesiac") {
  TemporaryFolder folder;
  REQUIRE(initialize(folder.path(), kCluster, kSelf, RecordRole::amnesiac));
  CHECK(record_in(folder.path()).role == RecordRole::amnesiac);
}

TEST_CASE("init never touches a record, not even a damaged one") {
  TemporaryFolder folder;
  folder.write("record", "damaged");
  const auto made = initialize(folder.path(), kCluster, kSelf, RecordRole::voter);
  REQUIRE(!made);
  CHECK(made.error().find("exists already") != std::string::npos);
  std::ifstream in(record_path(folder.path()));
  CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == "damaged");
}

TEST_CASE("init says why a folder can not be made") {
  TemporaryFolder folder;
  folder.write("file", "");
  const auto made = initialize(folder.path() + "/file/state", kCluster, kSelf, RecordRole::voter);
  REQUIRE(!made);
  CHECK(made.error().find("cannot be created") != std::string::npos);
}

}  // namespace
}  // namespace lockd
