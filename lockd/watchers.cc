#include "lockd/watchers.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <tuple>

#include "base/mutant.h"

namespace lockd {

namespace protocol = liblock::protocol;
using protocol::WatchedEvent;

namespace {

// Whether a watcher wants to hear of this name. Empty ones in the wish mean all.
bool fits(const protocol::Watch& wish, std::string_view lockspace, std::string_view resource) {
  if (!wish.lockspace.empty() && wish.lockspace != lockspace) return false;
  if (wish.resource.empty()) return true;
  if (wish.prefix) return resource.substr(0, wish.resource.size()) == wish.resource;
  return wish.resource == resource;
}

struct Fits {
  const protocol::Watch& wish;

  bool operator()(const protocol::LockWatched& lock) const {
    return fits(wish, lock.lockspace, lock.resource);
  }
  bool operator()(const protocol::DeadlockWatched& deadlock) const {
    return std::any_of(deadlock.steps.begin(), deadlock.steps.end(), [this](const auto& step) {
      return fits(wish, step.lockspace, step.resource);
    });
  }
  bool operator()(const protocol::LockspaceWatched& lockspace) const {
    return wish.lockspace.empty() || wish.lockspace == lockspace.state.lockspace;
  }
  template <typename Other>
  bool operator()(const Other&) const {
    return true;
  }
};

protocol::Answer reason_of(dlm::Status why) {
  switch (why) {
    case dlm::Status::timed_out:
      return protocol::Answer::timed_out;
    case dlm::Status::deadlock:
      return protocol::Answer::deadlock;
    default:
      return protocol::Answer::cancelled;
  }
}

// Of what was denied for what its client should know; none for what he did wrong in the protocol.
std::optional<protocol::Answer> reason_of(Status status) {
  switch (status) {
    case Status::busy:
      return protocol::Answer::busy;
    case Status::deadlock:
      return protocol::Answer::deadlock;
    case Status::too_many_locks:
      return protocol::Answer::limit;
    case Status::in_progress:
      return protocol::Answer::in_progress;
    case Status::invalid:
      return protocol::Answer::invalid;
    case Status::not_found:
      return protocol::Answer::not_found;
    case Status::not_permitted:
      return protocol::Answer::not_permitted;
    case Status::no_such_lock:
      return protocol::Answer::not_held;
    default:
      return std::nullopt;
  }
}

// As it is, or as it was when the last command removed it.
const Session* find_session(const State& state, SessionId id) {
  if (const Session* session = state.find(id)) return session;
  const auto& gone = state.sessions_gone();
  const auto found = std::find_if(gone.begin(), gone.end(),
                                  [&](const Session& session) { return session.id == id; });
  return found == gone.end() ? nullptr : &*found;
}

template <typename Event>
void describe(const State& state, SessionId id, Event& event) {
  event.session = id;
  if (const Session* session = find_session(state, id)) {
    event.node = session->at.node;
    event.pid = session->pid;
    event.uid = session->uid;
    event.command = session->program;
  }
}

std::vector<base::NodeId> nodes_of(const std::vector<base::Processor>& processors) {
  std::vector<base::NodeId> nodes;
  for (const base::Processor& processor : processors) {
    if (nodes.size() < protocol::kMembersMax) nodes.push_back(processor.node);
  }
  return nodes;
}

void set_query(protocol::Response& event, std::uint32_t query) {
  std::visit(
      [&](auto& one) {
        if constexpr (requires { one.query; }) one.query = query;
      },
      event);
}

}  // namespace

// ---- Who watches ----

bool Watchers::begin(ConnectionId connection, const protocol::Watch& wish, const State* table) {
  const bool first = watchers_.empty();
  if (watchers_.count(connection) == 0 && watchers_.size() >= config_.watchers_max) return false;
  watchers_[connection] = Watcher{wish};
  if (first && table != nullptr) remember_lockspaces(*table);
  return true;
}

void Watchers::end(ConnectionId connection) {
  watchers_.erase(connection);
  if (watchers_.empty()) {
    pending_.clear();
    lockspaces_.clear();
  }
}

bool Watchers::wanted(WatchedEvent event) const {
  return std::any_of(watchers_.begin(), watchers_.end(), [&](const auto& watcher) {
    return (watcher.second.wish.events & protocol::bit_of(event)) != 0;
  });
}

void Watchers::offer(WatchedEvent kind, protocol::Response event) {
  std::vector<ConnectionId> to;
  for (const auto& [id, watcher] : watchers_) {
    if ((watcher.wish.events & protocol::bit_of(kind)) == 0) continue;
    if (std::visit(Fits{watcher.wish}, event) || MUTANT("watch_filter_ignored")) to.push_back(id);
  }
  if (!to.empty()) push(std::move(to), std::move(event));
}

void Watchers::push(std::vector<ConnectionId> to, protocol::Response event) {
  if (pending_.size() < config_.pending_max) {
    pending_.push_back({std::move(to), std::move(event)});
    overflown_ = false;
  } else if (!overflown_) {
    overflown_ = true;
    resync();
  }
}

// Beyond the limit, once.
void Watchers::resync() {
  std::vector<ConnectionId> all;
  for (const auto& [id, watcher] : watchers_) all.push_back(id);
  pending_.push_back({std::move(all), protocol::WatchGap{0, true, 0}});
}

std::optional<Watchers::News> Watchers::poll() {
  if (pending_.empty()) return std::nullopt;
  News news = std::move(pending_.front());
  pending_.pop_front();
  return news;
}

std::vector<protocol::Response> Watchers::take(ConnectionId connection, std::size_t unread,
                                               const protocol::Response& event) {
  const auto found = watchers_.find(connection);
  if (found == watchers_.end()) return {};
  Watcher& watcher = found->second;
  std::vector<protocol::Response> messages;
  if (auto gap = take_gap(connection, unread)) messages.push_back(std::move(*gap));
  const bool behind = watcher.lost > 0 || watcher.resync;
  if ((behind || unread > config_.unread_max) && !MUTANT("watch_never_drops")) {
    if (std::holds_alternative<protocol::WatchGap>(event)) {
      watcher.resync = true;
    } else {
      ++watcher.lost;
    }
    ++statistics_.lost;
    return messages;
  }
  messages.push_back(event);
  set_query(messages.back(), watcher.wish.query);
  ++statistics_.told;
  return messages;
}

std::optional<protocol::Response> Watchers::take_gap(ConnectionId connection, std::size_t unread) {
  const auto found = watchers_.find(connection);
  if (found == watchers_.end()) return std::nullopt;
  Watcher& watcher = found->second;
  if ((watcher.lost == 0 && !watcher.resync) || unread > config_.unread_max / 2) {
    return std::nullopt;
  }
  const protocol::WatchGap gap{watcher.wish.query, watcher.resync,
                               watcher.resync ? 0 : watcher.lost};
  watcher.lost = 0;
  watcher.resync = false;
  if (MUTANT("watch_loss_untold")) return std::nullopt;
  return gap;
}

// ---- What happens ----

void Watchers::applied(const Command& command, const State& state, const Effects& effects) {
  on_changes(command, state);
  on_denied(command, state, effects);
  on_sessions(command.second, state, effects);
  on_lockspaces(command.second, state);
}

void Watchers::departed(const State& state, const Effects& effects) {
  on_sessions(0, state, effects);
  on_lockspaces(0, state);
}

void Watchers::replaced(const State& state) {
  remember_lockspaces(state);
  resync();
}

// What became of locks. An effect names no resource: it is that of the command, or of the lock,
// which is in the table or has just gone.
void Watchers::on_changes(const Command& command, const State& state) {
  if (state.changes().empty()) return;
  Names names;
  for (const dlm::Gone& gone : state.locks_gone())
    names[gone.lock] = {gone.lockspace, gone.resource};
  if (const auto* acquire = std::get_if<Acquire>(&command.body)) {
    names[{acquire->request.session, acquire->request.id}] = {acquire->lockspace,
                                                              acquire->resource};
  } else if (const auto* all = std::get_if<AcquireAll>(&command.body)) {
    for (std::size_t i = 0; i < all->parts.size(); ++i) {
      names[{all->request.session, base::part_of(all->request.id, i)}] = {all->parts[i].lockspace,
                                                                          all->parts[i].resource};
    }
  }
  for (const dlm::Effect& change : state.changes()) {
    protocol::LockWatched event;
    const bool converts = change.request != change.lock.acquired_by;
    switch (change.kind) {
      case dlm::Effect::Kind::granted:
        event.event = converts ? WatchedEvent::converted : WatchedEvent::granted;
        event.reason = protocol::Answer::granted;
        break;
      case dlm::Effect::Kind::queued:
        event.event = WatchedEvent::waits;
        event.reason = protocol::Answer::queued;
        break;
      case dlm::Effect::Kind::cancelled:
      case dlm::Effect::Kind::reverted:
        event.event = WatchedEvent::cancelled;
        event.reason = reason_of(change.status);
        break;
      case dlm::Effect::Kind::released:
        // By force one that held nothing can be released, too.
        event.event = change.token == Token{} ? WatchedEvent::cancelled : WatchedEvent::released;
        event.reason =
            change.token == Token{} ? protocol::Answer::cancelled : protocol::Answer::released;
        break;
      case dlm::Effect::Kind::refused:
      case dlm::Effect::Kind::blocks:
        continue;
    }
    if (change.lock.session == kNobody || !wanted(event.event)) continue;
    event.mode = event.wants = change.mode;
    event.token = change.token;
    const auto named = names.find(change.lock);
    if (named != names.end()) {
      std::tie(event.lockspace, event.resource) = named->second;
    } else if (const auto lock = state.find_lock(change.lock.session, change.lock.acquired_by)) {
      event.lockspace = base::text_of(lock->on.lockspace);
      event.resource = base::text_of(lock->on.resource);
      if (lock->granted && change.kind == dlm::Effect::Kind::queued) {
        event.mode = lock->mode;
        event.token = lock->token;
      }
    } else {
      continue;  // Of a command that was applied before anybody watched.
    }
    event.second = command.second;
    event.request = change.lock.acquired_by;
    describe(state, change.lock.session, event);
    offer(event.event, std::move(event));
  }
}

// A request that is sent again after a reconnect is told of again.
void Watchers::on_denied(const Command& command, const State& state, const Effects& effects) {
  const auto* acquire = std::get_if<Acquire>(&command.body);
  const auto* all = std::get_if<AcquireAll>(&command.body);
  const auto* convert = std::get_if<Convert>(&command.body);
  if (!acquire && !all && !convert) return;
  for (const Effect& effect : effects) {
    const auto* replied = std::get_if<Replied>(&effect);
    const auto reason = replied ? reason_of(replied->reply.status) : std::nullopt;
    if (!reason || !wanted(WatchedEvent::denied)) continue;
    protocol::LockWatched event;
    event.event = WatchedEvent::denied;
    event.reason = *reason;
    event.request = replied->reply.request;
    if (acquire) {
      event.lockspace = acquire->lockspace;
      event.resource = acquire->resource;
      event.mode = event.wants = acquire->mode;
    } else if (all) {
      const std::uint64_t part = base::value(event.request) - base::value(all->request.id);
      if (part >= all->parts.size()) continue;
      event.lockspace = all->parts[part].lockspace;
      event.resource = all->parts[part].resource;
      event.mode = event.wants = all->parts[part].mode;
    } else {
      const auto lock = state.find_lock(replied->session, convert->lock);
      if (!lock) continue;
      event.lockspace = base::text_of(lock->on.lockspace);
      event.resource = base::text_of(lock->on.resource);
      event.mode = lock->mode;
      event.token = lock->token;
      event.wants = convert->mode;
      event.request = convert->lock;
    }
    event.second = command.second;
    describe(state, replied->session, event);
    offer(WatchedEvent::denied, std::move(event));
  }
}

void Watchers::on_sessions(std::uint32_t second, const State& state, const Effects& effects) {
  const auto tell = [&](protocol::SessionChange change, SessionId id) {
    protocol::SessionWatched event;
    event.second = second;
    event.change = change;
    describe(state, id, event);
    if (event.node != base::NodeId{}) offer(WatchedEvent::session, std::move(event));
  };
  for (const Effect& effect : effects) {
    if (const auto* deadlocked = std::get_if<Deadlocked>(&effect)) {
      const dlm::Deadlock& deadlock = deadlocked->deadlock;
      offer(WatchedEvent::deadlock,
            protocol::DeadlockWatched{0, second, deadlock.victim.session, deadlock.request,
                                      queries_.describe(deadlock).steps});
    } else if (const auto* opened = std::get_if<Opened>(&effect)) {
      if (opened->outcome == Opened::Outcome::opened) {
        tell(protocol::SessionChange::opened, opened->session);
      }
    } else if (const auto* resumed = std::get_if<Resumed>(&effect)) {
      if (resumed->outcome == Resumed::Outcome::resumed) {
        tell(protocol::SessionChange::resumed, resumed->session);
      }
    } else if (const auto* orphan = std::get_if<BecameOrphan>(&effect)) {
      tell(protocol::SessionChange::orphaned, orphan->mark.session);
    } else if (const auto* ended = std::get_if<SessionEnded>(&effect)) {
      tell(ended->reason == SessionEnded::Reason::expired ? protocol::SessionChange::expired
                                                          : protocol::SessionChange::closed,
           ended->session);
    }
  }
}

void Watchers::on_lockspaces(std::uint32_t second, const State& state) {
  if (state.lockspaces().digest() == lockspaces_digest_) return;
  const std::map<std::string, Known> before = std::exchange(lockspaces_, {});
  remember_lockspaces(state);
  for (const auto& [name, known] : lockspaces_) {
    const auto was = before.find(name);
    if (was != before.end() && was->second == known) continue;
    offer(WatchedEvent::lockspace,
          protocol::LockspaceWatched{0, second, state_of(name, *state.lockspaces().find(name))});
  }
  for (const auto& [name, known] : before) {
    if (lockspaces_.count(name) != 0) continue;
    protocol::LockspaceState left;
    left.lockspace = name;
    left.generation = known.generation + 1;
    offer(WatchedEvent::lockspace, protocol::LockspaceWatched{0, second, std::move(left)});
  }
}

void Watchers::remember_lockspaces(const State& state) {
  lockspaces_.clear();
  for (const auto& [name, lockspace] : state.lockspaces().all()) {
    lockspaces_[name] = {lockspace.generation, lockspace.gone.empty()};
  }
  lockspaces_digest_ = state.lockspaces().digest();
}

void Watchers::on_configuration(Instant now, const evs::ConfigurationChange& change) {
  if (!wanted(WatchedEvent::configuration)) return;
  protocol::ConfigurationWatched event;
  event.second = second(now);
  event.transitional = change.configuration.kind == evs::ConfigurationKind::transitional;
  event.ring = change.configuration.id;
  event.members = nodes_of(change.configuration.members);
  event.left = nodes_of(change.departed);
  event.joined = nodes_of(change.joined);
  offer(WatchedEvent::configuration, std::move(event));
}

void Watchers::on_quorum(Instant now, const protocol::Status& status) {
  offer(WatchedEvent::quorum, quorum(now, status));
}

protocol::QuorumWatched Watchers::quorum(Instant now, const protocol::Status& status) const {
  return {0, second(now), status.primary, status.state, status.epoch, status.votes, status.quorum};
}

// By the daemon's own clock.
std::uint32_t Watchers::second(Instant now) const {
  return config_.booted_at +
         static_cast<std::uint32_t>(
             std::chrono::duration_cast<std::chrono::seconds>(now.boot).count());
}

}  // namespace lockd
