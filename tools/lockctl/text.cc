#include "tools/lockctl/text.h"

#include <algorithm>
#include <cstdio>

#include "tools/lockctl/duration.h"
#include "tools/lockctl/lock_text.h"
#include "tools/lockctl/name.h"
#include "tools/lockctl/ring_text.h"
#include "tools/lockctl/table.h"

namespace tools::lockctl {
namespace {

std::string number(std::uint64_t value) {
  return value == 0 ? "-" : std::to_string(value);
}

std::string node_text(std::uint32_t node, bool orphaned) {
  return number(node) + (orphaned ? " (gone)" : "");
}

std::string hexadecimal(std::uint64_t value) {
  char out[17];
  std::snprintf(out, sizeof out, "%llx", static_cast<unsigned long long>(value));
  return out;
}

std::string nodes_text(const std::vector<EvsProcessor>& processors) {
  std::string out;
  for (const EvsProcessor& one : processors) out += " " + std::to_string(one.node);
  return out;
}

std::string ring_text(const EvsRing& ring) {
  return std::to_string(ring.sequence) + "." + std::to_string(ring.representative);
}

}  // namespace

std::string text_of(const Listing& listing) {
  const bool many_spaces =
      std::any_of(listing.locks.begin(), listing.locks.end(),
                  [](const ListedLock& lock) { return lock.lockspace != "default"; });
  std::vector<Row> rows = {{"NAME", "MODE", "HELD", "WAITING", "TOKEN", "NODE", "COMMAND"}};
  if (many_spaces) rows[0].insert(rows[0].begin(), "LOCKSPACE");
  for (const ListedLock& lock : listing.locks) {
    Row row = {printable(lock.name),         lock.mode.empty() ? "-" : lock.mode,
               std::to_string(lock.granted), std::to_string(lock.waiting),
               number(lock.token),           node_text(lock.node, lock.orphaned),
               printable(lock.command)};
    if (many_spaces) row.insert(row.begin(), printable(lock.lockspace));
    rows.push_back(std::move(row));
  }
  const std::string notice = listing.stale ? kStaleNotice : "";
  if (listing.locks.empty()) return notice + "No locks.\n";
  return notice + table(rows);
}

std::string text_of(const FullStatus& full) {
  const Status& status = full.status;
  if (full.only_ring) return ring_details(status, full.ring);
  const auto n = [](std::uint64_t value) { return std::to_string(value); };
  std::string out = "node " + n(status.node) + " of cluster " + printable(status.cluster) + ": " +
                    printable(status.state) +
                    (status.primary ? ", in the primary component" : ", no quorum") +
                    (status.voter ? "" : ", without a vote") + "\n";
  std::vector<Row> rows = {
      {"votes",
       n(status.votes) + " of " + n(status.votes_configured) + ", quorum " + n(status.quorum)},
      {"epoch", n(status.epoch) + ", the table is held by " + n(status.holders)},
      {"lease", format_duration(status.lease)},
      {"locks", n(status.locks) + " held, " + n(status.waiting) + " waiting, on " +
                    n(status.resources) + " names"},
      {"sessions", n(status.sessions) + ", of them " + n(status.orphaned) + " orphaned"},
      {"lockd", printable(status.daemon)},
  };
  const std::vector<Row> of_ring = ring_rows(status, full.ring);
  rows.insert(rows.begin() + 2, of_ring.begin(), of_ring.end());
  out += table(rows);
  if (!full.counters) return out;
  std::vector<Row> counters = {{"COUNTER", "SINCE THE START"}};
  for (const auto& [name, value] : status.counters) counters.push_back({printable(name), n(value)});
  return out + "\n" + table(counters);
}

std::string text_of(const RingLog& log) {
  if (log.events.empty()) return "Nothing.\n";
  std::vector<Row> rows = {{"AGO", "RING", "EVENT", "", "TIMES"}};
  for (const RingEvent& event : log.events) {
    const std::string times =
        event.times == 1 ? ""
                         : std::to_string(event.times) + " in " + format_duration(event.lasted);
    rows.push_back({format_duration(event.ago), ring_text(event.ring), printable(event.event),
                    printable(event.text), times});
  }
  return table(rows);
}

std::string text_of(const Reasons& reasons) {
  if (reasons.changes.empty())
    return "Nothing has changed since this daemon started: it is alone.\n";
  std::string out;
  for (const Why& why : reasons.changes) {
    if (!out.empty()) out += "\n";
    out += "ring " + ring_text(why.ring) + ", formed " + format_duration(why.ago) + " ago";
    if (why.took != base::Duration::zero()) out += " in " + format_duration(why.took);
    out += ": nodes";
    for (const std::uint32_t node : why.nodes) out += " " + std::to_string(node);
    out += "\nthe ring before ended: " + printable(why.trigger) + "\n";
    for (const WhyMember& change : why.changes) {
      out += "node " + std::to_string(change.processor.node) +
             (change.came ? " came: " : " left: ") + printable(change.why) + "\n";
    }
    if (why.changes.empty()) out += "nobody left, and nobody came\n";
  }
  return out;
}

std::string text_of(const std::vector<Member>& members) {
  std::vector<Row> rows = {{"NODE", "STATE", "VOTES", "ADDRESS", "INCARNATION"}};
  for (const Member& member : members) {
    rows.push_back({std::to_string(member.node) + (member.self ? " (this one)" : ""), member.state,
                    std::to_string(member.votes) + (member.witness ? " (witness)" : ""),
                    printable(member.address),
                    member.incarnation == 0 ? "-" : hexadecimal(member.incarnation)});
  }
  return table(rows);
}

std::string text_of(const KeyListing& listing) {
  std::string out;
  for (const std::uint16_t id : listing.ids) {
    out += "key " + std::to_string(id) + (id == listing.in_use ? ", in use here\n" : "\n");
  }
  return out;
}

std::string text_of(const KeyUse& use) {
  std::vector<Row> rows = {{"NODE", "KEY"}};
  for (const KeyUse::Node& node : use.nodes) {
    rows.push_back({std::to_string(node.node) + (node.self ? " (this one)" : ""),
                    node.key == 0 ? "not heard" : std::to_string(node.key)});
  }
  return table(rows);
}

std::string text_of(const EvsMessage& message) {
  std::string groups;
  for (const std::string& group : message.groups) groups += " " + printable(group);
  return "message " + std::to_string(message.sequence) + "." + std::to_string(message.index) +
         " from node " + std::to_string(message.sender.node) + " to" + groups + ", " +
         message.guarantee + ": " + printable(message.bytes) + "\n";
}

std::string text_of(const EvsConfiguration& configuration) {
  std::string out = configuration.transitional ? "transitional " : "regular ";
  out += ring_text(configuration.ring) + ": nodes" + nodes_text(configuration.members);
  if (!configuration.left.empty()) out += ", left" + nodes_text(configuration.left);
  if (!configuration.joined.empty()) out += ", joined" + nodes_text(configuration.joined);
  return out + "\n";
}

std::string text_of(const EvsMembers& members) {
  std::vector<Row> rows = {{"NODE", "INCARNATION"}};
  for (const EvsProcessor& one : members.configuration.members) {
    const bool self = one.incarnation == members.self.incarnation && one.node == members.self.node;
    rows.push_back(
        {std::to_string(one.node) + (self ? " (this one)" : ""), hexadecimal(one.incarnation)});
  }
  return "ring " + ring_text(members.configuration.ring) + "\n" + table(rows);
}

}  // namespace tools::lockctl
