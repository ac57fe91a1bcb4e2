#include "lockd/ring_log_file.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <uv.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "evs/net/key_file.h"
#include "lockd/config.h"
#include "lockd/init.h"
#include "lockd/record_file.h"
#include "lockd/service.h"
#include "tests/unit/base/dying_process.h"
#include "tests/unit/evs_net/free_addresses.h"
#include "tests/unit/lockd/temporary_folder.h"

namespace lockd {
namespace {

using base::NodeId;

constexpr base::Processor kSelf{NodeId{1}, base::Incarnation{0xab}};
const std::string kFailure = "planted.cc:1: CHECK failed: a planted condition";

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

evs::TraceRecord install(std::uint64_t sequence, std::uint32_t members) {
  evs::TraceRecord record;
  record.event = evs::TraceEvent::install_regular;
  record.ring = {sequence, NodeId{1}, 0xcd};
  record.members = members;
  return record;
}

// What a daemon has that can say its last words.
struct Parts {
  std::string die(const std::string& state_dir) {
    return base::words_of_dying([&] { new RingLogFile(state_dir, kSelf, nodes, recorder, log); });
  }
  std::string die() { return die(folder.path()); }
  std::string path(int number) const { return RingLogFile::path(folder.path(), number); }

  TemporaryFolder folder;
  std::vector<NodeId> nodes = {NodeId{1}, NodeId{2}};
  evs::FlightRecorder recorder;
  Log log{STDERR_FILENO, LogLevel::error, LogFormat::text};
};

TEST_CASE("a failed CHECK leaves what happened to the ring in a file, and the log says in which") {
  Parts parts;
  parts.recorder.record(base::Duration(1), install(4, 1));
  parts.recorder.record(base::Duration(2), install(8, 3));
  parts.recorder.record(base::Duration(3), install(8, 3));
  const std::string said = parts.die();
  CHECK(said.starts_with(kFailure + "\n"));
  CHECK(has(said, "is left in a file failure=\"" + kFailure + "\" file=" + parts.path(1) + "\n"));

  const auto lines = lines_of(parts.path(1));
  REQUIRE(lines.size() == 6);
  CHECK(lines[0] == kFailure);
  CHECK(has(lines[1], ", node 1 (boot ab), process "));
  CHECK(has(lines[4], "  4.1:"));
  CHECK(has(lines[4], "  install_regular         nodes 1"));
  CHECK(has(lines[5], "  8.1:"));
  CHECK(has(lines[5], "nodes 1 2 (2 times in 0.000)"));
  struct stat status {};
  REQUIRE(stat(parts.path(1).c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("the first failures are kept and the last one is, in so many files") {
  Parts parts;
  for (std::uint64_t life = 1; life <= 6; ++life) {
    parts.recorder.record(base::Duration(1), install(100 + life, 1));
    CHECK(has(parts.die(), "is left in a file"));
  }
  const std::filesystem::directory_iterator files(parts.folder.path());
  CHECK(std::distance(files, {}) == RingLogFile::kFilesMax);
  CHECK(has(lines_of(parts.path(1)).back(), "101.1:"));
  CHECK(has(lines_of(parts.path(RingLogFile::kFilesMax - 1)).back(), "103.1:"));
  CHECK(has(lines_of(parts.path(RingLogFile::kFilesMax)).back(), "106.1:"));

  // Nothing of what was there before is left in it.
  parts.recorder = evs::FlightRecorder();
  parts.die();
  CHECK(lines_of(parts.path(RingLogFile::kFilesMax)).size() == 4);
}

TEST_CASE("a file has all that the recorder keeps, and is bounded by that") {
  Parts parts;
  for (std::uint32_t node = 1; node <= 32; ++node)
    parts.nodes.push_back(NodeId{4000000000U + node});
  for (std::uint64_t i = 1; i <= 2 * evs::FlightRecorder::kRecordsMax; ++i)
    parts.recorder.record(base::Duration(1), install(~std::uint64_t{0} - i, ~std::uint32_t{0}));
  const std::string condition(2 * RingLogFile::kLineBytesMax, 'x');
  base::words_of_dying([&] {
    RingLogFile file(parts.folder.path(), kSelf, parts.nodes, parts.recorder, parts.log);
    base::check_failed(condition.c_str(), "planted.cc", 2);
  });
  const auto lines = lines_of(parts.path(1));
  CHECK(lines.size() == RingLogFile::kLinesMax);
  for (const std::string& line : lines) CHECK(line.size() < RingLogFile::kLineBytesMax);
}

TEST_CASE("where no file can be written, the log says why, and the process ends all the same") {
  Parts parts;
  parts.recorder.record(base::Duration(1), install(4, 1));
  SUBCASE("there is no folder") {
    const std::string said = parts.die(parts.folder.path() + "/none");
    CHECK(said.starts_with(kFailure + "\n"));
    CHECK(has(said, "can not be written failure=\"" + kFailure +
                        "\" file=" + RingLogFile::path(parts.folder.path() + "/none", 1) +
                        " cause=\"No such file or directory\""));
  }
  SUBCASE("there is no room") {
    const std::string said = base::words_of_dying([&] {
      std::signal(SIGXFSZ, SIG_IGN);
      const rlimit limit{100, 100};
      setrlimit(RLIMIT_FSIZE, &limit);
      new RingLogFile(parts.folder.path(), kSelf, parts.nodes, parts.recorder, parts.log);
    });
    CHECK(said.starts_with(kFailure + "\n"));
    CHECK(has(said, "cause=\"File too large\""));
    CHECK(std::filesystem::file_size(parts.path(1)) == 100);
  }
  SUBCASE("something else has the last name") {
    for (int number = 1; number < RingLogFile::kFilesMax; ++number) parts.die();
    REQUIRE(mkfifo(parts.path(RingLogFile::kFilesMax).c_str(), 0600) == 0);
    CHECK(has(parts.die(), "can not be written"));
  }
}

TEST_CASE("after its end nothing is written") {
  Parts parts;
  const std::string said = base::words_of_dying([&] {
    RingLogFile file(parts.folder.path(), kSelf, parts.nodes, parts.recorder, parts.log);
  });
  CHECK(said == kFailure + "\n");
  CHECK(std::filesystem::is_empty(parts.folder.path()));
}

// A whole daemon, which the process keeps to its end.
struct Running {
  explicit Running(const std::string& folder)
      : config(*load_config(folder + "/lockd.toml")),
        made(initialize(config.state_dir, config.cluster, config.self, RecordRole::voter)),
        record(*RecordFile::open(config.state_dir, config.cluster, config.self)),
        opened(uv_loop_init(&loop)),
        service(*Service::start(loop, config, *evs::net::read_key_file(config.key_file), record,
                                log, nullptr)) {}

  Log log{STDERR_FILENO, LogLevel::error, LogFormat::text};
  Config config;
  base::Result<std::string, std::string> made;
  RecordFile record;
  uv_loop_t loop{};
  int opened;
  std::unique_ptr<Service> service;
};

TEST_CASE("a daemon has such last words from its start on") {
  const TemporaryFolder folder;
  folder.write("key", std::string(32, 'k'));
  chmod((folder.path() + "/key").c_str(), 0600);
  folder.write("lockd.toml",
               "node_id = 1\nkey_file = \"key\"\nstate_dir = \"state\"\nsocket = \"socket\"\n"
               "[cluster]\nname = \"demo\"\nuuid = \"5f0c6a1e-7c3e-4f35-9a51-0d3a1c6b2f90\"\n"
               "[[node]]\nid = 1\naddresses = [\"" +
                   free_addresses(1).front() + "\"]\n");
  const std::string said = base::words_of_dying([&] { new Running(folder.path()); });
  CAPTURE(said);
  const std::string file = RingLogFile::path(folder.path() + "/state", 1);
  CHECK(has(said, "file=" + file + "\n"));
  const auto lines = lines_of(file);
  REQUIRE(lines.size() > 4);
  CHECK(has(lines[4], "install_regular         nodes 1"));
}

}  // namespace
}  // namespace lockd
