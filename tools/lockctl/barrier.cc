#include "tools/lockctl/barrier.h"

#include <liblock/barrier.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>
#include <tuple>
#include <utility>

#include "tools/clocks.h"
#include "tools/lockctl/barrier_text.h"
#include "tools/lockctl/exit_code.h"
#include "tools/lockctl/name.h"
#include "tools/lockctl/patience.h"
#include "tools/lockctl/signals.h"

namespace tools::lockctl {
namespace {

constexpr base::Duration kTellAfter = std::chrono::seconds(1);

// For the daemon's word on whether a withdrawal came in time.
constexpr base::Duration kWithdrawalMax = std::chrono::seconds(5);

lock_barrier barrier_of(const BarrierOptions& options, const std::string& lockspace) {
  lock_barrier barrier{};
  barrier.size = sizeof barrier;
  barrier.lockspace = lockspace.empty() ? nullptr : lockspace.c_str();
  barrier.name = options.name.data();
  barrier.name_len = options.name.size();
  barrier.parties = options.parties;
  barrier.unit = options.nodes ? LOCK_BARRIER_NODES : LOCK_BARRIER_SESSIONS;
  barrier.on_death = options.on_death;
  barrier.flags = options.keep ? LOCK_BARRIER_KEEP : 0;
  barrier.patience_ms = options.patience_ms;
  return barrier;
}

const char* name_of(lock_barrier_ending ending) {
  switch (ending) {
    case LOCK_BARRIER_RELEASED:
      return "released";
    case LOCK_BARRIER_DIED:
      return "died";
    case LOCK_BARRIER_TIMED_OUT:
      return "timed_out";
    case LOCK_BARRIER_CANCELLED:
      return "cancelled";
    case LOCK_BARRIER_DELETED:
      return "deleted";
  }
  return "?";
}

BarrierOutcome outcome_of(const lock_barrier_outcome& from) {
  BarrierOutcome outcome;
  outcome.ending = name_of(from.ending);
  outcome.generation = from.generation;
  outcome.self = from.self;
  outcome.ring_sequence = from.ring_sequence;
  outcome.ring_representative = from.ring_node;
  outcome.ring_nonce = from.ring_nonce;
  outcome.membership = from.membership;
  for (std::size_t i = 0; i < from.members_len; ++i) {
    const lock_barrier_member& member = from.members[i];
    outcome.members.push_back(
        {member.session, member.node,
         std::string(static_cast<const char*>(member.value), member.value_len)});
  }
  std::ranges::sort(outcome.members, {}, [](const BarrierOutcome::Member& member) {
    return std::tuple(member.node, member.session);
  });
  for (std::size_t i = 0; i < from.lost_len; ++i) {
    outcome.lost.push_back({from.lost[i].session, from.lost[i].node});
  }
  outcome.losses = from.losses;
  return outcome;
}

// What the library tells of the arrival that is under way.
struct End {
  bool done = false;
  int error = 0;
  std::optional<BarrierOutcome> outcome;
};

void note_end(lock_client*, uint64_t, int error, const lock_barrier_outcome* outcome, void* arg) {
  auto& end = *static_cast<End*>(arg);
  end.done = true;
  end.error = error;
  if (outcome != nullptr) end.outcome = outcome_of(*outcome);
}

// How many are missed at the barrier of that name.
struct Missing {
  std::string_view name;
  std::optional<std::uint32_t> count;
};

int note_missing(const lock_barrier_item* item, void* arg) {
  auto& missing = *static_cast<Missing*>(arg);
  const std::string_view name(static_cast<const char*>(item->about.name), item->about.name_len);
  if (name != missing.name) return 0;
  if (item->entering.generation != 0) missing.count = item->entering.missing;
  return 1;
}

class Wait {
 public:
  Wait(const BarrierOptions& options, const std::string& lockspace, const std::string& socket,
       bool tell)
      : options_(options),
        lockspace_(lockspace),
        socket_(socket),
        to_tell_(tell),
        patience_(options.wait) {}

  BarrierReport run() {
    auto connected = connect({}, socket_, patience_, [this](const char* what) { tell_once(what); });
    if (!connected) return {{}, connected.error()};
    client_ = std::move(*connected);
    // From here on whoever ends us waits for the withdrawal.
    Signals signals(Signals::kToEnd);
    const lock_barrier barrier = barrier_of(options_, lockspace_);
    const std::string value = options_.value.value_or("");
    const int refused = lock_barrier_wait_async(client_.get(), &barrier, value.data(), value.size(),
                                                &note_end, &end_, &arrival_);
    if (refused != 0) return failed(refused);
    while (!end_.done) {
      if (const auto over = turn(signals)) return *over;
    }
    return told();
  }

 private:
  // Waits for news and deals with them; the report if we have to go without an end.
  std::optional<BarrierReport> turn(Signals& signals) {
    const int broken = lock_dispatch(client_.get());
    if (end_.done) return std::nullopt;
    if (broken != 0) return failed(broken);
    patience_.note(client_.get());
    const bool ready = lock_state(client_.get()) == LOCK_STATE_READY;
    while (const auto signal = signals.next()) {
      if (std::ranges::find(Signals::kToEnd, *signal) == Signals::kToEnd.end()) continue;
      if (signal_ != 0 || !ready) return unknown(*signal);
      signal_ = *signal;
    }
    if (!withdrawing_ && patience_.is_over() && !ready) return unknown(0);
    if (!withdrawing_ && (patience_.is_over() || signal_ != 0)) {
      lock_barrier_withdraw(client_.get(), arrival_);
      withdrawing_.emplace(kWithdrawalMax);
    } else if (withdrawing_ && withdrawing_->is_over()) {
      return unknown(signal_);
    }
    tell_once(ready ? nullptr : "waiting for a quorum");
    sleep_until_news(signals);
    return std::nullopt;
  }

  void sleep_until_news(const Signals& signals) {
    const bool will_tell = to_tell_ && !told_;
    const Patience& patience = withdrawing_ ? *withdrawing_ : patience_;
    int timeout = patience.poll_timeout_ms(will_tell ? kTellAfter - patience_.waited()
                                                     : base::Duration::max());
    const int due = lock_timeout_ms(client_.get());
    if (due >= 0) timeout = std::min(timeout, due);
    std::array<pollfd, 2> news = {{{lock_fd(client_.get()), POLLIN, 0}, {signals.fd(), POLLIN, 0}}};
    ::poll(news.data(), news.size(), timeout);
  }

  BarrierReport told() {
    BarrierReport report;
    report.signal = signal_;
    if (end_.outcome) {
      report.outcome = std::move(end_.outcome);
      report.outcome->lockspace = lockspace_.empty() ? "default" : lockspace_;
      report.outcome->name = options_.name;
    }
    if (end_.error != 0) report.failure = failure_of_end(report.outcome);
    if (signal_ != 0) {
      const char* what = end_.error == LOCK_ERROR_CANCELLED
                             ? "this job has withdrawn, and is not counted any more"
                             : "it was over before this job could withdraw";
      report.failure = Failure{kSignal + signal_, named(what)};
    }
    return report;
  }

  Failure failure_of_end(const std::optional<BarrierOutcome>& outcome) const {
    switch (end_.error) {
      case LOCK_ERROR_BROKEN:
        return {outcome && outcome->ending == "timed_out" ? kBusy : kLost,
                named(outcome ? reason_of(*outcome) : "broken")};
      case LOCK_ERROR_CANCELLED:
        return {kBusy, named("not all came in time; this job has withdrawn, and is not counted any "
                             "more (\"lockctl ls --barriers\" tells how many are missing)")};
      case LOCK_ERROR_LOST:
        return {kLost, named("this job's session has ended, for its daemon was gone or cut off for "
                             "too long; the others are told that it died")};
      default:
        return failure(end_.error);
    }
  }

  Failure failure(int error) const {
    switch (error) {
      case LOCK_ERROR_DIFFERENT:
        return {kUsage,
                named("it is there, created otherwise: all have to agree on parties, unit "
                      "and what a death does (\"lockctl ls --barriers\" tells what it is)")};
      case LOCK_ERROR_NOT_JOINED:
        return {kUsage, named("no program of this node has joined the lockspace, whose nodes "
                              "--parties all counts (\"lockctl ls --lockspaces\" tells who has)")};
      case LOCK_ERROR_BUSY:
        return {kBusy, named("as many as it is for are there, and wait for those inside: try again "
                             "when they have left")};
      default:
        return failure_of(error, client_.get(), socket_);
    }
  }

  BarrierReport failed(int error) const { return {{}, failure(error)}; }

  // We have to go, and nobody can say whether the others were released with us.
  BarrierReport unknown(int signal) const {
    const bool ready = lock_state(client_.get()) == LOCK_STATE_READY;
    const int error = ready ? LOCK_ERROR_DAEMON_GONE : unavailable_error(client_.get());
    Failure why = failure_of(error, client_.get(), socket_);
    why.message += "; whether the others at " + printable(options_.name) +
                   " are released with this job is not known here";
    if (signal != 0) why.exit_code = kSignal + signal;
    return {{}, std::move(why), signal};
  }

  std::string named(const std::string& what) const {
    return printable(options_.name) + ": " + what;
  }

  // Nothing: we wait for the others.
  void tell_once(const char* what) {
    if (!to_tell_ || told_ || patience_.waited() < kTellAfter) return;
    told_ = true;
    std::string text = what != nullptr ? what : "waiting for others at " + printable(options_.name);
    Missing missing{options_.name, std::nullopt};
    if (what == nullptr) {
      const char* lockspace = lockspace_.empty() ? "default" : lockspace_.c_str();
      lock_barriers(client_.get(), lockspace, &note_missing, &missing);
    }
    if (missing.count) text += ": " + std::to_string(*missing.count) + " missing";
    std::fprintf(stderr, "lockctl: %s\n", text.c_str());
  }

  const BarrierOptions& options_;
  const std::string& lockspace_;
  const std::string& socket_;
  bool to_tell_;
  bool told_ = false;
  Patience patience_;
  Client client_;
  std::uint64_t arrival_ = 0;
  End end_;
  std::optional<Patience> withdrawing_;  // For the answer to that.
  int signal_ = 0;
};

}  // namespace

BarrierReport wait_at_barrier(const BarrierOptions& options, const std::string& lockspace,
                              const std::string& socket, bool tell) {
  return Wait(options, lockspace, socket, tell).run();
}

base::Result<void, Failure> end_barrier(const BarrierOptions& options, const std::string& lockspace,
                                        const std::string& socket) {
  const auto client = connect({}, socket, Patience(std::nullopt), [](const char*) {});
  if (!client) return base::error(client.error());
  const lock_barrier barrier = barrier_of(options, lockspace);
  const bool cancel = options.action == BarrierOptions::Action::cancel;
  const int error = cancel ? lock_barrier_cancel(client->get(), &barrier)
                           : lock_barrier_delete(client->get(), &barrier, options.force ? 1 : 0);
  const std::string name = printable(options.name);
  if (error == LOCK_ERROR_NOT_FOUND) {
    return base::error(
        Failure{kLost, name + (cancel ? ": there is no such barrier, or nobody is there"
                                      : ": there is no such barrier")});
  }
  if (error == LOCK_ERROR_BUSY) {
    return base::error(
        Failure{kBusy, name + ": somebody is there; --force deletes it all the same"});
  }
  if (error != 0) return base::error(failure_of(error, client->get(), socket));
  return {};
}

}  // namespace tools::lockctl
