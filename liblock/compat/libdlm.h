/* The interface of libdlm, as Debian 12 has it, over the locks of lockd: include it, and link
 * -ldlm, or -ldlm_lt for a program without threads. Programs that were built for the other libdlm
 * run with these libraries as they are. What each call does here, where that is not as there, is
 * liblock/compat/dlm.cc; what each flag does is docs/locks.md.
 *
 * Returned is 0 or a handle, else -1 or NULL with errno. How a lock operation ended is in
 * sb_status: 0 or a positive number, of errno.h or of the three below. */
#ifndef RINGLOCK_LIBDLM_H
#define RINGLOCK_LIBDLM_H

#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DLM_LVB_LEN 32
#define DLM_LOCKSPACE_LEN 64
#define DLM_RESNAME_MAXLEN 64

struct dlm_lksb {
  int sb_status;
  uint32_t sb_lkid; /* Set when a new request returns. */
  char sb_flags;
  char* sb_lvbptr; /* DLM_LVB_LEN bytes, for LKF_VALBLK. */
};

/* sb_flags */
#define DLM_SBF_DEMOTED 0x1
#define DLM_SBF_VALNOTVALID 0x2
#define DLM_SBF_ALTMODE 0x4

/* dlm_new_lockspace() */
#define DLM_LSFL_TIMEWARN 0x2
#define DLM_LSFL_FS 0x4
#define DLM_LSFL_NEWEXCL 0x8

/* Modes */
#define LKM_NLMODE 0
#define LKM_CRMODE 1
#define LKM_CWMODE 2
#define LKM_PRMODE 3
#define LKM_PWMODE 4
#define LKM_EXMODE 5

/* Flags of operations */
#define LKF_NOQUEUE 0x1
#define LKF_CANCEL 0x2
#define LKF_CONVERT 0x4
#define LKF_VALBLK 0x8
#define LKF_QUECVT 0x10
#define LKF_IVVALBLK 0x20
#define LKF_CONVDEADLK 0x40
#define LKF_PERSISTENT 0x80
#define LKF_NODLCKWT 0x100
#define LKF_NODLCKBLK 0x200
#define LKF_EXPEDITE 0x400
#define LKF_NOQUEUEBAST 0x800
#define LKF_HEADQUE 0x1000
#define LKF_NOORDER 0x2000
#define LKF_ORPHAN 0x4000
#define LKF_ALTPR 0x8000
#define LKF_ALTCW 0x10000
#define LKF_FORCEUNLOCK 0x20000
#define LKF_TIMEOUT 0x40000
#define LKF_WAIT 0x80000000

/* Statuses beside those of errno.h: cancelled, unlocked, not finished. */
#define ECANCEL 0x10001
#define EUNLOCK 0x10002
#define EINPROG 0x10003

typedef void* dlm_lshandle_t;

extern int dlm_kernel_version(uint32_t* major, uint32_t* minor, uint32_t* patch);
extern void dlm_library_version(uint32_t* major, uint32_t* minor, uint32_t* patch);

/* Lockspaces. */
extern dlm_lshandle_t dlm_create_lockspace(const char* name, mode_t mode);
extern dlm_lshandle_t dlm_new_lockspace(const char* name, mode_t mode, uint32_t flags);
extern dlm_lshandle_t dlm_open_lockspace(const char* name);
extern int dlm_close_lockspace(dlm_lshandle_t ls);
extern int dlm_release_lockspace(const char* name, dlm_lshandle_t ls, int force);

/* Callbacks run in dlm_dispatch(), when the descriptor is readable. */
extern int dlm_ls_get_fd(dlm_lshandle_t ls);
extern int dlm_get_fd(void);
extern int dlm_dispatch(int fd);

/* Locks in a lockspace. */
extern int dlm_ls_lock(dlm_lshandle_t ls, uint32_t mode, struct dlm_lksb* lksb, uint32_t flags,
                       const void* name, unsigned int namelen, uint32_t parent,
                       void (*ast)(void* astarg), void* astarg, void (*bast)(void* astarg),
                       void* range);
extern int dlm_ls_lockx(dlm_lshandle_t ls, uint32_t mode, struct dlm_lksb* lksb, uint32_t flags,
                        const void* name, unsigned int namelen, uint32_t parent,
                        void (*ast)(void* astarg), void* astarg, void (*bast)(void* astarg),
                        uint64_t* xid, uint64_t* timeout);
extern int dlm_ls_lock_wait(dlm_lshandle_t ls, uint32_t mode, struct dlm_lksb* lksb, uint32_t flags,
                            const void* name, unsigned int namelen, uint32_t parent, void* bastarg,
                            void (*bast)(void* bastarg), void* range);
extern int dlm_ls_unlock(dlm_lshandle_t ls, uint32_t lkid, uint32_t flags, struct dlm_lksb* lksb,
                         void* astarg);
extern int dlm_ls_unlock_wait(dlm_lshandle_t ls, uint32_t lkid, uint32_t flags,
                              struct dlm_lksb* lksb);
extern int dlm_ls_deadlock_cancel(dlm_lshandle_t ls, uint32_t lkid, uint32_t flags);
extern int dlm_ls_purge(dlm_lshandle_t ls, int nodeid, int pid);

/* Locks in the lockspace "default". */
extern int dlm_lock(uint32_t mode, struct dlm_lksb* lksb, uint32_t flags, const void* name,
                    unsigned int namelen, uint32_t parent, void (*ast)(void* astarg), void* astarg,
                    void (*bast)(void* astarg), void* range);
extern int dlm_lock_wait(uint32_t mode, struct dlm_lksb* lksb, uint32_t flags, const void* name,
                         unsigned int namelen, uint32_t parent, void* bastarg,
                         void (*bast)(void* bastarg), void* range);
extern int dlm_unlock(uint32_t lkid, uint32_t flags, struct dlm_lksb* lksb, void* astarg);
extern int dlm_unlock_wait(uint32_t lkid, uint32_t flags, struct dlm_lksb* lksb);

/* In -ldlm only: a thread that runs the callbacks. */
#ifdef _REENTRANT
extern int dlm_pthread_init(void);
extern int dlm_pthread_cleanup(void);
extern int dlm_ls_pthread_init(dlm_lshandle_t ls);
extern int lock_resource(const char* resource, int mode, int flags, int* lockid);
extern int unlock_resource(int lockid);
#endif

#ifdef __cplusplus
}
#endif

#endif
