/* Group communication with extended virtual synchrony, through the daemon of this machine. The
 * whole of a program that talks to itself and to whoever else is in the group:

#include <liblock/evs.h>
#include <poll.h>
#include <stdio.h>

static void deliver(lock_evs* evs, const lock_evs_delivery* what, void* arg) {
  (void)evs;
  printf("node %u: %.*s\n", what->sender.node, (int)what->message_len, (const char*)what->message);
  *(int*)arg = 1;
}

int main(void) {
  int heard = 0;
  lock_evs* evs = NULL;
  lock_evs_group group;
  lock_evs_options options = {0};
  options.size = sizeof options;
  options.deliver = deliver;
  options.arg = &heard;
  int error = lock_evs_group_of("chat", &group);
  if (!error) error = lock_evs_open(&options, &evs);
  if (!error) error = lock_evs_join(evs, &group, 1);
  if (!error) error = lock_evs_multicast(evs, LOCK_EVS_SAFE, &group, 1, "hello", 5);
  while (!error && !heard) {
    struct pollfd fd = {lock_evs_fd(evs), POLLIN, 0};
    poll(&fd, 1, -1);
    int events = lock_evs_dispatch(evs, 0);
    if (events < 0) error = events;
  }
  if (error) fprintf(stderr, "%s\n", lock_strerror(error));
  lock_evs_close(evs);
  return error != 0;
}

 * An instance has ONE stream of events: deliveries and configurations, in the order in which the
 * ring has them. Two instances, on whatever nodes, that pass through the same configurations have
 * the same messages in the same order between them. The stream begins with the configuration that
 * stands.
 *
 * Groups are 32 bytes, compared as they are; zeros at the end cost nothing on the way. Joining is a
 * filter at the daemon of this machine: it sends nothing, nobody is told who is in a group, and who
 * sends to one need not be in it. A sender receives his own message by the same rule as everybody.
 * All of this works in every configuration, with a majority of the cluster or without one; who must
 * not act in a minority looks at the members, or takes a lock.
 *
 * An instance is one connection to the daemon. It ends when the daemon ends, when it does not
 * dispatch in time, or by lock_evs_close(). What had come before the end is dispatched first; then
 * lock_evs_dispatch() answers why, for ever. Nothing is reconnected: a stream with a hole would be
 * none. Open another instance, which begins with a configuration of its own.
 *
 * Limits, each kept by the daemon: messages of 1,048,576 bytes; 256 groups of a message, and joined
 * by an instance; about 2 MiB sent and not yet handed to the ring (then TRY_AGAIN, and later the
 * callback `writable`); 4 MiB delivered and not read (then the stream ends with TOO_SLOW); 64
 * instances at a daemon, 48 of them of one user. When half a MiB waits for a reader, the senders of
 * all groups on all nodes are held back until it has caught up, for a second at most: who does not
 * catch up by then is not waited for again before he has, and may end with TOO_SLOW.
 *
 * Threads: any call may be made from any thread at any time, except lock_evs_close(), which must be
 * the last. Callbacks run in the thread that dispatches; one thread dispatches at a time.
 * Signals: no call is async-signal-safe; blocking calls go on after a signal.
 * Fork: the child owns nothing. Its calls answer LOCK_ERROR_FORKED; it may close its copy.
 * Errors: functions that return int return a negative enum lock_error (liblock/lock.h) on failure.
 *
 * This header is C99 and C++11. The library's ABI only grows: structs that a program fills carry
 * their size.
 */
#ifndef LIBLOCK_EVS_H
#define LIBLOCK_EVS_H

#include <liblock/lock.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOCK_EVS_MESSAGE_BYTES_MAX 1048576
#define LOCK_EVS_GROUPS_MAX 256

typedef struct lock_evs lock_evs;

typedef struct lock_evs_group {
  unsigned char key[32];
} lock_evs_group;

/* What holds when a message is delivered. Messages of all kinds stand in one order. */
enum lock_evs_guarantee {
  LOCK_EVS_UNORDERED = 0, /* Delivered as agreed, which is stronger. */
  LOCK_EVS_FIFO = 1,      /* The same. */
  LOCK_EVS_AGREED = 2,    /* Everything before it in the order was delivered. */
  LOCK_EVS_SAFE = 3 /* And every member of the configuration has it: it will deliver it too, unless
                       it fails. */
};

/* A node in one of its lives: a daemon that was started again is another one. */
typedef struct lock_evs_processor {
  uint32_t node;
  uint64_t incarnation;
} lock_evs_processor;

/* A configuration's id: never used twice, in no cluster. */
typedef struct lock_evs_ring {
  uint64_t sequence;
  uint32_t representative;
  uint64_t nonce;
} lock_evs_ring;

/* A message. Everything it points to ends with the callback. */
typedef struct lock_evs_delivery {
  lock_evs_processor sender;

  /* The regular configuration in which it was sent, and its place in the order of that one: by
   * `sequence`, then by `index`. A message that is delivered in a transitional configuration has
   * the ring before it. */
  lock_evs_ring ring;
  uint64_t sequence;
  uint32_t index;
  enum lock_evs_guarantee guarantee;
  const lock_evs_group* groups; /* That it was sent to. */
  size_t groups_len;
  const void* message;
  size_t message_len;
} lock_evs_delivery;

/* A change of the ring is told as two configurations. The first, transitional, has the members that
 * go together from the one before: what is delivered in it was sent in that one, and `left` are
 * those who do not come along. The next one is regular, and `joined` are those it has on top. A
 * node that was started again fast can be in both lists, with two incarnations. Members are sorted.
 */
typedef struct lock_evs_configuration {
  int transitional; /* 0: regular. */
  lock_evs_ring ring;
  const lock_evs_processor* members;
  size_t members_len;
  const lock_evs_processor* left; /* In a transitional one only. */
  size_t left_len;
  const lock_evs_processor* joined; /* In a regular one only. */
  size_t joined_len;
} lock_evs_configuration;

/* Callbacks run in lock_evs_dispatch(), without any lock of the library held, and may call every
 * function but lock_evs_close(); a nested lock_evs_dispatch() does nothing. */
typedef void lock_evs_deliver_fn(lock_evs* evs, const lock_evs_delivery* delivery, void* arg);
typedef void lock_evs_configuration_fn(lock_evs* evs, const lock_evs_configuration* configuration,
                                       void* arg);

/* A multicast had answered TRY_AGAIN, and now any message has room. */
typedef void lock_evs_writable_fn(lock_evs* evs, void* arg);

typedef struct lock_evs_options {
  size_t size; /* sizeof(lock_evs_options). */

  /* NULL: the environment's LOCKD_SOCKET, or /run/lockd/lockd.sock. Of several paths with ':'
   * between them, the first that takes the connection. */
  const char* socket_path;

  /* What people see as the client. NULL: this process' command line. */
  const char* command;

  /* How long to wait for the daemon's word in lock_evs_open(), _join() and _leave(). 0: 5000. */
  int answer_timeout_ms;

  /* Each may be NULL: such events are dropped. */
  lock_evs_deliver_fn* deliver;
  lock_evs_configuration_fn* configuration;
  lock_evs_writable_fn* writable;
  void* arg; /* For all of them. */
} lock_evs_options;

/* The group whose key is this text with zeros behind it. INVALID: longer than 32 bytes, or empty.
 */
LOCK_API int lock_evs_group_of(const char* text, lock_evs_group* group);

/* Opens an instance; a process can have several. `options` may be NULL. Blocks up to
 * answer_timeout_ms. On error *evs is NULL, and: NO_DAEMON, PERMISSION, DAEMON_GONE, LIMIT,
 * VERSION, PROTOCOL (also of a daemon that is too old to know groups), INVALID (path too long),
 * SYSTEM. */
LOCK_API int lock_evs_open(const lock_evs_options* options, lock_evs** evs);

/* Ends the instance. Messages that were multicast before and are not handed to the ring may be
 * lost, unless lock_evs_flush() has succeeded. Waits for nothing, except that no other call may be
 * under way. NULL is fine. */
LOCK_API void lock_evs_close(lock_evs* evs);

/* A file descriptor for the instance's whole life: when it is readable, call lock_evs_dispatch().
 * Yours to poll, not to read or close. */
LOCK_API int lock_evs_fd(lock_evs* evs);

/* Reads what has come and runs the callbacks of at most `max` events (0: of all that are there), in
 * order, in this thread. Never blocks. Returns how many, which can be none; once the instance has
 * ended and everything before was dispatched: DAEMON_GONE (also when the daemon hung up), NO_DAEMON
 * (it leaves), TOO_SLOW, LIMIT, PROTOCOL, FORKED. */
LOCK_API int lock_evs_dispatch(lock_evs* evs, unsigned max);

/* Joins groups. What is delivered after the return has passed the new filter, and nothing was
 * missed since. Groups that are joined already stay so. Blocks up to answer_timeout_ms for the
 * daemon's word; events that come meanwhile are kept for dispatching. INVALID (no group, or more
 * than 256), LIMIT, DAEMON_GONE (no word yet: it may be joined later), FORKED, and what
 * lock_evs_dispatch() answers. */
LOCK_API int lock_evs_join(lock_evs* evs, const lock_evs_group* groups, size_t groups_len);

/* The reverse. Events that had come before are still dispatched. NOT_JOINED: of one of them, and
 * none was left. */
LOCK_API int lock_evs_leave(lock_evs* evs, const lock_evs_group* groups, size_t groups_len);

/* Sends a message to everybody who has joined at least one of these groups: each receives it once.
 * Copied before the return; never blocks. Messages of one instance are ordered as they were sent.
 * Success means that the daemon will hand it to the ring, in this configuration or a later one, as
 * long as daemon and instance live; the delivery to yourself says that it was ordered.
 * TRY_AGAIN: too much waits for the ring; dispatch, and go on when `writable` is called. INVALID
 * (no group or more than 256, a message over LOCK_EVS_MESSAGE_BYTES_MAX, no such guarantee),
 * FORKED, and what lock_evs_dispatch() answers. */
LOCK_API int lock_evs_multicast(lock_evs* evs, enum lock_evs_guarantee guarantee,
                                const lock_evs_group* groups, size_t groups_len,
                                const void* message, size_t message_len);

/* The same, to all groups that this instance has joined. NOT_JOINED: there is none. */
LOCK_API int lock_evs_multicast_joined(lock_evs* evs, enum lock_evs_guarantee guarantee,
                                       const void* message, size_t message_len);

/* Blocks until the daemon has handed all messages to the ring, up to timeout_ms (negative: without
 * end). TIMEOUT; TRY_AGAIN (too many events wait: dispatch first), FORKED, and what
 * lock_evs_dispatch() answers. */
LOCK_API int lock_evs_flush(lock_evs* evs, int timeout_ms);

/* The processor that this instance sends as. Never blocks. INVALID, FORKED. */
LOCK_API int lock_evs_self(lock_evs* evs, lock_evs_processor* self);

/* The configuration that was last given to the callback, or the first one of the stream if none was
 * yet. What it points to lasts until the next lock_evs_dispatch() of this instance. Never blocks.
 * INVALID, FORKED. */
LOCK_API int lock_evs_current(lock_evs* evs, lock_evs_configuration* configuration);

/* Copies what the daemon advised when the instance ended (LIMIT, PERMISSION, VERSION, NO_DAEMON,
 * TOO_SLOW), as text with a 0, cut to `size`. Returns its length without the 0. A NULL instance:
 * what was advised when lock_evs_open() last failed in this thread. Never blocks. */
LOCK_API size_t lock_evs_advice(lock_evs* evs, char* text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
