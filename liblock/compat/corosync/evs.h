/* The historical EVS API of openais and corosync, source-compatible, over lockd. New programs use
 * liblock/evs.h, which also tells kinds of configurations and guarantees of messages.
 *
 * As it always was: groups are 32 bytes and a local filter; a message is delivered once per handle
 * if handle and message have a group in common; two configuration callbacks follow a change, first
 * of those who go on together (with who left), then of those who are there (with who joined); one
 * describes the configuration that stands, right after evs_initialize().
 *
 * What it always should have been: the guarantee is kept, EVS_TYPE_SAFE too; ring_id is told; the
 * number of iovec entries is checked; nothing needs a quorum; CS_ERR_TRY_AGAIN is followed by a
 * readable descriptor when there is room again. */
#ifndef COROSYNC_EVS_H_DEFINED
#define COROSYNC_EVS_H_DEFINED

#include <corosync/corotypes.h>
#include <corosync/hdb.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t evs_handle_t;

typedef enum {
  EVS_TYPE_UNORDERED, /* The same as agreed. */
  EVS_TYPE_FIFO,      /* The same as agreed. */
  EVS_TYPE_AGREED,
  EVS_TYPE_SAFE
} evs_guarantee_t;

#define TOTEMIP_ADDRLEN (sizeof(struct in6_addr))

struct evs_group {
  char key[32];
};

/* The representative's node id, and the ring's sequence number. */
struct evs_ring_id {
  unsigned int nodeid;
  unsigned long long seq;
};

typedef void (*evs_deliver_fn_t)(hdb_handle_t handle, unsigned int nodeid, const void* msg,
                                 size_t msg_len);

typedef void (*evs_confchg_fn_t)(hdb_handle_t handle, const unsigned int* member_list,
                                 size_t member_list_entries, const unsigned int* left_list,
                                 size_t left_list_entries, const unsigned int* joined_list,
                                 size_t joined_list_entries, const struct evs_ring_id* ring_id);

typedef struct {
  evs_deliver_fn_t evs_deliver_fn;
  evs_confchg_fn_t evs_confchg_fn;
} evs_callbacks_t;

/* `callbacks`, and each of them, may be NULL: such events are dropped. The daemon is the one at the
 * environment's LOCKD_SOCKET, or at /run/lockd/lockd.sock. TRY_AGAIN: no daemon answers, or it is
 * busy; ACCESS; NO_RESOURCES: it has as many instances as it may; VERSION; LIBRARY. */
cs_error_t evs_initialize(evs_handle_t* handle, evs_callbacks_t* callbacks);

/* From any thread: a blocked evs_dispatch() returns CS_OK. A second time: BAD_HANDLE. */
cs_error_t evs_finalize(evs_handle_t handle);

/* To be polled, not read. Readable: evs_dispatch() has something to do. */
cs_error_t evs_fd_get(evs_handle_t handle, int* fd);

cs_error_t evs_context_get(evs_handle_t handle, void** context);
cs_error_t evs_context_set(evs_handle_t handle, void* context);

/* ONE waits for an event; ALL takes what is there; BLOCKING goes on until evs_finalize();
 * ONE_NONBLOCKING answers TRY_AGAIN if there is nothing. LIBRARY: the daemon is gone, or hung up on
 * a program that did not dispatch in time. */
cs_error_t evs_dispatch(evs_handle_t handle, cs_dispatch_flags_t dispatch_types);

/* A group that is joined several times has to be left as often. TOO_MANY_GROUPS: over 50 in one
 * call, or 256 in all. */
cs_error_t evs_join(evs_handle_t handle, const struct evs_group* groups, size_t group_cnt);

/* NOT_EXIST: one was not joined; those before it are left. */
cs_error_t evs_leave(evs_handle_t handle, const struct evs_group* groups, size_t group_cnt);

/* To the joined groups; to none is no error and reaches nobody. TRY_AGAIN; INVALID_PARAM: over a
 * MiB in all, over 1024 pieces, or no such guarantee. */
cs_error_t evs_mcast_joined(evs_handle_t handle, evs_guarantee_t guarantee,
                            const struct iovec* iovec, unsigned int iov_len);

/* To any groups. TOO_MANY_GROUPS: over 256. */
cs_error_t evs_mcast_groups(evs_handle_t handle, evs_guarantee_t guarantee,
                            const struct evs_group* groups, size_t group_cnt,
                            const struct iovec* iovec, unsigned int iov_len);

/* The members of the configuration last told. *member_list_entries has the room of the list, and
 * then how many were written. Each pointer may be NULL. */
cs_error_t evs_membership_get(evs_handle_t handle, unsigned int* local_nodeid,
                              unsigned int* member_list, size_t* member_list_entries);

#ifdef __cplusplus
}
#endif

#endif
