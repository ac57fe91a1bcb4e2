/* Adds one to a number that all nodes share, in the value block of the lock "count". */
#include <liblock/request.h>

#include <stdio.h>
#include <stdlib.h>

static void check(int error, const char* what) {
  if (error == 0) return;
  fprintf(stderr, "count_up: %s: %s\n", what, lock_strerror(error));
  exit(1);
}

int main(void) {
  lock_client* client;
  check(lock_connect(NULL, &client), "lock_connect");

  /* NL stands in nobody's way. It is a place to convert from. */
  lock_request request = {
      .size = sizeof request, .name = "count", .name_len = 5, .mode = LOCK_MODE_NL};
  lock_outcome outcome = {.size = sizeof outcome};
  check(lock_acquire_with(client, &request, -1, &outcome), "NL");

  /* Upwards a conversion reads the value; an invalid one is that of a program that died here. */
  lock_conversion up = {.size = sizeof up, .mode = LOCK_MODE_EX, .flags = LOCK_FLAG_VALUE};
  check(lock_convert(client, &outcome.grant, &up, -1, &outcome), "EX");
  char value[LOCK_VALUE_SIZE + 1] = {0};
  for (int i = 0; i < LOCK_VALUE_SIZE; ++i) value[i] = (char)outcome.value[i];
  if (outcome.notes & LOCK_NOTE_VALUE_INVALID) fprintf(stderr, "count_up: begun anew\n");
  const long count = outcome.notes & LOCK_NOTE_VALUE_INVALID ? 0 : strtol(value, NULL, 10);

  /* Downwards it writes. */
  char next[LOCK_VALUE_SIZE] = {0};
  snprintf(next, sizeof next, "%ld", count + 1);
  lock_conversion down = {
      .size = sizeof down, .mode = LOCK_MODE_NL, .flags = LOCK_FLAG_VALUE, .value = next};
  check(lock_convert(client, &outcome.grant, &down, -1, &outcome), "back to NL");
  printf("%s\n", next);

  lock_close(client);
  return 0;
}
