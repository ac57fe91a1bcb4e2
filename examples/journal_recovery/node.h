// A node's whole life: it begins, owns a journal, carries out transactions, recovers the journals
// of others, and leaves.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "stop_point.h"
#include "volume.h"

namespace journal_recovery {

struct NodeOptions {
  StopPoint stop;
  std::optional<std::pair<unsigned, unsigned>> pair;
};

// Until SIGTERM. Throws Lost and Refused.
void run_node(const std::string& disk_socket, const NodeOptions& options);

}  // namespace journal_recovery
