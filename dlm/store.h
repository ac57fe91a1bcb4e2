// The records behind a lock table: lockspaces, resources with their queues and value blocks,
// sessions, owners and locks, the lists that tie them together, and the digest over them. It knows
// no rules: who is granted what is decided in dlm/grant.cc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "dlm/hash.h"
#include "dlm/lock.h"
#include "dlm/names.h"
#include "dlm/slots.h"

namespace dlm {

struct Links {
  Slot previous = kNoSlot;
  Slot next = kNoSlot;
};

struct List {
  Slot first = kNoSlot;
  Slot last = kNoSlot;

  bool empty() const { return first == kNoSlot; }
};

struct LockspaceRecord {
  std::uint64_t name_hash = 0;
  NameRef name{};
  std::uint32_t resources = 0;
  Slot chain = kNoSlot;

  std::uint64_t hash() const { return name_hash; }
};

using ModeCounts = std::array<std::uint32_t, kModes>;

// Whether a mode may stand beside every lock that is counted.
bool fits_beside(const ModeCounts& held, Mode mode);

struct ResourceRecord {
  std::uint64_t name_hash = 0;  // Of the lockspace's name, too.
  NameRef name{};
  Slot lockspace = kNoSlot;
  Slot chain = kNoSlot;
  ModeCounts held = {};         // How many hold each mode.
  std::uint32_t listeners = 0;  // Of the holders: those who want to hear of waiters.
  List granted;                 // Of locks, converting ones among them, by token.
  Slot queues = kNoSlot;        // While somebody waits.
  Slot value = kNoSlot;         // Once there is something to remember.

  std::uint64_t hash() const { return name_hash; }
};

// Of a resource for which somebody waits.
struct QueuesRecord {
  ModeCounts wanted = {};        // How many wait for each mode, in both queues.
  std::uint32_t special = 0;     // Of them: those whose turn does not go by their place alone.
  std::uint32_t waiters = 0;     // Of both queues,
  std::uint32_t converters = 0;  // and of one.
  List converting;               // Of waits, by place.
  List waiting;                  // Likewise: the requests.
  Slot chain = kNoSlot;
};

struct ValueRecord {
  ValueBlock bytes{};
  bool invalid = false;
  Slot chain = kNoSlot;
};

struct SessionRecord {
  SessionId id{};
  Slot chain = kNoSlot;
  std::uint32_t locks = 0;
  std::uint32_t notified = 0;  // Of them: those that were told of somebody who waits.
  List granted;                // Of locks, by token; orphans come last.
  List waiting;                // Of those that hold nothing, by the order in which they came.

  static std::uint64_t hash_of(SessionId id) { return mix(base::value(id)); }
  std::uint64_t hash() const { return hash_of(id); }
};

// Somebody of a session who does nothing while a request of his waits.
struct OwnerRecord {
  Owner number{};
  Slot session = kNoSlot;
  Slot chain = kNoSlot;
  std::uint32_t locks = 0;
  List waits;

  static std::uint64_t hash_of(Slot session, Owner number) {
    return mix(session, base::value(number));
  }
  std::uint64_t hash() const { return hash_of(session, number); }
};

struct LockRecord {
  RequestId acquired_by{};
  std::uint64_t token = 0;  // 0 until it is granted.
  Slot session = kNoSlot;
  Slot resource = kNoSlot;
  Slot owner = kNoSlot;  // None: nobody.
  Slot wait = kNoSlot;   // While it waits or converts.
  Links in_granted;      // Of its resource.
  Links in_session;
  Slot chain = kNoSlot;
  std::uint32_t since = 0;
  LockFlags flags = 0;
  Mode mode{};      // Held; NL where it holds nothing.
  Mode notified{};  // The highest mode that it was told to stand against, since its grant.
  bool orphan = false;

  bool granted() const { return token != 0; }
  bool has(LockFlags flag) const { return (flags & flag) != 0; }

  static std::uint64_t hash_of(Slot session, RequestId id) { return mix(session, base::value(id)); }
  std::uint64_t hash() const { return hash_of(session, acquired_by); }
};
static_assert(sizeof(LockRecord) <= 72);

// What a lock waits for.
struct WaitRecord {
  RequestId request{};     // The acquire or conversion that waits.
  std::int64_t place = 0;  // The queues are in order of it. Below 0: came to the head.
  Slot lock = kNoSlot;
  Links in_queue{};
  Links in_owner{};
  Patience patience = 0;
  Slot value = kNoSlot;  // What a conversion may have to write when it is granted.
  Mode mode{};
  bool demoted = false;
  std::uint8_t part =
      0;  // Of `parts`, all of one request, named by numbers that follow each other.
  std::uint8_t parts = 1;
  Slot chain = kNoSlot;
};

class Store {
 public:
  // Each answers kNoSlot if there is none.
  Slot find_lockspace(Bytes name) const;
  Slot find_resource(const ResourceName& name) const;
  Slot find_session(SessionId id) const;
  Slot find_lock(LockName name) const;

  // Adds the lockspace with its first resource.
  Slot add_resource(const ResourceName& name);

  // Adds a lock that neither holds anything nor waits, and its session and owner with their first;
  // grant() or enqueue() has to follow.
  struct NewLock {
    LockName name;
    Slot resource = kNoSlot;
    LockFlags flags = 0;
    Owner owner{};
  };
  Slot add_lock(const NewLock& lock);

  // Lets the lock hold this, under a token that is higher than those of all locks in the table. It
  // is nobody's obstacle and has been told nothing.
  void grant(Slot lock, Mode mode, std::uint64_t token, std::uint32_t since);

  // Puts a wait into its queue: of conversions if the lock is granted. Its place must be the
  // highest or the lowest there.
  void enqueue(const WaitRecord& wait, const std::optional<ValueBlock>& value, std::uint32_t since);

  // Ends the wait. A lock that held nothing must be granted or removed next.
  void dequeue(Slot lock);

  // Removes the lock, waiting or not, and its session and owner with the last one. Its resource
  // stays.
  void remove_lock(Slot lock);

  // Removes a resource without locks, and its lockspace with the last one.
  void drop_if_unused(Slot resource);

  // Changes of one lock.
  void set_flags(Slot lock, LockFlags flags);
  void set_notified(Slot lock, Mode mode);
  void demote(Slot lock);       // To NL, as it waits or is about to.
  void make_orphan(Slot lock);  // Nobody is to hear of it any more.

  // The value block of a resource: null is all zero and valid.
  const ValueRecord* value_of(const ResourceRecord& resource) const;
  void set_value(Slot resource, const ValueBlock& value);
  void invalidate_value(Slot resource);

  // For a snapshot: a lock as it stood, in the list of its resource alone; its wait, at the end of
  // the queue alone; then both in the lists of session and owner, in the order of these.
  Slot load_lock(const NewLock& lock, Mode mode, std::uint64_t token, std::uint32_t since,
                 Mode notified, bool orphan);
  void load_wait(const WaitRecord& wait, const std::optional<ValueBlock>& value);
  void add_to_session(Slot lock);
  void add_to_owner(Slot wait);

  const HashedSlots<LockspaceRecord>& lockspaces() const { return lockspaces_; }
  const HashedSlots<ResourceRecord>& resources() const { return resources_; }
  const HashedSlots<SessionRecord>& sessions() const { return sessions_; }
  const HashedSlots<OwnerRecord>& owners() const { return owners_; }
  const HashedSlots<LockRecord>& locks() const { return locks_; }
  const Slab<WaitRecord>& waits() const { return waits_; }

  // Null while nobody waits.
  const QueuesRecord* queues_of(const ResourceRecord& resource) const;

  // Of a lock that waits, which is granted or not.
  const WaitRecord& wait_of(const LockRecord& lock) const { return waits_[lock.wait]; }
  std::optional<ValueBlock> value_of(const WaitRecord& wait) const;

  LockName name_of(const LockRecord& lock) const;
  ResourceName name_of(const ResourceRecord& resource) const;
  Bytes name_of(const LockspaceRecord& lockspace) const { return names_[lockspace.name]; }
  Owner owner_of(const LockRecord& lock) const;

  // The sum over all locks of a hash of everything that matters about each, and over all value
  // blocks.
  std::uint64_t digest() const { return digest_; }

  // Of all resources.
  std::size_t waiters() const { return waits_.size(); }

  std::size_t memory() const;

  // A copy that is only to be read, as it is now. It costs a pointer for each page, some hundred
  // records; and then each page whose first change comes while it is there costs a copy of the
  // page. One at a time: CHECK.
  Store freeze();

 private:
  std::uint64_t digest_of(const LockRecord& lock) const;
  std::uint64_t digest_of_value(const ResourceRecord& resource) const;

  // Lets `change` have the record, and sees to the digest and to the counters of its resource.
  template <typename Change>
  void edit(Slot lock, Change change);
  void count(const LockRecord& lock, std::uint32_t one);

  Slot add_loose_lock(const NewLock& lock);
  Slot put_into_queue(WaitRecord wait, const std::optional<ValueBlock>& value, bool at_head);
  Slot session_of(SessionId id);
  Slot owner_of(Slot session, Owner number);
  void leave_owner(Slot lock);
  ValueRecord& value_to_change(Slot resource);

  void add_before_orphans(List& granted, Slot lock);

  template <typename T, Links T::*links, typename Records>
  static void append(Records& records, List& list, Slot slot);
  template <typename T, Links T::*links, typename Records>
  static void prepend(Records& records, List& list, Slot slot);
  template <typename T, Links T::*links, typename Records>
  static void unlink(Records& records, List& list, Slot slot);

  HashedSlots<LockspaceRecord> lockspaces_;
  HashedSlots<ResourceRecord> resources_;
  HashedSlots<SessionRecord> sessions_;
  HashedSlots<OwnerRecord> owners_;
  HashedSlots<LockRecord> locks_;
  Slab<QueuesRecord> queues_;
  Slab<WaitRecord> waits_;
  Slab<ValueRecord> values_;
  Names names_;
  std::uint64_t digest_ = 0;
};

}  // namespace dlm
