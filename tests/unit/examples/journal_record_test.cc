// What stands in a sector, and where.
#include <doctest/doctest.h>

#include <climits>
#include <set>

#include "examples/journal_recovery/layout.h"
#include "examples/journal_recovery/record.h"
#include "examples/journal_recovery/trace.h"

using namespace journal_recovery;

namespace {

const Block kOne{3, -20, 7, {2, 1, 33}};
const Block kOther{15, 1020, 9, {2, 1, 33}};

}  // namespace

TEST_CASE("each record is read as it was written") {
  CHECK(parse_superblock(text_of(Superblock{})) == Superblock{});
  CHECK(parse_block(text_of(kOne)) == kOne);
  const Intent intent{{2, 1, 33}, kOne, kOther};
  CHECK(parse_intent(text_of(intent)) == intent);
  for (const bool done : {false, true}) {
    const Mark mark{{2, 1, 33}, done};
    CHECK(parse_mark(text_of(mark)) == mark);
  }
  for (const State state : {State::free, State::used, State::recovering, State::recovered}) {
    const Header header{4, state, 3, 4294967330, 17, 1, 2};
    CHECK(parse_header(text_of(header)) == header);
  }
}

TEST_CASE("no record is read as another one, or when any byte of it has changed") {
  const std::string text = text_of(kOne);
  CHECK_FALSE(parse_mark(text));
  CHECK_FALSE(parse_header(text));
  CHECK_FALSE(parse_intent(text));
  CHECK_FALSE(parse_block(""));
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    CHECK_FALSE(parse_block(damaged));
    CHECK_FALSE(parse_block(text.substr(0, i)));
  }
}

TEST_CASE("the longest record fits in a sector") {
  const std::uint64_t most = UINT64_MAX;
  const Block block{9999, INT64_MIN, most, {8, 4294967295, 4294967295}};
  const Intent intent{{8, 4294967295, 4294967295}, block, block};
  CHECK(text_of(intent).size() <= kSectorBytes);
  CHECK(text_of(Header{8, State::recovering, most, most, most, UINT_MAX, UINT_MAX}).size() <=
        kSectorBytes);
}

TEST_CASE("every sector has a place of its own, and the disk ends with the last one") {
  const Superblock superblock{3, 2, 5, 10};
  std::set<std::size_t> offsets = {0};
  for (unsigned journal = 1; journal <= 3; ++journal) {
    for (unsigned sector = 0; sector < journal_sectors(superblock); ++sector) {
      offsets.insert(offset_of(superblock, journal_region(journal), sector).value());
    }
  }
  for (unsigned block = 0; block < 5; ++block) {
    offsets.insert(offset_of(superblock, block_region(block), 0).value());
  }
  CHECK(offsets.size() * kSectorBytes == disk_bytes(superblock));
  CHECK(*offsets.rbegin() + kSectorBytes == disk_bytes(superblock));
  CHECK(formatted(superblock).size() == disk_bytes(superblock));
  for (const auto& [region, sector] : {std::pair("journal/0", 0u),
                                       {"journal/4", 0u},
                                       {"journal/1", 5u},
                                       {"block/5", 0u},
                                       {"block/1", 1u},
                                       {"block/", 0u},
                                       {"block/1x", 0u},
                                       {"super", 0u}}) {
    CHECK_FALSE(offset_of(superblock, region, sector));
  }
}

TEST_CASE("a line of the trace is read as it was written") {
  const Traced traced{true, {"block/3", 0, 4294967330, text_of(kOne)}};
  const auto read = parse_traced(text_of(traced));
  REQUIRE(read);
  CHECK(read->stale);
  CHECK(read->write.region == "block/3");
  CHECK(read->write.token == 4294967330);
  CHECK(read->write.text == text_of(kOne));
  for (const char* line :
       {"", "ok", "ok write block/3", "no write block/3 0 1 text", "ok read a 0 1 t"}) {
    CHECK_FALSE(parse_traced(line));
  }
}
