#include "dlm/store.h"

#include <algorithm>

#include "base/mutant.h"

namespace dlm {
namespace {

constexpr std::uint64_t kLockspaceSeed = 1;

bool equal(Bytes a, Bytes b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

std::uint64_t hash_of(const ResourceName& name) {
  return hash_bytes(hash_bytes(kLockspaceSeed, name.lockspace), name.resource);
}

}  // namespace

bool ResourceRecord::compatible_with(Mode mode) const {
  for (std::size_t other = 0; other < kModes; ++other) {
    if (held[other] == 0) continue;
    if (compatible(static_cast<Mode>(other), mode) && !MUTANT("dlm_shared_is_exclusive")) continue;
    if (MUTANT("dlm_grant_incompatible") && mode == Mode::pr) continue;
    return false;
  }
  return true;
}

Slot Store::find_lockspace(Bytes name) const {
  return lockspaces_.find(hash_bytes(kLockspaceSeed, name), [&](const LockspaceRecord& lockspace) {
    return equal(name_of(lockspace), name);
  });
}

Slot Store::find_resource(const ResourceName& name) const {
  const std::uint64_t hash = hash_of(name);
  return resources_.find(hash, [&](const ResourceRecord& resource) {
    return resource.name_hash == hash && equal(names_[resource.name], name.resource) &&
           equal(name_of(lockspaces_[resource.lockspace]), name.lockspace);
  });
}

Slot Store::find_session(SessionId id) const {
  return sessions_.find(SessionRecord::hash_of(id),
                        [&](const SessionRecord& session) { return session.id == id; });
}

Slot Store::find_lock(LockName name) const {
  const Slot session = find_session(name.session);
  if (session == kNoSlot) return kNoSlot;
  return locks_.find(LockRecord::hash_of(session, name.acquired_by), [&](const LockRecord& lock) {
    return lock.session == session && lock.acquired_by == name.acquired_by;
  });
}

Slot Store::add_resource(const ResourceName& name) {
  Slot lockspace = find_lockspace(name.lockspace);
  if (lockspace == kNoSlot) {
    LockspaceRecord record;
    record.name_hash = hash_bytes(kLockspaceSeed, name.lockspace);
    record.name = names_.add(name.lockspace);
    lockspace = lockspaces_.add(record);
  }
  ++lockspaces_[lockspace].resources;
  ResourceRecord record;
  record.name_hash = hash_of(name);
  record.name = names_.add(name.resource);
  record.lockspace = lockspace;
  return resources_.add(record);
}

void Store::drop_if_unused(Slot slot) {
  const ResourceRecord& resource = resources_[slot];
  if (resource.granted.first != kNoSlot || resource.waiting.first != kNoSlot) return;
  const Slot lockspace = resource.lockspace;
  names_.remove(resource.name);
  resources_.remove(slot);
  if (--lockspaces_[lockspace].resources > 0) return;
  names_.remove(lockspaces_[lockspace].name);
  lockspaces_.remove(lockspace);
}

Slot Store::add_loose_lock(LockName name, Slot resource, Mode mode, bool granted,
                           std::uint64_t stamp) {
  Slot session = find_session(name.session);
  if (session == kNoSlot) {
    SessionRecord record;
    record.id = name.session;
    session = sessions_.add(record);
  }
  ++sessions_[session].locks;
  LockRecord record;
  record.acquired_by = name.acquired_by;
  record.stamp = stamp;
  record.session = session;
  record.resource = resource;
  record.mode = mode;
  record.granted = granted;
  const Slot slot = locks_.add(record);
  append_to_resource(slot);
  return slot;
}

Slot Store::add_lock(LockName name, Slot resource, Mode mode, bool granted, std::uint64_t stamp) {
  const Slot slot = add_loose_lock(name, resource, mode, granted, stamp);
  append_to_session(slot);
  return slot;
}

void Store::grant(Slot slot, std::uint64_t token) {
  remove_from_resource(slot);
  remove_from_session(slot);
  locks_[slot].granted = true;
  locks_[slot].stamp = token;
  append_to_resource(slot);
  append_to_session(slot);
}

void Store::remove_lock(Slot slot) {
  remove_from_resource(slot);
  remove_from_session(slot);
  const Slot session = locks_[slot].session;
  locks_.remove(slot);
  if (--sessions_[session].locks == 0) sessions_.remove(session);
}

LockName Store::name_of(const LockRecord& lock) const {
  return {sessions_[lock.session].id, lock.acquired_by};
}

ResourceName Store::name_of(const ResourceRecord& resource) const {
  return {name_of(lockspaces_[resource.lockspace]), names_[resource.name]};
}

std::size_t Store::memory() const {
  return lockspaces_.memory() + resources_.memory() + sessions_.memory() + locks_.memory() +
         names_.memory();
}

// Stamps give the order of the queues, so the digest needs no other trace of it.
std::uint64_t Store::digest_of(const LockRecord& lock) const {
  std::uint64_t hash =
      mix(resources_[lock.resource].name_hash, base::value(sessions_[lock.session].id));
  hash = mix(hash, base::value(lock.acquired_by));
  hash = mix(hash, lock.stamp);
  return mix(hash, index_of(lock.mode) * 2 + (lock.granted ? 1 : 0));
}

void Store::append_to_resource(Slot slot) {
  const LockRecord& lock = locks_[slot];
  ResourceRecord& resource = resources_[lock.resource];
  if (lock.granted) {
    ++resource.held[index_of(lock.mode)];
  } else {
    ++resource.waiters;
    ++waiters_;
  }
  append<&LockRecord::in_resource>(lock.granted ? resource.granted : resource.waiting, slot);
  digest_ += digest_of(lock);
}

void Store::remove_from_resource(Slot slot) {
  const LockRecord& lock = locks_[slot];
  ResourceRecord& resource = resources_[lock.resource];
  digest_ -= digest_of(lock);
  unlink<&LockRecord::in_resource>(lock.granted ? resource.granted : resource.waiting, slot);
  if (lock.granted) {
    --resource.held[index_of(lock.mode)];
  } else {
    --resource.waiters;
    --waiters_;
  }
}

void Store::append_to_session(Slot slot) {
  SessionRecord& session = sessions_[locks_[slot].session];
  append<&LockRecord::in_session>(locks_[slot].granted ? session.granted : session.waiting, slot);
}

void Store::remove_from_session(Slot slot) {
  SessionRecord& session = sessions_[locks_[slot].session];
  unlink<&LockRecord::in_session>(locks_[slot].granted ? session.granted : session.waiting, slot);
}

template <Links LockRecord::*links>
void Store::append(List& list, Slot lock) {
  locks_[lock].*links = {list.last, kNoSlot};
  (list.last == kNoSlot ? list.first : (locks_[list.last].*links).next) = lock;
  list.last = lock;
}

template <Links LockRecord::*links>
void Store::unlink(List& list, Slot lock) {
  const Links at = locks_[lock].*links;
  (at.previous == kNoSlot ? list.first : (locks_[at.previous].*links).next) = at.next;
  (at.next == kNoSlot ? list.last : (locks_[at.next].*links).previous) = at.previous;
}

}  // namespace dlm
