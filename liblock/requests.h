// The commands of a client that have no final answer yet: their ids, which of them must be sent
// (again), and the acknowledged mark. What their answers mean is the client machine's business
// (liblock/client_machine.h); rule 6.22 says why ids and mark are as they are.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "liblock/protocol/messages.h"

namespace liblock {

using base::RequestId;
using base::Token;

struct AcquireCommand {
  std::string lockspace;
  std::string resource;
  protocol::Mode mode{};
  bool no_queue = false;
  bool forgotten = false;  // Nobody waits for the outcome: what is granted is given back.
};

struct ReleaseCommand {
  RequestId acquire{};
  Token token{};
  bool reported = false;  // Somebody waits for the outcome.
};

struct CancelCommand {
  RequestId acquire{};
};

using Command = std::variant<AcquireCommand, ReleaseCommand, CancelCommand>;

class Requests {
 public:
  // The ids begin after `last`.
  explicit Requests(RequestId last) : last_(last) {}

  // Under the next id.
  RequestId add(Command command);

  // Null if there is no such command, or it has had its final answer. Valid until the next call
  // that is not const.
  Command* find(RequestId id);
  AcquireCommand* find_acquire(RequestId id);

  // The cancellation of this acquire, if one is under way.
  bool cancelling(RequestId acquire) const { return cancelling_.count(acquire) != 0; }

  // Whether the daemon may have seen it in this session.
  bool seen(RequestId id) const;

  // It stands in the queue: answered, but not for good.
  void on_queued(RequestId id);

  // It has had its final answer.
  void resolve(RequestId id);

  // Nothing is on its way any more: all is to be sent again, under the same ids.
  void on_disconnected();

  // The daemon knows nothing of us: only acquires are left, to be sent under the same ids. The
  // caller has resolved the others.
  void on_new_session();

  // The next command that may be sent, marked as sent; none if all are, or the limits of the
  // protocol say to wait for answers.
  struct Outgoing {
    RequestId id{};
    RequestId acknowledged{};
    const Command* command = nullptr;
  };
  std::optional<Outgoing> send_next();

  // All up to this id are answered and will not be sent again, but for queued ones.
  RequestId acknowledged() const;

  // The ids of all commands, in order.
  std::vector<RequestId> ids() const;

  std::size_t acquires() const { return acquires_; }

 private:
  struct Entry {
    Command command;
    bool seen = false;      // By the daemon, perhaps, in this session.
    bool sent = false;      // On this connection.
    bool answered = false;  // On this connection: it stands in the queue.
  };

  RequestId last_{};
  std::map<RequestId, Entry> entries_;
  std::set<RequestId> unsent_;
  std::set<RequestId> unanswered_;  // In this session.
  std::set<RequestId> cancelling_;  // Acquires.
  std::size_t in_flight_ = 0;       // Sent and not answered.
  std::size_t acquires_ = 0;
};

}  // namespace liblock
