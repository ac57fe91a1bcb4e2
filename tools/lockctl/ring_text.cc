#include "tools/lockctl/ring_text.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <string_view>

#include "tools/lockctl/duration.h"
#include "tools/lockctl/name.h"

namespace tools::lockctl {
namespace {

std::string n(std::uint64_t value) {
  return std::to_string(value);
}

std::string some(std::uint64_t count, const std::string& noun) {
  return n(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string hexadecimal(std::uint64_t value) {
  char out[17];
  std::snprintf(out, sizeof out, "%llx", static_cast<unsigned long long>(value));
  return out;
}

std::uint64_t counter(const Status& status, std::string_view name) {
  for (const auto& [one, value] : status.counters) {
    if (one == name) return value;
  }
  return 0;
}

std::string who(const RingStatus& ring) {
  std::string in;
  std::string out;
  for (const RingPeer& peer : ring.peers) {
    (peer.incarnation != 0 ? in : out) += " " + n(peer.node);
  }
  return "nodes" + in + (out.empty() ? "" : ", without" + out);
}

std::string keys(const RingStatus& ring) {
  std::map<std::uint16_t, std::string> users;
  for (const RingPeer& peer : ring.peers) users[peer.key] += " " + n(peer.node);
  const std::string silent = users.count(0) != 0 ? "; not heard:" + users[0] : "";
  users.erase(0);
  if (users.empty()) return "not heard of any";
  if (users.size() == 1) return n(users.begin()->first) + silent;
  std::string out;
  for (const auto& [key, nodes] : users)
    out += (out.empty() ? "" : "; ") + n(key) + ": nodes" + nodes;
  return out + silent;
}

std::string rotation(const RingStatus& ring) {
  if (ring.state != "operational") return "none: a new ring is being formed";
  return format_duration(ring.rotation_average) + " a rotation, the longest " +
         format_duration(ring.rotation_longest);
}

bool is_of_the_ring(std::string_view name) {
  return name.starts_with("ring_") || name.starts_with("datagrams_");
}

std::string state_of(const RingPeer& peer) {
  if (peer.barred) return "barred";
  return peer.incarnation == 0 ? "absent" : "member";
}

}  // namespace

std::vector<Row> ring_rows(const Status& status, const RingStatus& ring) {
  return {
      {"ring", n(ring.id.sequence) + "." + n(ring.id.representative) + ":" +
                   hexadecimal(ring.id.nonce) + ", " + ring.state + ": " + who(ring)},
      {"token", rotation(ring)},
      {"lost", some(counter(status, "ring_token_losses"), "token") + "; sent again " +
                   some(counter(status, "ring_token_retransmissions"), "token") + " and " +
                   some(counter(status, "ring_packets_retransmitted"), "packet") + " of " +
                   n(counter(status, "ring_packets_sent"))},
      {"windows", n(ring.personal_window) + " packets a visit, " + n(ring.accelerated_window) +
                      " of them after the token; " + n(ring.rotation_window) + " a rotation, " +
                      n(ring.outstanding_max) + " that not all have"},
      {"queues", some(ring.waiting_messages, "message") + " (" + some(ring.waiting_bytes, "byte") +
                     ") for the token, " + some(ring.waiting_datagrams, "datagram") +
                     " for the socket; " + some(ring.stored, "packet") + " kept"},
      {"keys", keys(ring)},
  };
}

std::string ring_details(const Status& status, const RingStatus& ring) {
  std::vector<Row> rows = ring_rows(status, ring);
  rows.push_back({"last", format_duration(ring.rotation) + " for the last rotation"});
  rows.push_back({"order", "packets to " + n(ring.highest) + " known, " + n(ring.received) +
                               " received, " + n(ring.delivered) + " delivered, " + n(ring.stable) +
                               " stable"});
  std::vector<Row> peers = {
      {"NODE", "STATE", "ACKNOWLEDGED", "BEHIND", "HEARD", "KEY", "INCARNATION"}};
  for (const RingPeer& peer : ring.peers) {
    const bool member = peer.incarnation != 0;
    const std::uint64_t behind = ring.highest - std::min(ring.highest, peer.acknowledged);
    peers.push_back({n(peer.node) + (peer.self ? " (this one)" : ""), state_of(peer),
                     member ? n(peer.acknowledged) : "-", member ? n(behind) : "-",
                     peer.self    ? "-"
                     : peer.heard ? format_duration(peer.heard_ago) + " ago"
                                  : "never",
                     peer.key == 0 ? "-" : n(peer.key),
                     member ? hexadecimal(peer.incarnation) : "-"});
  }
  std::vector<Row> counters = {{"COUNTER", "SINCE THE START"}};
  for (const auto& [name, value] : status.counters) {
    if (is_of_the_ring(name)) counters.push_back({printable(name), n(value)});
  }
  return table(rows) + "\n" + table(peers) + "\n" + table(counters);
}

}  // namespace tools::lockctl
