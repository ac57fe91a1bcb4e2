// Short ways to write requests and effects in tests of barriers.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "barrier/table.h"
#include "base/bytes.h"

namespace barrier {

inline SessionId session(std::uint64_t id) {
  return SessionId{id};
}

// The only life of a node.
inline Processor node(std::uint32_t id) {
  return {base::NodeId{id}, base::Incarnation{100u + id}};
}

inline By by(std::uint64_t session, std::uint64_t request) {
  return {SessionId{session}, RequestId{request}};
}

inline Name named(std::string_view name) {
  return {"default", std::string(name)};
}

inline base::Buffer bytes(std::string_view text) {
  const Bytes bytes = base::bytes_of(text);
  return {bytes.begin(), bytes.end()};
}

inline Config of_count(std::uint32_t parties, OnDeath on_death = OnDeath::break_it) {
  return {parties, Unit::session, on_death, false};
}

inline Config of_members(Unit unit, OnDeath on_death) {
  return {0, unit, on_death, false};
}

inline Config with_two_steps(Config config) {
  config.two_steps = true;
  return config;
}

inline Membership of_nodes(std::uint64_t generation, const std::vector<std::uint32_t>& nodes) {
  Membership members{generation, {}, {}};
  for (const std::uint32_t id : nodes) members.nodes.push_back(node(id));
  return members;
}

inline Membership of_sessions(std::uint64_t generation, const std::vector<std::uint64_t>& ids) {
  Membership members{generation, {}, {}};
  for (const std::uint64_t id : ids) members.sessions.push_back(SessionId{id});
  return members;
}

// "arrived 1/2 g1, ended 3/4 g1"; a refusal with its status, the second step with its name.
inline std::string text(const Effects& effects) {
  std::string all;
  for (const Effect& effect : effects) {
    if (!all.empty()) all += ", ";
    all += to_string(effect.kind);
    if (effect.session != SessionId{}) {
      all += " " + std::to_string(base::value(effect.session)) + "/" +
             std::to_string(base::value(effect.request));
    }
    if (effect.status != Status::ok) all += ": " + std::string(to_string(effect.status));
    if (effect.key.generation != Generation{}) {
      all += " g" + std::to_string(base::value(effect.key.generation));
      if (effect.key.step == Step::leave) all += " leave";
    }
  }
  return all;
}

// "released 1:a 2:b lost 3 of 1"
inline std::string text(const Outcome* outcome) {
  if (!outcome) return "none";
  std::string all(base::to_string(outcome->ending));
  for (const Member& member : outcome->members) {
    all += " " + std::to_string(base::value(member.session));
    if (!member.value.empty()) all += ":" + base::text_of(member.value);
  }
  for (const Lost& lost : outcome->lost) {
    all += lost.session == SessionId{} ? " lost node " + std::to_string(base::value(lost.at.node))
                                       : " lost " + std::to_string(base::value(lost.session));
  }
  return all;
}

inline std::string text(const Table& table, std::uint64_t generation, Step step = Step::enter) {
  return text(table.find_outcome({Generation{generation}, step}));
}

inline std::string create(Table& table, std::string_view name, const Config& config,
                          const Membership& members = {}, bool auto_delete = false) {
  Effects effects;
  table.create({by(1, 1), named(name), config, auto_delete, 0, members}, effects);
  return text(effects);
}

// By default sessions are at the node of their number.
inline std::string arrive(Table& table, std::string_view name, std::uint64_t session,
                          std::uint64_t request, std::string_view value = "") {
  Effects effects;
  const Processor at = node(static_cast<std::uint32_t>(session));
  table.arrive({by(session, request), at, named(name), bytes(value)}, effects);
  return text(effects);
}

inline std::string arrive_at(Table& table, std::string_view name, std::uint64_t session,
                             std::uint64_t request, std::uint32_t at) {
  Effects effects;
  table.arrive({by(session, request), node(at), named(name), {}}, effects);
  return text(effects);
}

inline std::string leave(Table& table, std::uint64_t generation, std::uint64_t session,
                         std::uint64_t request, std::string_view value = "") {
  Effects effects;
  table.leave({by(session, request), Generation{generation}, bytes(value)}, effects);
  return text(effects);
}

inline std::string withdraw(Table& table, std::string_view name, std::uint64_t session,
                            std::uint64_t request, std::uint64_t arrival) {
  Effects effects;
  table.withdraw({by(session, request), named(name), RequestId{arrival}}, effects);
  return text(effects);
}

inline std::string cancel(Table& table, std::string_view name) {
  Effects effects;
  table.cancel({by(9, 99), named(name)}, effects);
  return text(effects);
}

inline std::string remove(Table& table, std::string_view name, bool force = false) {
  Effects effects;
  table.remove({by(9, 98), named(name), force}, effects);
  return text(effects);
}

inline std::string change(Table& table, std::string_view name, Attribute attribute,
                          std::uint32_t value) {
  Effects effects;
  table.change({by(9, 97), node(9), named(name), attribute, value}, effects);
  return text(effects);
}

inline std::string time_out(Table& table, std::uint64_t generation, Step step = Step::enter) {
  Effects effects;
  table.time_out({Generation{generation}, step}, effects);
  return text(effects);
}

inline std::string end(Table& table, std::uint64_t session) {
  Effects effects;
  table.end_session(SessionId{session}, node(static_cast<std::uint32_t>(session)), effects);
  return text(effects);
}

inline std::string members(Table& table, const Membership& now,
                           const std::vector<std::uint32_t>& failed = {}) {
  MembersChanged change{"default", now, {}};
  for (const std::uint32_t id : failed) change.failed.push_back(node(id));
  Effects effects;
  table.change_members(change, effects);
  return text(effects);
}

inline Status acknowledge(Table& table, std::uint64_t session, std::uint64_t generation,
                          Step step = Step::enter) {
  return table.acknowledge(SessionId{session}, {Generation{generation}, step});
}

inline base::Buffer image_of(const Table& table) {
  base::Buffer image;
  base::ByteWriter out(image);
  table.serialize(out);
  return image;
}

}  // namespace barrier
