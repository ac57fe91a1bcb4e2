#include "liblock/evs_machine.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace liblock;
using protocol::EvsConfiguration;
using protocol::EvsDelivery;
using protocol::EvsJoin;
using protocol::EvsLeave;
using protocol::EvsMulticast;

namespace {

base::GroupKey key(const std::string& text) {
  base::GroupKey key;
  for (std::size_t i = 0; i < text.size(); ++i) key.bytes[i] = static_cast<std::byte>(text[i]);
  return key;
}

// A machine, with the daemon in the hands of the test.
struct Wire {
  EvsMachine machine{{}, "a test"};
  protocol::FrameCutter cutter{protocol::kEvsFrameBytesMax};

  std::vector<protocol::Request> sent() {
    std::vector<protocol::Request> all;
    cutter.append(machine.poll_transmit());
    for (auto content = cutter.next(); *content; content = cutter.next()) {
      all.push_back(*protocol::decode_request(**content));
    }
    return all;
  }

  void say(const protocol::Response& response) {
    base::Buffer bytes;
    protocol::encode(response, bytes);
    machine.handle_bytes(bytes);
  }

  void open() {
    machine.handle_connected({});
    sent();
    protocol::EvsWelcome welcome;
    welcome.self = {base::NodeId{2}, base::Incarnation{9}};
    say(welcome);
    say(EvsConfiguration{});
    REQUIRE(machine.open());
    machine.take_event();
  }

  EvsEnd::Why why() const { return machine.end().value().why; }
};

template <typename Event>
bool is(const EvsEvent& event) {
  return std::holds_alternative<Event>(event);
}

const std::vector<base::GroupKey> kChat = {key("chat")};

}  // namespace

TEST_CASE("an instance is open when it has been welcomed and told the configuration") {
  Wire wire;
  wire.machine.handle_connected({});
  const auto sent = wire.sent();
  REQUIRE(sent.size() == 1);
  CHECK(std::get<protocol::Hello>(sent[0]).kind == protocol::HelloKind::evs);
  protocol::EvsWelcome welcome;
  welcome.self = {base::NodeId{2}, base::Incarnation{9}};
  wire.say(welcome);
  CHECK_FALSE(wire.machine.open());
  wire.say(EvsConfiguration{});
  CHECK(wire.machine.open());
  CHECK(wire.machine.self() == welcome.self);
  CHECK(is<EvsConfiguration>(wire.machine.next_event()));
}

TEST_CASE("events come in the order of the stream") {
  Wire wire;
  wire.open();
  EvsDelivery delivery;
  delivery.groups = kChat;
  const base::Bytes hello = base::bytes_of("hello");
  delivery.payload.assign(hello.begin(), hello.end());
  wire.say(delivery);
  wire.say(EvsConfiguration{});
  delivery.sequence = 2;
  wire.say(delivery);
  CHECK(is<KeptDelivery>(wire.machine.take_event()));
  CHECK(is<EvsConfiguration>(wire.machine.take_event()));
  const EvsEvent last = wire.machine.take_event();
  const protocol::EvsDeliveryView& kept = std::get<KeptDelivery>(last).view();
  CHECK(kept.sequence == 2);
  CHECK(std::ranges::equal(kept.groups, delivery.groups));
  CHECK(base::text_of(kept.payload) == "hello");
  CHECK_FALSE(wire.machine.has_event());
}

TEST_CASE("joining and leaving are asked of the daemon, and checked here") {
  Wire wire;
  wire.open();
  EvsMachine& machine = wire.machine;
  CHECK(machine.multicast_joined({}, {}).error() == EvsError::not_joined);
  CHECK(machine.join({}).error() == EvsError::invalid);
  CHECK(machine.leave(kChat).error() == EvsError::not_joined);
  const auto query = machine.join(kChat).value();
  CHECK_FALSE(machine.answered(query));
  CHECK(std::get<EvsJoin>(wire.sent().at(0)) == EvsJoin{query, kChat});
  wire.say(protocol::EvsDone{query});
  CHECK(machine.answered(query));

  REQUIRE(machine.multicast_joined(protocol::Guarantee::safe, base::bytes_of("x")).has_value());
  const auto message = std::get<EvsMulticast>(wire.sent().at(0));
  CHECK(message.groups == kChat);
  CHECK(message.guarantee == protocol::Guarantee::safe);

  const std::vector<base::GroupKey> two = {key("chat"), key("other")};
  CHECK(machine.leave(two).error() == EvsError::not_joined);
  CHECK(wire.sent().empty());
  const auto left = machine.leave(kChat).value();
  CHECK(std::get<EvsLeave>(wire.sent().at(0)) == EvsLeave{left, kChat});
  CHECK(machine.multicast_joined({}, {}).error() == EvsError::not_joined);
}

TEST_CASE("an instance is in 256 groups at most") {
  Wire wire;
  wire.open();
  std::vector<base::GroupKey> all;
  for (int i = 0; i < 257; ++i) all.push_back(key(std::to_string(i)));
  CHECK(wire.machine.join(all).error() == EvsError::invalid);
  REQUIRE(wire.machine.join(std::span(all).first(256)).has_value());
  CHECK(wire.machine.join(std::span(all).last(1)).error() == EvsError::limit);
  REQUIRE(wire.machine.join(std::span(all).first(256)).has_value());
}

TEST_CASE("a message that makes no sense is not sent") {
  Wire wire;
  wire.open();
  EvsMachine& machine = wire.machine;
  const base::Buffer longest(protocol::kEvsPayloadBytesMax);
  base::Buffer longer = longest;
  longer.push_back({});
  CHECK(machine.multicast({}, {}, {}).error() == EvsError::invalid);
  CHECK(machine.multicast({}, kChat, longer).error() == EvsError::invalid);
  CHECK(machine.multicast(static_cast<protocol::Guarantee>(4), kChat, {}).error() ==
        EvsError::invalid);
  CHECK(wire.sent().empty());
  CHECK(machine.multicast({}, kChat, longest).has_value());
}

TEST_CASE("when the window is used up the sender is told, and told when any message has room") {
  Wire wire;
  wire.open();
  EvsMachine& machine = wire.machine;
  const base::Buffer payload(protocol::kEvsPayloadBytesMax);
  std::uint64_t given = 0;
  while (machine.multicast({}, kChat, payload)) {
    given += protocol::evs_cost(1, payload.size());
  }
  CHECK(given == 2 * protocol::evs_cost(1, payload.size()));
  CHECK(machine.multicast({}, kChat, payload).error() == EvsError::try_again);
  CHECK_FALSE(machine.all_taken());
  wire.say(protocol::EvsCredit{given / 4});
  CHECK_FALSE(machine.has_event());
  wire.say(protocol::EvsCredit{given / 2});
  REQUIRE(machine.has_event());
  CHECK(is<EvsWritable>(machine.take_event()));
  CHECK(machine.multicast({}, kChat, payload).has_value());
  wire.say(protocol::EvsCredit{3 * given / 2});
  CHECK(machine.all_taken());
  CHECK_FALSE(machine.has_event());  // Nobody had been refused since.
}

TEST_CASE("nobody is told of room that was used up again before he could be told") {
  Wire wire;
  wire.open();
  EvsMachine& machine = wire.machine;
  const base::Buffer payload(protocol::kEvsPayloadBytesMax);
  while (machine.multicast({}, kChat, payload)) {
  }
  const std::uint64_t one = protocol::evs_cost(1, payload.size());
  wire.say(protocol::EvsCredit{one});
  REQUIRE(machine.multicast({}, kChat, payload).has_value());
  CHECK_FALSE(machine.has_event());
  wire.say(protocol::EvsCredit{2 * one});
  REQUIRE(machine.has_event());
  CHECK(is<EvsWritable>(machine.take_event()));
}

TEST_CASE("an instance ends for a reason, after what had come before") {
  SUBCASE("the daemon is gone") {
    Wire wire;
    wire.open();
    wire.say(EvsConfiguration{});
    wire.machine.handle_disconnected();
    CHECK(wire.why() == EvsEnd::Why::disconnected);
    CHECK(wire.machine.has_event());
    CHECK(wire.machine.multicast({}, kChat, {}).error() == EvsError::ended);
    CHECK(wire.machine.join(kChat).error() == EvsError::ended);
  }
  SUBCASE("refused") {
    Wire wire;
    wire.open();
    wire.say(protocol::Refused{protocol::Refusal::too_slow, "read more"});
    wire.machine.handle_disconnected();
    CHECK(wire.why() == EvsEnd::Why::refused);
    CHECK(wire.machine.end()->refusal == protocol::Refusal::too_slow);
    CHECK(wire.machine.end()->advice == "read more");
  }
  SUBCASE("bytes that are no message") {
    Wire wire;
    wire.open();
    wire.machine.handle_bytes(base::bytes_of("SSH-2.0-OpenSSH_9.2p1\r\n"));
    CHECK(wire.why() == EvsEnd::Why::not_understood);
  }
  SUBCASE("a message that is not for an instance") {
    Wire wire;
    wire.open();
    wire.say(protocol::Lost{});
    CHECK(wire.why() == EvsEnd::Why::not_understood);
  }
  SUBCASE("a delivery before the first configuration") {
    Wire wire;
    wire.machine.handle_connected({});
    wire.say(protocol::EvsWelcome{});
    EvsDelivery delivery;
    delivery.groups = kChat;
    wire.say(delivery);
    CHECK(wire.why() == EvsEnd::Why::not_understood);
  }
  SUBCASE("more credit than was used") {
    Wire wire;
    wire.open();
    wire.say(protocol::EvsCredit{1});
    CHECK(wire.why() == EvsEnd::Why::not_understood);
  }
}

TEST_CASE("events that nobody takes are bounded: first no more is wanted, then the instance ends") {
  Wire wire;
  wire.open();
  EvsDelivery delivery;
  delivery.groups = kChat;
  delivery.payload.assign(protocol::kEvsPayloadBytesMax, std::byte{1});
  std::size_t wanted = 0;
  std::size_t kept = 0;
  for (; !wire.machine.end(); ++kept) {
    wanted += wire.machine.wants_bytes() ? 1 : 0;
    wire.say(delivery);
    REQUIRE(kept < 100);
  }
  CHECK(wanted == 1);
  CHECK(kept == 16);
  CHECK(wire.why() == EvsEnd::Why::not_dispatched);
  while (wire.machine.has_event()) wire.machine.take_event();
  CHECK(wire.machine.wants_bytes());
}
