#include <liblock/watch.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "liblock/copy_steps.h"
#include "liblock/handle.h"

namespace {

using namespace liblock::protocol;

static_assert(static_cast<int>(WatchedEvent::quorum) == LOCK_WATCH_QUORUM);
static_assert(static_cast<int>(WatchedEvent::released) == LOCK_WATCH_RELEASED);
static_assert(static_cast<int>(SessionChange::expired) == LOCK_WATCH_EXPIRED);

lock_bytes bytes_of(const std::string& text) {
  return {text.c_str(), text.size()};
}

lock_mode mode_of(Mode mode) {
  return static_cast<lock_mode>(mode);
}

int error_of(Answer reason) {
  switch (reason) {
    case Answer::busy:
      return LOCK_ERROR_BUSY;
    case Answer::cancelled:
      return LOCK_ERROR_CANCELLED;
    case Answer::timed_out:
      return LOCK_ERROR_TIMEOUT;
    case Answer::deadlock:
      return LOCK_ERROR_DEADLOCK;
    case Answer::in_progress:
      return LOCK_ERROR_IN_PROGRESS;
    case Answer::limit:
      return LOCK_ERROR_LIMIT;
    case Answer::invalid:
      return LOCK_ERROR_INVALID;
    case Answer::not_held:
      return LOCK_ERROR_NOT_HELD;
    case Answer::not_found:
      return LOCK_ERROR_NOT_FOUND;
    case Answer::not_permitted:
      return LOCK_ERROR_PERMISSION;
    default:
      return 0;
  }
}

std::vector<std::uint32_t> numbers_of(const std::vector<NodeId>& nodes) {
  std::vector<std::uint32_t> numbers;
  for (const NodeId node : nodes) numbers.push_back(base::value(node));
  return numbers;
}

std::vector<lock_lockspace_member> members_of(const std::vector<LockspaceMember>& from) {
  std::vector<lock_lockspace_member> members;
  for (const LockspaceMember& member : from) {
    members.push_back({base::value(member.node), member.slot});
  }
  return members;
}

// Gives news to a callback in the form of the header.
class Teller {
 public:
  Teller(lock_client* client, lock_watch_fn* callback, void* arg)
      : client_(client), callback_(callback), arg_(arg) {}

  int operator()(const Response* news) const {
    if (news == nullptr) return callback_(client_, nullptr, arg_);
    return std::visit([this](const auto& one) { return on(one); }, *news);
  }

 private:
  static lock_watch_event event_of(lock_watch_kind kind, std::uint32_t second) {
    lock_watch_event event{};
    event.size = sizeof event;
    event.kind = kind;
    event.second = second;
    return event;
  }

  int tell(const lock_watch_event& event) const { return callback_(client_, &event, arg_); }

  int on(const WatchGap& gap) const {
    lock_watch_event event = event_of(gap.resync ? LOCK_WATCH_RESYNC : LOCK_WATCH_LOST, 0);
    event.lost = gap.lost;
    return tell(event);
  }

  int on(const LockWatched& lock) const {
    lock_watch_event event = event_of(static_cast<lock_watch_kind>(lock.event), lock.second);
    event.lockspace = bytes_of(lock.lockspace);
    event.name = bytes_of(lock.resource);
    event.mode = mode_of(lock.mode);
    event.wants = mode_of(lock.wants);
    event.token = base::value(lock.token);
    event.reason = error_of(lock.reason);
    event.session = base::value(lock.session);
    event.request = base::value(lock.request);
    event.node = base::value(lock.node);
    event.pid = lock.pid;
    event.uid = lock.uid;
    event.command = bytes_of(lock.command);
    return tell(event);
  }

  int on(const DeadlockWatched& deadlock) const {
    lock_watch_event event = event_of(LOCK_WATCH_DEADLOCK, deadlock.second);
    std::vector<lock_deadlock_step> steps;
    for (const DeadlockStep& step : deadlock.steps) {
      steps.push_back(liblock::deadlock_step_of(step));
    }
    event.session = base::value(deadlock.victim);
    event.request = base::value(deadlock.request);
    event.steps = steps.data();
    event.steps_len = steps.size();
    return tell(event);
  }

  int on(const SessionWatched& session) const {
    lock_watch_event event = event_of(LOCK_WATCH_SESSION, session.second);
    event.change = static_cast<lock_watch_session_change>(session.change);
    event.session = base::value(session.session);
    event.node = base::value(session.node);
    event.pid = session.pid;
    event.uid = session.uid;
    event.command = bytes_of(session.command);
    return tell(event);
  }

  int on(const LockspaceWatched& lockspace) const {
    lock_watch_event event = event_of(LOCK_WATCH_LOCKSPACE, lockspace.second);
    const auto members = members_of(lockspace.state.members);
    const auto failed = members_of(lockspace.state.failed);
    event.lockspace = bytes_of(lockspace.state.lockspace);
    event.generation = lockspace.state.generation;
    event.recovered = lockspace.state.recovered;
    event.members = members.data();
    event.members_len = members.size();
    event.failed = failed.data();
    event.failed_len = failed.size();
    return tell(event);
  }

  int on(const ConfigurationWatched& configuration) const {
    lock_watch_event event = event_of(LOCK_WATCH_CONFIGURATION, configuration.second);
    const auto nodes = numbers_of(configuration.members);
    const auto left = numbers_of(configuration.left);
    const auto joined = numbers_of(configuration.joined);
    event.transitional = configuration.transitional;
    event.ring_sequence = configuration.ring.sequence;
    event.ring_representative = base::value(configuration.ring.representative);
    event.ring_nonce = configuration.ring.nonce;
    event.nodes = nodes.data();
    event.nodes_len = nodes.size();
    event.left = left.data();
    event.left_len = left.size();
    event.joined = joined.data();
    event.joined_len = joined.size();
    return tell(event);
  }

  int on(const QuorumWatched& quorum) const {
    lock_watch_event event = event_of(LOCK_WATCH_QUORUM, quorum.second);
    event.primary = quorum.primary;
    event.epoch = quorum.epoch;
    event.votes = quorum.votes;
    event.quorum = quorum.quorum;
    event.state = bytes_of(quorum.state);
    return tell(event);
  }

  // What is no news of a watch.
  template <typename Other>
  int on(const Other&) const {
    return LOCK_ERROR_PROTOCOL;
  }

  lock_client* client_;
  lock_watch_fn* callback_;
  void* arg_;
};

}  // namespace

extern "C" int lock_watch(lock_client* client, const lock_watch_options* options,
                          lock_watch_fn* callback, void* arg) {
  return liblock::guarded(client, [&] {
    lock_watch_options given{};
    if (options != nullptr) {
      std::memcpy(&given, options, std::min(options->size, sizeof given));
    }
    const bool named =
        given.name_len == 0 || (given.name != nullptr && given.name_len <= kResourceBytesMax);
    if (callback == nullptr || !named || given.idle_ms < 0 || (given.kinds & ~kAllWatchEvents)) {
      return int{LOCK_ERROR_INVALID};
    }
    Watch watch;
    if (given.kinds != 0) watch.events = given.kinds;
    if (given.lockspace != nullptr) watch.lockspace = given.lockspace;
    if (given.name_len > 0) {
      watch.resource.assign(static_cast<const char*>(given.name), given.name_len);
    }
    watch.prefix = given.prefix != 0;
    liblock::Client::Timeout idle;
    if (given.idle_ms > 0) idle = std::chrono::milliseconds(given.idle_ms);
    return client->client.watch(std::move(watch), idle, Teller(client, callback, arg));
  });
}
