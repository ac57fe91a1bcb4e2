/* together NAME PARTIES VALUE: waits at a barrier until so many programs have come, on whatever
 * machines, and prints what each of them has brought along. Whatever it prints, all of them print;
 * if one of them dies before, all others are told who it was. */
#include <liblock/barrier.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void tell_broken(const lock_barrier_outcome* outcome) {
  size_t i;
  fprintf(stderr, "broken, ending %d\n", (int)outcome->ending);
  for (i = 0; i < outcome->lost_len; ++i) {
    fprintf(stderr, "node %u is lost\n", (unsigned)outcome->lost[i].node);
  }
}

int main(int argc, char** argv) {
  lock_client* client;
  lock_barrier barrier = {sizeof(barrier)};
  lock_barrier_outcome* outcome = NULL;
  size_t i;
  int error;
  if (argc != 4) return 2;
  barrier.name = argv[1];
  barrier.name_len = strlen(argv[1]);
  barrier.parties = (unsigned)atoi(argv[2]);
  error = lock_connect(NULL, &client);
  if (!error) {
    error = lock_barrier_wait(client, &barrier, argv[3], strlen(argv[3]), -1, &outcome);
  }
  if (!error) {
    for (i = 0; i < outcome->members_len; ++i) {
      const lock_barrier_member* member = &outcome->members[i];
      printf("%.*s\n", (int)member->value_len, (const char*)member->value);
    }
  } else if (outcome != NULL) {
    tell_broken(outcome);
  } else {
    fprintf(stderr, "%s\n", lock_strerror(error));
  }
  lock_barrier_outcome_free(outcome);
  lock_close(client);
  return error != 0;
}
