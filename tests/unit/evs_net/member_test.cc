#include "evs/net/member.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "evs/net/clocks.h"
#include "tests/unit/evs_net/free_addresses.h"
#include "tests/unit/evs_net/loop.h"
#include "tests/unit/evs_net/sealing.h"

using base::NodeId;
using evs::Service;
using evs::net::Address;
using evs::net::Cipher;
using evs::net::Member;
using evs::net::MemberConfig;
using evs::net::Refusal;

namespace {

MemberConfig config_of(std::uint32_t self, const std::vector<std::string>& addresses) {
  MemberConfig config;
  config.keys = sealing::cluster_key();
  config.ring.self = NodeId{self};
  for (std::uint32_t i = 0; i < addresses.size(); ++i) {
    config.ring.nodes.push_back(NodeId{i + 1});
    config.nodes.push_back({NodeId{i + 1}, {addresses[i]}});
  }
  return config;
}

// A member that writes down what it is told.
struct Recorder : Member::Listener {
  Recorder(Loop& loop, const MemberConfig& config) {
    auto created = Member::create(loop.loop, config, *this);
    REQUIRE_MESSAGE(created.has_value(), (created ? "" : created.error()));
    member = std::move(*created);
  }

  void on_event(base::Instant now, evs::Event&& event) override {
    CHECK(now.boot >= last.boot);
    CHECK(now.raw >= last.raw);
    last = now;
    CHECK_FALSE(calling_in);
    if (const auto* delivery = std::get_if<evs::Delivery>(&event)) {
      delivered.push_back(base::text_of(delivery->payload));
      if (answer) answer(delivered.back());
    } else {
      ++changes;
    }
  }
  void on_progress(base::Instant) override { ++progress; }

  bool multicast(std::string_view text, Service service = Service::safe) {
    calling_in = true;
    const bool taken = member->multicast(service, base::bytes_of(text)).has_value();
    calling_in = false;
    return taken;
  }

  bool in_ring_of(std::size_t members) const {
    return member->node().state() == evs::NodeState::operational &&
           member->node().regular().members.size() == members;
  }

  std::function<void(const std::string&)> answer;
  std::vector<std::string> delivered;
  int changes = 0;
  int progress = 0;
  bool calling_in = false;
  base::Instant last;
  std::unique_ptr<Member> member;
};

std::string error_of(Loop& loop, const MemberConfig& config) {
  struct Silent : Member::Listener {
    void on_event(base::Instant, evs::Event&&) override {}
    void on_progress(base::Instant) override {}
  } silent;
  const auto created = Member::create(loop.loop, config, silent);
  return created ? "no error" : created.error();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void send_to(const std::string& address, base::Bytes datagram) {
  const auto to = Address::parse(address);
  REQUIRE(to.has_value());
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  REQUIRE(sendto(fd, datagram.data(), datagram.size(), 0, to->get(), to->size()) ==
          static_cast<ssize_t>(datagram.size()));
  close(fd);
}

// A node that says what a test wants it to.
struct Puppet {
  Puppet(const std::string& address, NodeId self)
      : sealer(aead, sealing::cluster_key(), self, sealing::salt(77)), fd(bound_to(address)) {}

  static int bound_to(const std::string& address) {
    const auto at = Address::parse(address);
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    REQUIRE(bind(fd, at->get(), at->size()) == 0);
    return fd;
  }

  void say(const std::string& to, std::string_view text) {
    sealer.seal(sealing::RecordType::ring, base::bytes_of(text), datagram);
    send_to(to, datagram);
  }

  // Answers the first challenge that comes, whatever else comes; false until then.
  bool answer(const std::string& to) {
    base::Buffer received(2048);
    ssize_t size = 0;
    while (!answered && (size = recv(fd, received.data(), received.size(), 0)) > 0) {
      const base::Bytes whole = base::Bytes(received).first(static_cast<std::size_t>(size));
      const auto header = evs::net::decode_header(whole);
      if (!header || header->type != sealing::RecordType::challenge) continue;
      base::Buffer text(whole.size() - evs::net::kSealBytes);
      REQUIRE(aead.open(derive_key(aead, sealing::cluster_key(), *header), nonce_of(*header),
                        whole.first(evs::net::kHeaderBytes), whole.subspan(evs::net::kHeaderBytes),
                        text));
      auto handshake = evs::net::decode_handshake(text);
      REQUIRE(handshake.has_value());
      handshake->to = header->sender;
      sealer.seal(sealing::RecordType::answer, evs::net::encode(*handshake), datagram);
      send_to(to, datagram);
      answered = true;
    }
    return answered;
  }

  void close() { ::close(fd); }

  evs::net::MbedtlsAead aead;
  sealing::Sealer sealer;
  base::Buffer datagram;
  int fd;
  bool answered = false;
};

void form_a_ring_and_agree(const std::vector<std::string>& addresses,
                           Cipher cipher = Cipher::chacha20_poly1305,
                           const std::string& multicast = "") {
  Loop loop;
  std::vector<std::unique_ptr<Recorder>> peers;
  const auto count = static_cast<std::uint32_t>(addresses.size());
  for (std::uint32_t id = 1; id <= count; ++id) {
    MemberConfig config = config_of(id, addresses);
    config.cipher = cipher;
    config.multicast = multicast;
    peers.push_back(std::make_unique<Recorder>(loop, config));
  }
  REQUIRE(loop.run_until([&] {
    return std::ranges::all_of(peers, [&](const auto& peer) { return peer->in_ring_of(count); });
  }));
  for (int i = 0; i < 100; ++i) {
    for (auto& peer : peers) {
      const std::string text =
          base::to_string(peer->member->node().self().node) + ":" + std::to_string(i);
      REQUIRE(peer->multicast(text, i % 2 == 0 ? Service::safe : Service::agreed));
    }
  }
  REQUIRE(peers[0]->multicast(std::string(300000, 'x')));
  const std::size_t all = 100 * count + 1;
  CHECK(loop.run_until([&] {
    return std::ranges::all_of(peers,
                               [&](const auto& peer) { return peer->delivered.size() == all; });
  }));
  for (auto& peer : peers) {
    CHECK(peer->delivered == peers[0]->delivered);
    CHECK((peer->member->statistics().from_group > 0) == !multicast.empty());
  }
}

}  // namespace

TEST_CASE("two members on loopback form a ring and deliver the same messages in the same order") {
  form_a_ring_and_agree(free_addresses(2));
}

TEST_CASE("two members do so with AES-256-GCM") {
  form_a_ring_and_agree(free_addresses(2), Cipher::aes_256_gcm);
}

TEST_CASE("three members do so by multicast") {
  const std::string port = free_addresses(1).front().substr(std::string("127.0.0.1").size());
  form_a_ring_and_agree(free_addresses(3), Cipher::chacha20_poly1305, "239.255.77.1" + port);
}

TEST_CASE("a multicast group that is none is refused, with what one is") {
  Loop loop;
  const auto addresses = free_addresses(1);
  MemberConfig config = config_of(1, addresses);
  config.multicast = "192.0.2.1:7001";
  CHECK(contains(error_of(loop, config), "192.0.2.1:7001 is no group"));
  config.multicast = "[ff02::1]:7001";
  CHECK(contains(error_of(loop, config), "one is IPv4 and the other IPv6"));
  config.multicast = "somewhere";
  CHECK(contains(error_of(loop, config), "expected a number address"));
}

TEST_CASE("members with different ciphers do not hear each other, and count it") {
  Loop loop;
  const auto addresses = free_addresses(2);
  MemberConfig config = config_of(1, addresses);
  config.cipher = Cipher::aes_256_gcm;
  Recorder one(loop, config);
  Recorder two(loop, config_of(2, addresses));
  CHECK(loop.run_until([&] {
    return one.member->refused(Refusal::wrong_cipher) > 3 &&
           two.member->refused(Refusal::wrong_cipher) > 3 && one.in_ring_of(1) && two.in_ring_of(1);
  }));
}

TEST_CASE("three members do so over IPv6") {
  const auto addresses = free_addresses(3, true);
  if (addresses.empty()) {
    MESSAGE("not tested: this machine has no IPv6");
    return;
  }
  form_a_ring_and_agree(addresses);
}

TEST_CASE("a member alone hears itself, and never from within its own call") {
  Loop loop;
  Recorder peer(loop, config_of(1, free_addresses(1)));
  CHECK(peer.multicast("a"));
  CHECK(peer.multicast("b", Service::agreed));
  CHECK(peer.delivered.empty());
  CHECK(loop.run_until([&] { return peer.delivered.size() == 2; }));
  CHECK(peer.delivered == std::vector<std::string>{"a", "b"});
  CHECK(peer.changes >= 1);
  CHECK(peer.progress >= 1);
}

TEST_CASE("a listener may multicast at each delivery, and the loop still gets its turns") {
  Loop loop;
  Recorder peer(loop, config_of(1, free_addresses(1)));
  peer.answer = [&](const std::string&) {
    static_cast<void>(peer.member->multicast(Service::agreed, base::bytes_of("again")));
  };
  CHECK(peer.multicast("first"));
  int turns = 0;
  CHECK(loop.run_until([&] { return ++turns > 20 && peer.delivered.size() > 5000; }));
}

TEST_CASE("a token counts from when it was read, however long the loop was away [rule 6.2]") {
  struct Watcher : Recorder {
    using Recorder::Recorder;
    void on_progress(base::Instant now) override {
      Recorder::on_progress(now);
      const base::Instant receipt = member->node().evidence().last_receipt;
      if (receipt.boot == seen.boot) return;
      seen = receipt;
      ++receipts;
      CHECK(receipt.boot >= pause_end.boot);
      CHECK(receipt.raw >= pause_end.raw);
    }
    base::Instant pause_end;
    base::Instant seen;
    std::size_t receipts = 0;
  };
  Loop loop;
  const auto addresses = free_addresses(2);
  Recorder pauses(loop, config_of(1, addresses));
  Watcher watches(loop, config_of(2, addresses));
  REQUIRE(loop.run_until([&] { return pauses.in_ring_of(2) && watches.in_ring_of(2); }));
  pauses.answer = [&](const std::string&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    watches.pause_end = evs::net::read_clocks();
  };
  for (std::size_t sent = 1; sent <= 20; ++sent) {
    const std::size_t receipts = watches.receipts;
    REQUIRE(watches.multicast("x"));
    CHECK(loop.run_until(
        [&] { return pauses.delivered.size() == sent && watches.receipts > receipts + 1; }));
  }
}

TEST_CASE("a member that leaves is gone for the other at once, without a time-out") {
  Loop loop;
  const auto addresses = free_addresses(2);
  Recorder stays(loop, config_of(1, addresses));
  Recorder leaves(loop, config_of(2, addresses));
  REQUIRE(loop.run_until([&] { return stays.in_ring_of(2) && leaves.in_ring_of(2); }));
  leaves.member->leave();
  CHECK(loop.run_until([&] { return stays.in_ring_of(1); }));
  CHECK(leaves.member->node().state() == evs::NodeState::left);
  CHECK_FALSE(leaves.multicast("too late"));
}

TEST_CASE("a member that is destroyed is missed, and one that starts in its place comes in") {
  Loop loop;
  const auto addresses = free_addresses(2);
  Recorder stays(loop, config_of(1, addresses));
  std::optional<Recorder> other(std::in_place, loop, config_of(2, addresses));
  REQUIRE(loop.run_until([&] { return stays.in_ring_of(2); }));
  const auto before = stays.member->node().regular().members;
  other.reset();
  REQUIRE(loop.run_until([&] { return stays.in_ring_of(1); }));
  other.emplace(loop, config_of(2, addresses));
  CHECK(loop.run_until([&] { return stays.in_ring_of(2) && other->in_ring_of(2); }));
  CHECK(stays.member->node().regular().members != before);
}

TEST_CASE(
    "garbage, replays and another cluster's datagrams on the port are counted and harm nobody") {
  Loop loop;
  const auto addresses = free_addresses(2);
  Recorder one(loop, config_of(1, addresses));
  MemberConfig foreign = config_of(2, addresses);
  foreign.keys.keys[0].master.bytes()[0] ^= std::byte{1};
  {
    Recorder stranger(loop, foreign);
    REQUIRE(loop.run_until([&] { return one.member->refused(Refusal::forged) > 3; }));
    CHECK(one.in_ring_of(1));
  }

  // Node 2 in this test's hand: it proves to be alive, and then says what is no message.
  Puppet puppet(addresses[1], NodeId{2});
  puppet.say(addresses[0], "no message of the ring");
  REQUIRE(loop.run_until([&] { return puppet.answer(addresses[0]); }));
  puppet.say(addresses[0], "nor this");
  send_to(addresses[0], puppet.datagram);
  send_to(addresses[0], base::bytes_of("short"));
  base::Random random(1);
  for (int i = 0; i < 100; ++i) {
    base::Buffer garbage(random.below(3000));
    for (std::byte& b : garbage) b = static_cast<std::byte>(random.below(256));
    send_to(addresses[0], garbage);
  }
  CHECK(loop.run_until([&] {
    const auto statistics = one.member->statistics();
    return one.member->refused(Refusal::replayed) == 1 && statistics.received >= 105;
  }));
  CHECK(one.member->refused(Refusal::too_short) >= 1);
  CHECK(one.member->node().statistics().datagrams_malformed == 2);

  puppet.close();
  Recorder two(loop, config_of(2, addresses));
  CHECK(loop.run_until([&] { return one.in_ring_of(2) && two.in_ring_of(2); }));
}

TEST_CASE("three members change their key one by one, and the ring goes on as it is") {
  Loop loop;
  const auto addresses = free_addresses(3);
  std::vector<std::unique_ptr<Recorder>> peers;
  for (std::uint32_t id = 1; id <= 3; ++id) {
    peers.push_back(std::make_unique<Recorder>(loop, config_of(id, addresses)));
  }
  REQUIRE(loop.run_until(
      [&] { return std::ranges::all_of(peers, [](auto& peer) { return peer->in_ring_of(3); }); }));
  const auto ring = peers[0]->member->node().regular().id;
  std::size_t sent = 0;
  // All hear each other under the keys they have, whoever sends.
  const auto talk = [&] {
    for (auto& peer : peers) REQUIRE(peer->multicast("after a step"));
    sent += peers.size();
    return loop.run_until([&] {
      return std::ranges::all_of(peers, [&](auto& peer) { return peer->delivered.size() == sent; });
    });
  };
  evs::net::Keyring keys = sealing::cluster_key();
  const evs::net::KeyId old_id = keys.in_use;
  const evs::net::KeyId new_id{0x0103};
  const auto each_uses = [&](const evs::net::Keyring& ring_of_keys) {
    for (auto& peer : peers) {
      REQUIRE(peer->member->use_keys(ring_of_keys).has_value());
      CHECK(talk());
    }
  };

  CHECK(talk());
  keys.keys.push_back(keys.keys[0]);
  keys.keys[1].id = new_id;
  keys.keys[1].master.bytes()[0] ^= std::byte{1};
  each_uses(keys);
  CHECK(peers[0]->member->key_of(NodeId{2}) == old_id);
  keys.in_use = new_id;
  each_uses(keys);
  CHECK(peers[0]->member->key_in_use() == new_id);
  for (std::uint32_t other = 2; other <= 3; ++other) {
    CHECK(peers[0]->member->key_of(NodeId{other}) == new_id);
  }
  keys.keys.erase(keys.keys.begin());
  each_uses(keys);

  for (auto& peer : peers) {
    CHECK(peer->member->node().regular().id == ring);
    CHECK(peer->member->refused(Refusal::wrong_key_id) == 0);
    CHECK(peer->member->refused(Refusal::forged) == 0);
  }
}

TEST_CASE("a change of the key is heard by all at once, although nobody has a message to send") {
  Loop loop;
  const auto addresses = free_addresses(3);
  std::vector<std::unique_ptr<Recorder>> peers;
  evs::net::Keyring keys = sealing::cluster_key();
  const evs::net::KeyId new_id{0x0103};
  keys.keys.push_back(keys.keys[0]);
  keys.keys[1].id = new_id;
  for (std::uint32_t id = 1; id <= 3; ++id) {
    auto config = config_of(id, addresses);
    config.keys = keys;
    peers.push_back(std::make_unique<Recorder>(loop, config));
  }
  REQUIRE(loop.run_until(
      [&] { return std::ranges::all_of(peers, [](auto& peer) { return peer->in_ring_of(3); }); }));
  keys.in_use = new_id;
  REQUIRE(peers[1]->member->use_keys(keys).has_value());
  // Node 2 passes the token to node 3, and has nothing to tell node 1.
  CHECK(loop.run_until([&] { return peers[0]->member->key_of(NodeId{2}) == new_id; }));
  CHECK(peers[0]->member->key_of(NodeId{3}) != new_id);
}

TEST_CASE("without the key in use a member is not created, and one that runs keeps its keys") {
  Loop loop;
  const auto addresses = free_addresses(1);
  MemberConfig config = config_of(1, addresses);
  Recorder peer(loop, config);
  config.keys.in_use = evs::net::KeyId{9};
  CHECK(contains(error_of(loop, config), "the key in use is not among the keys"));
  CHECK_FALSE(peer.member->use_keys(config.keys).has_value());
  CHECK(peer.member->key_in_use() == sealing::cluster_key().id);
  CHECK(peer.multicast("still there"));
  CHECK(loop.run_until([&] { return peer.delivered.size() == 1; }));
}

TEST_CASE("an address in use is named, with what to do about it") {
  Loop loop;
  const auto addresses = free_addresses(1);
  Recorder first(loop, config_of(1, addresses));
  const std::string error = error_of(loop, config_of(1, addresses));
  CHECK(contains(error, addresses[0]));
  CHECK(contains(error, "in use"));
  CHECK(contains(error, "addresses"));
}

TEST_CASE("an address of another machine is named, with what to do about it") {
  Loop loop;
  const std::string error = error_of(loop, config_of(1, {"192.0.2.1:7001"}));
  CHECK(contains(error, "192.0.2.1:7001 is not one of this machine"));
}

TEST_CASE("addresses that can not work together are refused, and both nodes named") {
  Loop loop;
  CHECK(contains(error_of(loop, config_of(1, {"127.0.0.1:7001", "127.0.0.1:7001"})),
                 "nodes 1 and 2 have the same address 127.0.0.1:7001"));
  CHECK(contains(error_of(loop, config_of(1, {"127.0.0.1:7001", "[::1]:7002"})),
                 "nodes 1 and 2: one has an IPv4"));
  MemberConfig config = config_of(1, {"127.0.0.1:7001", "127.0.0.1:7002"});
  config.nodes[1].addresses.clear();
  CHECK(contains(error_of(loop, config), "node 2: has no address"));
}

TEST_CASE("a member is not created with a ring configuration that is wrong") {
  Loop loop;
  MemberConfig config = config_of(1, {"127.0.0.1:7001"});
  config.ring.self = NodeId{9};
  CHECK(contains(error_of(loop, config), "self"));
}
