/* All that can be asked of a lock beside taking it and giving it back (liblock/lock.h, which says
 * what holds for every call: threads, deadlines, losses): conversions from mode to mode, the value
 * that a resource keeps for those who lock it, notifications that a lock stands in somebody's way,
 * several locks at one moment, orphans, and why a wait was a deadlock. What each flag does to the
 * order of grants is docs/locks.md.
 *
 * Each call has a blocking form, and an asynchronous one whose callback comes exactly once, in
 * lock_dispatch(). Structs are given with their `size` and are the caller's; what they point to is
 * read before the call returns. Zero means the default in each field.
 *
 * Errors that all calls can answer, and that are not named again: INVALID, FORKED, LIMIT (4,096
 * requests and conversions of a client may wait, or a limit of the daemon: lock_advice()), and
 * SYSTEM. Blocking calls also: DAEMON_GONE and NOT_QUORATE (no word in time, and what stood in the
 * way), VERSION, PROTOCOL.
 */
#ifndef LIBLOCK_REQUEST_H
#define LIBLOCK_REQUEST_H

#include <liblock/lock.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of the value that each resource keeps for those who lock it. */
#define LOCK_VALUE_SIZE 32

/* Locks that lock_acquire_all() takes at one moment, at most. */
#define LOCK_PARTS_MAX 64

/* Steps of a deadlock that are told, at most: of a longer ring the first ones. */
#define LOCK_DEADLOCK_STEPS_MAX 64

/* Who waits, for the detection of deadlocks: somebody who does nothing else while a request of his
 * waits. Who, by this reckoning, waits for himself gets LOCK_ERROR_DEADLOCK. Any other number is
 * an owner of yours, say, a transaction; it means something within this client only. After a call
 * that ended without the daemon's word (DAEMON_GONE, NOT_QUORATE), its request is his until it is
 * taken back: the next one for the same lock can be such a DEADLOCK; ask again. */
#define LOCK_OWNER_DEFAULT                                              \
  UINT64_C(0) /* Blocking calls: the thread. Asynchronous ones: nobody. \
               */
#define LOCK_OWNER_THREAD (UINT64_MAX - 1) /* The calling thread. */
#define LOCK_OWNER_NONE UINT64_MAX         /* Nobody: what it waits for is no part of a deadlock. */

/* Numbers of libdlm, where it has them. LOCK_FLAG_TRY, which is 1, is in lock.h. Which go with
 * what: R a request, C a conversion, A lock_acquire_all(), L a release. */
enum lock_request_flag {
  /* RCAL: read the value, or write it. A request reads; a conversion reads or writes by its two
   * modes: from PW to PW or below, and from EX to any, it writes, to a higher mode it reads, else
   * neither; a release of PW or EX writes. */
  LOCK_FLAG_VALUE = 0x8,
  LOCK_FLAG_QUEUE_CONVERT = 0x10,      /* C: not before conversions that wait. To more only. */
  LOCK_FLAG_INVALIDATE_VALUE = 0x20,   /* RCL: where it would write, mark the value invalid. */
  LOCK_FLAG_DEMOTE_ON_DEADLOCK = 0x40, /* C, not with TRY: rather than refuse a conversion that
                                          stands against another, take its mode: NL. */
  LOCK_FLAG_PERSISTENT = 0x80,         /* RCA: outlives this process, as an orphan. */
  LOCK_FLAG_NO_DEADLOCK_WAIT = 0x100,  /* RCA: its wait is no part of a deadlock, */
  LOCK_FLAG_NO_DEADLOCK_BLOCK = 0x200, /* RCA: and it is nobody's obstacle in one. */
  LOCK_FLAG_EXPEDITE = 0x400,          /* R, of NL, not with TRY: granted whatever waits. */
  LOCK_FLAG_TRY_NOTIFY = 0x800,        /* RC: a TRY that is refused notifies the holders. */
  LOCK_FLAG_HEAD_OF_QUEUE = 0x1000,    /* RC: waits in front of all others. */
  LOCK_FLAG_NO_ORDER = 0x2000,         /* RC: granted when it fits, whatever waits. */
  LOCK_FLAG_ORPHAN = 0x4000,           /* R: takes over an orphan of exactly this mode. */
  LOCK_FLAG_OR_PR = 0x8000,            /* RC: PR is as good, */
  LOCK_FLAG_OR_CW = 0x10000,           /* RC: CW is as good. */
  LOCK_FLAG_FORCE = 0x20000,           /* L: also a lock that waits or converts. */
  LOCK_FLAG_NOTIFY = 0x1000000         /* RCA: set by the library where there is a `notify`. */
};

/* How a grant came about: bits of lock_outcome.notes, the first also of a conversion that failed.
 */
enum lock_note {
  LOCK_NOTE_DEMOTED = 1,       /* It lost its mode while it waited to convert: others may have had
                                  the lock. */
  LOCK_NOTE_VALUE_INVALID = 2, /* Whoever could write the value last did not finish. */
  LOCK_NOTE_OTHER_MODE = 4     /* Not the mode asked for, but the one as good. */
};

/* Somebody waits for `mode`, and `grant`, by its mode, keeps it from him. Comes again only for a
 * mode that excludes more, or after the lock was converted. Runs in lock_dispatch(), before
 * completions that are due, but after the one that granted what it is about; never for a lock that
 * was given back, lost or converted since. */
typedef void lock_notify_fn(lock_client* client, const lock_grant* grant, enum lock_mode mode,
                            void* arg);

typedef struct lock_request {
  size_t size;           /* sizeof(lock_request). */
  const char* lockspace; /* 1 to 64 bytes and a 0; NULL: "default". */
  const void* name;      /* 1 to 255 arbitrary bytes. */
  size_t name_len;
  enum lock_mode mode;
  unsigned flags;         /* LOCK_FLAG_TRY, and of enum lock_request_flag. */
  uint64_t owner;         /* LOCK_OWNER_*, or a number of yours. */
  unsigned patience_ms;   /* How long it may stand in the queue, watched by the daemon from when it
                             stands there: then TIMEOUT. 0: without end. */
  lock_notify_fn* notify; /* NULL: this lock's holder is not notified. */
  void* notify_arg;
} lock_request;

typedef struct lock_outcome {
  size_t size;      /* sizeof(lock_outcome); of callbacks, the library's. */
  int error;        /* 0 or an enum lock_error. */
  lock_grant grant; /* Its id also names what failed, for lock_deadlock(); the token is 0 if nothing
                       is held. After a conversion that failed, the lock as it is still held. */
  enum lock_mode mode; /* Held now. */
  unsigned notes;      /* Of enum lock_note. */
  int has_value;       /* The value was read. */
  unsigned char value[LOCK_VALUE_SIZE];
} lock_outcome;

typedef void lock_outcome_fn(lock_client* client, const lock_outcome* outcome, void* arg);

/* lock_acquire() with everything: takes a lock, waits up to timeout_ms (negative: without end; 0:
 * as if TRY were among the flags). Returns outcome->error; `outcome` may not be NULL. Beside the
 * errors of lock_acquire(): BUSY (TRY only; ORPHAN: there is one of another mode), DEADLOCK,
 * TIMEOUT also when patience_ms were over, CANCELLED (by another thread), PERMISSION, NOT_FOUND
 * (ORPHAN: there is none). A wait with an end is a wait too: DEADLOCK does not wait for the end. */
LOCK_API int lock_acquire_with(lock_client* client, const lock_request* request, int timeout_ms,
                               lock_outcome* outcome);

/* *id (NULL is fine) names the request for lock_cancel() and lock_release_with(). */
LOCK_API int lock_acquire_with_async(lock_client* client, const lock_request* request,
                                     lock_outcome_fn* callback, void* arg, uint64_t* id);

/* Takes 1 to LOCK_PARTS_MAX locks at one moment, or none of them: nobody can hold one and wait for
 * another by it. On as many different resources; `flags` (of those marked A, and TRY), `owner` and
 * `patience_ms` are alike in all. outcomes[i] is that of requests[i]; what is returned is the error
 * of all. Each grant is a lock of its own afterwards. Errors as of lock_acquire_with(). */
LOCK_API int lock_acquire_all(lock_client* client, const lock_request* requests, size_t count,
                              int timeout_ms, lock_outcome* outcomes);

typedef void lock_outcomes_fn(lock_client* client, const lock_outcome* outcomes, size_t count,
                              void* arg);

/* The ids are *first (NULL is fine) and those that follow it; cancelling one cancels all. */
LOCK_API int lock_acquire_all_async(lock_client* client, const lock_request* requests, size_t count,
                                    lock_outcomes_fn* callback, void* arg, uint64_t* first);

typedef struct lock_conversion {
  size_t size; /* sizeof(lock_conversion). */
  enum lock_mode mode;
  unsigned flags;       /* They replace those that the lock has, at once. */
  unsigned patience_ms; /* As in lock_request. */
  const void* value;    /* LOCK_VALUE_SIZE bytes to leave behind where VALUE writes; NULL: none. */
  lock_notify_fn* notify; /* Replaces the one that the lock has, at once: NULL ends it. */
  void* notify_arg;
} lock_conversion;

/* Another mode for a lock that is held: the same id, and a new token. Until it is granted, the lock
 * is held at its old mode, with its old token and its deadline; so it is if the conversion fails,
 * but with the note DEMOTED it is held at NL; with DEMOTE_ON_DEADLOCK that can be so from the call
 * on: rely on nothing until the outcome. A conversion goes before requests that wait. To a
 * mode that excludes less it is granted at once. Two that convert against each other are a
 * deadlock, whoever owns them; for any other one the owner of the lock counts.
 * Returns outcome->error: BUSY (TRY), TIMEOUT, DEADLOCK, CANCELLED, IN_PROGRESS (it converts
 * already), LOST, NOT_HELD. After DAEMON_GONE and NOT_QUORATE the library goes on asking for the
 * conversion's end and tells nobody how it ended: rely on nothing but what both modes allow; until
 * then other conversions are IN_PROGRESS, and releases without FORCE. */
LOCK_API int lock_convert(lock_client* client, const lock_grant* grant,
                          const lock_conversion* conversion, int timeout_ms, lock_outcome* outcome);

/* At once LOST, NOT_HELD, IN_PROGRESS; then the callback does not follow. lock_cancel() with the
 * lock's id takes the conversion back while it waits: then its outcome is CANCELLED. */
LOCK_API int lock_convert_async(lock_client* client, const lock_grant* grant,
                                const lock_conversion* conversion, lock_outcome_fn* callback,
                                void* arg);

/* lock_release() with flags VALUE (writes `value`, LOCK_VALUE_SIZE bytes, if the mode is PW or EX),
 * INVALIDATE_VALUE, and FORCE: also a request that waits, named by grant->id alone, and a lock that
 * converts; their own outcome is CANCELLED, and comes first. IN_PROGRESS: it converts, and there is
 * no FORCE. */
LOCK_API int lock_release_with(lock_client* client, const lock_grant* grant, unsigned flags,
                               const void* value);
LOCK_API int lock_release_with_async(lock_client* client, const lock_grant* grant, unsigned flags,
                                     const void* value, lock_done_fn* callback, void* arg);

/* Ends the orphans that processes of `node` (0: this daemon's) left behind, of process `pid` or, if
 * that is 0, of all; their values become invalid if they could write them. Only one's own user's,
 * unless one is root or the daemon's user: PERMISSION. Blocks up to answer_timeout_ms. LOST: the
 * session ended before there was a word. */
LOCK_API int lock_drop_orphans(lock_client* client, uint32_t node, uint32_t pid);
LOCK_API int lock_drop_orphans_async(lock_client* client, uint32_t node, uint32_t pid,
                                     lock_done_fn* callback, void* arg);

/* A lock in a deadlock, as others see it. */
typedef struct lock_deadlock_lock {
  uint64_t session;
  uint64_t id; /* Names it within its client. */
  uint32_t node;
  uint32_t pid; /* 0: not known. */
  char command[256];
} lock_deadlock_lock;

typedef struct lock_deadlock_step {
  size_t size; /* sizeof(lock_deadlock_step), set in the first one. */
  lock_deadlock_lock waits;
  enum lock_mode wants;
  lock_deadlock_lock blocker; /* Who has that, or comes before, waits too: that is the next step. */
  enum lock_mode has;
  char lockspace[65];
  size_t name_len;
  char name[256]; /* With a 0 behind. */
} lock_deadlock_step;

/* The ring of waits that the request or conversion of lock `id` (of lock_acquire_all(): the first;
 * 0: the last one of this client) would have closed, as told with DEADLOCK: each step waits for the
 * lock of the next, the last for the first. Copies up to `count` steps (`steps` may be NULL if that
 * is 0), and returns how many there are. NOT_FOUND: none is known; the last 64 are kept. Never
 * blocks. */
LOCK_API int lock_deadlock(lock_client* client, uint64_t id, lock_deadlock_step* steps,
                           size_t count);

/* The same in one line, for logs, cut to `size`, with a 0. Returns its length without the 0; 0 if
 * none is known. */
LOCK_API size_t lock_deadlock_text(lock_client* client, uint64_t id, char* text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
