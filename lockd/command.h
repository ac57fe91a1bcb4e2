// The ordered commands: what a daemon multicasts as a safe message and every replica applies in the
// same order, and their bytes. What a command does is lockd/state.h; when it is multicast and
// applied is the replica's business. The grammar is docs/wire.md, "Ordered commands";
// rules 6.20-6.23 say why each field is there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "dlm/lock.h"
#include "dlm/mode.h"
#include "lockd/barrier_commands.h"
#include "lockd/request.h"

namespace lockd {

using base::Processor;
using base::RingId;
using base::Token;

// What is kept of a client's command line, for people who ask who holds a lock.
constexpr std::size_t kProgramBytesMax = 64;

// Number of an OPEN within one incarnation of a daemon: 1, 2, 3, ... An OPEN that is not above the
// highest applied one of its daemon does nothing, so that it never opens twice and never revives.
enum class OpenNumber : std::uint64_t {};

// 128 random bits. The secret lets a client have its session back; the instance is drawn by a
// client process when it starts and kept in its memory only, so that it proves the same process,
// which a stored secret does not.
struct Secret {
  std::array<std::byte, 16> bits{};
  friend bool operator==(const Secret&, const Secret&) = default;
};
struct Instance {
  std::array<std::byte, 16> bits{};
  friend bool operator==(const Instance&, const Instance&) = default;
};

// The name of an orphaned session's wait. All three parts: a session can be orphaned, resumed and
// orphaned again in one ring, and each time has a wait of its own [rule 8.C3].
struct Mark {
  SessionId session{};
  Generation generation{};
  RingId ring;

  friend auto operator<=>(const Mark&, const Mark&) = default;
};

// A new session, attached to the sender. It is found by (sender, number) afterwards.
struct Open {
  OpenNumber number{};
  Secret secret;
  Instance instance;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t pid = 0;
  std::string program;

  friend bool operator==(const Open&, const Open&) = default;
};

// Attaches a session to the sender with a `generation` above the one it has. The same command
// applied again is answered again; one overtaken by a higher generation is refused.
struct Resume {
  SessionId session{};
  Generation generation{};
  Secret secret;
  Instance instance;

  friend bool operator==(const Resume&, const Resume&) = default;
};

// The sender has hung up on a session of its own: an orphan of the ring of this command.
struct Detached {
  SessionId session{};
  Generation generation{};

  friend bool operator==(const Detached&, const Detached&) = default;
};

// The client itself has closed the session, or is seen to have ended: nobody relies on its locks.
struct Close {
  SessionId session{};
  Generation generation{};

  friend bool operator==(const Close&, const Close&) = default;
};

// Requests a lock; the request's number is the lock's name from now on. With adopt_orphan it takes
// over a lock that a process of the sender's node left behind.
struct Acquire {
  Request request;
  std::string lockspace;
  std::string resource;
  dlm::Mode mode{};
  dlm::LockFlags flags = 0;
  dlm::Owner owner{};
  dlm::Patience patience = 0;

  friend bool operator==(const Acquire&, const Acquire&) = default;
};

struct AcquirePart {
  std::string lockspace;
  std::string resource;
  dlm::Mode mode{};

  friend bool operator==(const AcquirePart&, const AcquirePart&) = default;
};

// Requests all of these or none; the locks are named by the request's number and those after it,
// and each of these numbers has a reply.
struct AcquireAll {
  Request request;
  dlm::LockFlags flags = 0;
  dlm::Owner owner{};
  dlm::Patience patience = 0;
  std::vector<AcquirePart> parts;

  friend bool operator==(const AcquireAll&, const AcquireAll&) = default;
};

// Another mode for the held lock that request `lock` acquired.
struct Convert {
  Request request;
  RequestId lock{};
  dlm::Mode mode{};
  dlm::LockFlags flags = 0;
  dlm::Patience patience = 0;
  std::optional<dlm::ValueBlock> value{};

  friend bool operator==(const Convert&, const Convert&) = default;
};

// Gives up the held lock that request `lock` acquired, if it was granted with this token; by force
// also one that waits.
struct Release {
  Request request;
  RequestId lock{};
  Token token{};
  dlm::LockFlags flags = 0;
  std::optional<dlm::ValueBlock> value{};

  friend bool operator==(const Release&, const Release&) = default;
};

// Withdraws the request `lock` if it still waits, or the conversion of that lock.
struct Cancel {
  Request request;
  RequestId lock{};

  friend bool operator==(const Cancel&, const Cancel&) = default;
};

// The patience of what `waiting` asked for is at an end, by the clock of the sender, who serves the
// session: the request `lock`, or the conversion `waiting` of that lock.
struct TimeOut {
  SessionId session{};
  Generation generation{};
  RequestId lock{};
  RequestId waiting{};

  friend bool operator==(const TimeOut&, const TimeOut&) = default;
};

// Ends the locks that processes of a node left behind; of all if there is no `pid`.
struct DropOrphans {
  Request request;
  base::NodeId node{};
  std::uint32_t pid = 0;

  friend bool operator==(const DropOrphans&, const DropOrphans&) = default;
};

// Makes the session a user of a lockspace, and the sender a member of it or once more so.
struct JoinLockspace {
  enum class Kind : std::uint8_t { open, create, create_new };
  Request request;
  Kind kind{};
  std::uint16_t permissions = 0;
  std::string lockspace;

  friend bool operator==(const JoinLockspace&, const JoinLockspace&) = default;
};

// Undoes one create; the last one takes the sender out of the lockspace.
struct LeaveLockspace {
  Request request;
  bool force = false;
  std::string lockspace;

  friend bool operator==(const LeaveLockspace&, const LeaveLockspace&) = default;
};

// The wait of this mark is over: whoever had the session has stopped relying on it.
struct Expire {
  Mark mark;

  friend bool operator==(const Expire&, const Expire&) = default;
};

// One bounded step in freeing the locks of dead sessions.
struct Purge {
  friend bool operator==(const Purge&, const Purge&) = default;
};

// The wait after a cold start is over; `cold` is the ring whose ACTIVATE made the table cold.
struct ColdEnd {
  RingId cold;

  friend bool operator==(const ColdEnd&, const ColdEnd&) = default;
};

struct Command {
  using Body =
      std::variant<Open, Resume, Detached, Close, Acquire, Release, Cancel, Expire, Purge, ColdEnd,
                   AcquireAll, Convert, TimeOut, DropOrphans, JoinLockspace, LeaveLockspace,
                   BarrierCreate, BarrierChange, BarrierArrive, BarrierLeave, BarrierWithdraw,
                   BarrierCancel, BarrierDelete, BarrierAcknowledge, BarrierTimeOut>;

  // The regular configuration in which it was multicast, as its RingMessage says. Numbered in
  // another, it is dropped by all.
  RingId ring;

  Body body;

  // Of 1970, by the wall clock of the sender: for people who ask since when a lock is held. Nothing
  // is decided by it.
  std::uint32_t second = 0;

  friend bool operator==(const Command&, const Command&) = default;
};

// Appends the command's bytes, which do not name its ring. Names must be within the limits of
// dlm/lock.h and above: CHECK.
void encode(const Command& command, base::Buffer& out);
void encode(const Command::Body& body, std::uint32_t second, base::Buffer& out);

// The command of this ring that is exactly these bytes, or nothing if they are none.
std::optional<Command> decode_command(const RingId& ring, base::Bytes bytes);

// The 16 bytes of either, for other codecs that carry them.
Secret secret_of(base::ByteReader& in);
Instance instance_of(base::ByteReader& in);

}  // namespace lockd
