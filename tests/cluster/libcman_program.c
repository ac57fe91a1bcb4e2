/* A program that was written for libcman: it does what its standard input says, a call a line, and
 * prints what came of it: "0", or the name of an errno. It knows nothing of lockd.
 *
 *   init | admin                 a handle; "0" or the errno
 *   finish
 *   register NAME FLAGS NODES
 *   change NAME ATTRIBUTE ARG
 *   wait NAME
 *   delete NAME
 *   alarm MS                     a signal is handled so much later
 *   wrong                        what is wrong whatever is registered; prints "0" */
#include <libcman.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

_Static_assert(BARRIER_ATTR_AUTODELETE == 1 && BARRIER_ATTR_MULTISTEP == 2, "flags");
_Static_assert(BARRIER_ATTR_ENABLED == 8 && BARRIER_ATTR_CALLBACK == 16, "flags");
_Static_assert(BARRIER_SETATTR_ENABLED == 3 && BARRIER_SETATTR_NODES == 4, "attributes");
_Static_assert(BARRIER_SETATTR_TIMEOUT == 6 && MAX_BARRIER_NAME_LEN == 33, "attributes");

#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) {                                                         \
      fprintf(stderr, "line %d: %s (errno %d)\n", __LINE__, #condition, errno); \
      exit(1);                                                                  \
    }                                                                           \
  } while (0)

#define FAILS(call, error) CHECK((errno = 0, (call) == -1 && errno == (error)))

static void on_alarm(int number) {
  (void)number;
}

static void tell(int result) {
  static const struct {
    int number;
    const char* name;
  } names[] = {{EINVAL, "EINVAL"},         {ENOENT, "ENOENT"},
               {ESRCH, "ESRCH"},           {ETIMEDOUT, "ETIMEDOUT"},
               {ENOTCONN, "ENOTCONN"},     {EINTR, "EINTR"},
               {ECONNRESET, "ECONNRESET"}, {ECONNREFUSED, "ECONNREFUSED"},
               {ENOMEM, "ENOMEM"}};
  if (result == 0) {
    puts("0");
    return;
  }
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
    if (names[i].number == errno) {
      puts(names[i].name);
      return;
    }
  }
  printf("errno %d\n", errno);
}

static void check_wrong(cman_handle_t handle) {
  char name[34];
  memset(name, 'x', sizeof name);
  name[33] = 0;
  FAILS(cman_barrier_register(NULL, "wrong", 0, 2), EINVAL);
  FAILS(cman_barrier_change(NULL, "wrong", BARRIER_SETATTR_ENABLED, 1), EINVAL);
  FAILS(cman_barrier_wait(NULL, "wrong"), EINVAL);
  FAILS(cman_barrier_delete(NULL, "wrong"), EINVAL);
  FAILS(cman_finish(NULL), EINVAL);
  FAILS(cman_barrier_register(handle, NULL, 0, 2), EINVAL);
  FAILS(cman_barrier_register(handle, "", 0, 2), EINVAL);
  FAILS(cman_barrier_register(handle, name, 0, 2), EINVAL);
  FAILS(cman_barrier_register(handle, "wrong", BARRIER_ATTR_MULTISTEP, 2), EINVAL);
  FAILS(cman_barrier_register(handle, "wrong", BARRIER_ATTR_CALLBACK, 2), EINVAL);
  FAILS(cman_barrier_register(handle, "wrong", 32, 2), EINVAL);
  FAILS(cman_barrier_register(handle, "wrong", 0, -1), EINVAL);
  FAILS(cman_barrier_register(handle, "wrong", 0, 4097), EINVAL);
  FAILS(cman_barrier_change(handle, "wrong", BARRIER_SETATTR_ENABLED, 1), ENOENT);
  FAILS(cman_barrier_wait(handle, "wrong"), ENOENT);
  FAILS(cman_barrier_delete(handle, "wrong"), ENOENT);
  name[32] = 0;
  CHECK(cman_barrier_register(handle, name, BARRIER_ATTR_MANUAL | BARRIER_ATTR_ENABLED, 2) == 0);
  CHECK(cman_barrier_register(handle, name, 0, 2) == 0);
  FAILS(cman_barrier_register(handle, name, 0, 3), EINVAL);
  FAILS(cman_barrier_change(handle, name, BARRIER_SETATTR_ENABLED, 0), EINVAL);
  FAILS(cman_barrier_change(handle, name, BARRIER_SETATTR_MULTISTEP, 1), EINVAL);
  FAILS(cman_barrier_change(handle, name, BARRIER_SETATTR_CALLBACK, 1), EINVAL);
  FAILS(cman_barrier_change(handle, name, 7, 1), EINVAL);
  FAILS(cman_barrier_change(handle, name, BARRIER_SETATTR_NODES, -1), EINVAL);
  FAILS(cman_barrier_change(handle, name, BARRIER_SETATTR_TIMEOUT, -1), EINVAL);
  CHECK(cman_barrier_change(handle, name, BARRIER_SETATTR_NODES, 3) == 0);
  CHECK(cman_barrier_register(handle, name, 0, 3) == 0);
  CHECK(cman_barrier_change(handle, name, BARRIER_SETATTR_TIMEOUT, 100) == 0);
  CHECK(cman_barrier_change(handle, name, BARRIER_SETATTR_AUTODELETE, 0) == 0);
  /* Nothing but auto-delete can be changed once this node has arrived. */
  CHECK(cman_barrier_change(handle, name, BARRIER_SETATTR_ENABLED, 1) == 0);
  CHECK(cman_barrier_change(handle, name, BARRIER_SETATTR_ENABLED, 1) == 0);
  FAILS(cman_barrier_change(handle, name, BARRIER_SETATTR_NODES, 2), EINVAL);
  FAILS(cman_barrier_change(handle, name, BARRIER_SETATTR_TIMEOUT, 1), EINVAL);
  CHECK(cman_barrier_change(handle, name, BARRIER_SETATTR_AUTODELETE, 1) == 0);
  CHECK(cman_barrier_delete(handle, name) == 0);
  FAILS(cman_barrier_delete(handle, name), ENOENT);
}

int main(void) {
  cman_handle_t handle = NULL;
  char line[256];
  char name[64];
  int first = 0;
  int second = 0;
  setvbuf(stdout, NULL, _IOLBF, 0);
  CHECK(signal(SIGALRM, on_alarm) != SIG_ERR);
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (strcmp(line, "init\n") == 0 || strcmp(line, "admin\n") == 0) {
      handle = *line == 'i' ? cman_init(NULL) : cman_admin_init(NULL);
      tell(handle != NULL ? 0 : -1);
    } else if (strcmp(line, "finish\n") == 0) {
      tell(cman_finish(handle));
      handle = NULL;
    } else if (sscanf(line, "register %63s %d %d", name, &first, &second) == 3) {
      tell(cman_barrier_register(handle, name, first, second));
    } else if (sscanf(line, "change %63s %d %d", name, &first, &second) == 3) {
      tell(cman_barrier_change(handle, name, first, second));
    } else if (sscanf(line, "wait %63s", name) == 1) {
      tell(cman_barrier_wait(handle, name));
    } else if (sscanf(line, "delete %63s", name) == 1) {
      tell(cman_barrier_delete(handle, name));
    } else if (sscanf(line, "alarm %d", &first) == 1) {
      const struct itimerval later = {{0, 0}, {0, first * 1000}};
      tell(setitimer(ITIMER_REAL, &later, NULL));
    } else if (strcmp(line, "wrong\n") == 0) {
      check_wrong(handle);
      tell(0);
    } else {
      fprintf(stderr, "what is %s", line);
      return 1;
    }
  }
  return 0;
}
