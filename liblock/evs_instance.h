// An EVS instance behind the C interface: drives the machine with the system's clocks and sockets,
// lets threads wait, and runs callbacks. It decides nothing; the interface is documented in
// liblock/include/liblock/evs.h.
//
// No thread of its own: of the threads that wait, one polls for all of them.
#pragma once

#include <liblock/evs.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/time.h"
#include "liblock/evs_machine.h"
#include "liblock/link.h"
#include "liblock/owner.h"

namespace liblock {

struct EvsOptions {
  std::vector<std::string> socket_paths;
  std::string command;
  base::Duration answer_timeout = std::chrono::seconds(5);
  lock_evs_deliver_fn* deliver = nullptr;
  lock_evs_configuration_fn* configuration = nullptr;
  lock_evs_writable_fn* writable = nullptr;
  void* arg = nullptr;
};

class EvsInstance {
 public:
  // `handle` is what callbacks are given.
  EvsInstance(lock_evs* handle, EvsOptions options, const protocol::Instance& instance);

  // All of these are as in evs.h, and answer its errors.
  int open();
  void close();
  int dispatch(unsigned max);
  int join(std::span<const base::GroupKey> groups);
  int leave(std::span<const base::GroupKey> groups);
  int multicast(protocol::Guarantee guarantee, std::span<const base::GroupKey> groups,
                base::Bytes payload);
  int multicast_joined(protocol::Guarantee guarantee, base::Bytes payload);
  int flush(std::optional<base::Duration> timeout);
  base::Processor self();

  // Borrowed until the next dispatch() or configuration().
  lock_evs_configuration configuration();

  std::string advice();

  // A copy in a forked child: nothing else may be called then but close().
  bool forked() const;
  int poll_fd() const { return link_.poll_fd(); }

 private:
  using Lock = std::unique_lock<std::mutex>;

  // A configuration in the types of evs.h.
  struct Told {
    protocol::EvsConfiguration from;
    std::vector<lock_evs_processor> members;
    std::vector<lock_evs_processor> left;
    std::vector<lock_evs_processor> joined;

    explicit Told(protocol::EvsConfiguration configuration);
    Told() = default;
    lock_evs_configuration view() const;
  };

  // Works until `done` says so, or `until` on the boot clock has come; then false.
  template <typename Done>
  bool wait(Lock& lock, std::optional<base::Duration> until, Done done);
  void read_all();
  void transmit();
  int ask(Lock& lock, const base::Result<std::uint32_t, EvsError>& query);
  template <typename Give>
  int send(Give give);
  int error_of(EvsError error) const;
  int error_of_end() const;
  void call(Lock& lock, EvsEvent event);

  lock_evs* const handle_;
  const EvsOptions options_;
  const Owner owner_;

  std::mutex mutex_;  // Guards all below.
  std::condition_variable polled_;
  bool polling_ = false;      // A thread is in Link::wait().
  bool dispatching_ = false;  // A thread runs callbacks.
  Link link_;
  EvsMachine machine_;
  Told told_;  // The last configuration that was told, or the first one.
};

}  // namespace liblock
