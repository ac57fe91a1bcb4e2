// The client behind the C interface: drives the machine with the system's clocks and sockets, lets
// threads wait for outcomes, and keeps callbacks until they are dispatched. It decides nothing
// about locks; the C interface is documented in liblock/include/liblock/lock.h.
//
// No thread of its own: of the threads that wait, one polls for all of them.
#pragma once

#include <liblock/lock.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "liblock/client_machine.h"
#include "liblock/event.h"
#include "liblock/link.h"
#include "liblock/owner.h"

namespace liblock {

struct ClientOptions {
  std::vector<std::string> socket_paths;
  std::string command;
  Duration answer_timeout = std::chrono::seconds(5);
  bool query_only = false;
  bool quorum_now = false;
};

class Client {
 public:
  // `handle` is what callbacks are given.
  Client(lock_client* handle, ClientOptions options, protocol::Instance instance);

  // All of these are as in lock.h, and answer its errors.
  int connect();
  void close();
  int dispatch();
  int acquire(std::string_view lockspace, std::string_view name, protocol::Mode mode,
              std::optional<Duration> timeout, lock_grant& grant);
  int try_acquire(std::string_view lockspace, std::string_view name, protocol::Mode mode,
                  lock_grant& grant);
  int release(const lock_grant& grant);
  int acquire_async(std::string_view lockspace, std::string_view name, protocol::Mode mode,
                    bool no_queue, lock_done_fn* callback, void* arg, std::uint64_t* request);
  int cancel(std::uint64_t request);
  int release_async(const lock_grant& grant, lock_done_fn* callback, void* arg);
  void on_lost(lock_lost_fn* callback, void* arg);
  void on_jeopardy(lock_jeopardy_fn* callback, void* arg);
  Duration valid_for(const lock_grant& grant);
  lock_health_state health(const lock_grant& grant);
  std::optional<Duration> timeout();
  lock_client_state state();
  std::string advice();

  // Asks, and waits for the answer.
  base::Result<protocol::Response, int> query(protocol::Request question);

  // A copy in a forked child: nothing else may be called then but close().
  bool forked() const;
  int poll_fd() const { return link_.poll_fd(); }

 private:
  // Somebody who waits for what becomes of an acquire or a release: a thread, or a callback.
  struct Waiter {
    bool thread = false;
    bool done = false;
    int error = 0;
    lock_grant grant{};
    lock_done_fn* callback = nullptr;
    void* arg = nullptr;
  };

  // A callback that is due. Without a callback of its own it is for on_lost.
  struct Due {
    lock_done_fn* callback = nullptr;
    void* arg = nullptr;
    int error = 0;
    bool has_grant = false;
    lock_grant grant{};
  };

  using Lock = std::unique_lock<std::mutex>;

  // Works until `done` says so, or `until` on the boot clock has come; then false.
  template <typename Done>
  bool wait(Lock& lock, std::optional<Duration> until, Done done);
  void work();
  void connect_if_wanted();
  void read_all();
  void finish_turn();

  void on(const Opened&) { refused_ = 0; }
  void on(const Closed&) {}
  void on(const GrantLost& lost);
  void on(const JeopardyBegan&) { on_jeopardy_news(true); }
  void on(const JeopardyEnded&) { on_jeopardy_news(false); }
  void on(const SessionLost&);
  void on(const Granted& granted);
  void on(const Failed& failed);
  void on(const Released& released);
  void on(const QueryAnswered& answered);
  void on(const Refused& refused);
  void on(const Disabled& disabled);
  void on_jeopardy_news(bool jeopardy);
  bool anything_due() const;
  void complete(std::uint64_t id, int error, const lock_grant& grant);

  int wait_for_acquire(Lock& lock, RequestId request, std::optional<Duration> until, int late,
                       lock_grant& grant);
  int recheck(const Waiter& waiter, lock_grant& grant);
  void withdraw(Lock& lock, RequestId request);
  int error_of(CallError error) const;
  int unavailable() const;

  lock_client* const handle_;
  const ClientOptions options_;
  const Owner owner_;

  std::mutex mutex_;  // Guards all below.
  std::condition_variable polled_;
  bool polling_ = false;  // A thread is in Link::wait().
  Link link_;
  ClientMachine machine_;
  int connect_errno_ = 0;  // Of the last attempt; 0 if it succeeded.
  int refused_ = 0;        // The last refusal, as an error; 0 since we were welcome.
  int disabled_ = 0;       // The final refusal, as an error.
  std::string advice_;
  std::map<std::uint64_t, Waiter> waiters_;  // By the id of the acquire.
  std::map<std::uint32_t, std::optional<protocol::Response>> answers_;
  lock_lost_fn* lost_callback_ = nullptr;
  void* lost_arg_ = nullptr;
  lock_jeopardy_fn* jeopardy_callback_ = nullptr;
  void* jeopardy_arg_ = nullptr;
  std::optional<bool> due_jeopardy_;  // The last news, if they were not dispatched.
  std::deque<Due> due_losses_;
  std::deque<Due> due_;
};

}  // namespace liblock
