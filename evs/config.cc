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
  if (outstanding_max < rotation_window || outstanding_max > 65536) {
    return wrong("outstanding_max: must be from rotation_window to 65536");
  }
  if (send_queue_bytes_max < kMessageBytesMax + kFrameHeaderBytes) {
    return wrong("send_queue_bytes_max: must hold one message of 1 MiB and 16 KiB");
  }
  return {};
}

}  // namespace evs
