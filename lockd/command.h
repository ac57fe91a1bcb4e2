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

#include "base/bytes.h"
#include "base/ids.h"
#include "dlm/lock.h"
#include "dlm/mode.h"

namespace lockd {

using base::Processor;
using base::RequestId;
using base::RingId;
using base::SessionId;
using base::Token;

// What is kept of a client's command line, for people who ask who holds a lock.
constexpr std::size_t kProgramBytesMax = 64;

// Counts the attachments of a session to daemons: 1 when it is opened, more with each RESUME. A
// command of an older attachment is refused wherever it was delayed.
enum class Generation : std::uint64_t {};

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

// Whose request this is, as opens each command of a session. Requests are numbered by the client;
// one that is sent again keeps its number. Every request up to `acknowledged` has been answered,
// the client has the answer and will never send it again.
struct Request {
  SessionId session{};
  Generation generation{};
  RequestId id{};
  RequestId acknowledged{};

  friend bool operator==(const Request&, const Request&) = default;
};

// A new session, attached to the sender. It is found by (sender, number) afterwards.
struct Open {
  OpenNumber number{};
  Secret secret;
  Instance instance;
  std::uint32_t uid = 0;
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

// Requests a lock; the request's number is the lock's name from now on. `try_only`: now or never.
struct Acquire {
  Request request;
  std::string lockspace;
  std::string resource;
  dlm::Mode mode{};
  bool try_only = false;

  friend bool operator==(const Acquire&, const Acquire&) = default;
};

// Gives up the held lock that request `lock` acquired, if it was granted with this token.
struct Release {
  Request request;
  RequestId lock{};
  Token token{};

  friend bool operator==(const Release&, const Release&) = default;
};

// Withdraws the request `lock` if it still waits.
struct Cancel {
  Request request;
  RequestId lock{};

  friend bool operator==(const Cancel&, const Cancel&) = default;
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
      std::variant<Open, Resume, Detached, Close, Acquire, Release, Cancel, Expire, Purge, ColdEnd>;

  // The regular configuration in which it was multicast. Numbered in another, it is dropped by all.
  RingId ring;
  Body body;

  friend bool operator==(const Command&, const Command&) = default;
};

// Appends the command's bytes. Names must be within the limits of dlm/lock.h and above: CHECK.
void encode(const Command& command, base::Buffer& out);

// The command that is exactly these bytes, or nothing if they are none.
std::optional<Command> decode_command(base::Bytes bytes);

// The 16 bytes of either, for other codecs that carry them.
Secret secret_of(base::ByteReader& in);
Instance instance_of(base::ByteReader& in);

}  // namespace lockd
