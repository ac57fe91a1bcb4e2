// What people and the daemon read of a table.
#include "dlm/table.h"

namespace dlm {

std::size_t Table::count_of(SessionId id) const {
  const Slot session = store_.find_session(id);
  return session == kNoSlot ? 0 : store_.sessions()[session].locks;
}

std::size_t Table::notified_of(SessionId id) const {
  const Slot session = store_.find_session(id);
  return session == kNoSlot ? 0 : store_.sessions()[session].notified;
}

std::vector<LockView> Table::locks_of(SessionId id, std::size_t most) const {
  std::vector<LockView> views;
  const Slot slot = store_.find_session(id);
  if (slot == kNoSlot) return views;
  const SessionRecord& session = store_.sessions()[slot];
  for (const Slot first : {session.waiting.first, session.granted.first}) {
    for (Slot lock = first; lock != kNoSlot && views.size() < most;
         lock = store_.locks()[lock].in_session.next) {
      views.push_back(view(store_.locks()[lock]));
    }
  }
  return views;
}

std::optional<LockView> Table::find(LockName name) const {
  const Slot slot = store_.find_lock(name);
  if (slot == kNoSlot) return std::nullopt;
  return counted_view(store_.locks()[slot]);
}

std::optional<ResourceView> Table::find(const ResourceName& name) const {
  const Slot slot = store_.find_resource(name);
  if (slot == kNoSlot) return std::nullopt;
  return view(store_.resources()[slot]);
}

std::size_t Table::count_on(const ResourceName& name) const {
  const Slot slot = store_.find_resource(name);
  if (slot == kNoSlot) return 0;
  const ResourceRecord& resource = store_.resources()[slot];
  std::size_t locks = 0;
  for (const std::uint32_t held : resource.held) locks += held;
  const QueuesRecord* queues = store_.queues_of(resource);
  return locks + (queues ? queues->waiters - queues->converters : 0);
}

Table::Cursor Table::visit_resources(Cursor from, std::size_t most,
                                     const std::function<void(const ResourceView&)>& visit) const {
  if (from.end) return from;
  const std::uint64_t next = store_.resources().visit(
      from.position, most, [&](Slot slot) { visit(view(store_.resources()[slot])); });
  return {next, next == 0};
}

void Table::visit_locks(const ResourceName& name, std::size_t skip, std::size_t most,
                        const std::function<void(const LockView&)>& visit) const {
  const Slot slot = store_.find_resource(name);
  if (slot == kNoSlot) return;
  const ResourceRecord& resource = store_.resources()[slot];
  const auto take = [&](const LockRecord& lock) {
    if (skip > 0) {
      --skip;
    } else if (most > 0) {
      visit(counted_view(lock));
      --most;
    }
  };
  for (Slot at = resource.granted.first; at != kNoSlot && most > 0;) {
    const LockRecord& lock = store_.locks()[at];
    at = lock.in_granted.next;
    take(lock);
  }
  const QueuesRecord* queues = store_.queues_of(resource);
  for (Slot at = queues ? queues->waiting.first : kNoSlot; at != kNoSlot && most > 0;) {
    const WaitRecord& wait = store_.waits()[at];
    at = wait.in_queue.next;
    take(store_.locks()[wait.lock]);
  }
}

LockView Table::view(const LockRecord& lock) const {
  LockView view;
  view.lock = store_.name_of(lock);
  view.on = store_.name_of(store_.resources()[lock.resource]);
  view.granted = lock.granted();
  view.waiting = lock.wait != kNoSlot;
  view.mode = lock.mode;
  view.token = Token{lock.token};
  view.flags = lock.flags;
  view.owner = store_.owner_of(lock);
  view.notified = lock.notified;
  view.orphan = lock.orphan;
  view.since = lock.since;
  if (!view.waiting) return view;
  const WaitRecord& wait = store_.wait_of(lock);
  view.wants = wait.mode;
  view.request = wait.request;
  view.patience = wait.patience;
  if (!view.granted) view.mode = wait.mode;
  return view;
}

// With the position, for which it walks the queue in front of it.
LockView Table::counted_view(const LockRecord& lock) const {
  LockView counted = view(lock);
  for (Slot at = lock.wait; at != kNoSlot; at = store_.waits()[at].in_queue.previous) {
    ++counted.position;
  }
  return counted;
}

ResourceView Table::view(const ResourceRecord& resource) const {
  ResourceView view;
  view.name = store_.name_of(resource);
  for (const std::uint32_t held : resource.held) view.holders += held;
  if (const QueuesRecord* queues = store_.queues_of(resource)) view.waiters = queues->waiters;
  if (const ValueRecord* value = store_.value_of(resource)) {
    view.value = &value->bytes;
    view.value_invalid = value->invalid;
  }
  return view;
}

}  // namespace dlm
