#include "dlm/table.h"

#include <algorithm>

#include "base/mutant.h"

namespace dlm {
namespace {

bool well_formed(const ResourceName& name) {
  return !name.lockspace.empty() && name.lockspace.size() <= kMaxLockspaceName &&
         !name.resource.empty() && name.resource.size() <= kMaxResourceName;
}

// A newcomer never overtakes a waiting request, so nobody starves [docs/locks.md, order of grants].
bool grantable_to_newcomer(const ResourceRecord& resource, Mode mode) {
  if (resource.waiters > 0 && !MUTANT("dlm_overtakes_waiter")) return false;
  return resource.compatible_with(mode);
}

Effect refused(LockName lock, Status status) {
  return {Effect::Kind::refused, status, Mode::nl, lock, Token{}};
}

Effect effect_on(Effect::Kind kind, LockName lock, Mode mode, Token token) {
  return {kind, Status::ok, mode, lock, token};
}

}  // namespace

Status Table::admit(const Acquire& request, Slot resource, bool grantable) const {
  if (!well_formed(request.on)) return Status::bad_name;
  if (store_.find_lock(request.lock) != kNoSlot) return Status::duplicate;
  if (request.no_queue && !grantable) return Status::would_block;
  if (locks() >= limits_.locks) return Status::too_many_locks;
  if (count_of(request.lock.session) >= limits_.locks_per_session) return Status::session_full;
  if (resource != kNoSlot) return Status::ok;
  if (resources() >= limits_.resources) return Status::too_many_resources;
  if (lockspaces() >= limits_.lockspaces &&
      store_.find_lockspace(request.on.lockspace) == kNoSlot) {
    return Status::too_many_lockspaces;
  }
  return Status::ok;
}

void Table::acquire(const Acquire& request, Effects& effects) {
  Slot resource = store_.find_resource(request.on);
  const bool grantable =
      resource == kNoSlot || grantable_to_newcomer(store_.resources()[resource], request.mode);
  const Status status = admit(request, resource, grantable);
  if (status != Status::ok) {
    effects.push_back(refused(request.lock, status));
    return;
  }
  if (resource == kNoSlot) resource = store_.add_resource(request.on);
  const Token stamp = draw_token();
  store_.add_lock(request.lock, resource, request.mode, grantable, base::value(stamp));
  effects.push_back(grantable
                        ? effect_on(Effect::Kind::granted, request.lock, request.mode, stamp)
                        : effect_on(Effect::Kind::queued, request.lock, request.mode, Token{}));
}

void Table::release(LockName name, Token token, Effects& effects) {
  const Slot slot = store_.find_lock(name);
  if (slot == kNoSlot) {
    effects.push_back(refused(name, Status::unknown_lock));
    return;
  }
  const LockRecord& lock = store_.locks()[slot];
  if (!lock.granted) {
    effects.push_back(refused(name, Status::not_granted));
  } else if (lock.stamp != base::value(token) && !MUTANT("dlm_release_ignores_token")) {
    effects.push_back(refused(name, Status::wrong_token));
  } else {
    end(slot, effects);
  }
}

void Table::cancel(LockName name, Effects& effects) {
  const Slot slot = store_.find_lock(name);
  if (slot == kNoSlot) {
    effects.push_back(refused(name, Status::unknown_lock));
  } else if (store_.locks()[slot].granted) {
    effects.push_back(refused(name, Status::already_granted));
  } else {
    end(slot, effects);
  }
}

bool Table::release_some(SessionId id, std::size_t budget, Effects& effects) {
  const std::size_t before = effects.size();
  while (true) {
    const Slot slot = store_.find_session(id);
    if (slot == kNoSlot) return true;
    const std::size_t done = effects.size() - before;
    if (done > 0 && done >= budget) return false;
    const SessionRecord& session = store_.sessions()[slot];
    end(session.waiting.first != kNoSlot ? session.waiting.first : session.granted.first, effects);
  }
}

void Table::end(Slot slot, Effects& effects) {
  const LockRecord lock = store_.locks()[slot];
  const LockName name = store_.name_of(lock);
  effects.push_back(lock.granted
                        ? effect_on(Effect::Kind::released, name, lock.mode, Token{lock.stamp})
                        : effect_on(Effect::Kind::cancelled, name, lock.mode, Token{}));
  store_.remove_lock(slot);
  if (lock.granted || !MUTANT("dlm_cancel_wakes_nobody")) grant_waiting(lock.resource, effects);
  store_.drop_if_unused(lock.resource);
}

// Strictly from the front: what stands behind an incompatible request waits with it.
void Table::grant_waiting(Slot slot, Effects& effects) {
  const ResourceRecord& resource = store_.resources()[slot];
  while (resource.waiting.first != kNoSlot) {
    const Slot first = resource.waiting.first;
    const LockRecord& lock = store_.locks()[first];
    if (!resource.compatible_with(lock.mode)) return;
    if (MUTANT("dlm_state_diverges") && resource.waiters > 1) {
      static unsigned of_this_process = 0;
      if (of_this_process++ % 2 != 0) draw_token();
    }
    const Token token = MUTANT("dlm_token_repeats") ? Token{next_token_ - 1} : draw_token();
    store_.grant(first, base::value(token));
    effects.push_back(effect_on(Effect::Kind::granted, store_.name_of(lock), lock.mode, token));
  }
}

void Table::raise_token_base(std::uint64_t base) {
  next_token_ = std::max(next_token_, base);
}

std::uint64_t Table::digest() const {
  return mix(store_.digest(), next_token_);
}

std::size_t Table::count_of(SessionId id) const {
  const Slot session = store_.find_session(id);
  return session == kNoSlot ? 0 : store_.sessions()[session].locks;
}

std::vector<LockView> Table::locks_of(SessionId id, std::size_t most) const {
  std::vector<LockView> views;
  const Slot slot = store_.find_session(id);
  if (slot == kNoSlot) return views;
  const SessionRecord& session = store_.sessions()[slot];
  for (const Slot first : {session.waiting.first, session.granted.first}) {
    for (Slot lock = first; lock != kNoSlot && views.size() < most;
         lock = store_.locks()[lock].in_session.next) {
      views.push_back(view(store_.locks()[lock], 0));
    }
  }
  return views;
}

std::optional<LockView> Table::find(LockName name) const {
  const Slot slot = store_.find_lock(name);
  if (slot == kNoSlot) return std::nullopt;
  const LockRecord& lock = store_.locks()[slot];
  std::size_t position = 0;
  if (!lock.granted) {
    for (Slot at = slot; at != kNoSlot; at = store_.locks()[at].in_resource.previous) ++position;
  }
  return view(lock, position);
}

std::optional<ResourceView> Table::find(const ResourceName& name) const {
  const Slot slot = store_.find_resource(name);
  if (slot == kNoSlot) return std::nullopt;
  return view(store_.resources()[slot]);
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
  for (const Slot first : {resource.granted.first, resource.waiting.first}) {
    std::size_t position = 0;
    for (Slot at = first; at != kNoSlot && most > 0;) {
      const LockRecord& lock = store_.locks()[at];
      if (!lock.granted) ++position;
      if (skip > 0) {
        --skip;
      } else {
        visit(view(lock, position));
        --most;
      }
      at = lock.in_resource.next;
    }
  }
}

LockView Table::view(const LockRecord& lock, std::size_t position) const {
  return {store_.name_of(lock), store_.name_of(store_.resources()[lock.resource]), lock.mode,
          lock.granted,         lock.granted ? Token{lock.stamp} : Token{},        position};
}

ResourceView Table::view(const ResourceRecord& resource) const {
  std::size_t holders = 0;
  for (const std::uint32_t held : resource.held) holders += held;
  return {store_.name_of(resource), holders, resource.waiters};
}

}  // namespace dlm
