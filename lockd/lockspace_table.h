// The lockspaces that nodes have joined by name: who is in them and in which slot, how often each
// has joined, whose they are, and which sessions use them. A lockspace that nobody has joined needs
// none of this: it is there while something in it is locked. What the ordered commands do here is
// lockd/state.h; docs/locks.md, "Lockspaces".
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace lockd {

using base::Processor;
using base::SessionId;

struct LockspaceMember {
  Processor processor;
  std::uint32_t slot = 0;  // From 1; the lowest that is free when it joins.
  std::uint32_t uses = 0;  // How often it has joined and not left.

  friend bool operator==(const LockspaceMember&, const LockspaceMember&) = default;
};

struct Lockspace {
  std::uint32_t uid = 0;  // Who created it,
  std::uint32_t gid = 0;
  std::uint16_t permissions = 0;         // and who may use it, as with a file.
  std::uint64_t generation = 0;          // Grows with each change of members.
  std::vector<LockspaceMember> members;  // By node.
  std::vector<LockspaceMember> gone;     // Departed ones of which some session is left.
  std::set<SessionId> users;

  const LockspaceMember* member(base::NodeId node) const;

  // Whether its mode bits let this user lock in it.
  bool lets(std::uint32_t uid, std::uint32_t gid) const;

  friend bool operator==(const Lockspace&, const Lockspace&) = default;
};

struct LockspaceLimits {
  std::size_t lockspaces = 1024;
  std::size_t per_session = 64;
};

class LockspaceTable {
 public:
  explicit LockspaceTable(const LockspaceLimits& limits) : limits_(limits) {}

  const Lockspace* find(const std::string& name) const;
  const std::map<std::string, Lockspace>& all() const { return lockspaces_; }

  bool full() const { return lockspaces_.size() >= limits_.lockspaces; }
  bool full(SessionId session) const;

  // One use more by this node; a lockspace that is not there is made, with this owner and these
  // permissions.
  void join(const std::string& name, const Processor& processor, std::uint32_t uid,
            std::uint32_t gid, std::uint16_t permissions);

  // One use less. The last member takes the lockspace with it.
  void leave(const std::string& name, base::NodeId node);

  void add_user(const std::string& name, SessionId session);

  // From all; the lockspaces stay.
  void remove_user(SessionId session);

  // It is no member any more. Returns the lockspaces that this has changed.
  std::vector<std::string> depart(const Processor& processor);

  // Nothing of this processor is left. Returns the lockspaces in which nobody is gone any more.
  std::vector<std::string> settle(const Processor& processor);

  // Who is gone from some lockspace and not settled.
  std::set<Processor> gone() const;

  std::uint64_t digest() const { return digest_; }

  void serialize(base::ByteWriter& out) const;
  static LockspaceTable deserialize(base::ByteReader& in, const LockspaceLimits& limits);

 private:
  template <typename Change>
  void edit(const std::string& name, Change change);
  void drop_if_unused(const std::string& name);

  LockspaceLimits limits_;
  std::map<std::string, Lockspace> lockspaces_;
  std::set<std::pair<SessionId, std::string>> used_by_;  // What `users` say, by session.
  std::uint64_t digest_ = 0;
};

}  // namespace lockd
