#include "tools/lockctl/lock_text.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "tools/lockctl/duration.h"
#include "tools/lockctl/name.h"
#include "tools/lockctl/table.h"

namespace tools::lockctl {
namespace {

std::string number(std::uint64_t value) {
  return value == 0 ? "-" : std::to_string(value);
}

// A table that was lost with its last holder is held back as a whole for a while.
const char* const kNobody = "nobody; the leases from before have to run out first";

std::string state_of(const ShownLock& lock) {
  if (!lock.waiting) return lock.orphan ? "holds, orphan" : "holds";
  return (lock.granted ? "converts " : "waits ") + std::to_string(lock.position);
}

// The clocks of two nodes may differ: nothing began in the future.
std::string age(const ShownLock& lock, std::uint32_t now) {
  if (lock.since == 0) return "-";
  const std::uint32_t seconds = now - std::min(lock.since, now);
  return seconds == 0 ? "0s" : format_duration(std::chrono::seconds(seconds));
}

std::string text_of_value(const Showing& showing) {
  if (!showing.value && !showing.value_invalid) return "";
  std::string text = "value";
  if (showing.value) {
    text += " " + hexadecimal(*showing.value);
    const std::string readable = format_value(*showing.value);
    if (!readable.starts_with("0x")) text += ": " + printable(readable);
  }
  if (showing.value_invalid) text += " (invalid: whoever could write it last did not finish)";
  return text + "\n";
}

std::string who(const DeadlockedLock& lock) {
  std::string text = "node " + std::to_string(lock.node);
  if (lock.pid != 0) text += " pid " + std::to_string(lock.pid);
  if (!lock.command.empty()) text += " (" + printable(lock.command) + ")";
  return text;
}

std::string members_text(const std::vector<ListedLockspace::Member>& members) {
  std::string text;
  for (const auto& member : members) {
    text +=
        (text.empty() ? "" : " ") + std::to_string(member.node) + ":" + std::to_string(member.slot);
  }
  return text.empty() ? "-" : text;
}

}  // namespace

std::string hexadecimal(const base::ValueBlock& value) {
  std::string text;
  for (const std::byte byte : value) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", std::to_integer<unsigned>(byte));
    text += digits;
  }
  return text;
}

std::string format_value(const base::ValueBlock& value) {
  std::string text;
  for (const std::byte byte : value) text += std::to_integer<char>(byte);
  text.erase(text.find_last_not_of('\0') + 1);
  const bool as_it_is = is_readable(text) && !text.starts_with("0x");
  return as_it_is ? text : "0x" + hexadecimal(value);
}

std::string permissions_text(unsigned permissions) {
  std::string text;
  for (int bit = 8; bit >= 0; --bit) {
    text += (permissions >> bit & 1U) != 0 ? "xwr"[bit % 3] : '-';
  }
  return text;
}

std::string text_of(const Showing& showing) {
  const std::string notice = showing.stale ? kStaleNotice : "";
  if (showing.locks.empty()) return notice + printable(showing.name) + " is free.\n";
  std::vector<Row> rows = {{"", "MODE", "TOKEN", "NODE", "PID", "UID", "SINCE", "COMMAND"}};
  const bool flags =
      std::ranges::any_of(showing.locks, [](const ShownLock& lock) { return lock.flags != 0; });
  if (flags) rows[0].insert(rows[0].end() - 1, "FLAGS");
  for (const ShownLock& lock : showing.locks) {
    const bool converts = lock.granted && lock.waiting;
    Row row = {state_of(lock),
               lock.mode + (converts ? " to " + lock.wants : ""),
               number(lock.token),
               number(lock.node) + (lock.orphaned ? " (gone)" : ""),
               number(lock.pid),
               lock.pid == 0 ? "-" : std::to_string(lock.uid),
               age(lock, showing.now),
               lock.granted && lock.session == 0 ? kNobody : printable(lock.command)};
    if (flags) {
      const std::string names = base::to_text(lock.flags);
      row.insert(row.end() - 1, names.empty() ? "-" : names);
    }
    rows.push_back(std::move(row));
  }
  return notice + table(rows) + text_of_value(showing);
}

std::string text_of(const Blockings& blockings) {
  const Showing& showing = blockings.showing;
  std::string text = showing.stale ? kStaleNotice : "";
  if (showing.locks.empty()) return text + printable(showing.name) + " is free.\n";
  if (blockings.blockings.empty())
    return text + "Nobody waits for " + printable(showing.name) + ".\n";
  for (const Blocking& blocking : blockings.blockings) text += blocking.sentence + "\n";
  return text;
}

std::string text_of(const Deadlocks& deadlocks) {
  if (deadlocks.deadlocks.empty()) return "No deadlocks.\n";
  std::string text;
  for (std::size_t back = 0; back < deadlocks.deadlocks.size(); ++back) {
    const Deadlock& deadlock = deadlocks.deadlocks[back];
    const auto victim = std::ranges::find_if(deadlock.steps, [&](const DeadlockStep& step) {
      return step.waits.session == deadlock.session;
    });
    if (back > 0) text += "\n";
    text += back == 0 ? "the last one" : std::to_string(back) + " before";
    text += ": request " + std::to_string(deadlock.request) + " of session " +
            std::to_string(deadlock.session);
    if (victim != deadlock.steps.end()) text += ", " + who(victim->waits) + ",";
    text += " came to nothing\n";
    for (const DeadlockStep& step : deadlock.steps) {
      text += "  " + who(step.waits) + " waits for " + step.wants + " on " + printable(step.name) +
              (step.lockspace == "default" ? "" : " in " + printable(step.lockspace)) + ", which " +
              who(step.blocker) + " has or awaits in " + step.has + "\n";
    }
    const std::size_t more = deadlock.steps_in_all - deadlock.steps.size();
    if (more > 0) text += "  and " + std::to_string(more) + " steps more\n";
  }
  return text;
}

std::string text_of(const Lockspaces& lockspaces) {
  const std::string notice = lockspaces.stale ? kStaleNotice : "";
  if (lockspaces.lockspaces.empty()) return notice + "No lockspace was joined.\n";
  std::vector<Row> rows = {
      {"NAME", "GENERATION", "MEMBERS", "FAILED", "PERMISSIONS", "UID", "GID"}};
  for (const ListedLockspace& one : lockspaces.lockspaces) {
    rows.push_back({printable(one.name), std::to_string(one.generation), members_text(one.members),
                    members_text(one.failed), permissions_text(one.permissions),
                    std::to_string(one.uid), std::to_string(one.gid)});
  }
  return notice + table(rows);
}

std::string text_of_held(const KeeperAnswer& held) {
  std::string text = std::to_string(held.token) + "\n";
  if (held.value) text += format_value(*held.value) + "\n";
  return text;
}

}  // namespace tools::lockctl
