#include "lockd/event_log.h"

#include <string>
#include <vector>

namespace lockd {

namespace {

std::string list(const std::vector<base::Processor>& processors) {
  std::string text;
  for (const base::Processor& one : processors) {
    if (!text.empty()) text += ' ';
    text += base::to_string(one.node);
  }
  return text;
}

// Clients can cause these at any rate.
void write_one(Log& log, const ClientRefused& event) {
  log.repeated(LogLevel::warning, "client refused",
               {{"advice", event.advice}, {"uid", event.peer.uid}, {"pid", event.peer.pid}});
}

void write_one(Log& log, const ClientDropped& event) {
  log.repeated(LogLevel::warning, "hung up on a client",
               {{"cause", event.why},
                {"uid", event.peer.uid},
                {"pid", event.peer.pid},
                {"session", event.session ? base::value(*event.session) : 0}});
}

void write_one(Log& log, const SessionLost& event) {
  log.repeated(LogLevel::warning, "session lost",
               {{"cause", event.why}, {"session", base::value(event.session)}, {"uid", event.uid}});
}

void write_one(Log& log, const ConfigurationChanged& event) {
  const evs::Configuration& to = event.change.configuration;
  const std::string ring = base::to_string(to.id);
  if (to.kind == evs::ConfigurationKind::transitional) {
    // Nobody departs when rings merge: the next line says all.
    if (event.change.departed.empty()) return;
    log.info(
        "members left the ring",
        {{"departed", list(event.change.departed)}, {"staying", list(to.members)}, {"ring", ring}});
  } else {
    log.info(
        "ring formed",
        {{"members", list(to.members)}, {"joined", list(event.change.joined)}, {"ring", ring}});
  }
}

void write_one(Log& log, const PhaseChanged& event) {
  const ReplicaStatus& to = event.to;
  const std::string epoch = to.epoch ? to_string(*to.epoch) : "";
  const std::string votes =
      std::to_string(to.votes_present) + "/" + std::to_string(to.votes_needed);
  switch (to.phase) {
    case ReplicaPhase::active:
      log.info("active: locks are granted",
               {{"epoch", epoch}, {"votes", votes}, {"cold", to.cold}, {"orphans", to.orphans}});
      break;
    case ReplicaPhase::inactive:
      if (to.votes_present < to.votes_needed) {
        log.warning("no quorum: nothing is granted", {{"votes", votes}});
      } else {
        log.info("not active: the ring changes", {{"votes", votes}});
      }
      break;
    case ReplicaPhase::loading:
      log.info("loading the table from another member", {{"epoch", epoch}});
      break;
    case ReplicaPhase::exchanging:
    case ReplicaPhase::activating:
      log.debug("becoming active", {{"phase", to_string(to.phase)}, {"votes", votes}});
      break;
    case ReplicaPhase::stopped:
      break;
  }
  if (to.record_full)
    log.error("the record is full: this node can not take part in activations any more");
}

void write_one(Log& log, const DaemonStopping& event) {
  log.info("leaving", {{"sessions", event.sessions}});
}

void write_one(Log& log, const DaemonFailed& event) {
  log.error("stopping at once", {{"cause", event.reason}});
}

void write_one(Log& log, const EventsDropped& event) {
  log.warning("more events", {{"count", event.count}});
}

}  // namespace

void write(Log& log, const DaemonEvent& event) {
  std::visit([&](const auto& one) { write_one(log, one); }, event);
}

}  // namespace lockd
