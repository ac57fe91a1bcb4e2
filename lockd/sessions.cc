#include "lockd/sessions.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lockd {

namespace protocol = liblock::protocol;

namespace {

// Events that wait to be read; more are counted.
constexpr std::size_t kEventsMax = 256;

// In constant time, so that a secret cannot be guessed byte by byte.
bool same(const std::array<std::byte, 16>& a, const std::array<std::byte, 16>& b) {
  std::byte difference{0};
  for (std::size_t i = 0; i < a.size(); ++i) difference |= a[i] ^ b[i];
  return difference == std::byte{0};
}

void count_down(std::map<std::uint32_t, std::size_t>& counts, std::uint32_t uid) {
  const auto found = counts.find(uid);
  CHECK(found != counts.end());
  if (--found->second == 0) counts.erase(found);
}

SessionId session_of(const Command::Body& body) {
  return std::visit(
      [](const auto& one) {
        if constexpr (requires { one.request.session; }) {
          return one.request.session;
        } else if constexpr (requires { one.session; }) {
          return one.session;
        } else {
          return SessionId{};
        }
      },
      body);
}

}  // namespace

Sessions::Sessions(const SessionsConfig& config, base::Processor self, Replica& replica,
                   Queries& queries, Instances& instances, Watchers& watchers,
                   std::function<Secret()> draw_secret)
    : config_(config),
      self_(self),
      replica_(replica),
      queries_(queries),
      instances_(instances),
      watchers_(watchers),
      draw_secret_(std::move(draw_secret)) {}

// ---- Connections ----

void Sessions::connect(Instant now, ConnectionId id, const Peer& peer) {
  ++statistics_.connections;
  const bool added = connections_.try_emplace(id, peer, config_.unwritten_bytes_max, now).second;
  CHECK(added);
  const std::size_t of_user = ++connections_of_[peer.uid];
  if (!next_sweep_) next_sweep_ = now.boot + config_.lease / 8;
  if (shut_down_) {
    refuse(now, id, protocol::Refusal::no_clients,
           "this daemon is leaving; try another one, or later");
  } else if (connections_.size() > config_.connections_max) {
    refuse(now, id, protocol::Refusal::limit,
           "this daemon has " + std::to_string(config_.connections_max) +
               " connections, which is its limit; close some");
  } else if (of_user > config_.connections_per_user_max) {
    refuse(now, id, protocol::Refusal::limit,
           "user " + std::to_string(peer.uid) + " has " +
               std::to_string(config_.connections_per_user_max) +
               " connections to this daemon, which is the limit; close some");
  }
}

void Sessions::receive(Instant now, ConnectionId id, base::Bytes bytes) {
  if (Connection* connection = find(id)) {
    if (std::holds_alternative<CutOff>(connection->stage)) return;
    connection->wire.append(bytes);
  }
  while (Connection* connection = find(id)) {
    auto request = connection->wire.next_request();
    if (!request) {
      ++statistics_.malformed;
      refuse(now, id, protocol::Refusal::malformed,
             "these bytes are no request of Ringlock's client protocol");
      return;
    }
    if (!request->has_value()) return;
    std::visit([&](const auto& one) { on(now, id, one); }, **request);
  }
}

void Sessions::hang_up(Instant now, ConnectionId id, HangUp how) {
  Connection* connection = find(id);
  if (connection == nullptr) return forget(id);
  SessionSlot* slot = slot_of(*connection);
  if (slot != nullptr && how == HangUp::closed_by_client) {
    // Every process that had the socket has closed it: the client's own end [rule 7.A5].
    slot->connection.reset();
    if (slot->phase != SessionSlot::Phase::closing) order_close(now, *slot);
  } else {
    part(now, *connection);
  }
  forget(id);
}

std::optional<ClientOutput> Sessions::poll_output() {
  while (!output_.empty()) {
    const ConnectionId id = output_.front();
    output_.pop_front();
    const auto found = connections_.find(id);
    if (found == connections_.end()) continue;
    Connection& connection = found->second;
    connection.has_output = false;
    if (!connection.closing) return ClientOutput{id, connection.wire.unwritten(), false};
    parting_.emplace(std::move(connection.wire));
    forget(id);
    return ClientOutput{id, parting_->unwritten(), true};
  }
  return std::nullopt;
}

void Sessions::wrote(ConnectionId id, std::size_t bytes) {
  Connection* connection = find(id);
  if (connection == nullptr) return;
  connection->wire.wrote(bytes);
  if (const auto gap = watchers_.take_gap(id, connection->wire.unwritten().size())) {
    tell_watcher(id, *gap);
  }
  if (std::holds_alternative<CutOff>(connection->stage) && connection->wire.unwritten().empty()) {
    close(id);
  }
}

void Sessions::writable(ConnectionId id) {
  Connection* connection = find(id);
  if (connection == nullptr || connection->has_output || connection->wire.unwritten().empty())
    return;
  connection->has_output = true;
  output_.push_back(id);
}

Sessions::Connection* Sessions::find(ConnectionId id) {
  const auto found = connections_.find(id);
  return found == connections_.end() || found->second.closing ? nullptr : &found->second;
}

SessionSlot* Sessions::find(SessionId id) {
  const auto found = slots_.find(id);
  return found == slots_.end() ? nullptr : &found->second;
}

SessionSlot* Sessions::slot_of(const Connection& connection) {
  const auto* serving = std::get_if<Serving>(&connection.stage);
  return serving == nullptr ? nullptr : find(serving->session);
}

bool Sessions::send(Instant now, ConnectionId id, const protocol::Response& response) {
  Connection* connection = find(id);
  if (connection == nullptr) return false;
  if (!connection->wire.send(response)) {
    ++statistics_.slow_readers;
    drop(now, id, "it does not read what it is sent");
    return false;
  }
  writable(id);
  return true;
}

void Sessions::refuse(Instant now, ConnectionId id, protocol::Refusal why, std::string advice) {
  Connection* connection = find(id);
  if (connection == nullptr) return;
  ++statistics_.connections_refused;
  report(ClientRefused{connection->wire.peer(), advice});
  if (!send(now, id, protocol::Refused{why, std::move(advice)})) return;
  part(now, *connection);
  close(id);
}

void Sessions::drop(Instant now, ConnectionId id, std::string_view why) {
  Connection* connection = find(id);
  if (connection == nullptr) return;
  ClientDropped event{connection->wire.peer(), why, {}};
  if (const SessionSlot* slot = slot_of(*connection)) event.session = slot->id;
  report(std::move(event));
  part(now, *connection);
  close(id);
}

// The daemon ends its side: what the connection stood for must do without it.
void Sessions::part(Instant now, Connection& connection) {
  if (const auto* opening = std::get_if<Opening>(&connection.stage)) {
    const auto found = opens_.find(opening->number);
    if (found != opens_.end()) found->second.connection.reset();
  }
  if (SessionSlot* slot = slot_of(connection)) abandon(now, *slot);
}

void Sessions::close(ConnectionId id) {
  Connection* connection = find(id);
  if (connection == nullptr) return;
  if (!connection->has_output) output_.push_back(id);
  connection->has_output = true;
  connection->closing = true;
}

void Sessions::forget(ConnectionId id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  count_down(connections_of_, found->second.wire.peer().uid);
  connections_.erase(found);
  instances_.close(id);
  watchers_.end(id);
}

// ---- Requests ----

void Sessions::on(Instant now, ConnectionId id, const protocol::Hello& hello) {
  Connection& connection = *find(id);
  if (!std::holds_alternative<Greeting>(connection.stage)) {
    return refuse(now, id, protocol::Refusal::malformed, "Hello is said once");
  }
  connection.stamp = hello.stamp;
  if (hello.version != protocol::kVersion) {
    return refuse(now, id, protocol::Refusal::version,
                  "this daemon speaks version " + std::to_string(protocol::kVersion) +
                      " of the client protocol, not " + std::to_string(hello.version) +
                      "; install daemon and library of one release");
  }
  if (hello.kind == protocol::HelloKind::query) {
    connection.stage = Querying{};
    protocol::Welcome welcome;
    welcome.node = self_.node;
    welcome.lease = config_.lease;
    welcome.primary = replica_.table() != nullptr;
    welcome.note.echo = hello.stamp;
    send(now, id, welcome);
    return;
  }
  if (config_.witness) {
    return refuse(now, id, protocol::Refusal::no_clients,
                  "this node is a witness; ask a daemon of another node");
  }
  if (hello.kind == protocol::HelloKind::evs) return open_instance(now, id);
  const std::uint32_t uid = connection.wire.peer().uid;
  const auto of_user = sessions_of_.find(uid);
  const bool known =
      hello.kind == protocol::HelloKind::resume && slots_.count(hello.resume.session) != 0;
  if (!known && of_user != sessions_of_.end() && of_user->second >= config_.sessions_per_user_max) {
    ++statistics_.sessions_refused;
    return refuse(now, id, protocol::Refusal::limit,
                  "user " + std::to_string(uid) + " has " + std::to_string(of_user->second) +
                      " sessions at this daemon, which is the limit; close some, or take several "
                      "locks in one "
                      "session");
  }
  if (hello.kind == protocol::HelloKind::open) {
    open(now, id, hello);
  } else {
    resume(now, id, hello);
  }
  // Who has to wait for a quorum hears why.
  if (!may_tell(now)) tell_state(now, id);
}

void Sessions::open(Instant now, ConnectionId id, const protocol::Hello& hello) {
  Connection& connection = *find(id);
  const Peer& peer = connection.wire.peer();
  last_open_ = OpenNumber{base::value(last_open_) + 1};
  Open command;
  command.number = last_open_;
  command.secret = draw_secret_();
  command.instance.bits = hello.instance;
  command.uid = peer.uid;
  command.gid = peer.gid;
  command.pid = peer.pid;
  command.program = hello.command.substr(0, kProgramBytesMax);
  ++sessions_of_[peer.uid];
  connection.stage = Opening{last_open_};
  opens_.emplace(last_open_, PendingOpen{id, command});
  submit(now, std::move(command));
}

void Sessions::resume(Instant now, ConnectionId id, const protocol::Hello& hello) {
  Connection& connection = *find(id);
  const protocol::Resume& wanted = hello.resume;
  SessionSlot* slot = find(wanted.session);
  if (slot != nullptr) {
    const bool claimed_only = slot->phase == SessionSlot::Phase::resuming;
    if (!same(slot->secret.bits, wanted.secret)) {
      return claimed_only ? refuse(now, id, protocol::Refusal::limit,
                                   "somebody else asks for this session at the moment; try again")
                          : refuse(now, id, protocol::Refusal::session_lost,
                                   "this is not the session's secret");
    }
    if (slot->instance.bits != hello.instance) {
      return refuse(now, id, protocol::Refusal::session_lost,
                    "the session belongs to another process, which may still run");
    }
    if (slot->phase == SessionSlot::Phase::closing) {
      return refuse(now, id, protocol::Refusal::session_lost, "the session has been closed");
    }
    if (slot->connection) close(*slot->connection);
  } else {
    slot = &slots_[wanted.session];
    slot->id = wanted.session;
    slot->generation = Generation{wanted.generation};
    slot->secret.bits = wanted.secret;
    slot->instance.bits = hello.instance;
    slot->uid = connection.wire.peer().uid;
    ++sessions_of_[slot->uid];
  }
  connection.stage = Serving{wanted.session};
  slot->connection = id;
  slot->heard = now;
  slot->silent = false;
  slot->welcome_due = SessionSlot::Welcome::resumed;
  slot->repeats_up_to.reset();
  // The client sends again what it has no answer to, and what waits.
  slot->unanswered.clear();
  slot->told.clear();
  end_waits(*slot);
  if (slot->phase != SessionSlot::Phase::resuming) order_resume(now, *slot);
}

void Sessions::on(Instant now, ConnectionId id, const protocol::Keepalive& keepalive) {
  Connection& connection = *find(id);
  connection.stamp = keepalive.stamp;
  if (SessionSlot* slot = slot_of(connection)) slot->hear(now, keepalive.acknowledged);
  tell_state(now, id);
}

void Sessions::on(Instant now, ConnectionId id, const protocol::Close&) {
  Connection& connection = *find(id);
  SessionSlot* slot = slot_of(connection);
  if (slot == nullptr) {
    part(now, connection);
    return close(id);
  }
  if (slot->phase != SessionSlot::Phase::closing) order_close(now, *slot);
}

void Sessions::on(Instant now, ConnectionId id, const protocol::List& query) {
  send(now, id, queries_.answer(now, query));
}

void Sessions::on(Instant now, ConnectionId id, const protocol::Show& query) {
  send(now, id, queries_.answer(now, query));
}

void Sessions::on(Instant now, ConnectionId id, const protocol::DeadlockQuery& query) {
  send(now, id, queries_.answer(now, query));
}

void Sessions::on(Instant now, ConnectionId id, const protocol::LockspacesQuery& query) {
  send(now, id, queries_.answer(now, query));
}

void Sessions::on(Instant now, ConnectionId id, const protocol::StatusQuery& query) {
  protocol::Status status = queries_.answer(now, query);
  const std::pair<const char*, std::uint64_t> counters[] = {
      {"connections_open", connections_.size()},
      {"connections_refused", statistics_.connections_refused},
      {"clients_malformed", statistics_.malformed},
      {"clients_slow", statistics_.slow_readers},
      {"sessions_here", slots_.size()},
      {"sessions_opened", statistics_.sessions_opened},
      {"sessions_refused", statistics_.sessions_refused},
      {"sessions_resumed", statistics_.sessions_resumed},
      {"sessions_lost", statistics_.sessions_lost},
      {"grants_told", statistics_.granted_told},
      {"watchers", watchers_.size()},
      {"watch_events_told", watchers_.statistics().told},
      {"watch_events_lost", watchers_.statistics().lost},
      {"evs_instances", instances_.size()},
      {"evs_messages_sent", instances_.statistics().sent},
      {"evs_messages_delivered", instances_.statistics().delivered},
  };
  for (const auto& [name, value] : counters) status.counters.push_back({name, value});
  send(now, id, status);
}

void Sessions::on(Instant now, ConnectionId id, const protocol::MembersQuery& query) {
  send(now, id, queries_.answer(now, query));
}

void Sessions::on(Instant now, ConnectionId id, const protocol::RingStatusQuery& query) {
  send(now, id, queries_.answer(now, query));
}

void Sessions::on(Instant now, ConnectionId id, const protocol::RingLogQuery& query) {
  send(now, id, queries_.answer(now, query));
}

void Sessions::on(Instant now, ConnectionId id, const protocol::WhyQuery& query) {
  send(now, id, queries_.answer(now, query));
}

// ---- Commands ----

void Sessions::submit(Instant now, const Command::Body& body) {
  if (backlog_.empty()) {
    const auto taken = replica_.submit(now, body);
    if (taken || taken.error() != SubmitError::try_again) return;
  }
  backlog_.push_back(body);
}

void Sessions::discard_backlog(SessionId session) {
  std::erase_if(backlog_, [&](const Command::Body& body) { return session_of(body) == session; });
}

void Sessions::report(DaemonEvent event) {
  if (events_.size() < kEventsMax) {
    events_.push_back(std::move(event));
  } else if (auto* dropped = std::get_if<EventsDropped>(&events_.back())) {
    ++dropped->count;
  } else {
    events_.push_back(EventsDropped{1});
  }
}

std::optional<DaemonEvent> Sessions::poll_event() {
  if (events_.empty()) return std::nullopt;
  DaemonEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

}  // namespace lockd
