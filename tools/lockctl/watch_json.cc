#include "tools/lockctl/watch_json.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/lock_mode.h"
#include "tools/lockctl/name.h"

namespace tools::lockctl {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kChanges[] = {"opened", "resumed", "orphaned", "closed", "expired"};

// Text as it is; other bytes escaped, since JSON can not carry them.
std::string text(std::string_view bytes) {
  const std::string copy(bytes);
  return is_readable(copy) ? copy : printable(copy);
}

std::string text(const lock_bytes& bytes) {
  return text(std::string_view(bytes.data, bytes.len));
}

std::string mode_name(lock_mode mode) {
  return std::string(base::to_string(static_cast<base::LockMode>(mode)));
}

const char* reason_name(int error) {
  switch (error) {
    case LOCK_ERROR_BUSY:
      return "busy";
    case LOCK_ERROR_CANCELLED:
      return "cancelled";
    case LOCK_ERROR_TIMEOUT:
      return "timed out";
    case LOCK_ERROR_DEADLOCK:
      return "deadlock";
    case LOCK_ERROR_IN_PROGRESS:
      return "in progress";
    case LOCK_ERROR_LIMIT:
      return "limit";
    case LOCK_ERROR_INVALID:
      return "invalid";
    case LOCK_ERROR_NOT_HELD:
      return "not held";
    case LOCK_ERROR_NOT_FOUND:
      return "not found";
    case LOCK_ERROR_PERMISSION:
      return "not permitted";
    default:
      return "unknown";
  }
}

std::string hexadecimal(std::uint64_t value) {
  char out[17];
  std::snprintf(out, sizeof out, "%016llx", static_cast<unsigned long long>(value));
  return out;
}

Json json_of(const lock_deadlock_lock& lock) {
  return {{"session", lock.session},
          {"request", lock.id},
          {"node", lock.node},
          {"pid", lock.pid},
          {"command", text(lock.command)}};
}

Json json_of(const lock_deadlock_step& step) {
  return {{"lockspace", text(step.lockspace)},
          {"name", text(std::string_view(step.name, step.name_len))},
          {"waits", json_of(step.waits)},
          {"wants", mode_name(step.wants)},
          {"blocker", json_of(step.blocker)},
          {"has", mode_name(step.has)}};
}

Json json_of(const lock_lockspace_member* members, std::size_t count) {
  Json list = Json::array();
  for (std::size_t i = 0; i < count; ++i) {
    list.push_back({{"node", members[i].node}, {"slot", members[i].slot}});
  }
  return list;
}

void add_owner(Json& json, const lock_watch_event& event) {
  json["session"] = event.session;
  if (event.kind != LOCK_WATCH_SESSION) json["request"] = event.request;
  if (event.kind == LOCK_WATCH_DEADLOCK) return;
  const bool known = event.node != 0;
  json["node"] = known ? Json(event.node) : Json();
  json["pid"] = known ? Json(event.pid) : Json();
  json["uid"] = known ? Json(event.uid) : Json();
  json["command"] = known ? Json(text(event.command)) : Json();
}

void add_lock(Json& json, const lock_watch_event& event) {
  const bool held = event.token != 0;
  json["lockspace"] = text(event.lockspace);
  json["name"] = text(event.name);
  json["mode"] = held ? Json(mode_name(event.mode)) : Json();
  json["token"] = held ? Json(event.token) : Json();
  if (event.kind == LOCK_WATCH_WAITS || event.kind == LOCK_WATCH_DENIED) {
    json["wants"] = mode_name(event.wants);
  }
  if (event.reason != 0) json["reason"] = reason_name(event.reason);
  add_owner(json, event);
}

void add_lockspace(Json& json, const lock_watch_event& event) {
  json["lockspace"] = text(event.lockspace);
  json["generation"] = event.generation;
  json["recovered"] = event.recovered != 0;
  json["members"] = json_of(event.members, event.members_len);
  json["failed"] = json_of(event.failed, event.failed_len);
}

void add_configuration(Json& json, const lock_watch_event& event) {
  const auto list = [](const std::uint32_t* nodes, std::size_t count) {
    return std::vector<std::uint32_t>(nodes, nodes + count);
  };
  json["kind"] = event.transitional != 0 ? "transitional" : "regular";
  json["ring"] = {{"sequence", event.ring_sequence},
                  {"representative", event.ring_representative},
                  {"nonce", hexadecimal(event.ring_nonce)}};
  json["members"] = list(event.nodes, event.nodes_len);
  json["left"] = list(event.left, event.left_len);
  json["joined"] = list(event.joined, event.joined_len);
}

void add_details(Json& json, const lock_watch_event& event) {
  switch (event.kind) {
    case LOCK_WATCH_GRANTED:
    case LOCK_WATCH_CONVERTED:
    case LOCK_WATCH_WAITS:
    case LOCK_WATCH_CANCELLED:
    case LOCK_WATCH_DENIED:
    case LOCK_WATCH_RELEASED:
      return add_lock(json, event);
    case LOCK_WATCH_DEADLOCK:
      add_owner(json, event);
      json["steps"] = Json::array();
      for (std::size_t i = 0; i < event.steps_len; ++i) {
        json["steps"].push_back(json_of(event.steps[i]));
      }
      return;
    case LOCK_WATCH_SESSION:
      json["change"] = kChanges[event.change];
      return add_owner(json, event);
    case LOCK_WATCH_LOCKSPACE:
      return add_lockspace(json, event);
    case LOCK_WATCH_CONFIGURATION:
      return add_configuration(json, event);
    case LOCK_WATCH_QUORUM:
      json["primary"] = event.primary != 0;
      json["state"] = text(event.state);
      json["epoch"] = event.epoch;
      json["votes"] = event.votes;
      json["quorum"] = event.quorum;
      return;
    case LOCK_WATCH_RESYNC:
    case LOCK_WATCH_LOST:
      return;
  }
}

}  // namespace

const std::vector<std::string>& watch_words() {
  static const std::vector<std::string> words = {
      "granted",  "converted", "waits",     "cancelled",     "denied", "released",
      "deadlock", "session",   "lockspace", "configuration", "quorum"};
  return words;
}

std::optional<lock_watch_kind> watch_kind_of(const std::string& word) {
  const auto& words = watch_words();
  const auto found = std::find(words.begin(), words.end(), word);
  if (found == words.end()) return std::nullopt;
  return static_cast<lock_watch_kind>(found - words.begin());
}

std::string json_of(const lock_watch_event& event) {
  Json json;
  if (event.kind == LOCK_WATCH_RESYNC) {
    json["event"] = "resync";
  } else if (event.kind == LOCK_WATCH_LOST) {
    json["event"] = "lost";
    json["count"] = event.lost;
  } else {
    json["event"] = watch_words()[event.kind];
    json["time"] = event.second == 0 ? Json() : Json(event.second);
    add_details(json, event);
  }
  return json.dump() + "\n";
}

}  // namespace tools::lockctl
