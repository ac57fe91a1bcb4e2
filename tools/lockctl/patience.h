// How long a command waits for a daemon, for a quorum, and for what it asked for.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "tools/client.h"
#include "tools/lockctl/failure.h"

namespace tools::lockctl {

// Enough for a ring to form anew and for the wait after a lost node.
constexpr base::Duration kPatience = std::chrono::seconds(10);

class Patience {
 public:
  // None: without end, but for a daemon or a quorum no longer than kPatience. Else so long for all
  // of it, from now on.
  explicit Patience(std::optional<base::Duration> wait);

  // Of a client that is connected: while it has no daemon or no quorum, that is what we wait for.
  void note(lock_client* client);

  base::Duration left() const;
  bool is_over() const { return left() <= base::Duration(0); }
  base::Duration waited() const;

  // What poll() is to be given, so as to see the end of `most` or of our patience.
  int poll_timeout_ms(base::Duration most) const;

  const std::optional<base::Duration>& wait() const { return wait_; }

 private:
  std::optional<base::Duration> wait_;
  base::Duration start_;
  std::optional<base::Duration> unavailable_since_;
};

// Connects with all of `options` but socket and times, which are set here; `tell` hears what is
// waited for, again and again.
base::Result<Client, Failure> connect(lock_options options, const std::string& socket,
                                      const Patience& patience,
                                      const std::function<void(const char* what)>& tell);

// What a client lacks that is not ready.
int unavailable_error(lock_client* client);

}  // namespace tools::lockctl
