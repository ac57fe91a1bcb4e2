/* Questions to the daemon about locks, the cluster and itself. Answered from its own table, without
 * a quorum too: `stale` then says that it is what was known last. Each call blocks up to
 * answer_timeout_ms for each page and may be made on any client; callbacks run in the calling
 * thread, before the call returns. All texts and pointers are the library's and end with the
 * callback, or with the next query of this client.
 * Errors: DAEMON_GONE, INVALID, FORKED, VERSION, PROTOCOL, SYSTEM.
 */
#ifndef LIBLOCK_QUERY_H
#define LIBLOCK_QUERY_H

#include <liblock/lock.h>
#include <liblock/lockspace.h>
#include <liblock/request.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Names are arbitrary bytes with a length; there is a 0 behind them for convenience. */
typedef struct lock_bytes {
  const char* data;
  size_t len;
} lock_bytes;

typedef struct lock_list_item {
  lock_bytes lockspace;
  lock_bytes name;
  uint32_t granted;
  uint32_t waiting; /* Requests and conversions; who converts is among the granted ones too. */
  enum lock_mode
      mode; /* The strongest granted one; token, node and command are of the first granted lock. */
  uint64_t token;
  uint32_t node;
  int orphaned; /* That holder's daemon is gone or has hung up, and the wait for its lease is not
                   over. */
  lock_bytes command;
  int stale;
} lock_list_item;

/* Return 0 to go on; anything else ends the listing, and is returned by it. */
typedef int lock_list_fn(const lock_list_item* item, void* arg);

/* All resources whose name begins with `prefix` (NULL, 0: all) of `lockspace` (NULL: of all
 * lockspaces), in no particular order. */
LOCK_API int lock_list(lock_client* client, const char* lockspace, const void* prefix,
                       size_t prefix_len, lock_list_fn* callback, void* arg);

typedef struct lock_show_item {
  int granted;         /* Else it holds nothing and waits; these come in the order of the queue. */
  enum lock_mode mode; /* Held, or waited for by one that holds nothing. */
  uint64_t token;      /* 0 while it waits. */
  uint64_t session;
  uint64_t request;
  uint32_t node;
  int orphaned;
  uint32_t pid; /* 0: not known. */
  uint32_t uid;
  lock_bytes command;
  int stale;
  int waiting;          /* It waits; if it is granted, too, for its conversion. */
  enum lock_mode wants; /* What it waits for. */
  uint32_t flags;       /* Of liblock/request.h. */
  uint32_t position;    /* Of a waiting one in its queue, from 1: of conversions, or of requests. */
  uint32_t since;    /* Granted, or waiting, since: seconds of 1970, by the clock of the node that
                        ordered it. */
  uint64_t owner;    /* 0: nobody. */
  int orphan;        /* Its process has ended: it waits to be taken over, or dropped. */
  int has_value;     /* Its resource's value was written, or marked: the same with each lock. */
  int value_invalid; /* Whoever could write it last did not finish. */
  unsigned char value[LOCK_VALUE_SIZE];
} lock_show_item;

typedef int lock_show_fn(const lock_show_item* item, void* arg);

/* All locks of one resource, granted ones first. None: it is free. `lockspace` NULL: "default". */
LOCK_API int lock_show(lock_client* client, const char* lockspace, const void* name,
                       size_t name_len, lock_show_fn* callback, void* arg);

typedef struct lock_counter {
  lock_bytes name;
  uint64_t value;
} lock_counter;

/* The library fills as many of its fields as `size` says. */
typedef struct lock_status_info {
  size_t size; /* sizeof(lock_status_info). */
  uint32_t node;
  int primary; /* In an active primary component, with a table. */
  int voter;   /* 0: an amnesiac, or it cannot write its record. */
  uint64_t epoch;
  uint64_t ring_sequence;
  uint32_t ring_representative;
  uint64_t ring_nonce;
  uint32_t votes;
  uint32_t quorum;
  uint32_t votes_configured;
  uint32_t holders; /* Members that hold the whole table. */
  uint64_t lease_ns;
  uint64_t sessions;
  uint64_t resources;
  uint64_t locks;
  uint64_t waiting;
  uint64_t orphaned; /* Sessions. */
  lock_bytes cluster;
  lock_bytes daemon; /* Its version. */
  lock_bytes state;  /* One word. */
  const lock_counter* counters;
  size_t counters_len;
} lock_status_info;

LOCK_API int lock_status(lock_client* client, lock_status_info* info);

enum lock_member_state {
  LOCK_MEMBER_ABSENT = 0,
  LOCK_MEMBER_IN_RING = 1,
  LOCK_MEMBER_LOADING = 2,
  LOCK_MEMBER_ACTIVE = 3
};

typedef struct lock_member {
  uint32_t node;
  uint64_t incarnation; /* 0: not known. */
  uint32_t votes;
  int witness;
  int self; /* The daemon that was asked. */
  enum lock_member_state state;
  lock_bytes address;
} lock_member;

typedef int lock_member_fn(const lock_member* member, void* arg);

/* Every configured node, by id. */
LOCK_API int lock_members(lock_client* client, lock_member_fn* callback, void* arg);

enum lock_ring_state {
  LOCK_RING_OPERATIONAL = 0, /* The ring stands; in the others a new one is being formed. */
  LOCK_RING_GATHER = 1,
  LOCK_RING_COMMIT = 2,
  LOCK_RING_RECOVERY = 3,
  LOCK_RING_LEFT = 4
};

/* One configured node, as the daemon that was asked sees it. */
typedef struct lock_ring_peer {
  uint32_t node;
  int self;
  uint64_t incarnation;  /* 0: not a member of the ring. */
  uint64_t acknowledged; /* A member is known to have all packets up to this one. */
  int heard;             /* Something of it has come, so long ago: */
  uint64_t heard_ago_ns;
  int barred;   /* Not heard for a while, because it ended rings without being in the next one. */
  uint16_t key; /* Seals with this one; 0: not heard. */
} lock_ring_peer;

/* The library fills as many of its fields as `size` says. Numbers of packets are places in the
 * order of the ring, windows are in packets. */
typedef struct lock_ring_info {
  size_t size; /* sizeof(lock_ring_info). */
  enum lock_ring_state state;
  uint64_t ring_sequence; /* Of the ring that was formed last. */
  uint32_t ring_representative;
  uint64_t ring_nonce;
  uint64_t rotation_ns; /* The token's, from visit to visit; on an idle ring it rests on its way. */
  uint64_t rotation_average_ns;
  uint64_t rotation_longest_ns;
  uint64_t highest;          /* The last packet known here, */
  uint64_t received;         /* the last one before a gap, */
  uint64_t stable;           /* the last one that everybody is known to have, */
  uint64_t delivered;        /* and the last one delivered here. */
  uint64_t stored;           /* Packets kept here. */
  uint64_t waiting_messages; /* For the token. */
  uint64_t waiting_bytes;
  uint64_t waiting_bytes_max;
  uint64_t waiting_datagrams;  /* For the socket. */
  uint32_t personal_window;    /* A member sends so many in a visit of the token, */
  uint32_t rotation_window;    /* all of them in a rotation, */
  uint32_t accelerated_window; /* so many of a visit after the token; */
  uint32_t outstanding_max;    /* and so many may be numbered that not everybody has. */
  const lock_ring_peer* peers; /* By id. */
  size_t peers_len;
} lock_ring_info;

LOCK_API int lock_ring_status(lock_client* client, lock_ring_info* info);

/* Something that happened to the ring of the daemon that was asked. */
typedef struct lock_ring_event {
  uint64_t number;        /* 1, 2, 3, ... since the daemon started. */
  uint64_t ago_ns;        /* When it came first, counted from the answer, */
  uint64_t lasted_ns;     /* and how long it came again, */
  uint32_t times;         /* so many times. */
  lock_bytes event;       /* A word. */
  uint64_t ring_sequence; /* The ring in question. */
  uint32_t ring_representative;
  uint64_t ring_nonce;
  uint32_t node;   /* Whom it is about; 0: nobody. */
  lock_bytes text; /* The rest, in words. May be empty. */
} lock_ring_event;

typedef int lock_ring_log_fn(const lock_ring_event* event, void* arg);

/* What happened with numbers above `since`, oldest first. The daemon keeps the last 512. */
LOCK_API int lock_ring_log(lock_client* client, uint64_t since, lock_ring_log_fn* callback,
                           void* arg);

/* A member that left or came. */
typedef struct lock_why_member {
  uint32_t node;
  uint64_t incarnation;
  int came;       /* Else it left. One that did both stands twice. */
  lock_bytes why; /* In words. */
} lock_why_member;

/* The library fills as many of its fields as `size` says. */
typedef struct lock_why_info {
  size_t size; /* sizeof(lock_why_info). */
  int changed; /* 0: nothing is known of such a change, and the rest says nothing. */
  uint64_t ring_sequence;
  uint32_t ring_representative;
  uint64_t ring_nonce;
  uint64_t ago_ns;       /* When it was formed, counted from the answer, */
  uint64_t took_ns;      /* and how long that took; 0: not known. */
  lock_bytes trigger;    /* What ended the ring before, in words. */
  const uint32_t* nodes; /* Of its members. */
  size_t nodes_len;
  const lock_why_member* changes; /* Those who left come first. */
  size_t changes_len;
} lock_why_info;

/* Why the configuration changed, as far as the daemon that was asked knows: the last time if `back`
 * is 0, the time before if it is 1, and so on. */
LOCK_API int lock_why(lock_client* client, uint32_t back, lock_why_info* info);

/* The deadlocks that the cluster has ended by refusing a request or a conversion: the last one if
 * `back` is 0, the one before if it is 1, and so on; the last 16 are kept. Copies up to `count`
 * steps
 * (`steps` may be NULL if that is 0) as lock_deadlock() does, and returns how many there are.
 * `*session` and `*request` (NULL is fine) become whose it was that came to nothing, and which: the
 * number of the acquire or of the conversion. Also NOT_FOUND: there is no such. */
LOCK_API int lock_past_deadlock(lock_client* client, uint32_t back, uint64_t* session,
                                uint64_t* request, lock_deadlock_step* steps, size_t count);

/* A lockspace that nodes have joined. */
typedef struct lock_lockspace_item {
  lock_bytes name;
  uint64_t generation; /* Grows with each change of members. */
  int recovered;       /* No locks of failed members are left. */
  const lock_lockspace_member* members;
  size_t members_len;
  const lock_lockspace_member* failed; /* Since the last generation that was recovered. */
  size_t failed_len;
  uint32_t uid;
  uint32_t gid;
  unsigned permissions; /* Of owner, group and others, as of a file. */
  int stale;
} lock_lockspace_item;

typedef int lock_lockspaces_fn(const lock_lockspace_item* item, void* arg);

/* All of them, by name. Lockspaces that are used without being joined are not among them. */
LOCK_API int lock_lockspaces(lock_client* client, lock_lockspaces_fn* callback, void* arg);

#ifdef __cplusplus
}
#endif

#endif
