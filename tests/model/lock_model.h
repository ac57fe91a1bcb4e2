// A slow model of one lockspace, written from the rules of the kernel's lock manager and VMS alone:
// what the lock table is compared with. It does not know how the lock table works and shares no
// code with it. Numbers as 2.6 are sections of the reference of lock semantics, named in
// docs/testing.md.
//
// Decisions, where those rules are open or contradict each other:
//  1. Nothing is ever in flight: a command is executed at once. So a plain unlock is never EBUSY
//  (2.5), a second
//     cancel finds nothing to cancel or an ended lock, and a second forced unlock is ENOENT.
//  2. Arguments are judged before the id is looked up: EINVAL comes before ENOENT, ENOENT before
//  EBUSY, and EBUSY before
//     the EINVAL of an illegal QUECVT conversion. Adoption obeys 2.4 like every lock call.
//  3. A lock can be converted and unlocked by its session only; for all others, and while it is an
//  orphan, the id
//     is unknown (ENOENT). The kernel has no such check, which 1.8 calls a defect.
//  4. Ids are counted from 1 in the lockspace, not per node. Names have 1 to 255 bytes.
//  5. Flags, blocking function, value block and time-out of a lock are those of its last lock call
//  that was accepted,
//     also when that ended with EAGAIN, EDEADLK or ECANCEL. So a failed PERSISTENT conversion
//     leaves a persistent lock.
//  6. Which VALBLK and IVVALBLK count for an unlock: those of the unlock. VALBLK without a buffer
//  writes nothing then.
//  7. IVVALBLK needs no VALBLK, and wins when both are set. The completion of that very conversion
//  is not marked.
//  8. VALNOTVALID is set by a grant that reads or writes the value block with VALBLK, and by one
//  whose transition moves
//     nothing, with or without VALBLK; other completions have it not.
//  9. Death of a process invalidates the value block from PW and EX always (2.9), death of a node
//  only where the
//     last lock call had VALBLK (2.10). The value block and its mark end with the last lock of the
//     resource.
// 10. The check for conversion deadlock comes before ALTPR and ALTCW; a deadlocked conversion is
// not tried in them.
//     With both flags set only PR is tried, unless PR was what was asked for: then CW.
// 11. The check is repeated for queued conversions: one that is behind blocks one that is ahead
// only if they block each
//     other. There CONVDEADLK demotes, NODLCKWT notifies the converting lock itself of the mode it
//     asks for, and otherwise it just stays. The mode of such a one does not count among the
//     waiting modes of the scan's notifications.
// 12. After a demotion the queues are scanned until nothing more can be granted; the kernel repeats
// this once, and
//     leaves out the wait queue when the demoted lock has to queue. A cancelled conversion that was
//     demoted stays NL.
// 13. A time-out has passed when the lock has been blocked for that long, not only for longer. Of
// several the
//     earliest comes first, then the lower id.
// 14. A dead process gives up its locks one by one, by id, with a scan after each; a dead node all
// at once, then one scan
//     by rule 3 of each resource that lost a lock. A persistent lock that still waits has no mode
//     to keep and is dropped.
// 15. An orphan is notified of nothing and remembers nothing. Adoption is a grant in this: what it
//     remembers begins anew, and a scan notifies it of those who wait.
// 16. Granted locks stand with the highest mode first, and in order of their grants within a mode.
// The order shows
//     only in the order of the notifications.
// 17. Completions of locks that end carry no mode. EUNLOCK carries no flags; DEMOTED stays with the
//     completion of the conversion that was demoted, whatever its status.
// 18. Rules 5 and 8 look at who would stand before it: a request with HEADQUE that fits is granted
//     although others wait, and a conversion with QUECVT and HEADQUE or NOORDER although others
//     convert. The kernel queues these until the next scan, which may never come: all before them
//     fit, too.
// 19. A request that is granted at once past those who wait (NOORDER, HEADQUE) is notified of them,
//     it alone, as by a scan. The kernel is silent until the next scan, which may not come while it
//     holds.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace model {

enum class Mode : int { none = -1, nl, cr, cw, pr, pw, ex };
bool compatible(Mode one, Mode other);       // 2.1
bool queue_convertible(Mode from, Mode to);  // 2.3: may it be asked for with QUECVT?

// What the completion of a grant does with the value block. 2.6
enum class Transfer { nothing, read, write };
Transfer transfer(Mode from, Mode to);

// The numbers are those of 1.3 and of errno.
enum class Status : int {
  ok = 0,
  enoent = 2,
  eagain = 11,
  ebusy = 16,
  einval = 22,
  edeadlk = 35,
  etimedout = 110,
  ecancel = 65537,
  eunlock = 65538,
};

using Flags = std::uint32_t;  // 1.3
constexpr Flags kNoqueue = 0x1;
constexpr Flags kCancel = 0x2;
constexpr Flags kConvert = 0x4;
constexpr Flags kValblk = 0x8;
constexpr Flags kQuecvt = 0x10;
constexpr Flags kIvvalblk = 0x20;
constexpr Flags kConvdeadlk = 0x40;
constexpr Flags kPersistent = 0x80;
constexpr Flags kNodlckwt = 0x100;
constexpr Flags kNodlckblk = 0x200;
constexpr Flags kExpedite = 0x400;
constexpr Flags kNoqueuebast = 0x800;
constexpr Flags kHeadque = 0x1000;
constexpr Flags kNoorder = 0x2000;
constexpr Flags kOrphan = 0x4000;
constexpr Flags kAltpr = 0x8000;
constexpr Flags kAltcw = 0x10000;
constexpr Flags kForceunlock = 0x20000;
constexpr Flags kTimeout = 0x40000;

// Of a completion. 1.3
constexpr unsigned kDemoted = 0x1;
constexpr unsigned kValnotvalid = 0x2;
constexpr unsigned kAltmode = 0x4;

using Value = std::array<unsigned char, 32>;

struct Owner {
  int session = 0;
  int process = 0;
  int node = 0;
};

// A new request, a conversion (CONVERT) or an adoption (ORPHAN).
struct LockCall {
  Owner owner;
  std::string name;  // Of no meaning for a conversion.
  int lock = 0;      // Of a conversion. Of an adoption: this orphan and no other, if not 0.
  Mode mode = Mode::nl;
  Flags flags = 0;
  std::optional<Value> value;  // The buffer.
  bool has_completion_function = true;
  bool has_blocking_function = true;
  std::int64_t timeout = 0;  // In the unit of `now`; counts with TIMEOUT only.
  std::int64_t now = 0;

  // Whoever looks for deadlocks across resources found that it must not wait: EDEADLK instead. 1.4
  bool deadlocked = false;
};

struct UnlockCall {
  int session = 0;
  int lock = 0;
  Flags flags = 0;
  std::optional<Value> value;
};

// 2.7. Those of one lock are in order.
struct Callback {
  enum class Kind { completion, blocking };

  Kind kind = Kind::completion;
  int lock = 0;
  int session = 0;
  Mode mode = Mode::none;        // What is granted now; or what somebody else waits for.
  Status status = Status::ok;    // From here on of completions only.
  unsigned flags = 0;            // kDemoted, kValnotvalid, kAltmode.
  std::optional<Value> value{};  // If the value block was read.
};

// An answer other than ok means that nothing has happened.
struct Outcome {
  Status status = Status::ok;
  int lock = 0;
  std::vector<Callback> callbacks;
};

struct Lock {
  int id = 0;
  Owner owner;
  std::string resource;
  Mode granted = Mode::none;    // None while it waits.
  Mode requested = Mode::none;  // None while it does not wait or convert.
  Flags flags = 0;
  std::optional<Value> value;
  unsigned completion_flags = 0;
  bool has_blocking_function = false;
  Mode notified = Mode::nl;  // 2.7: the highest mode it was notified of since its last grant.
  bool orphan = false;
  std::int64_t deadline = 0;  // Counts with TIMEOUT, while it is blocked.
};

struct Resource {
  std::vector<int> granted;
  std::vector<int> converting;
  std::vector<int> waiting;
  Value value{};
  bool value_invalid = false;
};

class Lockspace {
 public:
  Outcome lock(const LockCall& call);
  Outcome unlock(const UnlockCall& call);

  // Cancels a blocked operation with EDEADLK, for those who found a deadlock. 1.4
  Outcome deadlock_cancel(int session, int lock);

  // What has been blocked for too long by now ends with ETIMEDOUT. 2.5
  Outcome expire(std::int64_t now);

  // 2.9. A session is an open handle.
  Outcome end_session(int session);
  Outcome end_process(int node, int process);
  Outcome purge(const Owner& caller, int node, int process);

  // 2.10. Leaving counts as well. 2.11
  Outcome end_node(int node);

  // One lock of what has died or is purged, for those who have an order of their own. The scan
  // after it is none of a recovery, so without rule 3.
  enum class Death { process, node, purge };
  Outcome end_lock(int lock, Death how);

  const std::map<int, Lock>& locks() const { return locks_; }
  const std::map<std::string, Resource>& resources() const { return resources_; }

 private:
  enum class Attempt { grantable, blocked, deadlocked, demoted };
  // Asked is the first attempt, before the lock is in a queue of those who wait.
  enum class When { asked, queued };

  // lock_model.cc: commands.
  Outcome finish();
  Outcome refuse(Status status);
  Status judge(const LockCall& call) const;
  Outcome request(const LockCall& call);
  Outcome convert(const LockCall& call);
  Outcome adopt(const LockCall& call);
  void take_arguments(Lock& lock, const LockCall& call);
  Lock* find(int session, int id);
  std::vector<int> locks_of_session(int session) const;
  bool cancel(Lock& lock, Status status);
  void drop(int id, Flags flags, const std::optional<Value>& value);
  void end_lock_of_dead(int id);
  void silence(int session);
  void forget_if_empty(const std::string& name);

  // lock_model_grant.cc: the rules of granting.
  bool may_be_granted(const Resource& resource, const Lock& lock, Mode mode, When when,
                      bool recovering) const;
  bool conversion_deadlock(const Resource& resource, const Lock& lock) const;
  Attempt attempt(const Resource& resource, Lock& lock, When when, bool recovering);
  void grant(Resource& resource, Lock& lock);
  void move_value(Resource& resource, Lock& lock, std::optional<Value>& read);
  void enqueue(std::vector<int>& queue, const Lock& lock);
  void leave_queues(Resource& resource, int id);
  void enter_granted(Resource& resource, const Lock& lock);
  void grant_converting(Resource& resource, bool recovering);
  void grant_waiting(Resource& resource);
  void scan(Resource& resource, bool recovering);
  void notify_of_waiting(Resource& resource);
  void notify_of_waiting(const Resource& resource, Lock& holder);
  void notify_holders(const std::vector<int>& holders, const Lock& blocked);
  void notify(Lock& lock, Mode mode, Mode remembered);
  void complete(const Lock& lock, Status status, unsigned flags, std::optional<Value> read);

  std::map<int, Lock> locks_;
  std::map<std::string, Resource> resources_;
  int next_id_ = 1;
  Outcome outcome_;
};

}  // namespace model
