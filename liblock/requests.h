// The commands of a client that have no final answer yet: their ids, which of them must be sent
// (again), and the acknowledged mark. What their answers mean is the client machine's business
// (liblock/client_machine.h); rule 6.22 says why ids and mark are as they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/ids.h"
#include "liblock/commands.h"
#include "liblock/protocol/messages.h"

namespace liblock {

class Requests {
 public:
  // The ids begin after `last`.
  explicit Requests(RequestId last) : last_(last) {}

  // Under the next id, or the next ids: what is returned is the first.
  RequestId add(Command command);

  // A command of the session before, to be sent in this one under the id that it had there, and
  // before others wherever the limits of the protocol allow it.
  void add_again(RequestId id, Command command);

  // Null if there is no such command, or it has had its final answer. Of one with several ids each
  // finds it. Valid until the next call that is not const.
  Command* find(RequestId id);
  template <typename Kind>
  Kind* find(RequestId id) {
    Command* command = find(id);
    return command == nullptr ? nullptr : std::get_if<Kind>(command);
  }

  // The first id of the command that `id` is of; there is one.
  RequestId first_id(RequestId id) const;

  // A cancellation of this acquire or conversion is under way, or a withdrawal of this arrival.
  bool cancelling(RequestId target) const { return cancelling_.count(target) != 0; }

  // Whether the daemon may have seen it in this session.
  bool seen(RequestId id) const;

  // It stands in the queue: answered, but not for good. Of a command with several ids, each has to
  // be answered, one way or the other.
  void on_answered(RequestId id);

  // The command has had its final answer.
  void resolve(RequestId id);

  // Nothing is on its way any more: all is to be sent again, under the same ids.
  void on_disconnected();

  // The daemon knows nothing of us: only acquires and joins are left, and what it has not seen of
  // barriers, to be sent under the same ids. The caller has resolved the others.
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

  // The first ids of all commands, in order.
  std::vector<RequestId> ids() const;

  std::size_t acquires() const { return acquires_; }        // Locks that are asked for,
  std::size_t conversions() const { return conversions_; }  // and locks that convert.
  std::size_t others() const { return others_; }            // On lockspaces and orphans.

  std::size_t arrivals() const { return arrivals_; }                      // At barriers,
  std::size_t two_step_arrivals() const { return two_step_arrivals_; }    // some with two steps,
  std::size_t barrier_operations() const { return barrier_operations_; }  // and what is no arrival.

 private:
  struct Entry {
    Command command;
    std::uint64_t ids = 1;
    bool again = false;
    bool seen = false;        // By the daemon, perhaps, in this session.
    bool sent = false;        // On this connection.
    std::uint64_t parts = 0;  // Those answered on this connection, a bit for each id.

    bool answered() const { return parts == ~std::uint64_t{0} >> (64 - ids); }
  };

  using Entries = std::map<RequestId, Entry>;
  Entries::const_iterator at(RequestId id) const;
  void insert(RequestId id, Entry entry);
  void unsend(RequestId id, Entry& entry);
  bool in_window(RequestId id, std::uint64_t ids) const;
  std::size_t* counter_of(const Command& command);
  void count(const Entry& entry, bool come);

  RequestId last_{};
  Entries entries_;
  std::set<RequestId> unsent_;
  std::set<RequestId> unsent_again_;  // Of those, what goes first.
  std::set<RequestId> unanswered_;    // In this session.
  std::set<RequestId> cancelling_;
  std::size_t in_flight_ = 0;  // Ids sent and not answered.
  std::size_t acquires_ = 0;
  std::size_t conversions_ = 0;
  std::size_t others_ = 0;
  std::size_t arrivals_ = 0;
  std::size_t two_step_arrivals_ = 0;
  std::size_t barrier_operations_ = 0;
};

}  // namespace liblock
