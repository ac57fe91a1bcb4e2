/* Barriers: a place in the course of several programs that none of them passes before all are
 * there, and all of them are told the same of how it ended (docs/barriers.md). The whole of a shell
 * job's part:

    lock_barrier barrier = {sizeof(barrier)};
    barrier.name = "loaded";
    barrier.name_len = 6;
    barrier.parties = 3;
    error = lock_barrier_wait(client, &barrier, NULL, 0, -1, NULL);

 * A client is one participant, however many threads it has: its second arrival at the same barrier,
 * while the first waits, is IN_PROGRESS. liblock/lock.h says what holds for every call: threads,
 * losses, dispatching. While the daemon is gone or has no quorum nothing is released and nobody is
 * told; calls wait for it, and what they asked for is asked again. When the session is lost, so is
 * its part in barriers: LOST, and the others see a death.
 *
 * Each participant of a step is told the same outcome, once. Errors of all calls: INVALID, FORKED,
 * SYSTEM, LIMIT (64 outcomes of a client to come or not told; 64 barrier operations without an
 * answer; or a limit of the cluster: lock_advice()), PERMISSION (the lockspace does not let this
 * user in); of blocking ones also DAEMON_GONE and NOT_QUORATE, VERSION, PROTOCOL.
 */
#ifndef LIBLOCK_BARRIER_H
#define LIBLOCK_BARRIER_H

#include <liblock/lock.h>
#include <liblock/query.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that a participant can bring along for the others. */
#define LOCK_BARRIER_VALUE_MAX 256

/* Deaths that an outcome names, at most: the first. */
#define LOCK_BARRIER_LOST_MAX 64

enum lock_barrier_unit {
  LOCK_BARRIER_SESSIONS = 0, /* `parties` clients have to arrive. */
  LOCK_BARRIER_NODES = 1     /* From so many nodes one client at least. */
};

/* What the end of a participant does to the others: of its process, its session, or (unit NODES) of
 * a member node of the lockspace. Of a barrier over all members the end of one that is waited for
 * counts too. */
enum lock_barrier_on_death {
  LOCK_BARRIER_BREAK = 0,  /* All are told BROKEN, and who it was. */
  LOCK_BARRIER_SHRINK = 1, /* It is not waited for any more. Of all members only: parties 0. */
  LOCK_BARRIER_WAIT = 2    /* Somebody else has to come in its place. */
};

enum lock_barrier_flag {
  LOCK_BARRIER_TWO_STEPS = 1, /* Who was released is inside, and leaves by lock_barrier_leave(),
                                 which releases when all have left. */
  LOCK_BARRIER_KEEP = 2       /* Stays when nobody is there, until lock_barrier_delete(). Else it
                                 ends with its generation, and the next arrival creates it anew. */
};

/* Which barrier, and what it is to be: all of it has to agree with what it was created with, but
 * for KEEP and patience_ms, which the first one decides. The first arrival creates it. Zero means
 * the default in each field. */
typedef struct lock_barrier {
  size_t size;           /* sizeof(lock_barrier). */
  const char* lockspace; /* 1 to 64 bytes and a 0; NULL: "default". */
  const void* name;      /* 1 to 255 arbitrary bytes. */
  size_t name_len;
  unsigned parties; /* Up to 4,096; 0: all members of the lockspace (liblock/lockspace.h), as it is
                       at each moment. */
  enum lock_barrier_unit unit;
  enum lock_barrier_on_death on_death;
  unsigned flags;       /* Of enum lock_barrier_flag. */
  unsigned patience_ms; /* How long a step may wait, from its first arrival, by the daemons' clocks:
                           then it breaks for all. 0: without end. */
} lock_barrier;

enum lock_barrier_step { LOCK_BARRIER_ENTER = 0, LOCK_BARRIER_LEAVE = 1 };

enum lock_barrier_ending {
  LOCK_BARRIER_RELEASED = 0,
  LOCK_BARRIER_DIED = 1, /* This and what follows: broken. */
  LOCK_BARRIER_TIMED_OUT = 2,
  LOCK_BARRIER_CANCELLED = 3,
  LOCK_BARRIER_DELETED = 4
};

typedef struct lock_barrier_member {
  uint64_t session; /* Unique for ever. */
  uint32_t node;    /* Whose daemon served it when it arrived. */
  const void* value;
  size_t value_len;
} lock_barrier_member;

typedef struct lock_barrier_lost {
  uint64_t session; /* 0: a whole node. */
  uint32_t node;
} lock_barrier_lost;

/* How a step ended: the same for all its participants. */
typedef struct lock_barrier_outcome {
  size_t size; /* The library's. */
  enum lock_barrier_ending ending;
  enum lock_barrier_step step;
  uint64_t generation;    /* This use of the barrier. Unique and growing, drawn from the counter of
                             fencing tokens: it can serve as one. */
  uint64_t self;          /* This client's session, among `members`. */
  uint64_t ring_sequence; /* The configuration in which it was ordered. */
  uint32_t ring_node;
  uint64_t ring_nonce;
  uint64_t membership;                /* Generation of the lockspace's members
                                         (lock_lockspace_info.generation); 0: nobody joined it. */
  const lock_barrier_member* members; /* By session. */
  size_t members_len;
  const lock_barrier_lost* lost; /* The first LOCK_BARRIER_LOST_MAX, */
  size_t lost_len;
  uint64_t losses; /* of so many. */
} lock_barrier_outcome;

/* Frees what a blocking call has given. NULL is fine. */
LOCK_API void lock_barrier_outcome_free(lock_barrier_outcome* outcome);

/* Arrives with `value` (value_len up to LOCK_BARRIER_VALUE_MAX; NULL if that is 0), and waits up to
 * timeout_ms (negative: without end) for the outcome. 0: released. BROKEN: *outcome says why and
 * who. TIMEOUT: we did not want to wait any longer; the arrival was taken back, nobody was
 * released with us, and nobody is kept from going on with another. If it is too late to take it
 * back, the outcome is told instead. DAEMON_GONE, NOT_QUORATE: the time is over, and nobody knows:
 * the library goes on taking it back; the session remains responsible if others were released with
 * us meanwhile. DIFFERENT: the barrier is there, created otherwise. IN_PROGRESS: this client waits
 * at it already, or is inside. NOT_JOINED: the barrier is of all members, and we are none. BUSY: as
 * many as it is for have arrived, and wait for those inside. LOST: the session has ended.
 * *outcome (`outcome` may be NULL) is NULL unless 0 or BROKEN is returned; else yours to free. */
LOCK_API int lock_barrier_wait(lock_client* client, const lock_barrier* barrier, const void* value,
                               size_t value_len, int timeout_ms, lock_barrier_outcome** outcome);

/* The same in two parts, as of std::barrier. lock_barrier_arrive() asks and returns at once;
 * *arrival names it. Then lock_barrier_await() waits for the outcome, once, as
 * lock_barrier_wait() does; it answers NOT_HELD if there is no such arrival, and with timeout_ms 0
 * BUSY if there is no outcome yet: then the arrival goes on. */
LOCK_API int lock_barrier_arrive(lock_client* client, const lock_barrier* barrier,
                                 const void* value, size_t value_len, uint64_t* arrival);
LOCK_API int lock_barrier_await(lock_client* client, uint64_t arrival, int timeout_ms,
                                lock_barrier_outcome** outcome);

/* Of a barrier with two steps: leaves `generation`, as the outcome of entering said, and waits for
 * all others to leave. While we are inside, the second step may have broken already; then its
 * outcome is told at once. TIMEOUT: we have left, and others have not; asking again goes on
 * waiting. NOT_FOUND: this client is not inside. The rest as lock_barrier_wait(). */
LOCK_API int lock_barrier_leave(lock_client* client, uint64_t generation, const void* value,
                                size_t value_len, int timeout_ms, lock_barrier_outcome** outcome);

/* Called once, in lock_dispatch(): `error` as the blocking twin would return it, `outcome` not NULL
 * if that is 0 or BROKEN; it ends with the callback. `arrival` is what the call gave. */
typedef void lock_barrier_fn(lock_client* client, uint64_t arrival, int error,
                             const lock_barrier_outcome* outcome, void* arg);

/* *arrival may be NULL. On error the callback does not follow. */
LOCK_API int lock_barrier_wait_async(lock_client* client, const lock_barrier* barrier,
                                     const void* value, size_t value_len, lock_barrier_fn* callback,
                                     void* arg, uint64_t* arrival);
LOCK_API int lock_barrier_leave_async(lock_client* client, uint64_t generation, const void* value,
                                      size_t value_len, lock_barrier_fn* callback, void* arg);

/* Takes an arrival back and returns at once: its callback, or lock_barrier_await(), tells
 * CANCELLED, or the outcome if that came first in the order. NOT_HELD: no such arrival (any more).
 * A leave can not be taken back. */
LOCK_API int lock_barrier_withdraw(lock_client* client, uint64_t arrival);

/* Called when the second step breaks while this client is inside and has not asked to leave;
 * lock_barrier_leave() tells it again. Runs in lock_dispatch(). NULL: nobody is called. */
typedef void lock_barrier_broken_fn(lock_client* client, const lock_barrier_outcome* outcome,
                                    void* arg);
LOCK_API int lock_on_barrier_broken(lock_client* client, lock_barrier_broken_fn* callback,
                                    void* arg);

/* What follows is for who keeps barriers (LOCK_BARRIER_KEEP), or ends those of others. All block up
 * to answer_timeout_ms. LOST: the session ended before there was a word. */

/* Makes sure that it is there: DIFFERENT if it is, created otherwise. */
LOCK_API int lock_barrier_create(lock_client* client, const lock_barrier* barrier);

enum lock_barrier_attribute {
  LOCK_BARRIER_ATTRIBUTE_KEEP = 0,    /* 0 or 1, at any time. */
  LOCK_BARRIER_ATTRIBUTE_PARTIES = 1, /* While nobody is there: else BUSY. */
  LOCK_BARRIER_ATTRIBUTE_PATIENCE_MS = 2
};

/* NOT_FOUND. Of `barrier` only lockspace and name count, here and below. */
LOCK_API int lock_barrier_change(lock_client* client, const lock_barrier* barrier,
                                 enum lock_barrier_attribute attribute, unsigned value);

/* Breaks it for all who are there, CANCELLED. NOT_FOUND: no such barrier, or nobody is there. */
LOCK_API int lock_barrier_cancel(lock_client* client, const lock_barrier* barrier);

/* Ends it: BUSY if somebody is there; with `force` not 0 it is broken for them, DELETED. NOT_FOUND.
 */
LOCK_API int lock_barrier_delete(lock_client* client, const lock_barrier* barrier, int force);

/* A step of a barrier as it is seen in listings. Entering: `arrived` clients (or nodes), and
 * `missing` that have to come. Inside: so many have left, and so many have not. */
typedef struct lock_barrier_round {
  uint64_t generation; /* 0: nobody is there. */
  uint32_t arrived;
  uint32_t missing;
} lock_barrier_round;

typedef struct lock_barrier_item {
  size_t size;        /* The library's. */
  lock_barrier about; /* Its texts end with the visit; both end with a 0. */
  lock_barrier_round entering;
  lock_barrier_round inside;
} lock_barrier_item;

/* Visits all barriers of a lockspace (NULL: of all), by lockspace and name, as this daemon knows
 * them, quorum or not: see lock_list() in liblock/query.h, which says the rest. `visit` returns 0
 * to go on. */
typedef int lock_barrier_visit_fn(const lock_barrier_item* item, void* arg);
LOCK_API int lock_barriers(lock_client* client, const char* lockspace, lock_barrier_visit_fn* visit,
                           void* arg);

#ifdef __cplusplus
}
#endif

#endif
