#include "tools/lockctl/lock_json.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tools/lockctl/lock_text.h"
#include "tools/lockctl/name.h"

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

Json names_of(base::LockFlags flags) {
  Json names = Json::array();
  std::istringstream words(base::to_text(flags));
  for (std::string word; std::getline(words, word, '|');) names.push_back(word);
  return names;
}

Json json_of(const ShownLock& lock, std::uint32_t now) {
  Json item = {{"mode", lock.mode},
               {"node", lock.node},
               {"session", lock.session},
               {"request", lock.request},
               {"pid", lock.pid},
               {"uid", lock.uid},
               {"command", text(lock.command)},
               {"orphaned", lock.orphaned},
               {"orphan", lock.orphan},
               {"flags", names_of(lock.flags)},
               {"owner", lock.owner},
               {"since", lock.since == 0 ? Json() : Json(lock.since)},
               {"age_seconds", lock.since == 0 ? Json() : Json(now - std::min(now, lock.since))}};
  if (lock.granted) item["token"] = lock.token;
  if (lock.granted) item["converts_to"] = lock.waiting ? Json(lock.wants) : Json();
  if (lock.waiting) item["position"] = lock.position;
  return item;
}

Json json_of(const std::optional<base::ValueBlock>& value) {
  if (!value) return {};
  return {{"text", text(format_value(*value))}, {"hex", hexadecimal(*value)}};
}

Json json_of(const DeadlockedLock& lock) {
  return {{"session", lock.session},
          {"request", lock.request},
          {"node", lock.node},
          {"pid", lock.pid},
          {"command", text(lock.command)}};
}

Json json_of(const std::vector<ListedLockspace::Member>& members) {
  Json list = Json::array();
  for (const auto& member : members) list.push_back({{"node", member.node}, {"slot", member.slot}});
  return list;
}

}  // namespace

std::string json_of(const Showing& showing) {
  Json holders = Json::array();
  Json waiters = Json::array();
  for (const ShownLock& lock : showing.locks) {
    (lock.granted ? holders : waiters).push_back(json_of(lock, showing.now));
  }
  return line({{"lockspace", text(showing.lockspace)},
               {"name", text(showing.name)},
               {"holders", holders},
               {"waiters", waiters},
               {"value", json_of(showing.value)},
               {"value_invalid", showing.value_invalid},
               {"stale", showing.stale}});
}

std::string json_of(const Blockings& blockings) {
  const Showing& showing = blockings.showing;
  Json waits = Json::array();
  for (const Blocking& blocking : blockings.blockings) {
    Json blockers = Json::array();
    for (const std::size_t at : blocking.blockers) {
      blockers.push_back(json_of(showing.locks[at], showing.now));
    }
    waits.push_back({{"waiter", json_of(showing.locks[blocking.waiter], showing.now)},
                     {"wants", showing.locks[blocking.waiter].wants},
                     {"rule", to_string(blocking.rule)},
                     {"blockers", blockers},
                     {"sentence", text(blocking.sentence)}});
  }
  return line({{"lockspace", text(showing.lockspace)},
               {"name", text(showing.name)},
               {"waits", waits},
               {"stale", showing.stale}});
}

std::string json_of(const Deadlocks& deadlocks) {
  Json list = Json::array();
  for (const Deadlock& deadlock : deadlocks.deadlocks) {
    Json steps = Json::array();
    for (const DeadlockStep& step : deadlock.steps) {
      steps.push_back({{"lockspace", text(step.lockspace)},
                       {"name", text(step.name)},
                       {"waits", json_of(step.waits)},
                       {"wants", step.wants},
                       {"blocker", json_of(step.blocker)},
                       {"has", step.has}});
    }
    list.push_back({{"session", deadlock.session},
                    {"request", deadlock.request},
                    {"steps", steps},
                    {"steps_in_all", deadlock.steps_in_all}});
  }
  return line({{"deadlocks", list}});
}

std::string json_of(const Lockspaces& lockspaces) {
  Json list = Json::array();
  for (const ListedLockspace& one : lockspaces.lockspaces) {
    list.push_back({{"name", text(one.name)},
                    {"generation", one.generation},
                    {"recovered", one.recovered},
                    {"members", json_of(one.members)},
                    {"failed", json_of(one.failed)},
                    {"uid", one.uid},
                    {"gid", one.gid},
                    {"permissions", permissions_text(one.permissions)}});
  }
  return line({{"lockspaces", list}, {"stale", lockspaces.stale}});
}

std::string json_of_held(const std::string& name, const KeeperAnswer& held) {
  return line({{"name", text(name)},
               {"token", held.token},
               {"mode", std::string(to_string(held.mode))},
               {"valid_seconds", std::chrono::duration<double>(held.valid).count()},
               {"value", json_of(held.value)},
               {"value_invalid", held.value_invalid}});
}

}  // namespace tools::lockctl
