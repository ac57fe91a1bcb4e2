// The commands of this daemon's sessions on their way into the order: taken once, sent in each
// active epoch until one of them is applied and what came of it is told [rules 6.12, 6.22]. It owns
// their numbers and their bound.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "lockd/command.h"
#include "lockd/ring_message.h"

namespace lockd {

class OwnCommands {
 public:
  OwnCommands(std::size_t commands_max, std::size_t bytes_max)
      : commands_max_(commands_max), bytes_max_(bytes_max) {}

  bool has_room() const { return commands_.size() < commands_max_ && bytes_ < bytes_max_; }

  void add(const Command::Body& command, std::uint32_t second);

  // The next one to multicast in this ring, if its message has at most `room` bytes. Of a node
  // without a table only those that concern the life of a session [rule 7.B7]: the others would be
  // answered by nobody.
  std::optional<base::Buffer> next(const RingId& ring, bool only_lives, std::size_t room);

  // It was applied here. It stays until it is settled, for the case that its effect is discarded.
  void applied(std::uint64_t number);

  // What came of it has been told, or there is nothing to tell.
  void settle(std::uint64_t number);

  // The ring they were sent in is gone: those not applied, or all, have to be sent again.
  void send_unapplied_again();
  void send_all_again();

  std::uint64_t sent_again() const { return sent_again_; }
  std::size_t size() const { return commands_.size(); }

 private:
  struct Own {
    base::Buffer command;  // Its bytes, which are the same in every ring.
    bool concerns_life = false;
    bool sent_before = false;
    bool applied = false;
  };

  std::size_t commands_max_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::uint64_t last_number_ = 0;
  std::uint64_t sent_again_ = 0;
  std::map<std::uint64_t, Own> commands_;
  std::set<std::uint64_t> unsent_;
};

}  // namespace lockd
