#include "tests/sim/client.h"

#include <chrono>
#include <utility>
#include <variant>

namespace sim {

namespace {

using std::chrono::milliseconds;

liblock::ClientConfig client_config(base::Random& random) {
  liblock::ClientConfig config;
  for (auto& byte : config.instance) byte = static_cast<std::byte>(random.below(256));
  config.command = "simulated";
  // Some begin where 32 bits would end.
  if (random.chance(1, 4)) {
    config.last_request = base::RequestId{(std::uint64_t{1} << 32) - 1 - random.below(8)};
  }
  return config;
}

Told told_of(const liblock::Granted& granted) {
  return {granted.token, granted.mode, granted.notes, granted.value};
}

LockspaceSeen seen_of(const liblock::protocol::LockspaceState& state) {
  LockspaceSeen seen{state.lockspace, state.generation, state.recovered, {}, {}};
  for (const auto& member : state.members) seen.members.emplace_back(member.node, member.slot);
  for (const auto& member : state.failed) seen.failed.emplace_back(member.node, member.slot);
  return seen;
}

std::uint64_t number_in(const std::optional<dlm::ValueBlock>& value) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; value && i < sizeof number; ++i) {
    number |= std::to_integer<std::uint64_t>((*value)[i]) << (8 * i);
  }
  return number;
}

}  // namespace

Client::Client(std::size_t machine, const VirtualClock& clock, base::Random random,
               LockChecker& checker, Resources& resources, const Traffic& traffic,
               std::uint64_t number)
    : server(machine),
      machine_(machine),
      clock_(clock),
      random_(random),
      checker_(checker),
      resources_(resources),
      traffic_(traffic),
      number_(number),
      wire_(client_config(random_)) {}

void Client::take_part(const BarrierPlan& plan, BarrierChecker& checker, Coverage& coverage) {
  barriers_.emplace(plan, clock_, random_, checker, coverage, wire_, number_);
}

void Client::take_events(Duration now) {
  while (auto event = wire_.poll_event()) {
    if (wire_.session() && wire_.session() != session_ &&
        !std::holds_alternative<liblock::GrantLost>(*event) &&
        !std::holds_alternative<liblock::SessionLost>(*event) &&
        !std::holds_alternative<liblock::ConversionFailed>(*event)) {
      on_session(now);
    }
    hear(now, *event);
  }
  if (wire_.session() && wire_.session() != session_) on_session(now);
  for (const auto& [id, request] : requests_) {
    if (request.granted && tell_deadline(now, id)) break;
  }
}

void Client::hear(Duration now, const liblock::Event& event) {
  if (barriers_ && barriers_->hear(now, event)) {
    last_event = "hears of a barrier";
  } else if (const auto* one = std::get_if<liblock::Granted>(&event)) {
    granted(now, *one);
  } else if (const auto* all = std::get_if<liblock::GrantedAll>(&event)) {
    for (const liblock::Granted& part : all->parts) granted(now, part);
  } else if (const auto* lost = std::get_if<liblock::GrantLost>(&event)) {
    ++losses;
    last_event = "lost";
    const auto found = requests_.find(lost->request);
    if (found == requests_.end()) return;
    if (is_of_transaction(found->second)) end_transaction();
    checker_.client_lost(now, name_of(lost->request));
    end(lost->request);
  } else if (const auto* refused = std::get_if<liblock::Failed>(&event)) {
    failed(now, *refused);
  } else if (const auto* changed = std::get_if<liblock::Converted>(&event)) {
    converted(now, *changed);
  } else if (const auto* kept = std::get_if<liblock::ConversionFailed>(&event)) {
    not_converted(now, *kept);
  } else if (const auto* blocked = std::get_if<liblock::Blocked>(&event)) {
    const auto found = requests_.find(blocked->request);
    if (found == requests_.end()) return;
    last_event = "blocks " + found->second.resource;
    ++blocks;
    found->second.blocked = true;
    found->second.act_at = now + random_.between(milliseconds(0), milliseconds(100));
    checker_.client_blocks(now, name_of(blocked->request), blocked->token, blocked->mode);
  } else if (const auto* released = std::get_if<liblock::Released>(&event)) {
    last_event = "released";
    const auto found = requests_.find(released->request);
    if (found == requests_.end()) return;
    if (released->in_time) {
      checker_.client_released(now, name_of(released->request));
    } else if (wire_.session() == session_) {
      checker_.client_not_released(now, name_of(released->request));
    }
    end(released->request);
  } else if (const auto* done = std::get_if<liblock::Done>(&event)) {
    answered(now, done->operation);
  } else if (const auto* space = std::get_if<liblock::LockspaceChanged>(&event)) {
    last_event = "lockspace " + std::to_string(space->state.generation);
    ++lockspace_changes;
    if (session_) checker_.client_told_of(now, *session_, seen_of(space->state));
  }
}

void Client::granted(Duration now, const liblock::Granted& granted) {
  const auto found = requests_.find(granted.request);
  if (found == requests_.end()) return;
  Request& request = found->second;
  ++grants;
  if ((request.flags & base::lock_flag::adopt_orphan) != 0) ++adoptions;
  last_event = "granted " + request.resource;
  request.granted = true;
  request.token = granted.token;
  request.mode = granted.mode;
  request.number = number_in(granted.value);
  request.act_at = now + random_.between(milliseconds(1), milliseconds(200));
  tell_deadline(now, granted.request);
  checker_.client_granted(now, name_of(granted.request), told_of(granted));
  use(now, granted.request, request);
  if (is_of_transaction(request)) go_on(now);
}

void Client::failed(Duration now, const liblock::Failed& failed) {
  last_event = "failed";
  const auto found = requests_.find(failed.request);
  if (found == requests_.end()) return;
  if (is_of_transaction(found->second)) end_transaction();
  const std::size_t parts = found->second.parts;
  for (std::size_t i = 0; i < parts; ++i) {
    const base::RequestId part{base::value(failed.request) + i};
    if (session_ && requests_.contains(part)) checker_.client_failed(now, name_of(part));
    end(part);
  }
}

void Client::converted(Duration now, const liblock::Converted& converted) {
  answered(now, converted.operation);
  const auto found = requests_.find(converted.lock.request);
  if (found == requests_.end()) return;
  Request& request = found->second;
  last_event = "converted " + request.resource;
  ++conversions;
  request.conversion.reset();
  request.blocked = false;
  request.mode = converted.lock.mode;
  request.token = converted.lock.token;
  if (converted.lock.value) request.number = number_in(converted.lock.value);
  request.act_at = now + random_.between(milliseconds(1), milliseconds(150));
  tell_deadline(now, converted.lock.request);
  checker_.client_converted(now, name_of(converted.lock.request), converted.operation,
                            told_of(converted.lock));
  use(now, converted.lock.request, request);
  if (is_of_transaction(request)) go_on(now);
}

void Client::not_converted(Duration now, const liblock::ConversionFailed& failed) {
  answered(now, failed.operation);
  const auto found = requests_.find(failed.lock.request);
  if (found == requests_.end() || found->second.releasing) return;
  last_event = "not converted " + found->second.resource;
  if (failed.failure == liblock::Failure::deadlock) ++deadlocks;
  if (is_of_transaction(found->second)) end_transaction();
  found->second.conversion.reset();
  found->second.mode = failed.lock.mode;
  found->second.act_at = now + random_.between(milliseconds(1), milliseconds(150));
  checker_.client_not_converted(now, name_of(failed.lock.request), failed.operation,
                                told_of(failed.lock));
}

void Client::operates(base::RequestId operation) {
  operations_.insert(operation);
  checker_.client_operates(number_, operation);
}

void Client::answered(Duration now, base::RequestId operation) {
  operations_.erase(operation);
  checker_.client_answered(now, number_, operation);
}

// One deadline for all that the session holds.
bool Client::tell_deadline(Duration now, base::RequestId id) {
  const Duration left = wire_.valid_for(clock_now(now), id);
  if (left <= Duration(0)) return false;
  checker_.client_deadline(now, *session_, clock_.when_either(clock_now(now) + left));
  return true;
}

// Requests that waited in a session that ended go on in the next.
void Client::on_session(Duration now) {
  const auto before = std::exchange(session_, wire_.session());
  if (barriers_) barriers_->on_session(*session_);
  for (const auto& [id, request] : requests_) {
    if (request.granted) continue;
    if (before) checker_.client_failed(now, {*before, id});
    ask(now, id);
  }
}

void Client::ask(Duration now, base::RequestId id) {
  if (!session_) return;
  const Request& request = requests_.at(id);
  checker_.client_asks(now, name_of(id),
                       {request.resource, request.mode, request.flags, dlm::Owner{request.owner},
                        request.first, request.parts});
}

void Client::wind_down() {
  winding_down_ = true;
  if (barriers_) barriers_->wind_down();
}

bool Client::at_rest() const {
  return requests_.empty() && operations_.empty() && (!barriers_ || barriers_->at_rest());
}

bool Client::waits() const {
  if (barriers_ && !barriers_->at_rest()) return true;
  for (const auto& [id, request] : requests_) {
    if (!request.granted || request.conversion) return true;
  }
  return !operations_.empty();
}

void Client::end(base::RequestId id) {
  requests_.erase(id);
}

void Client::die(Duration now) {
  if (session_) checker_.client_closed(now, *session_);
  checker_.client_gone(number_);
  if (barriers_) barriers_->die();
}

std::vector<LeftBehind> Client::left_behind() const {
  std::vector<LeftBehind> left;
  for (const auto& [id, request] : requests_) {
    const bool persistent = (request.flags & base::lock_flag::persistent) != 0;
    if (request.granted && persistent) left.push_back({request.resource, request.mode});
  }
  return left;
}

std::optional<Duration> Client::next_timeout() const {
  const auto deadline = wire_.next_timeout();
  if (!deadline) return std::nullopt;
  return clock_.when(*deadline);
}

}  // namespace sim
