#include "liblock/compat/dlm_handle.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>
#include <utility>

#include "liblock/compat/dlm_status.h"
#include "liblock/compat/quiet_thread.h"

namespace compat {
namespace {

// What giving back, and leaving, may wait for the daemon.
constexpr std::chrono::seconds kPatience(5);

base::Duration now() {
  timespec at{};
  clock_gettime(CLOCK_MONOTONIC, &at);
  return std::chrono::seconds(at.tv_sec) + std::chrono::nanoseconds(at.tv_nsec);
}

void raise(int event) {
  const std::uint64_t one = 1;
  (void)!write(event, &one, sizeof one);
}

void lower(int event) {
  std::uint64_t count = 0;
  (void)!read(event, &count, sizeof count);
}

}  // namespace

int connect_to_daemon(bool query_only, lock_client** client) {
  lock_options options{};
  options.size = sizeof options;
  options.query_only = query_only ? 1 : 0;
  for (;;) {
    const int error = lock_connect(&options, client);
    // A lockspace is joined when there is a quorum, however long that takes.
    if (query_only || (error != LOCK_ERROR_NOT_QUORATE && error != LOCK_ERROR_DAEMON_GONE)) {
      return error;
    }
  }
}

std::shared_ptr<Handle> Handle::open(const char* name, lock_join_kind kind, unsigned permissions) {
  lock_client* client = nullptr;
  int error = connect_to_daemon(false, &client);
  if (error == 0) {
    do {
      error = lock_join_lockspace(client, name, kind, permissions);
    } while (error == LOCK_ERROR_NOT_QUORATE || error == LOCK_ERROR_DAEMON_GONE);
  }
  const int ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (error != 0 || ready < 0 || wake < 0) {
    const int failure = error != 0 ? errno_of(error) : EMFILE;
    lock_close(client);
    if (ready >= 0) ::close(ready);
    if (wake >= 0) ::close(wake);
    errno = failure;
    return nullptr;
  }
  std::shared_ptr<Handle> handle(new Handle(name, client, ready, wake));
  lock_on_lost(client, &Handle::on_lost, handle.get());
  lock_on_lockspace(client, &Handle::on_lockspace, handle.get());
  handle->server_ = quiet_thread([self = handle.get()] { self->serve(); });
  return handle;
}

Handle::Handle(std::string name, lock_client* client, int ready, int wake)
    : name_(std::move(name)), client_(client), ready_(ready), wake_(wake) {}

Handle::~Handle() {
  close();
  ::close(ready_);
  ::close(wake_);
}

void Handle::close() {
  std::optional<std::thread> receiver;
  {
    const Guard guard(mutex_);
    if (std::exchange(closed_, true)) return;
    due_.clear();
    lower(ready_);
    receiver.swap(receiver_);
  }
  changed_.notify_all();
  raise(wake_);
  server_.join();
  if (receiver && receiver->get_id() == std::this_thread::get_id()) {
    receiver->detach();  // A callback closes its own handle; the thread ends when that returns.
  } else if (receiver) {
    receiver->join();
  }
  lock_close(client_);
}

// ---- The session's thread ----

// It does nothing but what keeps the session, and notes what is due for the program.
void Handle::serve() {
  serve_here();
  for (;;) {
    int timeout = 0;
    {
      const Guard guard(mutex_);
      if (closed_) return;
      timeout = lock_timeout_ms(client_);
      served_until_ =
          timeout < 0 ? base::Duration::max() : now() + std::chrono::milliseconds(timeout);
    }
    pollfd awaited[2] = {{lock_fd(client_), POLLIN, 0}, {wake_, POLLIN, 0}};
    poll(awaited, 2, timeout);
    lower(wake_);
    if (lock_dispatch(client_) != 0) {
      // The daemon refuses us for good, and whatever was asked has been answered by that.
      pollfd closing{wake_, POLLIN, 0};
      poll(&closing, 1, -1);
    }
  }
}

// After a request, with the mutex: the thread may have to wake sooner than it believed.
void Handle::asked() {
  const int timeout = lock_timeout_ms(client_);
  if (timeout >= 0 && now() + std::chrono::milliseconds(timeout) < served_until_) raise(wake_);
}

// A lockspace that is gone from this node, since its daemon was started anew, is joined again.
void Handle::on_lockspace(lock_client* client, const lock_lockspace_info* info, void*) {
  if (info->error != LOCK_ERROR_NOT_FOUND) return;
  lock_join_lockspace_async(
      client, info->lockspace, LOCK_JOIN_CREATE, 0,
      [](lock_client*, int, const lock_grant*, void*) {}, nullptr);
}

// ---- What is due for the program ----

void Handle::tell(Due due) {
  if (closed_) return;
  due_.push_back(std::move(due));
  if (due_.size() == 1) raise(ready_);
  changed_.notify_all();
}

void Handle::deliver_one(Guard& guard) {
  Due due = std::move(due_.front());
  due_.pop_front();
  if (due_.empty()) lower(ready_);
  if (due.blocks) {
    // What was asked of the lock since makes it old.
    const auto found = locks_.find(due.lkid);
    if (found == locks_.end() || found->second.operations != due.operations) return;
  } else if (due.lksb != nullptr) {
    if (due.value && due.lksb->sb_lvbptr != nullptr) {
      std::memcpy(due.lksb->sb_lvbptr, due.value->data(), due.value->size());
    }
    due.lksb->sb_flags = static_cast<char>(due.notes);
    due.lksb->sb_status = due.status;
  }
  for (Waiter* waiter : due.waiters) {
    waiter->status = due.status;
    waiter->done = true;
  }
  if (!due.waiters.empty()) changed_.notify_all();
  if (due.function == nullptr) return;
  guard.unlock();
  due.function(due.arg);
  guard.lock();
}

void Handle::dispatch() {
  Guard guard(mutex_);
  for (std::size_t left = due_.size(); left > 0 && !due_.empty(); --left) deliver_one(guard);
}

// Callbacks run in the receiving thread, if there is one; who waits within it has to run them, too.
bool Handle::runs_callbacks_here() const {
  return !receiver_ || receiver_->get_id() == std::this_thread::get_id();
}

int Handle::wait(Waiter& waiter) {
  const auto self = shared_from_this();
  Guard guard(mutex_);
  while (!waiter.done && !closed_) {
    if (runs_callbacks_here() && !due_.empty()) {
      deliver_one(guard);
    } else {
      changed_.wait(guard);
    }
  }
  return waiter.done ? 0 : ENOTCONN;
}

int Handle::start_thread() {
  const Guard guard(mutex_);
  if (receiver_) return EEXIST;
  receiver_.emplace([self = shared_from_this()] { self->receive(); });
  return 0;
}

void Handle::receive() {
  Guard guard(mutex_);
  while (!closed_) {
    if (due_.empty()) {
      changed_.wait(guard);
    } else {
      deliver_one(guard);
    }
  }
}

// ---- The end ----

void Handle::give_back() {
  Guard guard(mutex_);
  const auto gone = [](lock_client*, int, const lock_grant*, void* arg) {
    auto& self = *static_cast<Handle*>(arg);
    const Guard counted(self.mutex_);
    --self.giving_back_;
    self.changed_.notify_all();
  };
  for (auto& [lkid, lock] : locks_) {
    if ((lock.flags & LKF_PERSISTENT) != 0 && lock.state != State::waiting) continue;
    lock.unlocking = true;
    if (lock_release_with_async(client_, &lock.grant, LKF_FORCEUNLOCK | LKF_IVVALBLK, nullptr, gone,
                                this) == 0) {
      ++giving_back_;
    }
  }
  asked();
  changed_.wait_for(guard, kPatience, [this] { return giving_back_ == 0; });
}

int Handle::purge(int node, int pid) {
  if (node < 0 || pid < 0) return EINVAL;
  const auto wanted = static_cast<std::uint32_t>(node);
  if (pid == getpid()) {
    lock_status_info status{};
    status.size = sizeof status;
    if (const int error = node == 0 ? 0 : lock_status(client_, &status)) return errno_of(error);
    if (node == 0 || status.node == wanted) {
      const Guard guard(mutex_);
      for (const auto& [lkid, lock] : locks_) {
        lock_release_with_async(client_, &lock.grant, LKF_FORCEUNLOCK | LKF_IVVALBLK, nullptr,
                                nullptr, nullptr);
        for (Waiter* waiter : lock.waiters) *waiter = {true, EUNLOCK};
      }
      changed_.notify_all();
      locks_.clear();
      lkids_.clear();
      asked();
      return 0;
    }
  }
  const int error = lock_drop_orphans(client_, wanted, static_cast<std::uint32_t>(pid));
  return error == 0 ? 0 : errno_of(error);
}

}  // namespace compat
