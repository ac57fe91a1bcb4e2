/* A program as it is written for libdlm: takes a lock, says so, and gives it back. */
#include <libdlm.h>

#include <stdio.h>

int main(void) {
  int lock = 0;
  if (lock_resource("turn", LKM_EXMODE, 0, &lock) != 0) {
    perror("lock_resource");
    return 1;
  }
  printf("it is my turn, by lock %d\n", lock);
  if (unlock_resource(lock) != 0) perror("unlock_resource");
  return dlm_pthread_cleanup();
}
