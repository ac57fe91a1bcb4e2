// A whole daemon but for its sockets, files, clocks and ring member: the replica, the sessions and
// the EVS instances, put together. It decides nothing itself beyond the order in which they are
// asked, and whose message is whose. The rules are
// docs/safety.md.
//
// The driver, one thread, does this after every input to the ring member `node` (datagram,
// timeout), to the daemon (bytes of a client, a written record, a timeout) or to both, with one
// reading `now` of the clocks:
//
//   for (;;) {
//     while (auto event = node.poll_event()) daemon.handle_event(now, std::move(*event));
//     daemon.handle_evidence(now, node.state() == operational ? &node.evidence() : nullptr);
//     bool sent = false;
//     while (auto message = daemon.poll_multicast(node.send_room())) {
//       node.multicast(now, message->service, message->payload);
//       sent = true;
//     }
//     if (!sent) break;                  // A ring of one delivers at once.
//   }
//   while (auto datagram = node.poll_transmit()) send it;
//   if (auto write = daemon.poll_record_write()) start it; later handle_record_written();
//   while (auto output = daemon.poll_output()) write it, handle_written(), hang up if
//   output->close;
//   if (daemon.waits_for_readers()) once more from the loop on;
//   while (auto event = daemon.poll_event()) log it;
//   if (daemon.failure()) stop the process at once, loudly;
//   wait until the earlier of node.next_timeout() and daemon.next_timeout(), or the next input.
//
// Reading the ring's datagrams comes before reading clients. Nothing here blocks, calls out or
// reads a clock.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"
#include "evs/event.h"
#include "lockd/daemon_event.h"
#include "lockd/instances.h"
#include "lockd/queries.h"
#include "lockd/record.h"
#include "lockd/replica.h"
#include "lockd/sessions.h"
#include "lockd/watchers.h"

namespace lockd {

struct DaemonConfig {
  ReplicaConfig replica;
  SessionsConfig sessions;
  InstancesConfig instances;
  QueriesConfig queries;
  WatchersConfig watchers;

  // A daemon that leaves waits this long at most for another member to have loaded the table that
  // it holds alone [rule 7.B6].
  base::Duration last_holder_wait = std::chrono::seconds(10);

  // The parts of the others that follow from these: the lease that clients see, names, votes. What
  // is shown of addresses, cluster and version is set by the caller.
  static DaemonConfig from(const ReplicaConfig& replica);
};

// What is to be multicast.
struct Outgoing {
  evs::Service service = evs::Service::safe;
  base::Buffer payload;
};

class Daemon {
 public:
  // `self` is the ring member's name. `record` is what choose_record() found. `draw_secret` gives
  // 128 bits that nobody can guess.
  Daemon(const DaemonConfig& config, base::Processor self, std::optional<Record> record,
         std::function<Secret()> draw_secret);

  // The ring.
  void handle_event(Instant now, evs::Event&& event);
  void handle_evidence(Instant now, const evs::TokenEvidence* evidence);

  // See Replica::set_clocks_agree().
  void set_clocks_agree(bool agree) { replica_.set_clocks_agree(agree); }

  // Locks come first; groups use what they leave. `room` is Node::send_room().
  std::optional<Outgoing> poll_multicast(std::size_t room);

  // The record: at most one write is under way.
  std::optional<RecordWrite> poll_record_write() { return replica_.poll_record_write(); }
  void handle_record_written(Instant now, std::uint64_t id, bool ok);

  // The clients. A connection begins with handle_connect() and ends with handle_hang_up(), or with
  // an output that says close; bytes may come in any portions up to a few KiB.
  void handle_connect(Instant now, ConnectionId connection, const Peer& peer);
  void handle_bytes(Instant now, ConnectionId connection, base::Bytes bytes);
  void handle_hang_up(Instant now, ConnectionId connection, HangUp how);

  // A word about readers may be due once they have read: poll_multicast() is wanted after writing.
  bool waits_for_readers() const { return instances_.waits_for_readers(); }

  // What is to be written now. What a socket did not take is offered again after handle_writable().
  std::optional<ClientOutput> poll_output();
  void handle_written(ConnectionId connection, std::size_t bytes) {
    sessions_.wrote(connection, bytes);
  }
  void handle_writable(ConnectionId connection) { sessions_.writable(connection); }

  // Whether this connection should be read in large portions.
  bool reads_much(ConnectionId connection) const { return sessions_.reads_much(connection); }

  // To be called when next_timeout() is reached; calling it early is harmless.
  void handle_timeout(Instant now);
  std::optional<base::Duration> next_timeout() const;

  // A clean shutdown: clients are told and hung up on. When may_leave() says so the driver writes
  // what is left to write, calls Node::leave() and sends what that gives. What clients hold stays
  // theirs until the last duration that they were told has run out: the others wait for it.
  void stop(Instant now);
  bool may_leave(Instant now) const;

  std::optional<DaemonEvent> poll_event();

  // Set once and for ever when only stopping is safe.
  const std::optional<std::string>& failure() const { return replica_.stop_reason(); }

  ReplicaStatus status(Instant now) const { return replica_.status(now); }
  const Replica& replica() const { return replica_; }
  const Sessions& sessions() const { return sessions_; }
  const Instances& instances() const { return instances_; }

  // Payloads of the ring that were nobody's: each is a bug somewhere.
  std::uint64_t foreign_payloads() const { return foreign_payloads_; }

  // For tests and simulation.
  void set_observer(ReplicaObserver* observer) { replica_.set_observer(observer); }
  void check_invariants() const;

 private:
  void note_phase(Instant now);
  void handle_delivery(Instant now, evs::Delivery&& delivery);

  DaemonConfig config_;
  Replica replica_;
  Queries queries_;
  Instances instances_;
  Watchers watchers_;
  Sessions sessions_;
  std::uint64_t foreign_payloads_ = 0;
  ReplicaPhase phase_ = ReplicaPhase::inactive;
  bool cold_ = false;  // As watchers know it.
  bool failure_noted_ = false;
  std::optional<Instant> stopping_;
  std::deque<DaemonEvent> events_;
};

}  // namespace lockd
