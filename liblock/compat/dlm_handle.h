// A lockspace handle of libdlm: a session of its own, its locks by their small numbers, and the
// callbacks that are due. What it promises is said in liblock/compat/dlm.cc.
#pragma once

#include <liblock/lockspace.h>
#include <liblock/query.h>
#include <liblock/request.h>

#include <array>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/time.h"
#include "liblock/compat/libdlm.h"

namespace compat {

using Ast = void (*)(void*);

// Somebody who waits in a call until an operation has ended.
struct Waiter {
  bool done = false;
  int status = 0;
};

struct LockCall {
  std::uint32_t mode = 0;
  dlm_lksb* lksb = nullptr;
  std::uint32_t flags = 0;
  const void* name = nullptr;
  unsigned name_len = 0;
  Ast ast = nullptr;
  void* astarg = nullptr;
  Ast bast = nullptr;
  std::uint64_t transaction = 0;  // 0: none.
  unsigned patience_ms = 0;
};

// As lock_connect(); a session waits for a quorum, however long that takes.
int connect_to_daemon(bool query_only, lock_client** client);

class Handle : public std::enable_shared_from_this<Handle> {
 public:
  // Connects, waiting for a quorum, and joins. Null, with errno.
  static std::shared_ptr<Handle> open(const char* name, lock_join_kind kind, unsigned permissions);
  ~Handle();
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  // No callback begins afterwards, and those who wait in calls return. May be called by a callback.
  void close();

  // Gives back what is not persistent, and waits for that.
  void give_back();

  // These return an errno or 0. Without a waiter, the completion comes by the callback.
  int lock(const LockCall& call, Waiter* waiter);
  int adopt(const LockCall& call);
  int unlock(std::uint32_t lkid, std::uint32_t flags, dlm_lksb* lksb, void* astarg, Waiter* waiter);
  int cancel_as_deadlock(std::uint32_t lkid);
  int purge(int node, int pid);
  int start_thread();

  // Until the operation has ended; runs callbacks meanwhile if no thread does. An errno or 0.
  int wait(Waiter& waiter);

  // What is due now.
  void dispatch();
  int fd() const { return ready_; }

 private:
  using Guard = std::unique_lock<std::mutex>;

  enum class State {
    waiting,
    granted,
    converting,
    restoring,  // Lost, and asked for again at NL; a conversion may wait for that.
  };

  struct Conversion {
    std::uint32_t mode = 0;
    std::uint32_t flags = 0;
    unsigned patience_ms = 0;
    std::optional<std::array<char, DLM_LVB_LEN>> value;
  };

  struct Lock {
    State state = State::waiting;
    lock_grant grant{};
    std::uint32_t mode = 0;  // Held.
    std::uint32_t flags = 0;
    std::string name;
    dlm_lksb* lksb = nullptr;
    Ast ast = nullptr;
    void* astarg = nullptr;
    Ast bast = nullptr;
    std::vector<Waiter*> waiters;          // For the operation that is under way.
    std::optional<Conversion> conversion;  // The one that is under way.
    std::uint64_t operations = 0;
    unsigned char notes = 0;  // To be told with the next completion.
    bool silent = false;      // An adoption: nothing but its waiter is told.
    bool unlocking = false;
    bool cancelling = false;
    bool deadlock = false;  // It is cancelled as the victim of one.
  };

  // What is told to the program: a completion, or else that a lock is in somebody's way.
  struct Due {
    std::uint32_t lkid = 0;
    bool blocks = false;
    std::uint64_t operations = 0;
    dlm_lksb* lksb = nullptr;
    int status = 0;
    unsigned char notes = 0;
    std::optional<std::array<char, DLM_LVB_LEN>> value;
    Ast function = nullptr;
    void* arg = nullptr;
    std::vector<Waiter*> waiters;
  };

  Handle(std::string name, lock_client* client, int ready, int wake);

  // The thread that keeps the session alive, and what liblock tells it.
  void serve();
  void serve_here();
  static void on_requested(lock_client*, const lock_outcome* outcome, void* arg);
  static void on_converted(lock_client*, const lock_outcome* outcome, void* arg);
  static void on_released(lock_client*, int error, const lock_grant*, void* arg);
  static void on_notified(lock_client*, const lock_grant* grant, lock_mode mode, void* arg);
  static void on_lost(lock_client*, const lock_grant* grant, void* arg);
  static void on_lockspace(lock_client*, const lock_lockspace_info* info, void* arg);
  void requested(std::uint32_t lkid, const lock_outcome& outcome);
  void converted(std::uint32_t lkid, const lock_outcome& outcome);
  void released(std::uint32_t lkid);
  void notified(std::uint32_t lkid, const lock_grant& grant);
  void lost(const lock_grant& grant);

  Lock* find(std::uint32_t lkid);
  std::uint32_t next_lkid();
  int request(std::uint32_t lkid, Lock& lock, const LockCall& call);
  int convert(const LockCall& call, Waiter* waiter);
  int ask_conversion(std::uint32_t lkid, Lock& lock);
  int cancel(Lock& lock, Waiter* waiter);
  void restore(std::uint32_t lkid, Lock& lock);
  void complete(std::uint32_t lkid, Lock& lock, int status, const lock_outcome* outcome);
  void end(std::uint32_t lkid);
  void asked();
  void tell(Due due);
  void tell_blocked(std::uint32_t lkid, const Lock& lock);
  void deliver_one(Guard& guard);
  void receive();
  bool runs_callbacks_here() const;

  const std::string name_;
  lock_client* const client_;
  const int ready_;  // Readable while something is due.
  const int wake_;   // Wakes the serving thread.
  std::thread server_;

  std::mutex mutex_;  // Guards all below.
  std::condition_variable changed_;
  bool closed_ = false;
  int giving_back_ = 0;             // Releases that were not answered yet.
  base::Duration served_until_{0};  // When the serving thread wakes by itself, on CLOCK_MONOTONIC.
  std::uint32_t last_lkid_ = 0;
  std::map<std::uint32_t, Lock> locks_;
  std::map<std::uint64_t, std::uint32_t> lkids_;  // By the id of the grant.
  std::deque<Due> due_;
  std::optional<std::thread> receiver_;
};

}  // namespace compat
