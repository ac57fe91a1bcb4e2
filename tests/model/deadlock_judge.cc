#include "tests/model/deadlock_judge.h"

#include <algorithm>

#include "base/bytes.h"

namespace model {
namespace {

namespace flag = base::lock_flag;

std::vector<std::pair<std::string, std::string>> resources_of(const dlm::Table& table) {
  std::vector<std::pair<std::string, std::string>> names;
  table.visit_resources({}, 1'000'000, [&](const dlm::ResourceView& view) {
    names.emplace_back(base::text_of(view.name.lockspace), base::text_of(view.name.resource));
  });
  return names;
}

std::vector<dlm::LockView> locks_of(const dlm::Table& table) {
  std::vector<dlm::LockView> all;
  for (const auto& [lockspace, resource] : resources_of(table)) {
    table.visit_locks({base::bytes_of(lockspace), base::bytes_of(resource)}, 0, 1'000'000,
                      [&](const dlm::LockView& view) { all.push_back(view); });
  }
  return all;
}

}  // namespace

DeadlockJudge::DeadlockJudge(const dlm::Table& table) {
  std::map<std::string, std::map<std::size_t, dlm::LockName>> positions;
  for (const dlm::LockView& view : locks_of(table)) {
    Seen seen;
    seen.name = view.lock;
    seen.owner = {view.lock.session, view.owner};
    seen.resource = base::text_of(view.on.lockspace) + "/" + base::text_of(view.on.resource);
    if (view.granted) seen.holds = view.mode;
    if (view.waiting) seen.wants = view.wants;
    seen.flags = view.flags;
    locks_[view.lock] = seen;
    if (view.waiting && view.granted) positions[seen.resource][view.position] = view.lock;
    if (view.waiting && !view.granted) waiting_[seen.resource].push_back(view.lock);
  }
  for (const auto& [resource, names] : positions) {
    for (const auto& [position, name] : names) converting_[resource].push_back(name);
  }
}

void DeadlockJudge::join(const std::vector<dlm::LockName>& parts) {
  joined_.push_back(parts);
}

void DeadlockJudge::add_wait(const Seen& wait, bool at_head) {
  locks_[wait.name] = wait;
  auto& queue = (wait.holds ? converting_ : waiting_)[wait.resource];
  queue.insert(at_head ? queue.begin() : queue.end(), wait.name);
}

const DeadlockJudge::Seen* DeadlockJudge::find(dlm::LockName name) const {
  const auto found = locks_.find(name);
  return found == locks_.end() ? nullptr : &found->second;
}

bool DeadlockJudge::by_itself(const Seen& it) const {
  const dlm::LockFlags flags = flag::no_deadlock_wait | flag::or_pr | flag::or_cw;
  return it.owner.second == dlm::Owner{} || (it.flags & flags) != 0;
}

bool DeadlockJudge::no_obstacle(const Seen& it) const {
  return it.owner.second == dlm::Owner{} || (it.flags & flag::no_deadlock_block) != 0;
}

std::vector<dlm::LockName> DeadlockJudge::parts_of(dlm::LockName name) const {
  for (const auto& parts : joined_) {
    if (std::find(parts.begin(), parts.end(), name) != parts.end()) return parts;
  }
  return {name};
}

std::vector<const DeadlockJudge::Seen*> DeadlockJudge::before(const Seen& it) const {
  std::vector<const Seen*> all;
  if ((it.flags & flag::no_order) != 0) return all;
  const auto add = [&](const auto& queues) {
    const auto queue = queues.find(it.resource);
    if (queue == queues.end()) return;
    for (const dlm::LockName& name : queue->second) {
      if (name == it.name) return;
      all.push_back(&locks_.at(name));
    }
  };
  add(converting_);
  if (!it.holds) add(waiting_);
  return all;
}

bool DeadlockJudge::is_free(const Seen& holder, const std::set<dlm::LockName>& ends) const {
  return std::all_of(locks_.begin(), locks_.end(), [&](const auto& it) {
    return it.second.owner != holder.owner || !it.second.wants || ends.contains(it.first);
  });
}

bool DeadlockJudge::ready(const Seen& it, const std::set<dlm::LockName>& ends) const {
  for (const Seen* other : before(it)) {
    if (by_itself(*other) || no_obstacle(*other)) continue;
    if (!ends.contains(other->name)) return false;
    if (!dlm::compatible(*other->wants, *it.wants) && !is_free(*other, ends)) return false;
  }
  for (const auto& [name, other] : locks_) {
    if (name == it.name || other.resource != it.resource || !other.holds || no_obstacle(other)) {
      continue;
    }
    if (!dlm::compatible(*other.holds, *it.wants) && !is_free(other, ends)) return false;
  }
  return true;
}

std::set<dlm::LockName> DeadlockJudge::stuck() const {
  std::set<dlm::LockName> ends;
  std::set<dlm::LockName> open;
  for (const auto& [name, it] : locks_) {
    if (it.wants) (by_itself(it) ? ends : open).insert(name);
  }
  for (bool again = true; again;) {
    again = false;
    for (const dlm::LockName& name : std::set<dlm::LockName>(open)) {
      const std::vector<dlm::LockName> parts = parts_of(name);
      if (!std::all_of(parts.begin(), parts.end(),
                       [&](const dlm::LockName& part) { return ready(locks_.at(part), ends); })) {
        continue;
      }
      for (const dlm::LockName& part : parts) {
        ends.insert(part);
        open.erase(part);
      }
      again = true;
    }
  }
  return open;
}

bool DeadlockJudge::waits_for(const dlm::DeadlockStep& step) const {
  const Seen* waits = find(step.waits);
  const Seen* blocker = find(step.blocker);
  if (waits == nullptr || blocker == nullptr || waits->wants != step.wants) return false;
  if (waits->resource != step.lockspace + "/" + step.resource) return false;
  if (blocker->resource != waits->resource || blocker == waits) return false;
  if (blocker->holds ? blocker->holds != step.has : blocker->wants != step.has) return false;
  if (blocker->holds && !dlm::compatible(step.has, step.wants)) return true;
  const auto ahead = before(*waits);
  return std::find(ahead.begin(), ahead.end(), blocker) != ahead.end();
}

bool DeadlockJudge::leads_to(const dlm::DeadlockStep& step, const Seen& next) const {
  const Seen* waits = find(step.waits);
  const Seen* blocker = find(step.blocker);
  if (waits == nullptr || blocker == nullptr || by_itself(next)) return false;
  const auto parts = parts_of(step.blocker);
  if (std::find(parts.begin(), parts.end(), next.name) != parts.end() && blocker->wants)
    return true;
  if (next.owner != blocker->owner || no_obstacle(*blocker)) return false;
  if (blocker->holds && !dlm::compatible(*blocker->holds, step.wants)) return true;
  return blocker->wants && !dlm::compatible(*blocker->wants, step.wants);
}

bool everybody_can_finish(const dlm::Table& table) {
  base::Buffer bytes;
  base::ByteWriter writer(bytes);
  table.serialize(writer);
  auto loaded = dlm::Table::deserialize(bytes);
  if (!loaded) return false;
  dlm::Table copy = std::move(*loaded);
  dlm::Effects effects;
  // A request that could go, and that only the next look at its queue would find: one that came to
  // the head when others waited. So every queue is looked at, for a lock that comes and goes.
  const dlm::LockName passer{dlm::SessionId{1'000'000'000}, dlm::RequestId{1}};
  const auto look = [&] {
    for (const auto& [lockspace, resource] : resources_of(copy)) {
      copy.acquire(dlm::Acquire{passer,
                                {base::bytes_of(lockspace), base::bytes_of(resource)},
                                dlm::Mode::nl,
                                flag::expedite},
                   effects);
      copy.release({passer, {}, flag::force, {}}, effects);
    }
  };
  while (copy.locks() > 0) {
    const std::size_t before = copy.locks() + copy.waiters();
    look();
    std::map<std::pair<dlm::SessionId, dlm::Owner>, int> waits;
    const auto locks = locks_of(copy);
    std::vector<dlm::LockName> going;
    const auto by_itself = [](const dlm::LockView& it) {
      return it.owner == dlm::Owner{} ||
             (it.flags & (flag::no_deadlock_wait | flag::or_pr | flag::or_cw)) != 0;
    };
    for (const dlm::LockView& it : locks) {
      if (it.waiting && !by_itself(it)) ++waits[{it.lock.session, it.owner}];
    }
    for (const dlm::LockView& it : locks) {
      if (it.waiting ? by_itself(it)
                     : it.owner == dlm::Owner{} || waits[{it.lock.session, it.owner}] == 0) {
        going.push_back(it.lock);
      }
    }
    // An orphan goes with what is left of its session.
    for (const dlm::LockName& name : going) {
      const auto view = copy.find(name);
      if (view && view->orphan) copy.release_some(name.session, dlm::Ending::purged, 1000, effects);
      if (view && !view->orphan) copy.release({name, {}, flag::force, {}}, effects);
    }
    if (copy.locks() + copy.waiters() == before) return false;
  }
  return true;
}

}  // namespace model
