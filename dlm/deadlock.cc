// Deadlocks across resources, found at the request that closes them (docs/locks.md, "Deadlock").
//
// An owner does nothing while a request of his waits. What waits needs all at once of: everybody
// before it in the queue to have had his turn, and whoever then holds an incompatible mode to have
// given it up. So an owner is stuck for ever exactly if, by such needs, he is led back to himself.
// Each step of the search goes from something that waits to the owners of those locks, and to what
// they wait for; a request for several locks passes on the needs of all its parts, since none is
// granted without the others. Owner 0 is never known to be stuck.
#include <map>
#include <utility>

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

// Its wait is none for this purpose: it asked not to be counted, or can be content with less.
bool not_stuck(const LockRecord& lock) {
  return lock.has(no_deadlock_wait | or_pr | or_cw);
}

}  // namespace

// Goes from wait to wait, each time to all that it needs.
class Table::DeadlockSearch {
 public:
  DeadlockSearch(const Store& store, Slot owner) : store_(store), owner_(owner) {}

  void start_at(Slot wait) { reach(wait, {kNoSlot, kNoSlot}); }

  // True if the owner needs something of himself.
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
  // That wait needs this lock to go, or to be granted and go.
  struct From {
    Slot wait = kNoSlot;
    Slot blocker = kNoSlot;
  };

  void reach(Slot wait, From from) {
    if (reached_.emplace(wait, from).second) open_.push_back(wait);
  }

  void need(Slot wait, Slot blocker) {
    const LockRecord& lock = store_.locks()[blocker];
    if (lock.owner == kNoSlot || lock.has(no_deadlock_block) || found_) return;
    if (lock.owner == owner_) {
      found_ = From{wait, blocker};
      return;
    }
    for (Slot at = store_.owners()[lock.owner].waits.first; at != kNoSlot;
         at = store_.waits()[at].in_owner.next) {
      reach(at, {wait, blocker});
    }
  }

  // Those who stand before `at` in its queue, from behind.
  void pass(Slot wait, Slot at, ModeSet& modes) {
    for (; at != kNoSlot; at = store_.waits()[at].in_queue.previous) {
      const WaitRecord& before = store_.waits()[at];
      if (before.parts > 1) pass_parts(wait, before);
      if (modes.conflicts_with(before.mode)) need(wait, before.lock);
      modes.add(before.mode);
    }
  }

  void pass_parts(Slot wait, const WaitRecord& before) {
    const LockName name = store_.name_of(store_.locks()[before.lock]);
    const std::uint64_t first = base::value(name.acquired_by) - before.part;
    for (std::size_t i = 0; i < before.parts; ++i) {
      const Slot part = store_.find_lock({name.session, RequestId{first + i}});
      reach(store_.locks()[part].wait, {wait, before.lock});
    }
  }

  void explore(Slot slot) {
    const WaitRecord& wait = store_.waits()[slot];
    const LockRecord& lock = store_.locks()[wait.lock];
    if (not_stuck(lock)) return;
    const ResourceRecord& resource = store_.resources()[lock.resource];
    ModeSet modes;
    modes.add(wait.mode);
    if (!lock.has(no_order)) {
      pass(slot, wait.in_queue.previous, modes);
      if (!lock.granted()) pass(slot, store_.queues_of(resource)->converting.last, modes);
    }
    for (Slot at = resource.granted.first; at != kNoSlot && !found_;
         at = store_.locks()[at].in_granted.next) {
      if (at != wait.lock && modes.conflicts_with(store_.locks()[at].mode)) need(slot, at);
    }
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

  const Store& store_;
  const Slot owner_;
  std::map<Slot, From> reached_;
  std::vector<Slot> open_;
  std::optional<From> found_;
};

bool Table::find_deadlock(Slot owner, const std::vector<Slot>& waits, Slot victim) {
  DeadlockSearch search(store_, owner);
  for (const Slot wait : waits) search.start_at(wait);
  if (!search.run()) return false;
  const RequestId request = store_.wait_of(store_.locks()[victim]).request;
  deadlocks_.push_back({store_.name_of(store_.locks()[victim]), request, search.steps()});
  return true;
}

// Whether what has just begun to wait waits for itself.
bool Table::closes_deadlock(Slot slot) {
  const LockRecord& lock = store_.locks()[slot];
  // Who has nothing else is in nobody's way.
  if (lock.owner == kNoSlot) return false;
  const OwnerRecord& owner = store_.owners()[lock.owner];
  const bool converts = lock.granted();
  if (owner.locks == 1 && !converts) return false;
  std::vector<Slot> waits;
  for (Slot at = owner.waits.first; at != kNoSlot; at = store_.waits()[at].in_owner.next) {
    waits.push_back(at);
  }
  return find_deadlock(lock.owner, waits, slot);
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

// A lock that came to wait before others may have led them back to themselves.
void Table::break_deadlocks_behind(Slot slot, Effects& effects) {
  const Slot own_resource = store_.locks()[slot].resource;
  const QueuesRecord* queues = store_.queues_of(store_.resources()[own_resource]);
  std::vector<LockName> behind;
  const Slot wait = store_.locks()[slot].wait;
  const bool converts = store_.locks()[slot].granted();
  const auto add_from = [&](Slot at) {
    for (; at != kNoSlot; at = store_.waits()[at].in_queue.next) {
      const LockRecord& lock = store_.locks()[store_.waits()[at].lock];
      if (lock.owner != kNoSlot && store_.owners()[lock.owner].locks > 1) {
        behind.push_back(store_.name_of(lock));
      }
    }
  };
  add_from(store_.waits()[wait].in_queue.next);
  if (converts) add_from(queues->waiting.first);
  for (const LockName& name : behind) {
    const Slot at = store_.find_lock(name);
    if (at != kNoSlot && store_.locks()[at].wait != kNoSlot && closes_deadlock(at)) {
      stop_waiting(at, Status::deadlock, effects);
    }
  }
}

// Whoever was granted something while he waits for something else may have closed a ring by that:
// his youngest wait ends.
void Table::break_deadlocks_of(Slot owner, Effects& effects) {
  while (!store_.owners()[owner].waits.empty()) {
    const Slot youngest = store_.waits()[store_.owners()[owner].waits.last].lock;
    if (!closes_deadlock(youngest)) return;
    stop_waiting(youngest, Status::deadlock, effects);
  }
}

std::vector<Deadlock> Table::take_deadlocks() {
  return std::exchange(deadlocks_, {});
}

}  // namespace dlm
