// Slows those who send to groups down to what their readers take. A daemon with a reader that is
// behind says so on the ring, and all daemons stop handing messages to groups to the ring until it
// has caught up. It is waited for only as long as it reads: who does not catch up in time holds up
// nobody any more, and is cut off when too much waits (lockd/sessions.h). Locks pass by all this.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"
#include "lockd/client_connection.h"

namespace lockd {

using base::Instant;

class GroupFlow {
 public:
  // What may wait for a reader before it counts as behind, and when it has caught up again. What is
  // on its way when the senders hear of it comes on top, below Sessions' limit.
  static constexpr std::size_t kBehindBytes = 512 * 1024;
  static constexpr std::size_t kCaughtUpBytes = 256 * 1024;

  // How long a reader that is behind is waited for.
  static constexpr base::Duration kPatience = std::chrono::seconds(1);

  // A word to pause holds for this long, and is repeated at half of it: who said it may be gone.
  static constexpr base::Duration kPause = std::chrono::milliseconds(100);

  // The word on the ring.
  static base::Buffer encode(bool pause);
  static std::optional<bool> decode(base::Bytes bytes);

  // So much waits for this reader now.
  void unread(Instant now, ConnectionId reader, std::size_t bytes);
  void forget(ConnectionId reader) { behind_.erase(reader); }

  // Whether there is such a reader.
  bool waits(Instant now) const;

  // What is to be said to all daemons, this one included: pause, or go on.
  std::optional<bool> poll_word(Instant now);

  // What a member of the ring said. Words of the configuration before mean nothing any more.
  void hear(Instant now, const base::Processor& who, bool pause);
  void forget_words();

  // Whether messages to groups may be handed to the ring.
  bool open(Instant now) const;

  // To be called when next_timeout() is reached, on the boot clock; then poll_word() and open() may
  // say something else.
  void handle_timeout(Instant now);
  std::optional<base::Duration> next_timeout() const;

 private:
  std::map<ConnectionId, Instant> behind_;  // Since when.
  bool said_ = false;                       // The last word was to pause.
  std::optional<base::Duration> repeat_at_;
  std::map<base::Processor, base::Duration> paused_;  // Until when, on the boot clock.
};

}  // namespace lockd
