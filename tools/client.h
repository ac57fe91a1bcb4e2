// A connection of liblock that closes itself.
#pragma once

#include <liblock/lock.h>

#include <memory>

namespace tools {

struct CloseClient {
  void operator()(lock_client* client) const { lock_close(client); }
};

using Client = std::unique_ptr<lock_client, CloseClient>;

}  // namespace tools
