// The client behind the C interface: drives the machine with the system's clocks and sockets, lets
// threads wait for outcomes, and keeps callbacks until they are dispatched. It decides nothing
// about locks; the C interface is documented in liblock/include/liblock/lock.h.
//
// No thread of its own: of the threads that wait, one polls for all of them. The class is spread
// over client.cc (turning, and what is not about locks), client_events.cc (what the machine tells),
// client_dispatch.cc, client_locks.cc, client_lockspaces.cc, client_barriers.cc and
// client_watch.cc.
#pragma once

#include <liblock/barrier.h>
#include <liblock/lockspace.h>
#include <liblock/request.h>

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
#include "liblock/deadlock_log.h"
#include "liblock/due.h"
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

// A holder's wish to hear of those who wait for him.
struct Notify {
  lock_notify_fn* callback = nullptr;
  void* arg = nullptr;
};

// Whom the outcome of a barrier is told in dispatch().
struct BarrierCallback {
  lock_barrier_fn* function = nullptr;
  void* arg = nullptr;
};

class Client {
 public:
  // `handle` is what callbacks are given.
  Client(lock_client* handle, ClientOptions options, protocol::Instance instance);

  // All of these are as in the headers, and answer their errors.
  int connect();
  void close();
  int dispatch();

  // No time-out: without end.
  using Timeout = std::optional<Duration>;

  int acquire(const LockRequest& request, Timeout timeout, Notify notify, lock_outcome& outcome);
  int acquire_async(const LockRequest& request, Notify notify, Callback callback,
                    std::uint64_t* id);

  // As many of `notify` and `outcomes` as there are parts.
  int acquire_all(const AllRequest& request, Timeout timeout, const std::vector<Notify>& notify,
                  std::vector<lock_outcome>& outcomes);
  int acquire_all_async(const AllRequest& request, const std::vector<Notify>& notify,
                        Callback callback, std::uint64_t* first);

  int convert(const lock_grant& grant, const LockConversion& conversion, Timeout timeout,
              Notify notify, lock_outcome& outcome);
  int convert_async(const lock_grant& grant, const LockConversion& conversion, Notify notify,
                    Callback callback);
  int release(const lock_grant& grant, LockFlags flags, const std::optional<ValueBlock>& value);
  int release_async(const lock_grant& grant, LockFlags flags,
                    const std::optional<ValueBlock>& value, Callback callback);
  int cancel(std::uint64_t id);

  int drop_orphans(base::NodeId node, std::uint32_t pid, std::optional<Callback> callback);
  int join(std::string_view lockspace, protocol::JoinKind kind, std::uint16_t permissions,
           std::optional<Callback> callback);
  int leave(std::string_view lockspace, bool force, std::optional<Callback> callback);

  // Without a callback the outcome waits for await_barrier().
  int arrive(const BarrierArrival& arrival, std::optional<BarrierCallback> callback,
             std::uint64_t* id);
  int wait_at_barrier(const BarrierArrival& arrival, Timeout timeout,
                      std::optional<BarrierEnd>& end);
  int await_barrier(std::uint64_t arrival, Timeout timeout, std::optional<BarrierEnd>& end);
  int leave_barrier(std::uint64_t generation, std::string_view value, Timeout timeout,
                    std::optional<BarrierEnd>& end);
  int leave_barrier_async(std::uint64_t generation, std::string_view value,
                          BarrierCallback callback);
  int withdraw(std::uint64_t arrival);
  int create_barrier(std::string_view lockspace, std::string_view barrier,
                     const protocol::BarrierConfig& config);
  int change_barrier(std::string_view lockspace, std::string_view barrier,
                     protocol::BarrierAttribute attribute, std::uint32_t value);
  int cancel_barrier(std::string_view lockspace, std::string_view barrier);
  int delete_barrier(std::string_view lockspace, std::string_view barrier, bool force);
  void on_barrier_broken(lock_barrier_broken_fn* callback, void* arg);

  void on_lost(lock_lost_fn* callback, void* arg);
  void on_jeopardy(lock_jeopardy_fn* callback, void* arg);
  void on_lockspace(lock_lockspace_fn* callback, void* arg);
  Duration valid_for(const lock_grant& grant);
  lock_health_state health(const lock_grant& grant);
  std::optional<Duration> timeout();
  lock_client_state state();
  std::string advice();

  // Of this lock, or the last one; empty if none is known.
  DeadlockSteps deadlock(std::uint64_t lock);

  // Asks, and waits for the answer.
  base::Result<protocol::Response, int> query(protocol::Request question);

  // Gives what a watch tells to `tell`, one by one and without holding anything, until that answers
  // something else than 0; nothing when `idle` has passed. Returns that answer, or an error.
  int watch(protocol::Watch wish, Timeout idle,
            const std::function<int(const protocol::Response* news)>& tell);

  // A copy in a forked child: nothing else may be called then but close().
  bool forked() const;
  int poll_fd() const { return link_.poll_fd(); }

 private:
  // Somebody who waits for what becomes of a request: a thread, or a callback.
  struct Waiter {
    bool thread = false;
    bool done = false;
    bool conversion = false;
    Callback callback;
    std::vector<lock_outcome> outcomes;  // Of each part one; before they are known, with their ids.
  };

  // Somebody who waits for the outcome of an arrival or of a leave, or is going to.
  struct BarrierWaiter {
    bool done = false;
    bool awaited = false;  // A thread is in it.
    bool leaves = false;
    std::optional<BarrierCallback> callback;
    int error = 0;
    std::optional<BarrierEnd> end;
  };

  // Whom a client tells of what nobody asked for.
  struct Listeners {
    lock_lost_fn* lost = nullptr;
    void* lost_arg = nullptr;
    lock_jeopardy_fn* jeopardy = nullptr;
    void* jeopardy_arg = nullptr;
    lock_lockspace_fn* lockspace = nullptr;
    void* lockspace_arg = nullptr;
    lock_barrier_broken_fn* broken = nullptr;
    void* broken_arg = nullptr;
  };

  using Lock = std::unique_lock<std::mutex>;

  // client.cc. Works until `done` says so, or `until` on the boot clock has come; then false. After
  // work() the link has to be told whether there is anything to dispatch, as finish_turn() does.
  bool wait(Lock& lock, std::optional<Duration> until, const std::function<bool()>& done);
  void work();
  void connect_if_wanted();
  void read_all();
  void finish_turn();
  void pass_on();
  int error_of(CallError error) const;
  int unavailable() const;
  int end_of_watch() const;

  // client_events.cc
  void on(const Opened&) { refused_ = 0; }
  void on(const Closed&) {}
  void on(const GrantLost& lost);
  void on(const JeopardyBegan&) { on_jeopardy_news(true); }
  void on(const JeopardyEnded&) { on_jeopardy_news(false); }
  void on(const SessionLost&);
  void on(const Granted& granted);
  void on(const GrantedAll& granted);
  void on(const Failed& failed);
  void on(const Converted& converted);
  void on(const ConversionFailed& failed);
  void on(const Released& released);
  void on(const Blocked& blocked);
  void on(const Done& done);
  void on(const BarrierEnded& ended);
  void on(const BarrierFailed& failed);
  void on(const BarrierBroken& broken);
  void on(const LockspaceChanged& changed);
  void on(const LockspaceGone& gone);
  void on(const QueryAnswered& answered);
  void on(const Watched& watched);
  void on(const Refused& refused);
  void on(const Disabled& disabled);
  void on_jeopardy_news(bool jeopardy);
  int error_of(Failure failure) const;
  Waiter* waiter_of(std::uint64_t id);
  void complete(RequestId operation, std::vector<lock_outcome> outcomes);

  // client_dispatch.cc
  void tell_lockspaces(const Due& due, const Listeners& listeners);
  void tell_blocked(std::uint64_t lock, const Due::Notices& notices);
  void tell(const Completion& completion);
  void tell(const BarrierCompletion& completion, const Listeners& listeners);

  // client_locks.cc
  void await(RequestId operation, std::size_t parts);
  int wait_for_acquire(Lock& lock, RequestId first, Timeout timeout, bool at_once,
                       std::vector<lock_outcome>& outcomes);
  void withdraw(Lock& lock, RequestId operation, RequestId acquire);
  int recheck(std::vector<lock_outcome>& outcomes);
  lock_outcome as_held(RequestId acquire, int error) const;
  void forget_notify(const std::vector<lock_outcome>& outcomes);
  int wait_for_answer(Lock& lock, RequestId operation);
  int finish(Lock& lock, const base::Result<RequestId, CallError>& asked,
             const std::optional<Callback>& callback);

  // client_barriers.cc
  bool full_of_outcomes(const BarrierArrival& arrival) const;
  int take_outcome(BarrierWaiter waiter, std::optional<BarrierEnd>& end);
  int wait_or_withdraw(Lock& lock, RequestId arrival, Timeout timeout,
                       std::optional<BarrierEnd>& end);
  void complete(RequestId operation, int error, std::optional<BarrierEnd> end);

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
  std::map<RequestId, Waiter> waiters_;  // By what they wait for: acquire, conversion, release, ...
  std::map<RequestId, Notify> notify_;   // By lock.
  std::map<RequestId, BarrierWaiter> barrier_waiters_;  // By arrival, or leave.
  std::map<std::uint32_t, std::optional<protocol::Response>> answers_;
  std::deque<protocol::Response> news_;  // Of the watch.
  DeadlockLog deadlocks_;
  Listeners listeners_;
  Due due_;
};

}  // namespace liblock
