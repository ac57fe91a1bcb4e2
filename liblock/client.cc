#include "liblock/client.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "liblock/clocks.h"
#include "liblock/error.h"

namespace liblock {
namespace {

// What a cancellation may take before we give the caller his time back and let the machine finish
// it.
constexpr Duration kCancelPatience = std::chrono::seconds(1);

// Pieces of one turn: what is left shows at the next poll.
constexpr int kReadsMax = 8;

ClientConfig machine_config(const ClientOptions& options, const protocol::Instance& instance) {
  ClientConfig config;
  config.instance = instance;
  config.command = options.command;
  config.query_only = options.query_only;
  return config;
}

std::optional<Duration> after(std::optional<Duration> timeout) {
  if (!timeout) return std::nullopt;
  return read_clocks().boot + *timeout;
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
template <typename Done>
bool Client::wait(Lock& lock, std::optional<Duration> until, Done done) {
  finish_turn();  // What we are to wait for has to be asked.
  for (;;) {
    if (!polling_) work();
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
  finish_turn();
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

// Sends what the machine wants to send, and tells what it has to tell. A thread that polls
// meanwhile is woken if anything happened: it waits for what was there before.
void Client::finish_turn() {
  bool happened = false;
  while (auto bytes = machine_.poll_transmit()) {
    link_.write(*bytes);
    happened = true;
  }
  while (auto event = machine_.poll_event()) {
    std::visit([this](const auto& what) { on(what); }, *event);
    happened = true;
  }
  link_.notify(anything_due());
  if (!happened) return;
  polled_.notify_all();
  if (polling_) link_.wake();
}

// ---- What the machine tells ----

// A grant that its owner has not been told of is not lost to him: it was never granted.
void Client::on(const GrantLost& lost) {
  const lock_grant grant{base::value(lost.request), base::value(lost.token)};
  for (Due& due : due_) {
    if (due.has_grant && due.error == 0 && due.grant.id == grant.id) {
      due.error = LOCK_ERROR_LOST;
      due.has_grant = false;
      return;
    }
  }
  if (waiters_.count(grant.id) != 0) return;  // A thread that has not returned yet: it checks.
  if (lost_callback_ != nullptr) due_losses_.push_back({nullptr, nullptr, 0, true, grant});
}

// Only the last of several is news.
void Client::on_jeopardy_news(bool jeopardy) {
  if (jeopardy_callback_ != nullptr) due_jeopardy_ = jeopardy;
}

void Client::on(const SessionLost&) {
  if (lost_callback_ != nullptr) due_losses_.push_back({});
}

void Client::on(const Granted& granted) {
  const lock_grant grant{base::value(granted.request), base::value(granted.token)};
  complete(grant.id, 0, grant);
}

void Client::on(const Failed& failed) {
  int error = LOCK_ERROR_PROTOCOL;
  switch (failed.failure) {
    case Failure::busy:
      error = LOCK_ERROR_BUSY;
      break;
    case Failure::cancelled:
      error = LOCK_ERROR_CANCELLED;
      break;
    case Failure::not_quorate:
      error = LOCK_ERROR_NOT_QUORATE;
      break;
    case Failure::lost:
      error = LOCK_ERROR_LOST;
      break;
    case Failure::limit:
      error = LOCK_ERROR_LIMIT;
      break;
    case Failure::invalid:
      error = LOCK_ERROR_INVALID;
      break;
    case Failure::disabled:
      error = disabled_;
      break;
  }
  if (!failed.advice.empty()) advice_ = failed.advice;
  complete(base::value(failed.request), error, {});
}

void Client::on(const Released& released) {
  complete(base::value(released.request), released.in_time ? 0 : LOCK_ERROR_LOST, {});
}

void Client::on(const QueryAnswered& answered) {
  const auto found = answers_.find(answered.query);
  if (found != answers_.end()) found->second = answered.answer;
}

void Client::on(const Refused& refused) {
  refused_ = error_of_refusal(refused.refusal);
  advice_ = refused.advice;
}

void Client::on(const Disabled& disabled) {
  refused_ = disabled_ = error_of_refusal(disabled.refusal);
  advice_ = disabled.advice;
}

void Client::complete(std::uint64_t id, int error, const lock_grant& grant) {
  const auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  Waiter& waiter = found->second;
  if (waiter.thread) {
    waiter.done = true;
    waiter.error = error;
    waiter.grant = grant;
    return;
  }
  if (waiter.callback != nullptr) {
    due_.push_back({waiter.callback, waiter.arg, error, grant.id != 0, grant});
  }
  waiters_.erase(found);
}

// ---- Calls ----

int Client::connect() {
  Lock lock(mutex_);
  if (!link_.create()) return LOCK_ERROR_SYSTEM;
  bool refused_connection = false;
  const bool done = wait(lock, after(options_.answer_timeout), [&] {
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

int Client::dispatch() {
  std::deque<Due> losses;
  std::deque<Due> others;
  lock_lost_fn* lost_callback = nullptr;
  void* lost_arg = nullptr;
  std::optional<bool> jeopardy;
  lock_jeopardy_fn* jeopardy_callback = nullptr;
  void* jeopardy_arg = nullptr;
  {
    Lock lock(mutex_);
    work();
    jeopardy = std::exchange(due_jeopardy_, std::nullopt);
    jeopardy_callback = jeopardy_callback_;
    jeopardy_arg = jeopardy_arg_;
    losses.swap(due_losses_);
    others.swap(due_);
    lost_callback = lost_callback_;
    lost_arg = lost_arg_;
    link_.notify(false);
  }
  for (const Due& due : losses) {
    if (lost_callback != nullptr) {
      lost_callback(handle_, due.has_grant ? &due.grant : nullptr, lost_arg);
    }
  }
  if (jeopardy && jeopardy_callback != nullptr) {
    jeopardy_callback(handle_, *jeopardy ? 1 : 0, jeopardy_arg);
  }
  for (const Due& due : others) {
    due.callback(handle_, due.error, due.has_grant ? &due.grant : nullptr, due.arg);
  }
  Lock lock(mutex_);
  return disabled_;
}

int Client::acquire(std::string_view lockspace, std::string_view name, protocol::Mode mode,
                    std::optional<Duration> timeout, lock_grant& grant) {
  if (timeout == Duration::zero()) return try_acquire(lockspace, name, mode, grant);
  Lock lock(mutex_);
  const auto until = after(timeout);
  const auto request = machine_.acquire(read_clocks(), lockspace, name, mode, false);
  if (!request) return error_of(request.error());
  return wait_for_acquire(lock, *request, until, LOCK_ERROR_TIMEOUT, grant);
}

int Client::try_acquire(std::string_view lockspace, std::string_view name, protocol::Mode mode,
                        lock_grant& grant) {
  Lock lock(mutex_);
  const auto until = after(options_.answer_timeout);
  const auto request = machine_.acquire(read_clocks(), lockspace, name, mode, true);
  if (!request) return error_of(request.error());
  return wait_for_acquire(lock, *request, until, LOCK_ERROR_DAEMON_GONE, grant);
}

// `late`: the error if the time is over although locks can be granted.
int Client::wait_for_acquire(Lock& lock, RequestId request, std::optional<Duration> until, int late,
                             lock_grant& grant) {
  const std::uint64_t id = base::value(request);
  waiters_[id].thread = true;
  const bool in_time = wait(lock, until, [&] { return waiters_[id].done; });
  int error = late;
  if (!in_time) {
    if (machine_.primary()) {
      withdraw(lock, request);
    } else {
      error = unavailable();
    }
  }
  const Waiter waiter = waiters_[id];
  if (!waiter.done) {
    machine_.forget(read_clocks(), request);
  } else if (in_time || waiter.error != LOCK_ERROR_CANCELLED) {
    error = recheck(waiter, grant);
  }
  finish_turn();
  waiters_.erase(id);
  return error;
}

// The outcome is what was ordered first, the grant or the cancellation.
void Client::withdraw(Lock& lock, RequestId request) {
  (void)machine_.cancel(read_clocks(), request);
  wait(lock, read_clocks().boot + kCancelPatience,
       [&] { return waiters_[base::value(request)].done || !machine_.primary(); });
}

// Between the grant and the return of the call the lease may have ended, and then it was no grant.
int Client::recheck(const Waiter& waiter, lock_grant& grant) {
  if (waiter.error != 0) return waiter.error;
  const RequestId request{waiter.grant.id};
  const Instant now = read_clocks();
  if (machine_.valid_for(now, request) == Duration::zero()) {
    machine_.forget(now, request);
    return LOCK_ERROR_LOST;
  }
  grant = waiter.grant;
  return 0;
}

int Client::release(const lock_grant& grant) {
  Lock lock(mutex_);
  const RequestId request{grant.id};
  const auto released = machine_.release(read_clocks(), request);
  if (!released) return error_of(released.error());
  waiters_[grant.id] = Waiter{};
  waiters_[grant.id].thread = true;
  wait(lock, after(options_.answer_timeout), [&] { return waiters_[grant.id].done; });
  const Waiter waiter = waiters_[grant.id];
  waiters_.erase(grant.id);
  if (waiter.done) return waiter.error;
  machine_.forget(read_clocks(), request);
  return unavailable();
}

int Client::acquire_async(std::string_view lockspace, std::string_view name, protocol::Mode mode,
                          bool no_queue, lock_done_fn* callback, void* arg,
                          std::uint64_t* request) {
  Lock lock(mutex_);
  const auto asked = machine_.acquire(read_clocks(), lockspace, name, mode, no_queue);
  if (!asked) return error_of(asked.error());
  Waiter& waiter = waiters_[base::value(*asked)];
  waiter.callback = callback;
  waiter.arg = arg;
  if (request != nullptr) *request = base::value(*asked);
  finish_turn();
  return 0;
}

int Client::cancel(std::uint64_t request) {
  Lock lock(mutex_);
  const auto cancelled = machine_.cancel(read_clocks(), RequestId{request});
  if (!cancelled) return error_of(cancelled.error());
  finish_turn();
  return 0;
}

int Client::release_async(const lock_grant& grant, lock_done_fn* callback, void* arg) {
  Lock lock(mutex_);
  const auto released = machine_.release(read_clocks(), RequestId{grant.id});
  if (!released) return error_of(released.error());
  Waiter& waiter = waiters_[grant.id];
  waiter.callback = callback;
  waiter.arg = arg;
  finish_turn();
  return 0;
}

void Client::on_lost(lock_lost_fn* callback, void* arg) {
  Lock lock(mutex_);
  lost_callback_ = callback;
  lost_arg_ = arg;
}

void Client::on_jeopardy(lock_jeopardy_fn* callback, void* arg) {
  Lock lock(mutex_);
  jeopardy_callback_ = callback;
  jeopardy_arg_ = arg;
}

bool Client::anything_due() const {
  return !due_.empty() || !due_losses_.empty() || due_jeopardy_.has_value();
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
  if (anything_due()) return Duration::zero();
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

base::Result<protocol::Response, int> Client::query(protocol::Request question) {
  Lock lock(mutex_);
  const auto asked = machine_.query(read_clocks(), std::move(question));
  if (!asked) return base::error(error_of(asked.error()));
  const std::uint32_t id = *asked;
  answers_[id];
  wait(lock, after(options_.answer_timeout),
       [&] { return answers_[id].has_value() || disabled_ != 0; });
  const std::optional<protocol::Response> answer = std::move(answers_[id]);
  answers_.erase(id);
  if (answer) return *answer;
  machine_.forget_query(id);
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
    case CallError::lost:
      return LOCK_ERROR_LOST;
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
