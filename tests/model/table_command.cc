#include "tests/model/table_command.h"

#include <array>

namespace model {

std::string text(dlm::LockName name) {
  return std::to_string(base::value(name.session)) + "/" +
         std::to_string(base::value(name.acquired_by));
}

std::string text(const Command& it) {
  static constexpr const char* kKinds[] = {"acquire", "convert", "release", "cancel",
                                           "adopt",   "end",     "reload"};
  std::string line = kKinds[static_cast<int>(it.kind)];
  const auto flags = [&] {
    if (it.flags != 0) line += " " + base::to_text(it.flags);
    if (it.value) line += " value " + std::to_string(*it.value);
  };
  switch (it.kind) {
    case Command::Kind::acquire:
      line +=
          " " + text(it.lock) + " " + name_of(it.resource) + " " + std::string(to_string(it.mode));
      if (it.owner != dlm::Owner{}) line += " owner " + std::to_string(base::value(it.owner));
      flags();
      break;
    case Command::Kind::convert:
      line += " " + text(it.lock) + " as " + std::to_string(base::value(it.request)) + " to " +
              std::string(to_string(it.mode));
      flags();
      break;
    case Command::Kind::release:
      line += " " + text(it.lock);
      if (it.wrong_token) line += " wrong token";
      flags();
      break;
    case Command::Kind::cancel:
      line += " " + text(it.lock) + " " + std::string(to_string(it.why));
      break;
    case Command::Kind::adopt:
      line += " " + text(it.orphan) + " as " + text(it.lock);
      flags();
      break;
    case Command::Kind::end:
      line += " " + std::to_string(base::value(it.lock.session));
      line += it.ending == dlm::Ending::closed      ? " closed"
              : it.ending == dlm::Ending::node_gone ? " node gone"
                                                    : " purged";
      break;
    case Command::Kind::reload:
      break;
  }
  return line;
}

const std::string& lockspace_of(int resource) {
  static const std::array<std::string, 2> kNames = {"l", "m"};
  return kNames.at(static_cast<std::size_t>(resource % 2));
}

const std::string& name_of(int resource) {
  static const std::array<std::string, 6> kNames = {"a", "b", "c", "d", "e", "f"};
  return kNames.at(static_cast<std::size_t>(resource));
}

dlm::ResourceName full_name_of(int resource) {
  return {base::bytes_of(lockspace_of(resource)), base::bytes_of(name_of(resource))};
}

std::optional<dlm::ValueBlock> block_of(std::optional<unsigned char> value) {
  if (!value) return std::nullopt;
  dlm::ValueBlock block;
  block.fill(static_cast<std::byte>(*value));
  return block;
}

void execute(dlm::Table& table, const Command& it, dlm::Effects& effects) {
  switch (it.kind) {
    case Command::Kind::acquire:
      return table.acquire(
          dlm::Acquire{it.lock, full_name_of(it.resource), it.mode, it.flags, it.owner, 0},
          effects);
    case Command::Kind::convert:
      return table.convert({it.lock, it.request, it.mode, it.flags, block_of(it.value), 0},
                           effects);
    case Command::Kind::release: {
      const auto view = table.find(it.lock);
      const std::uint64_t token = view ? base::value(view->token) : 0;
      return table.release(
          {it.lock, dlm::Token{token + (it.wrong_token ? 1 : 0)}, it.flags, block_of(it.value)},
          effects);
    }
    case Command::Kind::cancel:
      return table.cancel(it.lock, it.why, effects);
    case Command::Kind::adopt:
      return table.adopt({it.lock, it.orphan, it.flags}, effects);
    case Command::Kind::end:
      table.release_some(it.lock.session, it.ending, it.budget, effects);
      return;
    case Command::Kind::reload:
      return;
  }
}

}  // namespace model
