// A daemon's configuration: the TOML file, checked, as values. It owns the names and ranges of the
// keys and the words of the errors; what the values mean is said where they are used.
// docs/lockd.sample.toml has every key.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "evs/config.h"
#include "evs/net/aead.h"
#include "lockd/log.h"
#include "lockd/replica_config.h"

namespace lockd {

// A numeric address, IPv4 or IPv6, and a UDP port.
struct Address {
  std::string host;  // Without brackets.
  std::uint16_t port = 0;

  friend bool operator==(const Address&, const Address&) = default;
};

std::string to_string(const Address& address);

struct NodeConfig {
  base::NodeId id{};

  // How this daemon reaches the node, or where it listens if it is its own; the best first. Another
  // node may have others for the same one: they are never compared.
  std::vector<Address> addresses;
  std::uint32_t votes = 1;
  bool witness = false;
};

// A key as it stands after defaults, for people who ask where a value comes from.
struct Setting {
  std::string table;  // "" for the keys before the first table; "node" once for each node.
  std::string key;
  std::string value;     // As TOML.
  std::size_t line = 0;  // In the file; 0 for a default.
};

// What the ring's times, windows and copies are made for: any network; machines that are close to
// each other and have time; a network that loses nearly everything.
enum class Profile : std::uint8_t { standard, fast, storm };

struct Config {
  std::string source;  // The file.

  // The same on every node of the cluster.
  std::string cluster_name;
  ClusterId cluster{};
  evs::net::Cipher cipher = evs::net::Cipher::chacha20_poly1305;
  Profile profile = Profile::standard;
  std::optional<Address> multicast;  // None: a copy for each node.
  std::vector<NodeConfig> nodes;     // Sorted by id.

  // This node's own. Paths are absolute, or relative to the folder of the file if they were so
  // there.
  base::NodeId self{};
  std::string key_file;
  std::string state_dir;
  std::string socket;
  unsigned socket_mode = 0660;

  // Of a datagram before it is sealed; and whether the kernel is to take several at once.
  std::size_t datagram_bytes = 0;
  bool offload = true;

  LogLevel log_level = LogLevel::info;
  LogFormat log_format = LogFormat::text;

  base::Duration token_timeout{0};
  base::Duration token_retransmit{0};
  base::Duration token_hold{0};
  base::Duration consensus_timeout{0};
  base::Duration lease{0};
  base::Duration lease_margin{0};
  base::Duration persist_timeout{0};
  std::uint32_t clock_drift_ppm = 0;

  // Connections of local clients, and bytes of responses that may wait for one of them to read.
  std::size_t connections_max = 0;
  std::size_t unwritten_bytes_max = 0;

  // Where lockspaces are shown as files (lockd/dlm_tree.h); empty: nowhere.
  std::string dlm_tree;

  // Allowed, but not what most people want. Each names its line.
  std::vector<std::string> warnings;

  std::vector<Setting> settings;

  const NodeConfig& own() const;
  evs::Config ring() const;
  ReplicaConfig replica() const;
};

// Reads the text of a file. `source` is its path, for the errors and for relative paths in it. All
// errors at once, one a line, each with file:line:column, the key and what it should be.
base::Result<Config, std::string> parse_config(std::string_view text, const std::string& source);

base::Result<Config, std::string> load_config(const std::string& path);

// What the daemon will find when it starts with this: a key file that only it can read, and a state
// folder with a record that it can write. Errors as above.
base::Result<void, std::string> check_files(const Config& config);

// Every key with its value and where that came from, as a TOML file that parses to the same
// configuration.
std::string print_config(const Config& config);

}  // namespace lockd
