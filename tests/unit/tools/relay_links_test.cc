#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "tools/relay/links.h"

namespace tools::relay {

namespace {

using std::chrono::milliseconds;

base::Buffer text(const std::string& words) {
  const base::Bytes bytes = base::bytes_of(words);
  return {bytes.begin(), bytes.end()};
}

// All that is due now, one after the other.
std::string due(Link& link, Duration now) {
  std::string all;
  while (auto datagram = link.poll(now)) all += base::text_of(*datagram);
  return all;
}

std::uint64_t arriving_of(Link& link, int sent) {
  for (int i = 0; i < sent; ++i) {
    link.receive(Duration(i), text("x"));
    due(link, Duration(i));
  }
  return link.counts().forwarded;
}

}  // namespace

TEST_CASE("a link hands on what it gets, at once and in order, unless told otherwise") {
  Link link(1);
  link.receive(milliseconds(1), text("a"));
  link.receive(milliseconds(1), text("b"));
  CHECK(link.next_due() == milliseconds(1));
  CHECK(due(link, milliseconds(1)) == "ab");
  CHECK_FALSE(link.next_due());
}

TEST_CASE("a link loses about as much as it is told to, and says so") {
  Link link(7);
  LinkSettings settings;
  settings.loss = 300'000;
  link.set(settings);
  const std::uint64_t arrived = arriving_of(link, 10'000);
  CHECK(arrived > 6700);
  CHECK(arrived < 7300);
  CHECK(link.counts().lost + arrived == 10'000);
}

TEST_CASE("a piece of a connection goes on at once, or later by what the link is told") {
  Link link(1);
  CHECK(link.carry(milliseconds(5), 1000) == milliseconds(5));
  LinkSettings settings;
  settings.delay = milliseconds(10);
  settings.bits_per_second = 8'000'000;
  link.set(settings);
  CHECK(link.carry(milliseconds(5), 1000) == milliseconds(16));
  CHECK(link.carry(milliseconds(5), 1000) == milliseconds(17));
}

TEST_CASE("a piece of a connection that is lost comes later, but comes") {
  Link link(1);
  LinkSettings settings;
  settings.loss = 1'000'000;
  link.set(settings);
  CHECK(link.carry(Duration(0), 1) == milliseconds(200 * (1 + 2 + 4 + 8 + 16)));
  CHECK(link.counts().lost == 5);
  CHECK(link.counts().forwarded == 1);
  // It holds up nothing else.
  link.set({});
  CHECK(link.carry(milliseconds(1), 1) == milliseconds(1));
}

TEST_CASE("a seed repeats what is lost") {
  Link one(3);
  Link same(3);
  Link other(4);
  LinkSettings settings;
  settings.loss = 500'000;
  std::string lost[3];
  Link* links[] = {&one, &same, &other};
  for (std::size_t i = 0; i < 3; ++i) {
    links[i]->set(settings);
    for (int n = 0; n < 64; ++n) {
      links[i]->receive(Duration(n), text("x"));
      lost[i] += due(*links[i], Duration(n)).empty() ? '1' : '0';
    }
  }
  CHECK(lost[0] == lost[1]);
  CHECK(lost[0] != lost[2]);
}

TEST_CASE("delay and jitter keep the order") {
  Link link(1);
  LinkSettings settings;
  settings.delay = milliseconds(10);
  settings.jitter = milliseconds(20);
  link.set(settings);
  std::string sent;
  for (char c = 'a'; c <= 'z'; ++c) {
    sent += c;
    link.receive(milliseconds(c - 'a'), text(std::string(1, c)));
  }
  CHECK(due(link, milliseconds(9)).empty());
  CHECK(due(link, milliseconds(100)) == sent);
}

TEST_CASE("a reordered datagram comes later than its place") {
  Link link(1);
  LinkSettings settings;
  settings.reordering = 1'000'000;
  link.set(settings);
  link.receive(milliseconds(0), text("late "));
  settings.reordering = 0;
  link.set(settings);
  link.receive(milliseconds(1), text("early "));
  CHECK(due(link, milliseconds(10)) == "early late ");
  CHECK(link.counts().reordered == 1);
}

TEST_CASE("a duplicated datagram comes twice") {
  Link link(1);
  LinkSettings settings;
  settings.duplication = 1'000'000;
  link.set(settings);
  link.receive(milliseconds(0), text("a"));
  CHECK(due(link, milliseconds(0)) == "aa");
}

TEST_CASE("a rate lets through so many bytes in a time") {
  Link link(1);
  LinkSettings settings;
  settings.bits_per_second = 8000;  // A byte in a millisecond.
  link.set(settings);
  for (int i = 0; i < 10; ++i) link.receive(milliseconds(0), text("0123456789"));
  CHECK(due(link, milliseconds(9)).empty());
  CHECK(due(link, milliseconds(50)).size() == 50);
  CHECK(due(link, milliseconds(100)).size() == 50);
}

TEST_CASE("a cut link carries nothing, and what was under way is lost") {
  Link link(1);
  LinkSettings settings;
  settings.delay = milliseconds(5);
  link.set(settings);
  link.receive(milliseconds(0), text("a"));
  settings.cut = true;
  link.set(settings);
  link.receive(milliseconds(1), text("b"));
  CHECK(due(link, milliseconds(100)).empty());
  CHECK(link.counts().cut == 2);
  settings.cut = false;
  link.set(settings);
  link.receive(milliseconds(200), text("c"));
  CHECK(due(link, milliseconds(300)) == "c");
}

TEST_CASE("what waits on a link is bounded, and more is dropped and counted") {
  Link link(1);
  LinkSettings settings;
  settings.delay = milliseconds(1);
  link.set(settings);
  for (std::size_t i = 0; i < Link::kWaitingMax + 10; ++i) link.receive(Duration(0), text("x"));
  CHECK(link.waiting() == Link::kWaitingMax);
  CHECK(link.counts().overflowed == 10);
  Link wide(1);
  wide.set(settings);
  const base::Buffer large(65'000);
  for (std::size_t i = 0; i < 1000; ++i) wide.receive(Duration(0), large);
  CHECK(wide.waiting() * large.size() <= Link::kWaitingBytesMax);
  CHECK(wide.counts().overflowed == 1000 - wide.waiting());
}

TEST_CASE("settings are for the directions that were named, and leave others alone") {
  Links links({1, 2, 3}, 1);
  REQUIRE(links.execute("set 1 2,3 loss=12.5 delay_ms=3"));
  REQUIRE(links.execute("set 1 2 rate_kbit=100"));
  CHECK(links.link({1, 2}).settings().loss == 125'000);
  CHECK(links.link({1, 2}).settings().bits_per_second == 100'000);
  CHECK(links.link({1, 3}).settings().delay == milliseconds(3));
  CHECK(links.link({1, 3}).settings().bits_per_second == 0);
  CHECK(links.link({2, 1}).settings().loss == 0);
  REQUIRE(links.execute("reset"));
  CHECK(links.link({1, 2}).settings().loss == 0);
}

TEST_CASE("a partition cuts between its sides, both ways, and nowhere else") {
  Links links({1, 2, 3, 4}, 1);
  REQUIRE(links.execute("partition 1,2 3"));
  const auto is_cut = [&](Node from, Node to) { return links.link({from, to}).settings().cut; };
  CHECK_FALSE(is_cut(1, 2));
  CHECK_FALSE(is_cut(2, 1));
  for (const Node other : {Node{3}, Node{4}}) {
    CHECK(is_cut(1, other));
    CHECK(is_cut(other, 2));
  }
  CHECK(is_cut(3, 4));
  REQUIRE(links.execute("partition 1,2"));
  CHECK_FALSE(is_cut(3, 4));
  CHECK(is_cut(1, 3));
  REQUIRE(links.execute("heal"));
  CHECK_FALSE(is_cut(1, 3));
}

TEST_CASE("a cut is of one direction, and is mended by name") {
  Links links({1, 2}, 1);
  REQUIRE(links.execute("cut 1 2"));
  CHECK(links.link({1, 2}).settings().cut);
  CHECK_FALSE(links.link({2, 1}).settings().cut);
  REQUIRE(links.execute("mend * *"));
  CHECK_FALSE(links.link({1, 2}).settings().cut);
}

TEST_CASE("a command that makes no sense is refused, and changes nothing") {
  Links links({1, 2, 3}, 1);
  for (const char* command : {"",
                              "nonsense",
                              "set",
                              "set 1 2",
                              "set 1 2 loss",
                              "set 1 2 loss=101",
                              "set 1 2 loss=-1",
                              "set 1 2 loss=nan",
                              "set 1 2 loss=1x",
                              "set 1 2 delay_ms=60001",
                              "set 1 9 loss=1",
                              "set 1, x loss=1",
                              "set 1 2 speed=3",
                              "set 1 2 loss=5 speed=3",
                              "cut 1",
                              "cut 1 9",
                              "partition",
                              "partition 1,2 2",
                              "partition 9",
                              "seed",
                              "seed x",
                              "counts now",
                              "heal all"}) {
    CAPTURE(command);
    const auto answer = links.execute(command);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().find('\n') == std::string::npos);
  }
  for (const auto& [direction, link] : links.all()) {
    CHECK(link.settings().loss == 0);
    CHECK_FALSE(link.settings().cut);
  }
}

TEST_CASE("counts and settings have a line for each direction") {
  Links links({1, 2}, 1);
  links.link({1, 2}).receive(Duration(0), text("x"));
  CHECK(*links.execute("counts") ==
        "link 1 2 received=1 forwarded=0 lost=0 cut=0 duplicated=0 reordered=0 overflowed=0 "
        "waiting=1\n"
        "link 2 1 received=0 forwarded=0 lost=0 cut=0 duplicated=0 reordered=0 overflowed=0 "
        "waiting=0\nok\n");
  REQUIRE(links.execute("set 1 2 loss=0.5"));
  CHECK(links.execute("settings")->starts_with("link 1 2 loss=0.5 duplicate=0 "));
}

}  // namespace tools::relay
