/* The handle type that callbacks of corosync/evs.h are given. */
#ifndef COROSYNC_HDB_H
#define COROSYNC_HDB_H

#include <stdint.h>

typedef uint64_t hdb_handle_t;

#endif
