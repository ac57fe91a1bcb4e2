// Lockspaces that are joined and left, across sessions.
#include "tests/unit/liblock/machine_wire.h"

using namespace liblock_test;
using protocol::JoinKind;

namespace {

RequestId join(Wire& wire, const std::string& name, JoinKind kind) {
  const auto asked = wire.machine.join(wire.now, name, kind, 0640);
  REQUIRE(asked.has_value());
  wire.drain();
  return *asked;
}

void lose_session(Wire& wire) {
  wire.say(protocol::Lost{protocol::LostReason::expired});
  wire.disconnect();
  wire.reconnect();
  wire.clear();
  wire.welcome(false, 8);
}

}  // namespace

TEST_CASE("a lockspace is joined, tells of its members, and is left") {
  Wire wire;
  wire.open();
  const RequestId asked = join(wire, "space", JoinKind::create);
  const auto sent = wire.only_sent<protocol::JoinLockspace>();
  CHECK(sent.request == asked);
  CHECK(sent.kind == JoinKind::create);
  CHECK(sent.permissions == 0640);
  CHECK(sent.lockspace == "space");
  protocol::LockspaceState state{"space", 3, false, {{base::NodeId{1}, 1}}, {{base::NodeId{2}, 2}}};
  wire.say(state);
  CHECK(wire.only_event<LockspaceChanged>().state.generation == 3);  // It is ours any moment.
  wire.clear();
  wire.reply(asked, Answer::done);
  CHECK_FALSE(wire.only_event<Done>().failure.has_value());
  wire.clear();
  wire.say(state);
  CHECK(wire.only_event<LockspaceChanged>().state == state);
  wire.clear();

  const auto left = wire.machine.leave(wire.now, "space", true);
  REQUIRE(left.has_value());
  wire.drain();
  CHECK(wire.only_sent<protocol::LeaveLockspace>().force);
  wire.reply(*left, Answer::done);
  wire.clear();
  wire.say(state);
  CHECK(wire.events.empty());
}

TEST_CASE("each refusal of a lockspace has its outcome") {
  Wire wire;
  wire.open();
  const std::pair<Answer, Failure> outcomes[] = {{Answer::not_found, Failure::not_found},
                                                 {Answer::exists, Failure::exists},
                                                 {Answer::limit, Failure::limit},
                                                 {Answer::not_permitted, Failure::not_permitted}};
  for (const auto& [answer, failure] : outcomes) {
    const RequestId asked = join(wire, "space", JoinKind::create_new);
    wire.clear();
    wire.reply(asked, answer);
    CHECK(wire.only_event<Done>().failure == failure);
  }
  const auto left = wire.machine.leave(wire.now, "space", false);
  wire.clear();
  wire.reply(*left, Answer::busy);
  CHECK(wire.only_event<Done>().failure == Failure::busy);
  CHECK(wire.machine.join(wire.now, "", JoinKind::open, 0).error() == CallError::invalid);
  CHECK(wire.machine.leave(wire.now, std::string(65, 's'), false).error() == CallError::invalid);
}

TEST_CASE("a new session joins again, under the same ids, before it asks for locks") {
  Wire wire;
  wire.open();
  const RequestId waiting = wire.acquire("waiting");
  wire.reply(waiting, Answer::queued);
  const RequestId opened = join(wire, "opened", JoinKind::open);
  const RequestId created = join(wire, "created", JoinKind::create_new);
  const RequestId undone = join(wire, "undone", JoinKind::create);
  for (const RequestId id : {opened, created, undone}) wire.reply(id, Answer::done);
  const auto left = wire.machine.leave(wire.now, "undone", false);
  wire.reply(*left, Answer::done);
  const auto unknown = wire.machine.leave(wire.now, "created", false);
  wire.clear();
  wire.say(protocol::Lost{protocol::LostReason::expired});
  CHECK(wire.all_events<Done>().at(0).operation == *unknown);
  CHECK(wire.all_events<Done>().at(0).failure == Failure::lost);
  wire.disconnect();
  wire.reconnect();
  wire.clear();
  wire.welcome(false, 8);

  REQUIRE(wire.sent.size() == 3);
  const auto first = std::get<protocol::JoinLockspace>(wire.sent[0]);
  const auto second = std::get<protocol::JoinLockspace>(wire.sent[1]);
  CHECK(first.request == opened);
  CHECK(first.kind == JoinKind::open);
  CHECK(second.request == created);
  CHECK(second.kind == JoinKind::create);  // It is not new any more.
  CHECK(second.permissions == 0640);
  CHECK(std::get<protocol::Acquire>(wire.sent[2]).request == waiting);
  CHECK(first.acknowledged < waiting);

  // Nobody waits for these; but it is told if one fails.
  wire.clear();
  wire.reply(created, Answer::done);
  CHECK(wire.events.empty());
  wire.reply(opened, Answer::not_found);
  CHECK(wire.only_event<LockspaceGone>().lockspace == "opened");
  CHECK(wire.only_event<LockspaceGone>().failure == Failure::not_found);

  // Once more: what failed is not asked for again.
  lose_session(wire);
  CHECK(wire.only_sent<protocol::JoinLockspace>().request == created);
}

TEST_CASE("a join without an answer is asked for again in the next session, once") {
  Wire wire;
  wire.open();
  const RequestId asked = join(wire, "space", JoinKind::create);
  lose_session(wire);
  CHECK(wire.only_sent<protocol::JoinLockspace>().request == asked);
  wire.clear();
  wire.reply(asked, Answer::done);
  CHECK_FALSE(wire.only_event<Done>().failure.has_value());
}

TEST_CASE("a leave undoes a create rather than an open") {
  Wire wire;
  wire.open();
  const RequestId created = join(wire, "space", JoinKind::create);
  const RequestId opened = join(wire, "space", JoinKind::open);
  wire.reply(created, Answer::done);
  wire.reply(opened, Answer::done);
  wire.reply(*wire.machine.leave(wire.now, "space", false), Answer::done);
  lose_session(wire);
  CHECK(wire.only_sent<protocol::JoinLockspace>().request == opened);
}

TEST_CASE("a client has so many joins, and so many questions of this kind, and no more") {
  Wire wire;
  wire.open();
  for (std::size_t i = 0; i < kJoinsMax; ++i) {
    const RequestId asked = join(wire, "space" + std::to_string(i), JoinKind::create);
    wire.reply(asked, Answer::done);
  }
  CHECK(wire.machine.join(wire.now, "more", JoinKind::create, 0).error() == CallError::limit);
  for (std::size_t i = 0; i < kOperationsMax; ++i) {
    CHECK(wire.machine.drop_orphans(wire.now, base::NodeId{}, 0).has_value());
  }
  CHECK(wire.machine.drop_orphans(wire.now, base::NodeId{}, 0).error() == CallError::limit);
}

TEST_CASE("joins that are far above what waits go behind it, within the window of ids") {
  Wire wire;
  wire.open();
  const RequestId waiting = wire.acquire("waiting");
  wire.reply(waiting, Answer::queued);
  for (std::uint64_t i = 0; i <= protocol::kRequestWindow; ++i) {
    wire.reply(wire.acquire("jobs", true), Answer::busy);
  }
  const RequestId asked = join(wire, "space", JoinKind::create);
  wire.reply(asked, Answer::done);
  lose_session(wire);
  CHECK(wire.only_sent<protocol::Acquire>().request == waiting);
  CHECK(wire.all_sent<protocol::JoinLockspace>().empty());
  wire.reply(waiting, Answer::queued);
  CHECK(wire.only_sent<protocol::JoinLockspace>().request == asked);
}

TEST_CASE("a refusal for good ends what is asked of lockspaces, too") {
  Wire wire;
  const RequestId asked = join(wire, "space", JoinKind::create);
  wire.connect();
  wire.say(protocol::Refused{protocol::Refusal::version, "update"});
  CHECK(wire.all_events<Done>().at(0).operation == asked);
  CHECK(wire.all_events<Done>().at(0).failure == Failure::disabled);
}
