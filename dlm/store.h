// The records behind a lock table: lockspaces, resources, sessions and locks, the lists that tie
// them together, and the digest over them. It knows no rules: who is granted what is decided in
// dlm/table.cc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "dlm/hash.h"
#include "dlm/lock.h"
#include "dlm/names.h"
#include "dlm/slots.h"

namespace dlm {

struct Links {
  Slot previous = kNoSlot;
  Slot next = kNoSlot;
};

// Of locks, oldest stamp first.
struct List {
  Slot first = kNoSlot;
  Slot last = kNoSlot;
};

struct LockspaceRecord {
  std::uint64_t name_hash = 0;
  NameRef name{};
  std::uint32_t resources = 0;
  Slot chain = kNoSlot;

  std::uint64_t hash() const { return name_hash; }
};

struct ResourceRecord {
  std::uint64_t name_hash = 0;  // Of the lockspace's name, too.
  NameRef name{};
  Slot lockspace = kNoSlot;
  Slot chain = kNoSlot;
  std::uint32_t waiters = 0;
  std::array<std::uint32_t, kModes> held = {};  // How many hold each mode.
  List granted;
  List waiting;

  std::uint64_t hash() const { return name_hash; }

  // With every mode that is held here.
  bool compatible_with(Mode mode) const;
};

struct SessionRecord {
  SessionId id{};
  Slot chain = kNoSlot;
  std::uint32_t locks = 0;
  List granted;
  List waiting;

  static std::uint64_t hash_of(SessionId id) { return mix(base::value(id)); }
  std::uint64_t hash() const { return hash_of(id); }
};

struct LockRecord {
  RequestId acquired_by{};

  // A granted lock's fencing token, a waiting one's place in the order. Both come from the one
  // counter of the table, so lists in which locks are appended as they are stamped are in order of
  // it.
  std::uint64_t stamp = 0;

  Slot session = kNoSlot;
  Slot resource = kNoSlot;
  Links in_resource;  // Among its resource's granted or waiting locks.
  Links in_session;   // Likewise of its session.
  Slot chain = kNoSlot;
  Mode mode{};
  bool granted = false;

  static std::uint64_t hash_of(Slot session, RequestId id) { return mix(session, base::value(id)); }
  std::uint64_t hash() const { return hash_of(session, acquired_by); }
};

class Store {
 public:
  // Each answers kNoSlot if there is none.
  Slot find_lockspace(Bytes name) const;
  Slot find_resource(const ResourceName& name) const;
  Slot find_session(SessionId id) const;
  Slot find_lock(LockName name) const;

  // Adds the lockspace with its first resource, and the session with its first lock.
  Slot add_resource(const ResourceName& name);
  Slot add_lock(LockName name, Slot resource, Mode mode, bool granted, std::uint64_t stamp);

  // The same but for the session's list, which stays behind until append_to_session.
  Slot add_loose_lock(LockName name, Slot resource, Mode mode, bool granted, std::uint64_t stamp);
  void append_to_session(Slot lock);

  // From the waiting to the end of the granted.
  void grant(Slot lock, std::uint64_t token);

  // Removes the lock, and its session with the last one. Its resource stays.
  void remove_lock(Slot lock);

  // Removes a resource without locks, and its lockspace with the last one.
  void drop_if_unused(Slot resource);

  const HashedSlots<LockspaceRecord>& lockspaces() const { return lockspaces_; }
  const HashedSlots<ResourceRecord>& resources() const { return resources_; }
  const HashedSlots<SessionRecord>& sessions() const { return sessions_; }
  const HashedSlots<LockRecord>& locks() const { return locks_; }

  LockName name_of(const LockRecord& lock) const;
  ResourceName name_of(const ResourceRecord& resource) const;
  Bytes name_of(const LockspaceRecord& lockspace) const { return names_[lockspace.name]; }

  // The sum over all locks of a hash of everything that matters about each.
  std::uint64_t digest() const { return digest_; }

  // Of all resources.
  std::size_t waiters() const { return waiters_; }

  std::size_t memory() const;

 private:
  std::uint64_t digest_of(const LockRecord& lock) const;
  void append_to_resource(Slot lock);
  void remove_from_resource(Slot lock);
  void remove_from_session(Slot lock);

  template <Links LockRecord::*links>
  void append(List& list, Slot lock);
  template <Links LockRecord::*links>
  void unlink(List& list, Slot lock);

  HashedSlots<LockspaceRecord> lockspaces_;
  HashedSlots<ResourceRecord> resources_;
  HashedSlots<SessionRecord> sessions_;
  HashedSlots<LockRecord> locks_;
  Names names_;
  std::uint64_t digest_ = 0;
  std::size_t waiters_ = 0;
};

}  // namespace dlm
