// The part of lockd/state.h about barriers: who may ask, exactly once, and what the barrier table
// is told of sessions and members. What the requests do there is docs/barriers.md.
#include <utility>

#include "base/mutant.h"
#include "lockd/state.h"

namespace lockd {
namespace {

barrier::By by(const Request& request) {
  return {request.session, request.id};
}

Status status_of(barrier::Status status) {
  switch (status) {
    case barrier::Status::ok:
      return Status::done;
    case barrier::Status::different:
      return Status::different;
    case barrier::Status::in_use:
      return Status::in_use;
    case barrier::Status::not_open:
      return Status::not_open;
    case barrier::Status::not_member:
      return Status::not_member;
    case barrier::Status::already_arrived:
      return Status::already_arrived;
    case barrier::Status::inside:
      return Status::inside;
    case barrier::Status::barrier_full:
      return Status::full;
    case barrier::Status::unknown_barrier:
    case barrier::Status::unknown_arrival:
    case barrier::Status::unknown_generation:
    case barrier::Status::unknown_outcome:
      return Status::not_found;
    case barrier::Status::too_many_barriers:
    case barrier::Status::too_many_lockspaces:
    case barrier::Status::session_full:
    case barrier::Status::too_many_places:
    case barrier::Status::too_many_bytes:
      return Status::too_many_arrivals;
    case barrier::Status::bad_name:
    case barrier::Status::bad_config:
    case barrier::Status::bad_attribute:
    case barrier::Status::bad_value:
      break;
  }
  return Status::invalid;
}

Status status_of(const barrier::Effect& outcome) {
  switch (outcome.kind) {
    case barrier::Effect::Kind::arrived:
    case barrier::Effect::Kind::ended:
      return Status::arrived;
    case barrier::Effect::Kind::done:
    case barrier::Effect::Kind::refused:
    case barrier::Effect::Kind::opened:
      break;
  }
  return status_of(outcome.status);
}

}  // namespace

bool State::admit(const Step& step, const Request& request, const barrier::Name& name) {
  if (!admit(step, request)) return false;
  const std::optional<Status> refused = refusal(*sessions_.find(request.session), name.lockspace);
  if (!refused || MUTANT("state_barrier_for_anybody")) return true;
  answer(step, request, *refused);
  return false;
}

barrier::Create State::creation_of(const Request& request, const barrier::Name& name,
                                   const BarrierSettings& settings) const {
  return {by(request),       name,
          settings.config,   settings.auto_delete,
          settings.patience, members_of(name.lockspace)};
}

void State::on(const Step& step, const BarrierCreate& create) {
  if (!admit(step, create.request, create.name)) return;
  barrier::Effects outcome;
  barriers_.create(creation_of(create.request, create.name, create.settings), outcome);
  answer(step, create.request, outcome);
}

void State::on(const Step& step, const BarrierChange& change) {
  if (!admit(step, change.request, change.name)) return;
  barrier::Effects outcome;
  barriers_.change({by(change.request), step.origin, change.name, change.attribute, change.value},
                   outcome);
  answer(step, change.request, outcome);
}

void State::on(const Step& step, const BarrierArrive& arrive) {
  if (!admit(step, arrive.request, arrive.name)) return;
  // Generations and tokens are drawn from one counter [docs/barriers.md, "Generations"].
  barriers_.raise_generation_base(locks_.next_token());
  barrier::Effects outcome;
  const std::size_t before = barriers_.barriers();
  if (arrive.settings) {
    barriers_.create(creation_of(arrive.request, arrive.name, *arrive.settings), outcome);
    if (outcome.front().kind == barrier::Effect::Kind::refused) {
      return answer(step, arrive.request, outcome);
    }
    outcome.clear();
  }
  const bool created = barriers_.barriers() > before;
  barriers_.arrive({by(arrive.request), step.origin, arrive.name, arrive.value}, outcome);
  if (created && outcome.front().kind == barrier::Effect::Kind::refused &&
      !MUTANT("state_barrier_left_behind")) {
    barrier::Effects nobody_is_told;
    barriers_.remove({by(arrive.request), arrive.name, false}, nobody_is_told);
  }
  if (!MUTANT("state_barrier_counts_alone")) locks_.raise_token_base(barriers_.next_generation());
  answer(step, arrive.request, outcome);
}

void State::on(const Step& step, const BarrierLeave& leave) {
  if (!admit(step, leave.request)) return;
  barrier::Effects outcome;
  barriers_.leave({by(leave.request), leave.generation, leave.value}, outcome);
  answer(step, leave.request, outcome);
}

void State::on(const Step& step, const BarrierWithdraw& withdraw) {
  if (!admit(step, withdraw.request)) return;
  barrier::Effects outcome;
  barriers_.withdraw({by(withdraw.request), withdraw.name, withdraw.arrival}, outcome);
  switch (outcome.front().kind) {
    case barrier::Effect::Kind::done:
      // That is the answer to the arrival, too.
      correct(withdraw.request.session, Reply{withdraw.arrival, Status::cancelled, {}, {}});
      return answer(step, withdraw.request, Status::cancelled);
    case barrier::Effect::Kind::ended:
      return answer(step, withdraw.request, Status::too_late);
    default:
      return answer(step, withdraw.request, outcome);
  }
}

void State::on(const Step& step, const BarrierCancel& cancel) {
  if (!admit(step, cancel.request, cancel.name)) return;
  barrier::Effects outcome;
  barriers_.cancel({by(cancel.request), cancel.name}, outcome);
  answer(step, cancel.request, outcome);
}

void State::on(const Step& step, const BarrierDelete& removal) {
  if (!admit(step, removal.request, removal.name)) return;
  barrier::Effects outcome;
  barriers_.remove({by(removal.request), removal.name, removal.force}, outcome);
  answer(step, removal.request, outcome);
}

void State::on(const Step& step, const BarrierAcknowledge& acknowledge) {
  for (const BarrierReceipt& receipt : acknowledge.receipts) {
    const Session* session = sessions_.find(receipt.session);
    if (!session || session->at != step.origin) continue;
    barriers_.acknowledge(receipt.session, receipt.key);
  }
}

void State::on(const Step& step, const BarrierTimeOut& time_out) {
  barrier::Effects outcome;
  barriers_.time_out(time_out.key, outcome);
  tell_barriers(outcome, step.effects);
}

// Who is in a lockspace by now. A session that has ended is not, though its locks are not freed.
barrier::Membership State::members_of(const std::string& name) const {
  barrier::Membership members;
  const Lockspace* lockspace = lockspaces_.find(name);
  if (!lockspace) return members;
  members.generation = lockspace->generation;
  for (const LockspaceMember& member : lockspace->members) {
    members.nodes.push_back(member.processor);
  }
  for (const SessionId user : lockspace->users) {
    const Session* session = sessions_.find(user);
    const bool lives = session && !session->ended();
    if (lives || MUTANT("state_barrier_awaits_the_dead")) members.sessions.push_back(user);
  }
  return members;
}

void State::change_barrier_members(const std::string& lockspace, std::vector<Processor> failed,
                                   Effects& effects) {
  if (!barriers_.watches(lockspace) || MUTANT("state_barrier_members_untold")) return;
  barrier::Effects told;
  barriers_.change_members({lockspace, members_of(lockspace), std::move(failed)}, told);
  tell_barriers(told, effects);
}

void State::end_at_barriers(const Session& session, Effects& effects) {
  if (MUTANT("state_barrier_death_untold")) return;
  barrier::Effects told;
  barriers_.end_session(session.id, session.at, told);
  tell_barriers(told, effects);
}

void State::answer(const Step& step, const Request& request, const barrier::Effects& outcome) {
  answer(step, request, status_of(outcome.front()));
  const bool again = outcome.front().kind == barrier::Effect::Kind::ended;
  tell_barriers(std::span(outcome).subspan(again ? 0 : 1), step.effects);
}

void State::tell_barriers(std::span<const barrier::Effect> told, Effects& effects) {
  for (const barrier::Effect& one : told) {
    if (one.kind == barrier::Effect::Kind::opened) {
      effects.push_back(BarrierOpened{{}, one.key});
    } else if (const Session* session = sessions_.find(one.session)) {
      effects.push_back(
          BarrierEnded{session->at, session->id, session->generation, one.request, one.key});
    }
  }
}

}  // namespace lockd
