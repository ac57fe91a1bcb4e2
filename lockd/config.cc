#include "lockd/config.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>
#include <utility>

#include <toml++/toml.h>

#include "evs/net/key_file.h"
#include "lockd/record_file.h"

namespace lockd {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kConfigBytesMax = 1024 * 1024;
constexpr std::size_t kErrorsMax = 20;
constexpr std::size_t kAddressesMax = 8;

// Keys of other cluster software that would let both halves of a split work on.
constexpr std::array<std::string_view, 7> kSplitBrainKeys = {
    "two_node",     "auto_tie_breaker", "last_man_standing", "expected_votes",
    "wait_for_all", "quorum",           "allow_downscale"};

// Text from the file, for an error on a terminal.
std::string shown(std::string_view text) {
  std::string safe;
  for (const char c : text.substr(0, 64)) safe += c >= ' ' && c <= '~' ? c : '?';
  return safe;
}

// Letters to change, insert or leave out to make one word of the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({change, row[j] + 1, row[j - 1] + 1}));
    }
  }
  return row.back();
}

const char* name_of(toml::node_type type) {
  switch (type) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

// Collects what is wrong, each with its place.
class Complaints {
 public:
  explicit Complaints(const std::string& source) : source_(source) {}

  std::string at(const toml::source_position& place, const std::string& what) const {
    return source_ + ":" + std::to_string(std::max(place.line, 1u)) + ":" +
           std::to_string(std::max(place.column, 1u)) + ": " + what;
  }
  void add(const toml::source_position& place, const std::string& what) {
    if (errors_.size() < kErrorsMax) errors_.push_back({place, at(place, what)});
  }

  bool any() const { return !errors_.empty(); }

  // In the order of the file.
  std::string text() const {
    auto sorted = errors_;
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
      return std::pair(a.first.line, a.first.column) < std::pair(b.first.line, b.first.column);
    });
    std::string all;
    for (const auto& [place, error] : sorted) all += (all.empty() ? "" : "\n") + error;
    return all;
  }

 private:
  std::string source_;
  std::vector<std::pair<toml::source_position, std::string>> errors_;
};

std::string toml_string(std::string_view text) {
  std::ostringstream out;
  out << toml::value<std::string>(std::string(text));
  return out.str();
}

// Reads the keys of one table, notes what they are set to, and knows the names that there are.
class TableReader {
 public:
  TableReader(const toml::table* table, std::string name, toml::source_position place,
              Complaints& complaints, std::vector<Setting>& settings)
      : table_(table),
        name_(std::move(name)),
        place_(place),
        complaints_(complaints),
        settings_(settings) {}

  toml::source_position place(std::string_view key) const {
    const toml::node* node = peek(key);
    return node == nullptr ? place_ : node->source().begin;
  }
  bool has(std::string_view key) const { return peek(key) != nullptr; }

  void wrong(std::string_view key, const std::string& what) {
    complaints_.add(place(key), full(key) + " " + what);
  }

  // A whole number in [low, high]; without a default it has to be there.
  std::uint64_t number(std::string_view key, std::uint64_t low, std::uint64_t high,
                       std::optional<std::uint64_t> otherwise = {}) {
    const toml::node* node = take(key);
    const std::string range = "from " + std::to_string(low) + " to " + std::to_string(high);
    std::uint64_t value = otherwise.value_or(low);
    if (node == nullptr) {
      if (!otherwise) wrong(key, "is missing; it has to be a whole number " + range);
    } else if (const auto* integer = node->as_integer(); integer == nullptr) {
      wrong(key, "has to be a whole number " + range + ", not " + name_of(node->type()));
    } else if (integer->get() < 0 || static_cast<std::uint64_t>(integer->get()) < low ||
               static_cast<std::uint64_t>(integer->get()) > high) {
      wrong(key, "is " + std::to_string(integer->get()) + "; it has to be " + range);
    } else {
      value = static_cast<std::uint64_t>(integer->get());
    }
    note(key, std::to_string(value), node);
    return value;
  }

  base::Duration duration(std::string_view key, milliseconds low, milliseconds high,
                          milliseconds otherwise) {
    const auto count = [](milliseconds d) { return static_cast<std::uint64_t>(d.count()); };
    return milliseconds(number(key, count(low), count(high), count(otherwise)));
  }

  bool flag(std::string_view key, bool otherwise) {
    const toml::node* node = take(key);
    bool value = otherwise;
    if (node != nullptr && node->is_boolean()) value = node->as_boolean()->get();
    if (node != nullptr && !node->is_boolean()) {
      wrong(key, std::string("has to be true or false, not ") + name_of(node->type()));
    }
    note(key, value ? "true" : "false", node);
    return value;
  }

  // Not empty, if it is there at all; without a default it has to be.
  std::string text(std::string_view key, const std::string& what,
                   std::optional<std::string> otherwise = {}) {
    const toml::node* node = take(key);
    std::string value = otherwise.value_or("");
    if (node == nullptr) {
      if (!otherwise) wrong(key, "is missing; it has to be " + what);
    } else if (!node->is_string()) {
      wrong(key, "has to be " + what + ", a string, not " + name_of(node->type()));
    } else if (node->as_string()->get().empty()) {
      wrong(key, "is empty; it has to be " + what);
    } else if (node->as_string()->get().find('\0') != std::string::npos) {
      wrong(key, "has a zero byte in it; it has to be " + what);
    } else {
      value = node->as_string()->get();
    }
    note(key, toml_string(value), node);
    return value;
  }

  template <typename Value>
  Value choice(std::string_view key, const std::vector<std::pair<std::string, Value>>& names,
               Value otherwise) {
    std::string what = "one of";
    std::string fallback;
    for (const auto& [name, value] : names) {
      what += " \"" + name + "\"";
      if (value == otherwise) fallback = name;
    }
    const std::string given = text(key, what, fallback);
    for (const auto& [name, value] : names) {
      if (name == given) return value;
    }
    wrong(key, "is \"" + shown(given) + "\"; it has to be " + what);
    return otherwise;
  }

  const toml::array* array(std::string_view key, const std::string& what) {
    const toml::node* node = take(key);
    if (node == nullptr) {
      wrong(key, "is missing; it has to be " + what);
      return nullptr;
    }
    if (!node->is_array()) {
      wrong(key, "has to be " + what + ", not " + name_of(node->type()));
      return nullptr;
    }
    note(key, print(*node), node);
    return node->as_array();
  }

  // The table of this name, or null with its place noted as that of its parent.
  const toml::table* table(std::string_view key) {
    const toml::node* node = take(key);
    if (node != nullptr && !node->is_table()) {
      wrong(key, std::string("has to be a table, [") + std::string(key) + "], not " +
                     name_of(node->type()));
    }
    return node == nullptr ? nullptr : node->as_table();
  }

  // The [[key]] entries.
  const toml::array* tables(std::string_view key) {
    const toml::node* node = take(key);
    const bool right = node != nullptr && node->is_array_of_tables();
    if (node != nullptr && !right) {
      wrong(key, "has to be entries that begin with [[" + std::string(key) + "]] each");
    }
    return right ? node->as_array() : nullptr;
  }

  // To be called when all keys were read: complains about the others.
  void finish(const std::map<std::string, std::string>& keys_elsewhere) {
    if (table_ == nullptr) return;
    for (const auto& entry : *table_) {
      const toml::key& key = entry.first;
      if (std::find(known_.begin(), known_.end(), key.str()) != known_.end()) continue;
      complaints_.add(key.source().begin,
                      full(shown(key.str())) + ": " + advice(key.str(), keys_elsewhere));
    }
  }

  const std::vector<std::string>& known() const { return known_; }
  const std::string& name() const { return name_; }

  // The key with its table, as errors name it.
  std::string full(std::string_view key) const {
    return (name_.empty() ? "" : "[" + name_ + "] ") + std::string(key);
  }

 private:
  const toml::node* peek(std::string_view key) const {
    return table_ == nullptr ? nullptr : table_->get(key);
  }
  const toml::node* take(std::string_view key) {
    known_.emplace_back(key);
    return peek(key);
  }
  void note(std::string_view key, std::string value, const toml::node* node) {
    const std::size_t line = node == nullptr ? 0 : node->source().begin.line;
    settings_.push_back({name_, std::string(key), std::move(value), line});
  }
  static std::string print(const toml::node& node) {
    std::ostringstream out;
    node.visit([&](const auto& n) { out << n; });
    return out.str();
  }

  std::string advice(std::string_view key,
                     const std::map<std::string, std::string>& keys_elsewhere) const {
    if (std::find(kSplitBrainKeys.begin(), kSplitBrainKeys.end(), key) != kSplitBrainKeys.end()) {
      return "refused: locks are granted where more than half of all votes are together, and "
             "nothing may change that, or both halves of a split would grant the same lock; for "
             "two nodes add a third with witness = true";
    }
    const auto elsewhere = keys_elsewhere.find(std::string(key));
    if (elsewhere != keys_elsewhere.end()) {
      return "unknown key here; it belongs " + (elsewhere->second.empty()
                                                    ? "before the first table"
                                                    : "into [" + elsewhere->second + "]");
    }
    const std::string* nearest = nullptr;
    std::size_t best = 1 + key.size() / 2;
    for (const std::string& candidate : known_) {
      const std::size_t d = distance(key.substr(0, 64), candidate);
      if (d < best) {
        best = d;
        nearest = &candidate;
      }
    }
    if (nearest != nullptr) return "unknown key; did you mean \"" + *nearest + "\"?";
    std::string all;
    for (const std::string& candidate : known_) all += (all.empty() ? "" : ", ") + candidate;
    return "unknown key; there are " + all;
  }

  const toml::table* table_;
  std::string name_;
  toml::source_position place_;
  Complaints& complaints_;
  std::vector<Setting>& settings_;
  std::vector<std::string> known_;
};

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
    const toml::table* limits = top.table("limits");
    pending_.push_back(top);

    read_cluster(reader(cluster, "cluster"));
    read_nodes(nodes, top);
    read_log(reader(log, "log"));
    read_timing(reader(timing, "timing"));
    read_limits(reader(limits, "limits"));
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
                   std::optional<std::string> otherwise) {
    const std::string text = table.text(key, what, std::move(otherwise));
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
    pending_.push_back(std::move(table));
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
    const auto in_ms = [](base::Duration d) { return std::chrono::duration_cast<milliseconds>(d); };
    const milliseconds token = in_ms(table.duration("token_timeout_ms", milliseconds(20),
                                                    milliseconds(60'000), milliseconds(300)));
    const milliseconds lease = in_ms(
        table.duration("lease_ms", milliseconds(100), milliseconds(600'000), milliseconds(2000)));
    // At most a third of the token timeout and an eighth of the lease [rule 6.5]; else a lock could
    // be taken for lost on a healthy ring.
    const milliseconds hold_max = std::min(token / 3, lease / 8);
    config_.token_timeout = token;
    config_.lease = lease;
    config_.token_retransmit = table.duration("token_retransmit_ms", milliseconds(1), token / 4,
                                              std::max(token / 18, milliseconds(1)));
    config_.token_hold = table.duration("token_hold_ms", milliseconds(1), hold_max, hold_max);
    config_.consensus_timeout =
        table.duration("consensus_timeout_ms", token / 2, 10 * token, token * 6 / 5);
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
               std::to_string(in_ms(needed).count()) + " or more is enough");
    }
    pending_.push_back(std::move(table));
  }

  void read_limits(TableReader table) {
    config_.connections_max = table.number("connections", 1, 65'536, 4096);
    config_.unwritten_bytes_max =
        table.number("unwritten_bytes", 65'536, 256 * 1024 * 1024, 256 * 1024);
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
  evs::Config ring;
  ring.self = self;
  for (const NodeConfig& node : nodes) ring.nodes.push_back(node.id);
  ring.token_timeout = token_timeout;
  ring.token_retransmit = token_retransmit;
  ring.token_hold_max = token_hold;
  ring.consensus_timeout = consensus_timeout;
  ring.join_interval = token_timeout / 12;
  ring.presence_interval = 2 * token_timeout / 3;
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
