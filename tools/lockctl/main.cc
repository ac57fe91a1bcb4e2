// lockctl: cluster locks from the command line.
#include <unistd.h>

#include <cstdio>
#include <utility>
#include <variant>

#include "tools/lockctl/barrier.h"
#include "tools/lockctl/barrier_text.h"
#include "tools/lockctl/evs.h"
#include "tools/lockctl/exit_code.h"
#include "tools/lockctl/failure.h"
#include "tools/lockctl/hold.h"
#include "tools/lockctl/json.h"
#include "tools/lockctl/keygen.h"
#include "tools/lockctl/keys.h"
#include "tools/lockctl/lock_json.h"
#include "tools/lockctl/lock_text.h"
#include "tools/lockctl/options.h"
#include "tools/lockctl/query.h"
#include "tools/lockctl/run.h"
#include "tools/lockctl/signals.h"
#include "tools/lockctl/text.h"
#include "tools/lockctl/waits_graph.h"
#include "tools/lockctl/watch.h"

namespace tools::lockctl {
namespace {

void print(std::FILE* to, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), to);
}

// Does one verb; answers the exit code.
class Main {
 public:
  explicit Main(const Options& options)
      : options_(options), socket_(socket_in_use(options.socket)) {}

  int operator()(const RunOptions& verb) const {
    const auto report = run(verb, options_.lockspace, socket_, options_.json);
    if (!report) return fail(report.error());
    // Standard output is the command's.
    if (options_.json) print(stderr, json_of(*report));
    return report->exit_code;
  }

  int operator()(const LockOptions& verb) const {
    const auto tell = [&](const KeeperAnswer& answer) {
      print_held(verb.name, answer);
      return std::fflush(stdout) == 0;
    };
    const auto holding = hold(verb, place(), tell);
    return holding ? kOk : fail(holding.error());
  }
  int operator()(const ConvertOptions& verb) const {
    KeeperRequest request;
    request.verb = KeeperVerb::convert;
    request.mode = verb.mode;
    request.wait = verb.wait;
    request.read_value = verb.read_value;
    request.value = verb.value;
    return ask_holder(verb.name, std::move(request));
  }
  int operator()(const UnlockOptions& verb) const {
    KeeperRequest request;
    request.verb = KeeperVerb::unlock;
    request.value = verb.value;
    const auto answer = ask_keeper(verb.name, place(), std::move(request));
    return answer ? kOk : fail(answer.error());
  }
  int operator()(const HeldOptions& verb) const { return ask_holder(verb.name, {}); }

  int operator()(const BarrierOptions& verb) const {
    if (verb.action != BarrierOptions::Action::wait) {
      const auto ended = end_barrier(verb, options_.lockspace, socket_);
      return ended ? kOk : fail(ended.error());
    }
    const bool tell = !options_.json && isatty(STDERR_FILENO) == 1;
    const BarrierReport report = wait_at_barrier(verb, options_.lockspace, socket_, tell);
    if (report.outcome && options_.json) {
      print(stdout, json_of(*report.outcome));
    } else if (report.outcome && report.outcome->released()) {
      print(stdout, text_of(*report.outcome, verb.value.has_value()));
    }
    if (!report.failure) return kOk;
    const int exit_code = fail(*report.failure);
    if (report.signal != 0) {
      std::fflush(stdout);
      die_of(report.signal, getpid());
    }
    return exit_code;
  }

  int operator()(const ListOptions& verb) const {
    if (verb.barriers) {
      return ask([&](Query& query) { return query.barriers(options_.lockspace, verb.prefix); });
    }
    if (verb.lockspaces) return ask([](Query& query) { return query.lockspaces(); });
    return ask([&](Query& query) { return query.list(options_.lockspace, verb.prefix); });
  }
  int operator()(const ShowOptions& verb) const {
    return ask([&](Query& query) { return query.show(options_.lockspace, verb.name); });
  }
  int operator()(const StatusOptions& verb) const {
    return ask([&](Query& query) {
      auto status = query.full_status();
      if (status) {
        status->only_ring = verb.ring;
        status->counters = verb.counters;
      }
      return status;
    });
  }
  int operator()(const RingLogOptions&) const {
    return ask([](Query& query) { return query.ring_log(); });
  }
  int operator()(const WhyOptions& verb) const {
    if (verb.name.empty()) return ask([&](Query& query) { return query.why(verb.all); });
    return ask([&](Query& query) {
      return query.show(options_.lockspace, verb.name).map([](const Showing& showing) {
        return Blockings{showing, blockings_of(showing)};
      });
    });
  }
  int operator()(const DeadlocksOptions& verb) const {
    if (!verb.dot) return ask([](Query& query) { return query.deadlocks(); });
    auto query = Query::connect(socket_);
    if (!query) return fail(query.error());
    const auto waits = query->waits();
    if (!waits) return fail(waits.error());
    const auto deadlocks = query->deadlocks();
    if (!deadlocks) return fail(deadlocks.error());
    print(stdout, dot_of(*waits, *deadlocks));
    return kOk;
  }
  int operator()(const MembersOptions&) const {
    return ask([](Query& query) { return query.members(); });
  }

  // A line for programs each, asked for or not.
  int operator()(const WatchOptions& verb) const {
    const auto tell = [](const std::string& line) {
      print(stdout, line);
      return std::fflush(stdout) == 0;
    };
    const auto watched = watch(verb, options_.lockspace, socket_, tell);
    return watched ? kOk : fail(watched.error());
  }

  int operator()(const KeysOptions& verb) const {
    using Change = KeysOptions::Change;
    if (verb.file.empty()) {
      return ask([](Query& query) { return query.key_use(); });
    }
    const auto listing = verb.change == Change::add      ? add_key(verb.file)
                         : verb.change == Change::use    ? use_key(verb.file, verb.id)
                         : verb.change == Change::remove ? remove_key(verb.file, verb.id)
                                                         : list_keys(verb.file);
    if (!listing) return fail(listing.error());
    print(stdout, options_.json ? json_of(*listing) : text_of(*listing));
    return kOk;
  }

  int operator()(const EvsJoinOptions& verb) const {
    const auto print_one = [this](const auto& event) {
      print(stdout, options_.json ? json_of(event) : text_of(event));
      std::fflush(stdout);
    };
    const auto joined = evs_join(verb, socket_, {print_one, print_one});
    return joined ? kOk : fail(joined.error());
  }
  int operator()(const EvsSendOptions& verb) const {
    const auto sent = evs_send(verb, socket_);
    return sent ? kOk : fail(sent.error());
  }
  int operator()(const EvsMembersOptions&) const {
    const auto members = evs_members(socket_);
    if (!members) return fail(members.error());
    print(stdout, options_.json ? json_of(*members) : text_of(*members));
    return kOk;
  }

  int operator()(const KeygenOptions& verb) const {
    const auto written = write_key(verb.file);
    if (!written) return fail(written.error());
    if (options_.json) print(stdout, json_of_key_file(verb.file));
    return kOk;
  }

 private:
  HoldPlace place() const { return {socket_, options_.lockspace}; }

  int ask_holder(const std::string& name, KeeperRequest request) const {
    const auto answer = ask_keeper(name, place(), std::move(request));
    if (!answer) return fail(answer.error());
    print_held(name, *answer);
    return kOk;
  }

  void print_held(const std::string& name, const KeeperAnswer& answer) const {
    print(stdout, options_.json ? json_of_held(name, answer) : text_of_held(answer));
  }

  template <typename Question>
  int ask(Question question) const {
    auto query = Query::connect(socket_);
    if (!query) return fail(query.error());
    const auto answer = question(*query);
    if (!answer) return fail(answer.error());
    print(stdout, options_.json ? json_of(*answer) : text_of(*answer));
    return kOk;
  }

  int fail(const Failure& failure) const {
    print(stderr, options_.json ? json_of(failure) : "lockctl: " + failure.message + "\n");
    return failure.exit_code;
  }

  const Options& options_;
  std::string socket_;
};

}  // namespace
}  // namespace tools::lockctl

int main(int argc, char** argv) {
  using namespace tools::lockctl;
  const auto options = parse_options(argc, argv);
  if (!options) {
    print(options.error().exit_code == kOk ? stdout : stderr, options.error().text + "\n");
    return options.error().exit_code;
  }
  return std::visit(Main(*options), options->verb);
}
