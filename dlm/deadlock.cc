// Deadlocks across resources, found at the request that closes them (docs/locks.md, "Deadlock").
//
// An owner does nothing while a request of his waits. What waits needs two things: the turn of
// everybody before it in the queue, and that whoever of them and of the holders has an incompatible
// mode is done with it, so has nothing left to wait for himself. All of that at once: so a wait
// never ends exactly if by such needs it comes back to itself, or to its owner. A request for
// several locks is one wait with the needs of all its parts, since none is granted without the
// others.
//
// Left out is what may go by itself: waits of owner 0, those that asked not to be counted, and
// those content with another mode; and what owner 0 holds, or somebody as nobody's obstacle.
//
// No deadlock is there before a request, so a new one goes through what the request added: a wait
// that begins, or a lock granted to somebody who waits for something else.
#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "base/mutant.h"
#include "dlm/table.h"

namespace dlm {
namespace {

using namespace base::lock_flag;

// Of modes.
class ModeSet {
 public:
  void add(Mode mode) { bits_ |= 1u << index_of(mode); }

  bool conflicts_with(Mode other) const {
    for (std::size_t mode = 0; mode < kModes; ++mode) {
      if ((bits_ >> mode & 1) != 0 && !compatible(static_cast<Mode>(mode), other)) return true;
    }
    return false;
  }

 private:
  unsigned bits_ = 0;
};

// Its wait is none for this purpose: it may end by itself.
bool goes_by_itself(const LockRecord& lock) {
  return lock.owner == kNoSlot || lock.has(no_deadlock_wait | or_pr | or_cw);
}

}  // namespace

// Goes from wait to wait, each time to all that it needs. Each place of a queue and each holder is
// looked at once for each mode, however many wait.
class Table::DeadlockSearch {
 public:
  DeadlockSearch(const Store& store, Slot wait) : store_(store) {
    owner_ = store_.locks()[store_.waits()[wait].lock].owner;
    reach(wait, {kNoSlot, kNoSlot});
  }

  // True if the wait needs itself or its owner.
  bool run() {
    while (!open_.empty() && !found_) {
      const Slot wait = open_.back();
      open_.pop_back();
      explore(wait);
    }
    return found_.has_value();
  }

  // The ring that was found, from the first wait on.
  std::vector<DeadlockStep> steps() const {
    std::vector<DeadlockStep> steps;
    for (From at = *found_; at.wait != kNoSlot; at = reached_.at(at.wait)) {
      steps.insert(steps.begin(), step(at));
    }
    return steps;
  }

 private:
  // That wait needs this lock to go, or to be granted.
  struct From {
    Slot wait = kNoSlot;
    Slot blocker = kNoSlot;
  };

  // With all parts of the request.
  void reach(Slot wait, From from) {
    const WaitRecord& record = store_.waits()[wait];
    const LockName name = store_.name_of(store_.locks()[record.lock]);
    const std::uint64_t first = base::value(name.acquired_by) - record.part;
    for (std::size_t i = 0; i < record.parts; ++i) {
      const Slot at =
          record.parts == 1
              ? wait
              : store_.locks()[store_.find_lock({name.session, RequestId{first + i}})].wait;
      const auto [before, first_time] = reached_.emplace(at, from);
      if (first_time) {
        open_.push_back(at);
      } else if (before->second.wait == kNoSlot && !found_) {
        found_ = from;
      }
    }
  }

  void need_turn(Slot wait, Slot before) {
    const LockRecord& lock = store_.locks()[store_.waits()[before].lock];
    if (goes_by_itself(lock) || lock.has(no_deadlock_block) || MUTANT("dlm_queue_is_no_obstacle")) {
      return;
    }
    reach(before, {wait, store_.waits()[before].lock});
  }

  void need_gone(Slot wait, Slot blocker) {
    const LockRecord& lock = store_.locks()[blocker];
    if (lock.owner == kNoSlot || lock.has(no_deadlock_block) || found_) return;
    if (lock.owner == owner_) {
      found_ = From{wait, blocker};
      return;
    }
    if (!owners_.insert(lock.owner).second) return;
    for (Slot at = store_.owners()[lock.owner].waits.first; at != kNoSlot;
         at = store_.waits()[at].in_owner.next) {
      if (!goes_by_itself(store_.locks()[store_.waits()[at].lock])) reach(at, {wait, blocker});
    }
  }

  // Those of a queue up to `last`.
  void pass(Slot wait, Slot last) {
    if (last == kNoSlot) return;
    const Mode mode = store_.waits()[wait].mode;
    const LockRecord& behind = store_.locks()[store_.waits()[last].lock];
    std::int64_t& passed =
        passed_.emplace(std::tuple(behind.resource, behind.granted(), mode), kNowhere)
            .first->second;
    const std::int64_t until = passed;
    passed = std::max(passed, store_.waits()[last].place);
    for (Slot at = last; at != kNoSlot && store_.waits()[at].place > until && !found_;
         at = store_.waits()[at].in_queue.previous) {
      need_turn(wait, at);
      const WaitRecord& before = store_.waits()[at];
      const LockRecord& lock = store_.locks()[before.lock];
      if (!goes_by_itself(lock) && !compatible(mode, before.mode) &&
          !MUTANT("dlm_queue_is_no_obstacle")) {
        need_gone(wait, before.lock);
      }
    }
  }

  void pass_holders(Slot wait) {
    const Slot own = store_.waits()[wait].lock;
    const Mode mode = store_.waits()[wait].mode;
    const LockRecord& lock = store_.locks()[own];
    const ResourceRecord& resource = store_.resources()[lock.resource];
    const auto stands_against = [&](Slot holder) {
      return holder != own && !compatible(mode, store_.locks()[holder].mode);
    };
    const auto [seen, first_time] =
        holders_.emplace(std::pair(lock.resource, mode), lock.granted() ? own : kNoSlot);
    if (!first_time) {
      // All but that one were looked at for it.
      const Slot left_out = std::exchange(seen->second, kNoSlot);
      if (left_out == own) seen->second = own;
      if (left_out != kNoSlot && stands_against(left_out)) need_gone(wait, left_out);
      return;
    }
    for (Slot at = resource.granted.first; at != kNoSlot && !found_;
         at = store_.locks()[at].in_granted.next) {
      if (stands_against(at)) need_gone(wait, at);
    }
  }

  void explore(Slot slot) {
    const WaitRecord& wait = store_.waits()[slot];
    const LockRecord& lock = store_.locks()[wait.lock];
    if (!lock.has(no_order)) {
      pass(slot, wait.in_queue.previous);
      const QueuesRecord* queues = store_.queues_of(store_.resources()[lock.resource]);
      if (!lock.granted()) pass(slot, queues->converting.last);
    }
    pass_holders(slot);
  }

  DeadlockStep step(const From& from) const {
    const WaitRecord& wait = store_.waits()[from.wait];
    const LockRecord& waits = store_.locks()[wait.lock];
    const LockRecord& blocker = store_.locks()[from.blocker];
    const ResourceName on = store_.name_of(store_.resources()[waits.resource]);
    return {store_.name_of(waits),
            wait.mode,
            store_.name_of(blocker),
            blocker.granted() ? blocker.mode : store_.wait_of(blocker).mode,
            base::text_of(on.lockspace),
            base::text_of(on.resource)};
  }

  static constexpr std::int64_t kNowhere = std::numeric_limits<std::int64_t>::min();

  const Store& store_;
  Slot owner_ = kNoSlot;
  std::map<Slot, From> reached_;
  std::vector<Slot> open_;
  std::set<Slot> owners_;
  std::map<std::tuple<Slot, bool, Mode>, std::int64_t> passed_;  // By queue: up to that place.
  std::map<std::pair<Slot, Mode>, Slot> holders_;                // By resource: but for this one.
  std::optional<From> found_;
};

// Whether a wait comes back to itself, or to its owner; that would be the end of `victim`.
bool Table::find_deadlock(Slot wait, Slot victim) {
  if (goes_by_itself(store_.locks()[store_.waits()[wait].lock])) return false;
  DeadlockSearch search(store_, wait);
  if (!search.run()) return false;
  const RequestId request = store_.wait_of(store_.locks()[victim]).request;
  deadlocks_.push_back({store_.name_of(store_.locks()[victim]), request, search.steps()});
  return true;
}

// Whether what has just begun to wait closes a ring: by what it waits for, or since somebody stands
// behind it now and waits for its owner, who waits for something else.
bool Table::closes_deadlock(Slot slot) {
  const LockRecord& lock = store_.locks()[slot];
  if (goes_by_itself(lock)) return false;
  if (MUTANT("dlm_deadlock_unseen")) return false;
  const OwnerRecord& owner = store_.owners()[lock.owner];
  const WaitRecord& wait = store_.wait_of(lock);
  const bool is_last = !lock.granted() && wait.place > 0;
  if (is_last && owner.locks == wait.parts) return false;  // He is in nobody's way.
  if (is_last) return find_deadlock(lock.wait, slot);
  for (Slot at = owner.waits.last; at != kNoSlot; at = store_.waits()[at].in_owner.previous) {
    if (find_deadlock(at, slot)) return true;
  }
  return false;
}

// A conversion that was refused because its lock and another that converts keep each other.
void Table::report_conversion_deadlock(Slot slot, RequestId request, Mode mode) {
  const LockRecord& lock = store_.locks()[slot];
  const ResourceRecord& resource = store_.resources()[lock.resource];
  const ResourceName on = store_.name_of(resource);
  for (Slot at = store_.queues_of(resource)->converting.first; at != kNoSlot;
       at = store_.waits()[at].in_queue.next) {
    const WaitRecord& other = store_.waits()[at];
    if (compatible(lock.mode, other.mode)) continue;
    const LockName own = store_.name_of(lock);
    const LockName others = store_.name_of(store_.locks()[other.lock]);
    const std::string lockspace = base::text_of(on.lockspace);
    const std::string name = base::text_of(on.resource);
    deadlocks_.push_back({own,
                          request,
                          {{own, mode, others, store_.locks()[other.lock].mode, lockspace, name},
                           {others, other.mode, own, lock.mode, lockspace, name}}});
    return;
  }
}

// Whoever was granted something while he waits for something else may have closed a ring by that:
// the youngest wait in it ends, and what follows from that comes before another is looked at.
void Table::break_deadlocks_of(Slot owner, Effects& effects) {
  for (Slot at = store_.owners()[owner].waits.last; at != kNoSlot;
       at = store_.waits()[at].in_owner.previous) {
    const Slot lock = store_.waits()[at].lock;
    if (!find_deadlock(at, lock)) continue;
    to_check_.push_back(owner);
    stop_waiting(lock, Status::deadlock, effects);
    return;
  }
}

std::vector<Deadlock> Table::take_deadlocks() {
  return std::exchange(deadlocks_, {});
}

}  // namespace dlm
