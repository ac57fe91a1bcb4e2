// The part of liblock/client.h that joins and leaves lockspaces, and drops orphans.
#include "liblock/client.h"
#include "liblock/clocks.h"

namespace liblock {

int Client::drop_orphans(base::NodeId node, std::uint32_t pid, std::optional<Callback> callback) {
  Lock lock(mutex_);
  return finish(lock, machine_.drop_orphans(read_clocks(), node, pid), callback);
}

int Client::join(std::string_view lockspace, protocol::JoinKind kind, std::uint16_t permissions,
                 std::optional<Callback> callback) {
  Lock lock(mutex_);
  return finish(lock, machine_.join(read_clocks(), lockspace, kind, permissions), callback);
}

int Client::leave(std::string_view lockspace, bool force, std::optional<Callback> callback) {
  Lock lock(mutex_);
  return finish(lock, machine_.leave(read_clocks(), lockspace, force), callback);
}

}  // namespace liblock
