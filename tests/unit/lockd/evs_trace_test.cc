#include "lockd/evs_trace.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "tests/unit/lockd/temporary_folder.h"

namespace lockd {
namespace {

using base::Incarnation;
using base::NodeId;
using base::Processor;

constexpr Processor kSelf{NodeId{1}, Incarnation{0x11}};
constexpr Processor kOther{NodeId{2}, Incarnation{0x22}};
constexpr base::RingId kRing{4, NodeId{1}, 0xabc};

struct File {
  TemporaryFolder folder;
  std::string path = folder.path() + "/1.evs";

  EvsTrace open() const {
    auto trace = EvsTrace::open(path);
    REQUIRE_MESSAGE(trace, trace.error());
    return std::move(*trace);
  }
  std::string error() const {
    const auto trace = EvsTrace::open(path);
    REQUIRE(!trace);
    return trace.error();
  }
  std::string content() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

evs::Delivery delivery() {
  return {kOther, kRing, 7, 1, evs::Service::safe, base::Buffer{std::byte{'a'}}};
}

TEST_CASE("a line tells what was given, delivered, and installed") {
  File file;
  EvsTrace trace = file.open();
  trace.begin(kSelf);
  evs::ConfigurationChange change;
  change.configuration = {evs::ConfigurationKind::regular, kRing, {kSelf, kOther}};
  change.joined = {kOther};
  trace.told(change);
  trace.gave(evs::Service::fifo, {});
  trace.told(delivery());
  change.configuration.kind = evs::ConfigurationKind::transitional;
  change.configuration.members = {kSelf};
  change.departed = {kOther};
  trace.told(change);
  trace.left();
  CHECK(file.content() ==
        "begin 1 whole 1:0000000000000011\n"
        "regular 4.1:0000000000000abc 1:0000000000000011,2:0000000000000022 2:0000000000000022\n"
        "give 1 fifo 0 cbf29ce484222325\n"
        "deliver 4.1:0000000000000abc 7 1 2:0000000000000022 safe 1 af63dc4c8601ec8c\n"
        "transitional 4.1:0000000000000abc 1:0000000000000011 2:0000000000000022\n"
        "leave\n");
}

TEST_CASE("what is given is in the file before anything else happens, with all before it") {
  File file;
  EvsTrace trace = file.open();
  trace.begin(kSelf);
  trace.told(delivery());
  CHECK(file.content().find("deliver") == std::string::npos);
  trace.gave(evs::Service::agreed, {});
  CHECK(file.content().find("deliver") < file.content().find("give"));
  trace.told(delivery());
  trace.flush();
  CHECK(file.content().ends_with("af63dc4c8601ec8c\n"));
}

TEST_CASE("a node's next life is appended, and a line that death cut off is marked") {
  File file;
  {
    EvsTrace trace = file.open();
    trace.begin(kSelf);
    trace.left();
  }
  {
    EvsTrace trace = file.open();
    trace.begin({NodeId{1}, Incarnation{0x12}});
  }
  std::ofstream(file.path, std::ios::app) << "give 1 sa";
  EvsTrace trace = file.open();
  trace.begin({NodeId{1}, Incarnation{0x13}});
  CHECK(file.content() ==
        "begin 1 whole 1:0000000000000011\n"
        "leave\n"
        "begin 1 whole 1:0000000000000012\n"
        "give 1 sa ~\n"
        "begin 1 whole 1:0000000000000013\n");
}

TEST_CASE("what is no trace, or another process writes, is left alone") {
  File file;
  file.folder.write("1.evs", "the only copy of something\n");
  CHECK(file.error().find("name a new file") != std::string::npos);
  CHECK(file.content() == "the only copy of something\n");

  File written;
  const EvsTrace trace = written.open();
  CHECK(written.error().find("another process") != std::string::npos);
  CHECK(!EvsTrace::open(written.folder.path()));
  CHECK(!EvsTrace::open(written.folder.path() + "/none/1.evs"));
}

// Files of this process get no longer than this.
class LengthLimit {
 public:
  explicit LengthLimit(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~LengthLimit() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST_CASE(
    "a trace that can not be written any more says so, ends with a whole line, and is marked") {
  File file;
  {
    EvsTrace trace = file.open();
    trace.begin(kSelf);
    trace.gave(evs::Service::agreed, {});
    CHECK(trace.failure().empty());
  }
  const std::size_t first_life = file.content().size();
  EvsTrace trace = file.open();
  trace.begin({NodeId{1}, Incarnation{0x12}});
  trace.gave(evs::Service::safe, {});
  std::optional<LengthLimit> limit(file.content().size() + 10);
  trace.gave(evs::Service::safe, {});
  CHECK(!trace.failure().empty());
  CHECK(trace.failure().empty());
  limit.reset();
  trace.gave(evs::Service::safe, {});
  trace.told(delivery());
  trace.left();
  CHECK(file.content().substr(first_life) ==
        "begin 1 holed 1:0000000000000012\n"
        "give 1 safe 0 cbf29ce484222325\n");
  CHECK(file.content().starts_with("begin 1 whole 1:0000000000000011\n"));
}

}  // namespace
}  // namespace lockd
