#include "lockd/record_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "lockd/init.h"
#include "tests/unit/lockd/temporary_folder.h"

namespace lockd {
namespace {

constexpr ClusterId kCluster = {1, 2, 3};
constexpr base::NodeId kSelf{2};

// A state folder with an initialized record.
struct State {
  State() { REQUIRE(initialize(folder.path(), kCluster, kSelf, RecordRole::voter)); }

  RecordFile open() const {
    auto file = RecordFile::open(folder.path(), kCluster, kSelf);
    REQUIRE_MESSAGE(file, file.error().text);
    return std::move(*file);
  }
  RecordFile::Error error(const ClusterId& cluster = kCluster, base::NodeId self = kSelf) const {
    const auto file = RecordFile::open(folder.path(), cluster, self);
    REQUIRE(!file);
    return file.error();
  }
  std::string content() const {
    std::ifstream in(record_path(folder.path()), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void set_content(const std::string& bytes) const { folder.write("record", bytes); }

  TemporaryFolder folder;
};

Record next(Record record, std::uint64_t ceiling) {
  ++record.generation;
  record.token_ceiling = ceiling;
  return record;
}

TEST_CASE("what is written is there when the file is opened again") {
  State state;
  Record record = *state.open().record();
  for (std::uint64_t ceiling = 100; ceiling < 105; ++ceiling) {
    record = next(record, ceiling);
    RecordFile file = state.open();
    REQUIRE(file.write(record));
    // The file says what it held at the start.
    CHECK(file.record()->token_ceiling != ceiling);
  }
  CHECK(*state.open().record() == record);
  CHECK(state.content().size() == kRecordFileBytes);
}

// The record that is found in a file with this content, which is kept in memory: thousands of files
// on a disk are slow.
std::optional<Record> record_in(const std::string& content) {
  const int fd = memfd_create("record", MFD_CLOEXEC);
  REQUIRE(fd >= 0);
  REQUIRE(write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  const auto file = RecordFile::adopt(fd, "record", kCluster, kSelf);
  REQUIRE_MESSAGE(file, file.error().text);
  return file->record();
}

// A record, the next one, and what the file holds with each of them.
struct Step {
  explicit Step(State& state, std::uint64_t ceiling)
      : old_record(*state.open().record()),
        new_record(next(old_record, ceiling)),
        before(state.content()) {
    REQUIRE(state.open().write(new_record));
    after = state.content();
  }

  // Whether the old record is found in this mixture of the two contents; if not, it is the new one.
  bool leaves_old(const std::string& mixture) const {
    const auto found = record_in(mixture);
    REQUIRE(found);
    CHECK((*found == old_record || *found == new_record));
    return *found == old_record;
  }

  Record old_record;
  Record new_record;
  std::string before;
  std::string after;
};

TEST_CASE("a write into either slot that stops at any byte leaves the old record or the new one") {
  State state;
  for (const std::uint64_t ceiling : {1u, 2u, 3u, 4u}) {
    const Step step(state, ceiling);
    std::size_t old_ones = 0;
    for (std::size_t cut = 0; cut <= kRecordFileBytes; ++cut) {
      old_ones += step.leaves_old(step.after.substr(0, cut) + step.before.substr(cut));
    }
    CHECK(old_ones > 0);
    CHECK(old_ones <= kRecordFileBytes);
  }
}

// A disk writes sectors whole, and in any order.
TEST_CASE("a write of which any of the sectors arrive leaves the old record or the new one") {
  constexpr std::size_t kSector = 512;
  constexpr std::size_t kSectors = kRecordSlotBytes / kSector;
  State state;
  for (const std::uint64_t ceiling : {1u, 2u, 3u, 4u}) {
    const Step step(state, ceiling);
    const std::size_t slot = slot_of(step.new_record.generation) * kRecordSlotBytes;
    for (unsigned arrived = 0; arrived < 1u << kSectors; ++arrived) {
      std::string mixture = step.before;
      for (std::size_t sector = 0; sector < kSectors; ++sector) {
        if ((arrived >> sector & 1) == 0) continue;
        const std::size_t at = slot + sector * kSector;
        mixture.replace(at, kSector, step.after, at, kSector);
      }
      const bool all_arrived = mixture == step.after;
      CHECK(step.leaves_old(mixture) == !all_arrived);
    }
  }
}

TEST_CASE("a flipped bit in one slot leaves the record of the other") {
  State state;
  const Record first = next(*state.open().record(), 1);
  const Record second = next(first, 2);
  {
    RecordFile file = state.open();
    REQUIRE(file.write(first));
    REQUIRE(file.write(second));
  }
  const std::string good = state.content();
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << at % 8));
    const auto found = record_in(bad);
    REQUIRE(found);
    const bool in_second = at / kRecordSlotBytes == slot_of(second.generation);
    CHECK(*found == (in_second ? first : second));
  }
}

TEST_CASE("two damaged slots make an amnesiac that can still write") {
  State state;
  const Record record = *state.open().record();
  SUBCASE("zeros") {
    state.set_content(std::string(kRecordFileBytes, '\0'));
  }
  SUBCASE("noise") {
    state.set_content(std::string(kRecordFileBytes, '\x5a'));
  }
  SUBCASE("empty") {
    state.set_content("");
  }
  SUBCASE("text") {
    state.set_content("hello");
  }
  RecordFile file = state.open();
  CHECK(!file.record());
  CHECK(file.amnesia_advice().find("without a vote") != std::string::npos);
  CHECK(file.write(next(record, 7)));
  { const RecordFile closed = std::move(file); }
  CHECK(state.open().record()->token_ceiling == 7);
}

TEST_CASE("an older copy of a slot counts until a newer one is there") {
  State state;
  const Record first = next(*state.open().record(), 1);
  REQUIRE(state.open().write(first));
  const std::string old = state.content();
  REQUIRE(state.open().write(next(first, 2)));
  state.set_content(old);
  CHECK(*state.open().record() == first);
}

TEST_CASE("two daemons can not share a state folder") {
  State state;
  {
    const RecordFile first = state.open();
    const RecordFile::Error error = state.error();
    CHECK(error.trouble == RecordFile::Trouble::in_use);
    CHECK(error.text.find("another lockd") != std::string::npos);
  }
  CHECK(state.open().record());
}

TEST_CASE("a folder without a record says what to run") {
  TemporaryFolder folder;
  for (const std::string& path : {folder.path(), folder.path() + "/none"}) {
    const auto file = RecordFile::open(path, kCluster, kSelf);
    REQUIRE(!file);
    CHECK(file.error().trouble == RecordFile::Trouble::missing);
    CHECK(file.error().text.find("\"lockd init --config FILE\"") != std::string::npos);
  }
}

TEST_CASE("the record of another node or cluster is refused") {
  State state;
  CHECK(state.error(kCluster, base::NodeId{3}).trouble == RecordFile::Trouble::foreign);
  CHECK(state.error(kCluster, base::NodeId{3}).text.find("of node 2") != std::string::npos);
  CHECK(state.error(ClusterId{9}).trouble == RecordFile::Trouble::foreign);
}

TEST_CASE("what is not a file is refused") {
  TemporaryFolder folder;
  REQUIRE(symlink("/dev/null", record_path(folder.path()).c_str()) == 0);
  const auto file = RecordFile::open(folder.path(), kCluster, kSelf);
  REQUIRE(!file);
  CHECK(file.error().trouble == RecordFile::Trouble::unusable);
}

TEST_CASE("a failed write is final") {
  State state;
  const Record record = next(*state.open().record(), 1);
  const std::string path = record_path(state.folder.path());
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  auto file = RecordFile::adopt(fd, path, kCluster, kSelf);
  REQUIRE(file);
  const auto first = file->write(record);
  REQUIRE(!first);
  CHECK(first.error().find("cannot be written") != std::string::npos);
  const auto second = file->write(record);
  REQUIRE(!second);
  CHECK(second.error() == first.error());
}

TEST_CASE("a full disk is an error, not a lost promise") {
  const int fd = ::open("/dev/full", O_RDWR | O_CLOEXEC);
  REQUIRE(fd >= 0);
  auto file = RecordFile::adopt(fd, "/dev/full", kCluster, kSelf);
  REQUIRE(file);
  CHECK(!file->record());
  const auto written = file->write(initial_record(kCluster, {}, kSelf));
  REQUIRE(!written);
  CHECK(written.error().find("No space left") != std::string::npos);
}

}  // namespace
}  // namespace lockd
