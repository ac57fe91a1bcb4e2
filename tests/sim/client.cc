#include "tests/sim/client.h"

#include <chrono>
#include <utility>
#include <variant>

namespace sim {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kAtATimeMax = 2;
const char* const kResources[] = {"a", "b", "c"};

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

}  // namespace

Client::Client(std::size_t machine, const VirtualClock& clock, base::Random random,
               LockChecker& checker, Resources& resources)
    : server(machine),
      machine_(machine),
      clock_(clock),
      random_(random),
      checker_(checker),
      resources_(resources),
      wire_(client_config(random_)) {}

void Client::act(Duration now) {
  for (auto& [id, request] : std::map(requests_)) {
    if (request.act_at > now && !winding_down_) continue;
    if (request.releasing) continue;
    Request& own = requests_.at(id);
    if (!request.granted) {
      if (request.patient) continue;
      // Patience is at its end.
      if (wire_.cancel(clock_now(now), id)) own.act_at = now + milliseconds(500);
      continue;
    }
    use(now, id, request);
    if (!winding_down_ && random_.chance(1, 2)) {
      own.act_at = now + random_.between(milliseconds(1), milliseconds(200));
      continue;
    }
    checker_.client_releases(now, name_of(id));
    if (wire_.release(clock_now(now), id)) {
      own.releasing = true;
    } else {
      end(id);
    }
  }
  if (!winding_down_ && requests_.size() < kAtATimeMax) begin(now);
  next_act_ = now + random_.between(milliseconds(5), milliseconds(150));
}

void Client::begin(Duration now) {
  const std::string resource = kResources[random_.below(std::size(kResources))];
  const dlm::Mode mode = random_.chance(2, 3) ? dlm::Mode::ex : dlm::Mode::pr;
  const bool no_queue = random_.chance(1, 5);
  const auto id = wire_.acquire(clock_now(now), "default", resource,
                                static_cast<liblock::protocol::Mode>(mode), no_queue);
  if (!id) return;
  Request request;
  request.resource = resource;
  request.mode = mode;
  request.patient = random_.chance(1, 2);
  request.act_at = now + random_.between(milliseconds(10), milliseconds(800));
  requests_.emplace(*id, request);
  if (session_) checker_.client_acquires(now, name_of(*id), resource, mode);
}

// What the lock guards is used as long as the client may believe that it holds it, and sometimes
// later by a careless one: the resource then compares tokens.
void Client::use(Duration now, base::RequestId id, const Request& request) {
  const bool believes = wire_.valid_for(clock_now(now), id) > Duration(0);
  if (!believes && !random_.chance(1, 4)) return;
  if (believes) checker_.client_uses(now, name_of(id));
  const bool write = request.mode == dlm::Mode::ex;
  const bool accepted = resources_.access(request.resource, write, request.token);
  checker_.access(now, request.resource, name_of(id), request.mode, request.token, accepted);
}

void Client::take_events(Duration now) {
  while (auto event = wire_.poll_event()) {
    if (wire_.session() && wire_.session() != session_ &&
        !std::holds_alternative<liblock::GrantLost>(*event) &&
        !std::holds_alternative<liblock::SessionLost>(*event)) {
      on_session(now);
    }
    if (const auto* granted = std::get_if<liblock::Granted>(&*event)) {
      const auto found = requests_.find(granted->request);
      if (found == requests_.end()) continue;
      ++grants;
      last_event = "granted " + found->second.resource;
      found->second.granted = true;
      found->second.token = granted->token;
      found->second.act_at = now + random_.between(milliseconds(1), milliseconds(200));
      tell_deadline(now, granted->request);
      checker_.client_ok(now, name_of(granted->request), granted->token);
      use(now, granted->request, found->second);
    } else if (const auto* lost = std::get_if<liblock::GrantLost>(&*event)) {
      ++losses;
      last_event = "lost";
      if (requests_.contains(lost->request)) checker_.client_lost(now, name_of(lost->request));
      end(lost->request);
    } else if (const auto* failed = std::get_if<liblock::Failed>(&*event)) {
      last_event = "failed";
      if (session_ && requests_.contains(failed->request)) {
        checker_.client_failed(now, name_of(failed->request));
      }
      end(failed->request);
    } else if (const auto* released = std::get_if<liblock::Released>(&*event)) {
      last_event = "released";
      if (released->in_time && requests_.contains(released->request)) {
        checker_.client_released(now, name_of(released->request));
      } else if (requests_.contains(released->request) && wire_.session() == session_) {
        checker_.client_not_released(now, name_of(released->request));
      }
      end(released->request);
    }
  }
  if (wire_.session() && wire_.session() != session_) on_session(now);
  for (const auto& [id, request] : requests_) {
    if (request.granted && tell_deadline(now, id)) break;
  }
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
  for (const auto& [id, request] : requests_) {
    if (request.granted) continue;
    if (before) checker_.client_failed(now, {*before, id});
    checker_.client_acquires(now, name_of(id), request.resource, request.mode);
  }
}

void Client::end(base::RequestId id) {
  requests_.erase(id);
}

void Client::die(Duration now) {
  if (session_) checker_.client_closed(now, *session_);
}

std::optional<Duration> Client::next_timeout() const {
  const auto deadline = wire_.next_timeout();
  if (!deadline) return std::nullopt;
  return clock_.when(*deadline);
}

}  // namespace sim
