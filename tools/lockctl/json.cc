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

double seconds(base::Duration duration) {
  return std::chrono::duration<double>(duration).count();
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

std::string json_of(const Showing& showing) {
  Json holders = Json::array();
  Json waiters = Json::array();
  for (const ShownLock& lock : showing.locks) {
    Json item = {{"mode", lock.mode},        {"node", lock.node}, {"session", lock.session},
                 {"pid", lock.pid},          {"uid", lock.uid},   {"command", text(lock.command)},
                 {"orphaned", lock.orphaned}};
    if (lock.granted) {
      item["token"] = lock.token;
      holders.push_back(item);
    } else {
      item["position"] = waiters.size() + 1;
      waiters.push_back(item);
    }
  }
  return line({{"lockspace", text(showing.lockspace)},
               {"name", text(showing.name)},
               {"holders", holders},
               {"waiters", waiters},
               {"stale", showing.stale}});
}

std::string json_of(const Status& status) {
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
               {"counters", counters}});
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
