// The part of liblock/client_machine.h that owns the session: how it begins, what its lease is
// worth, and what its end means for all that was asked in it.
#include <algorithm>
#include <utility>

#include "base/mutant.h"
#include "liblock/client_machine.h"

namespace liblock {
namespace {

// Keep-alives go out at a quarter of the lease, but a daemon can not make us talk without end.
constexpr Duration kKeepaliveMin = std::chrono::milliseconds(10);

}  // namespace

void ClientMachine::on(const protocol::Welcome& welcome) {
  const bool fits = !connection_->welcomed &&
                    (config_.query_only || welcome.resumed == connection_->resuming) &&
                    (!welcome.resumed || (session_ && welcome.session == session_->id));
  if (!fits) return protocol_error();
  lease_ = welcome.lease;
  if (!take_note(welcome.note)) return;
  connection_->welcomed = true;
  connection_->primary = welcome.primary;
  retry_pause_ = config_.retry_first;
  if (!config_.query_only) {
    session_ = Session{welcome.session, welcome.secret, welcome.generation};
  }
  events_.push_back(Opened{welcome.resumed});
}

void ClientMachine::on(const protocol::Refused& refused) {
  switch (refused.error) {
    case protocol::Refusal::session_lost:
      if (!connection_->resuming) return protocol_error();
      lose_session();
      retry_pause_ = config_.retry_first;
      return hang_up();
    case protocol::Refusal::version:
    case protocol::Refusal::not_permitted:
      return disable(refused.error, refused.advice);
    default:
      events_.push_back(Refused{refused.error, refused.advice});
      return hang_up();
  }
}

void ClientMachine::on(const protocol::State& state) {
  if (!take_note(state.note)) return;
  connection_->primary = state.primary;
  if (session_) session_->generation = std::max(session_->generation, state.generation);
}

void ClientMachine::on(const protocol::Lost& lost) {
  // A daemon that leaves ends the connection, not the session: the deadline stands.
  if (lost.reason != protocol::LostReason::shutdown) {
    lose_session();
  }
  hang_up();
}

// The daemon read its clock after it had received the stamp, so what it promises from then on ends
// no earlier than stamp + remaining. The moment at which we hear of it proves nothing.
bool ClientMachine::take_note(const protocol::LeaseNote& note) {
  Connection& connection = *connection_;
  const auto from_here = [&](auto clock) {
    return note.echo.*clock >= connection.first_stamp.*clock &&
           note.echo.*clock <= connection.last_stamp.*clock;
  };
  if (!from_here(&Instant::boot) || !from_here(&Instant::raw)) {
    protocol_error();
    return false;
  }
  if (connection.keepalive && note.echo.boot >= connection.keepalive->boot) {
    connection.keepalive.reset();
  }
  keepalive_at_ = note.echo.boot + std::max(lease_ / 4, kKeepaliveMin);
  deadline_.extend(now_, MUTANT("client_deadline_from_receipt") ? now_ : note.echo, note.remaining);
  return true;
}

bool ClientMachine::in_jeopardy(Instant now) const {
  return !grants_.empty() && (!open() || !primary() || deadline_.left(now) <= lease_ / 2);
}

void ClientMachine::tell_jeopardy() {
  const bool jeopardy = in_jeopardy(now_);
  if (std::exchange(jeopardy_told_, jeopardy) == jeopardy) return;
  if (jeopardy) {
    events_.push_back(JeopardyBegan{});
  } else if (!grants_.empty()) {
    events_.push_back(JeopardyEnded{});
  }
}

// Lost is final per grant: it leaves the table of grants, and the daemon is told to take the lock
// back, in case that it still counts as ours [rule 6.23]. Whether a conversion has given it another
// token meanwhile we do not know: then the token does not count. What its owner was writing under
// it may be half done, and the value block says nothing of that: it is marked, as if he had died.
void ClientMachine::lose_grants() {
  if (MUTANT("client_lost_forgotten")) return;
  for (const auto& [request, grant] : grants_) {
    events_.push_back(GrantLost{request, grant.token()});
    lost_.insert(request);
  }
  for (auto& [request, grant] : grants_) {
    const bool writes = grant.mode() == base::LockMode::ex || grant.mode() == base::LockMode::pw;
    const LockFlags flags = (grant.conversion ? base::lock_flag::force : 0) |
                            (writes ? base::lock_flag::invalidate_value : 0);
    if (grant.conversion) end_conversion(grant, Failure::lost);
    requests_.add(ReleaseCommand{request, grant.token(), flags, std::nullopt, false, false});
  }
  grants_.clear();
  while (lost_.size() > kLocksMax) lost_.erase(lost_.begin());
}

// What waits is asked for again in the next session, behind the joins. The rest has no meaning
// there.
void ClientMachine::lose_session() {
  lose_grants();
  for (RequestId id : requests_.ids()) {
    const Caller* caller = caller_of(id);
    if (caller == nullptr) continue;
    if (*caller != Caller::waits || requests_.cancelling(id)) fail(id, Failure::cancelled, "");
    // What was granted of it went with the session.
    if (auto* all = requests_.find<AcquireAllCommand>(id)) {
      all->outcomes.assign(all->parts.size(), std::nullopt);
    }
  }
  end_commands_of_session(Failure::lost);
  requests_.on_new_session();
  for (const auto& [id, join] : joins_) {
    if (requests_.find(id) == nullptr) requests_.add_again(id, join);
  }
  session_.reset();
  deadline_ = {};
  deadlock_.reset();
  early_blocks_.clear();
  events_.push_back(SessionLost{});
}

// All that belongs to this session alone.
void ClientMachine::end_commands_of_session(Failure failure) {
  for (RequestId id : requests_.ids()) {
    const Command* command = requests_.find(id);
    if (const auto* convert = std::get_if<ConvertCommand>(command)) {
      const bool held = grants_.count(convert->acquire) != 0;
      if (held || convert->reported) {
        fail_conversion(id, failure, 0, "");
        continue;
      }
    } else if (const auto* release = std::get_if<ReleaseCommand>(command)) {
      if (release->reported) events_.push_back(Released{release->acquire, release->waited, id});
    } else if (const auto* drop = std::get_if<DropOrphansCommand>(command)) {
      if (drop->reported) events_.push_back(Done{id, failure, ""});
    } else if (const auto* leave = std::get_if<LeaveCommand>(command)) {
      if (leave->reported) events_.push_back(Done{id, failure, ""});
    } else if (!std::holds_alternative<CancelCommand>(*command)) {
      continue;
    }
    requests_.resolve(id);
  }
  end_barriers(failure);
}

void ClientMachine::disable(protocol::Refusal refusal, const std::string& advice) {
  disabled_ = true;
  hang_up();
  events_.push_back(Disabled{refusal, advice});
  for (RequestId id : requests_.ids()) {
    if (caller_of(id) != nullptr) {
      fail(id, Failure::disabled, advice);
    } else if (const auto* join = requests_.find<JoinCommand>(id)) {
      done(id, join->reported && !join->again, Failure::disabled, advice);
    }
  }
  end_commands_of_session(Failure::disabled);
}

void ClientMachine::close(Instant now) {
  begin(now);
  if (closing_) return;
  const bool tell = open() && session_ && !connection_->hanging_up;
  if (tell) send(protocol::Close{});
  closing_ = true;
  grants_.clear();
  if (!connection_) {
    events_.push_back(Closed{});
  } else if (!tell) {
    hang_up();
  }
}

}  // namespace liblock
