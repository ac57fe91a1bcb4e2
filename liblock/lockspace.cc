#include <liblock/lockspace.h>

#include <optional>

#include "liblock/arguments.h"
#include "liblock/handle.h"

namespace {

using liblock::Callback;
using liblock::guarded;
using liblock::protocol::JoinKind;

constexpr unsigned kPermissions = 0777;

int join(lock_client* client, const char* lockspace, enum lock_join_kind kind, unsigned permissions,
         std::optional<Callback> callback) {
  const bool known =
      kind == LOCK_JOIN_OPEN || kind == LOCK_JOIN_CREATE || kind == LOCK_JOIN_CREATE_NEW;
  if (!known || permissions > kPermissions) return LOCK_ERROR_INVALID;
  return client->client.join(liblock::lockspace_of(lockspace), static_cast<JoinKind>(kind),
                             static_cast<std::uint16_t>(permissions), callback);
}

}  // namespace

extern "C" {

int lock_join_lockspace(lock_client* client, const char* lockspace, enum lock_join_kind kind,
                        unsigned permissions) {
  return guarded(client, [&] { return join(client, lockspace, kind, permissions, std::nullopt); });
}

int lock_join_lockspace_async(lock_client* client, const char* lockspace, enum lock_join_kind kind,
                              unsigned permissions, lock_done_fn* callback, void* arg) {
  return guarded(
      client, [&] { return join(client, lockspace, kind, permissions, Callback(callback, arg)); });
}

int lock_leave_lockspace(lock_client* client, const char* lockspace, int force) {
  return guarded(client, [&] {
    return client->client.leave(liblock::lockspace_of(lockspace), force != 0, std::nullopt);
  });
}

int lock_leave_lockspace_async(lock_client* client, const char* lockspace, int force,
                               lock_done_fn* callback, void* arg) {
  return guarded(client, [&] {
    return client->client.leave(liblock::lockspace_of(lockspace), force != 0,
                                Callback(callback, arg));
  });
}

int lock_on_lockspace(lock_client* client, lock_lockspace_fn* callback, void* arg) {
  return guarded(client, [&] {
    client->client.on_lockspace(callback, arg);
    return 0;
  });
}

}  // extern "C"
