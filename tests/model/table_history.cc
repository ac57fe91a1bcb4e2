#include "tests/model/table_history.h"

namespace model {
namespace {

namespace flag = base::lock_flag;

// The first command at which they differ.
std::optional<Divergence> replay(const std::vector<Command>& commands, const dlm::Limits& limits) {
  TablePair pair(limits);
  for (std::size_t i = 0; i < commands.size(); ++i) {
    if (const std::string wrong = pair.execute(commands[i]); !wrong.empty()) {
      return Divergence{{commands.begin(), commands.begin() + static_cast<std::ptrdiff_t>(i) + 1},
                        wrong};
    }
  }
  return std::nullopt;
}

}  // namespace

Setting setting_of(base::Random& random) {
  Setting setting;
  setting.sessions = random.between(1, 6);
  setting.resources = random.between(1, 4);
  setting.owners = random.chance(1, 3) ? random.between(1, 2) : 0;
  setting.wildness = random.chance(1, 3) ? random.between(1, 8) : 0;
  setting.locks_aimed_at = random.between(2, 14);
  if (random.chance(1, 4)) {
    setting.limits.locks = random.between(2, 10);
    setting.limits.resources = random.between(1, 3);
    setting.limits.lockspaces = random.between(1, 2);
    setting.limits.locks_per_session = random.between(1, 5);
  }
  return setting;
}

dlm::LockFlags CommandSource::some(std::initializer_list<dlm::LockFlags> flags,
                                   std::uint64_t of_hundred) {
  dlm::LockFlags drawn = 0;
  for (const dlm::LockFlags it : flags) {
    if (random_.chance(of_hundred, 100)) drawn |= it;
  }
  return drawn;
}

dlm::LockFlags CommandSource::drawn_flags(bool conversion) {
  dlm::LockFlags flags = some({flag::notify}, 70) | some({flag::value_block}, 40);
  flags |= some({flag::no_queue, flag::no_order, flag::head_of_queue, flag::persistent}, 8);
  flags |= some({flag::or_pr, flag::or_cw, flag::no_deadlock_wait, flag::invalidate_value}, 6);
  flags |= some({flag::no_deadlock_block}, 4);
  if (flags & flag::no_queue) flags |= some({flag::no_queue_notify}, 50);
  if (conversion) flags |= some({flag::queue_convert, flag::demote_on_deadlock}, 15);
  if (setting_.wildness == 0 || !random_.chance(setting_.wildness, 10)) return flags;
  const dlm::LockFlags wild = static_cast<dlm::LockFlags>(random_.u64() & random_.u64());
  constexpr dlm::LockFlags kAny = flag::for_request | flag::for_conversion;
  return flags ^ (wild & (conversion ? kAny : kAny & ~flag::adopt_orphan));
}

CommandSource::CommandSource(base::Random random, const Setting& setting)
    : random_(random), setting_(setting) {
  for (std::uint64_t i = 1; i <= setting.sessions; ++i) alive_.push_back(dlm::SessionId{i});
}

dlm::SessionId CommandSource::session() {
  return alive_[random_.below(alive_.size())];
}

// Of one that lives, mostly; another takes its place.
dlm::SessionId CommandSource::end_of_session() {
  if (!ended_.empty() && random_.chance(1, 2)) return ended_[random_.below(ended_.size())];
  dlm::SessionId& place = alive_[random_.below(alive_.size())];
  const dlm::SessionId ending = place;
  ended_.push_back(ending);
  place = dlm::SessionId{setting_.sessions + ++replaced_};
  return ending;
}

dlm::RequestId CommandSource::request(dlm::SessionId session) {
  return dlm::RequestId{++requests_[session]};
}

dlm::LockName CommandSource::any_name() {
  const dlm::SessionId of = session();
  return {of, dlm::RequestId{1 + random_.below(requests_[of] + 1)}};
}

Command CommandSource::acquire() {
  Command command;
  command.kind = Command::Kind::acquire;
  const dlm::SessionId of = session();
  command.lock = random_.chance(1, 100) ? any_name() : dlm::LockName{of, request(of)};
  command.resource = static_cast<int>(random_.below(setting_.resources));
  command.mode = static_cast<dlm::Mode>(random_.below(dlm::kModes));
  command.flags = drawn_flags(false);
  if (command.mode == dlm::Mode::nl && random_.chance(1, 3)) command.flags |= flag::expedite;
  if (setting_.owners > 0) command.owner = dlm::Owner{random_.below(setting_.owners + 1)};
  return command;
}

Command CommandSource::next(const dlm::Table& table) {
  std::vector<dlm::LockView> locks;
  std::erase_if(ended_, [&](dlm::SessionId id) { return table.count_of(id) == 0; });
  for (const auto& sessions : {alive_, ended_}) {
    for (const dlm::SessionId id : sessions) {
      for (const dlm::LockView& view : table.locks_of(id, 1000)) locks.push_back(view);
    }
  }
  const std::uint64_t kind = random_.below(100);
  if (locks.empty() || (kind < 30 && locks.size() < setting_.locks_aimed_at) || kind < 5) {
    return acquire();
  }
  const dlm::LockView& some_lock = locks[random_.below(locks.size())];
  Command command;
  command.lock = random_.chance(1, 60) ? any_name() : some_lock.lock;
  if (some_lock.orphan && random_.chance(2, 3)) {
    command.kind = Command::Kind::adopt;
    command.orphan = command.lock;
    const dlm::SessionId of = session();
    command.lock = random_.chance(1, 20) ? any_name() : dlm::LockName{of, request(of)};
    command.flags = drawn_flags(false);
  } else if (kind < 60) {
    command.kind = Command::Kind::convert;
    command.request = request(command.lock.session);
    command.mode = static_cast<dlm::Mode>(random_.below(dlm::kModes));
    command.flags = drawn_flags(true);
    command.value = static_cast<unsigned char>(random_.below(256));
  } else if (kind < 80) {
    command.kind = Command::Kind::release;
    command.flags = some({flag::value_block}, 40) | some({flag::invalidate_value}, 10) |
                    some({flag::force}, 40) | some({flag::no_order}, 1);
    if (random_.chance(9, 10)) command.value = static_cast<unsigned char>(random_.below(256));
    command.wrong_token = random_.chance(1, 20);
  } else if (kind < 93) {
    command.kind = Command::Kind::cancel;
    const std::uint64_t why = random_.below(10);
    if (why < 3) command.why = dlm::Status::timed_out;
    if (why == 9) command.why = dlm::Status::deadlock;
  } else if (kind < 98) {
    command.kind = Command::Kind::end;
    command.lock.session = end_of_session();
    const std::uint64_t how = random_.below(10);
    command.ending = how < 5   ? dlm::Ending::closed
                     : how < 8 ? dlm::Ending::node_gone
                               : dlm::Ending::purged;
    command.budget = random_.below(5);
  } else {
    command.kind = Command::Kind::reload;
  }
  return command;
}

std::optional<Divergence> run_history(std::uint64_t seed, std::uint64_t steps,
                                      std::map<std::string, std::uint64_t>& seen) {
  base::Random random(seed);
  const Setting setting = setting_of(random);
  CommandSource source(random.fork(), setting);
  TablePair pair(setting.limits);
  std::vector<Command> commands;
  for (std::uint64_t step = 0; step < steps; ++step) {
    commands.push_back(source.next(pair.table()));
    const std::string wrong = pair.execute(commands.back());
    if (!wrong.empty()) return shrunk({commands, wrong}, setting.limits);
  }
  for (const auto& [what, times] : pair.seen()) seen[what] += times;
  return std::nullopt;
}

Divergence shrunk(Divergence found, const dlm::Limits& limits) {
  for (std::size_t many = found.commands.size() / 2; many > 0;) {
    bool shorter = false;
    for (std::size_t at = 0; at + many < found.commands.size();) {
      std::vector<Command> fewer = found.commands;
      const auto from = fewer.begin() + static_cast<std::ptrdiff_t>(at);
      fewer.erase(from, from + static_cast<std::ptrdiff_t>(many));
      if (auto still = replay(fewer, limits)) {
        found = std::move(*still);
        shorter = true;
      } else {
        ++at;
      }
    }
    if (!shorter) many /= 2;
  }
  return found;
}

std::string text(const Divergence& found) {
  std::string all;
  for (const Command& command : found.commands) all += text(command) + "\n";
  return all + "  -> " + found.what + "\n";
}

}  // namespace model
