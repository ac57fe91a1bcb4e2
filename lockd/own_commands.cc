#include "lockd/own_commands.h"

#include <utility>
#include <variant>

namespace lockd {
namespace {

bool concerns_life(const Command::Body& command) {
  return std::holds_alternative<Resume>(command) || std::holds_alternative<Detached>(command) ||
         std::holds_alternative<Close>(command);
}

}  // namespace

void OwnCommands::add(const Command::Body& command, std::uint32_t second) {
  Own own;
  encode(command, second, own.command);
  own.concerns_life = concerns_life(command);
  bytes_ += own.command.size();
  const std::uint64_t number = ++last_number_;
  commands_.emplace_hint(commands_.end(), number, std::move(own));
  unsent_.insert(unsent_.end(), number);
}

std::optional<base::Buffer> OwnCommands::next(const RingId& ring, bool only_lives,
                                              std::size_t room) {
  for (const std::uint64_t number : unsent_) {
    Own& own = commands_.at(number);
    if (only_lives && !own.concerns_life) {
      continue;
    }
    base::Buffer message = encode_ordered(ring, number, own.command);
    if (message.size() > room) {
      return std::nullopt;
    }
    sent_again_ += own.sent_before ? 1 : 0;
    own.sent_before = true;
    unsent_.erase(number);
    return message;
  }
  return std::nullopt;
}

void OwnCommands::applied(std::uint64_t number) {
  const auto found = commands_.find(number);
  if (found != commands_.end()) {
    found->second.applied = true;
    unsent_.erase(number);
  }
}

void OwnCommands::settle(std::uint64_t number) {
  const auto found = commands_.find(number);
  if (found != commands_.end()) {
    bytes_ -= found->second.command.size();
    commands_.erase(found);
    unsent_.erase(number);
  }
}

void OwnCommands::send_unapplied_again() {
  for (const auto& [number, own] : commands_) {
    if (!own.applied) {
      unsent_.insert(number);
    }
  }
}

void OwnCommands::send_all_again() {
  for (auto& [number, own] : commands_) {
    own.applied = false;
    unsent_.insert(number);
  }
}

}  // namespace lockd
