// What a journal says when its owner is gone.
#include <doctest/doctest.h>

#include "examples/journal_recovery/journal.h"

using namespace journal_recovery;

namespace {

const Header kHeader{2, State::used, 5, 100, 0, 0, 0};

Intent intent(std::uint64_t life, std::uint64_t sequence) {
  const TransactionName name{2, life, sequence};
  return {name, {1, 990, sequence, name}, {4, 1010, sequence, name}};
}

std::vector<std::string> entry(const Intent& begun, bool done) {
  return {text_of(begun), text_of(Mark{begun.name, done})};
}

std::vector<std::string> operator+(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace

TEST_CASE("a new journal has nothing to replay") {
  const Replay replay = replay_of(kHeader, {"", "", "", ""});
  CHECK(replay.committed.empty());
  CHECK(replay.dropped == 0);
  CHECK_FALSE(replay.damaged);
}

TEST_CASE("what is committed and not done is replayed, in its order") {
  const Replay replay = replay_of(
      kHeader, entry(intent(5, 4), false) + entry(intent(5, 2), true) + entry(intent(5, 3), false));
  REQUIRE(replay.committed.size() == 2);
  CHECK(replay.committed[0] == intent(5, 3));
  CHECK(replay.committed[1] == intent(5, 4));
  CHECK(replay.dropped == 0);
}

TEST_CASE("what is not committed never happened, whatever mark its entry had before") {
  const Intent begun = intent(5, 6);
  for (const std::string& mark :
       {std::string(), text_of(Mark{{2, 5, 2}, true}), text_of(Mark{{2, 4, 6}, false})}) {
    const Replay replay = replay_of(kHeader, {text_of(begun), mark});
    CHECK(replay.committed.empty());
    CHECK(replay.dropped == 1);
    CHECK_FALSE(replay.damaged);
  }
}

TEST_CASE("an intent that was torn while it was written never happened") {
  const std::string torn = text_of(intent(5, 6)).substr(0, 50);
  const Replay replay = replay_of(kHeader, {torn, text_of(Mark{{2, 5, 2}, true})});
  CHECK(replay.committed.empty());
  CHECK_FALSE(replay.damaged);
}

TEST_CASE("what was committed and can not be read is damage") {
  const std::string mark = text_of(Mark{{2, 5, 6}, false});
  CHECK(replay_of(kHeader, {"damaged", mark}).damaged);
  CHECK(replay_of(kHeader, {text_of(intent(5, 7)), mark}).damaged);
}

TEST_CASE("an earlier life has nothing to say any more") {
  const Replay replay = replay_of(kHeader, entry(intent(4, 9), false) + entry(intent(3, 1), true) +
                                               std::vector{text_of(intent(4, 10)), std::string()});
  CHECK(replay.committed.empty());
  CHECK(replay.dropped == 0);
  CHECK_FALSE(replay.damaged);
}
