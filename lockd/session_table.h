// The sessions as all replicas know them, with their reply caches and the highest OPEN of each
// daemon. It owns look-up, limits, digest and bytes; what the ordered commands do to sessions is
// lockd/state.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "dlm/mode.h"
#include "dlm/table.h"
#include "lockd/command.h"

namespace lockd {

// What becomes of a request. Those from `no_such_lock` on are refusals that changed nothing.
enum class Status : std::uint8_t {
  granted,  // With token and mode.
  queued,  // Waits; told again when granted. Its cached reply becomes `granted` or `cancelled` with
           // it.
  busy,    // A try that can not be granted now, also while the table is cold.
  released,
  cancelled,
  no_such_lock,       // The session has no lock of this name.
  wrong_token,        // It has, but granted with another token.
  still_waiting,      // A RELEASE of a request that waits: CANCEL it.
  already_granted,    // A CANCEL that came too late, with token and mode.
  too_many_locks,     // Of this session, or of the table.
  too_many_requests,  // Without an acknowledgement; send it again when earlier ones are
                      // acknowledged.
  already_answered,   // At or below the acknowledged mark.
  stale_generation,   // The session has been attached anew since.
  not_attached,       // Orphaned: RESUME first, then send it again.
  session_lost,       // Ended or never known; for ever.
  timed_out,          // Its patience was at an end.
  deadlock,           // To wait for it would be to wait for itself.
  in_progress,        // The lock waits or converts.
  invalid,            // Flags that do not go together, or parts that are none.
  done,
  not_found,
  exists,
  not_permitted,

  // Of barriers.
  arrived,   // Waits there: BarrierEnded follows, if the session lives to see it.
  too_late,  // A withdrawal: BarrierEnded came before.
  different,
  in_use,
  not_open,
  not_member,
  already_arrived,
  inside,
  full,
  too_many_arrivals,  // Or barriers, or bytes: a limit of the barrier table.
};
constexpr Status kLastStatus = Status::too_many_arrivals;

// The outcome of a request, kept until it is acknowledged.
struct Reply {
  RequestId request{};
  Status status{};
  dlm::Mode mode{};
  Token token{};
  dlm::GrantNotes notes = 0;
  std::optional<dlm::ValueBlock> value{};

  friend bool operator==(const Reply&, const Reply&) = default;
};

struct Attached {
  friend bool operator==(const Attached&, const Attached&) = default;
};

// Nobody serves it; its locks stay until RESUME, CLOSE or the EXPIRE of its mark.
struct Orphaned {
  RingId ring;
  friend bool operator==(const Orphaned&, const Orphaned&) = default;
};

// Ended for ever; only what PURGE has not freed yet keeps it here.
struct Dead {
  dlm::Ending how{};

  friend bool operator==(const Dead&, const Dead&) = default;
};

// Its process has ended, and left persistent locks behind: they stay until they are adopted or
// dropped, or its node departs.
struct Bequeathed {
  friend bool operator==(const Bequeathed&, const Bequeathed&) = default;
};

// That, and its node has departed: what it has left waits like an orphan's, but nobody resumes it.
struct BequeathedOrphan {
  RingId ring;
  friend bool operator==(const BequeathedOrphan&, const BequeathedOrphan&) = default;
};

using Standing = std::variant<Attached, Orphaned, Dead, Bequeathed, BequeathedOrphan>;

struct Session {
  SessionId id{};
  Secret secret;
  Instance instance;

  // The daemon that serves it, or did last, and the how-many-eth attachment that is.
  Processor at;
  Generation generation{};
  Standing standing;

  // The OPEN that made it.
  Processor opened_by;
  OpenNumber number{};

  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t pid = 0;
  std::string program;

  // No request at or below it is ever executed (again).
  RequestId acknowledged{};

  // By request, all above `acknowledged`.
  std::vector<Reply> replies;

  // Of everything before `acknowledged`: of the session table, which keeps it.
  std::uint64_t digest = 0;

  bool attached() const { return std::holds_alternative<Attached>(standing); }
  bool orphaned() const { return ring_of_orphan() != nullptr; }
  bool dead() const { return std::holds_alternative<Dead>(standing); }
  bool bequeathed() const { return std::holds_alternative<Bequeathed>(standing); }

  // Nobody speaks for it any more, or ever will.
  bool ended() const {
    return dead() || bequeathed() || std::holds_alternative<BequeathedOrphan>(standing);
  }

  // The ring that its node was missed in. Null if nobody waits for it.
  const RingId* ring_of_orphan() const;

  // The name of its wait, if it is orphaned.
  std::optional<Mark> mark() const;

  // What is remembered of a request, if it is.
  const Reply* reply(RequestId request) const;
};

struct SessionLimits {
  std::size_t sessions_max = 16384;
  std::size_t sessions_per_user_max =
      256;                         // Of one uid at one node: uids of machines are unrelated.
  std::size_t daemons_max = 1024;  // Nodes that ever opened a session.

  // How far the number of a request may be above the acknowledged mark, and so the length of a
  // reply cache. Clients stay within it: liblock/protocol/messages.h, kRequestWindow.
  std::uint64_t unacknowledged_max = 1024;
};

class SessionTable {
 public:
  explicit SessionTable(const SessionLimits& limits) : limits_(limits) {}

  const Session* find(SessionId id) const;
  const Session* find_opened(const Processor& by, OpenNumber number) const;
  OpenNumber highest_open(const Processor& by) const;

  // In the order of ids.
  const std::map<SessionId, Session>& sessions() const { return sessions_; }
  const std::set<SessionId>& orphans() const { return orphans_; }
  const std::set<SessionId>& dead() const { return dead_; }

  // Whether one more session of this user fits in.
  bool has_room(base::NodeId node, std::uint32_t uid) const;

  // Notes the number of an OPEN. False if there are too many daemons to note one of another.
  bool count_open(const Processor& by, OpenNumber number);

  // Changes. The sessions named must be known, and not dead except for the last three: CHECK.
  void add(Session session);
  void attach(SessionId id, const Processor& at, Generation generation);
  void orphan(SessionId id, const RingId& ring);
  void kill(SessionId id, dlm::Ending how);
  void kill_again(SessionId id, dlm::Ending how);  // Dead, with another end for what it has left.
  void bequeath(SessionId id);
  void remove(SessionId id);

  // Raises the acknowledged mark and forgets the replies up to it.
  void acknowledge(SessionId id, RequestId up_to);

  // Keeps a reply, in place of one to the same request.
  void remember(SessionId id, const Reply& reply);

  // Equal tables have equal digests, by whatever way they came about.
  std::uint64_t digest() const { return digest_; }

  void serialize(base::ByteWriter& out) const;

  // Reads what serialize() wrote; fails `in` if it is none, or over the limits, or contradicts
  // itself.
  static SessionTable deserialize(base::ByteReader& in, const SessionLimits& limits);

 private:
  struct Daemon {
    base::Incarnation incarnation{};
    OpenNumber highest{};
  };

  // Lets `change` have the session, and sees to the digest and to the indices.
  template <typename Change>
  void edit(SessionId id, Change change);

  void enter(Session& session);
  void withdraw(const Session& session);

  SessionLimits limits_;
  std::map<SessionId, Session> sessions_;
  std::map<base::NodeId, Daemon> daemons_;
  std::uint64_t digest_ = 0;

  // Indices, rebuilt from the above.
  std::set<SessionId> orphans_;
  std::set<SessionId> dead_;
  std::map<std::pair<base::NodeId, std::uint32_t>, std::size_t> per_user_;
};

}  // namespace lockd
