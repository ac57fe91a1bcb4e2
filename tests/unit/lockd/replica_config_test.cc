#include "lockd/replica_config.h"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>

namespace lockd {
namespace {

using namespace std::chrono_literals;

ReplicaConfig three() {
  ReplicaConfig config;
  for (std::uint32_t i = 1; i <= 3; ++i) {
    config.nodes.push_back({base::NodeId{i}, 1, false});
  }
  config.self = base::NodeId{2};
  return config;
}

TEST_CASE("a majority is more than half of all configured votes, those of absent nodes included") {
  ReplicaConfig config = three();
  CHECK(config.majority() == 2);
  config.nodes.push_back({base::NodeId{4}, 1, false});
  CHECK(config.majority() == 3);
  config.nodes[0].votes = 4;
  CHECK(config.majority() == 4);
  CHECK(config.votes_of(base::NodeId{1}) == 4);
  CHECK(config.votes_of(base::NodeId{9}) == 0);
}

TEST_CASE("what is wrong with a configuration is said with the name of the field") {
  CHECK(three().validate().has_value());
  const auto complaint = [](const std::function<void(ReplicaConfig&)>& spoil) {
    ReplicaConfig config = three();
    spoil(config);
    const base::Result<void, std::string> result = config.validate();
    return result.has_value() ? std::string() : result.error().substr(0, result.error().find(':'));
  };
  CHECK(complaint([](ReplicaConfig& c) { c.nodes.clear(); }) == "nodes");
  CHECK(complaint([](ReplicaConfig& c) { c.nodes[0].id = {}; }) == "nodes");
  CHECK(complaint([](ReplicaConfig& c) { c.nodes[1].id = c.nodes[0].id; }) == "nodes");
  CHECK(complaint([](ReplicaConfig& c) { c.self = base::NodeId{9}; }) == "self");
  CHECK(complaint([](ReplicaConfig& c) {
          for (ReplicaNode& node : c.nodes) {
            node.votes = 0;
          }
        }) == "votes");
  CHECK(complaint([](ReplicaConfig& c) { c.lease = c.lease_margin; }) == "lease");
  CHECK(complaint([](ReplicaConfig& c) { c.lease = 48h; }) == "lease");
  CHECK(complaint([](ReplicaConfig& c) { c.clock_drift_ppm = 500'000; }) == "clock_drift_ppm");
  CHECK(complaint([](ReplicaConfig& c) { c.persist_timeout = 0s; }) == "persist_timeout");
  CHECK(complaint([](ReplicaConfig& c) { c.digest_interval = 0; }) == "digest_interval");
  CHECK(complaint([](ReplicaConfig& c) { c.token_range = 1; }) == "token_range");
  CHECK(complaint([](ReplicaConfig& c) { c.commands_max = 0; }) ==
        "commands_max, command_bytes_max");
  CHECK(complaint([](ReplicaConfig& c) { c.chunk_bytes = 0; }) == "chunk_bytes, chunks_under_way");
  CHECK(complaint([](ReplicaConfig& c) { c.housekeeping_under_way = 0; }) ==
        "housekeeping_under_way, held_effects_max");
  CHECK(complaint([](ReplicaConfig& c) { c.expire_stagger = -1s; }) == "expire_stagger");
}

TEST_CASE("nodes of one cluster with the same nodes, votes and limits have one fingerprint") {
  ReplicaConfig one = three();
  ReplicaConfig other = three();
  other.self = base::NodeId{3};
  other.lease = 9s;
  CHECK(one.fingerprint() == other.fingerprint());
  other.nodes[0].votes = 2;
  CHECK(one.fingerprint() != other.fingerprint());
  other = three();
  other.cluster[0] = 1;
  CHECK(one.fingerprint() != other.fingerprint());
  other = three();
  other.nodes.pop_back();
  CHECK(one.fingerprint() != other.fingerprint());
  other = three();
  other.state_limits.purge_step += 1;
  CHECK(one.fingerprint() != other.fingerprint());
}

}  // namespace
}  // namespace lockd
