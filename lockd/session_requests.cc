// The part of lockd/sessions.h that turns what a session asks into commands.
#include <string>
#include <utility>

#include "base/mutant.h"
#include "lockd/sessions.h"

namespace lockd {

namespace protocol = liblock::protocol;

// What every request of a session begins with. Null, and the connection refused, if there is no
// session.
SessionSlot* Sessions::heard(Instant now, ConnectionId id, RequestId acknowledged,
                             const protocol::Stamp& stamp) {
  Connection& connection = *find(id);
  SessionSlot* slot = slot_of(connection);
  if (slot == nullptr) {
    refuse(now, id, protocol::Refusal::malformed, "a request needs a session, which Welcome tells");
    return nullptr;
  }
  connection.stamp = stamp;
  slot->hear(now, acknowledged);
  return slot;
}

void Sessions::take(Instant now, SessionSlot& slot, RequestId request, Command::Body body) {
  if (slot.phase == SessionSlot::Phase::closing) return;
  if (slot.unanswered.size() >= protocol::kInFlightMax) {
    return refuse(now, *slot.connection, protocol::Refusal::limit,
                  "more than " + std::to_string(protocol::kInFlightMax) +
                      " requests without an answer; wait for answers");
  }
  const auto [kept, fresh] = slot.unanswered.emplace(request, std::move(body));
  if (fresh && slot.phase == SessionSlot::Phase::attached)
    submit_request(now, slot, request, kept->second);
}

void Sessions::submit_request(Instant now, const SessionSlot& slot, RequestId request,
                              Command::Body& body) {
  const Request header{slot.id, slot.generation, request, slot.acknowledged};
  std::visit(
      [&](auto& one) {
        if constexpr (requires { one.request = header; }) one.request = header;
      },
      body);
  submit(now, body);
}

// Whether it can be answered at once that there is no quorum: it does not wait, and has not been
// put into the order before.
bool Sessions::is_vain_try(const SessionSlot& slot, RequestId request, base::LockFlags flags) {
  const bool known = slot.unanswered.count(request) != 0 || request <= *slot.repeats_up_to;
  if (!(flags & base::lock_flag::no_queue) || replica_.table() != nullptr || known) return false;
  ++statistics_.tries_not_quorate;
  return true;
}

void Sessions::on(Instant now, ConnectionId id, const protocol::Acquire& acquire) {
  SessionSlot* slot = heard(now, id, acquire);
  if (slot == nullptr) return;
  if (is_vain_try(*slot, acquire.request, acquire.flags)) {
    return answer(now, *slot, Reply{acquire.request, {}, {}, {}}, protocol::Answer::not_quorate);
  }
  Acquire command;
  command.lockspace = acquire.lockspace;
  command.resource = acquire.resource;
  command.mode = acquire.mode;
  command.flags = acquire.flags;
  command.owner = dlm::Owner{acquire.owner};
  command.patience = acquire.patience;
  take(now, *slot, acquire.request, std::move(command));
}

void Sessions::on(Instant now, ConnectionId id, const protocol::AcquireAll& all) {
  SessionSlot* slot = heard(now, id, all);
  if (slot == nullptr) return;
  if (all.parts.empty()) {
    return refuse(now, id, protocol::Refusal::malformed, "a request for no lock at all");
  }
  if (is_vain_try(*slot, all.request, all.flags)) {
    for (std::size_t i = 0; i < all.parts.size() && find(id) != nullptr; ++i) {
      const Reply part{base::part_of(all.request, i), {}, {}, {}};
      answer(now, *slot, part, protocol::Answer::not_quorate);
    }
    return;
  }
  AcquireAll command;
  command.flags = all.flags;
  command.owner = dlm::Owner{all.owner};
  command.patience = all.patience;
  for (const protocol::AcquirePart& part : all.parts) {
    command.parts.push_back({part.lockspace, part.resource, part.mode});
  }
  take(now, *slot, all.request, std::move(command));
}

void Sessions::on(Instant now, ConnectionId id, const protocol::Convert& convert) {
  SessionSlot* slot = heard(now, id, convert);
  if (slot == nullptr) return;
  if (is_vain_try(*slot, convert.request, convert.flags)) {
    return answer(now, *slot, Reply{convert.request, {}, {}, {}}, protocol::Answer::not_quorate);
  }
  Convert command;
  command.lock = convert.acquire;
  command.mode = convert.mode;
  command.flags = convert.flags;
  command.patience = convert.patience;
  command.value = convert.value;
  take(now, *slot, convert.request, std::move(command));
}

void Sessions::on(Instant now, ConnectionId id, const protocol::Release& release) {
  SessionSlot* slot = heard(now, id, release);
  if (slot == nullptr) return;
  Release command;
  command.lock = release.acquire;
  command.token = release.token;
  command.flags = release.flags;
  command.value = release.value;
  take(now, *slot, release.request, std::move(command));
}

void Sessions::on(Instant now, ConnectionId id, const protocol::Cancel& cancel) {
  SessionSlot* slot = heard(now, id, cancel);
  if (slot == nullptr) return;
  Cancel command;
  command.lock = cancel.acquire;
  take(now, *slot, cancel.request, std::move(command));
}

void Sessions::on(Instant now, ConnectionId id, const protocol::DropOrphans& drop) {
  SessionSlot* slot = heard(now, id, drop);
  if (slot == nullptr) return;
  DropOrphans command;
  command.node = drop.node == base::NodeId{0} ? self_.node : drop.node;
  command.pid = drop.pid;
  take(now, *slot, drop.request, std::move(command));
}

// Nodes join and leave by the will of who runs them.
bool Sessions::may_administer(const SessionSlot& slot) const {
  return slot.uid == 0 || slot.uid == config_.uid || MUTANT("sessions_anybody_administers");
}

void Sessions::on(Instant now, ConnectionId id, const protocol::JoinLockspace& join) {
  SessionSlot* slot = heard(now, id, join);
  if (slot == nullptr) return;
  if (join.kind != protocol::JoinKind::open && !may_administer(*slot)) {
    return answer(now, *slot, Reply{join.request, {}, {}, {}}, protocol::Answer::not_permitted);
  }
  JoinLockspace command;
  command.kind = static_cast<JoinLockspace::Kind>(join.kind);
  command.permissions = join.permissions;
  command.lockspace = join.lockspace;
  take(now, *slot, join.request, std::move(command));
}

void Sessions::on(Instant now, ConnectionId id, const protocol::LeaveLockspace& leave) {
  SessionSlot* slot = heard(now, id, leave);
  if (slot == nullptr) return;
  if (!may_administer(*slot)) {
    return answer(now, *slot, Reply{leave.request, {}, {}, {}}, protocol::Answer::not_permitted);
  }
  LeaveLockspace command;
  command.force = leave.force;
  command.lockspace = leave.lockspace;
  take(now, *slot, leave.request, std::move(command));
}

}  // namespace lockd
