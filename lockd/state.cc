#include "lockd/state.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "dlm/hash.h"
#include "lockd/image.h"

namespace lockd {
namespace {

constexpr Generation kFirstGeneration{1};

// Whether an EXPIRE of this mark speaks of the session as it is now [rules 6.21, 8.C3].
bool hits(const Mark& mark, const Session& session) {
  if (MUTANT("state_expire_frees_without_mark")) return !session.dead();
  if (MUTANT("state_mark_by_ring_alone")) {
    return session.orphaned() && session.mark()->ring == mark.ring;
  }
  return session.mark() == mark;
}

}  // namespace

std::uint64_t StateLimits::fingerprint() const {
  std::uint64_t fingerprint = image::kVersion;
  for (std::uint64_t limit :
       {std::uint64_t{sessions.sessions_max}, std::uint64_t{sessions.sessions_per_user_max},
        std::uint64_t{sessions.daemons_max}, sessions.unacknowledged_max,
        std::uint64_t{locks.locks}, std::uint64_t{locks.resources}, std::uint64_t{locks.lockspaces},
        std::uint64_t{locks.locks_per_session}, std::uint64_t{lockspaces.lockspaces},
        std::uint64_t{lockspaces.per_session}, std::uint64_t{barriers.barriers},
        std::uint64_t{barriers.barriers_per_lockspace}, std::uint64_t{barriers.lockspaces},
        std::uint64_t{barriers.participants}, std::uint64_t{barriers.places},
        std::uint64_t{barriers.outcomes_per_session}, std::uint64_t{barriers.value_bytes},
        std::uint64_t{purge_step}}) {
    fingerprint = dlm::mix(fingerprint, limit);
  }
  return fingerprint;
}

State::State(const StateLimits& limits)
    : limits_(limits),
      locks_(limits.locks),
      sessions_(limits.sessions),
      lockspaces_(limits.lockspaces),
      barriers_(limits.barriers) {}

void State::apply(Processor origin, const Command& command, Effects& effects) {
  changes_.clear();
  locks_.set_second(command.second);
  barriers_.set_ring(command.ring);
  const Step step{origin, command.ring, effects};
  if (watched_) sessions_gone_.clear();
  std::visit([&](const auto& body) { on(step, body); }, command.body);
  if (watched_) locks_gone_ = locks_.take_gone();
}

void State::set_watched(bool watched) {
  if (watched == watched_) return;
  watched_ = watched;
  locks_.note_gone(watched);
  locks_.take_gone();
  locks_gone_.clear();
  sessions_gone_.clear();
}

void State::apply_departures(const RingId& ring, std::span<const Departure> departures,
                             Effects& effects) {
  if (MUTANT("state_cold_flag_not_replicated")) cold_.reset();
  changes_.clear();
  barriers_.set_ring(ring);
  if (MUTANT("departures_forgotten")) return;
  for (const Departure& departure : departures) {
    for (SessionId id : left_at(departure.processor)) {
      // What a dead one has not given up yet stays with nobody any more.
      if (sessions_.find(id)->dead()) {
        sessions_.kill_again(id, dlm::Ending::node_gone);
        continue;
      }
      sessions_.orphan(id, departure.ring);
      const Session& session = *sessions_.find(id);
      effects.push_back(BecameOrphan{departure.processor, *session.mark()});
      if (MUTANT("state_departure_frees_at_once")) {
        end_session(session, SessionEnded::Reason::expired, dlm::Ending::node_gone, effects);
      }
    }
  }
  std::vector<Processor> failed;
  for (const Departure& departure : departures) failed.push_back(departure.processor);
  depart_from_lockspaces(failed, effects);
}

void State::start_cold(RingId ring, std::uint64_t token_base, base::Duration longest_lease) {
  *this = State(limits_);
  if (!MUTANT("cold_grants_at_once")) cold_ = ring;
  raise_token_base(token_base);
  raise_longest_lease(longest_lease);
}

void State::raise_longest_lease(base::Duration at_least) {
  longest_lease_ = std::max(longest_lease_, at_least);
}

void State::on(const Step& step, const Open& open) {
  step.effects.push_back(open_session(step, open));
}

Opened State::open_session(const Step& step, const Open& open) {
  Opened opened{step.origin, open.number, Opened::Outcome::number_used, {}, {}};
  if (open.number <= sessions_.highest_open(step.origin) && !MUTANT("state_open_revives")) {
    const Session* made = find_opened(step.origin, open.number);
    if (made && made->attached() && made->generation == kFirstGeneration) {
      opened.outcome = Opened::Outcome::opened;
      opened.session = made->id;
      opened.generation = made->generation;
    }
    return opened;
  }
  opened.outcome = Opened::Outcome::too_many_sessions;
  if (!sessions_.count_open(step.origin, open.number)) return opened;
  if (!sessions_.has_room(step.origin.node, open.uid)) return opened;

  Session session;
  session.id = SessionId{base::value(locks_.draw_token())};
  session.secret = open.secret;
  session.instance = open.instance;
  session.at = step.origin;
  session.generation = kFirstGeneration;
  session.opened_by = step.origin;
  session.number = open.number;
  session.uid = open.uid;
  session.gid = open.gid;
  session.pid = open.pid;
  session.program = open.program;
  opened.outcome = Opened::Outcome::opened;
  opened.session = session.id;
  opened.generation = session.generation;
  sessions_.add(std::move(session));
  return opened;
}

void State::on(const Step& step, const Resume& resume) {
  Resumed::Outcome outcome = resume_session(step, resume);
  step.effects.push_back(Resumed{step.origin, resume.session, resume.generation, outcome});
}

Resumed::Outcome State::resume_session(const Step& step, const Resume& resume) {
  const Session* session = sessions_.find(resume.session);
  if (!session || session->ended()) return Resumed::Outcome::lost;
  if (resume.secret != session->secret) return Resumed::Outcome::wrong_secret;
  if (resume.instance != session->instance && !MUTANT("state_resume_without_proof")) {
    return Resumed::Outcome::another_process;
  }
  if (resume.generation <= session->generation) {
    bool again = resume.generation == session->generation && session->attached() &&
                 session->at == step.origin;
    return again ? Resumed::Outcome::resumed : Resumed::Outcome::overtaken;
  }
  if (session->attached()) {
    step.effects.push_back(Superseded{session->at, session->id, session->generation});
  }
  Generation generation =
      MUTANT("state_resume_keeps_generation") ? session->generation : resume.generation;
  sessions_.attach(session->id, step.origin, generation);
  settle_lockspaces(step.effects);
  return Resumed::Outcome::resumed;
}

void State::on(const Step& step, const Detached& detached) {
  const Session* session = living(detached.session, detached.generation);
  if (!session || !session->attached() || session->at != step.origin) return;
  sessions_.orphan(session->id, step.ring);
  step.effects.push_back(BecameOrphan{session->at, *session->mark()});
  if (MUTANT("state_detached_frees_at_once")) on(step, Expire{*session->mark()});
}

void State::on(const Step& step, const Close& close) {
  const Session* known = sessions_.find(close.session);
  if (!known || known->ended()) {
    step.effects.push_back(
        SessionEnded{step.origin, close.session, close.generation, SessionEnded::Reason::closed});
    return;
  }
  const Session* session = living(close.session, close.generation);
  if (!session || session->at != step.origin) return;
  end_session(*session, SessionEnded::Reason::closed, dlm::Ending::closed, step.effects);
  free_some(close.session, limits_.purge_step, step.effects);
}

void State::on(const Step& step, const Expire& expire) {
  const Session* session = sessions_.find(expire.mark.session);
  if (!session || !hits(expire.mark, *session)) return;
  end_session(*session, SessionEnded::Reason::expired, dlm::Ending::node_gone, step.effects);
}

void State::end_session(const Session& session, SessionEnded::Reason reason, dlm::Ending how,
                        Effects& effects) {
  effects.push_back(SessionEnded{session.at, session.id, session.generation, reason});
  end_at_barriers(session, effects);
  sessions_.kill(session.id, how);
}

void State::on(const Step& step, const Purge&) {
  std::size_t budget = limits_.purge_step;
  while (budget > 0 && purge_pending()) {
    const SessionId next = sessions_.dead().empty() ? kNobody : *sessions_.dead().begin();
    budget -= std::min(budget, free_some(next, budget, step.effects));
  }
}

void State::on(const Step& step, const ColdEnd& end) {
  if (cold_ != end.cold) return;
  cold_.reset();
  free_some(kNobody, limits_.purge_step, step.effects);
}

const Session* State::living(SessionId id, Generation generation) const {
  const Session* session = sessions_.find(id);
  return session && !session->ended() && session->generation == generation ? session : nullptr;
}

bool State::admit(const Step& step, const Request& request) {
  std::optional<Reply> instead = reply_instead(step, request);
  if (!instead) return true;
  step.effects.push_back(Replied{step.origin, request.session, request.generation, *instead});
  return false;
}

std::optional<Reply> State::reply_instead(const Step& step, const Request& request) {
  const auto refusal = [&](Status status) { return Reply{request.id, status, {}, {}}; };
  const Session* session = sessions_.find(request.session);
  if (!session || session->ended()) return refusal(Status::session_lost);
  if (!MUTANT("state_old_generation_accepted")) {
    if (request.generation != session->generation) return refusal(Status::stale_generation);
    if (!session->attached() || session->at != step.origin) return refusal(Status::not_attached);
  }
  sessions_.acknowledge(session->id, request.acknowledged);
  if (request.id <= session->acknowledged && !MUTANT("state_acknowledged_executed")) {
    return refusal(Status::already_answered);
  }
  const Reply* known = session->reply(request.id);
  if (known && !MUTANT("state_retry_executed_again")) return *known;
  const std::uint64_t ahead = base::value(request.id) - base::value(session->acknowledged);
  if (ahead > limits_.sessions.unacknowledged_max) return refusal(Status::too_many_requests);
  return std::nullopt;
}

std::size_t State::free_some(SessionId id, std::size_t budget, Effects& effects) {
  const std::size_t before = changes_.size();
  const Session* session = sessions_.find(id);
  const dlm::Ending how =
      id == kNobody ? dlm::Ending::purged : std::get<Dead>(session->standing).how;
  const bool all = locks_.release_some(id, how, budget, changes_);
  const std::size_t used = changes_.size() - before;
  settle(before, effects);
  if (all && id != kNobody) {
    if (locks_.count_of(id) > 0) {
      sessions_.bequeath(id);
    } else {
      lockspaces_.remove_user(id);
      if (watched_) sessions_gone_.push_back(*session);
      sessions_.remove(id);
    }
    settle_lockspaces(effects);
  }
  return std::max<std::size_t>(used, 1);
}

const Session* State::find_opened(const Processor& by, OpenNumber number) const {
  const Session* session = sessions_.find_opened(by, number);
  return session && !session->ended() ? session : nullptr;
}

// Those for whom this processor speaks, or would.
std::vector<SessionId> State::left_at(const Processor& at) const {
  std::vector<SessionId> found;
  for (const auto& [id, session] : sessions_.sessions()) {
    if (!session.orphaned() && session.at == at) found.push_back(id);
  }
  return found;
}

std::vector<SessionId> State::attached_to(const Processor& at) const {
  std::vector<SessionId> found;
  for (const auto& [id, session] : sessions_.sessions()) {
    if (session.attached() && session.at == at) found.push_back(id);
  }
  return found;
}

std::vector<Mark> State::orphans() const {
  std::vector<Mark> marks;
  for (SessionId id : sessions_.orphans()) marks.push_back(*sessions_.find(id)->mark());
  return marks;
}

bool State::waits(const Mark& mark) const {
  const Session* session = sessions_.find(mark.session);
  return session && session->mark() == mark;
}

bool State::purge_pending() const {
  return !sessions_.dead().empty() || (!cold_ && locks_.count_of(kNobody) > 0);
}

StateCounts State::counts() const {
  StateCounts counts;
  counts.sessions = sessions_.sessions().size();
  counts.orphans = sessions_.orphans().size();
  counts.dead = sessions_.dead().size();
  counts.resources = locks_.resources();
  counts.locks = locks_.locks() - locks_.count_of(kNobody);
  counts.waiting = locks_.waiters();
  counts.barriers = barriers_.barriers();
  counts.outcomes = barriers_.outcomes();
  return counts;
}

std::uint64_t State::digest() const {
  std::uint64_t digest = dlm::mix(locks_.digest(), sessions_.digest());
  digest = dlm::mix(digest, lockspaces_.digest());
  digest = dlm::mix(digest, barriers_.digest());
  digest = dlm::mix(digest, static_cast<std::uint64_t>(longest_lease_.count()));
  if (!cold_) return digest;
  digest = dlm::mix(digest, cold_->sequence);
  digest = dlm::mix(digest, base::value(cold_->representative));
  return dlm::mix(digest, cold_->nonce);
}

}  // namespace lockd
