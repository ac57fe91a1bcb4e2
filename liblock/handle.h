// What a lock_client is, and how the C functions keep forked children out.
#pragma once

#include <liblock/query.h>

#include <utility>
#include <vector>

#include "liblock/client.h"
#include "liblock/guarded.h"

struct lock_client {
  lock_client(liblock::ClientOptions options, const liblock::protocol::Instance& instance)
      : client(this, std::move(options), instance) {}

  liblock::Client client;

  // What the last lock_status() gave out.
  liblock::protocol::Status status;
  std::vector<lock_counter> counters;

  // And the last lock_ring_status().
  std::vector<lock_ring_peer> peers;

  // And the last lock_why().
  liblock::protocol::Why why;
  std::vector<std::uint32_t> nodes;
  std::vector<lock_why_member> changes;
};

namespace liblock {

template <typename Call>
int guarded(lock_client* client, Call call) {
  if (client->client.forked()) return LOCK_ERROR_FORKED;
  return guarded(std::move(call));
}

}  // namespace liblock
