// What the daemon answers about the ring below it, with a real member of a ring.
#include "lockd/ring_queries.h"

#include <doctest/doctest.h>

#include <optional>

#include "evs/codec.h"

using namespace lockd;
namespace protocol = liblock::protocol;

namespace {

using std::chrono::seconds;

constexpr base::NodeId kSelf{1};
constexpr base::NodeId kOther{2};

struct Fixture {
  static evs::Config config_of_node() {
    evs::Config config;
    config.self = kSelf;
    config.nodes = {kSelf, kOther};
    config.readmission_pause_max = evs::Duration::zero();  // Everybody is always heard.
    return config;
  }

  Fixture() { queries.node = &node; }

  void drain() {
    while (node.poll_transmit()) {
    }
    while (node.poll_event()) {
    }
  }

  // Another life of node 2 calls, and is never heard again: the ring is left, and formed anew.
  void call() {
    const evs::PresenceMessage presence{
        {kOther, base::Incarnation{++lives}}, {4, kOther, lives}, {kSelf}};
    node.handle_datagram(now, kOther, evs::encode(presence));
    drain();
    CHECK(node.state() == evs::NodeState::gather);
    while (node.state() != evs::NodeState::operational) {
      now = now + (node.next_timeout().value() - now.boot);
      node.handle_timeout(now);
      drain();
    }
  }

  std::uint64_t lives = 0;
  base::Instant now{seconds(100), seconds(100)};
  evs::Node node{config_of_node(), base::Incarnation{7}, base::Random(1), now};
  RingQueriesConfig queries;
};

}  // namespace

TEST_CASE("without a ring below there is nothing to tell") {
  const base::Instant now{seconds(1), seconds(1)};
  CHECK(answer(now, {}, protocol::RingStatusQuery{3}).peers.empty());
  CHECK(answer(now, {}, protocol::RingLogQuery{4, 0}).events.empty());
  CHECK_FALSE(answer(now, {}, protocol::WhyQuery{5, 0}).changed);
  CHECK(answer(now, {}, protocol::WhyQuery{5, 0}).query == 5);
}

TEST_CASE_FIXTURE(Fixture, "the ring's status has what the member and its driver know") {
  queries.key_of = [](base::NodeId id) -> std::uint16_t { return id == kSelf ? 5 : 0; };
  queries.waiting_datagrams = [] { return std::uint64_t{9}; };
  call();
  const auto status = answer(now + seconds(1), queries, protocol::RingStatusQuery{3});
  CHECK(status.query == 3);
  CHECK(status.state == protocol::RingState::operational);
  CHECK(status.ring == node.regular().id);
  CHECK(status.waiting_datagrams == 9);
  CHECK(status.personal_window == node.config().personal_window);
  CHECK(status.waiting_bytes_max == node.config().send_queue_bytes_max);
  REQUIRE(status.peers.size() == 2);
  CHECK(status.peers[0].self);
  CHECK(status.peers[0].incarnation == 7);
  CHECK(status.peers[0].key == 5);
  CHECK_FALSE(status.peers[0].heard);
  CHECK(status.peers[1].incarnation == 0);
  CHECK(status.peers[1].heard);
  CHECK(status.peers[1].heard_ago > seconds(1));
}

TEST_CASE_FIXTURE(Fixture, "the ring's log comes in pages, each event once") {
  for (int i = 0; i < 30; ++i) call();
  std::uint64_t last = 0;
  std::size_t pages = 0;
  for (bool more = true; more; ++pages) {
    const auto page = answer(now, queries, protocol::RingLogQuery{1, last});
    more = page.more;
    CHECK(page.events.size() <= protocol::kRingEventsMax);
    for (const protocol::RingEvent& event : page.events) {
      CHECK(event.number == last + 1);
      CHECK(event.ago >= base::Duration::zero());
      last = event.number;
    }
  }
  CHECK(last == node.recorder().records().back().number);
  CHECK(pages == (last + protocol::kRingEventsMax - 1) / protocol::kRingEventsMax);
}

TEST_CASE_FIXTURE(Fixture, "why the ring changed is answered for each change that is known") {
  CHECK_FALSE(answer(now, queries, protocol::WhyQuery{1, 0}).changed);
  call();
  call();
  const auto why = answer(now + seconds(2), queries, protocol::WhyQuery{1, 0});
  CHECK(why.changed);
  CHECK(why.ring == node.regular().id);
  CHECK(why.ago == seconds(2));
  CHECK(why.took >= node.config().consensus_timeout);
  CHECK(why.trigger == "node 2 was heard, which was in another ring");
  CHECK(why.members == std::vector<base::NodeId>{kSelf});
  CHECK(why.changes.empty());
  CHECK(answer(now, queries, protocol::WhyQuery{1, 1}).changed);
  CHECK_FALSE(answer(now, queries, protocol::WhyQuery{1, 2}).changed);
}
