#include "dlm/store.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"

namespace dlm {
namespace {

constexpr std::uint64_t kLockspaceSeed = 1;
constexpr std::uint64_t kValueSeed = 2;

// Counters go by this.
constexpr std::uint32_t kMore = 1;
constexpr std::uint32_t kLess = static_cast<std::uint32_t>(-1);

bool equal(Bytes a, Bytes b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

std::uint64_t hash_of(const ResourceName& name) {
  return hash_bytes(hash_bytes(kLockspaceSeed, name.lockspace), name.resource);
}

// Its turn does not come by its place alone, or it does something while it waits.
bool special(const LockRecord& lock, const WaitRecord& wait) {
  using namespace base::lock_flag;
  return lock.has(no_order | demote_on_deadlock | no_deadlock_wait) || wait.place < 0;
}

}  // namespace

bool fits_beside(const ModeCounts& held, Mode mode) {
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
  if (!resource.granted.empty() || resource.queues != kNoSlot) return;
  if (resource.value != kNoSlot) {
    digest_ -= digest_of_value(resource);
    values_.remove(resource.value);
  }
  const Slot lockspace = resource.lockspace;
  names_.remove(resource.name);
  resources_.remove(slot);
  if (--lockspaces_[lockspace].resources > 0) return;
  names_.remove(lockspaces_[lockspace].name);
  lockspaces_.remove(lockspace);
}

Slot Store::session_of(SessionId id) {
  const Slot slot = find_session(id);
  if (slot != kNoSlot) return slot;
  SessionRecord record;
  record.id = id;
  return sessions_.add(record);
}

Slot Store::owner_of(Slot session, Owner number) {
  if (number == Owner{}) return kNoSlot;
  const Slot slot = owners_.find(
      OwnerRecord::hash_of(session, number),
      [&](const OwnerRecord& owner) { return owner.session == session && owner.number == number; });
  if (slot != kNoSlot) return slot;
  OwnerRecord record;
  record.number = number;
  record.session = session;
  return owners_.add(record);
}

Slot Store::add_loose_lock(const NewLock& lock) {
  LockRecord record;
  record.acquired_by = lock.name.acquired_by;
  record.session = session_of(lock.name.session);
  record.owner = owner_of(record.session, lock.owner);
  record.resource = lock.resource;
  record.flags = lock.flags;
  ++sessions_[record.session].locks;
  if (record.owner != kNoSlot) ++owners_[record.owner].locks;
  return locks_.add(record);
}

Slot Store::add_lock(const NewLock& lock) {
  const Slot slot = add_loose_lock(lock);
  digest_ += digest_of(locks_[slot]);
  return slot;
}

Slot Store::load_lock(const NewLock& lock, Mode mode, std::uint64_t token, std::uint32_t since,
                      Mode notified, bool orphan) {
  const Slot slot = add_loose_lock(lock);
  LockRecord& record = locks_[slot];
  record.mode = mode;
  record.token = token;
  record.since = since;
  record.notified = notified;
  record.orphan = orphan;
  if (record.granted()) {
    append<LockRecord, &LockRecord::in_granted>(locks_, resources_[record.resource].granted, slot);
    count(record, kMore);
  }
  digest_ += digest_of(record);
  return slot;
}

void Store::add_to_session(Slot slot) {
  SessionRecord& session = sessions_[locks_[slot].session];
  append<LockRecord, &LockRecord::in_session>(
      locks_, locks_[slot].granted() ? session.granted : session.waiting, slot);
}

// What a lock stands for in the counters of its resource: what it holds, and what it waits for.
void Store::count(const LockRecord& lock, std::uint32_t one) {
  ResourceRecord& resource = resources_[lock.resource];
  if (lock.granted()) {
    resource.held[index_of(lock.mode)] += one;
    if (lock.has(base::lock_flag::notify)) resource.listeners += one;
    if (lock.notified != Mode::nl) sessions_[lock.session].notified += one;
  }
  if (lock.wait == kNoSlot) return;
  const WaitRecord& wait = waits_[lock.wait];
  QueuesRecord& queues = queues_[resource.queues];
  queues.wanted[index_of(wait.mode)] += one;
  queues.waiters += one;
  if (lock.granted()) queues.converters += one;
  if (special(lock, wait)) queues.special += one;
}

template <typename Change>
void Store::edit(Slot slot, Change change) {
  LockRecord& lock = locks_[slot];
  digest_ -= digest_of(lock);
  count(lock, kLess);
  change(lock);
  count(lock, kMore);
  digest_ += digest_of(lock);
}

void Store::grant(Slot slot, Mode mode, std::uint64_t token, std::uint32_t since) {
  if (locks_[slot].wait != kNoSlot) dequeue(slot);
  ResourceRecord& resource = resources_[locks_[slot].resource];
  SessionRecord& session = sessions_[locks_[slot].session];
  if (locks_[slot].granted()) {
    unlink<LockRecord, &LockRecord::in_granted>(locks_, resource.granted, slot);
    unlink<LockRecord, &LockRecord::in_session>(locks_, session.granted, slot);
  }
  edit(slot, [&](LockRecord& lock) {
    lock.mode = mode;
    lock.token = token;
    lock.since = since;
    if (!MUTANT("dlm_notified_for_ever")) lock.notified = Mode::nl;
  });
  append<LockRecord, &LockRecord::in_granted>(locks_, resource.granted, slot);
  add_before_orphans(session.granted, slot);
}

// Mostly there are none: a session that has left some asks for nothing, but others may grant it
// what it still waits for.
void Store::add_before_orphans(List& granted, Slot slot) {
  const auto& locks = std::as_const(locks_);
  Slot before = granted.last;
  while (before != kNoSlot && locks[before].orphan) before = locks[before].in_session.previous;
  const Slot next = before == kNoSlot ? granted.first : locks[before].in_session.next;
  locks_[slot].in_session = {before, next};
  (before == kNoSlot ? granted.first : locks_[before].in_session.next) = slot;
  (next == kNoSlot ? granted.last : locks_[next].in_session.previous) = slot;
}

Slot Store::put_into_queue(WaitRecord wait, const std::optional<ValueBlock>& value, bool at_head) {
  if (value) wait.value = values_.add({*value});
  ResourceRecord& resource = resources_[locks_[wait.lock].resource];
  if (resource.queues == kNoSlot) resource.queues = queues_.add({});
  QueuesRecord& queues = queues_[resource.queues];
  const Slot slot = waits_.add(wait);
  List& queue = locks_[wait.lock].granted() ? queues.converting : queues.waiting;
  if (at_head) {
    prepend<WaitRecord, &WaitRecord::in_queue>(waits_, queue, slot);
  } else {
    append<WaitRecord, &WaitRecord::in_queue>(waits_, queue, slot);
  }
  edit(wait.lock, [&](LockRecord& lock) { lock.wait = slot; });
  return slot;
}

void Store::enqueue(const WaitRecord& wait, const std::optional<ValueBlock>& value,
                    std::uint32_t since) {
  const Slot slot = put_into_queue(wait, value, wait.place < 0);
  add_to_owner(slot);
  if (locks_[wait.lock].granted()) return;
  edit(wait.lock, [&](LockRecord& lock) { lock.since = since; });
  add_to_session(wait.lock);
}

void Store::load_wait(const WaitRecord& wait, const std::optional<ValueBlock>& value) {
  put_into_queue(wait, value, false);
}

void Store::add_to_owner(Slot wait) {
  const Slot owner = locks_[waits_[wait].lock].owner;
  if (owner == kNoSlot) return;
  append<WaitRecord, &WaitRecord::in_owner>(waits_, owners_[owner].waits, wait);
}

void Store::dequeue(Slot slot) {
  const Slot wait = locks_[slot].wait;
  const bool granted = locks_[slot].granted();
  ResourceRecord& resource = resources_[locks_[slot].resource];
  QueuesRecord& queues = queues_[resource.queues];
  if (!granted) {
    unlink<LockRecord, &LockRecord::in_session>(locks_, sessions_[locks_[slot].session].waiting,
                                                slot);
  }
  if (locks_[slot].owner != kNoSlot) {
    unlink<WaitRecord, &WaitRecord::in_owner>(waits_, owners_[locks_[slot].owner].waits, wait);
  }
  edit(slot, [](LockRecord& lock) { lock.wait = kNoSlot; });
  // edit() has counted the wait away, since the lock had it before.
  unlink<WaitRecord, &WaitRecord::in_queue>(waits_, granted ? queues.converting : queues.waiting,
                                            wait);
  if (waits_[wait].value != kNoSlot) values_.remove(waits_[wait].value);
  waits_.remove(wait);
  if (queues.waiters > 0) return;
  queues_.remove(resource.queues);
  resource.queues = kNoSlot;
}

void Store::leave_owner(Slot slot) {
  const Slot owner = locks_[slot].owner;
  if (owner != kNoSlot && --owners_[owner].locks == 0) owners_.remove(owner);
}

void Store::remove_lock(Slot slot) {
  if (locks_[slot].wait != kNoSlot) dequeue(slot);
  const LockRecord& lock = locks_[slot];
  digest_ -= digest_of(lock);
  count(lock, kLess);
  if (lock.granted()) {
    unlink<LockRecord, &LockRecord::in_granted>(locks_, resources_[lock.resource].granted, slot);
    unlink<LockRecord, &LockRecord::in_session>(locks_, sessions_[lock.session].granted, slot);
  }
  leave_owner(slot);
  const Slot session = lock.session;
  locks_.remove(slot);
  if (--sessions_[session].locks == 0) sessions_.remove(session);
}

void Store::set_flags(Slot slot, LockFlags flags) {
  if (locks_[slot].flags == flags) return;
  edit(slot, [&](LockRecord& lock) { lock.flags = flags; });
}

void Store::set_notified(Slot slot, Mode mode) {
  edit(slot, [&](LockRecord& lock) { lock.notified = mode; });
}

void Store::demote(Slot slot) {
  edit(slot, [&](LockRecord& lock) {
    lock.mode = Mode::nl;
    if (lock.wait != kNoSlot) waits_[lock.wait].demoted = true;
  });
}

void Store::make_orphan(Slot slot) {
  List& granted = sessions_[locks_[slot].session].granted;
  unlink<LockRecord, &LockRecord::in_session>(locks_, granted, slot);
  append<LockRecord, &LockRecord::in_session>(locks_, granted, slot);
  edit(slot, [](LockRecord& lock) {
    lock.orphan = true;
    lock.flags &= ~base::lock_flag::notify;
  });
}

const ValueRecord* Store::value_of(const ResourceRecord& resource) const {
  return resource.value == kNoSlot ? nullptr : &values_[resource.value];
}

ValueRecord& Store::value_to_change(Slot slot) {
  ResourceRecord& resource = resources_[slot];
  if (resource.value == kNoSlot) {
    resource.value = values_.add({});
  } else {
    digest_ -= digest_of_value(resource);
  }
  return values_[resource.value];
}

void Store::set_value(Slot resource, const ValueBlock& value) {
  ValueRecord& record = value_to_change(resource);
  record.bytes = value;
  record.invalid = false;
  digest_ += digest_of_value(resources_[resource]);
}

void Store::invalidate_value(Slot resource) {
  value_to_change(resource).invalid = true;
  digest_ += digest_of_value(resources_[resource]);
}

const QueuesRecord* Store::queues_of(const ResourceRecord& resource) const {
  return resource.queues == kNoSlot ? nullptr : &queues_[resource.queues];
}

std::optional<ValueBlock> Store::value_of(const WaitRecord& wait) const {
  if (wait.value == kNoSlot) return std::nullopt;
  return values_[wait.value].bytes;
}

LockName Store::name_of(const LockRecord& lock) const {
  return {sessions_[lock.session].id, lock.acquired_by};
}

ResourceName Store::name_of(const ResourceRecord& resource) const {
  return {name_of(lockspaces_[resource.lockspace]), names_[resource.name]};
}

Owner Store::owner_of(const LockRecord& lock) const {
  return lock.owner == kNoSlot ? Owner{} : owners_[lock.owner].number;
}

std::size_t Store::memory() const {
  return lockspaces_.memory() + resources_.memory() + sessions_.memory() + owners_.memory() +
         locks_.memory() + queues_.memory() + waits_.memory() + values_.memory() + names_.memory();
}

Store Store::freeze() {
  CHECK(!locks_.frozen());
  Store frozen;
  frozen.lockspaces_ = lockspaces_.freeze();
  frozen.resources_ = resources_.freeze();
  frozen.sessions_ = sessions_.freeze();
  frozen.owners_ = owners_.freeze();
  frozen.locks_ = locks_.freeze();
  frozen.queues_ = queues_.freeze();
  frozen.waits_ = waits_.freeze();
  frozen.values_ = values_.freeze();
  frozen.names_ = names_.freeze();
  frozen.digest_ = digest_;
  return frozen;
}

// Tokens and places give the order of the lists, so the digest needs no other trace of it.
std::uint64_t Store::digest_of(const LockRecord& lock) const {
  std::uint64_t hash =
      mix(resources_[lock.resource].name_hash, base::value(sessions_[lock.session].id));
  hash = mix(hash, base::value(lock.acquired_by));
  hash = mix(hash, lock.token);
  hash = mix(hash, lock.flags);
  hash = mix(hash, std::uint64_t{lock.since} << 32 | index_of(lock.mode) << 16 |
                       index_of(lock.notified) << 8 | (lock.orphan ? 1 : 0));
  if (lock.owner != kNoSlot) hash = mix(hash, base::value(owners_[lock.owner].number));
  if (lock.wait == kNoSlot) return hash;
  const WaitRecord& wait = waits_[lock.wait];
  hash = mix(hash, base::value(wait.request));
  hash = mix(hash, static_cast<std::uint64_t>(wait.place));
  if (wait.value != kNoSlot) hash = hash_bytes(hash, values_[wait.value].bytes);
  return mix(hash, std::uint64_t{wait.patience} << 32 | index_of(wait.mode) << 24 |
                       std::uint64_t{wait.part} << 16 | std::uint64_t{wait.parts} << 8 |
                       (wait.demoted ? 1 : 0));
}

std::uint64_t Store::digest_of_value(const ResourceRecord& resource) const {
  const ValueRecord& value = values_[resource.value];
  return mix(hash_bytes(mix(kValueSeed, resource.name_hash), value.bytes), value.invalid ? 1 : 0);
}

template <typename T, Links T::*links, typename Records>
void Store::append(Records& records, List& list, Slot slot) {
  records[slot].*links = {list.last, kNoSlot};
  (list.empty() ? list.first : (records[list.last].*links).next) = slot;
  list.last = slot;
}

template <typename T, Links T::*links, typename Records>
void Store::prepend(Records& records, List& list, Slot slot) {
  records[slot].*links = {kNoSlot, list.first};
  (list.empty() ? list.last : (records[list.first].*links).previous) = slot;
  list.first = slot;
}

template <typename T, Links T::*links, typename Records>
void Store::unlink(Records& records, List& list, Slot slot) {
  const Links at = records[slot].*links;
  (at.previous == kNoSlot ? list.first : (records[at.previous].*links).next) = at.next;
  (at.next == kNoSlot ? list.last : (records[at.next].*links).previous) = at.previous;
}

}  // namespace dlm
