/* The barriers of CMAN's libcman over those of lockd: the four calls, and what it takes to have a
 * handle; nothing else of libcman is here. Programs are compiled for it and linked with -lcman. New
 * ones use liblock/barrier.h, which says who was there and who died.
 *
 * As it was: a barrier is registered, perhaps changed, enabled by whoever arrives, waited for, and
 * deleted; it serves once, and when it is over its end is told to every further wait until it is
 * deleted, or told once if it deletes itself. What is counted are nodes. All calls return 0, or -1
 * with errno.
 *
 * What is other than there, for the better:
 * - An arrival counts once, and for the use of the barrier that it was made for: there, messages
 *   were counted, late ones of an earlier use too, and those that came before the barrier was
 *   registered here were lost.
 * - Who is told success was told so with all others: there, a time-out or a death could end the
 *   barrier for some of them. Who gave up (time-out, ESRCH, delete) does not count for the others.
 * - A barrier that deletes itself stays until a wait has been told its end, or it is registered
 *   anew: there it went with its end, and who waited too late was not told.
 * - That a program ends while it has arrived is told to the others as the death of a node is; there
 *   it went unnoticed. After cman_barrier_delete() or cman_finish() it is no death.
 *
 * And for other reasons:
 * - Barriers belong to the handle that has registered them; several handles of a node count as one.
 * - "All nodes" (0) are those where a program has called cman_init() since their lockd started.
 * - The number of nodes is compared when nodes arrive: EINVAL then, if others are there with
 * another one.
 * - A time-out is that of the first who arrives, from then on and for all. Who has a shorter one of
 *   its own gives up alone, up to a second after it.
 * - Nobody is released without a quorum: see ENOTCONN.
 * - A handle has a thread, which keeps its arrivals alive; no handler of the program runs in it.
 * Any call can be made from any thread at any time, but cman_finish(), which is the last. After
 * fork() a handle is the parent's alone.
 */
#ifndef RINGLOCK_LIBCMAN_H
#define RINGLOCK_LIBCMAN_H

#ifdef __cplusplus
extern "C" {
#endif

#define LIBCMAN_VERSION 3

typedef void* cman_handle_t;

/* With the zero. */
#define MAX_BARRIER_NAME_LEN 33

/* Flags of cman_barrier_register(). */
#define BARRIER_ATTR_AUTODELETE 1
#define BARRIER_ATTR_MULTISTEP 2 /* EINVAL, as there. */
#define BARRIER_ATTR_MANUAL 4    /* Nothing, as there. */
#define BARRIER_ATTR_ENABLED 8   /* Nothing, as there: see cman_barrier_change(). */
#define BARRIER_ATTR_CALLBACK 16 /* EINVAL: of the kernel's interface. */

/* Attributes for cman_barrier_change(). */
#define BARRIER_SETATTR_AUTODELETE 1
#define BARRIER_SETATTR_MULTISTEP 2
#define BARRIER_SETATTR_ENABLED 3
#define BARRIER_SETATTR_NODES 4
#define BARRIER_SETATTR_CALLBACK 5
#define BARRIER_SETATTR_TIMEOUT 6

/* A connection to the daemon at the environment's LOCKD_SOCKET, or at /run/lockd/lockd.sock; the
 * same for both. NULL with errno: ECONNREFUSED (no daemon), ENOTCONN (no quorum within 5 s),
 * EACCES, ENOMEM. `privdata` is for calls that are not here. */
extern cman_handle_t cman_init(void* privdata);
extern cman_handle_t cman_admin_init(void* privdata);

/* Takes all arrivals back that wait, and forgets its barriers. EINVAL: no handle, here and below.
 */
extern int cman_finish(cman_handle_t handle);

/* So that this handle can use it: 1 to 32 bytes, up to 4,096 nodes, 0: all of them. EINVAL; or it
 * is registered here already, with another number. If with the same, nothing is changed. */
extern int cman_barrier_register(cman_handle_t handle, const char* name, int flags, int nodes);

/* ENOENT: not registered, here and below. `attribute` is one of:
 * - ENABLED, 1: this node arrives, and nobody waits; 0 is EINVAL. ENOMEM: a limit is reached.
 * - AUTODELETE, 0 or not.
 * - NODES, TIMEOUT (seconds; 0: none): before it is enabled, else EINVAL.
 * All others are EINVAL. If the barrier is over, nothing is changed, and that is success. */
extern int cman_barrier_change(cman_handle_t handle, const char* name, int attribute, int arg);

/* Arrives, if that is still to be done, and waits for the end:
 * - 0: all are there; of "all nodes" those who are left.
 * - ESRCH: a node is gone, or one that had arrived: decide anew. Not of "all nodes".
 * - ETIMEDOUT. ECONNRESET: somebody has cancelled it (lockctl barrier --cancel), or deleted it
 * here.
 * - ENOTCONN: no daemon, or none with a quorum, for 10 s, or for so long that the session has
 * ended.
 * - EINVAL: others are there with another number of nodes. EACCES, ENOMEM.
 * - EINTR: a signal was handled; nothing has ended, and it can be waited for again. */
extern int cman_barrier_wait(cman_handle_t handle, const char* name);

/* Forgets it. An arrival that waits is taken back: waits for the answer, up to 5 s. */
extern int cman_barrier_delete(cman_handle_t handle, const char* name);

#ifdef __cplusplus
}
#endif

#endif
