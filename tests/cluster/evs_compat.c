/* A program for the historical EVS API, as it would have been written for it, against a real daemon
 * (LOCKD_SOCKET). Without arguments it checks the calls; with `watch` it prints what it is told
 * until its first message. tests/cluster/evs_test.py runs both. */
#define CS_OLD_NAMES
#include <corosync/evs.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition)                                             \
  do {                                                                \
    if (!(condition)) {                                               \
      fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition); \
      exit(1);                                                        \
    }                                                                 \
  } while (0)

static unsigned int delivered;
static unsigned int configured;
static unsigned int last_node;
static size_t last_length;
static char last_text[64];
static int watching;

static void print_list(const char* name, const unsigned int* list, size_t count) {
  size_t i;
  printf(" %s", name);
  for (i = 0; i < count; ++i) printf(" %u", list[i]);
}

static void deliver(hdb_handle_t handle, unsigned int nodeid, const void* msg, size_t msg_len) {
  (void)handle;
  ++delivered;
  last_node = nodeid;
  last_length = msg_len;
  memset(last_text, 0, sizeof last_text);
  memcpy(last_text, msg, msg_len < sizeof last_text - 1 ? msg_len : sizeof last_text - 1);
}

static void confchg(hdb_handle_t handle, const unsigned int* member_list, size_t members,
                    const unsigned int* left_list, size_t left, const unsigned int* joined_list,
                    size_t joined, const struct evs_ring_id* ring_id) {
  (void)handle;
  ++configured;
  EXPECT(ring_id != NULL && ring_id->nodeid != 0 && ring_id->seq != 0);
  if (!watching) return;
  print_list("members", member_list, members);
  print_list("left", left_list, left);
  print_list("joined", joined_list, joined);
  printf("\n");
  fflush(stdout);
}

static evs_callbacks_t callbacks = {deliver, confchg};

static struct evs_group group_of(const char* name) {
  struct evs_group group;
  memset(&group, 0, sizeof group);
  memcpy(group.key, name, strlen(name));
  return group;
}

static void dispatch_until(evs_handle_t handle, unsigned int wanted) {
  while (delivered < wanted) EXPECT(evs_dispatch(handle, EVS_DISPATCH_ONE) == EVS_OK);
}

static void* blocked(void* arg) {
  static evs_error_t error;
  error = evs_dispatch(*(evs_handle_t*)arg, EVS_DISPATCH_BLOCKING);
  return &error;
}

static int watch(void) {
  evs_handle_t handle;
  struct evs_group group = group_of("old");
  watching = 1;
  EXPECT(evs_initialize(&handle, &callbacks) == EVS_OK);
  EXPECT(evs_join(handle, &group, 1) == EVS_OK);
  dispatch_until(handle, 1);
  printf("message of %u: %s\n", last_node, last_text);
  return 0;
}

static void multicasts(evs_handle_t handle) {
  struct evs_group groups[2];
  struct iovec pieces[1025];
  static char longest[1024 * 1024 + 1];
  unsigned int i;
  groups[0] = group_of("a");
  groups[1] = group_of("b");
  for (i = 0; i < 1025; ++i) {
    pieces[i].iov_base = "x";
    pieces[i].iov_len = 1;
  }
  /* To no group joined: no error, and nobody is reached. */
  EXPECT(evs_mcast_joined(handle, EVS_TYPE_SAFE, pieces, 1) == EVS_OK);
  EXPECT(evs_join(handle, groups, 1) == EVS_OK);
  EXPECT(evs_mcast_joined(handle, EVS_TYPE_SAFE, pieces, 5) == EVS_OK);
  dispatch_until(handle, 1);
  EXPECT(last_length == 5 && strcmp(last_text, "xxxxx") == 0);
  EXPECT(evs_mcast_groups(handle, EVS_TYPE_AGREED, groups + 1, 1, pieces, 3) == EVS_OK);
  EXPECT(evs_mcast_groups(handle, EVS_TYPE_FIFO, groups, 2, pieces, 1024) == EVS_OK);
  dispatch_until(handle, 2);
  EXPECT(last_length == 1024);
  /* Over the limits. */
  EXPECT(evs_mcast_groups(handle, EVS_TYPE_AGREED, groups, 1, pieces, 1025) ==
         EVS_ERR_INVALID_PARAM);
  EXPECT(evs_mcast_groups(handle, (evs_guarantee_t)4, groups, 1, pieces, 1) ==
         EVS_ERR_INVALID_PARAM);
  pieces[0].iov_base = longest;
  pieces[0].iov_len = sizeof longest;
  EXPECT(evs_mcast_joined(handle, EVS_TYPE_AGREED, pieces, 1) == EVS_ERR_INVALID_PARAM);
  pieces[0].iov_len = sizeof longest - 1;
  EXPECT(evs_mcast_joined(handle, EVS_TYPE_AGREED, pieces, 1) == EVS_OK);
  dispatch_until(handle, 3);
  EXPECT(last_length == sizeof longest - 1);
  /* TRY_AGAIN, and a descriptor that says when to go on. */
  EXPECT(evs_leave(handle, groups, 1) == EVS_OK);
  for (i = 0; i < 10000; ++i) {
    evs_error_t error = evs_mcast_groups(handle, EVS_TYPE_AGREED, groups, 1, pieces, 1);
    if (error == EVS_ERR_TRY_AGAIN) break;
    EXPECT(error == EVS_OK);
  }
  EXPECT(i < 10000);
  for (;;) {
    struct pollfd ready = {0, POLLIN, 0};
    EXPECT(evs_fd_get(handle, &ready.fd) == EVS_OK);
    EXPECT(poll(&ready, 1, 60000) == 1);
    EXPECT(evs_dispatch(handle, EVS_DISPATCH_ALL) == EVS_OK);
    if (evs_mcast_groups(handle, EVS_TYPE_AGREED, groups, 1, pieces, 1) == EVS_OK) break;
  }
  EXPECT(delivered == 3);
}

static void groups_are_counted(evs_handle_t handle) {
  struct evs_group groups[51];
  struct evs_group two[2];
  struct iovec piece = {"y", 1};
  int i;
  for (i = 0; i < 51; ++i) {
    char name[16];
    snprintf(name, sizeof name, "n%d", i);
    groups[i] = group_of(name);
  }
  EXPECT(evs_join(handle, groups, 51) == EVS_ERR_TOO_MANY_GROUPS);
  EXPECT(evs_join(handle, groups, 50) == EVS_OK);
  EXPECT(evs_join(handle, groups, 1) == EVS_OK);
  EXPECT(evs_leave(handle, groups, 1) == EVS_OK);
  EXPECT(evs_mcast_groups(handle, EVS_TYPE_AGREED, groups, 1, &piece, 1) == EVS_OK);
  dispatch_until(handle, 4);
  /* The first is left, the second is unknown, the rest stays. */
  two[0] = groups[0];
  two[1] = groups[50];
  EXPECT(evs_leave(handle, two, 2) == EVS_ERR_NOT_EXIST);
  EXPECT(evs_leave(handle, groups, 1) == EVS_ERR_NOT_EXIST);
  EXPECT(evs_leave(handle, groups + 1, 49) == EVS_OK);
}

int main(int argc, char** argv) {
  evs_handle_t handle;
  evs_handle_t silent;
  unsigned int local = 0;
  unsigned int members[8];
  size_t entries = 8;
  void* context = NULL;
  void* result = NULL;
  pthread_t thread;
  if (argc > 1 && strcmp(argv[1], "watch") == 0) return watch();

  EXPECT(evs_initialize(&handle, &callbacks) == EVS_OK);
  EXPECT(evs_dispatch(handle, EVS_DISPATCH_ONE) == EVS_OK);
  EXPECT(configured == 1);
  EXPECT(evs_dispatch(handle, CS_DISPATCH_ONE_NONBLOCKING) == EVS_ERR_TRY_AGAIN);
  EXPECT(evs_dispatch(handle, EVS_DISPATCH_ALL) == EVS_OK);
  EXPECT(evs_dispatch(handle, (cs_dispatch_flags_t)9) == EVS_ERR_INVALID_PARAM);
  EXPECT(evs_membership_get(handle, &local, members, &entries) == EVS_OK);
  EXPECT(local == 1 && entries == 2 && members[0] == 1 && members[1] == 2);
  entries = 1;
  EXPECT(evs_membership_get(handle, NULL, members, &entries) == EVS_OK && entries == 1);
  EXPECT(evs_membership_get(handle, NULL, NULL, NULL) == EVS_OK);
  EXPECT(evs_context_set(handle, &local) == EVS_OK);
  EXPECT(evs_context_get(handle, &context) == EVS_OK && context == &local);
  multicasts(handle);
  groups_are_counted(handle);

  /* Without callbacks events are dropped. */
  EXPECT(evs_initialize(&silent, NULL) == EVS_OK);
  EXPECT(evs_dispatch(silent, EVS_DISPATCH_ONE) == EVS_OK);
  EXPECT(pthread_create(&thread, NULL, blocked, &silent) == 0);
  EXPECT(evs_finalize(handle) == EVS_OK);
  EXPECT(evs_finalize(handle) == EVS_ERR_BAD_HANDLE);
  EXPECT(evs_dispatch(handle, EVS_DISPATCH_ALL) == EVS_ERR_BAD_HANDLE);
  EXPECT(evs_finalize(silent) == EVS_OK);
  EXPECT(pthread_join(thread, &result) == 0);
  /* The thread may have come too late. */
  EXPECT(*(evs_error_t*)result == EVS_OK || *(evs_error_t*)result == EVS_ERR_BAD_HANDLE);
  EXPECT(strcmp(cs_strerror(CS_OK), "success") == 0);
  return 0;
}
