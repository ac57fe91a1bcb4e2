// The lock table: a pure, deterministic state machine over ordered requests. It owns resources,
// their queues and the counter of fencing tokens; sessions' lives, exactly-once and who may be told
// belong to lockd. The rules of granting are described in docs/locks.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "dlm/lock.h"
#include "dlm/mode.h"
#include "dlm/store.h"

namespace dlm {

// Why a snapshot was not loaded.
enum class LoadError : std::uint8_t {
  malformed,      // Not the bytes of a snapshot of this version, or cut short.
  over_limit,     // More than the limits allow.
  contradictory,  // Well formed, but no table can be in such a state.
};

std::string_view to_string(LoadError error);

// Same requests in the same order give the same table, the same effects and the same digest on
// every node. A snapshot that was loaded continues exactly as its original.
class Table {
 public:
  explicit Table(const Limits& limits = {}) : limits_(limits) {}

  // Appends exactly one of granted, queued, refused for the request. A new request is granted at
  // once if nobody waits on the resource and it is compatible with every lock granted there.
  void acquire(const Acquire& request, Effects& effects);

  // Ends a granted lock, if `token` is the one it was granted under, then grants from the front of
  // the queue as long as the first request is compatible.
  void release(LockName lock, Token token, Effects& effects);

  // Takes a waiting request back; those behind it may be granted.
  void cancel(LockName lock, Effects& effects);

  // Ends locks of a session, waiting requests first, each kind in order of its age, until about
  // `budget` effects were appended: one release may grant a whole queue, which is finished. Every
  // call ends at least one lock if there is any. True when the session has none left.
  bool release_some(SessionId session, std::size_t budget, Effects& effects);

  // The next fencing token. Session ids, too, come from this counter, and so do places in queues:
  // tokens grow, but not by ones. An acquire draws at most once, a grant from the queue once more.
  Token draw_token() { return Token{next_token_++}; }

  // Nothing below `base` is drawn from now on.
  void raise_token_base(std::uint64_t base);
  std::uint64_t next_token() const { return next_token_; }

  // 64 bits over locks, queues and the token counter, kept up to date with every change: equal
  // tables have equal digests, by whatever way they came about.
  std::uint64_t digest() const;

  void serialize(base::ByteWriter& out) const;
  static base::Result<Table, LoadError> deserialize(Bytes bytes, const Limits& limits = {});

  std::size_t locks() const { return store_.locks().size(); }
  std::size_t waiters() const { return store_.waiters(); }
  std::size_t resources() const { return store_.resources().size(); }
  std::size_t lockspaces() const { return store_.lockspaces().size(); }
  std::size_t sessions() const { return store_.sessions().size(); }

  // Granted and waiting locks of a session.
  std::size_t count_of(SessionId session) const;

  // Of waiting and granted locks, in the order in which release_some would end them, at most
  // `most`.
  std::vector<LockView> locks_of(SessionId session, std::size_t most) const;

  // A lock, with its position. Walks the queue in front of a waiting one.
  std::optional<LockView> find(LockName lock) const;

  std::optional<ResourceView> find(const ResourceName& name) const;

  // Where a listing goes on. The order of resources depends on their names only, so a listing in
  // pieces shows each resource that was there throughout exactly once, on every node in the same
  // order.
  struct Cursor {
    std::uint64_t position = 0;
    bool end = false;
  };

  // Visits about `most` resources from `from` on.
  Cursor visit_resources(Cursor from, std::size_t most,
                         const std::function<void(const ResourceView&)>& visit) const;

  // Visits holders in the order of their grants, then waiters in the order of the queue: at most
  // `most` after the first `skip`.
  void visit_locks(const ResourceName& name, std::size_t skip, std::size_t most,
                   const std::function<void(const LockView&)>& visit) const;

  // Bytes of memory in use.
  std::size_t memory() const { return store_.memory(); }

 private:
  Status admit(const Acquire& request, Slot resource, bool grantable) const;
  void grant_waiting(Slot resource, Effects& effects);
  void end(Slot lock, Effects& effects);
  LockView view(const LockRecord& lock, std::size_t position) const;
  ResourceView view(const ResourceRecord& resource) const;

  Limits limits_;
  Store store_;
  std::uint64_t next_token_ = 1;
};

}  // namespace dlm
