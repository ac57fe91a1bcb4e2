#include "evs/net/handshake.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"
#include "evs/net/peer.h"
#include "tests/unit/evs_net/sealing.h"

using base::Buffer;
using base::Bytes;
using evs::net::Handshake;
using evs::net::Peer;
using sealing::NodeId;
using sealing::Receiver;
using sealing::RecordType;
using sealing::Refusal;
using sealing::Sender;

namespace {

constexpr base::Duration kPause = Peer::kHandshakePause;

// A node that both sends and receives, as a daemon does.
struct Node {
  Node(NodeId id, std::uint32_t life)
      : self(id),
        sealer(aead, sealing::cluster_key(), id, sealing::salt(life)),
        opener(aead, sealing::cluster_key(), id, sealing::salt(life), sealing::kNodes) {}

  NodeId self;
  evs::net::MbedtlsAead aead;
  sealing::Sealer sealer;
  sealing::Opener opener;
  std::vector<std::string> heard;
};

struct Wire {
  struct OnTheWay {
    Node* to;
    Buffer datagram;
  };

  void send(Node& from, Node& to, RecordType type, Bytes text) {
    on_the_way.push_back({&to, {}});
    from.sealer.seal(type, text, on_the_way.back().datagram);
  }

  // Carries all that two nodes say, until they are silent; answers the number of datagrams.
  std::size_t settle(Node& a, Node& b) {
    std::size_t carried = 0;
    for (; !on_the_way.empty(); ++carried) {
      const OnTheWay next = on_the_way.front();
      on_the_way.erase(on_the_way.begin());
      const auto opened = next.to->opener.open(now, next.datagram);
      if (opened && *opened) next.to->heard.push_back(base::text_of((*opened)->plaintext));
      for (const auto& record : next.to->opener.to_send()) {
        send(*next.to, record.to == a.self ? a : b, record.type, record.text);
      }
    }
    return carried;
  }

  base::Instant now;
  std::vector<OnTheWay> on_the_way;
};

}  // namespace

TEST_CASE("the text of a handshake is decoded to what was encoded, and no other length is taken") {
  const Handshake handshake{NodeId{0xfffffffe}, sealing::salt(7), 0x0123456789abcdefu};
  const auto text = encode(handshake);
  CHECK(evs::net::decode_handshake(text) == handshake);
  Buffer longer(text.begin(), text.end());
  longer.push_back(std::byte{0});
  CHECK_FALSE(evs::net::decode_handshake(longer).has_value());
  for (std::size_t size = 0; size < text.size(); ++size) {
    CHECK_FALSE(evs::net::decode_handshake(Bytes(text).first(size)).has_value());
  }
}

TEST_CASE("the first words of a new life are heard after one round trip, without being repeated") {
  Node a(sealing::kSender, 1);
  Node b(sealing::kReceiver, 2);
  Wire wire;
  wire.send(a, b, RecordType::ring, base::bytes_of("join"));
  // The words, b's challenge, a's answer and a's challenge, b's answer.
  CHECK(wire.settle(a, b) == 5);
  CHECK(b.heard == std::vector<std::string>{"join"});
  wire.send(b, a, RecordType::ring, base::bytes_of("join too"));
  CHECK(wire.settle(a, b) == 1);
  CHECK(a.heard == std::vector<std::string>{"join too"});
}

TEST_CASE("two new lives that speak at once prove themselves to each other") {
  Node a(sealing::kSender, 1);
  Node b(sealing::kReceiver, 2);
  Wire wire;
  wire.send(a, b, RecordType::ring, base::bytes_of("from a"));
  wire.send(b, a, RecordType::ring, base::bytes_of("from b"));
  CHECK(wire.settle(a, b) <= 8);
  CHECK(a.heard == std::vector<std::string>{"from b"});
  CHECK(b.heard == std::vector<std::string>{"from a"});
}

TEST_CASE("lost records of a handshake are made up for by the next words of the new life") {
  for (int lost = 1; lost <= 4; ++lost) {
    Node a(sealing::kSender, 1);
    Node b(sealing::kReceiver, 2);
    Wire wire;
    wire.send(a, b, RecordType::ring, base::bytes_of("first"));
    // Opens what comes until the record that is lost, and with it all that it would have caused.
    for (int i = 0; i < lost && !wire.on_the_way.empty(); ++i) {
      const auto next = wire.on_the_way.front();
      wire.on_the_way.clear();
      static_cast<void>(next.to->opener.open(wire.now, next.datagram));
      for (const auto& record : next.to->opener.to_send()) {
        wire.send(*next.to, record.to == a.self ? a : b, record.type, record.text);
      }
    }
    wire.on_the_way.clear();
    wire.now = wire.now + kPause;
    wire.send(a, b, RecordType::ring, base::bytes_of("second"));
    wire.settle(a, b);
    REQUIRE_FALSE(b.heard.empty());
    CHECK(b.heard.back() == "second");
  }
}

TEST_CASE("recordings of a life that is over are refused, whatever they are and to whom") {
  Node old(sealing::kSender, 1);
  Node b(sealing::kReceiver, 2);
  Wire wire;
  std::vector<Buffer> recordings;
  for (int i = 0; i < 3; ++i) {
    recordings.emplace_back();
    old.sealer.seal(RecordType::ring, base::bytes_of("of old"), recordings.back());
  }
  wire.send(old, b, RecordType::ring, base::bytes_of("join"));
  while (!wire.on_the_way.empty()) {
    const auto next = wire.on_the_way.front();
    wire.on_the_way.erase(wire.on_the_way.begin());
    if (next.to == &b) recordings.push_back(next.datagram);
    static_cast<void>(next.to->opener.open(wire.now, next.datagram));
    for (const auto& record : next.to->opener.to_send()) {
      wire.send(*next.to, record.to == b.self ? b : old, record.type, record.text);
    }
  }

  Node present(sealing::kSender, 3);
  Node restarted(sealing::kReceiver, 4);
  for (Node* receiver : {&b, &restarted}) {
    wire.now = wire.now + kPause;
    wire.send(present, *receiver, RecordType::ring, base::bytes_of("new"));
    wire.settle(present, *receiver);
    CHECK(receiver->heard == std::vector<std::string>{"new"});
    const auto unproved = receiver->opener.refused(Refusal::unproved);
    for (const Buffer& recording : recordings) {
      wire.now = wire.now + kPause;
      CHECK_FALSE(receiver->opener.open(wire.now, recording).has_value());
      for (const auto& record : receiver->opener.to_send()) {
        wire.send(*receiver, present, record.type, record.text);
      }
      wire.settle(present, *receiver);
    }
    CHECK(receiver->opener.refused(Refusal::unproved) == unproved + recordings.size());
    CHECK(receiver->heard == std::vector<std::string>{"new"});
    wire.send(present, *receiver, RecordType::ring, base::bytes_of("still there"));
    wire.settle(present, *receiver);
    CHECK(receiver->heard.back() == "still there");
  }
}

TEST_CASE("an answer counts for the open challenge of this life of the receiver, and once") {
  Receiver before(100);
  Receiver receiver(101);
  Sender sender;
  before.now = receiver.now = receiver.now + kPause;
  REQUIRE(before.open(sender.seal("x")) == "unproved");
  REQUIRE(receiver.open(sender.seal("x")) == "unproved");
  const auto old_challenge = before.to_send(RecordType::challenge);
  const auto challenge = receiver.to_send(RecordType::challenge);
  REQUIRE(old_challenge.has_value());
  REQUIRE(challenge.has_value());
  CHECK(old_challenge->number == challenge->number);

  CHECK(receiver.open(sender.answer(*old_challenge)) == "unproved");
  Handshake other = *challenge;
  ++other.number;
  CHECK(receiver.open(sender.answer(other)) == "unproved");
  other = *challenge;
  other.to = NodeId{9};
  CHECK(receiver.open(sender.seal(evs::net::encode(other), RecordType::answer)) == "unproved");
  CHECK(receiver.open(sender.seal("short", RecordType::answer)) == "unproved");

  const Buffer answer = sender.answer(*challenge);
  CHECK(receiver.open(answer) == "x");
  CHECK(receiver.open(answer) == "replayed");
  // That challenge is over: another life can not use it.
  Sender next(1);
  CHECK(receiver.open(next.answer(*challenge)) == "unproved");
}

TEST_CASE("an answer that comes too late is refused, and the next challenge is another one") {
  Receiver receiver;
  Sender sender;
  REQUIRE(receiver.open(sender.seal("x")) == "unproved");
  const auto challenge = receiver.to_send(RecordType::challenge);
  REQUIRE(challenge.has_value());
  receiver.now = receiver.now + Peer::kChallengeLifetime;
  CHECK(receiver.open(sender.answer(*challenge)) == "unproved");
  const auto next = receiver.to_send(RecordType::challenge);
  REQUIRE(next.has_value());
  CHECK(next->number != challenge->number);
  CHECK(receiver.open(sender.answer(*next)) == "x");
}

TEST_CASE("a life proved again brings nothing that it brought before") {
  // Two processes under one id take turns; an attacker plays back all that both have said.
  Receiver receiver;
  Sender one(1);
  Sender two(2);
  std::vector<Buffer> recordings;
  std::vector<std::string> brought;
  for (int turn = 0; turn < 6; ++turn) {
    Sender& sender = turn % 2 == 0 ? one : two;
    recordings.push_back(sender.seal(std::to_string(recordings.size())));
    receiver.now = receiver.now + kPause;
    receiver.open(recordings.back());
    const auto challenge = receiver.to_send(RecordType::challenge);
    REQUIRE(challenge.has_value());
    for (const Buffer& recording : recordings) receiver.open(recording);
    if (turn < 2) {
      brought.push_back(receiver.open(sender.answer(*challenge)));
    } else {
      // What it said before the answer was heard before, perhaps.
      CHECK(receiver.open(sender.answer(*challenge)) == "-");
    }
    for (int i = 0; i < 3; ++i) {
      recordings.push_back(sender.seal(std::to_string(recordings.size())));
      brought.push_back(receiver.open(recordings.back()));
      CHECK(brought.back() == std::to_string(recordings.size() - 1));
    }
    for (const Buffer& recording : recordings) {
      const std::string text = receiver.open(recording);
      CHECK((text == "unproved" || text == "replayed"));
    }
  }
  std::ranges::sort(brought);
  CHECK(std::ranges::adjacent_find(brought) == brought.end());
}

TEST_CASE("words that overtake the answer are heard once") {
  Receiver receiver;
  Sender sender;
  REQUIRE(receiver.open(sender.seal("first")) == "unproved");
  const Buffer answer = sender.answer(*receiver.to_send(RecordType::challenge));
  const Buffer second = sender.seal("second");
  CHECK(receiver.open(second) == "unproved");
  CHECK(receiver.open(answer) == "second");
  CHECK(receiver.open(second) == "replayed");
  CHECK(receiver.open(sender.seal("third")) == "third");
}

TEST_CASE("a flood of recordings is answered once in a pause, with no more bytes than it has") {
  Receiver receiver;
  std::vector<Buffer> flood;
  for (std::uint32_t life = 0; life < 50; ++life) {
    Sender sender(life);
    flood.push_back(sender.seal(evs::net::encode({sealing::kReceiver, sealing::salt(9), 1}),
                                RecordType::challenge));
    flood.push_back(sender.seal("y"));
  }
  std::size_t challenges = 0;
  std::size_t answers = 0;
  constexpr int kPauses = 10;
  for (int pause = 0; pause < kPauses; ++pause) {
    receiver.now = receiver.now + kPause;
    for (const Buffer& datagram : flood) {
      CHECK(receiver.open(datagram) == "unproved");
      for (const auto& record : receiver.opener.to_send()) {
        ++(record.type == RecordType::challenge ? challenges : answers);
        CHECK(record.text.size() == evs::net::kHandshakeBytes);
      }
    }
  }
  CHECK(challenges == kPauses);
  CHECK(answers == kPauses);
  Sender genuine(1000);
  CHECK(receiver.prove(genuine, "genuine") == "genuine");
}

TEST_CASE("a sender may restart for ever") {
  Receiver receiver;
  for (std::uint32_t life = 0; life < 5000; ++life) {
    Sender sender(life);
    REQUIRE(receiver.prove(sender, "hello") == "hello");
    REQUIRE(receiver.open(sender.seal("again")) == "again");
  }
}

TEST_CASE("a challenge for another node, or of another form, is stray") {
  Receiver receiver;
  Sender sender;
  REQUIRE(receiver.prove(sender) == "");
  CHECK(receiver.open(sender.seal(evs::net::encode({NodeId{9}, sealing::salt(1), 1}),
                                  RecordType::challenge)) == "stray");
  CHECK(receiver.opener.to_send().empty());
  CHECK(receiver.open(sender.seal("x", RecordType::challenge)) == "stray");
  CHECK(receiver.open(sender.seal("x", RecordType::answer)) == "stray");
  CHECK(receiver.open(sender.seal(evs::net::encode({sealing::kReceiver, sealing::salt(1), 1}),
                                  RecordType::challenge)) == "-");
  CHECK(receiver.to_send(RecordType::answer) == Handshake{sealing::kSender, sealing::salt(1), 1});
}
