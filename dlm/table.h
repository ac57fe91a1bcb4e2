// The lock table: a pure, deterministic state machine over ordered requests. It owns resources,
// their queues and the counter of fencing tokens; sessions' lives, exactly-once and who may be told
// belong to lockd. The rules of granting are described in docs/locks.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>
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

// How the locks of a session end that did not release them.
enum class Ending : std::uint8_t {
  closed,  // Its process has ended or closed it, on a node that goes on: persistent ones stay, as
           // orphans.
  node_gone,  // With its node. No orphan stays, and a writer without value_block leaves no mark.
  purged,     // By order: as if closed, but no orphan stays.
};

// Same requests in the same order give the same table, the same effects and the same digest on
// every node. A snapshot that was loaded continues exactly as its original.
class Table {
 public:
  explicit Table(const Limits& limits = {}) : limits_(limits) {}

  // The second that locks which are granted or begin to wait from now on are marked with. For
  // people, who ask since when: nothing is decided by it.
  void set_second(std::uint32_t second) { second_ = second; }

  // Each of these appends the outcome of the request first, exactly one of granted, queued and
  // refused, for AcquireAll one for each of its parts; then what follows for other locks. But what
  // is told to holders because of a request that waits or is refused (`blocks`) comes last.
  void acquire(const Acquire& request, Effects& effects);
  void acquire(const AcquireAll& request, Effects& effects);
  void convert(const Convert& request, Effects& effects);
  void adopt(const Adopt& request, Effects& effects);

  // Ends a granted lock, if `token` is the one it was granted under; with `force` also one that
  // waits or converts, whatever the token.
  void release(const Release& request, Effects& effects);

  // Takes a waiting request back, with all its parts, or a conversion, after which the lock is what
  // it was. `why` is withdrawn, timed_out or deadlock. `request`: only if that is what waits.
  void cancel(LockName lock, Status why, Effects& effects,
              std::optional<RequestId> request = std::nullopt);

  // Ends locks of a session, waiting requests first, each kind in order of its age, until about
  // `budget` effects were appended: one release may grant a whole queue, which is finished. Every
  // call ends at least one lock if there is any to end. True when that is done, and the session has
  // none left but orphans.
  bool release_some(SessionId session, Ending how, std::size_t budget, Effects& effects);

  // The deadlocks that the calls since the last one have found, each told as an effect to its
  // victim.
  std::vector<Deadlock> take_deadlocks();

  // Whether it is noted which locks go; and those that went since the last time. For who watches:
  // nothing is decided by it.
  void note_gone(bool wanted) { notes_gone_ = wanted; }
  std::vector<Gone> take_gone() { return std::exchange(gone_, {}); }

  // The next fencing token. Session ids, too, come from this counter, and so do places in queues:
  // tokens grow, but not by ones.
  Token draw_token() { return Token{next_token_++}; }

  // Nothing below `base` is drawn from now on.
  void raise_token_base(std::uint64_t base);
  std::uint64_t next_token() const { return next_token_; }

  // 64 bits over locks, queues and the token counter, kept up to date with every change: equal
  // tables have equal digests, by whatever way they came about.
  std::uint64_t digest() const;

  // The image of a table, written and read in steps: dlm/image_writer.h, dlm/image_loader.h.
  class Writer;
  class Loader;

  // A copy of the table as it is now, only to be read: to be written while this one goes on. One at
  // a time: CHECK. What it costs is told in Store::freeze().
  Table freeze();

  // The image in one go.
  void serialize(base::ByteWriter& out) const;
  static base::Result<Table, LoadError> deserialize(Bytes bytes, const Limits& limits = {});

  std::size_t locks() const { return store_.locks().size(); }
  std::size_t waiters() const { return store_.waiters(); }
  std::size_t resources() const { return store_.resources().size(); }
  std::size_t lockspaces() const { return store_.lockspaces().size(); }
  std::size_t sessions() const { return store_.sessions().size(); }

  // Granted and waiting locks of a session.
  std::size_t count_of(SessionId session) const;

  // Of these, how many have been told that they stand against somebody, since their grant.
  std::size_t notified_of(SessionId session) const;

  // Of waiting and granted locks, in the order in which release_some would end them, at most
  // `most`.
  std::vector<LockView> locks_of(SessionId session, std::size_t most) const;

  // A lock, with its position. Walks the queue in front of a waiting one.
  std::optional<LockView> find(LockName lock) const;

  std::optional<ResourceView> find(const ResourceName& name) const;

  // How many locks there are on a resource, granted and waiting.
  std::size_t count_on(const ResourceName& name) const;

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

  // Visits holders in the order of their grants, converting ones among them, then waiters in the
  // order of the queue: at most `most` after the first `skip`.
  void visit_locks(const ResourceName& name, std::size_t skip, std::size_t most,
                   const std::function<void(const LockView&)>& visit) const;

  // Bytes of memory in use.
  std::size_t memory() const { return store_.memory(); }

 private:
  // What the rules say to a lock that wants a mode.
  enum class Verdict : std::uint8_t {
    grant,
    wait,
    deadlock,  // Its mode is what those before it wait for.
    demoted,   // So it was, and has lost its mode; the queues are to be looked at.
  };

  // Whether it asks for the first time, or stands in a queue.
  enum class When : std::uint8_t { asked, queued };

  // What those who wait on a resource want, as far as holders hear of it.
  struct Wanted {
    Mode highest{};
    bool cw = false;
  };

  // table.cc: the requests.
  Status admit(LockName lock, const ResourceName& on) const;
  Status room_for(SessionId session, std::size_t more, std::size_t more_resources,
                  std::size_t more_lockspaces) const;
  Status admit(const AcquireAll& request, std::vector<Slot>& resources) const;
  void wait_or_refuse(const Acquire& request, Slot lock, Effects& effects);
  void convert(const Convert& request, Slot lock, Effects& effects);
  void stop_waiting(Slot lock, Status why, Effects& effects);
  bool end_dead(Slot lock, Ending how, Effects& effects);
  void end(Slot lock, Effects& effects);
  void remove(Slot lock);
  bool alone(const LockRecord& lock) const;
  void write_or_invalidate(Slot resource, LockFlags flags, const std::optional<ValueBlock>& value);
  void settle(Effects& effects);

  // grant.cc: the rules of granting.
  bool fits(const LockRecord& lock, Mode mode) const;
  std::optional<Mode> grantable_to_newcomer(Slot resource, Mode mode, LockFlags flags) const;
  bool turn_has_come(const LockRecord& lock, When when) const;
  bool conversion_deadlock(const LockRecord& lock, Mode mode) const;
  Verdict judge(Slot lock, Mode& mode, When when);
  void grant(Slot lock, Mode mode, RequestId request, GrantNotes notes,
             const std::optional<ValueBlock>& value, Effects& effects);
  bool writes_late(const LockRecord& lock, Mode mode) const;
  void enqueue(WaitRecord wait, const std::optional<ValueBlock>& value = std::nullopt);
  void scan(Slot resource, Effects& effects);
  void grant_converting(Slot resource, Effects& effects);
  void grant_waiting(Slot resource, Effects& effects);
  bool grant_parts(const WaitRecord& wait, Effects& effects);
  Wanted wanted(const QueuesRecord& queues, std::vector<Slot>& hopeless) const;
  void notify_of_waiting(Slot resource, Effects& effects);
  void notify_newcomer(Slot lock, Effects& effects);
  void notify_of(Slot holder, const Wanted& wanted, Effects& effects);
  void notify_holders(Slot resource, Slot blocked, Mode mode, bool converting_too,
                      Effects& effects);
  void notify(Slot lock, Mode mode, Mode remembered, Effects& effects);

  // deadlock.cc: waits across resources.
  class DeadlockSearch;
  bool find_deadlock(Slot wait, Slot victim);
  bool closes_deadlock(Slot lock);
  void report_conversion_deadlock(Slot lock, RequestId request, Mode mode);
  void break_deadlocks_of(Slot owner, Effects& effects);

  // views.cc
  LockView view(const LockRecord& lock) const;
  LockView counted_view(const LockRecord& lock) const;
  ResourceView view(const ResourceRecord& resource) const;

  Limits limits_;
  Store store_;
  std::uint64_t next_token_ = 1;
  std::uint32_t second_ = 0;

  // Not part of the state: what the caller takes.
  std::vector<Deadlock> deadlocks_;
  std::vector<Gone> gone_;
  bool notes_gone_ = false;

  // While a request is executed: resources whose queues have to be looked at, and owners that wait
  // and were granted something.
  std::vector<Slot> to_scan_;
  std::vector<Slot> to_check_;
};

}  // namespace dlm
