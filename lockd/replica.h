// The replica: what stands between the ring's events and the replicated state. It owns the life of
// the table across configurations (exchange, record, activation, snapshot), the lease, the waits,
// and who may be told what; sockets, files, the ring and the clients' connections belong to others.
// The rules are docs/safety.md, numbers 6.n to 8.Cn.
//
// After each input to the ring the driver (1) hands over every event that Node::poll_event()
// yields, (2) calls handle_evidence(), (3) drains poll_multicast(), poll_record_write() and
// poll_effect(), and asks next_timeout() again. Not thread-safe; nothing blocks; nothing calls
// out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "evs/event.h"
#include "lockd/command.h"
#include "lockd/epoch.h"
#include "lockd/record.h"
#include "lockd/record_keeper.h"
#include "lockd/replica_config.h"
#include "lockd/replica_observer.h"
#include "lockd/state.h"
#include "lockd/table_watcher.h"

namespace lockd {

using base::Instant;

enum class SubmitError : std::uint8_t {
  try_again,  // Too many commands are under way, or too many effects are held. Later inputs make
              // room.
  too_long,   // The command does not fit into a message.
  stopped,    // The replica has stopped: see Replica::stop_reason().
};

// Where this node stands. `loading` and `active` are in an epoch whose ACTIVATE was delivered in
// this regular configuration; only `active` has the table.
enum class ReplicaPhase : std::uint8_t {
  inactive,    // No quorum, or a configuration is just changing.
  exchanging,  // A regular configuration stands; its members have not all spoken.
  activating,  // The choice is made; records are being written.
  loading,     // Active epoch, without a table yet: a snapshot comes.
  active,      // Active epoch, with the table.
  stopped,
};

std::string_view to_string(ReplicaPhase phase);

struct ReplicaStatus {
  ReplicaPhase phase = ReplicaPhase::inactive;
  evs::Configuration configuration;  // The last one announced.
  std::uint32_t votes_present = 0;   // Of its members; amnesiacs count 0.
  std::uint32_t votes_needed = 0;
  bool amnesiac = false;     // No valid record was found: this node has no vote.
  bool observer = false;     // Could not write its record in time: no vote in this epoch.
  bool record_full = false;  // Too many unrefuted attempts: this node attempts no more.
  bool different_configuration =
      false;                   // A member has other nodes, votes or limits: nothing is attempted.
  std::optional<Epoch> epoch;  // The active one, or that of the table held.
  std::size_t holders = 0;     // Members with the table, in an active epoch.
  bool cold = false;           // The table began empty; nothing is granted before the wait is over.
  std::size_t orphans = 0;
  bool lease_live = false;
};

// How often each rare thing happened: empty coverage must show.
struct ReplicaStatistics {
  std::uint64_t activations = 0;                // Delivered in a regular configuration.
  std::uint64_t activations_in_transition = 0;  // Delivered in a transitional one: label only.
  std::uint64_t cold_starts = 0;
  std::uint64_t snapshots_served = 0;
  std::uint64_t snapshots_loaded = 0;
  std::uint64_t snapshots_restarted = 0;  // The log overflowed, or the chain was not chosen.
  std::uint64_t stagings_kept = 0;        // Across a change of ring.
  std::uint64_t held_told = 0;            // Outcomes told later than they were applied.
  std::uint64_t held_discarded = 0;
  std::uint64_t applied = 0;
  std::uint64_t applied_in_transition = 0;
  std::uint64_t foreign_ring_ignored = 0;  // Tagged with another ring than they were ordered in.
  std::uint64_t before_activate_ignored = 0;
  std::uint64_t resent = 0;
  std::uint64_t orphans_marked = 0;
  std::uint64_t orphans_expired = 0;
  std::uint64_t orphans_resumed = 0;
  std::uint64_t attempts_refuted = 0;
  std::uint64_t observers = 0;
  std::uint64_t amnesiacs_refused = 0;
  std::uint64_t digest_comparisons = 0;
  std::uint64_t renewals = 0;
  std::uint64_t ceilings_raised = 0;
  std::uint64_t malformed = 0;  // Messages of the ring that made no sense; each is a bug somewhere.
};

class Replica {
 public:
  // `record` is what choose_record() found; none makes this node an amnesiac. `config` must be
  // valid, and `self` be the ring member's name with its incarnation.
  Replica(const ReplicaConfig& config, base::Processor self, std::optional<Record> record);
  ~Replica();
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  void handle_event(Instant now, evs::Event&& event);

  // What the ring proves now: Node::evidence() if the node is Operational, null if not. Whether
  // effects may be told is decided here, so that nothing is told out of an install step
  // [rules 6.3, 7.A6].
  void handle_evidence(Instant now, const evs::TokenEvidence* evidence);

  // Whether the clocks that leases rest upon run alike (lockd/clock_watch.h); true at first. While
  // not, the lease is not renewed, and so runs out.
  void set_clocks_agree(bool agree);

  // There is never more than one under way. The write with this id is durable, or has failed for
  // good.
  void handle_record_written(Instant now, std::uint64_t id, bool ok);

  // To be called when next_timeout() is reached; calling it early is harmless.
  void handle_timeout(Instant now);

  // Takes a command of a local session and sees to it that it is applied in an active epoch,
  // sending it again as often as configurations change in between. It may be taken at any time,
  // also while inactive. It is forgotten once it was applied here or answered by a table that was
  // loaded.
  base::Result<void, SubmitError> submit(Instant now, const Command::Body& body);

  // The next message for Node::multicast() with Service::safe, if it has at most `room` bytes: pass
  // Node::send_room(). One that was taken and can not be queued is lost, which is not allowed.
  std::optional<base::Buffer> poll_multicast(std::size_t room);

  std::optional<RecordWrite> poll_record_write();

  // An effect for this daemon (`at` is its processor) that may be told now, in the order of
  // application. It was allowed at the last handle_evidence(), before any further event; the lease
  // must still be live at the send: lease_left(). What is not taken may be discarded by later
  // events.
  std::optional<Effect> poll_effect();

  // When handle_timeout() is wanted, on the boot clock; none if nothing is awaited.
  std::optional<base::Duration> next_timeout() const;

  // E: until then, on both clocks, the clients of this node may rely on what the table shows
  // attached to it. Moves on by itself while an active ring lives; stands still otherwise, and then
  // runs out. None before the first.
  std::optional<Instant> lease_deadline() const;

  // How long until E; zero if it has passed.
  base::Duration lease_left(Instant now) const;

  // The same for a client of this session: zero as well if the table does not show it attached to
  // this processor with this generation [rule 6.6]. This is what replies and keep-alives carry.
  base::Duration lease_left(Instant now, SessionId session, Generation generation) const;

  // The table, if this node holds it in an active epoch whose ring still stands; null otherwise.
  // What it shows may be told while the lease is live. Borrowed until the next input.
  const State* table() const;

  // The table that this node has, even if it is of an epoch that has ended; null if it has none. To
  // be shown as what was known last, and for nothing else. Borrowed until the next input.
  const State* last_table() const;

  // Grows whenever table() begins to be a different one: with each activation that gives this node
  // a table, and when a snapshot has been loaded. Effects that were not told yet may have been
  // discarded, so the sessions part then looks up each of its sessions: one that is not attached
  // here with its generation is lost or must RESUME; a lock whose client still waits may meanwhile
  // be held [find_lock]; and what the table shows attached here but has no client gets DETACHED
  // ("no ghost sessions", rule 8). Commands that were submitted and whose effect has not been told
  // are sent again by the replica itself, so an effect can come twice.
  std::uint64_t table_version() const;

  ReplicaPhase phase() const;
  ReplicaStatus status(Instant now) const;
  const ReplicaStatistics& statistics() const;

  // Set once and for ever when the state was found to differ from the others', or reasoning failed
  // in a way that only stopping makes safe: the daemon must stop loudly.
  const std::optional<std::string>& stop_reason() const;

  // Borrowed; null while nobody watches, which costs nothing.
  void set_watcher(TableWatcher* watcher);

  // For tests and simulation. The observer is borrowed; null for none.
  void set_observer(ReplicaObserver* observer);
  void check_invariants() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockd
