#include "tools/lockctl/barrier_text.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/lockctl/duration.h"
#include "tools/lockctl/lock_text.h"
#include "tools/lockctl/name.h"
#include "tools/lockctl/table.h"
#include "tools/lockctl/value.h"

namespace tools::lockctl {
namespace {

using Json = nlohmann::ordered_json;

std::string line(const Json& json) {
  return json.dump() + "\n";
}

// Text as it is; other bytes escaped, since JSON can not carry them.
std::string text(const std::string& bytes) {
  return is_readable(bytes) ? bytes : printable(bytes);
}

std::string hexadecimal(std::string_view bytes) {
  std::string digits;
  for (const char byte : bytes) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", static_cast<unsigned char>(byte));
    digits += two;
  }
  return digits;
}

std::string hexadecimal(std::uint64_t number) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(number));
  return digits;
}

std::string who(const BarrierOutcome::Lost& lost) {
  const std::string node = "node " + std::to_string(lost.node);
  return lost.session == 0 ? node : "session " + std::to_string(lost.session) + " at " + node;
}

std::string entering_text(const ListedBarrier::Round& round) {
  if (round.generation == 0) return "-";
  return std::to_string(round.arrived) + " there, " + std::to_string(round.missing) + " missing";
}

std::string inside_text(const ListedBarrier::Round& round) {
  if (round.generation == 0) return "-";
  return std::to_string(round.missing) + " at work, " + std::to_string(round.arrived) + " left";
}

Json json_of(const ListedBarrier::Round& round, const char* done, const char* to_come) {
  if (round.generation == 0) return {};
  return {{"generation", round.generation}, {done, round.arrived}, {to_come, round.missing}};
}

}  // namespace

std::string text_of(const BarrierOutcome& outcome, bool values) {
  if (!values) return std::to_string(outcome.generation) + "\n";
  std::string lines;
  for (const auto& member : outcome.members) {
    lines += std::to_string(member.node);
    if (!member.value.empty()) lines += " " + format_bytes(member.value);
    lines += "\n";
  }
  return lines;
}

std::string json_of(const BarrierOutcome& outcome) {
  Json members = Json::array();
  for (const auto& member : outcome.members) {
    Json value = {{"text", text(format_bytes(member.value))}, {"hex", hexadecimal(member.value)}};
    members.push_back({{"node", member.node},
                       {"session", member.session},
                       {"value", outcome.released() ? value : Json()}});
  }
  Json lost = Json::array();
  for (const auto& one : outcome.lost) {
    lost.push_back(
        {{"node", one.node}, {"session", one.session == 0 ? Json() : Json(one.session)}});
  }
  return line({{"lockspace", text(outcome.lockspace)},
               {"name", text(outcome.name)},
               {"outcome", outcome.released() ? "released" : "broken"},
               {"ending", outcome.ending},
               {"generation", outcome.generation},
               {"session", outcome.self},
               {"ring",
                {{"sequence", outcome.ring_sequence},
                 {"representative", outcome.ring_representative},
                 {"nonce", hexadecimal(outcome.ring_nonce)}}},
               {"membership", outcome.membership == 0 ? Json() : Json(outcome.membership)},
               {"members", members},
               {"lost", lost},
               {"losses", outcome.losses}});
}

std::string reason_of(const BarrierOutcome& outcome) {
  const std::string begin = "broken in generation " + std::to_string(outcome.generation) + ": ";
  if (outcome.ending == "timed_out") return begin + "not all came within its patience";
  if (outcome.ending == "cancelled") return begin + "it was cancelled";
  if (outcome.ending == "deleted") return begin + "it was deleted";
  std::string names;
  for (const auto& lost : outcome.lost) names += (names.empty() ? "" : ", ") + who(lost);
  const std::uint64_t more = outcome.losses - outcome.lost.size();
  if (more > 0) names += " and " + std::to_string(more) + " more";
  return begin + names + " died";
}

std::string text_of(const BarrierListing& listing) {
  const std::string notice = listing.stale ? kStaleNotice : "";
  if (listing.barriers.empty()) return notice + "No barriers.\n";
  const bool many_spaces = std::ranges::any_of(
      listing.barriers, [](const ListedBarrier& one) { return one.lockspace != "default"; });
  std::vector<Row> rows = {
      {"NAME", "PARTIES", "ON DEATH", "PATIENCE", "KEPT", "ENTERING", "INSIDE"}};
  if (many_spaces) rows[0].insert(rows[0].begin(), "LOCKSPACE");
  for (const ListedBarrier& one : listing.barriers) {
    const bool timed = one.patience != base::Duration(0);
    Row row = {printable(one.name),
               (one.parties == 0 ? "all" : std::to_string(one.parties)) +
                   (one.nodes ? " nodes" : " sessions"),
               one.on_death,
               timed ? format_duration(one.patience) : "-",
               one.kept ? "yes" : "no",
               entering_text(one.entering),
               inside_text(one.inside)};
    if (many_spaces) row.insert(row.begin(), printable(one.lockspace));
    rows.push_back(std::move(row));
  }
  return notice + table(rows);
}

std::string json_of(const BarrierListing& listing) {
  Json barriers = Json::array();
  for (const ListedBarrier& one : listing.barriers) {
    const bool timed = one.patience != base::Duration(0);
    barriers.push_back(
        {{"lockspace", text(one.lockspace)},
         {"name", text(one.name)},
         {"parties", one.parties == 0 ? Json("all") : Json(one.parties)},
         {"unit", one.nodes ? "nodes" : "sessions"},
         {"on_death", one.on_death},
         {"steps", one.two_steps ? 2 : 1},
         {"patience_seconds",
          timed ? Json(std::chrono::duration<double>(one.patience).count()) : Json()},
         {"kept", one.kept},
         {"entering", json_of(one.entering, "arrived", "missing")},
         {"inside", json_of(one.inside, "left", "at_work")}});
  }
  return line({{"barriers", barriers}, {"stale", listing.stale}});
}

}  // namespace tools::lockctl
