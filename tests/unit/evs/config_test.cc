#include "evs/config.h"

#include <doctest/doctest.h>

#include <functional>

namespace evs {
namespace {

using std::chrono::milliseconds;

Config good() {
  Config config;
  config.self = base::NodeId{2};
  config.nodes = {base::NodeId{1}, base::NodeId{2}, base::NodeId{7}};
  return config;
}

TEST_CASE("the defaults are valid") {
  const auto result = good().validate();
  CHECK(result.has_value());
}

TEST_CASE("each value that cannot work is refused by the name of its field") {
  struct Case {
    const char* field;
    std::function<void(Config&)> spoil;
  };
  const auto nodes = [](std::uint32_t first, std::uint32_t last) {
    std::vector<base::NodeId> ids;
    for (std::uint32_t id = first; id <= last; ++id) ids.push_back(base::NodeId{id});
    return ids;
  };
  const Case cases[] = {
      {"nodes", [](Config& c) { c.nodes.clear(); }},
      {"nodes", [&](Config& c) { c.nodes = nodes(1, 33); }},
      {"nodes", [&](Config& c) { c.nodes = nodes(0, 2); }},
      {"nodes", [](Config& c) { std::swap(c.nodes[0], c.nodes[1]); }},
      {"nodes", [](Config& c) { c.nodes[0] = c.nodes[1]; }},
      {"self", [](Config& c) { c.self = base::NodeId{3}; }},
      {"token_retransmit", [](Config& c) { c.token_retransmit = milliseconds(0); }},
      {"token_timeout", [](Config& c) { c.token_timeout = milliseconds(7); }},
      {"token_hold_max", [](Config& c) { c.token_hold_max = milliseconds(0); }},
      {"token_hold_max", [](Config& c) { c.token_hold_max = milliseconds(101); }},
      {"join_interval", [](Config& c) { c.join_interval = milliseconds(0); }},
      {"join_interval", [](Config& c) { c.join_interval = c.consensus_timeout; }},
      {"presence_interval", [](Config& c) { c.presence_interval = milliseconds(0); }},
      {"readmission_pause", [](Config& c) { c.readmission_pause = milliseconds(0); }},
      {"readmission_pause_max", [](Config& c) { c.readmission_pause_max = milliseconds(-1); }},
      {"readmission_pause_max", [](Config& c) { c.readmission_pause_max = std::chrono::hours(2); }},
      {"fail_to_receive_timeout", [](Config& c) { c.fail_to_receive_timeout = milliseconds(299); }},
      {"datagram_bytes_max", [](Config& c) { c.datagram_bytes_max = 511; }},
      {"datagram_bytes_max", [](Config& c) { c.datagram_bytes_max = 60001; }},
      {"personal_window", [](Config& c) { c.personal_window = 0; }},
      {"rotation_window", [](Config& c) { c.rotation_window = 39; }},
      {"accelerated_window", [](Config& c) { c.accelerated_window = c.personal_window + 1; }},
      {"window_growth", [](Config& c) { c.window_growth = 0; }},
      {"window_growth", [](Config& c) { c.window_growth = 65; }},
      {"token_copies_max", [](Config& c) { c.token_copies_max = 0; }},
      {"token_copies_max", [](Config& c) { c.token_copies_max = 9; }},
      {"outstanding_max", [](Config& c) { c.outstanding_max = 119; }},
      {"outstanding_max", [](Config& c) { c.outstanding_max = 65537; }},
      {"send_queue_bytes_max", [](Config& c) { c.send_queue_bytes_max = kMessageBytesMax - 1; }},
  };
  for (const Case& spoiled : cases) {
    CAPTURE(spoiled.field);
    Config config = good();
    spoiled.spoil(config);
    const auto result = config.validate();
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().rfind(std::string(spoiled.field) + ":", 0) == 0);
  }
}

TEST_CASE("values just at their bounds are valid") {
  Config config = good();
  config.token_hold_max = config.token_timeout / 3;
  config.token_timeout = 4 * config.token_retransmit;
  config.token_hold_max = config.token_timeout / 3;
  config.fail_to_receive_timeout = config.token_timeout;
  config.rotation_window = config.personal_window;
  config.outstanding_max = config.rotation_window;
  config.datagram_bytes_max = 512;
  const auto result = config.validate();
  CHECK(result.has_value());
}

}  // namespace
}  // namespace evs
