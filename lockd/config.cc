#include "lockd/config.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <utility>

#include "evs/net/address.h"
#include "evs/net/key_file.h"
#include "lockd/config_table.h"
#include "lockd/record_file.h"

namespace lockd {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kConfigBytesMax = std::size_t{1024} * 1024;
constexpr std::size_t kAddressesMax = 8;

std::optional<ClusterId> parse_uuid(std::string_view text) {
  ClusterId id{};
  if (text.size() != 36) return std::nullopt;
  std::size_t byte = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (text[i++] != '-') return std::nullopt;
      continue;
    }
    const char* end = text.data() + i + 2;
    const auto [stop, error] = std::from_chars(text.data() + i, end, id[byte++], 16);
    if (error != std::errc{} || stop != end) return std::nullopt;
    i += 2;
  }
  if (std::all_of(id.begin(), id.end(), [](std::uint8_t b) { return b == 0; })) return std::nullopt;
  return id;
}

std::optional<Address> parse_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const std::string_view digits = text.substr(colon + 1);
  Address address;
  const auto [stop, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
  if (error != std::errc{} || stop != digits.data() + digits.size() || address.port == 0) {
    return std::nullopt;
  }
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  address.host = host;
  std::array<unsigned char, sizeof(in6_addr)> bits{};
  if (inet_pton(bracketed ? AF_INET6 : AF_INET, address.host.c_str(), bits.data()) != 1) {
    return std::nullopt;
  }
  return address;
}

// The whole file, top to bottom.
class ConfigReader {
 public:
  ConfigReader(const toml::table& root, const std::string& source)
      : root_(root), complaints_(source) {
    config_.source = source;
  }

  base::Result<Config, std::string> read() {
    TableReader top = reader(&root_, "");
    config_.self = node_id(top, "node_id");
    config_.key_file = path(top, "key_file", "the path of the cluster's key", {});
    config_.state_dir =
        path(top, "state_dir", "the path of the folder of the record", "/var/lib/lockd");
    config_.socket = path(top, "socket", "the path of the socket", "/run/lockd/lockd.sock");
    if (config_.socket.size() >= sizeof(sockaddr_un::sun_path)) {
      top.wrong("socket", "is " + std::to_string(config_.socket.size()) +
                              " bytes long as a full path; the system allows 107");
    }
    config_.socket_mode = socket_mode(top);
    const toml::table* cluster = top.table("cluster");
    const toml::array* nodes = top.tables("node");
    const toml::table* log = top.table("log");
    const toml::table* timing = top.table("timing");
    const toml::table* network = top.table("network");
    const toml::table* limits = top.table("limits");
    const toml::table* compat = top.table("compat");
    pending_.push_back(top);

    read_cluster(reader(cluster, "cluster"));
    read_nodes(nodes, top);
    read_log(reader(log, "log"));
    read_timing(reader(timing, "timing"));
    read_network(reader(network, "network"));
    read_limits(reader(limits, "limits"));
    read_compat(reader(compat, "compat"));
    finish_tables();
    if (!complaints_.any()) final_checks(top);
    if (complaints_.any()) return base::error(complaints_.text());
    return std::move(config_);
  }

 private:
  TableReader reader(const toml::table* table, const std::string& name) {
    const toml::source_position place =
        table == nullptr ? root_.source().begin : table->source().begin;
    return TableReader(table, name, place, complaints_, config_.settings);
  }

  static base::NodeId node_id(TableReader& table, std::string_view key) {
    return base::NodeId{static_cast<std::uint32_t>(table.number(key, 1, 4294967295))};
  }

  std::string path(TableReader& table, std::string_view key, const std::string& what,
                   const std::optional<std::string>& otherwise) {
    return full_path(table.text(key, what, otherwise));
  }

  std::string full_path(const std::string& text) const {
    if (text.empty() || text.front() == '/') return text;
    return (std::filesystem::path(config_.source).parent_path() / text).lexically_normal();
  }

  static unsigned socket_mode(TableReader& table) {
    const std::string what = "permissions in octal, such as \"0660\"";
    const std::string text = table.text("socket_mode", what, "0660");
    unsigned mode = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, mode, 8);
    if (error != std::errc{} || stop != end || mode > 0777) {
      table.wrong("socket_mode", "is \"" + shown(text) + "\"; it has to be " + what);
    }
    return mode;
  }

  void read_cluster(TableReader table) {
    config_.cluster_name = table.text("name", "a name for the cluster");
    const bool plain =
        std::all_of(config_.cluster_name.begin(), config_.cluster_name.end(), [](char c) {
          return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                 c == '.' || c == '_' || c == '-';
        });
    if (!plain || config_.cluster_name.size() > 64) {
      table.wrong("name", "has to be up to 64 letters, digits, '.', '_' and '-'");
    }
    const std::string what =
        "the cluster's id, the same on every node, as `cat /proc/sys/kernel/random/uuid` prints "
        "one";
    const std::string uuid = table.text("uuid", what);
    const auto id = parse_uuid(uuid);
    if (id) config_.cluster = *id;
    if (!id && !uuid.empty())
      table.wrong("uuid", "is \"" + shown(uuid) + "\"; it has to be " + what);
    using evs::net::Cipher;
    config_.cipher = table.choice<Cipher>(
        "cipher",
        {{"chacha20-poly1305", Cipher::chacha20_poly1305}, {"aes-256-gcm", Cipher::aes_256_gcm}},
        Cipher::chacha20_poly1305);
    config_.profile = table.choice<Profile>(
        "profile",
        {{"default", Profile::standard}, {"fast", Profile::fast}, {"storm", Profile::storm}},
        Profile::standard);
    read_multicast(table);
    pending_.push_back(std::move(table));
  }

  void read_multicast(TableReader& table) {
    const std::string what =
        "\"none\" or a multicast group with a port, such as \"239.192.0.1:5500\" or "
        "\"[ff02::5500]:5500\"";
    const std::string text = table.text("multicast", what, "none");
    if (text.empty() || text == "none") return;
    const auto group = evs::net::Address::parse(text);
    config_.multicast = parse_address(text);
    if (!group || !group->is_multicast() || !config_.multicast) {
      table.wrong("multicast", "is \"" + shown(text) + "\"; it has to be " + what);
    }
  }

  void read_nodes(const toml::array* nodes, TableReader& top) {
    if (nodes == nullptr) {
      top.wrong("node", "is missing; there has to be a [[node]] entry for every node");
      return;
    }
    std::map<base::NodeId, std::size_t> lines;
    for (const toml::node& entry : *nodes) {
      TableReader table = reader(entry.as_table(), "node");
      NodeConfig node;
      const bool has_id = table.has("id");
      node.id = node_id(table, "id");
      const std::size_t line = table.place("id").line;
      const auto [other, fresh] = lines.try_emplace(node.id, line);
      if (has_id && !fresh) {
        table.wrong("id", "is " + base::to_string(node.id) +
                              ", which is taken by the node of line " +
                              std::to_string(other->second) + "; every node has an id of its own");
      }
      node.addresses = addresses(table);
      node.votes = static_cast<std::uint32_t>(table.number("votes", 0, 255, 1));
      node.witness = table.flag("witness", false);
      pending_.push_back(table);
      if (fresh) config_.nodes.push_back(std::move(node));
    }
    std::sort(config_.nodes.begin(), config_.nodes.end(),
              [](const NodeConfig& a, const NodeConfig& b) { return a.id < b.id; });
    if (config_.nodes.size() > evs::kMembersMax) {
      top.wrong("node", "has " + std::to_string(config_.nodes.size()) +
                            " entries; a cluster has at most 32 nodes");
    }
    if (top.has("node_id") && lines.find(config_.self) == lines.end()) {
      top.wrong("node_id", "is " + base::to_string(config_.self) +
                               ", but no [[node]] entry has this id; add one, or correct it");
    }
  }

  std::vector<Address> addresses(TableReader& table) {
    const std::string what =
        "a list of addresses such as [\"192.0.2.1:5500\"] or "
        "[\"[2001:db8::1]:5500\"], numeric and with a UDP port";
    std::vector<Address> all;
    const toml::array* list = table.array("addresses", what);
    if (list == nullptr) return all;
    for (const toml::node& entry : *list) {
      const auto text = entry.value_exact<std::string>();
      const auto address = text ? parse_address(*text) : std::nullopt;
      if (address) {
        all.push_back(*address);
      } else {
        complaints_.add(entry.source().begin,
                        "[node] addresses has " +
                            (text ? "\"" + shown(*text) + "\"" : "something else") +
                            " in it; it has to be " + what);
      }
    }
    if (list->empty() || list->size() > kAddressesMax) {
      table.wrong("addresses", "has to have 1 to 8 entries");
    }
    return all;
  }

  void read_log(TableReader table) {
    config_.log_level = table.choice<LogLevel>("level",
                                               {{"error", LogLevel::error},
                                                {"warning", LogLevel::warning},
                                                {"info", LogLevel::info},
                                                {"debug", LogLevel::debug}},
                                               LogLevel::info);
    config_.log_format = table.choice<LogFormat>(
        "format", {{"text", LogFormat::text}, {"json", LogFormat::json}}, LogFormat::text);
    pending_.push_back(std::move(table));
  }

  void read_timing(TableReader table) {
    // In a storm a hop takes a thousand tries, and a lease has to outlast the forming of a ring.
    const bool storm = config_.profile == Profile::storm;
    const bool fast = config_.profile == Profile::fast;
    const milliseconds token =
        table.duration("token_timeout_ms", milliseconds(20), milliseconds(60'000),
                       milliseconds(storm  ? 20'000
                                    : fast ? 100
                                           : 300));
    const milliseconds lease = table.duration("lease_ms", milliseconds(100), milliseconds(600'000),
                                              milliseconds(storm  ? 60'000
                                                           : fast ? 700
                                                                  : 2000));
    // At most a third of the token timeout and an eighth of the lease [rule 6.5]; else a lock could
    // be taken for lost on a healthy ring.
    const milliseconds hold_max = std::min(token / 3, lease / 8);
    config_.token_timeout = token;
    config_.lease = lease;
    config_.token_retransmit =
        table.duration("token_retransmit_ms", milliseconds(1), token / 4,
                       std::max(token / (storm ? 40 : 150), milliseconds(1)));
    config_.token_hold = table.duration("token_hold_ms", milliseconds(1), hold_max,
                                        storm ? std::min(hold_max, token / 20) : hold_max);
    config_.consensus_timeout = table.duration("consensus_timeout_ms", token / 2, 10 * token,
                                               storm ? token * 3 / 5 : token * 6 / 5);
    config_.lease_margin =
        table.duration("lease_margin_ms", milliseconds(1), lease / 2, lease / 10);
    config_.clock_drift_ppm =
        static_cast<std::uint32_t>(table.number("clock_drift_ppm", 1, 100'000, 1000));
    config_.persist_timeout = table.duration("persist_timeout_ms", milliseconds(10),
                                             milliseconds(60'000), milliseconds(500));

    // What a healthy majority needs to form anew after a failure, without losing its own leases.
    const base::Duration needed = config_.token_timeout + config_.consensus_timeout +
                                  config_.token_timeout / 2 + config_.lease_margin;
    if (config_.lease < needed) {
      warn(table, "lease_ms",
           "is short for this token_timeout_ms: when a node fails, programs on the others may lose "
           "their locks too; " +
               std::to_string(std::chrono::ceil<milliseconds>(needed).count()) +
               " or more is enough");
    }
    pending_.push_back(std::move(table));
  }

  void read_network(TableReader table) {
    config_.datagram_bytes = table.number("datagram_bytes", 512, 60'000, 1400);
    config_.offload = table.flag("offload", true);
    pending_.push_back(std::move(table));
  }

  void read_limits(TableReader table) {
    config_.connections_max = table.number("connections", 1, 65'536, 4096);
    config_.unwritten_bytes_max =
        table.number("unwritten_bytes", 65'536, 256 * 1024 * 1024, 256 * 1024);
    pending_.push_back(std::move(table));
  }

  void read_compat(TableReader table) {
    const std::string what = "\"none\", or the path of a folder that only this lockd writes in";
    const std::string text = table.text("dlm_tree", what, "none");
    if (text != "none") config_.dlm_tree = full_path(text);
    pending_.push_back(std::move(table));
  }

  // Unknown keys, once it is known which keys there are elsewhere.
  void finish_tables() {
    std::map<std::string, std::string> all;
    for (const TableReader& table : pending_) {
      for (const std::string& key : table.known()) all.try_emplace(key, table.name());
    }
    for (TableReader& table : pending_) table.finish(all);
  }

  void final_checks(TableReader& top) {
    std::uint32_t votes = 0;
    for (const NodeConfig& node : config_.nodes) votes += node.votes;
    if (votes == 0) {
      top.wrong("node", "entries have no votes; at least one node has to have one");
      return;
    }
    std::size_t voters = 0;
    for (const NodeConfig& node : config_.nodes) {
      if (node.votes > 0) ++voters;
      if (config_.nodes.size() > 1 && 2 * node.votes > votes) {
        warn(top, "node",
             "entry of node " + base::to_string(node.id) + " has " + std::to_string(node.votes) +
                 " of " + std::to_string(votes) + " votes: without this node no locks are granted");
      }
    }
    if (voters == 2 && config_.nodes.size() == 2 && votes == 2) {
      warn(top, "node",
           "entries are two: two nodes alone cannot both survive a split, so when either fails "
           "the other stops granting locks (2 of 2 votes are needed); add a third node, or a "
           "witness");
    }
    const bool serves = std::any_of(config_.nodes.begin(), config_.nodes.end(),
                                    [](const NodeConfig& node) { return !node.witness; });
    if (!serves) {
      top.wrong("node", "entries are all witnesses; at least one node has to serve programs");
    }
    const auto ring = config_.ring().validate();
    if (!ring) top.wrong("node", "or [timing]: " + ring.error());
    const auto replica = config_.replica().validate();
    if (!replica) top.wrong("node", "or [timing]: " + replica.error());
  }

  void warn(const TableReader& table, std::string_view key, const std::string& what) {
    config_.warnings.push_back(complaints_.at(table.place(key), table.full(key) + " " + what));
  }

  const toml::table& root_;
  Complaints complaints_;
  Config config_;
  std::vector<TableReader> pending_;  // Tables that were read, to look for unknown keys in.
};

}  // namespace

std::string to_string(const Address& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

const NodeConfig& Config::own() const {
  return *std::find_if(nodes.begin(), nodes.end(),
                       [this](const NodeConfig& node) { return node.id == self; });
}

evs::Config Config::ring() const {
  const bool storm = profile == Profile::storm;
  evs::Config ring = storm ? evs::storm_config() : evs::Config{};
  ring.self = self;
  for (const NodeConfig& node : nodes) ring.nodes.push_back(node.id);
  ring.datagram_bytes_max = datagram_bytes;
  ring.token_timeout = token_timeout;
  ring.token_retransmit = token_retransmit;
  ring.token_hold_max = token_hold;
  ring.consensus_timeout = consensus_timeout;
  ring.join_interval = token_timeout / (storm ? 40 : 12);
  ring.presence_interval = storm ? token_timeout / 20 : 2 * token_timeout / 3;
  ring.fail_to_receive_timeout = 3 * token_timeout;
  return ring;
}

ReplicaConfig Config::replica() const {
  ReplicaConfig replica;
  replica.cluster = cluster;
  replica.self = self;
  for (const NodeConfig& node : nodes) {
    replica.nodes.push_back({node.id, node.votes, node.witness});
  }
  replica.lease = lease;
  replica.lease_margin = lease_margin;
  replica.clock_drift_ppm = clock_drift_ppm;
  replica.persist_timeout = persist_timeout;
  return replica;
}

base::Result<Config, std::string> parse_config(std::string_view text, const std::string& source) {
  try {
    const toml::table root = toml::parse(text, source);
    return ConfigReader(root, source).read();
  } catch (const toml::parse_error& error) {
    return base::error(
        Complaints(source).at(error.source().begin, "is not TOML: " + shown(error.description())));
  }
}

base::Result<Config, std::string> load_config(const std::string& path) {
  std::error_code code;
  if (!std::filesystem::exists(path, code)) {
    return base::error(path +
                       ": is missing; write one after lockd.sample.toml, or name another "
                       "with --config");
  }
  if (!std::filesystem::is_regular_file(path, code)) {
    return base::error(path + ": is not a file");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return base::error(path + ": cannot be opened; may this user read it?");
  std::string text(kConfigBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return base::error(path + ": cannot be read");
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kConfigBytesMax) return base::error(path + ": is longer than 1 MiB");
  return parse_config(text, path);
}

base::Result<void, std::string> check_files(const Config& config) {
  std::string errors;
  const auto key = evs::net::read_key_file(config.key_file);
  if (!key) errors = config.source + ": " + key.error();
  // A daemon that is running with this configuration is no reason to complain.
  const auto record = RecordFile::open(config.state_dir, config.cluster, config.self);
  if (!record && record.error().trouble != RecordFile::Trouble::in_use) {
    errors += (errors.empty() ? "" : "\n") + config.source + ": " + record.error().text;
  }
  if (!errors.empty()) return base::error(errors);
  return {};
}

std::string print_config(const Config& config) {
  std::string text;
  std::string table;
  for (const Setting& setting : config.settings) {
    const bool entry = setting.table == "node" && setting.key == "id";
    if (setting.table != table || entry) {
      table = setting.table;
      text += entry ? "\n[[node]]\n" : "\n[" + table + "]\n";
    }
    text += setting.key + " = " + setting.value + "  # ";
    text += setting.line == 0 ? "default" : config.source + ":" + std::to_string(setting.line);
    text += '\n';
  }
  return text;
}

}  // namespace lockd
