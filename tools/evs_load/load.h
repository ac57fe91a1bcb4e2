// One program's part in a measurement: it sends as it is told, and counts what it receives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "tools/evs_load/bus.h"

namespace tools::evs_load {

struct Run {
  std::size_t size = 0;  // Bytes of a message, 1 at least.
  bool safe = false;
  bool sends = false;

  // Own messages under way at most; 0: as many as the daemon takes.
  std::size_t window = 0;

  base::Duration pause{0};  // From each delivery of an own message to the next; with a window of 1.
  base::Duration warm_up{0};  // Not counted.
  base::Duration time{0};
};

struct Result {
  std::uint64_t messages = 0;  // Received while it was counted, own ones included.
  std::uint64_t own = 0;       // Of those.
  double seconds = 0;
  std::vector<std::uint32_t> latencies_ns;  // Of own messages, from the send to the delivery.
};

class Load final : private Bus::Listener {
 public:
  // `members` programs take part, each at a daemon of its own. Returns when all are there. Throws
  // std::runtime_error if they do not come, or the system fails; so do the others.
  Load(const std::string& where, std::size_t members);

  // Ends when the configuration has so many members.
  void await_members(std::size_t count);

  // Ends when the time is over and every own message has come back.
  Result run(const Run& run);

  // Ends when all members have called it, and everything they had sent before has been received.
  void fence();

 private:
  void on_message(bool own, base::Bytes message) override;
  void on_members(std::size_t count) override { members_ = count; }

  bool may_send(base::Duration now) const;
  void send_some(base::Bytes message);
  void wait(base::Duration until);

  std::unique_ptr<Bus> bus_;
  std::size_t members_ = 0;
  std::size_t expected_;
  std::size_t fences_ = 0;

  Run run_;
  Result result_;
  bool counting_ = false;
  std::deque<base::Duration> under_way_;  // When each own message was sent.
  base::Duration next_{0};                // No message before that.
};

}  // namespace tools::evs_load
