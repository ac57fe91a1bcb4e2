#include "tools/lockctl/json.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/lockctl/name.h"

namespace tools::lockctl {
namespace {

using Json = nlohmann::ordered_json;

std::string line(const Json& json) {
  return json.dump() + "\n";
}

std::string hexadecimal(std::uint64_t value) {
  char out[17];
  std::snprintf(out, sizeof out, "%016llx", static_cast<unsigned long long>(value));
  return out;
}

// Text as it is; other bytes escaped, since JSON can not carry them.
std::string text(const std::string& bytes) {
  return is_readable(bytes) ? bytes : printable(bytes);
}

Json json_of(const EvsRing& ring) {
  return {{"sequence", ring.sequence},
          {"representative", ring.representative},
          {"nonce", hexadecimal(ring.nonce)}};
}

Json json_of(const EvsProcessor& processor) {
  return {{"node", processor.node}, {"incarnation", hexadecimal(processor.incarnation)}};
}

Json json_of(const std::vector<EvsProcessor>& processors) {
  Json list = Json::array();
  for (const EvsProcessor& one : processors) list.push_back(json_of(one));
  return list;
}

double seconds(base::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// Null stands for what is not known.
Json json_of(const RingPeer& peer) {
  const bool member = peer.incarnation != 0;
  return {{"node", peer.node},
          {"self", peer.self},
          {"member", member},
          {"incarnation", member ? Json(hexadecimal(peer.incarnation)) : Json()},
          {"acknowledged", member ? Json(peer.acknowledged) : Json()},
          {"heard_seconds_ago", peer.heard ? Json(seconds(peer.heard_ago)) : Json()},
          {"barred", peer.barred},
          {"key", peer.key == 0 ? Json() : Json(peer.key)}};
}

Json json_of(const Why& why) {
  Json members = Json::array();
  for (const WhyMember& change : why.changes) {
    Json one = json_of(change.processor);
    one["change"] = change.came ? "came" : "left";
    one["why"] = text(change.why);
    members.push_back(one);
  }
  const bool timed = why.took != base::Duration::zero();
  return {
      {"ring", json_of(why.ring)},       {"nodes", why.nodes},
      {"seconds_ago", seconds(why.ago)}, {"took_seconds", timed ? Json(seconds(why.took)) : Json()},
      {"trigger", text(why.trigger)},    {"members", members}};
}

}  // namespace

std::string json_of(const Listing& listing) {
  Json locks = Json::array();
  for (const ListedLock& lock : listing.locks) {
    locks.push_back({{"lockspace", text(lock.lockspace)},
                     {"name", text(lock.name)},
                     {"mode", lock.mode},
                     {"granted", lock.granted},
                     {"waiting", lock.waiting},
                     {"token", lock.token},
                     {"node", lock.node},
                     {"orphaned", lock.orphaned},
                     {"command", text(lock.command)}});
  }
  return line({{"locks", locks}, {"stale", listing.stale}});
}

std::string json_of(const FullStatus& full) {
  const Status& status = full.status;
  const RingStatus& ring = full.ring;
  Json peers = Json::array();
  for (const RingPeer& peer : ring.peers) peers.push_back(json_of(peer));
  Json counters = Json::object();
  for (const auto& [name, value] : status.counters) counters[text(name)] = value;
  return line({{"cluster", text(status.cluster)},
               {"node", status.node},
               {"state", text(status.state)},
               {"primary", status.primary},
               {"voter", status.voter},
               {"epoch", status.epoch},
               {"ring",
                {{"sequence", status.ring_sequence},
                 {"representative", status.ring_representative},
                 {"nonce", hexadecimal(status.ring_nonce)}}},
               {"votes", status.votes},
               {"quorum", status.quorum},
               {"votes_configured", status.votes_configured},
               {"holders", status.holders},
               {"lease_seconds", seconds(status.lease)},
               {"sessions", status.sessions},
               {"orphaned", status.orphaned},
               {"resources", status.resources},
               {"locks", status.locks},
               {"waiting", status.waiting},
               {"daemon", text(status.daemon)},
               {"ring_state", ring.state},
               {"token",
                {{"rotation_seconds", seconds(ring.rotation)},
                 {"rotation_average_seconds", seconds(ring.rotation_average)},
                 {"rotation_longest_seconds", seconds(ring.rotation_longest)}}},
               {"order",
                {{"highest", ring.highest},
                 {"received", ring.received},
                 {"stable", ring.stable},
                 {"delivered", ring.delivered}}},
               {"windows",
                {{"personal", ring.personal_window},
                 {"rotation", ring.rotation_window},
                 {"accelerated", ring.accelerated_window},
                 {"outstanding_max", ring.outstanding_max}}},
               {"queues",
                {{"messages", ring.waiting_messages},
                 {"bytes", ring.waiting_bytes},
                 {"bytes_max", ring.waiting_bytes_max},
                 {"datagrams", ring.waiting_datagrams},
                 {"packets_stored", ring.stored}}},
               {"peers", peers},
               {"counters", counters}});
}

std::string json_of(const RingLog& log) {
  Json list = Json::array();
  for (const RingEvent& event : log.events) {
    list.push_back({{"number", event.number},
                    {"seconds_ago", seconds(event.ago)},
                    {"times", event.times},
                    {"lasted_seconds", seconds(event.lasted)},
                    {"event", text(event.event)},
                    {"ring", json_of(event.ring)},
                    {"node", event.node == 0 ? Json() : Json(event.node)},
                    {"text", text(event.text)}});
  }
  return line({{"events", list}});
}

std::string json_of(const Reasons& reasons) {
  Json list = Json::array();
  for (const Why& why : reasons.changes) list.push_back(json_of(why));
  return line({{"changes", list}});
}

std::string json_of(const std::vector<Member>& members) {
  Json list = Json::array();
  for (const Member& member : members) {
    list.push_back({{"node", member.node},
                    {"state", member.state},
                    {"self", member.self},
                    {"votes", member.votes},
                    {"witness", member.witness},
                    {"address", text(member.address)},
                    {"incarnation", hexadecimal(member.incarnation)}});
  }
  return line({{"members", list}});
}

std::string json_of(const KeyListing& listing) {
  return line(
      {{"key_file", text(listing.file)}, {"keys", listing.ids}, {"in_use", listing.in_use}});
}

std::string json_of(const KeyUse& use) {
  Json list = Json::array();
  for (const KeyUse::Node& node : use.nodes) {
    list.push_back({{"node", node.node}, {"self", node.self}, {"key", node.key}});
  }
  return line({{"nodes", list}});
}

std::string json_of(const EvsMessage& message) {
  Json groups = Json::array();
  for (const std::string& group : message.groups) groups.push_back(text(group));
  return line({{"type", "message"},
               {"sender", json_of(message.sender)},
               {"ring", json_of(message.ring)},
               {"sequence", message.sequence},
               {"index", message.index},
               {"guarantee", message.guarantee},
               {"groups", groups},
               {"message", text(message.bytes)},
               {"escaped", !is_readable(message.bytes)}});
}

std::string json_of(const EvsConfiguration& configuration) {
  return line({{"type", "configuration"},
               {"kind", configuration.transitional ? "transitional" : "regular"},
               {"ring", json_of(configuration.ring)},
               {"members", json_of(configuration.members)},
               {"left", json_of(configuration.left)},
               {"joined", json_of(configuration.joined)}});
}

std::string json_of(const EvsMembers& members) {
  return line({{"self", json_of(members.self)},
               {"kind", members.configuration.transitional ? "transitional" : "regular"},
               {"ring", json_of(members.configuration.ring)},
               {"members", json_of(members.configuration.members)}});
}

std::string json_of(const RunReport& report) {
  return line({{"name", text(report.name)},
               {"token", report.token},
               {"exit_code", report.exit_code},
               {"lost", report.lost},
               {"waited_seconds", seconds(report.waited)},
               {"held_seconds", seconds(report.held)}});
}

std::string json_of(const Failure& failure) {
  return line({{"error", text(failure.message)}, {"exit_code", failure.exit_code}});
}

std::string json_of_key_file(const std::string& file) {
  return line({{"key_file", text(file)}});
}

}  // namespace tools::lockctl
