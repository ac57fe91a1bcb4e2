#include "tools/lockctl/options.h"

#include <doctest/doctest.h>

#include <initializer_list>

using namespace std::chrono_literals;
using namespace tools::lockctl;

namespace {

base::Result<Options, ParseEnd> parse(std::initializer_list<const char*> arguments) {
  std::vector<const char*> argv = {"lockctl"};
  argv.insert(argv.end(), arguments);
  return parse_options(static_cast<int>(argv.size()), argv.data());
}

RunOptions run_of(std::initializer_list<const char*> arguments) {
  const auto options = parse(arguments);
  REQUIRE(options.has_value());
  return std::get<RunOptions>(options->verb);
}

}  // namespace

TEST_CASE("options of run stand before or after the name") {
  for (const RunOptions& run : {run_of({"run", "-s", "--wait", "2s", "jobs", "--", "echo", "-n"}),
                                run_of({"run", "jobs", "-s", "--wait", "2s", "--", "echo", "-n"}),
                                run_of({"run", "-s", "jobs", "--wait=2s", "--", "echo", "-n"})}) {
    CHECK(run.name == "jobs");
    CHECK(run.shared);
    CHECK(run.wait == 2s);
    CHECK(run.command == std::vector<std::string>{"echo", "-n"});
  }
}

TEST_CASE("a lock is exclusive and waited for without end unless told otherwise") {
  const RunOptions run = run_of({"run", "jobs", "--", "true"});
  CHECK(!run.shared);
  CHECK(!run.wait.has_value());
  CHECK(run.grace == 300ms);
  CHECK(run.busy_code == 75);
  CHECK(run_of({"run", "jobs", "-n", "--", "true"}).wait == 0s);
  CHECK(run_of({"run", "jobs", "-x", "-w", "5", "-E", "1", "--grace", "1s", "--", "true"})
            .busy_code == 1);
}

TEST_CASE("everything behind the first -- is the command's") {
  CHECK(run_of({"run", "jobs", "--", "sh", "-c", "exit 1", "--", "-s", "run"}).command ==
        std::vector<std::string>{"sh", "-c", "exit 1", "--", "-s", "run"});
  CHECK(run_of({"run", "jobs", "make", "all"}).command == std::vector<std::string>{"make", "all"});
}

TEST_CASE("--json, --socket and --lockspace stand anywhere before the --") {
  for (const auto& options : {parse({"--json", "--socket", "/s", "ls", "db/"}),
                              parse({"ls", "--socket=/s", "db/", "--json"})}) {
    REQUIRE(options.has_value());
    CHECK(options->json);
    CHECK(options->socket == "/s");
    CHECK(std::get<ListOptions>(options->verb).prefix == "db/");
  }
  const auto show = parse({"show", "x", "--lockspace", "web"});
  REQUIRE(show.has_value());
  CHECK(show->lockspace == "web");
}

TEST_CASE("keys asks the daemon, or looks at a file, or changes it in one way") {
  const auto keys_of = [](std::initializer_list<const char*> arguments) {
    const auto options = parse(arguments);
    REQUIRE(options.has_value());
    return std::get<KeysOptions>(options->verb);
  };
  CHECK(keys_of({"keys"}).file.empty());
  CHECK(keys_of({"keys", "f"}).change == KeysOptions::Change::none);
  CHECK(keys_of({"keys", "f"}).file == "f");
  CHECK(keys_of({"keys", "f", "--add"}).change == KeysOptions::Change::add);
  CHECK(keys_of({"keys", "--use", "7", "f"}).change == KeysOptions::Change::use);
  CHECK(keys_of({"keys", "--use", "7", "f"}).id == 7);
  CHECK(keys_of({"keys", "f", "--remove", "65535"}).change == KeysOptions::Change::remove);
  CHECK(keys_of({"keys", "f", "--remove", "65535"}).id == 65535);
}

TEST_CASE("a barrier is waited at, cancelled or deleted") {
  const auto barrier_of = [](std::initializer_list<const char*> arguments) {
    const auto options = parse(arguments);
    REQUIRE(options.has_value());
    return std::get<BarrierOptions>(options->verb);
  };
  const BarrierOptions plain = barrier_of({"barrier", "b", "--parties", "3"});
  CHECK(plain.action == BarrierOptions::Action::wait);
  CHECK(plain.name == "b");
  CHECK(plain.parties == 3);
  CHECK(!plain.nodes);
  CHECK(plain.on_death == LOCK_BARRIER_BREAK);
  CHECK(plain.patience_ms == 0);
  CHECK(!plain.keep);
  CHECK(!plain.wait.has_value());
  CHECK(!plain.value.has_value());
  const BarrierOptions full =
      barrier_of({"barrier", "-p", "all", "--nodes", "--on-death", "shrink", "--patience", "0.0001",
                  "--keep", "--wait", "2s", "--value", "0x00ff", "b"});
  CHECK(full.parties == 0);
  CHECK(full.nodes);
  CHECK(full.on_death == LOCK_BARRIER_SHRINK);
  CHECK(full.patience_ms == 1);
  CHECK(full.keep);
  CHECK(full.wait == 2s);
  CHECK(full.value == std::string("\0\xff", 2));
  CHECK(barrier_of({"barrier", "b", "-p", "2", "--value", ""}).value == "");
  CHECK(barrier_of({"barrier", "b", "-p", "2", "--on-death", "wait"}).on_death ==
        LOCK_BARRIER_WAIT);
  CHECK(barrier_of({"barrier", "b", "--cancel"}).action == BarrierOptions::Action::cancel);
  const BarrierOptions removed = barrier_of({"barrier", "b", "--delete", "--force"});
  CHECK(removed.action == BarrierOptions::Action::remove);
  CHECK(removed.force);
}

TEST_CASE("a wrong line is a usage error that says what to do") {
  for (const auto& answer : {parse({}),
                             parse({"run"}),
                             parse({"run", "jobs"}),
                             parse({"run", "jobs", "--"}),
                             parse({"frobnicate"}),
                             parse({"run", "jobs", "-n", "--wait", "1s", "--", "true"}),
                             parse({"run", "jobs", "-s", "-x", "--", "true"}),
                             parse({"run", "jobs", "--wait", "soon", "--", "true"}),
                             parse({"run", "", "--", "true"}),
                             parse({"run", "a\nb", "--", "true"}),
                             parse({"show"}),
                             parse({"run", "jobs", "ls", "-l"}),
                             parse({"run", "jobs", "-E", "256", "--", "true"}),
                             parse({"run", "jobs", "-E", "x", "--", "true"}),
                             parse({"ls", "--lockspace", "", "x"}),
                             parse({"status", "extra"}),
                             parse({"status", "--ring", "--counters"}),
                             parse({"keygen"}),
                             parse({"keys", "--add"}),
                             parse({"keys", "f", "--use", "0"}),
                             parse({"keys", "f", "--use", "65536"}),
                             parse({"keys", "f", "--add", "--use", "1"}),
                             parse({"keys", "--remove", "1"}),
                             parse({"barrier"}),
                             parse({"barrier", "b"}),
                             parse({"barrier", "b", "--parties", "0"}),
                             parse({"barrier", "b", "--parties", "4097"}),
                             parse({"barrier", "b", "--parties", "3x"}),
                             parse({"barrier", "b", "--parties", "all"}),
                             parse({"barrier", "b", "--wait", "1s"}),
                             parse({"barrier", "b", "-p", "2", "--cancel"}),
                             parse({"barrier", "b", "--cancel", "--delete"}),
                             parse({"barrier", "b", "--force"}),
                             parse({"barrier", "b", "-p", "2", "--on-death", "shrink"}),
                             parse({"barrier", "b", "-p", "2", "--on-death", "cry"}),
                             parse({"barrier", "b", "-p", "2", "--patience", "0"}),
                             parse({"barrier", "b", "-p", "2", "--patience", "31d"}),
                             parse({"barrier", "b", "-p", "2", "--patience", "800h"}),
                             parse({"barrier", "b", "-p", "2", "--value", "0x1"}),
                             parse({"ls", "--barriers", "--lockspaces"})}) {
    REQUIRE(!answer.has_value());
    CHECK(answer.error().exit_code == kUsage);
    CHECK(answer.error().text.find("lockctl --help") != std::string::npos);
  }
  CHECK(parse({"run", "jobs", "--wait", "soon", "--", "true"}).error().text.find("500ms") !=
        std::string::npos);
  CHECK(parse({"run", "a\nb", "--", "true"}).error().text.find("control characters") !=
        std::string::npos);
  CHECK(parse({"run", "jobs", "ls", "-l"}).error().text.find("behind \"--\"") != std::string::npos);
}

TEST_CASE("help is no error and names the exit codes") {
  for (const auto& answer : {parse({"--help"}), parse({"run", "--help"}), parse({"run", "-h"})}) {
    REQUIRE(!answer.has_value());
    CHECK(answer.error().exit_code == kOk);
    CHECK(answer.error().text.find("79 the lock was lost") != std::string::npos);
  }
}

TEST_CASE("the version is told") {
  const auto answer = parse({"--version"});
  REQUIRE(!answer.has_value());
  CHECK(answer.error().exit_code == kOk);
  CHECK(answer.error().text.find("lockctl ") == 0);
}

TEST_CASE("evs has verbs of its own, with options before or after the groups") {
  const auto join = parse({"evs", "join", "a", "-c", "3", "b", "--json"});
  REQUIRE(join.has_value());
  CHECK(join->json);
  CHECK(std::get<EvsJoinOptions>(join->verb).groups == std::vector<std::string>{"a", "b"});
  CHECK(std::get<EvsJoinOptions>(join->verb).count == 3);
  const auto send = parse({"--json", "evs", "send", "-m", "one", "a", "-g", "safe", "-m", "two"});
  REQUIRE(send.has_value());
  const auto& sending = std::get<EvsSendOptions>(send->verb);
  CHECK(sending.groups == std::vector<std::string>{"a"});
  CHECK(sending.messages == std::vector<std::string>{"one", "two"});
  CHECK(sending.guarantee == "safe");
  const auto members = parse({"evs", "members"});
  REQUIRE(members.has_value());
  CHECK(std::holds_alternative<EvsMembersOptions>(members->verb));
}

TEST_CASE("watch narrows by name or by how names begin, by lockspace and by types") {
  const auto watch_of = [](std::initializer_list<const char*> arguments) {
    const auto options = parse(arguments);
    REQUIRE(options.has_value());
    return std::get<WatchOptions>(options->verb);
  };
  const WatchOptions all = watch_of({"watch"});
  CHECK(all.types.empty());
  CHECK(all.name.empty());
  CHECK(all.count == 0);
  CHECK(watch_of({"watch", "--name", "a"}).name == "a");
  CHECK_FALSE(watch_of({"watch", "--name", "a"}).prefix);
  CHECK(watch_of({"watch", "--prefix", "a/"}).name == "a/");
  CHECK(watch_of({"watch", "--prefix", "a/"}).prefix);
  CHECK(watch_of({"watch", "--type", "granted,released", "--type", "quorum"}).types ==
        std::vector<std::string>{"granted", "released", "quorum"});
  CHECK(watch_of({"watch", "-c", "3"}).count == 3);
  const auto in = parse({"watch", "--lockspace", "web", "--socket", "/s"});
  REQUIRE(in.has_value());
  CHECK(in->lockspace == "web");
  CHECK(in->socket == "/s");
  for (const auto& wrong :
       {parse({"watch", "a"}), parse({"watch", "--type", "all"}), parse({"watch", "--name", ""}),
        parse({"watch", "--name", "a", "--prefix", "b"}), parse({"watch", "--count", "0"})}) {
    REQUIRE_FALSE(wrong.has_value());
    CHECK(wrong.error().exit_code == kUsage);
  }
  const auto help = parse({"watch", "--help"});
  REQUIRE_FALSE(help.has_value());
  CHECK(help.error().text.find("resync") != std::string::npos);
}

TEST_CASE("locks of a script have a mode, a value, and an end") {
  const auto lock = parse({"lock", "jobs", "--mode", "PR", "-w", "2s", "--read-value"});
  REQUIRE(lock.has_value());
  const auto& locking = std::get<LockOptions>(lock->verb);
  CHECK(locking.mode == base::LockMode::pr);
  CHECK(locking.wait == 2s);
  CHECK(locking.read_value);
  CHECK(locking.follow == 0);
  const auto detached = parse({"lock", "jobs", "--detach"});
  REQUIRE(detached.has_value());
  CHECK(std::get<LockOptions>(detached->verb).detach);
  CHECK(std::get<LockOptions>(detached->verb).mode == base::LockMode::ex);
  const auto convert = parse({"convert", "jobs", "-m", "NL", "--value", "batch 7"});
  REQUIRE(convert.has_value());
  CHECK(std::get<ConvertOptions>(convert->verb).mode == base::LockMode::nl);
  CHECK(std::get<ConvertOptions>(convert->verb).value.has_value());
  const auto unlock = parse({"unlock", "jobs", "--value", "0x00"});
  REQUIRE(unlock.has_value());
  CHECK(std::get<UnlockOptions>(unlock->verb).value.has_value());
  CHECK(std::get<HeldOptions>(parse({"held", "jobs"})->verb).name == "jobs");
  for (const auto& wrong :
       {parse({"lock"}), parse({"lock", "jobs", "--mode", "XX"}),
        parse({"lock", "jobs", "--detach", "--follow", "1"}),
        parse({"lock", "jobs", "--follow", "0"}), parse({"convert", "jobs"}),
        parse({"convert", "jobs", "-m", "EX", "--value", "a", "--read-value"}),
        parse({"unlock", "jobs", "--value", "123456789012345678901234567890123"}),
        parse({"held", "jobs", "--try"})}) {
    REQUIRE_FALSE(wrong.has_value());
    CHECK(wrong.error().exit_code == kUsage);
  }
}

TEST_CASE("questions about locks exclude what does not go with them") {
  CHECK(std::get<ListOptions>(parse({"ls", "--lockspaces"})->verb).lockspaces);
  CHECK(std::get<DeadlocksOptions>(parse({"deadlocks", "--dot"})->verb).dot);
  CHECK(std::get<WhyOptions>(parse({"why", "jobs", "--lockspace", "x"})->verb).name == "jobs");
  CHECK(std::get<WhyOptions>(parse({"why", "--all"})->verb).all);
  CHECK(std::get<StatusOptions>(parse({"status", "--counters"})->verb).counters);
  for (const auto& wrong :
       {parse({"ls", "a", "--lockspaces"}), parse({"ls", "--lockspaces", "--lockspace", "x"}),
        parse({"why", "jobs", "--all"}), parse({"why", "--lockspace", "x"}), parse({"show"}),
        parse({"status", "--ring", "--counters"}), parse({"deadlocks", "jobs"})}) {
    REQUIRE_FALSE(wrong.has_value());
    CHECK(wrong.error().exit_code == kUsage);
  }
}

TEST_CASE("evs without a verb or with bad groups is a usage error") {
  for (const auto& wrong :
       {parse({"evs"}), parse({"evs", "join"}), parse({"evs", "join", ""}),
        parse({"evs", "send", "a", "-g", "most"}), parse({"evs", "join", "a", "-c", "0"}),
        parse({"evs", "join", "123456789012345678901234567890123"})}) {
    REQUIRE_FALSE(wrong.has_value());
    CHECK(wrong.error().exit_code == kUsage);
  }
  const auto help = parse({"evs", "send", "--help"});
  REQUIRE_FALSE(help.has_value());
  CHECK(help.error().text.find("--guarantee") != std::string::npos);
}
