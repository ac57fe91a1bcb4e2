#include "lockd/replica_config.h"

#include <algorithm>

#include "evs/config.h"
#include "lockd/mix.h"

namespace lockd {
namespace {

const ReplicaNode* find(const std::vector<ReplicaNode>& nodes, base::NodeId id) {
  const auto at = std::find_if(nodes.begin(), nodes.end(),
                               [id](const ReplicaNode& node) { return node.id == id; });
  return at == nodes.end() ? nullptr : &*at;
}

std::uint64_t votes_in_all(const std::vector<ReplicaNode>& nodes) {
  std::uint64_t votes = 0;
  for (const ReplicaNode& node : nodes) {
    votes += node.votes;
  }
  return votes;
}

constexpr std::uint64_t kVotesMax = 1'000'000;
constexpr std::uint32_t kDriftMax = 200'000;

}  // namespace

base::Result<void, std::string> ReplicaConfig::validate() const {
  const auto wrong = [](std::string why) { return base::error(std::move(why)); };
  if (nodes.empty() || nodes.size() > evs::kMembersMax) {
    return wrong("nodes: there must be 1 to " + std::to_string(evs::kMembersMax));
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (base::value(nodes[i].id) == 0) {
      return wrong("nodes: an id must not be 0");
    }
    if (i > 0 && !(nodes[i - 1].id < nodes[i].id)) {
      return wrong("nodes: ids must be sorted and not repeated");
    }
  }
  if (find(nodes, self) == nullptr) {
    return wrong("self: is not one of the nodes");
  }
  if (votes_in_all(nodes) == 0 || votes_in_all(nodes) > kVotesMax) {
    return wrong("votes: all together must be 1 to " + std::to_string(kVotesMax));
  }
  if (lease_margin < Duration::zero() || lease <= lease_margin) {
    return wrong("lease: must be longer than lease_margin");
  }
  if (lease > std::chrono::hours(24)) {
    return wrong("lease: must not be longer than a day");
  }
  if (clock_drift_ppm > kDriftMax) {
    return wrong("clock_drift_ppm: must be at most " + std::to_string(kDriftMax));
  }
  if (persist_timeout <= Duration::zero()) {
    return wrong("persist_timeout: must be positive");
  }
  if (digest_interval == 0) {
    return wrong("digest_interval: must be positive");
  }
  if (token_range < 2 || token_range > std::uint64_t{1} << 40) {
    return wrong("token_range: must be 2 to 2^40");
  }
  if (commands_max == 0 || command_bytes_max < evs::kMessageBytesMax) {
    return wrong("commands_max, command_bytes_max: there must be room for one command");
  }
  if (chunk_bytes == 0 || chunk_bytes > evs::kMessageBytesMax / 2 || chunks_under_way == 0) {
    return wrong("chunk_bytes, chunks_under_way: must be positive, and a chunk fit into a message");
  }
  if (housekeeping_under_way == 0 || held_effects_max == 0) {
    return wrong("housekeeping_under_way, held_effects_max: must be positive");
  }
  if (expire_stagger < Duration::zero()) {
    return wrong("expire_stagger: must not be negative");
  }
  return {};
}

std::uint32_t ReplicaConfig::votes_of(base::NodeId node) const {
  const ReplicaNode* found = find(nodes, node);
  return found == nullptr ? 0 : found->votes;
}

std::uint32_t ReplicaConfig::majority() const {
  return static_cast<std::uint32_t>(votes_in_all(nodes) / 2 + 1);
}

std::uint64_t ReplicaConfig::fingerprint() const {
  std::uint64_t h = nodes.size();
  for (const std::uint8_t b : cluster) {
    h = mix(h, b);
  }
  for (const ReplicaNode& node : nodes) {
    h = mix(h, base::value(node.id));
    h = mix(h, node.votes);
  }
  return mix(h, state_limits.fingerprint());
}

Duration ReplicaConfig::wait_for(Duration lease_promised) const {
  // A lease is at most a day, so that the product stays below 2^63: 8.64e13 ns times 1.2e6 needs
  // splitting.
  const std::int64_t slow = 1'000'000 - std::int64_t{clock_drift_ppm};
  const std::int64_t extra = 2 * std::int64_t{clock_drift_ppm};
  const std::int64_t whole = lease_promised.count() / slow * extra;
  const std::int64_t rest = (lease_promised.count() % slow * extra + slow - 1) / slow;
  return lease_promised + Duration(whole + rest);
}

}  // namespace lockd
