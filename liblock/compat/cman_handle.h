// A handle of libcman: a session of its own, its barriers by their names, and a thread that keeps
// both alive. What it promises is said in liblock/compat/libcman.h.
#pragma once

#include <liblock/barrier.h>
#include <liblock/lockspace.h>
#include <liblock/query.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "base/time.h"

namespace compat {

class CmanHandle {
 public:
  // Connects, and makes this node one of "all nodes". Null, with errno.
  static std::unique_ptr<CmanHandle> open();

  // Takes all arrivals back.
  ~CmanHandle();
  CmanHandle(const CmanHandle&) = delete;
  CmanHandle& operator=(const CmanHandle&) = delete;

  // These return an errno or 0.
  int enter(const std::string& name, int flags, int nodes);
  int change(const std::string& name, int attribute, int arg);
  int wait(const std::string& name);
  int remove(const std::string& name);

 private:
  using Guard = std::unique_lock<std::mutex>;

  // A descriptor that is readable from raise() to lower().
  class Event {
   public:
    Event();
    ~Event();
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;
    void raise() const;
    void lower() const;
    int fd() const { return fd_; }

   private:
    int fd_;
  };

  // One that is registered.
  struct Barrier {
    std::string name;
    unsigned nodes = 0;  // 0: all.
    bool auto_delete = false;
    unsigned timeout_s = 0;  // 0: none.
    bool enabled = false;
    std::uint64_t arrival = 0;
    std::optional<base::Duration> give_up;  // When, if nobody has ended it.
    std::optional<int> withdrawn_for;       // An errno.
    std::optional<int> ended;               // An errno, or 0.
    Event over;
  };
  using BarrierPtr = std::shared_ptr<Barrier>;

  // The lockspace's members when last told, and who of them has failed.
  using Nodes = std::set<std::uint32_t>;

  explicit CmanHandle(lock_client* client);

  // All that follow with the mutex held, but for serve() and what is called back.
  BarrierPtr find(const std::string& name) const;
  int enable(const BarrierPtr& barrier);
  void withdraw(Barrier& barrier, int reason);
  void end(Barrier& barrier, int reason);
  void wait_for_end(Guard& guard, const Barrier& barrier, base::Duration until);
  void watch_clocks();
  int sleep_ms() const;

  void serve();
  static void join_if_not(lock_client* client, const Nodes& members);
  static void on_end(lock_client*, std::uint64_t arrival, int error,
                     const lock_barrier_outcome* outcome, void* self);
  static void on_members(lock_client*, const lock_lockspace_info* info, void* self);

  lock_client* client_;
  Event wake_;  // The thread has to look anew.
  std::thread server_;

  mutable std::mutex mutex_;  // Guards all below.
  bool closing_ = false;
  std::map<std::string, BarrierPtr> barriers_;
  std::map<std::uint64_t, BarrierPtr> arrivals_;  // Whose end is still to be told.
  Nodes members_;
  Nodes failed_;
  std::optional<base::Duration> unavailable_since_;
};

}  // namespace compat
