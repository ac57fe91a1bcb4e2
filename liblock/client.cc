#include "liblock/client.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "liblock/clocks.h"
#include "liblock/error.h"

namespace liblock {
namespace {

// Pieces of one turn: what is left shows at the next poll.
constexpr int kReadsMax = 8;

ClientConfig machine_config(const ClientOptions& options, const protocol::Instance& instance) {
  ClientConfig config;
  config.instance = instance;
  config.command = options.command;
  config.query_only = options.query_only;
  return config;
}

}  // namespace

Client::Client(lock_client* handle, ClientOptions options, protocol::Instance instance)
    : handle_(handle), options_(std::move(options)), machine_(machine_config(options_, instance)) {}

bool Client::forked() const {
  return !owner_.asks();
}

// ---- Turning the machine ----

// One thread works and polls at a time, for all: whoever finds nobody polling. The others wait
// until it comes back, and see whether what it found is theirs.
bool Client::wait(Lock& lock, std::optional<Duration> until, const std::function<bool()>& done) {
  finish_turn();  // What we are to wait for has to be asked.
  for (;;) {
    if (!polling_) {
      work();
      link_.notify(!due_.empty());
    }
    if (done()) return true;
    const Instant now = read_clocks();
    if (until && now.boot >= *until) return false;
    if (polling_) {
      if (until) {
        polled_.wait_for(lock, *until - now.boot);
      } else {
        polled_.wait(lock);
      }
      continue;
    }
    std::optional<Duration> next = machine_.next_timeout();
    if (until) next = next ? std::min(*next, *until) : *until;
    const Link::Awaited awaited = link_.awaited();
    polling_ = true;
    lock.unlock();
    Link::wait(awaited, next ? std::max(*next - now.boot, Duration::zero()) : Duration(-1));
    lock.lock();
    polling_ = false;
    polled_.notify_all();
  }
}

void Client::work() {
  if (link_.connected()) {
    link_.write_rest();
    read_all();
  }
  machine_.handle_timeout(read_clocks());
  connect_if_wanted();
  pass_on();
}

void Client::read_all() {
  for (int i = 0; i < kReadsMax; ++i) {
    const std::optional<base::Bytes> bytes = link_.read();
    const Instant now = read_clocks();  // After the read, so that late bytes are seen to be late.
    if (!bytes) {
      link_.disconnect();
      machine_.handle_disconnected(now);
      return;
    }
    if (!bytes->empty()) machine_.handle_bytes(now, *bytes);
    if (bytes->size() < Link::kReadBytes) return;
  }
}

void Client::connect_if_wanted() {
  if (link_.connected() && !machine_.wants_connection()) {
    link_.disconnect();
    machine_.handle_disconnected(read_clocks());
  }
  if (link_.connected() || !machine_.wants_connection()) return;
  const auto connected = link_.connect(options_.socket_paths);
  connect_errno_ = connected ? 0 : connected.error();
  if (connected) {
    machine_.handle_connected(read_clocks());
  } else {
    machine_.handle_disconnected(read_clocks());
  }
}

void Client::finish_turn() {
  pass_on();
  link_.notify(!due_.empty());
}

// Sends what the machine wants to send, and tells what it has to tell. A thread that polls
// meanwhile is woken if anything happened: it waits for what was there before.
void Client::pass_on() {
  bool happened = false;
  while (auto bytes = machine_.poll_transmit()) {
    link_.write(*bytes);
    happened = true;
  }
  while (auto event = machine_.poll_event()) {
    std::visit([this](const auto& what) { on(what); }, *event);
    happened = true;
  }
  if (!happened) return;
  polled_.notify_all();
  if (polling_) link_.wake();
}

// ---- Calls ----

int Client::connect() {
  Lock lock(mutex_);
  if (!link_.create()) return LOCK_ERROR_SYSTEM;
  bool refused_connection = false;
  const bool done = wait(lock, read_clocks().boot + options_.answer_timeout, [&] {
    // A full backlog is a busy daemon, not an absent one.
    refused_connection = connect_errno_ != 0 && connect_errno_ != EAGAIN;
    const bool no_quorum = options_.quorum_now && machine_.heard() && !machine_.primary();
    return machine_.open() || refused_ != 0 || refused_connection || no_quorum;
  });
  if (machine_.open()) return 0;
  if (refused_ != 0) return refused_;
  if (done && refused_connection) return error_of_connect(connect_errno_);
  return unavailable();
}

void Client::close() {
  if (!forked()) {
    Lock lock(mutex_);
    machine_.close(read_clocks());
    while (auto bytes = machine_.poll_transmit()) link_.write(*bytes);
  }
  link_ = Link();
}

Duration Client::valid_for(const lock_grant& grant) {
  Lock lock(mutex_);
  return machine_.valid_for(read_clocks(), RequestId{grant.id});
}

lock_health_state Client::health(const lock_grant& grant) {
  Lock lock(mutex_);
  const Instant now = read_clocks();
  if (machine_.valid_for(now, RequestId{grant.id}) == Duration::zero()) return LOCK_HEALTH_LOST;
  return machine_.in_jeopardy(now) ? LOCK_HEALTH_JEOPARDY : LOCK_HEALTH_HELD;
}

std::optional<Duration> Client::timeout() {
  Lock lock(mutex_);
  if (!due_.empty()) return Duration::zero();
  const std::optional<Duration> next = machine_.next_timeout();
  if (!next) return std::nullopt;
  return std::max(*next - read_clocks().boot, Duration::zero());
}

lock_client_state Client::state() {
  Lock lock(mutex_);
  if (!machine_.heard()) return LOCK_STATE_CONNECTING;
  return machine_.open() && machine_.primary() ? LOCK_STATE_READY : LOCK_STATE_NOT_QUORATE;
}

std::string Client::advice() {
  Lock lock(mutex_);
  return advice_;
}

DeadlockSteps Client::deadlock(std::uint64_t lock) {
  Lock guard(mutex_);
  const DeadlockSteps* steps = deadlocks_.find(lock);
  return steps == nullptr ? DeadlockSteps{} : *steps;
}

base::Result<protocol::Response, int> Client::query(protocol::Request question) {
  Lock lock(mutex_);
  const auto asked = machine_.query(read_clocks(), std::move(question));
  if (!asked) return base::error(error_of(asked.error()));
  const std::uint32_t id = *asked;
  answers_[id];
  wait(lock, read_clocks().boot + options_.answer_timeout,
       [&] { return answers_[id].has_value() || disabled_ != 0; });
  const std::optional<protocol::Response> answer = std::move(answers_[id]);
  answers_.erase(id);
  if (answer) return *answer;
  machine_.forget_query(read_clocks(), id);
  finish_turn();
  return base::error(disabled_ != 0 ? disabled_ : LOCK_ERROR_DAEMON_GONE);
}

int Client::error_of(CallError error) const {
  switch (error) {
    case CallError::invalid:
      return LOCK_ERROR_INVALID;
    case CallError::limit:
      return LOCK_ERROR_LIMIT;
    case CallError::not_held:
      return LOCK_ERROR_NOT_HELD;
    case CallError::not_found:
      return LOCK_ERROR_NOT_FOUND;
    case CallError::lost:
      return LOCK_ERROR_LOST;
    case CallError::in_progress:
      return LOCK_ERROR_IN_PROGRESS;
    case CallError::disabled:
      break;
  }
  return disabled_;
}

// What stands in the way of an answer.
int Client::unavailable() const {
  if (disabled_ != 0) return disabled_;
  return machine_.heard() && !machine_.primary() ? LOCK_ERROR_NOT_QUORATE : LOCK_ERROR_DAEMON_GONE;
}

}  // namespace liblock
