// The sessions' table by itself: digest, indices, and what a snapshot of it may hold.
#include "lockd/session_table.h"

#include <doctest/doctest.h>

#include "tests/unit/lockd/state_fixture.h"

namespace lockd {
namespace {

Session session(std::uint64_t id, Processor at = daemon(1)) {
  Session made;
  made.id = SessionId{id};
  made.secret = secret(1);
  made.instance = instance(2);
  made.at = at;
  made.generation = Generation{1};
  made.opened_by = at;
  made.number = OpenNumber{id};
  made.uid = 1000;
  made.pid = 7;
  made.program = "prog";
  return made;
}

base::Buffer image_of(const SessionTable& table) {
  base::Buffer bytes;
  base::ByteWriter writer(bytes);
  table.serialize(writer);
  return bytes;
}

std::optional<SessionTable> table_of(base::Bytes image, const SessionLimits& limits = {}) {
  base::ByteReader in(image);
  SessionTable table = SessionTable::deserialize(in, limits);
  if (!in.finish()) return std::nullopt;
  return table;
}

// A table with each kind of session, and the replies 5 and 7 of one.
SessionTable sample() {
  SessionTable table(SessionLimits{});
  table.count_open(daemon(1), OpenNumber{3});
  table.count_open(daemon(2), OpenNumber{1});
  for (const std::uint64_t id : {10u, 20u, 30u}) table.add(session(id));
  table.acknowledge(SessionId{10}, RequestId{4});
  table.remember(SessionId{10}, {RequestId{7}, Status::busy, dlm::Mode::pr, Token{}});
  table.remember(SessionId{10}, {RequestId{5}, Status::granted, dlm::Mode::ex, Token{9}});
  table.orphan(SessionId{20}, ring(5));
  table.kill(SessionId{30}, dlm::Ending::closed);
  return table;
}

TEST_CASE("the digest tells every field of a session apart") {
  const auto digest = [](auto change) {
    SessionTable table(SessionLimits{});
    Session changed = session(10);
    change(changed);
    table.add(changed);
    return table.digest();
  };
  const std::vector<std::uint64_t> digests = {
      digest([](Session&) {}),
      digest([](Session& s) { s.id = SessionId{11}; }),
      digest([](Session& s) { s.secret = secret(9); }),
      digest([](Session& s) { s.instance = instance(9); }),
      digest([](Session& s) { s.at = daemon(1, 2); }),
      digest([](Session& s) { s.at = daemon(2); }),
      digest([](Session& s) { s.generation = Generation{2}; }),
      digest([](Session& s) { s.standing = Orphaned{ring(1)}; }),
      digest([](Session& s) { s.standing = Orphaned{ring(2)}; }),
      digest([](Session& s) { s.standing = Dead{}; }),
      digest([](Session& s) { s.opened_by = daemon(2); }),
      digest([](Session& s) { s.number = OpenNumber{99}; }),
      digest([](Session& s) { s.uid = 1; }),
      digest([](Session& s) { s.pid = 1; }),
      digest([](Session& s) { s.program = "other"; }),
      digest([](Session& s) { s.acknowledged = RequestId{1}; }),
      digest([](Session& s) {
        s.replies = {{RequestId{1}, {}, {}, {}}};
      }),
      digest([](Session& s) {
        s.replies = {{RequestId{2}, {}, {}, {}}};
      }),
      digest([](Session& s) {
        s.replies = {{RequestId{1}, Status::busy, {}, {}}};
      }),
      digest([](Session& s) {
        s.replies = {{RequestId{1}, {}, dlm::Mode::pr, {}}};
      }),
      digest([](Session& s) {
        s.replies = {{RequestId{1}, {}, {}, Token{1}}};
      }),
  };
  for (std::size_t i = 0; i < digests.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) CHECK(digests[i] != digests[j]);
  }
}

TEST_CASE("the digest depends on what the table is, not on how it came about") {
  SessionTable one(SessionLimits{});
  SessionTable other(SessionLimits{});
  const std::uint64_t empty = one.digest();
  one.add(session(10));
  one.add(session(20));
  one.count_open(daemon(1), OpenNumber{5});
  other.count_open(daemon(1, 2), OpenNumber{2});
  other.add(session(20));
  other.add(session(5));
  other.add(session(10));
  other.remember(SessionId{10}, {RequestId{1}, Status::busy, {}, {}});
  other.acknowledge(SessionId{10}, RequestId{3});
  CHECK(one.digest() != other.digest());
  one.acknowledge(SessionId{10}, RequestId{3});
  other.kill(SessionId{5}, dlm::Ending::closed);
  other.remove(SessionId{5});
  other.count_open(daemon(1), OpenNumber{5});
  CHECK(one.digest() == other.digest());
  CHECK(one.digest() != empty);
}

TEST_CASE("the acknowledged mark forgets replies up to it and never falls") {
  SessionTable table = sample();
  table.acknowledge(SessionId{10}, RequestId{5});
  CHECK(table.find(SessionId{10})->reply(RequestId{5}) == nullptr);
  CHECK(table.find(SessionId{10})->reply(RequestId{7})->status == Status::busy);
  table.acknowledge(SessionId{10}, RequestId{1});
  CHECK(table.find(SessionId{10})->acknowledged == RequestId{5});
}

TEST_CASE("a table is read back with its digest and its indices") {
  const SessionTable table = sample();
  const auto back = table_of(image_of(table));
  REQUIRE(back.has_value());
  CHECK(back->digest() == table.digest());
  CHECK(image_of(*back) == image_of(table));
  CHECK(back->orphans() == std::set<SessionId>{SessionId{20}});
  CHECK(back->dead() == std::set<SessionId>{SessionId{30}});
  CHECK(back->highest_open(daemon(1)) == OpenNumber{3});
  CHECK(back->find(SessionId{20})->mark() == Mark{SessionId{20}, Generation{1}, ring(5)});
}

TEST_CASE("the image of a table that is cut short is refused") {
  const base::Buffer image = image_of(sample());
  for (std::size_t size = 0; size < image.size(); ++size) {
    CHECK_FALSE(table_of(base::Bytes(image).first(size)).has_value());
  }
}

TEST_CASE("the image of a table with a bit flipped is refused, or is of another table") {
  const SessionTable table = sample();
  base::Buffer image = image_of(table);
  for (std::size_t bit = 0; bit < 8 * image.size(); ++bit) {
    image[bit / 8] ^= std::byte{1} << (bit % 8);
    if (const auto other = table_of(image)) {
      CHECK(image_of(*other) == image);
      CHECK(other->digest() != table.digest());
    }
    image[bit / 8] ^= std::byte{1} << (bit % 8);
  }
}

TEST_CASE("an image over the limits, or one that contradicts itself, is refused") {
  SessionLimits small;
  small.sessions_max = 2;
  CHECK_FALSE(table_of(image_of(sample()), small).has_value());
  small = {};
  small.daemons_max = 1;
  CHECK_FALSE(table_of(image_of(sample()), small).has_value());
  small = {};
  small.unacknowledged_max = 2;  // Reply 7 is 3 above the mark.
  CHECK_FALSE(table_of(image_of(sample()), small).has_value());

  const auto image_with = [](auto change) {
    SessionTable table(SessionLimits{});
    Session changed = session(10);
    change(changed);
    table.add(changed);
    return image_of(table);
  };
  const Reply reply{RequestId{5}, Status::busy, dlm::Mode::ex, Token{}};
  CHECK(table_of(image_with([&](Session& s) { s.replies = {reply}; })).has_value());
  CHECK_FALSE(table_of(image_with([&](Session& s) { s.replies = {reply, reply}; })).has_value());
  CHECK_FALSE(table_of(image_with([&](Session& s) {
                s.replies = {reply};
                s.acknowledged = RequestId{5};
              })).has_value());
  CHECK_FALSE(table_of(image_with([&](Session& s) {
                s.replies = {reply};
                s.standing = Dead{};
              })).has_value());
  CHECK_FALSE(
      table_of(image_with([](Session& s) { s.program = std::string(65, 'p'); })).has_value());
  CHECK_FALSE(table_of(image_with([](Session& s) { s.id = SessionId{0}; })).has_value());
}

}  // namespace
}  // namespace lockd
