/* What happens to the locks of the cluster, as a stream of events: for people, monitoring and
 * scripts. It is what the daemon that was asked does to its own table, in the one order in which
 * all daemons do it. Who wants to act under a lock asks for the lock: what is told here may be old
 * when it comes, and events can be missing, which is said.
 */
#ifndef LIBLOCK_WATCH_H
#define LIBLOCK_WATCH_H

#include <liblock/lock.h>
#include <liblock/lockspace.h>
#include <liblock/query.h>
#include <liblock/request.h>

#ifdef __cplusplus
extern "C" {
#endif

/* LOCK_WATCH_RESYNC and LOCK_WATCH_LOST come whatever was asked for. */
enum lock_watch_kind {
  LOCK_WATCH_GRANTED = 0,
  LOCK_WATCH_CONVERTED = 1,
  LOCK_WATCH_WAITS = 2,     /* A request or a conversion is queued. */
  LOCK_WATCH_CANCELLED = 3, /* It is queued no more and was not granted: `reason`. */
  LOCK_WATCH_DENIED = 4,    /* It was not even queued: `reason`. */
  LOCK_WATCH_RELEASED = 5,  /* Given back, or freed after its session had ended. */
  LOCK_WATCH_DEADLOCK = 6,
  LOCK_WATCH_SESSION = 7,
  LOCK_WATCH_LOCKSPACE = 8,     /* Its members changed, or what failed ones had is freed. */
  LOCK_WATCH_CONFIGURATION = 9, /* Of the ring. */
  LOCK_WATCH_QUORUM = 10,       /* Comes first, and whenever the daemon's state changes. */
  LOCK_WATCH_RESYNC = 11, /* The stream begins here, first or again: what happened before was not
                             told. Again after a new connection, or when the daemon has loaded
                             another table. */
  LOCK_WATCH_LOST = 12    /* `lost` events were not told: this program did not read in time. */
};

/* Bits of lock_watch_options.kinds. */
#define LOCK_WATCH_BIT(kind) (1u << (kind))

enum lock_watch_session_change {
  LOCK_WATCH_OPENED = 0,
  LOCK_WATCH_RESUMED = 1,
  LOCK_WATCH_ORPHANED = 2, /* Its daemon or its connection is gone: what it holds is held until the
                              wait for its lease is over. */
  LOCK_WATCH_CLOSED = 3,   /* By its client, or since its process ended. */
  LOCK_WATCH_EXPIRED = 4   /* That wait is over. */
};

/* One event. `size` is the library's; what `kind` does not name is 0. Borrowed: ends with the
 * callback. */
typedef struct lock_watch_event {
  size_t size;
  enum lock_watch_kind kind;
  uint32_t second; /* Of 1970, by the clock of the node that ordered it; of the last four kinds, by
                      that of the daemon that was asked. 0: not known. */

  /* GRANTED to RELEASED. */
  lock_bytes lockspace; /* Also of LOCKSPACE. */
  lock_bytes name;
  enum lock_mode mode;  /* Held from now on, or until now; of what holds nothing, asked for. */
  enum lock_mode wants; /* Of what waits or waited. */
  uint64_t token;       /* 0: nothing is held. */
  int reason;           /* An enum lock_error. */

  /* Whose it is: of these and of SESSION; of DEADLOCK session and request of the victim. */
  uint64_t session;
  uint64_t request; /* The number of the acquire. */
  uint32_t node;    /* 0: not known any more, nor is the rest. */
  uint32_t pid;
  uint32_t uid;
  lock_bytes command;

  const lock_deadlock_step* steps; /* DEADLOCK. */
  size_t steps_len;
  enum lock_watch_session_change change; /* SESSION. */

  /* LOCKSPACE. */
  uint64_t generation;
  int recovered;                        /* No locks of failed members are left. */
  const lock_lockspace_member* members; /* None: nobody is in it any more. */
  size_t members_len;
  const lock_lockspace_member* failed;
  size_t failed_len;

  /* CONFIGURATION. */
  int transitional;
  uint64_t ring_sequence;
  uint32_t ring_representative;
  uint64_t ring_nonce;
  const uint32_t* nodes;
  size_t nodes_len;
  const uint32_t* left;
  size_t left_len;
  const uint32_t* joined;
  size_t joined_len;

  /* QUORUM. */
  int primary; /* Locks are granted. */
  uint64_t epoch;
  uint32_t votes;
  uint32_t quorum;
  lock_bytes state; /* A word, as in lock_status(). */

  uint64_t lost; /* LOST. */
} lock_watch_event;

typedef struct lock_watch_options {
  size_t size;    /* sizeof(lock_watch_options). */
  uint32_t kinds; /* LOCK_WATCH_BIT of those that are wanted; 0: all. */

  /* Narrow GRANTED to DEADLOCK, and LOCKSPACE by its name; the other kinds come all the same.
   * NULL: all lockspaces; NULL with length 0: all names. */
  const char* lockspace;
  const void* name;
  size_t name_len;
  int prefix; /* Not 0: all names that begin so. */

  /* The callback is called with no event when nothing came for so long. 0: never. */
  int idle_ms;
} lock_watch_options;

/* `event` is NULL when idle_ms have passed. Return 0 to go on; anything else ends the watch, and is
 * returned by it. May make other calls of this client, but no second lock_watch(). */
typedef int lock_watch_fn(lock_client* client, const lock_watch_event* event, void* arg);

/* Tells what happens, in the calling thread, until the callback says that it is enough: blocks all
 * the time. `options` may be NULL. Works without a quorum, where little happens. When the daemon is
 * gone it waits for it, and the stream goes on with RESYNC; idle_ms helps who will not wait.
 * A client has one watch at a time; a daemon serves 64. What the callback is slow to take waits: at
 * the daemon up to 128 KiB, in this process 4096 events; more is dropped, and counted by LOST.
 * Errors: LIMIT, INVALID, PERMISSION, FORKED, VERSION, PROTOCOL (also of a daemon that is too old
 * to know this), SYSTEM. */
LOCK_API int lock_watch(lock_client* client, const lock_watch_options* options,
                        lock_watch_fn* callback, void* arg);

#ifdef __cplusplus
}
#endif

#endif
