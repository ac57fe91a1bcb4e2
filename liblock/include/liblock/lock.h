/* Cluster locks from C. The whole of a program that takes one:

#include <liblock/lock.h>
#include <stdio.h>

int main(void) {
  lock_client* client;
  lock_grant grant;
  int error = lock_connect(NULL, &client);
  if (!error) error = lock_acquire(client, NULL, "jobs", 4, LOCK_MODE_EX, -1, &grant);
  if (!error) printf("held, with fencing token %llu\n", (unsigned long long)grant.token);
  if (!error) error = lock_release(client, &grant);
  if (error) fprintf(stderr, "%s\n", lock_strerror(error));
  lock_close(client);
  return error != 0;
}

 * The library keeps a lock by talking to the daemon of this machine, and has no thread of its own:
 * it works while one of its calls runs. Between them, call lock_dispatch() when lock_fd() is
 * readable and when lock_timeout_ms() has passed. A program that does neither for a quarter of the
 * lease (seconds) is in danger of losing what it holds, and after a whole lease has lost it.
 *
 * A lock is held until a deadline that moves on while the daemon answers. The deadline is checked
 * against the clocks in your own thread, by lock_is_held() and lock_valid_for_ns(): ask before each
 * effect that the lock is to protect. A lock that is lost stays lost: acquire it anew, and expect
 * that others had it meanwhile. Give the fencing token to whatever the lock protects, and let it
 * refuse tokens below the highest it has seen: that holds even when this whole machine is frozen.
 *
 * Threads: any call may be made from any thread at any time, except lock_close(), which must be the
 * last.
 * Signals: no call is async-signal-safe; blocking calls go on after a signal.
 * Fork: the child owns nothing. Its calls answer LOCK_ERROR_FORKED; it may lock_close() its copy.
 * Errors: functions that return int return 0 or a negative enum lock_error.
 *
 * Conversions, values, notifications, several locks at once and deadlocks are in liblock/request.h,
 * members of lockspaces in liblock/lockspace.h, barriers in liblock/barrier.h, questions in
 * liblock/query.h.
 *
 * This header is C99 and C++11. The library's ABI only grows: structs carry their size.
 */
#ifndef LIBLOCK_LOCK_H
#define LIBLOCK_LOCK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOCK_API __attribute__((visibility("default")))

/* A connection with the session behind it, which outlives reconnects. */
typedef struct lock_client lock_client;

/* What fits with what: NL with all; CR all but EX; CW with NL CR CW; PR with NL CR PR; PW with NL
 * CR; EX with NL. Most programs need LOCK_MODE_EX (alone) and LOCK_MODE_PR (shared by readers). */
enum lock_mode {
  LOCK_MODE_NL = 0,
  LOCK_MODE_CR = 1,
  LOCK_MODE_CW = 2,
  LOCK_MODE_PR = 3,
  LOCK_MODE_PW = 4,
  LOCK_MODE_EX = 5
};

enum lock_error {
  LOCK_ERROR_BUSY = -1,      /* Somebody else has it, and you did not want to wait. */
  LOCK_ERROR_TIMEOUT = -2,   /* You waited as long as you wanted to. */
  LOCK_ERROR_CANCELLED = -3, /* You cancelled it. */
  LOCK_ERROR_NOT_QUORATE =
      -4, /* The daemon is not in a majority of the cluster: try later, or elsewhere. */
  LOCK_ERROR_NO_DAEMON =
      -5, /* Nobody answers at the socket: is lockd running, is the path right? */
  LOCK_ERROR_DAEMON_GONE =
      -6, /* The daemon did not answer in time, or is gone; the library goes on trying. */
  LOCK_ERROR_LOST = -7,        /* The lock was lost: its lease ran out, or the session has ended. */
  LOCK_ERROR_NOT_HELD = -8,    /* There is no such grant (any more). */
  LOCK_ERROR_INVALID = -9,     /* A name or argument out of its range. */
  LOCK_ERROR_LIMIT = -10,      /* A limit is reached: lock_advice() says which. */
  LOCK_ERROR_PERMISSION = -11, /* The socket, or the daemon, refuses this user. */
  LOCK_ERROR_VERSION = -12,    /* Daemon and library do not speak the same version. */
  LOCK_ERROR_PROTOCOL = -13,   /* What answers at the socket does not speak our language. */
  LOCK_ERROR_FORKED = -14,     /* This client belongs to the parent process. */
  LOCK_ERROR_SYSTEM = -15,     /* Out of memory or of file descriptors. */
  LOCK_ERROR_TRY_AGAIN = -16,  /* liblock/evs.h: no room at the moment. */
  LOCK_ERROR_TOO_SLOW = -17,   /* liblock/evs.h: this program did not dispatch in time. */
  LOCK_ERROR_NOT_JOINED = -18, /* No such group, or lockspace, was joined. */
  LOCK_ERROR_STALE = -19,      /* liblock/fence.h: a higher token was seen. */
  LOCK_ERROR_IN_USE = -20,     /* liblock/fence.h: others have the file, or are inside. */
  LOCK_ERROR_DAMAGED = -21,    /* liblock/fence.h: the file is not what was written. */
  LOCK_ERROR_FILE = -22,       /* liblock/fence.h: the file is missing, or cannot be used. */
  LOCK_ERROR_DEADLOCK = -23, /* To wait for it is to wait for yourself: lock_deadlock() says how. */
  LOCK_ERROR_IN_PROGRESS = -24, /* The lock waits, or is being converted. */
  LOCK_ERROR_NOT_FOUND = -25,   /* There is no such lockspace, barrier, orphan or deadlock. */
  LOCK_ERROR_EXISTS = -26,      /* This node is in that lockspace already. */
  LOCK_ERROR_BROKEN = -27,      /* liblock/barrier.h: it was broken; the outcome says why. */
  LOCK_ERROR_DIFFERENT = -28    /* liblock/barrier.h: it is there, created otherwise. */
};

/* One sentence, also for 0; never NULL; static. Never blocks. */
LOCK_API const char* lock_strerror(int error);

typedef struct lock_options {
  size_t size; /* sizeof(lock_options). */

  /* NULL: the environment's LOCKD_SOCKET, or /run/lockd/lockd.sock. Up to 8 paths with ':' between
   * them are daemons of one cluster: when one is gone, the session goes on at the next that takes
   * the connection, and keeps what it holds if that is done within the lease. One that is stopped,
   * or that has no quorum, is stayed with. */
  const char* socket_path;

  /* What people see as the holder, up to 64 bytes are kept. NULL: this process' command line. */
  const char* command;

  /* How long to wait for the daemon's word in lock_connect(), lock_try(), lock_release() and
   * queries. 0: 5000. */
  int answer_timeout_ms;

  /* Not 0: no session, queries only (liblock/query.h). Connects also without a quorum. */
  int query_only;

  /* Not 0: lock_connect() does not wait for a quorum, but answers NOT_QUORATE as soon as the daemon
   * says that there is none. */
  int quorum_now;
} lock_options;

/* Connects and opens a session. `options` may be NULL for all defaults. Blocks up to
 * answer_timeout_ms. On error *client is NULL, and: NO_DAEMON (at once), PERMISSION, NOT_QUORATE,
 * DAEMON_GONE, LIMIT, VERSION, PROTOCOL, INVALID (path too long), SYSTEM. Afterwards the library
 * reconnects by itself, and resumes the session, whenever it is called. */
LOCK_API int lock_connect(const lock_options* options, lock_client** client);

/* Ends the session: what it holds is released, at the latest when the daemon sees the connection
 * end. Waits for nothing, except that no other call may be under way. Callbacks that were due are
 * not called. NULL is fine. */
LOCK_API void lock_close(lock_client* client);

/* A file descriptor to wait for: when it is readable, or lock_timeout_ms() has passed, call
 * lock_dispatch(). The same for the client's whole life, also while the daemon is away. Yours to
 * poll, not to read or close. */
LOCK_API int lock_fd(lock_client* client);

/* Milliseconds until lock_dispatch() is wanted, rounded up; -1: nothing is awaited. Ask again
 * before each poll. */
LOCK_API int lock_timeout_ms(lock_client* client);

/* Does what is due (reads, writes, keep-alives, reconnects) and runs the callbacks that are due, in
 * this thread and without holding anything: a callback may call every function but lock_close().
 * Never blocks. FORKED, PROTOCOL, VERSION; without a daemon or a quorum it is no error. */
LOCK_API int lock_dispatch(lock_client* client);

/* A lock that was granted. Filled by the library; copy it as you like. */
typedef struct lock_grant {
  uint64_t id;    /* Names the lock within this client. */
  uint64_t token; /* The fencing token: unique, growing from grant to grant, also across restarts of
                     all. */
} lock_grant;

/* Takes the lock `name` (1 to 255 arbitrary bytes) of `lockspace` (1 to 64 bytes and a 0; NULL:
 * "default"). Blocks up to timeout_ms (negative: without end; 0: like lock_try()), also through
 * loss of the daemon or of the quorum. Requests are served in the order in which they came. Each
 * grant is a lock of its own. Waiting counts as the calling thread's: if, by a ring of such waits
 * in whatever processes, it would wait for a lock that it took itself, it gets DEADLOCK at once,
 * also if timeout_ms has an end; lock_deadlock() tells the ring, by grant->id. That is wrong of a
 * lock that another thread is to give back: take it by lock_acquire_with() (liblock/request.h), for
 * LOCK_OWNER_NONE. TIMEOUT (somebody has it), NOT_QUORATE or DAEMON_GONE (what stood in the way
 * when the time was over), LOST (granted, but when we heard of it its lease was over), DEADLOCK,
 * PERMISSION, INVALID, LIMIT, FORKED, VERSION, PROTOCOL, SYSTEM. */
LOCK_API int lock_acquire(lock_client* client, const char* lockspace, const void* name,
                          size_t name_len, enum lock_mode mode, int timeout_ms, lock_grant* grant);

/* The same without a place in the queue: BUSY at once if it is not free or others wait for it;
 * NOT_QUORATE at once if the daemon knows that it is not in a majority; blocks up to
 * answer_timeout_ms for the answer. */
LOCK_API int lock_try(lock_client* client, const char* lockspace, const void* name, size_t name_len,
                      enum lock_mode mode, lock_grant* grant);

/* Gives the lock back; from the call on it is not held. Blocks up to answer_timeout_ms for the
 * daemon's word. LOST: it had been lost before. DAEMON_GONE, NOT_QUORATE: no word yet; the library
 * goes on telling the daemon. NOT_HELD: no such grant, or released before. IN_PROGRESS: it is being
 * converted (liblock/request.h). FORKED. */
LOCK_API int lock_release(lock_client* client, const lock_grant* grant);

/* Nanoseconds for which the lock is certainly still held, by the clocks as read in this call; 0 if
 * it is not held. Never blocks, and asks nobody. In a forked child 0. */
LOCK_API uint64_t lock_valid_for_ns(lock_client* client, const lock_grant* grant);

/* Whether that is more than nothing: 1 or 0. */
LOCK_API int lock_is_held(lock_client* client, const lock_grant* grant);

/* How a lock stands. JEOPARDY: it is held, but nobody prolongs it: the daemon does not answer, or
 * is not in a majority. Either that ends, or the lock is lost when lock_valid_for_ns() has run out:
 * a time to bring work to an end, and not to begin any. */
typedef enum lock_health_state {
  LOCK_HEALTH_LOST = 0, /* Lost, released, or never granted. */
  LOCK_HEALTH_JEOPARDY = 1,
  LOCK_HEALTH_HELD = 2
} lock_health_state;

/* As known in this call, an enum lock_health_state. Never blocks. In a forked child LOST. */
LOCK_API int lock_health(lock_client* client, const lock_grant* grant);

/* The grant's fencing token. */
LOCK_API uint64_t lock_token(const lock_grant* grant);

/* Called once for each lock that is lost, before any other callback that is due; then, if the
 * session has ended too, with a NULL grant (the library opens a new one). Runs in lock_dispatch().
 * NULL: nobody is called. */
typedef void lock_lost_fn(lock_client* client, const lock_grant* grant, void* arg);
LOCK_API int lock_on_lost(lock_client* client, lock_lost_fn* callback, void* arg);

/* Called with 1 when the locks of this client come into jeopardy (see lock_health()), and with 0
 * when they are out of it; losses are told by lock_on_lost() alone, which comes first. Runs in
 * lock_dispatch(); of several changes between two dispatches only the last is told. NULL: nobody is
 * called. FORKED. */
typedef void lock_jeopardy_fn(lock_client* client, int in_jeopardy, void* arg);
LOCK_API int lock_on_jeopardy(lock_client* client, lock_jeopardy_fn* callback, void* arg);

/* What became of an asynchronous call: `error` as the blocking twin would return it, `grant` set by
 * an acquire that succeeded. Called exactly once, in lock_dispatch(). */
typedef void lock_done_fn(lock_client* client, int error, const lock_grant* grant, void* arg);

enum lock_flag {
  LOCK_FLAG_TRY = 1 /* No place in the queue. */
};

/* Asks for a lock and returns at once. On success *request names it for lock_cancel() (NULL is
 * fine), and the callback follows; on error (INVALID, LIMIT, FORKED, SYSTEM) it does not. Waits
 * through loss of the daemon or of the quorum; a try is answered NOT_QUORATE. */
LOCK_API int lock_acquire_async(lock_client* client, const char* lockspace, const void* name,
                                size_t name_len, enum lock_mode mode, unsigned flags,
                                lock_done_fn* callback, void* arg, uint64_t* request);

/* Takes a request back that still waits, or a conversion of the lock: its callback follows, with
 * CANCELLED, or with the outcome if that came first in the order, which can be a grant. NOT_HELD:
 * no such request (any more), FORKED. */
LOCK_API int lock_cancel(lock_client* client, uint64_t request);

/* Gives a lock back and returns at once: from the call on it is not held. NOT_HELD, LOST,
 * IN_PROGRESS, FORKED: then the callback, which may be NULL, does not follow. */
LOCK_API int lock_release_async(lock_client* client, const lock_grant* grant,
                                lock_done_fn* callback, void* arg);

enum lock_client_state {
  LOCK_STATE_CONNECTING = 0,  /* No daemon, or it has not answered yet. */
  LOCK_STATE_NOT_QUORATE = 1, /* Connected, but nothing is granted at present. */
  LOCK_STATE_READY = 2
};

/* What was last heard, an enum lock_client_state. Never blocks. FORKED. */
LOCK_API int lock_state(lock_client* client);

/* Copies what the daemon last advised (after LIMIT, PERMISSION, VERSION, NO_DAEMON), as text with a
 * 0, cut to `size`. Returns its length without the 0; empty if there is none. A NULL client: what
 * was advised when lock_connect() last failed in this thread. Never blocks. */
LOCK_API size_t lock_advice(lock_client* client, char* text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
