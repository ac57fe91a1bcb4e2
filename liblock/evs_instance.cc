#include "liblock/evs_instance.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "liblock/clocks.h"
#include "liblock/error.h"

namespace liblock {
namespace {

// Pieces of one turn: what is left shows at the next poll.
constexpr int kReadsMax = 8;

std::vector<lock_evs_processor> processors_of(const std::vector<base::Processor>& from) {
  std::vector<lock_evs_processor> all;
  for (const base::Processor& one : from) {
    all.push_back({base::value(one.node), base::value(one.incarnation)});
  }
  return all;
}

lock_evs_ring ring_of(const base::RingId& from) {
  return {from.sequence, base::value(from.representative), from.nonce};
}

}  // namespace

EvsInstance::Told::Told(protocol::EvsConfiguration configuration)
    : from(std::move(configuration)),
      members(processors_of(from.members)),
      left(processors_of(from.left)),
      joined(processors_of(from.joined)) {}

lock_evs_configuration EvsInstance::Told::view() const {
  lock_evs_configuration view{};
  view.transitional = from.kind == protocol::EvsKind::transitional;
  view.ring = ring_of(from.ring);
  view.members = members.data();
  view.members_len = members.size();
  view.left = left.data();
  view.left_len = left.size();
  view.joined = joined.data();
  view.joined_len = joined.size();
  return view;
}

EvsInstance::EvsInstance(lock_evs* handle, EvsOptions options, const protocol::Instance& instance)
    : handle_(handle), options_(std::move(options)), machine_(instance, options_.command) {}

bool EvsInstance::forked() const {
  return !owner_.asks();
}

// ---- Turning the machine ----

// As in Client::wait(): one thread polls for all, whoever finds nobody polling.
template <typename Done>
bool EvsInstance::wait(Lock& lock, std::optional<base::Duration> until, Done done) {
  transmit();  // What we are to wait for has to be asked, and what is left of it be waited for.
  if (polling_) link_.wake();
  for (;;) {
    if (!polling_) {
      transmit();
      read_all();
    }
    if (done()) return true;
    const base::Instant now = read_clocks();
    if (until && now.boot >= *until) return false;
    if (polling_) {
      if (until) {
        polled_.wait_for(lock, *until - now.boot);
      } else {
        polled_.wait(lock);
      }
      continue;
    }
    const Link::Awaited awaited = link_.awaited();
    polling_ = true;
    lock.unlock();
    Link::wait(awaited,
               until ? std::max(*until - now.boot, base::Duration::zero()) : base::Duration(-1));
    lock.lock();
    polling_ = false;
    polled_.notify_all();
  }
}

void EvsInstance::read_all() {
  for (int i = 0; i < kReadsMax && link_.connected() && !machine_.end(); ++i) {
    const std::optional<base::Bytes> bytes = link_.read();
    if (!bytes) {
      machine_.handle_disconnected();
    } else if (!bytes->empty()) {
      machine_.handle_bytes(*bytes);
    }
    if (!bytes || bytes->size() < Link::kReadBytes) break;
  }
  if (machine_.end()) link_.disconnect();
  link_.notify(machine_.has_event() || machine_.end().has_value());
  // A thread that polls meanwhile waits for what was there before.
  polled_.notify_all();
  if (polling_) link_.wake();
}

void EvsInstance::transmit() {
  link_.write(machine_.poll_transmit());
}

int EvsInstance::error_of(EvsError error) const {
  switch (error) {
    case EvsError::invalid:
      return LOCK_ERROR_INVALID;
    case EvsError::limit:
      return LOCK_ERROR_LIMIT;
    case EvsError::not_joined:
      return LOCK_ERROR_NOT_JOINED;
    case EvsError::try_again:
      return LOCK_ERROR_TRY_AGAIN;
    case EvsError::ended:
      break;
  }
  return error_of_end();
}

int EvsInstance::error_of_end() const {
  if (!machine_.end()) return 0;
  switch (machine_.end()->why) {
    case EvsEnd::Why::disconnected:
      return LOCK_ERROR_DAEMON_GONE;
    case EvsEnd::Why::refused:
      return error_of_refusal(machine_.end()->refusal);
    case EvsEnd::Why::not_dispatched:
      return LOCK_ERROR_TOO_SLOW;
    case EvsEnd::Why::not_understood:
      break;
  }
  return LOCK_ERROR_PROTOCOL;
}

// ---- Calls ----

int EvsInstance::open() {
  Lock lock(mutex_);
  if (!link_.create()) return LOCK_ERROR_SYSTEM;
  const base::Duration until = read_clocks().boot + options_.answer_timeout;
  auto connected = link_.connect(options_.socket_paths);
  // A full backlog is a busy daemon, not an absent one.
  while (!connected && connected.error() == EAGAIN && read_clocks().boot < until) {
    Link::wait(link_.awaited(), std::chrono::milliseconds(10));
    connected = link_.connect(options_.socket_paths);
  }
  if (!connected) return error_of_connect(connected.error());
  machine_.handle_connected(read_clocks());
  const bool answered =
      wait(lock, until, [this] { return machine_.open() || machine_.end().has_value(); });
  if (!answered) return LOCK_ERROR_DAEMON_GONE;
  if (!machine_.open()) return error_of_end();
  told_ = Told(std::get<protocol::EvsConfiguration>(machine_.next_event()));
  return 0;
}

void EvsInstance::close() {
  if (!forked()) {
    Lock lock(mutex_);
    transmit();
  }
  link_ = Link();
}

int EvsInstance::dispatch(unsigned max) {
  Lock lock(mutex_);
  // Of another thread, or of the callback that called us.
  if (dispatching_) return 0;
  if (link_.connected()) {
    transmit();
    if (machine_.wants_bytes()) read_all();
  }
  struct Dispatching {
    Dispatching(EvsInstance& of, Lock& lock) : instance(of), held(lock) {
      instance.dispatching_ = true;
    }
    ~Dispatching() {
      if (!held.owns_lock()) held.lock();
      instance.dispatching_ = false;
      const bool more = instance.machine_.has_event() || instance.machine_.end().has_value();
      instance.link_.notify(more);
    }
    EvsInstance& instance;
    Lock& held;
  } dispatching(*this, lock);
  // What callbacks make come waits for the next time, or one might never return.
  const std::size_t there = machine_.events();
  const std::size_t wanted = max == 0 ? there : std::min<std::size_t>(there, max);
  int count = 0;
  while (machine_.has_event() && static_cast<std::size_t>(count) < wanted) {
    call(lock, machine_.take_event());
    ++count;
  }
  return count > 0 || machine_.has_event() ? count : error_of_end();
}

// Without holding anything, so that a callback may call what it likes.
void EvsInstance::call(Lock& lock, EvsEvent event) {
  if (auto* configuration = std::get_if<protocol::EvsConfiguration>(&event)) {
    told_ = Told(std::move(*configuration));
    const lock_evs_configuration view = told_.view();
    lock.unlock();
    if (options_.configuration != nullptr) options_.configuration(handle_, &view, options_.arg);
  } else if (const auto* kept = std::get_if<KeptDelivery>(&event)) {
    const protocol::EvsDeliveryView* const delivery = &kept->view();
    lock.unlock();
    static_assert(sizeof(lock_evs_group) == sizeof(base::GroupKey));
    lock_evs_delivery view{};
    view.sender = {base::value(delivery->sender.node), base::value(delivery->sender.incarnation)};
    view.ring = ring_of(delivery->ring);
    view.sequence = delivery->sequence;
    view.index = delivery->index;
    view.guarantee = static_cast<lock_evs_guarantee>(delivery->guarantee);
    view.groups = reinterpret_cast<const lock_evs_group*>(delivery->groups.data());
    view.groups_len = delivery->groups.size();
    view.message = delivery->payload.data();
    view.message_len = delivery->payload.size();
    if (options_.deliver != nullptr) options_.deliver(handle_, &view, options_.arg);
  } else {
    lock.unlock();
    if (options_.writable != nullptr) options_.writable(handle_, options_.arg);
  }
  lock.lock();
}

int EvsInstance::ask(Lock& lock, const base::Result<std::uint32_t, EvsError>& query) {
  if (!query) return error_of(query.error());
  const base::Duration until = read_clocks().boot + options_.answer_timeout;
  const bool done =
      wait(lock, until, [&] { return machine_.answered(*query) || machine_.end().has_value(); });
  if (machine_.answered(*query)) return 0;
  return done ? error_of_end() : LOCK_ERROR_DAEMON_GONE;
}

int EvsInstance::join(std::span<const base::GroupKey> groups) {
  Lock lock(mutex_);
  return ask(lock, machine_.join(groups));
}

int EvsInstance::leave(std::span<const base::GroupKey> groups) {
  Lock lock(mutex_);
  return ask(lock, machine_.leave(groups));
}

// `give` hands a message to the machine.
template <typename Give>
int EvsInstance::send(Give give) {
  Lock lock(mutex_);
  base::Result<void, EvsError> result = give();
  // The credit may have come already, behind events that are not too many.
  if (!result && result.error() == EvsError::try_again && machine_.wants_bytes()) {
    read_all();
    result = give();
  }
  if (!result) return error_of(result.error());
  transmit();
  if (polling_) link_.wake();
  return 0;
}

int EvsInstance::multicast(protocol::Guarantee guarantee, std::span<const base::GroupKey> groups,
                           base::Bytes payload) {
  return send([&] { return machine_.multicast(guarantee, groups, payload); });
}

int EvsInstance::multicast_joined(protocol::Guarantee guarantee, base::Bytes payload) {
  return send([&] { return machine_.multicast_joined(guarantee, payload); });
}

int EvsInstance::flush(std::optional<base::Duration> timeout) {
  Lock lock(mutex_);
  std::optional<base::Duration> until;
  if (timeout) until = read_clocks().boot + *timeout;
  const bool done = wait(lock, until, [this] {
    return machine_.all_taken() || machine_.end().has_value() || !machine_.wants_bytes();
  });
  if (machine_.all_taken()) return 0;
  if (machine_.end()) return error_of_end();
  return done ? LOCK_ERROR_TRY_AGAIN : LOCK_ERROR_TIMEOUT;
}

base::Processor EvsInstance::self() {
  Lock lock(mutex_);
  return machine_.self();
}

lock_evs_configuration EvsInstance::configuration() {
  Lock lock(mutex_);
  return told_.view();
}

std::string EvsInstance::advice() {
  Lock lock(mutex_);
  return machine_.end() ? machine_.end()->advice : std::string();
}

}  // namespace liblock
