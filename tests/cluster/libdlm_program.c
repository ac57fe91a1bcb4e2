/* A program that was written for libdlm, step by step against a real cluster: the functions, their
 * returns and statuses, and where callbacks run. It knows nothing of lockd. Compiled for each
 * header and each library (tests/cluster/libdlm_test.py); THREADED for libdlm.
 *
 *   libdlm_program alone          one process
 *   libdlm_program hold NAME MODE FLAGS   takes the lock, says "held", and waits to be killed
 *   libdlm_program adopt NAME MODE PID    takes over the orphan of PID, after wrong attempts
 *   libdlm_program purge NAME PID         drops it instead
 *   libdlm_program cache NAME     holds EX until asked for it, then gives it back, and says so
 *   libdlm_program want NAME      takes EX, waiting */
#include <sys/types.h>

#include <libdlm.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef THREADED
#include <pthread.h>
static const int threaded = 1;
#else
static const int threaded = 0;
#endif

#define SPACE "program"

#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) {                                                         \
      fprintf(stderr, "line %d: %s (errno %d)\n", __LINE__, #condition, errno); \
      exit(1);                                                                  \
    }                                                                           \
  } while (0)

#define AT(field, at) _Static_assert(__builtin_offsetof(struct dlm_lksb, field) == (at), #field)
_Static_assert(sizeof(struct dlm_lksb) == 16 + sizeof(char*), "struct dlm_lksb");
AT(sb_status, 0);
AT(sb_lkid, 4);
AT(sb_flags, 8);
AT(sb_lvbptr, 16);

static dlm_lshandle_t ls;

struct lock {
  struct dlm_lksb lksb;
  char value[DLM_LVB_LEN];
  int asts;
  int basts;
};

static char order[16]; /* Which callbacks ran: 'a' and 'b'. */

static void on_ast(void* arg) {
  struct lock* lock = arg;
  ++lock->asts;
  if (strlen(order) < sizeof order - 1) strcat(order, "a");
}

static void on_bast(void* arg) {
  struct lock* lock = arg;
  ++lock->basts;
  if (strlen(order) < sizeof order - 1) strcat(order, "b");
}

static void init(struct lock* lock) {
  memset(lock, 0, sizeof *lock);
  lock->lksb.sb_lvbptr = lock->value;
}

static int ask(struct lock* lock, uint32_t mode, uint32_t flags, const char* name) {
  return dlm_ls_lock(ls, mode, &lock->lksb, flags, name, (unsigned)strlen(name), 0, on_ast, lock,
                     on_bast, NULL);
}

/* Dispatches until so many completions have come. */
static void until_asts(const struct lock* lock, int asts) {
  struct pollfd ready = {dlm_ls_get_fd(ls), POLLIN, 0};
  while (lock->asts < asts) {
    CHECK(poll(&ready, 1, 60000) == 1);
    CHECK(dlm_dispatch(ready.fd) == 0);
  }
  CHECK(lock->asts == asts);
}

static void until_basts(const struct lock* lock, int basts) {
  struct pollfd ready = {dlm_ls_get_fd(ls), POLLIN, 0};
  while (lock->basts < basts) {
    CHECK(poll(&ready, 1, 60000) == 1);
    CHECK(dlm_dispatch(ready.fd) == 0);
  }
}

/* As both libraries have it: how it ended is in the lksb, and libdlm_lt returns it. */
static int sync_lock(struct lock* lock, uint32_t mode, uint32_t flags, const char* name) {
  const int rv = dlm_ls_lock_wait(ls, mode, &lock->lksb, flags, name, (unsigned)strlen(name), 0,
                                  lock, on_bast, NULL);
  if (threaded) {
    CHECK(rv == 0);
  } else {
    CHECK(rv == (lock->lksb.sb_status == 0 ? 0 : -1));
    if (rv != 0) CHECK(errno == lock->lksb.sb_status);
  }
  return lock->lksb.sb_status;
}

static int sync_unlock(struct lock* lock, uint32_t flags) {
  CHECK(dlm_ls_unlock_wait(ls, lock->lksb.sb_lkid, flags, &lock->lksb) == 0);
  return lock->lksb.sb_status;
}

#define FAILS(call, error) CHECK((call) == -1 && errno == (error))

static void arguments(void) {
  struct lock a;
  const char name[65] = "a name";
  init(&a);
  FAILS(dlm_ls_lock(NULL, 0, &a.lksb, 0, "n", 1, 0, on_ast, &a, NULL, NULL), ENOTCONN);
  FAILS(dlm_ls_lock(ls, 0, &a.lksb, 0, "n", 1, 0, on_ast, &a, NULL, &a), ENOSYS);
  FAILS(dlm_ls_lock(ls, 0, &a.lksb, 0, name, 65, 0, on_ast, &a, NULL, NULL), EINVAL);
  FAILS(dlm_ls_lock(ls, 0, &a.lksb, 0, "n", 1, 0, NULL, &a, NULL, NULL), EINVAL);
  FAILS(ask(&a, 6, 0, "n"), EINVAL);
  FAILS(ask(&a, LKM_PRMODE, LKF_EXPEDITE, "n"), EINVAL);
  FAILS(ask(&a, LKM_NLMODE, LKF_EXPEDITE | LKF_NOQUEUE, "n"), EINVAL);
  FAILS(ask(&a, LKM_EXMODE, LKF_CANCEL, "n"), EINVAL);
  FAILS(ask(&a, LKM_EXMODE, LKF_QUECVT, "n"), EINVAL);
  FAILS(ask(&a, LKM_EXMODE, LKF_CONVDEADLK, "n"), EINVAL);
  FAILS(ask(&a, LKM_EXMODE, LKF_CONVERT, "n"), EINVAL);
  a.lksb.sb_lkid = 4711;
  FAILS(ask(&a, LKM_EXMODE, LKF_CONVERT, "n"), ENOENT);
  FAILS(dlm_ls_unlock(ls, 0, 0, &a.lksb, NULL), EINVAL);
  FAILS(dlm_ls_unlock(ls, 4711, 0, &a.lksb, NULL), ENOENT);
  FAILS(dlm_ls_unlock(ls, 4711, LKF_CANCEL | LKF_FORCEUNLOCK, &a.lksb, NULL), EINVAL);
  FAILS(dlm_ls_unlock(ls, 4711, LKF_NOQUEUE, &a.lksb, NULL), EINVAL);
  FAILS(dlm_ls_deadlock_cancel(ls, 4711, 0), ENOENT);
  a.lksb.sb_lvbptr = NULL;
  FAILS(ask(&a, LKM_EXMODE, LKF_VALBLK, "n"), EINVAL);
  CHECK(dlm_open_lockspace("nobody has made it") == NULL && errno == ENOENT);
  CHECK(dlm_new_lockspace(SPACE, 0600, DLM_LSFL_NEWEXCL) == NULL && errno == EEXIST);
  FAILS(dlm_dispatch(9999), EBADF);
}

static void one_lock(void) {
  struct lock a;
  init(&a);
  CHECK(ask(&a, LKM_EXMODE, 0, "one") == 0);
  CHECK(a.lksb.sb_lkid > 0 && a.lksb.sb_lkid < 1000 && a.lksb.sb_status == EINPROG && a.asts == 0);
  until_asts(&a, 1);
  CHECK(a.lksb.sb_status == 0);
  CHECK(ask(&a, LKM_PRMODE, LKF_CONVERT, "ignored") == 0);
  until_asts(&a, 2);
  CHECK(a.lksb.sb_status == 0);
  /* Nothing to cancel: no completion. */
  CHECK(dlm_ls_unlock(ls, a.lksb.sb_lkid, LKF_CANCEL, &a.lksb, NULL) == 0);
  CHECK(dlm_ls_unlock(ls, a.lksb.sb_lkid, 0, &a.lksb, NULL) == 0);
  until_asts(&a, 3);
  CHECK(a.lksb.sb_status == EUNLOCK);
  FAILS(dlm_ls_unlock(ls, a.lksb.sb_lkid, 0, &a.lksb, NULL), ENOENT);
}

static void two_locks(void) {
  struct lock a, b;
  init(&a);
  init(&b);
  CHECK(sync_lock(&a, LKM_EXMODE, 0, "two") == 0);

  /* Refused at once, and dead from then on. */
  CHECK(ask(&b, LKM_PRMODE, LKF_NOQUEUE, "two") == 0);
  until_asts(&b, 1);
  CHECK(b.lksb.sb_status == EAGAIN && a.basts == 0);
  FAILS(dlm_ls_unlock(ls, b.lksb.sb_lkid, 0, &b.lksb, NULL), ENOENT);
  CHECK(sync_lock(&b, LKM_PRMODE, LKF_NOQUEUE, "two") == EAGAIN);

  /* Waiting, notified, cancelled. */
  order[0] = 0;
  CHECK(ask(&b, LKM_PRMODE, 0, "two") == 0);
  until_basts(&a, 1);
  FAILS(ask(&b, LKM_NLMODE, LKF_CONVERT, "two"), EBUSY);
  CHECK(dlm_ls_unlock(ls, b.lksb.sb_lkid, LKF_CANCEL, &b.lksb, NULL) == 0);
  CHECK(dlm_ls_unlock(ls, b.lksb.sb_lkid, LKF_CANCEL, &b.lksb, NULL) == -1);
  CHECK(errno == EINVAL || errno == ENOENT); /* It is under way, or over. */
  until_asts(&b, 2);
  CHECK(b.lksb.sb_status == ECANCEL && strcmp(order, "ba") == 0);

  /* Waiting, then a victim. */
  CHECK(ask(&b, LKM_PRMODE, 0, "two") == 0);
  CHECK(dlm_ls_deadlock_cancel(ls, b.lksb.sb_lkid, 0) == 0);
  until_asts(&b, 3);
  CHECK(b.lksb.sb_status == EDEADLK);

  /* Waiting, then ended: one completion. */
  CHECK(ask(&b, LKM_PRMODE, 0, "two") == 0);
  CHECK(dlm_ls_unlock(ls, b.lksb.sb_lkid, LKF_FORCEUNLOCK, &b.lksb, NULL) == 0);
  until_asts(&b, 4);
  CHECK(b.lksb.sb_status == EUNLOCK);

  /* Waiting, with an end. */
  uint64_t timeout = 20;
  CHECK(dlm_ls_lockx(ls, LKM_PRMODE, &b.lksb, LKF_TIMEOUT, "two", 3, 0, on_ast, &b, NULL, NULL,
                     &timeout) == 0);
  until_asts(&b, 5);
  CHECK(b.lksb.sb_status == ETIMEDOUT);

  /* Waiting, then granted by the other's down-conversion. */
  CHECK(ask(&b, LKM_PRMODE, 0, "two") == 0);
  CHECK(sync_lock(&a, LKM_PRMODE, LKF_CONVERT, "two") == 0);
  until_asts(&b, 6);
  CHECK(b.lksb.sb_status == 0);

  /* Each converts against the other. */
  CHECK(ask(&b, LKM_EXMODE, LKF_CONVERT, "two") == 0);
  CHECK(sync_lock(&a, LKM_EXMODE, LKF_CONVERT, "two") == EDEADLK);
  FAILS(dlm_ls_unlock(ls, b.lksb.sb_lkid, 0, &b.lksb, NULL), EBUSY);
  FAILS(ask(&a, LKM_EXMODE, LKF_CONVERT | LKF_CONVDEADLK | LKF_NOQUEUE, "two"), EINVAL);
  CHECK(sync_unlock(&a, 0) == EUNLOCK);
  until_asts(&b, 7);
  CHECK(b.lksb.sb_status == 0);
  CHECK(sync_unlock(&b, 0) == EUNLOCK);
}

static void transactions(void) {
  struct lock a, b, c;
  uint64_t first = 1, second = 2;
  init(&a);
  init(&b);
  init(&c);
  CHECK(dlm_ls_lockx(ls, LKM_EXMODE, &a.lksb, 0, "x", 1, 0, on_ast, &a, NULL, &first, NULL) == 0);
  CHECK(dlm_ls_lockx(ls, LKM_EXMODE, &b.lksb, 0, "y", 1, 0, on_ast, &b, NULL, &second, NULL) == 0);
  until_asts(&a, 1);
  until_asts(&b, 1);
  struct lock d;
  init(&d);
  CHECK(dlm_ls_lockx(ls, LKM_EXMODE, &c.lksb, 0, "y", 1, 0, on_ast, &c, NULL, &first, NULL) == 0);
  CHECK(dlm_ls_lockx(ls, LKM_EXMODE, &d.lksb, 0, "x", 1, 0, on_ast, &d, NULL, &second, NULL) == 0);
  until_asts(&d, 1);
  CHECK(d.lksb.sb_status == EDEADLK && c.asts == 0);
  CHECK(sync_unlock(&b, 0) == EUNLOCK);
  until_asts(&c, 1);
  CHECK(c.lksb.sb_status == 0);
  CHECK(sync_unlock(&a, 0) == EUNLOCK && sync_unlock(&c, 0) == EUNLOCK);
}

static void values(void) {
  struct lock a, b;
  init(&a);
  init(&b);
  CHECK(sync_lock(&a, LKM_NLMODE, LKF_VALBLK | LKF_EXPEDITE, "value") == 0);
  CHECK(a.value[0] == 0 && a.lksb.sb_flags == 0);
  CHECK(sync_lock(&a, LKM_EXMODE, LKF_VALBLK | LKF_CONVERT, "value") == 0);
  strcpy(a.value, "by a conversion");
  CHECK(sync_lock(&a, LKM_NLMODE, LKF_VALBLK | LKF_CONVERT, "value") == 0);
  CHECK(sync_lock(&b, LKM_PWMODE, LKF_VALBLK, "value") == 0);
  CHECK(strcmp(b.value, "by a conversion") == 0);
  strcpy(b.value, "by an unlock");
  CHECK(sync_unlock(&b, LKF_VALBLK) == EUNLOCK);
  CHECK(sync_lock(&a, LKM_PRMODE, LKF_VALBLK | LKF_CONVERT, "value") == 0);
  CHECK(strcmp(a.value, "by an unlock") == 0);
  CHECK(sync_lock(&a, LKM_EXMODE, LKF_CONVERT, "value") == 0);
  CHECK(strcmp(a.value, "by an unlock") == 0); /* Without VALBLK nothing is touched. */
  CHECK(sync_lock(&a, LKM_NLMODE, LKF_IVVALBLK | LKF_CONVERT, "value") == 0);
  CHECK(sync_lock(&a, LKM_PRMODE, LKF_VALBLK | LKF_CONVERT, "value") == 0);
  CHECK(a.lksb.sb_flags == DLM_SBF_VALNOTVALID);
  CHECK(sync_unlock(&a, 0) == EUNLOCK);
}

static void other_modes(void) {
  struct lock a, b;
  init(&a);
  init(&b);
  CHECK(sync_lock(&a, LKM_PRMODE, 0, "alt") == 0);
  CHECK(sync_lock(&b, LKM_EXMODE, LKF_NOQUEUE | LKF_ALTPR, "alt") == 0);
  CHECK(b.lksb.sb_flags == DLM_SBF_ALTMODE);
  CHECK(sync_unlock(&a, 0) == EUNLOCK && sync_unlock(&b, 0) == EUNLOCK);
}

static void ordinary_lockspace(void) {
  struct lock a;
  init(&a);
  FAILS(dlm_unlock(1, 0, &a.lksb, NULL), ENOTCONN);
  CHECK(dlm_get_fd() >= 0);
  CHECK(dlm_lock(LKM_EXMODE, &a.lksb, 0, "d", 1, 0, on_ast, &a, NULL, NULL) == 0);
  struct pollfd ready = {dlm_get_fd(), POLLIN, 0};
  while (a.asts < 1) {
    CHECK(poll(&ready, 1, 60000) == 1);
    CHECK(dlm_dispatch(ready.fd) == 0);
  }
  CHECK(dlm_unlock_wait(a.lksb.sb_lkid, 0, &a.lksb) == 0 && a.lksb.sb_status == EUNLOCK);
  CHECK(dlm_lock_wait(LKM_PRMODE, &a.lksb, 0, "d", 1, 0, NULL, NULL, NULL) == 0);
  CHECK(dlm_unlock_wait(a.lksb.sb_lkid, 0, &a.lksb) == 0);
#ifdef THREADED
  int id = 0;
  CHECK(lock_resource("r", LKM_EXMODE, 0, &id) == 0 && id > 0);
  int other = 0;
  FAILS(lock_resource("r", LKM_EXMODE, LKF_NOQUEUE, &other), EAGAIN);
  CHECK(lock_resource("r", LKM_PRMODE, LKF_CONVERT, &id) == 0);
  CHECK(unlock_resource(id) == 0);
  FAILS(unlock_resource(id), ENOENT);
  FAILS(dlm_pthread_init(), EEXIST);
  CHECK(dlm_pthread_cleanup() == 0 && dlm_pthread_cleanup() == 0);
#endif
}

#ifdef THREADED
static pthread_t receiver;
static struct lock inner;

static void lock_within(void* arg) {
  struct lock* lock = arg;
  receiver = pthread_self();
  init(&inner);
  CHECK(sync_lock(&inner, LKM_EXMODE, 0, "inner") == 0);
  ++lock->asts;
}

static void threads(void) {
  struct lock a;
  init(&a);
  CHECK(dlm_ls_pthread_init(ls) == 0);
  FAILS(dlm_ls_pthread_init(ls), EEXIST);
  CHECK(dlm_ls_lock(ls, LKM_EXMODE, &a.lksb, 0, "outer", 5, 0, lock_within, &a, NULL, NULL) == 0);
  struct lock b;
  init(&b);
  /* Granted when the callback's own lock is: they come one after the other. */
  CHECK(sync_lock(&b, LKM_EXMODE, 0, "after") == 0);
  while (__atomic_load_n(&a.asts, __ATOMIC_SEQ_CST) == 0) usleep(1000);
  CHECK(!pthread_equal(receiver, pthread_self()));
  CHECK(sync_unlock(&inner, 0) == EUNLOCK && sync_unlock(&b, 0) == EUNLOCK);
  CHECK(sync_unlock(&a, 0) == EUNLOCK);
}
#endif

static void alone(void) {
  uint32_t major, minor, patch;
  CHECK(dlm_kernel_version(&major, &minor, &patch) == 0);
  CHECK(major == 6 && minor == 0 && patch == 2);
  dlm_library_version(&major, &minor, &patch);
  CHECK(major == 6 && minor == 0 && patch == 2);
  arguments();
  one_lock();
  two_locks();
  transactions();
  values();
  other_modes();
  ordinary_lockspace();
#ifdef THREADED
  threads();
#endif
  struct lock a;
  dlm_lshandle_t second = dlm_open_lockspace(SPACE);
  CHECK(second != NULL);
  init(&a);
  CHECK(dlm_ls_lock_wait(second, LKM_EXMODE, &a.lksb, 0, "s", 1, 0, NULL, NULL, NULL) == 0);
  errno = 0;
  CHECK(dlm_release_lockspace(SPACE, ls, 0) == -1 && errno == EBUSY);
  CHECK(dlm_release_lockspace(SPACE, second, 0) == 0);
  CHECK(dlm_open_lockspace(SPACE) == NULL && errno == ENOENT);
}

int main(int count, char** words) {
  CHECK(count >= 2);
  const char* what = words[1];
  const char* name = count > 2 ? words[2] : "";
  struct lock a;
  init(&a);
  ls = dlm_create_lockspace(SPACE, 0600);
  CHECK(ls != NULL);
  if (strcmp(what, "alone") == 0) {
    alone();
  } else if (strcmp(what, "hold") == 0) {
    CHECK(sync_lock(&a, (uint32_t)atoi(words[3]), (uint32_t)strtoul(words[4], NULL, 0), name) == 0);
    printf("held\n");
    fflush(stdout);
    for (;;) pause();
  } else if (strcmp(what, "adopt") == 0) {
    void (*const never)(void*) = (void (*)(void*))1;
    const uint32_t flags = LKF_ORPHAN | LKF_PERSISTENT;
    const unsigned length = (unsigned)strlen(name);
    const uint32_t mode = (uint32_t)atoi(words[3]);
    FAILS(dlm_ls_lockx(ls, LKM_CRMODE, &a.lksb, flags, name, length, 0, never, never, never, NULL,
                       NULL),
          EAGAIN);
    FAILS(dlm_ls_lockx(ls, mode, &a.lksb, flags, "none", 4, 0, never, never, never, NULL, NULL),
          ENOENT);
    CHECK(dlm_ls_lockx(ls, mode, &a.lksb, flags, name, length, 0, never, never, never, NULL,
                       NULL) == 0);
    CHECK(a.lksb.sb_lkid != 0);
    CHECK(sync_unlock(&a, 0) == EUNLOCK);
  } else if (strcmp(what, "purge") == 0) {
    struct lock keeper; /* Of the value. */
    init(&keeper);
    CHECK(sync_lock(&keeper, LKM_NLMODE, LKF_EXPEDITE, name) == 0);
    CHECK(sync_lock(&a, LKM_EXMODE, LKF_NOQUEUE, name) == EAGAIN);
    CHECK(dlm_ls_purge(ls, 0, atoi(words[3]) + 1) == 0);
    CHECK(sync_lock(&a, LKM_EXMODE, LKF_NOQUEUE, name) == EAGAIN);
    CHECK(dlm_ls_purge(ls, 0, atoi(words[3])) == 0);
    CHECK(sync_lock(&a, LKM_EXMODE, LKF_VALBLK, name) == 0);
    CHECK(a.lksb.sb_flags == DLM_SBF_VALNOTVALID);
    /* One's own are dropped in silence. */
    CHECK(dlm_ls_purge(ls, 0, getpid()) == 0);
    FAILS(dlm_ls_unlock(ls, a.lksb.sb_lkid, 0, &a.lksb, NULL), ENOENT);
  } else if (strcmp(what, "cache") == 0) {
    CHECK(ask(&a, LKM_EXMODE, LKF_VALBLK, name) == 0);
    until_asts(&a, 1);
    printf("held\n");
    fflush(stdout);
    until_basts(&a, 1);
    strcpy(a.value, "from the cache");
    CHECK(ask(&a, LKM_NLMODE, LKF_CONVERT | LKF_VALBLK, name) == 0);
    until_asts(&a, 2);
    CHECK(sync_lock(&a, LKM_PRMODE, LKF_CONVERT | LKF_VALBLK, name) == 0);
    CHECK(strcmp(a.value, "from the other") == 0);
    printf("read\n");
  } else if (strcmp(what, "want") == 0) {
    CHECK(sync_lock(&a, LKM_EXMODE, LKF_VALBLK, name) == 0);
    CHECK(strcmp(a.value, "from the cache") == 0);
    strcpy(a.value, "from the other");
    CHECK(sync_unlock(&a, LKF_VALBLK) == EUNLOCK);
  } else {
    CHECK(!"a known word");
  }
  return 0;
}
