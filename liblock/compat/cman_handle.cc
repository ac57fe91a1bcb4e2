#include "liblock/compat/cman_handle.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>
#include <exception>
#include <new>
#include <utility>
#include <vector>

#include "liblock/compat/libcman.h"
#include "liblock/compat/quiet_thread.h"

namespace compat {
namespace {

constexpr const char* kLockspace = "cman";
constexpr unsigned kNodesMax = 4096;

// Without a daemon or a quorum for so long, we are no member of the cluster.
constexpr std::chrono::seconds kPatience(10);

// For the answer to a withdrawal.
constexpr std::chrono::seconds kAnswerMax(5);

// The time-out that all are told comes first, where it is the same for all.
constexpr std::chrono::seconds kOwnTimeoutLate(1);

base::Duration now() {
  timespec at{};
  clock_gettime(CLOCK_BOOTTIME, &at);
  return std::chrono::seconds(at.tv_sec) + std::chrono::nanoseconds(at.tv_nsec);
}

int errno_of(int error) {
  switch (error) {
    case 0:
      return 0;
    case LOCK_ERROR_NO_DAEMON:
      return ECONNREFUSED;
    case LOCK_ERROR_PERMISSION:
      return EACCES;
    case LOCK_ERROR_LIMIT:
    case LOCK_ERROR_SYSTEM:
      return ENOMEM;
    case LOCK_ERROR_INVALID:
    case LOCK_ERROR_DIFFERENT:
    case LOCK_ERROR_FORKED:
      return EINVAL;
    default:
      return ENOTCONN;
  }
}

int errno_of(lock_barrier_ending ending) {
  switch (ending) {
    case LOCK_BARRIER_RELEASED:
      return 0;
    case LOCK_BARRIER_DIED:
      return ESRCH;
    case LOCK_BARRIER_TIMED_OUT:
      return ETIMEDOUT;
    case LOCK_BARRIER_CANCELLED:
    case LOCK_BARRIER_DELETED:
      break;
  }
  return ECONNRESET;
}

std::set<std::uint32_t> nodes_of(const lock_lockspace_member* from, std::size_t count) {
  std::set<std::uint32_t> nodes;
  for (std::size_t i = 0; i < count; ++i) nodes.insert(from[i].node);
  return nodes;
}

// What follows a join is told as a change of members.
void ignore(lock_client*, int, const lock_grant*, void*) {}

}  // namespace

CmanHandle::Event::Event() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0) throw std::bad_alloc();
}

CmanHandle::Event::~Event() {
  ::close(fd_);
}

void CmanHandle::Event::raise() const {
  const std::uint64_t one = 1;
  (void)!write(fd_, &one, sizeof one);
}

void CmanHandle::Event::lower() const {
  std::uint64_t count = 0;
  (void)!read(fd_, &count, sizeof count);
}

// ---- The handle ----

std::unique_ptr<CmanHandle> CmanHandle::open() {
  lock_client* client = nullptr;
  int error = lock_connect(nullptr, &client);
  if (error != 0) {
    errno = errno_of(error);
    return nullptr;
  }
  std::unique_ptr<lock_client, decltype(&lock_close)> connected(client, &lock_close);
  std::unique_ptr<CmanHandle> handle(new CmanHandle(client));
  connected.release();
  lock_on_lockspace(client, &CmanHandle::on_members, handle.get());
  error = lock_join_lockspace(client, kLockspace, LOCK_JOIN_CREATE, 0);
  if (error != 0) {
    handle.reset();
    errno = errno_of(error);
    return nullptr;
  }
  handle->server_ = quiet_thread([self = handle.get()] { self->serve(); });
  return handle;
}

CmanHandle::CmanHandle(lock_client* client) : client_(client) {}

CmanHandle::~CmanHandle() {
  {
    Guard guard(mutex_);
    std::vector<BarrierPtr> waiting;
    for (const auto& [arrival, barrier] : arrivals_) waiting.push_back(barrier);
    for (const BarrierPtr& one : waiting) withdraw(*one, ECONNRESET);
    const base::Duration until = now() + kAnswerMax;
    for (const BarrierPtr& one : waiting) wait_for_end(guard, *one, until);
    closing_ = true;
  }
  wake_.raise();
  if (server_.joinable()) server_.join();
  lock_close(client_);
}

// ---- The calls ----

int CmanHandle::enter(const std::string& name, int flags, int nodes) {
  constexpr int kFlags = BARRIER_ATTR_AUTODELETE | BARRIER_ATTR_MANUAL | BARRIER_ATTR_ENABLED;
  const bool fits = !name.empty() && name.size() < MAX_BARRIER_NAME_LEN;
  if (!fits || (flags & ~kFlags) != 0 || nodes < 0 || unsigned(nodes) > kNodesMax) return EINVAL;
  const Guard guard(mutex_);
  const BarrierPtr found = find(name);
  const bool used_up = found && found->ended && found->auto_delete;
  if (found && !used_up) return found->nodes == unsigned(nodes) ? 0 : EINVAL;
  const auto barrier = std::make_shared<Barrier>();
  barrier->name = name;
  barrier->nodes = static_cast<unsigned>(nodes);
  barrier->auto_delete = (flags & BARRIER_ATTR_AUTODELETE) != 0;
  barriers_[name] = barrier;
  return 0;
}

int CmanHandle::change(const std::string& name, int attribute, int arg) {
  const Guard guard(mutex_);
  const BarrierPtr barrier = find(name);
  if (!barrier) return ENOENT;
  if (barrier->ended) return 0;
  switch (attribute) {
    case BARRIER_SETATTR_AUTODELETE:
      barrier->auto_delete = arg != 0;
      return 0;
    case BARRIER_SETATTR_ENABLED:
      return arg == 1 ? enable(barrier) : EINVAL;
    case BARRIER_SETATTR_NODES:
      if (barrier->enabled || arg < 0 || unsigned(arg) > kNodesMax) return EINVAL;
      barrier->nodes = static_cast<unsigned>(arg);
      return 0;
    case BARRIER_SETATTR_TIMEOUT:
      if (barrier->enabled || arg < 0 || unsigned(arg) > UINT_MAX / 1000) return EINVAL;
      barrier->timeout_s = static_cast<unsigned>(arg);
      return 0;
    default:
      return EINVAL;
  }
}

int CmanHandle::wait(const std::string& name) {
  Guard guard(mutex_);
  const BarrierPtr barrier = find(name);
  if (!barrier) return ENOENT;
  if (const int error = barrier->ended ? 0 : enable(barrier)) return error;
  while (!barrier->ended) {
    guard.unlock();
    pollfd over{barrier->over.fd(), POLLIN, 0};
    const bool interrupted = poll(&over, 1, -1) < 0 && errno == EINTR;
    guard.lock();
    if (interrupted && !barrier->ended) return EINTR;
  }
  if (barrier->auto_delete && find(name) == barrier) barriers_.erase(name);
  return *barrier->ended;
}

// Until the order has said whether the arrival counts, the name can not be used anew.
int CmanHandle::remove(const std::string& name) {
  Guard guard(mutex_);
  const BarrierPtr barrier = find(name);
  if (!barrier) return ENOENT;
  barriers_.erase(name);
  if (!barrier->enabled) {
    end(*barrier, ECONNRESET);
    return 0;
  }
  withdraw(*barrier, ECONNRESET);
  wait_for_end(guard, *barrier, now() + kAnswerMax);
  if (!barrier->ended) end(*barrier, ECONNRESET);
  return 0;
}

// ---- Barriers ----

CmanHandle::BarrierPtr CmanHandle::find(const std::string& name) const {
  const auto found = barriers_.find(name);
  return found == barriers_.end() ? nullptr : found->second;
}

int CmanHandle::enable(const BarrierPtr& barrier) {
  if (barrier->enabled) return 0;
  lock_barrier about{};
  about.size = sizeof about;
  about.lockspace = kLockspace;
  about.name = barrier->name.data();
  about.name_len = barrier->name.size();
  about.parties = barrier->nodes;
  about.unit = LOCK_BARRIER_NODES;
  about.on_death = barrier->nodes == 0 ? LOCK_BARRIER_SHRINK : LOCK_BARRIER_BREAK;
  about.patience_ms = barrier->timeout_s * 1000;
  // The thread can not tell the end before we let go of the mutex.
  const int error = lock_barrier_wait_async(client_, &about, nullptr, 0, &CmanHandle::on_end, this,
                                            &barrier->arrival);
  if (error != 0) return errno_of(error);
  arrivals_[barrier->arrival] = barrier;
  barrier->enabled = true;
  if (barrier->timeout_s > 0) {
    barrier->give_up = now() + std::chrono::seconds(barrier->timeout_s) + kOwnTimeoutLate;
  }
  wake_.raise();
  return 0;
}

void CmanHandle::withdraw(Barrier& barrier, int reason) {
  if (barrier.ended || barrier.withdrawn_for) return;
  barrier.withdrawn_for = reason;
  lock_barrier_withdraw(client_, barrier.arrival);
  wake_.raise();
}

void CmanHandle::end(Barrier& barrier, int reason) {
  if (barrier.ended) return;
  barrier.ended = reason;
  barrier.over.raise();
}

void CmanHandle::wait_for_end(Guard& guard, const Barrier& barrier, base::Duration until) {
  while (!barrier.ended && now() < until) {
    guard.unlock();
    pollfd over{barrier.over.fd(), POLLIN, 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now());
    poll(&over, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    guard.lock();
  }
}

// ---- The thread ----

void CmanHandle::serve() {
  for (;;) {
    int timeout = -1;
    {
      const Guard guard(mutex_);
      if (closing_) return;
      watch_clocks();
      timeout = sleep_ms();
    }
    const int due = lock_timeout_ms(client_);
    if (due >= 0) timeout = timeout < 0 ? due : std::min(timeout, due);
    pollfd news[2] = {{lock_fd(client_), POLLIN, 0}, {wake_.fd(), POLLIN, 0}};
    poll(news, 2, timeout);
    wake_.lower();
    // Of what can not be repaired, watch_clocks() tells those who wait.
    lock_dispatch(client_);
  }
}

void CmanHandle::watch_clocks() {
  if (lock_state(client_) == LOCK_STATE_READY) {
    unavailable_since_.reset();
  } else if (!unavailable_since_) {
    unavailable_since_ = now();
  }
  const bool gone = unavailable_since_ && now() >= *unavailable_since_ + kPatience;
  for (const auto& [arrival, barrier] : arrivals_) {
    if (gone) {
      withdraw(*barrier, ENOTCONN);
      end(*barrier, ENOTCONN);
    } else if (barrier->give_up && now() >= *barrier->give_up) {
      withdraw(*barrier, ETIMEDOUT);
    }
  }
}

// Until watch_clocks() has something to do; -1: it has not.
int CmanHandle::sleep_ms() const {
  std::optional<base::Duration> next;
  const auto note = [&](base::Duration at) { next = next ? std::min(*next, at) : at; };
  for (const auto& [arrival, barrier] : arrivals_) {
    if (barrier->ended || barrier->withdrawn_for) continue;
    if (unavailable_since_) note(*unavailable_since_ + kPatience);
    if (barrier->give_up) note(*barrier->give_up);
  }
  if (!next) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3600 * 1000));
}

void CmanHandle::on_end(lock_client*, std::uint64_t arrival, int error,
                        const lock_barrier_outcome* outcome, void* self_of) {
  auto& self = *static_cast<CmanHandle*>(self_of);
  const Guard guard(self.mutex_);
  const auto found = self.arrivals_.find(arrival);
  if (found == self.arrivals_.end()) return;
  const BarrierPtr barrier = std::move(found->second);
  self.arrivals_.erase(found);
  if (outcome != nullptr) {
    self.end(*barrier, errno_of(outcome->ending));
  } else if (error == LOCK_ERROR_CANCELLED) {
    self.end(*barrier, barrier->withdrawn_for.value_or(ECONNRESET));
  } else {
    self.end(*barrier, errno_of(error));
  }
}

// A session outlives its lockd, the node's membership does not: then the node joins again.
void CmanHandle::join_if_not(lock_client* client, const Nodes& members) {
  lock_status_info status{};
  status.size = sizeof status;
  if (lock_status(client, &status) != 0 || members.count(status.node) > 0) return;
  lock_join_lockspace_async(client, kLockspace, LOCK_JOIN_CREATE, 0, &ignore, nullptr);
}

// A barrier breaks by itself if who has arrived dies. Of a number of nodes, a node that will never
// arrive is news, too.
void CmanHandle::on_members(lock_client* client, const lock_lockspace_info* info, void* self_of) {
  auto& self = *static_cast<CmanHandle*>(self_of);
  if (info->error != 0) return;
  const Nodes members = nodes_of(info->members, info->members_len);
  join_if_not(client, members);
  const Guard guard(self.mutex_);
  const Nodes failed = nodes_of(info->failed, info->failed_len);
  const bool gone = std::any_of(self.members_.begin(), self.members_.end(),
                                [&](std::uint32_t node) { return members.count(node) == 0; }) ||
                    std::any_of(failed.begin(), failed.end(),
                                [&](std::uint32_t node) { return self.failed_.count(node) == 0; });
  if (gone) {
    for (const auto& [arrival, barrier] : self.arrivals_) {
      if (barrier->nodes != 0) self.withdraw(*barrier, ESRCH);
    }
  }
  self.members_ = members;
  self.failed_ = failed;
}

}  // namespace compat
