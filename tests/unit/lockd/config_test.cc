#include "lockd/config.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "lockd/init.h"
#include "lockd/record_file.h"
#include "tests/unit/lockd/temporary_folder.h"

namespace lockd {
namespace {

using std::chrono::milliseconds;

const std::string kHead = R"(node_id = 2
key_file = "key"
state_dir = "/var/lib/lockd"
)";
const std::string kCluster = R"([cluster]
name = "demo"
uuid = "5f0c6a1e-7c3e-4f35-9a51-0d3a1c6b2f90"
)";
const std::string kNodes = R"([[node]]
id = 3
addresses = ["[::1]:5503"]
[[node]]
id = 1
addresses = ["127.0.0.1:5501", "10.0.0.1:5501"]
[[node]]
id = 2
addresses = ["127.0.0.1:5502"]
)";

std::string error_of(const std::string& text) {
  const auto config = parse_config(text, "/etc/lockd/lockd.toml");
  return config ? "" : config.error();
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("a small file is enough, and the rest follows") {
  const auto config = parse_config(kHead + kCluster + kNodes, "/etc/lockd/lockd.toml");
  REQUIRE_MESSAGE(config, config.error());
  CHECK(config->cluster_name == "demo");
  CHECK(config->cluster[0] == 0x5f);
  CHECK(config->cluster[15] == 0x90);
  CHECK(config->key_file == "/etc/lockd/key");
  CHECK(config->state_dir == "/var/lib/lockd");
  CHECK(config->socket == "/run/lockd/lockd.sock");
  CHECK(config->socket_mode == 0660);
  CHECK(config->log_level == LogLevel::info);
  REQUIRE(config->nodes.size() == 3);
  CHECK(config->nodes[0].id == base::NodeId{1});
  CHECK(config->nodes[0].addresses[1] == Address{"10.0.0.1", 5501});
  CHECK(config->nodes[2].addresses[0] == Address{"::1", 5503});
  CHECK(to_string(config->nodes[2].addresses[0]) == "[::1]:5503");
  CHECK(config->own().id == base::NodeId{2});
  CHECK(config->nodes[1].votes == 1);
  CHECK(config->warnings.empty());
}

TEST_CASE("the defaults are those of the ring and of the replica") {
  const auto config = parse_config(kHead + kCluster + kNodes, "lockd.toml");
  REQUIRE(config);
  const evs::Config ring = config->ring();
  const evs::Config ring_defaults;
  CHECK(ring.self == base::NodeId{2});
  CHECK(ring.nodes == std::vector<base::NodeId>{base::NodeId{1}, base::NodeId{2}, base::NodeId{3}});
  CHECK(ring.token_timeout == ring_defaults.token_timeout);
  CHECK(ring.token_retransmit == ring_defaults.token_retransmit);
  CHECK(ring.token_hold_max == ring_defaults.token_hold_max);
  CHECK(ring.join_interval == ring_defaults.join_interval);
  CHECK(ring.consensus_timeout == ring_defaults.consensus_timeout);
  CHECK(ring.presence_interval == ring_defaults.presence_interval);
  CHECK(ring.fail_to_receive_timeout == ring_defaults.fail_to_receive_timeout);
  const ReplicaConfig replica = config->replica();
  const ReplicaConfig replica_defaults;
  CHECK(replica.cluster == config->cluster);
  CHECK(replica.nodes.size() == 3);
  CHECK(replica.lease == replica_defaults.lease);
  CHECK(replica.lease_margin == replica_defaults.lease_margin);
  CHECK(replica.clock_drift_ppm == replica_defaults.clock_drift_ppm);
  CHECK(replica.persist_timeout == replica_defaults.persist_timeout);
}

TEST_CASE("the other times follow the token timeout and the lease") {
  const auto config = parse_config(
      kHead + kCluster + "[timing]\ntoken_timeout_ms = 900\nlease_ms = 4000\n" + kNodes, "f");
  REQUIRE_MESSAGE(config, config.error());
  CHECK(config->token_retransmit == milliseconds(6));
  CHECK(config->token_hold == milliseconds(300));
  CHECK(config->consensus_timeout == milliseconds(1080));
  CHECK(config->lease_margin == milliseconds(400));
}

TEST_CASE("the fast profile has a third of the times, and a lease that outlasts a failure") {
  const auto config =
      parse_config(kHead + kCluster + "profile = \"fast\"\n" + kNodes, "lockd.toml");
  REQUIRE_MESSAGE(config, config.error());
  CHECK(config->profile == Profile::fast);
  CHECK(config->warnings.empty());
  CHECK(config->token_timeout == milliseconds(100));
  CHECK(config->consensus_timeout == milliseconds(120));
  CHECK(config->lease == milliseconds(700));
  CHECK(config->lease_margin == milliseconds(70));
  CHECK(config->ring().outstanding_max == evs::Config().outstanding_max);
}

TEST_CASE("the storm profile has the times of a ring in a storm, and a lease that outlasts them") {
  const auto config =
      parse_config(kHead + kCluster + "profile = \"storm\"\n" + kNodes, "lockd.toml");
  REQUIRE_MESSAGE(config, config.error());
  CHECK(config->profile == Profile::storm);
  CHECK(config->warnings.empty());
  const evs::Config ring = config->ring();
  const evs::Config storm = evs::storm_config();
  CHECK(ring.token_timeout == storm.token_timeout);
  CHECK(ring.token_retransmit == storm.token_retransmit);
  CHECK(ring.token_hold_max == storm.token_hold_max);
  CHECK(ring.join_interval == storm.join_interval);
  CHECK(ring.consensus_timeout == storm.consensus_timeout);
  CHECK(ring.presence_interval == storm.presence_interval);
  CHECK(ring.fail_to_receive_timeout == storm.fail_to_receive_timeout);
  CHECK(ring.readmission_pause_max == storm.readmission_pause_max);
  CHECK(ring.outstanding_max == storm.outstanding_max);
  CHECK(config->lease > config->token_timeout + config->consensus_timeout);
}

TEST_CASE("the token is never held for more than an eighth of the lease") {
  const std::string timing = "[timing]\nlease_ms = 1200\n";
  const auto config = parse_config(kHead + kCluster + timing + kNodes, "f");
  REQUIRE_MESSAGE(config, config.error());
  CHECK(config->token_hold == milliseconds(100));
  CHECK(has(error_of(kHead + kCluster + timing + "token_hold_ms = 300\n" + kNodes),
            "lockd.toml:9:17: [timing] token_hold_ms is 300; it has to be from 1 to 100"));
}

TEST_CASE("an unknown key is named with its place and the nearest match") {
  CHECK(error_of(kHead + "keyfile = \"key\"\n" + kCluster + kNodes) ==
        "/etc/lockd/lockd.toml:4:1: keyfile: unknown key; did you mean \"key_file\"?");
  CHECK(error_of(kHead + kCluster + "[timing]\ntoken_timeout = 300\n" + kNodes) ==
        "/etc/lockd/lockd.toml:8:1: [timing] token_timeout: unknown key; did you mean "
        "\"token_timeout_ms\"?");
  CHECK(has(error_of(kHead + kCluster + "[timings]\n" + kNodes),
            "timings: unknown key; did you mean \"timing\"?"));
  CHECK(has(error_of(kHead + kCluster + kNodes + "addreses = []\n"),
            "[node] addreses: unknown key; did you mean \"addresses\"?"));
}

TEST_CASE("a key in the wrong table is sent to the right one") {
  CHECK(has(error_of(kHead + "lease_ms = 3000\n" + kCluster + kNodes),
            ":4:1: lease_ms: unknown key here; it belongs into [timing]"));
  CHECK(has(error_of(kHead + kCluster + "socket = \"x\"\n" + kNodes),
            ":7:1: [cluster] socket: unknown key here; it belongs before the first table"));
}

TEST_CASE("a key that is like no other is told which there are") {
  CHECK(has(error_of(kHead + kCluster + "[log]\nzzzzzzzzzzzz = 1\n" + kNodes),
            "zzzzzzzzzzzz: unknown key; there are level, format"));
}

TEST_CASE("an ill-typed value is named with its place and what it has to be") {
  CHECK(error_of("node_id = \"two\"\nkey_file = \"k\"\n" + kCluster + kNodes) ==
        "/etc/lockd/lockd.toml:1:11: node_id has to be a whole number from 1 to 4294967295, not a "
        "string");
  CHECK(has(error_of(kHead + kCluster + "[timing]\nlease_ms = 2.5\n" + kNodes),
            ":8:12: [timing] lease_ms has to be a whole number from 100 to 600000, not a number "
            "with a fraction"));
  CHECK(has(error_of(kHead + "socket = 7\n" + kCluster + kNodes),
            "socket has to be the path of the socket, a string, not a whole number"));
  CHECK(
      has(error_of(kHead + kCluster + "[log]\nlevel = \"loud\"\n" + kNodes),
          "[log] level is \"loud\"; it has to be one of \"error\" \"warning\" \"info\" \"debug\""));
  CHECK(has(error_of(kHead + "cluster = 5\n" + kNodes), "cluster has to be a table"));
  CHECK(has(error_of(kHead + "node = 5\n" + kCluster), "node has to be entries that begin with"));
  CHECK(has(error_of(kHead + "socket_mode = \"rw\"\n" + kCluster + kNodes),
            "socket_mode is \"rw\"; it has to be permissions in octal"));
}

TEST_CASE("a value out of range is named with the range") {
  CHECK(has(error_of("node_id = 0\nkey_file = \"k\"\n" + kCluster + kNodes),
            "node_id is 0; it has to be from 1 to 4294967295"));
  CHECK(has(error_of(kHead + kCluster + "[timing]\nlease_ms = -1\n" + kNodes), "lease_ms is -1"));
}

TEST_CASE("missing keys are named, all at once, in the order of the file") {
  const std::string error = error_of(kNodes + "votes = 300\n");
  CHECK(has(error, "node_id is missing"));
  CHECK(has(error, "key_file is missing"));
  CHECK(has(error, "[cluster] name is missing"));
  CHECK(has(error, "[cluster] uuid is missing"));
  CHECK(has(error, ":10:9: [node] votes is 300"));
  CHECK(error.find("node_id") < error.find("votes"));
}

TEST_CASE("a file that is not TOML is named with the place") {
  CHECK(has(error_of("node_id = \n"), "/etc/lockd/lockd.toml:1:"));
  CHECK(has(error_of(kHead + "node_id = 3\n"), "lockd.toml:4:"));
  CHECK(has(error_of("\xff\xfe"), "is not TOML"));
}

TEST_CASE("duplicate node ids are refused with both places") {
  CHECK(error_of(kHead + kCluster + kNodes + "[[node]]\nid = 1\naddresses = [\"10.0.0.9:1\"]\n") ==
        "/etc/lockd/lockd.toml:17:6: [node] id is 1, which is taken by the node of line 11; every "
        "node has an id of its own");
}

TEST_CASE("this node has to be in the list") {
  CHECK(error_of("node_id = 9\nkey_file = \"k\"\n" + kCluster + kNodes) ==
        "/etc/lockd/lockd.toml:1:11: node_id is 9, but no [[node]] entry has this id; add one, or "
        "correct it");
}

TEST_CASE("addresses are numeric and have a port") {
  for (const std::string bad : {"localhost:5500", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536",
                                "::1:5500", "[127.0.0.1]:5", ":5", "[]:5", "1.2.3.4:5x"}) {
    const std::string nodes = "[[node]]\nid = 2\naddresses = [\"" + bad + "\"]\n";
    INFO(bad);
    CHECK(has(error_of(kHead + kCluster + nodes),
              "/etc/lockd/lockd.toml:9:14: [node] addresses has \"" + bad + "\" in it"));
  }
  CHECK(has(error_of(kHead + kCluster + "[[node]]\nid = 2\naddresses = []\n"),
            "has to have 1 to 8 entries"));
  CHECK(has(error_of(kHead + kCluster + "[[node]]\nid = 2\naddresses = \"1.2.3.4:5\"\n"),
            "has to be a list of addresses"));
  CHECK(has(error_of(kHead + kCluster + "[[node]]\nid = 2\naddresses = [5]\n"), "something else"));
}

TEST_CASE("a uuid is a uuid, and not empty of bits") {
  for (const std::string bad :
       {"5f0c6a1e7c3e4f359a510d3a1c6b2f90", "xf0c6a1e-7c3e-4f35-9a51-0d3a1c6b2f90",
        "00000000-0000-0000-0000-000000000000", "5f0c6a1e-7c3e-4f35-9a51-0d3a1c6b2f9-"}) {
    INFO(bad);
    CHECK(has(error_of(kHead + "[cluster]\nname = \"x\"\nuuid = \"" + bad + "\"\n" + kNodes),
              ":6:8: [cluster] uuid is \"" + bad + "\""));
  }
}

TEST_CASE("the cipher is ChaCha20-Poly1305 unless AES-256-GCM is chosen, and no other one") {
  using evs::net::Cipher;
  const auto cipher_of = [](const std::string& line) {
    const auto config = parse_config(kHead + kCluster + line + kNodes, "/etc/lockd/lockd.toml");
    REQUIRE_MESSAGE(config, config.error());
    return config->cipher;
  };
  CHECK(cipher_of("") == Cipher::chacha20_poly1305);
  CHECK(cipher_of("cipher = \"chacha20-poly1305\"\n") == Cipher::chacha20_poly1305);
  CHECK(cipher_of("cipher = \"aes-256-gcm\"\n") == Cipher::aes_256_gcm);
  CHECK(has(error_of(kHead + kCluster + "cipher = \"none\"\n" + kNodes),
            "[cluster] cipher is \"none\"; it has to be one of"));
}

TEST_CASE("the size of datagrams, and offload, are the node's to choose") {
  const auto config = parse_config(
      kHead + kCluster + "[network]\ndatagram_bytes = 8900\noffload = false\n" + kNodes, "f");
  REQUIRE_MESSAGE(config, config.error());
  CHECK(config->ring().datagram_bytes_max == 8900);
  CHECK_FALSE(config->offload);
  CHECK(has(error_of(kHead + kCluster + "[network]\ndatagram_bytes = 100\n" + kNodes),
            "[network] datagram_bytes"));
}

TEST_CASE("a multicast group is one, with a port, or none") {
  const auto group_of = [](const std::string& line) {
    const auto config = parse_config(kHead + kCluster + line + kNodes, "/etc/lockd/lockd.toml");
    REQUIRE_MESSAGE(config, config.error());
    return config->multicast ? to_string(*config->multicast) : "none";
  };
  CHECK(group_of("") == "none");
  CHECK(group_of("multicast = \"none\"\n") == "none");
  CHECK(group_of("multicast = \"239.192.0.1:5501\"\n") == "239.192.0.1:5501");
  CHECK(group_of("multicast = \"[ff02::5500]:5501\"\n") == "[ff02::5500]:5501");
  for (const std::string bad : {"192.0.2.1:5501", "239.192.0.1", "[2001:db8::1]:5501", "x"}) {
    INFO(bad);
    CHECK(has(error_of(kHead + kCluster + "multicast = \"" + bad + "\"\n" + kNodes),
              "[cluster] multicast is \"" + bad + "\"; it has to be \"none\" or a"));
  }
}

TEST_CASE("settings that would let both halves of a split work are refused") {
  for (const std::string key : {"two_node", "expected_votes", "last_man_standing"}) {
    INFO(key);
    CHECK(has(error_of(kHead + kCluster + key + " = 1\n" + kNodes), key + ": refused: "));
  }
}

TEST_CASE("two nodes are allowed, and told what that means") {
  const std::string two = R"([[node]]
id = 1
addresses = ["127.0.0.1:5501"]
[[node]]
id = 2
addresses = ["127.0.0.1:5502"]
)";
  const auto config = parse_config(kHead + kCluster + two, "f");
  REQUIRE_MESSAGE(config, config.error());
  REQUIRE(config->warnings.size() == 1);
  CHECK(has(config->warnings[0], "f:7:1: "));
  CHECK(has(config->warnings[0], "two nodes alone cannot both survive a split"));
  const auto witnessed =
      parse_config(kHead + kCluster + two +
                       "[[node]]\nid = 3\naddresses = [\"127.0.0.1:5503\"]\nwitness = true\n",
                   "f");
  REQUIRE_MESSAGE(witnessed, witnessed.error());
  CHECK(witnessed->warnings.empty());
  CHECK(witnessed->nodes[2].witness);
}

TEST_CASE("a node without which nothing works is pointed out") {
  const auto config = parse_config(kHead + kCluster + kNodes + "votes = 3\n", "f");
  REQUIRE_MESSAGE(config, config.error());
  REQUIRE(config->warnings.size() == 1);
  CHECK(has(config->warnings[0], "node 2 has 3 of 5 votes"));
}

TEST_CASE("a lease that a failure elsewhere can end is pointed out") {
  const auto config = parse_config(kHead + kCluster + "[timing]\nlease_ms = 600\n" + kNodes, "f");
  REQUIRE_MESSAGE(config, config.error());
  REQUIRE(config->warnings.size() == 1);
  CHECK(has(config->warnings[0], "f:8:12: [timing] lease_ms is short"));
}

TEST_CASE("a socket path that the system can not take is refused") {
  CHECK(has(error_of(kHead + "socket = \"/" + std::string(107, 's') + "\"\n" + kCluster + kNodes),
            "the system allows 107"));
}

TEST_CASE("control characters of the file do not get into an error") {
  const std::string error = error_of(kHead + "\"\\u001b[2Jx\" = 1\n" + kCluster + kNodes);
  CHECK(has(error, "?[2Jx: unknown key"));
  CHECK(error.find('\x1b') == std::string::npos);
}

TEST_CASE("what is printed parses to the same, and says where it came from") {
  const auto config = parse_config(kHead + kCluster + "[timing]\nlease_ms = 3000\n" + kNodes,
                                   "/etc/lockd/lockd.toml");
  REQUIRE(config);
  const std::string text = print_config(*config);
  CHECK(has(text, "lease_ms = 3000  # /etc/lockd/lockd.toml:8\n"));
  CHECK(has(text, "token_timeout_ms = 300  # default\n"));
  const auto again = parse_config(text, "/etc/lockd/lockd.toml");
  REQUIRE_MESSAGE(again, again.error());
  CHECK(again->nodes.size() == config->nodes.size());
  CHECK(again->lease == config->lease);
  CHECK(again->key_file == config->key_file);
  CHECK(again->cluster == config->cluster);
}

TEST_CASE("a file can be missing, a folder, or too long") {
  TemporaryFolder folder;
  CHECK(has(load_config(folder.path() + "/none").error(), "is missing"));
  CHECK(has(load_config(folder.path()).error(), "is not a file"));
  folder.write("long", std::string(1024 * 1024 + 1, '#'));
  CHECK(has(load_config(folder.path() + "/long").error(), "is longer than 1 MiB"));
}

TEST_CASE("the sample has every key and parses") {
  const auto config = load_config(RINGLOCK_SOURCE_DIR "/docs/lockd.sample.toml");
  REQUIRE_MESSAGE(config, config.error());
  CHECK(config->warnings.empty());
  for (const Setting& setting : config->settings) {
    INFO(setting.table, ".", setting.key);
    // The later nodes leave votes and witness to the defaults.
    CHECK((setting.line != 0 || setting.table == "node"));
  }
  const auto defaults = parse_config(kHead + kCluster + kNodes, "f");
  REQUIRE(defaults);
  for (const Setting& setting : config->settings) {
    for (const Setting& other : defaults->settings) {
      if (other.line != 0 || setting.table != other.table || setting.key != other.key) continue;
      INFO(setting.table, ".", setting.key, " in the sample is not the default");
      CHECK(setting.value == other.value);
    }
  }
}

// A whole node on disk.
struct Files {
  Files() {
    folder.write("lockd.toml",
                 "node_id = 2\nkey_file = \"key\"\nstate_dir = \"state\"\n" + kCluster + kNodes);
    folder.write("key", std::string(32, 'k'));
    chmod((folder.path() + "/key").c_str(), 0600);
  }
  Config config() const {
    auto config = load_config(folder.path() + "/lockd.toml");
    REQUIRE_MESSAGE(config, config.error());
    return *config;
  }
  std::string check() const {
    const auto result = check_files(config());
    return result ? "" : result.error();
  }
  TemporaryFolder folder;
};

TEST_CASE("the files of a node are checked") {
  Files files;
  const Config config = files.config();
  CHECK(config.state_dir == files.folder.path() + "/state");
  CHECK(has(files.check(), "record " + files.folder.path() + "/state/record is missing; "));
  CHECK(has(files.check(), "run \"lockd init --config FILE\""));
  REQUIRE(initialize(config.state_dir, config.cluster, config.self, RecordRole::voter));
  CHECK(files.check().empty());

  SUBCASE("a running daemon is no error") {
    const auto daemon = RecordFile::open(config.state_dir, config.cluster, config.self);
    REQUIRE(daemon);
    CHECK(files.check().empty());
  }
  SUBCASE("a missing key") {
    std::filesystem::remove(config.key_file);
    CHECK(has(files.check(), config.key_file + ": is missing"));
    CHECK(has(files.check(), "lockctl keygen"));
  }
  SUBCASE("a key that the world can read") {
    chmod(config.key_file.c_str(), 0644);
    CHECK(has(files.check(), "chmod 600"));
  }
  SUBCASE("a state folder that is a file") {
    std::filesystem::remove_all(config.state_dir);
    files.folder.write("state", "");
    CHECK(has(files.check(), "cannot be opened for writing"));
  }
}

}  // namespace
}  // namespace lockd
