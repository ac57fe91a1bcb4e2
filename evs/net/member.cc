#include "evs/net/member.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "evs/net/clocks.h"
#include "evs/net/close.h"
#include "evs/net/entropy.h"
#include "evs/net/self_test.h"

namespace evs::net {
namespace {

// Bounds of one turn, so that the rest of the loop gets its time. What is left over is for the next
// turn.
constexpr int kBatchesPerTurn = 16;
constexpr int kEventsPerTurn = 1024;

constexpr const char* kNoKey = "the key in use is not among the keys; add it, or use another one";

}  // namespace

base::Result<std::vector<Address>, std::string> Member::addresses_of(const MemberConfig& config) {
  std::vector<Address> addresses;
  for (const base::NodeId id : config.ring.nodes) {
    const auto node = std::ranges::find(config.nodes, id, &NodeAddresses::id);
    if (node == config.nodes.end() || node->addresses.empty()) {
      return base::error("node " + base::to_string(id) +
                         ": has no address; add one to `addresses`");
    }
    const auto address = Address::parse(node->addresses.front());
    if (!address) return base::error("node " + base::to_string(id) + ": " + address.error());
    addresses.push_back(*address);
  }
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (addresses[i].is_ipv6() != addresses[0].is_ipv6()) {
      return base::error(
          "nodes " + base::to_string(config.ring.nodes[0]) + " and " +
          base::to_string(config.ring.nodes[i]) +
          ": one has an IPv4 and the other an IPv6 address; use one kind for the ring");
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (addresses[i].to_string() != addresses[j].to_string()) continue;
      return base::error("nodes " + base::to_string(config.ring.nodes[j]) + " and " +
                         base::to_string(config.ring.nodes[i]) + " have the same address " +
                         addresses[i].to_string());
    }
  }
  return addresses;
}

base::Result<void, std::string> Member::join_group(const std::string& multicast, const Address& own,
                                                   Parts& parts) {
  const auto group = Address::parse(multicast);
  if (!group) return base::error("multicast: " + group.error());
  if (!group->is_multicast()) {
    return base::error("multicast: " + multicast +
                       " is no group; one is from 224.0.0.0 to 239.255.255.255, or begins with ff");
  }
  if (group->is_ipv6() != own.is_ipv6()) {
    return base::error(
        "multicast: " + multicast +
        " and the addresses of the nodes: one is IPv4 and the other IPv6; use one kind");
  }
  if (const auto sends = parts.socket->send_to_groups(own); !sends) return sends;
  auto joined = UdpSocket::join(*group, own);
  if (!joined) return base::error(joined.error());
  parts.group_socket = std::move(*joined);
  parts.group = *group;
  return {};
}

base::Result<std::unique_ptr<Member>, std::string> Member::create(uv_loop_t& loop,
                                                                  const MemberConfig& config,
                                                                  Listener& listener,
                                                                  TraceSink* trace) {
  if (const auto valid = config.ring.validate(); !valid) return base::error(valid.error());
  if (!config.keys.valid()) return base::error(std::string(kNoKey));
  MbedtlsAead aead(config.cipher);
  if (const auto sound = self_test(aead); !sound) {
    return base::error("refusing to start: " + sound.error() +
                       "; the installed mbedTLS library is broken, reinstall it");
  }
  auto addresses = addresses_of(config);
  if (!addresses) return base::error(addresses.error());
  const auto self = std::ranges::lower_bound(config.ring.nodes, config.ring.self);
  const Address own = (*addresses)[static_cast<std::size_t>(self - config.ring.nodes.begin())];
  auto socket = UdpSocket::open(own);
  if (!socket)
    return base::error("node " + base::to_string(config.ring.self) + ": " + socket.error());

  auto alarm = Alarm::create(loop);
  if (!alarm) return base::error("no timer: " + std::string(std::strerror(alarm.error())));

  Parts parts{std::move(*socket), std::move(*addresses), nullptr, std::nullopt, std::move(*alarm)};
  if (!config.multicast.empty()) {
    if (const auto joined = join_group(config.multicast, own, parts); !joined) {
      return base::error("node " + base::to_string(config.ring.self) + ": " + joined.error());
    }
  }
  if (config.offload) {
    parts.socket->use_offload();
    if (parts.group_socket) parts.group_socket->use_offload();
  }
  std::unique_ptr<Member> member(
      new Member(loop, config, std::move(parts), draw_salt(), listener, trace));
  return member;
}

Member::Member(uv_loop_t& loop, const MemberConfig& config, Parts parts, const Salt& salt,
               Listener& listener, TraceSink* trace)
    : listener_(listener),
      nodes_(config.ring.nodes),
      aead_(config.cipher),
      socket_(std::move(parts.socket)),
      group_socket_(std::move(parts.group_socket)),
      sealer_(aead_, config.keys.sealing(), config.ring.self, salt),
      opener_(aead_, config.keys, config.ring.self, salt, config.ring.nodes),
      queue_(*socket_, std::move(parts.addresses), parts.group),
      repeater_(config.redundancy, mask_of(config.ring.self)),
      now_(read_clocks()),
      node_(config.ring, base::Incarnation{draw_u64()}, base::Random(draw_u64()), now_, trace),
      alarm_(std::move(parts.alarm)),
      poll_(new uv_poll_t),
      soon_(new uv_idle_t) {
  CHECK(uv_poll_init(&loop, poll_, socket_->descriptor()) == 0);
  CHECK(uv_idle_init(&loop, soon_) == 0);
  poll_->data = this;
  alarm_->on_due([this] { turn(); });
  soon_->data = this;
  if (group_socket_) {
    group_poll_ = new uv_poll_t;
    CHECK(uv_poll_init(&loop, group_poll_, group_socket_->descriptor()) == 0);
    group_poll_->data = this;
    CHECK(uv_poll_start(group_poll_, UV_READABLE, [](uv_poll_t* poll, int, int) {
            static_cast<Member*>(poll->data)->turn();
          }) == 0);
  }
  wait();
}

Member::~Member() {
  CHECK(!in_turn_);
  close_and_delete(poll_);
  if (group_poll_ != nullptr) close_and_delete(group_poll_);
  close_and_delete(soon_);
}

base::Result<void, MulticastError> Member::multicast(Service service, base::Bytes payload) {
  now_ = read_clocks();
  auto result = node_.multicast(now_, service, payload);
  transmit();
  unsettled_ = true;
  if (!in_turn_) wait();
  return result;
}

void Member::leave() {
  now_ = read_clocks();
  node_.leave(now_);
  transmit();
  unsettled_ = true;
  if (!in_turn_) wait();
}

base::Result<void, std::string> Member::use_keys(const Keyring& keys) {
  if (!keys.valid()) return base::error(std::string(kNoKey));
  opener_.use(keys);
  sealer_.use(keys.sealing());
  now_ = read_clocks();
  opener_.challenge_all(now_);
  send_handshakes();
  queue_.flush();
  if (!in_turn_) wait();
  return {};
}

LinkStatistics Member::statistics() const {
  LinkStatistics statistics;
  statistics.received = received_ + from_group_;
  statistics.from_group = from_group_;
  statistics.opened = opener_.opened();
  statistics.sealed = sealer_.sealed();
  statistics.copies = repeater_.copies();
  statistics.dropped = dropped_;
  statistics.waiting = queue_.size();
  statistics.send_errors = socket_->send_errors();
  statistics.receive_errors = socket_->receive_errors();
  if (group_socket_) statistics.receive_errors += group_socket_->receive_errors();
  statistics.last_send_error = socket_->last_send_error();
  return statistics;
}

// One turn of the loop, whatever woke it: what has arrived comes first, so that a token which waits
// in the socket is not declared lost.
void Member::turn() {
  in_turn_ = true;
  // The token comes by the other socket, behind the packets that were sent before it.
  if (group_socket_) receive(*group_socket_, from_group_);
  receive(*socket_, received_);
  now_ = read_clocks();
  if (const auto due = node_.next_timeout(); due && *due <= now_.boot) {
    node_.handle_timeout(now_);
    unsettled_ = true;
  }
  if (unsettled_) settle();
  repeat();
  queue_.flush();
  in_turn_ = false;
  wait();
}

void Member::receive(UdpSocket& socket, std::uint64_t& count) {
  for (int batch = 0; batch < kBatchesPerTurn; ++batch) {
    const auto datagrams = socket.receive();
    now_ = read_clocks();  // After the receive [rule 6.2].
    count += datagrams.size();
    for (const base::Bytes datagram : datagrams) {
      const auto opened = opener_.open(now_, datagram);
      send_handshakes();
      if (!opened || !*opened) continue;
      node_.handle_datagram(now_, (*opened)->sender(), (*opened)->plaintext);
      unsettled_ = true;
      transmit();  // A token does not wait for what came behind it.
    }
    if (unsettled_) settle();
    if (!socket.more()) return;
  }
}

// Brings out what the node's last input has caused. A listener that multicasts at each event can
// keep this going for ever, so it is cut off and goes on in the next turn.
void Member::settle() {
  int events_left = kEventsPerTurn;
  do {
    unsettled_ = false;
    transmit();
    while (auto event = node_.poll_event()) {
      listener_.on_event(now_, std::move(*event));
      if (--events_left <= 0) {
        unsettled_ = true;
        return;
      }
    }
    listener_.on_progress(now_);
  } while (unsettled_ && --events_left > 0);
}

// Each datagram is sealed once, for all its receivers.
void Member::transmit() {
  while (auto transmit = node_.poll_transmit()) {
    if (transmit->to != 0) send(RecordType::ring, transmit->to, transmit->datagram);
  }
  queue_.flush();
}

void Member::send_handshakes() {
  for (const HandshakeRecord& record : opener_.to_send()) {
    send(record.type, mask_of(record.to), record.text);
  }
}

void Member::send(RecordType type, NodeMask to, base::Bytes text) {
  if (queue_.full()) queue_.flush();
  if (queue_.full()) {
    ++dropped_;
    return;
  }
  base::Buffer& datagram = queue_.push(to);
  sealer_.seal(type, text, datagram);
  repeater_.add(now_.boot, type, to, text, datagram);
}

// Copies give way: what the queue has no room for waits, or is left out.
void Member::repeat() {
  while (!queue_.full()) {
    const auto copy = repeater_.poll(now_.boot);
    if (!copy) return;
    queue_.push(copy->to) = *copy->datagram;
  }
}

NodeMask Member::mask_of(base::NodeId node) const {
  return NodeMask{1} << (std::ranges::lower_bound(nodes_, node) - nodes_.begin());
}

void Member::wait() {
  const int awaited = queue_.empty() ? UV_READABLE : UV_READABLE | UV_WRITABLE;
  if (awaited != awaited_) {
    awaited_ = awaited;
    CHECK(uv_poll_start(poll_, awaited, [](uv_poll_t* poll, int, int) {
            static_cast<Member*>(poll->data)->turn();
          }) == 0);
  }

  // What is left over is for the next turn of the loop.
  if (unsettled_) {
    uv_idle_start(soon_, [](uv_idle_t* soon) { static_cast<Member*>(soon->data)->turn(); });
    return;
  }
  uv_idle_stop(soon_);
  auto due = node_.next_timeout();
  if (const auto copy = repeater_.next_due(); copy && (!due || *copy < *due)) due = copy;
  alarm_->set(due);
}

}  // namespace evs::net
