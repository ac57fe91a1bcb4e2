/* Lockspaces as things that nodes join and leave, and whose members users are told of. Locks can be
 * taken in a lockspace that nobody has joined; who has to know which nodes use it, and when the
 * locks of one that failed are about to be given to others, joins it (docs/locks.md). A lockspace
 * outlives the processes that joined it: it is left by lock_leave_lockspace() only.
 *
 * A client can have 64 joins. When its session is lost, the next one repeats them, before it asks
 * for locks. Errors of all calls: INVALID, LIMIT, FORKED, SYSTEM; of blocking ones, which take up
 * to answer_timeout_ms, also DAEMON_GONE and NOT_QUORATE (no word yet; the library goes on asking),
 * VERSION, PROTOCOL.
 */
#ifndef LIBLOCK_LOCKSPACE_H
#define LIBLOCK_LOCKSPACE_H

#include <liblock/lock.h>

#ifdef __cplusplus
extern "C" {
#endif

enum lock_join_kind {
  LOCK_JOIN_OPEN = 0,      /* Only if this node is in it: else NOT_FOUND. */
  LOCK_JOIN_CREATE = 1,    /* This node joins, or is in it once more. */
  LOCK_JOIN_CREATE_NEW = 2 /* Only if this node is not in it: else EXISTS. */
};

/* Makes this client a user of `lockspace` (1 to 64 bytes and a 0). `permissions`: of its owner,
 * group and others, as of a file; 0: 0600. NOT_FOUND, EXISTS, PERMISSION. */
LOCK_API int lock_join_lockspace(lock_client* client, const char* lockspace,
                                 enum lock_join_kind kind, unsigned permissions);
LOCK_API int lock_join_lockspace_async(lock_client* client, const char* lockspace,
                                       enum lock_join_kind kind, unsigned permissions,
                                       lock_done_fn* callback, void* arg);

/* Undoes one create of this node. The last one takes the node out of the lockspace: BUSY if
 * a user of it on this node, or this client, has locks; with `force` not 0, the sessions of its
 * other users on this node end, and they are told that their locks are lost. NOT_FOUND, PERMISSION;
 * LOST: the session ended before there was a word. */
LOCK_API int lock_leave_lockspace(lock_client* client, const char* lockspace, int force);
LOCK_API int lock_leave_lockspace_async(lock_client* client, const char* lockspace, int force,
                                        lock_done_fn* callback, void* arg);

typedef struct lock_lockspace_member {
  uint32_t node;
  uint32_t slot; /* From 1; a node's own while it is a member. */
} lock_lockspace_member;

/* Borrowed: ends with the callback. */
typedef struct lock_lockspace_info {
  size_t size; /* The library's. */
  const char* lockspace;
  int error;           /* Not 0: a new session could not join it again, and nothing else here is
                          set; the client is not a user of it any more. */
  uint64_t generation; /* Grows with each change of members. */
  int recovered;       /* No locks of failed members are left. */
  const lock_lockspace_member* members;
  size_t members_len;
  const lock_lockspace_member* failed; /* Since the last generation that was recovered. */
  size_t failed_len;
} lock_lockspace_info;

/* Called when a lockspace was joined, and whenever its members change. When members fail, it is
 * called twice: first with those in `failed`, when their locks are about to be given to others,
 * then with `recovered`; after a reconnect, once more. Runs in lock_dispatch(), after losses and
 * before notifications; of several changes between two dispatches the last is told, with all that
 * failed. NULL: nobody is called. */
typedef void lock_lockspace_fn(lock_client* client, const lock_lockspace_info* info, void* arg);
LOCK_API int lock_on_lockspace(lock_client* client, lock_lockspace_fn* callback, void* arg);

#ifdef __cplusplus
}
#endif

#endif
