#include "evs/config.h"

#include <algorithm>

#include "evs/frame.h"

namespace evs {

base::Result<void, std::string> Config::validate() const {
  const auto wrong = [](std::string what) { return base::error(std::move(what)); };
  if (nodes.empty()) return wrong("nodes: at least one node is needed");
  if (nodes.size() > kMembersMax) return wrong("nodes: at most 32 nodes can form a ring");
  if (!std::is_sorted(nodes.begin(), nodes.end())) return wrong("nodes: must be sorted by id");
  if (std::adjacent_find(nodes.begin(), nodes.end()) != nodes.end()) {
    return wrong("nodes: an id is used twice");
  }
  if (base::value(nodes.front()) == 0) return wrong("nodes: id 0 is not allowed");
  if (!std::binary_search(nodes.begin(), nodes.end(), self)) {
    return wrong("self: is not one of the nodes");
  }
  if (token_retransmit <= Duration::zero()) return wrong("token_retransmit: must be positive");
  if (token_timeout < 4 * token_retransmit) {
    return wrong("token_timeout: must be at least four times token_retransmit");
  }
  if (token_hold_max <= Duration::zero() || token_hold_max > token_timeout / 3) {
    return wrong("token_hold_max: must be positive and at most a third of token_timeout");
  }
  if (join_interval <= Duration::zero() || join_interval >= consensus_timeout) {
    return wrong("join_interval: must be positive and below consensus_timeout");
  }
  if (presence_interval <= Duration::zero()) return wrong("presence_interval: must be positive");
  if (readmission_pause <= Duration::zero()) return wrong("readmission_pause: must be positive");
  if (readmission_pause_max < Duration::zero() || readmission_pause_max > std::chrono::hours(1)) {
    return wrong("readmission_pause_max: must be from 0 to an hour");
  }
  if (fail_to_receive_timeout < token_timeout) {
    return wrong("fail_to_receive_timeout: must not be below token_timeout");
  }
  if (datagram_bytes_max < 512 || datagram_bytes_max > 60000) {
    return wrong("datagram_bytes_max: must be from 512 to 60000");
  }
  if (personal_window == 0) return wrong("personal_window: must be positive");
  if (personal_window_min == 0) return wrong("personal_window_min: must be positive");
  if (rotation_window < personal_window) {
    return wrong("rotation_window: must not be below personal_window");
  }
  if (accelerated_window > personal_window) {
    return wrong("accelerated_window: must not be above personal_window");
  }
  if (window_growth < 1 || window_growth > 64) return wrong("window_growth: must be from 1 to 64");
  if (token_copies_max < 1 || token_copies_max > 8)
    return wrong("token_copies_max: must be from 1 to 8");
  if (outstanding_max < rotation_window || outstanding_max > 65536) {
    return wrong("outstanding_max: must be from rotation_window to 65536");
  }
  if (send_queue_bytes_max < kMessageBytesMax + kFrameHeaderBytes) {
    return wrong("send_queue_bytes_max: must hold one message of 1 MiB and 16 KiB");
  }
  return {};
}

Config storm_config() {
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  Config config;
  // With a quarter of 10 Mbit/s for copies of the token a hop takes 0.7 s at 99.9 % loss, and a
  // rotation of three hops exceeds this once in 10^10.
  config.token_timeout = seconds(20);
  // Copies do this work; what is sealed anew also reaches who has proved to be alive only now.
  config.token_retransmit = milliseconds(500);
  config.token_hold_max = seconds(1);
  config.join_interval = milliseconds(500);
  config.consensus_timeout = seconds(12);
  config.presence_interval = seconds(1);
  config.fail_to_receive_timeout = seconds(60);
  // Who breaks rings does so by chance here.
  config.readmission_pause_max = seconds(0);
  // Each packet has to be repeated a thousand times, so few of them, and full ones.
  config.personal_window = 2;
  config.rotation_window = 6;
  config.outstanding_max = 16;
  config.acknowledge_packets_max = 0;
  config.accelerated_window = 0;
  config.window_growth = 1;
  config.token_copies_max = 1;
  return config;
}

}  // namespace evs
