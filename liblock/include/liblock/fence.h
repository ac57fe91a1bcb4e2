/* Fencing tokens at the resource: what lets a resource refuse a holder whose turn is over, however
 * late it comes. For servers that own what locks protect. It talks to no daemon. The whole of a
 * program that lets one write through:

#include <liblock/fence.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  lock_fence* fence;
  lock_fence_pass pass;
  int error;
  if (argc == 2) return lock_fence_create(argv[1], 0) != 0; // Once, when the resource is made.
  if (argc != 3) return 2;
  error = lock_fence_open(argv[1], 0, &fence);
  if (!error)
    error = lock_fence_enter(fence, NULL, "jobs", 4, LOCK_FENCE_WRITE, strtoull(argv[2], NULL, 10),
                             -1, &pass);
  if (!error) {
    puts("here the resource is written"); // And finished: not queued for later.
    lock_fence_leave(fence, &pass);
  }
  if (error) fprintf(stderr, "%s\n", lock_strerror(error));
  lock_fence_close(fence);
  return error != 0;
}

 * Whoever holds a lock sends its fencing token (lock_token()) with each single use of the resource.
 * The fence remembers, for each lock, the highest token it has seen and the highest that came with
 * a write. A WRITE must not be below any token seen, a READ not below any token of a write; so
 * readers of a shared lock present their tokens too. Whoever holds EX or PW writes (and reads) with
 * LOCK_FENCE_WRITE, whoever holds PR reads with LOCK_FENCE_READ. If all users of a lock take CW,
 * they are equals and use LOCK_FENCE_READ. CR promises nothing and needs no fence.
 *
 * The check holds only until somebody else is let in. So the use happens inside: after
 * lock_fence_enter() and before lock_fence_leave(), until the effect can not come later any more.
 * Inside together are readers of a lock, and users of different locks; a writer is alone. Who is
 * inside and enters again may wait for itself.
 *
 * A token that raises what the fence remembers is on the disk before lock_fence_enter() returns, by
 * one fdatasync(). Other uses touch no disk. A grant has one token, so this is once a grant, not
 * once a use. All locks of a fence wait for it; a server to whom that is too slow has several
 * fences.
 *
 * Nothing is ever forgotten. A damaged file is refused, or repaired from the second copy of each
 * record, and lock_fence_advice() says so. What can not be seen is an older copy of the whole file:
 * never restore one while a holder from before may live. (docs/locks.md names one more case, in
 * which power and disk fail together.) A fence belongs to one cluster: the tokens of another one
 * begin anew.
 *
 * Threads: any call may be made from any thread at any time, except lock_fence_close(), which must
 * be the last.
 * Signals: no call is async-signal-safe; blocking calls go on after a signal.
 * Fork: the child owns nothing. Its calls answer LOCK_ERROR_FORKED; it may lock_fence_close() its
 * copy. The file stays in use until the child has closed its copy, too, or has ended or exec'ed.
 * Errors: functions that return int return 0 or a negative enum lock_error; lock_fence_advice()
 * often says more.
 *
 * This header is C99 and C++11; liblock/fence.hpp has a guard for C++.
 */
#ifndef LIBLOCK_FENCE_H
#define LIBLOCK_FENCE_H

#include <liblock/lock.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The fence of one resource, or of all resources of one server. */
typedef struct lock_fence lock_fence;

#define LOCK_FENCE_LOCKS_DEFAULT 1024u
#define LOCK_FENCE_LOCKS_MAX 65536u

/* Makes the file of a fence that has seen nothing, readable and writable for this user alone. It
 * has room for `locks_max` locks, rounded up to a multiple of 8 (0: LOCK_FENCE_LOCKS_DEFAULT), and
 * is 1 KiB a lock. Do this once, when the resource is made, and never because the file is missing:
 * that would forget. Keep it on a local file system. Blocks on the disk; the file is durable on
 * success, and absent otherwise. FILE (it exists already, or cannot be made), INVALID (no path, or
 * more than LOCK_FENCE_LOCKS_MAX), SYSTEM. */
LOCK_API int lock_fence_create(const char* path, unsigned locks_max);

/* Opens the fence in the file, for this process alone. `locks_max` enlarges the file if it has less
 * room; 0 leaves it as it is. Blocks on the disk: reads the file, and makes sure that what it says
 * is durable.
 *
 * A NULL path: a fence in memory only, empty, with room for `locks_max` locks. It is for resources
 * that store what lock_fence_seen() says themselves, in the transaction of the effect and before
 * lock_fence_leave(), for a READ too. When they start they enter and leave with each token that
 * they stored: with `written` to WRITE, then with `any` to READ.
 *
 * On error *fence is NULL, and: IN_USE (another process or fence has the file), DAMAGED (it is not
 * what was written; nothing was changed), FILE (missing, no regular file, no permission, a bad
 * disk), INVALID, SYSTEM. */
LOCK_API int lock_fence_open(const char* path, unsigned locks_max, lock_fence** fence);

/* Closes the file. No other call may be under way, and nobody inside. NULL is fine. */
LOCK_API void lock_fence_close(lock_fence* fence);

enum lock_fence_use {
  LOCK_FENCE_READ = 1, /* Shared. */
  LOCK_FENCE_WRITE = 2 /* Alone. */
};

/* Filled by lock_fence_enter(); copy it as you like. */
typedef struct lock_fence_pass {
  uint64_t id; /* Names who is inside; never used twice in a fence. */
} lock_fence_pass;

/* Lets in whoever holds the lock `name` (1 to 255 arbitrary bytes) of `lockspace` (1 to 64 bytes
 * and a 0; NULL: "default") under this token, and then *pass must be given to lock_fence_leave().
 * Raises what the fence remembers, durably. Waits up to timeout_ms (negative: without end; 0: not
 * at all) until those inside have left who may not be there together with this use; not counted is
 * the time that the disk takes. Who waits has raised what is remembered, and is refused if somebody
 * overtakes it with a higher token.
 *
 * STALE (a higher token was seen: this holder's turn is over, and nothing must be done for it),
 * IN_USE (others were inside for all the time; try again), LIMIT (no room for another lock, or
 * 65,536 are inside), FILE (the disk failed; from then on nobody is let in, until the fence
 * is opened again with a disk that works), INVALID (a name out of its range, token 0, no such use),
 * FORKED, SYSTEM. */
LOCK_API int lock_fence_enter(lock_fence* fence, const char* lockspace, const void* name,
                              size_t name_len, enum lock_fence_use use, uint64_t token,
                              int timeout_ms, lock_fence_pass* pass);

/* The use is over: its effect is where it stays, or will never come. Any thread may say so. Waits
 * for nobody but a disk at work. NOT_HELD: nobody is inside with this pass (any more). INVALID,
 * FORKED, SYSTEM. */
LOCK_API int lock_fence_leave(lock_fence* fence, const lock_fence_pass* pass);

typedef struct lock_fence_tokens {
  uint64_t any;     /* The highest token seen; 0: none. */
  uint64_t written; /* The highest that came with a write; 0: none. */
} lock_fence_tokens;

/* What is remembered of a lock; zeros if it is not known. Waits for nobody but a disk at work.
 * INVALID, FORKED, SYSTEM. */
LOCK_API int lock_fence_seen(lock_fence* fence, const char* lockspace, const void* name,
                             size_t name_len, lock_fence_tokens* tokens);

/* Copies what there is to say to people, as text with a 0, cut to `size`: why a call failed last
 * with LIMIT or FILE, before that what lock_fence_open() has repaired. Returns its length without
 * the 0; empty if there is nothing. A NULL fence: why lock_fence_create() or lock_fence_open()
 * failed last in this thread. Waits for nobody but a disk at work. */
LOCK_API size_t lock_fence_advice(lock_fence* fence, char* text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
