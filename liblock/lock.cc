#include <liblock/lock.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "liblock/arguments.h"
#include "liblock/copy_text.h"
#include "liblock/defaults.h"
#include "liblock/handle.h"
#include "liblock/thread_number.h"

namespace {

using liblock::Duration;
using liblock::guarded;

// Of the last lock_connect() in this thread that failed: it leaves no client that could be asked.
thread_local std::string connect_advice;

int milliseconds_up(Duration time) {
  const auto whole =
      (time + std::chrono::milliseconds(1) - Duration(1)) / std::chrono::milliseconds(1);
  return static_cast<int>(std::min<std::int64_t>(whole, INT_MAX));
}

int connect(const lock_options* options, lock_client** client) {
  liblock::ClientOptions wanted;
  lock_options given{};
  if (options != nullptr) {
    std::memcpy(&given, options, std::min(options->size, sizeof given));
  }
  auto paths = liblock::socket_paths(given.socket_path);
  if (!paths || given.answer_timeout_ms < 0) return LOCK_ERROR_INVALID;
  wanted.socket_paths = std::move(*paths);
  wanted.command = given.command != nullptr ? given.command : liblock::command_line();
  wanted.query_only = given.query_only != 0;
  wanted.quorum_now = given.quorum_now != 0;
  if (given.answer_timeout_ms > 0) {
    wanted.answer_timeout = std::chrono::milliseconds(given.answer_timeout_ms);
  }
  const auto instance = liblock::draw_instance();
  if (!instance) return LOCK_ERROR_SYSTEM;
  auto connected = std::make_unique<lock_client>(std::move(wanted), *instance);
  const int error = connected->client.connect();
  if (error == 0) {
    *client = connected.release();
  } else {
    connect_advice = connected->client.advice();
    connected->client.close();
  }
  return error;
}

}  // namespace

extern "C" {

const char* lock_strerror(int error) {
  switch (error) {
    case 0:
      return "no error";
    case LOCK_ERROR_BUSY:
      return "the lock is held by somebody else";
    case LOCK_ERROR_TIMEOUT:
      return "the lock was not granted in time";
    case LOCK_ERROR_CANCELLED:
      return "the request was cancelled";
    case LOCK_ERROR_NOT_QUORATE:
      return "the daemon is not in a majority of its cluster: try again later, or on another "
             "machine";
    case LOCK_ERROR_NO_DAEMON:
      return "no lock daemon answers at the socket: is lockd running, and LOCKD_SOCKET right?";
    case LOCK_ERROR_DAEMON_GONE:
      return "the lock daemon does not answer";
    case LOCK_ERROR_LOST:
      return "the lock was lost: others may have had it since";
    case LOCK_ERROR_NOT_HELD:
      return "there is no such lock or request (any more)";
    case LOCK_ERROR_INVALID:
      return "a name or an argument is out of its range (a lock's name has 1 to 255 bytes)";
    case LOCK_ERROR_LIMIT:
      return "a limit is reached: release or close something first";
    case LOCK_ERROR_PERMISSION:
      return "this user may not use the lock daemon";
    case LOCK_ERROR_VERSION:
      return "the lock daemon speaks another version: update it or this program";
    case LOCK_ERROR_PROTOCOL:
      return "what answers at the socket is not a lock daemon";
    case LOCK_ERROR_FORKED:
      return "the connection belongs to the parent process: connect in the child";
    case LOCK_ERROR_SYSTEM:
      return "out of memory or file descriptors";
    case LOCK_ERROR_TRY_AGAIN:
      return "there is no room at the moment: dispatch, and try again";
    case LOCK_ERROR_TOO_SLOW:
      return "messages came faster than this program dispatched them, and the stream has ended";
    case LOCK_ERROR_NOT_JOINED:
      return "no such group or lockspace was joined";
    case LOCK_ERROR_STALE:
      return "a higher fencing token was seen: this holder's turn is over";
    case LOCK_ERROR_IN_USE:
      return "the fence is in use by others: try again when they have left";
    case LOCK_ERROR_DAMAGED:
      return "the file of the fence is damaged: it does not say any more which tokens were seen";
    case LOCK_ERROR_FILE:
      return "the file of the fence is missing, exists already, or cannot be read or written";
    case LOCK_ERROR_DEADLOCK:
      return "a deadlock: who waited for this lock would have waited for himself";
    case LOCK_ERROR_IN_PROGRESS:
      return "the lock waits or is being converted, or this client is at the barrier already: wait "
             "for its outcome";
    case LOCK_ERROR_NOT_FOUND:
      return "there is no such lockspace, barrier, orphan or deadlock";
    case LOCK_ERROR_EXISTS:
      return "this node is in that lockspace already";
    case LOCK_ERROR_BROKEN:
      return "the barrier was broken: its outcome says why, and who died";
    case LOCK_ERROR_DIFFERENT:
      return "the barrier is there, and was created otherwise: agree on what it is to be";
    default:
      return "unknown error";
  }
}

int lock_connect(const lock_options* options, lock_client** client) {
  if (client == nullptr) return LOCK_ERROR_INVALID;
  *client = nullptr;
  return guarded([&] { return connect(options, client); });
}

void lock_close(lock_client* client) {
  if (client == nullptr) return;
  client->client.close();
  // In a forked child the object may be in any state, another thread having been at work on it: it
  // is left.
  if (!client->client.forked()) delete client;
}

int lock_fd(lock_client* client) {
  return client->client.forked() ? LOCK_ERROR_FORKED : client->client.poll_fd();
}

int lock_timeout_ms(lock_client* client) {
  if (client->client.forked()) return LOCK_ERROR_FORKED;
  const auto next = client->client.timeout();
  return next ? milliseconds_up(*next) : -1;
}

int lock_dispatch(lock_client* client) {
  return guarded(client, [&] { return client->client.dispatch(); });
}

int lock_acquire(lock_client* client, const char* lockspace, const void* name, size_t name_len,
                 enum lock_mode mode, int timeout_ms, lock_grant* grant) {
  return guarded(client, [&] {
    if (grant == nullptr) return int{LOCK_ERROR_INVALID};
    liblock::LockRequest request{liblock::lockspace_of(lockspace), liblock::name_of(name, name_len),
                                 liblock::mode_of(mode)};
    request.owner = liblock::thread_number();
    auto timeout = liblock::timeout_of(timeout_ms);
    if (timeout_ms == 0) {
      request.flags = base::lock_flag::no_queue;
      timeout.reset();
    }
    lock_outcome outcome{};
    const int error = client->client.acquire(request, timeout, {}, outcome);
    if (error == 0 || error == LOCK_ERROR_DEADLOCK) *grant = outcome.grant;
    return error;
  });
}

int lock_try(lock_client* client, const char* lockspace, const void* name, size_t name_len,
             enum lock_mode mode, lock_grant* grant) {
  return lock_acquire(client, lockspace, name, name_len, mode, 0, grant);
}

int lock_release(lock_client* client, const lock_grant* grant) {
  return guarded(client, [&] { return client->client.release(*grant, 0, std::nullopt); });
}

uint64_t lock_valid_for_ns(lock_client* client, const lock_grant* grant) {
  if (client->client.forked()) return 0;
  return static_cast<uint64_t>(client->client.valid_for(*grant).count());
}

int lock_is_held(lock_client* client, const lock_grant* grant) {
  return lock_valid_for_ns(client, grant) > 0 ? 1 : 0;
}

int lock_health(lock_client* client, const lock_grant* grant) {
  if (client->client.forked()) return LOCK_HEALTH_LOST;
  return client->client.health(*grant);
}

uint64_t lock_token(const lock_grant* grant) {
  return grant->token;
}

int lock_on_lost(lock_client* client, lock_lost_fn* callback, void* arg) {
  return guarded(client, [&] {
    client->client.on_lost(callback, arg);
    return 0;
  });
}

int lock_on_jeopardy(lock_client* client, lock_jeopardy_fn* callback, void* arg) {
  return guarded(client, [&] {
    client->client.on_jeopardy(callback, arg);
    return 0;
  });
}

int lock_acquire_async(lock_client* client, const char* lockspace, const void* name,
                       size_t name_len, enum lock_mode mode, unsigned flags, lock_done_fn* callback,
                       void* arg, uint64_t* request) {
  return guarded(client, [&] {
    if (callback == nullptr || (flags & ~unsigned{LOCK_FLAG_TRY}) != 0)
      return int{LOCK_ERROR_INVALID};
    const liblock::LockRequest asked{liblock::lockspace_of(lockspace),
                                     liblock::name_of(name, name_len), liblock::mode_of(mode),
                                     flags};
    return client->client.acquire_async(asked, {}, {callback, arg}, request);
  });
}

int lock_cancel(lock_client* client, uint64_t request) {
  return guarded(client, [&] { return client->client.cancel(request); });
}

int lock_release_async(lock_client* client, const lock_grant* grant, lock_done_fn* callback,
                       void* arg) {
  return guarded(client, [&] {
    return client->client.release_async(*grant, 0, std::nullopt, {callback, arg});
  });
}

int lock_state(lock_client* client) {
  return guarded(client, [&] { return int{client->client.state()}; });
}

size_t lock_advice(lock_client* client, char* text, size_t size) {
  if (client == nullptr) return liblock::copy_text(connect_advice, text, size);
  if (client->client.forked()) return liblock::copy_text({}, text, size);
  return liblock::copy_text(client->client.advice(), text, size);
}

}  // extern "C"
