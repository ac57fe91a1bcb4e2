// Judges a run of a whole cluster by what locks promise: ME, ME-T, TM, LIN, NPG, NLR, RX, FIFO, LF,
// NFE, NLW, NLO, LVB, NDL, BLK, ALL, ONE, ORPHAN and SPACE for locks and lockspaces, E10 to E12 for
// the replicas. It knows what clients, daemons and
// replicas told, and nothing of how they work. The properties are stated in docs/testing.md.
//
// Reports are made in the order of true time. Times are true time: the simulator's own clock, or
// one boot clock where all processes run on one machine. Memory is a record a request, a session
// and an ordered command.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "dlm/lock.h"
#include "evs/event.h"
#include "tests/sim/evs_checker.h"
#include "tests/sim/order_listener.h"

namespace sim {

using TrueTime = base::Duration;

// A command's place in the order of one epoch.
struct OrderedPlace {
  std::uint64_t epoch = 0;
  base::RingId ring;  // The regular configuration in which it was sent.
  std::uint64_t sequence = 0;
  std::uint32_t index = 0;

  friend auto operator<=>(const OrderedPlace&, const OrderedPlace&) = default;
};

// What a command did to one lock. `resource` is any text that names it; needed with queued and
// granted.
struct OrderedEffect {
  dlm::Effect effect;
  std::string resource;
};

// What a client asks for, with all that decides what it may be granted.
struct Asked {
  std::string resource;
  dlm::Mode mode{};
  dlm::LockFlags flags = 0;
  dlm::Owner owner{};

  // Of a request for several locks: the first of them, and how many.
  dlm::RequestId first{};
  std::size_t parts = 1;
};

// What a client is told that it holds.
struct Told {
  base::Token token{};
  dlm::Mode mode{};
  dlm::GrantNotes notes = 0;
  std::optional<dlm::ValueBlock> value{};
};

// Another mode for a lock, as its client asks for it.
struct AskedConversion {
  dlm::RequestId operation{};
  dlm::Mode mode{};
  dlm::LockFlags flags = 0;
  std::optional<dlm::ValueBlock> value{};
};

// A lockspace as the order has it, or as a client is told: members and those who failed, by node.
struct LockspaceSeen {
  std::string name;
  std::uint64_t generation = 0;
  bool recovered = true;
  std::vector<std::pair<base::NodeId, std::uint32_t>> members;  // With their slots.
  std::vector<std::pair<base::NodeId, std::uint32_t>> failed;

  friend auto operator<=>(const LockspaceSeen&, const LockspaceSeen&) = default;
};

// A session ended in the order, by this command. Its locks may be released by later ones.
struct OrderedEnd {
  // closed: by its client's wish or end of file. expired: its lease was waited out. fenced: its
  // machine is certainly stopped. forced: by who makes its node leave a lockspace, whatever it
  // holds.
  enum class How : std::uint8_t { closed, expired, fenced, forced };

  base::SessionId session{};
  How how{};
  bool with_node = false;  // No lock of it stays as an orphan.
};

struct OrderedBarriers;  // tests/sim/barrier_checker.h

// A replica that holds a table applied a command.
struct Applied {
  TrueTime at{};
  base::Processor by;
  base::Processor sender;
  OrderedPlace place;
  evs::ConfigurationKind kind = evs::ConfigurationKind::regular;
  base::RingId configuration;  // The one in which it was delivered.
  std::uint64_t command = 0;   // Digest of its bytes.
  std::uint64_t state = 0;     // Digest of the replica's whole state after it.
  std::vector<OrderedEnd> ended;
  std::vector<OrderedEffect> effects;

  // Which daemon serves these sessions from now on, which deadlocks were found, how all
  // lockspaces are, and which failed processors they still wait for.
  std::vector<std::pair<base::SessionId, base::Processor>> attached{};
  std::vector<dlm::Deadlock> deadlocks{};
  std::vector<LockspaceSeen> lockspaces{};
  std::vector<base::Processor> failed{};  // Of all lockspaces.

  // For who listens to the order; none if nobody asks about barriers.
  std::shared_ptr<const OrderedBarriers> barriers{};
};

// The content of the command that makes an epoch active.
struct Activation {
  std::uint64_t epoch = 0;
  base::RingId ring;
  std::vector<base::Processor> members;
  std::vector<base::NodeId> voters;  // Those whose records were written.

  // The table begins empty, or is the one that `donor` has of an epoch before.
  bool cold = false;
  base::Processor donor;
  std::uint64_t donor_epoch = 0;

  friend bool operator==(const Activation&, const Activation&) = default;
};

class LockChecker {
 public:
  static constexpr std::size_t kViolationsMax = 16;

  // Each of `nodes` configured nodes has one vote. `clocks_hold`: leases may be relied upon. If
  // not, beliefs are not judged; tokens, the order and what is told are.
  explicit LockChecker(std::size_t nodes, bool clocks_hold = true);
  ~LockChecker();
  LockChecker(const LockChecker&) = delete;
  LockChecker& operator=(const LockChecker&) = delete;

  // Clients. A belief begins with client_ok and lasts until the client asks for the release, is
  // told of the loss, gives up, is gone, or its session's deadline passes on its own clock.
  void client_acquires(TrueTime at, dlm::LockName lock, std::string_view resource, dlm::Mode mode);
  void client_asks(TrueTime at, dlm::LockName lock, const Asked& asked);
  void client_ok(TrueTime at, dlm::LockName lock, base::Token token);
  void client_granted(TrueTime at, dlm::LockName lock, const Told& told);

  // Asks for it; `value` is what it leaves behind.
  void client_releases(TrueTime at, dlm::LockName lock, dlm::LockFlags flags = 0,
                       const std::optional<dlm::ValueBlock>& value = {});

  // Asks for another mode. From now on the client relies only on what both modes exclude. Then it
  // is told that it has it, or how it holds the lock without it.
  void client_converts(TrueTime at, dlm::LockName lock, const AskedConversion& asked);
  void client_converted(TrueTime at, dlm::LockName lock, dlm::RequestId operation,
                        const Told& told);
  void client_not_converted(TrueTime at, dlm::LockName lock, dlm::RequestId operation,
                            const Told& told);

  // Is told that somebody waits for `mode`.
  void client_blocks(TrueTime at, dlm::LockName lock, base::Token token, dlm::Mode mode);

  // An operation that is answered once; `client` is any number of a process.
  void client_operates(std::uint64_t client, dlm::RequestId operation);
  void client_answered(TrueTime at, std::uint64_t client, dlm::RequestId operation);
  void client_gone(std::uint64_t client);

  void client_told_of(TrueTime at, base::SessionId session, const LockspaceSeen& seen);
  void client_released(TrueTime at, dlm::LockName lock);  // Is told so.

  // Is told, in a session that goes on, that it did not hold what it gave back.
  void client_not_released(TrueTime at, dlm::LockName lock);

  // The request was refused, cancelled or given up, or the grant is lost. Final.
  void client_failed(TrueTime at, dlm::LockName lock);
  void client_lost(TrueTime at, dlm::LockName lock);

  // The client closed its session, or died.
  void client_closed(TrueTime at, base::SessionId session);

  // The true time at which the client's own clock reaches the deadline that it knows. To be told
  // again when a new deadline comes, and when a fault changes the pace of that clock.
  void client_deadline(TrueTime at, base::SessionId session, TrueTime until);

  // The client looked at its clocks, and relies on the lock.
  void client_uses(TrueTime at, dlm::LockName lock);

  // A resource that compares tokens was used. What it refuses is reported too.
  void access(TrueTime at, std::string_view resource, dlm::LockName lock, dlm::Mode mode,
              base::Token token, bool accepted);

  // Daemons. `until`: the true time at which the longest duration ends that a daemon handed out to
  // this session, whether or not the client knows it.
  void lease_promised(TrueTime at, base::SessionId session, TrueTime until);

  // A daemon stopped, or its machine did.
  void somebody_failed();

  // From here on nothing goes wrong that daemons and clients would not have to bear.
  void undisturbed(TrueTime at);

  // For longer than any wait nothing went wrong, one epoch was active, and all clients could talk:
  // whoever waits now will wait for ever.
  void settled(TrueTime at);

  // A configuration was delivered at a daemon.
  void installed(TrueTime at, const base::Processor& by, const evs::Configuration& configuration);

  // A daemon sends GRANTED to a client, with some of its lease left or not. How much of it that
  // client can use depends on its own last stamp, and is for lease_promised to say.
  void told(TrueTime at, const base::Processor& by, dlm::LockName lock, bool lease_live);

  // ACTIVATE was delivered, in a configuration of this kind.
  void activated(TrueTime at, const base::Processor& by, evs::ConfigurationKind kind,
                 const Activation& activation);

  void applied(const Applied& applied);

  // Who is told of the order as it is found. To be set before anything else is told.
  void set_listener(OrderListener* listener);

  // Whether this replica is in a regular configuration of an active epoch.
  bool is_active(const base::Processor& replica) const;

  bool violated() const;

  // To be called once, at the end.
  std::vector<Violation> finish();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sim
