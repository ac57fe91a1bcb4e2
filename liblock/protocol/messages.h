// What a client and its daemon say to each other over the Unix socket, as plain structs. How they
// look as bytes is codec.h and docs/wire.md; what they mean for a session is docs/locks.md and
// rules 6.20-6.23.
//
// Time: no absolute time crosses the socket. A request carries the client's Stamp, read BEFORE it
// is sent. A response with a `remaining` duration echoes in `echo` the newest stamp that the daemon
// had received when it read its own clock; the client may rely on its locks until echo + remaining,
// never longer.
//
// Retries: a client sends what has no final answer again after a reconnect, under the same request
// id. Ids grow by one for the whole life of the client process, across its sessions too (a new
// session does not begin at 1). Each request carries `acknowledged`: every id up to it has been
// answered and will not be sent again, with one exception: an acquire answered `queued` counts as
// answered. When such a one is repeated, the answer comes from the lock table (granted: `granted`
// again; waiting: `queued` again; neither: `stale`).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"

namespace liblock::protocol {

using base::Duration;
using base::GroupKey;
using base::NodeId;
using base::Processor;
using base::RequestId;
using base::RingId;
using base::SessionId;
using base::Token;

constexpr std::uint16_t kVersion = 1;

// A frame is a length of four bytes, then that many bytes: one of type, then the body.
constexpr std::size_t kFrameHeaderBytes = 4;
constexpr std::size_t kRequestBytesMax = 4 * 1024;    // Client to daemon, without the header.
constexpr std::size_t kResponseBytesMax = 64 * 1024;  // Daemon to client.

// The same, both ways, for messages to groups alone.
constexpr std::size_t kEvsFrameBytesMax = 1024 * 1024 + 16 * 1024;

constexpr std::size_t kEvsPayloadBytesMax = 1024 * 1024;
constexpr std::size_t kEvsGroupsMax = 256;  // Of one message, and joined by one instance.

// What an instance may have sent to its daemon that the daemon has not handed to the ring yet, as
// evs_cost() counts it. Room for two of the longest messages, so that one is under way while the
// next comes.
constexpr std::uint64_t kEvsWindow = 2 * kEvsFrameBytesMax;

constexpr std::size_t kLockspaceBytesMax = 64;  // 1 to 64 arbitrary bytes.
constexpr std::size_t kResourceBytesMax = 255;  // 1 to 255 arbitrary bytes.
constexpr std::size_t kCommandBytesMax = 255;   // Longer command texts are cut by the client.
constexpr std::size_t kAdviceBytesMax = 512;
constexpr std::size_t kListItemsMax = 64;  // In one page.
constexpr std::size_t kShowLocksMax = 64;  // In one page.
constexpr std::size_t kMembersMax = 64;
constexpr std::size_t kCountersMax = 128;
constexpr std::size_t kRingEventsMax = 64;  // In one page.
constexpr std::size_t kTextBytesMax = 255;  // Every other text.

// Requests sent and not answered (`queued` is an answer). A client sends no more; a daemon may hang
// up on one that does.
constexpr std::size_t kInFlightMax = 128;

// No request id is sent that is further than this above the acknowledged mark; so the reply cache
// of a session needs no more entries.
constexpr std::uint64_t kRequestWindow = 1024;

using Secret = std::array<std::byte, 16>;

// One life of a client process: random, kept in memory only. Who repeats it is the same process
// [rule 6.20].
using Instance = std::array<std::byte, 16>;

// A reading of the client's two clocks. To the daemon it is opaque: it is copied into `echo`,
// nothing else.
using Stamp = base::Instant;

// The numbers of the VMS and kernel lock managers.
enum class Mode : std::uint8_t { nl = 0, cr = 1, cw = 2, pr = 3, pw = 4, ex = 5 };

// ---- Client to daemon ----

struct Resume {
  SessionId session{};
  Secret secret{};
  std::uint64_t generation = 0;  // The newest attach generation that this client was told.

  friend bool operator==(const Resume&, const Resume&) = default;
};

enum class HelloKind : std::uint8_t {
  query = 0,   // No session: queries only. Answered at once, quorum or not.
  open = 1,    // A new session. Answered when the session is in the order.
  resume = 2,  // The session named by `resume`, with all that it holds and waits for.
  evs = 3,  // No session: an instance of the group communication. Answered at once, quorum or not.
};

// The first request of a connection, once. Of a version that is not kVersion nothing else is
// decoded, so that it can be refused in words.
struct Hello {
  std::uint16_t version = kVersion;
  HelloKind kind = HelloKind::query;
  Instance instance{};
  std::string command;  // For people: what holds the lock.
  Stamp stamp;
  Resume resume;  // Meaningful and on the wire only when kind == resume.

  friend bool operator==(const Hello&, const Hello&) = default;
};

// Answers: queued (not final), granted, busy (no_queue only), not_quorate (no_queue only, and only
// if the command was not put into the order), cancelled, limit, invalid, stale.
struct Acquire {
  RequestId request{};
  RequestId acknowledged{};
  Stamp stamp;
  Mode mode = Mode::ex;
  bool no_queue = false;
  std::string lockspace;
  std::string resource;

  friend bool operator==(const Acquire&, const Acquire&) = default;
};

// Names the grant by the acquire's id and its token. Answers: released, not_held, stale.
struct Release {
  RequestId request{};
  RequestId acknowledged{};
  Stamp stamp;
  RequestId acquire{};
  Token token{};

  friend bool operator==(const Release&, const Release&) = default;
};

// Ends the wait of an acquire. Answers: cancelled (the acquire waited, and will never be granted;
// that is the acquire's answer too), not_waiting (its own outcome was ordered first, or it is
// unknown).
struct Cancel {
  RequestId request{};
  RequestId acknowledged{};
  Stamp stamp;
  RequestId acquire{};

  friend bool operator==(const Cancel&, const Cancel&) = default;
};

// Answered with State at once.
struct Keepalive {
  RequestId acknowledged{};
  Stamp stamp;

  friend bool operator==(const Keepalive&, const Keepalive&) = default;
};

// Ends the session and releases all it holds. The daemon closes the connection when that is in the
// order. End of file without Close means the same, since on this socket it means that the process
// is gone.
struct Close {
  friend bool operator==(const Close&, const Close&) = default;
};

// Queries are answered from the daemon's own table, quorum or not, without a place in the order.
// `query` is chosen by the client and echoed.

// Resources whose name begins with `prefix`; an empty lockspace means all of them. `cursor` is 0 at
// first, then what the last page said. The order of resources is the daemon's own: the library does
// not sort. Answered with one ListPage.
struct List {
  std::uint32_t query = 0;
  std::string lockspace;
  std::string prefix;
  std::uint64_t cursor = 0;

  friend bool operator==(const List&, const List&) = default;
};

// Locks of one resource, leaving out the first `skip`: granted ones first, then waiting ones in
// queue order. Answered with one ShowPage.
struct Show {
  std::uint32_t query = 0;
  std::string lockspace;
  std::string resource;
  std::uint32_t skip = 0;

  friend bool operator==(const Show&, const Show&) = default;
};

// Answered with Status.
struct StatusQuery {
  std::uint32_t query = 0;

  friend bool operator==(const StatusQuery&, const StatusQuery&) = default;
};

// Answered with Members.
struct MembersQuery {
  std::uint32_t query = 0;

  friend bool operator==(const MembersQuery&, const MembersQuery&) = default;
};

// Answered with RingStatus.
struct RingStatusQuery {
  std::uint32_t query = 0;

  friend bool operator==(const RingStatusQuery&, const RingStatusQuery&) = default;
};

// What happened to the ring of late, with numbers above `since`. Answered with one RingLogPage.
struct RingLogQuery {
  std::uint32_t query = 0;
  std::uint64_t since = 0;

  friend bool operator==(const RingLogQuery&, const RingLogQuery&) = default;
};

// Answered with Why.
struct WhyQuery {
  std::uint32_t query = 0;
  std::uint32_t back = 0;  // 0: the last change, 1: the one before, and so on.

  friend bool operator==(const WhyQuery&, const WhyQuery&) = default;
};

// ---- Of an EVS instance to its daemon ----

// Numbers of EVS_TYPE_* of the historical API, and of evs::Service.
enum class Guarantee : std::uint8_t { unordered = 0, fifo = 1, agreed = 2, safe = 3 };

// What is delivered after the answer passes the new filter. Both are answered with EvsDone.
struct EvsJoin {
  std::uint32_t query = 0;
  std::vector<GroupKey> groups;  // kEvsGroupsMax in all, or the connection is closed.

  friend bool operator==(const EvsJoin&, const EvsJoin&) = default;
};
struct EvsLeave {
  std::uint32_t query = 0;
  std::vector<GroupKey> groups;

  friend bool operator==(const EvsLeave&, const EvsLeave&) = default;
};

// To whoever joined at least one of these groups, of which there is at least one. Not answered, but
// by an EvsCredit for many. Sent by an instance that has used up its window it ends the connection.
template <typename Groups, typename Payload>
struct BasicEvsMulticast {
  Guarantee guarantee = Guarantee::agreed;
  Groups groups;
  Payload payload;

  friend bool operator==(const BasicEvsMulticast&, const BasicEvsMulticast&) = default;
};

using EvsMulticast = BasicEvsMulticast<std::vector<GroupKey>, base::Buffer>;

// The same, with groups and payload borrowed.
using EvsMulticastView = BasicEvsMulticast<std::span<const GroupKey>, base::Bytes>;

// What a message uses of the window: its bytes, and what it costs to keep it.
constexpr std::uint64_t evs_cost(std::size_t groups, std::size_t payload) {
  return 128 + groups * sizeof(GroupKey) + payload;
}
static_assert(evs_cost(kEvsGroupsMax, kEvsPayloadBytesMax) <= kEvsWindow / 2);

using Request = std::variant<Hello, Acquire, Release, Cancel, Keepalive, Close, List, Show,
                             StatusQuery, MembersQuery, EvsJoin, EvsLeave, EvsMulticast,
                             RingStatusQuery, RingLogQuery, WhyQuery>;

// ---- Daemon to client ----

// What a client may rely on, and since when. `remaining` is zero when there is no lease to rely on.
struct LeaseNote {
  Stamp echo;
  Duration remaining{0};

  friend bool operator==(const LeaseNote&, const LeaseNote&) = default;
};

// Answer to Hello. For a query connection session and secret are zero.
struct Welcome {
  std::uint16_t version = kVersion;
  NodeId node{};
  bool resumed = false;
  SessionId session{};
  Secret secret{};
  std::uint64_t generation = 0;
  Duration lease{0};  // The longest lease that this daemon will promise; keep-alives go out at a
                      // quarter of it.
  bool primary = false;
  LeaseNote note;

  friend bool operator==(const Welcome&, const Welcome&) = default;
};

enum class Refusal : std::uint8_t {
  version = 1,       // The daemon does not speak this version.
  malformed = 2,     // A frame that makes no sense; the connection is closed.
  session_lost = 3,  // RESUME of a session that has ended, is unknown, or has another secret.
  limit = 4,         // Too many sessions or connections of this user, requests in flight, ...
  not_permitted = 5,
  no_clients = 6,  // A witness, or a daemon that is shutting down: try another one.
  too_slow = 7,    // An EVS instance that did not read; what was sent before is complete.
};

// The daemon will not go on with this connection and closes it.
struct Refused {
  Refusal error = Refusal::malformed;
  std::string advice;  // What to do, for people.

  friend bool operator==(const Refused&, const Refused&) = default;
};

enum class Answer : std::uint8_t {
  granted = 1,
  queued = 2,  // Not final: the acquire stands in the queue, and is known to the table by (session,
               // request).
  busy = 3,
  cancelled = 4,
  released = 5,
  not_held = 6,
  not_waiting = 7,
  not_quorate = 8,  // Was not put into the order, and will not be.
  limit = 9,
  invalid = 10,
  stale = 11,  // At or below the acknowledged mark, and not in the table.
};

// `token` and `mode` are set when granted.
struct Reply {
  RequestId request{};
  Answer answer = Answer::invalid;
  Mode mode = Mode::nl;
  Token token{};
  LeaseNote note;
  std::string advice;  // With limit and invalid: what to do, for people.

  friend bool operator==(const Reply&, const Reply&) = default;
};

// Answer to Keepalive, and unasked when `primary` or the generation changes, or the lease comes
// back; also before Welcome, so that a client whose Hello has to wait for a quorum hears why.
struct State {
  bool primary = false;
  std::uint64_t generation = 0;
  LeaseNote note;

  friend bool operator==(const State&, const State&) = default;
};

enum class LostReason : std::uint8_t {
  expired = 1,     // The lease ran out and the session was ended by the order.
  table_lost = 2,  // Cold start: nobody holds the table any more.
  shutdown = 3,    // The daemon leaves. What was held is held until the deadline.
};

// The session has ended; nothing it held is held. With shutdown the library goes on trying to
// resume.
struct Lost {
  LostReason reason = LostReason::expired;

  friend bool operator==(const Lost&, const Lost&) = default;
};

struct ListItem {
  std::string lockspace;
  std::string resource;
  std::uint32_t granted = 0;
  std::uint32_t waiting = 0;
  Mode mode = Mode::nl;  // The strongest granted one.
  Token token{};         // Of the first granted lock, as are node and command.
  NodeId node{};
  bool orphaned = false;
  std::string command;

  friend bool operator==(const ListItem&, const ListItem&) = default;
};

// May be empty although there is more.
struct ListPage {
  std::uint32_t query = 0;
  bool stale = false;  // The daemon is not in an active primary component: what it knew last.
  bool more = false;   // Ask again with `cursor`.
  std::uint64_t cursor = 0;
  std::vector<ListItem> items;

  friend bool operator==(const ListPage&, const ListPage&) = default;
};

struct ShowLock {
  bool granted = false;
  Mode mode = Mode::nl;
  Token token{};
  SessionId session{};
  RequestId request{};
  NodeId node{};          // Where the session is, or was, attached.
  bool orphaned = false;  // That node is gone or the client is, and the wait has not ended.
  std::uint32_t pid = 0;  // 0: unknown.
  std::uint32_t uid = 0;
  std::string command;

  friend bool operator==(const ShowLock&, const ShowLock&) = default;
};

// No locks at all: the resource is free.
struct ShowPage {
  std::uint32_t query = 0;
  bool stale = false;
  bool more = false;
  std::vector<ShowLock> locks;

  friend bool operator==(const ShowPage&, const ShowPage&) = default;
};

struct Counter {
  std::string name;  // lower_case words, e.g. "digests_compared".
  std::uint64_t value = 0;

  friend bool operator==(const Counter&, const Counter&) = default;
};

struct Status {
  std::uint32_t query = 0;
  NodeId node{};
  std::string cluster;   // The cluster's id, as text.
  std::string daemon;    // Version of the daemon, as text.
  std::string state;     // One word: "active", "inactive", "loading", "cold", "gathering", ...
  bool primary = false;  // In an active primary component, with a table.
  bool voter = false;    // False: an amnesiac, or cannot write its record.
  std::uint64_t epoch = 0;
  RingId ring;
  std::uint32_t votes = 0;  // Present, needed for a quorum, configured.
  std::uint32_t quorum = 0;
  std::uint32_t votes_configured = 0;
  std::uint32_t holders = 0;  // Members that hold the whole table.
  Duration lease{0};
  std::uint64_t sessions = 0;
  std::uint64_t resources = 0;
  std::uint64_t locks = 0;
  std::uint64_t waiting = 0;
  std::uint64_t orphaned = 0;  // Sessions.
  std::vector<Counter> counters;

  friend bool operator==(const Status&, const Status&) = default;
};

enum class MemberState : std::uint8_t { absent = 0, member = 1, loading = 2, active = 3 };

struct Member {
  NodeId node{};
  std::uint64_t incarnation = 0;  // 0: not known.
  std::uint32_t votes = 0;
  bool witness = false;
  bool self = false;
  MemberState state = MemberState::absent;
  std::string address;

  friend bool operator==(const Member&, const Member&) = default;
};

// Every configured node, in the order of their ids.
struct Members {
  std::uint32_t query = 0;
  RingId ring;
  std::vector<Member> members;

  friend bool operator==(const Members&, const Members&) = default;
};

enum class RingState : std::uint8_t {
  operational = 0,
  gather = 1,
  commit = 2,
  recovery = 3,
  left = 4
};

// One configured node, as the ring member of the daemon sees it.
struct RingPeer {
  NodeId node{};
  std::uint64_t incarnation = 0;  // 0: not a member.
  bool self = false;
  bool barred = false;             // Not heard for a while: it broke rings in vain.
  std::uint64_t acknowledged = 0;  // A member is known to have all packets up to here.
  bool heard = false;              // Something of it has come, so long ago:
  Duration heard_ago{0};
  std::uint16_t key = 0;  // It was last heard to seal with this one; 0: not heard.

  friend bool operator==(const RingPeer&, const RingPeer&) = default;
};

// What is meant in detail: evs/node_status.h. Numbers are places in the order of the ring.
struct RingStatus {
  std::uint32_t query = 0;
  RingState state = RingState::operational;
  RingId ring;  // The regular configuration last installed.
  Duration rotation{0};
  Duration rotation_average{0};
  Duration rotation_longest{0};
  std::uint64_t highest = 0;
  std::uint64_t received = 0;
  std::uint64_t stable = 0;
  std::uint64_t delivered = 0;
  std::uint64_t stored = 0;
  std::uint64_t waiting_messages = 0;  // For a number.
  std::uint64_t waiting_bytes = 0;
  std::uint64_t waiting_bytes_max = 0;
  std::uint64_t waiting_datagrams = 0;  // For the socket.
  std::uint32_t personal_window = 0;    // Packets, as evs/windows.h has them now.
  std::uint32_t rotation_window = 0;
  std::uint32_t accelerated_window = 0;
  std::uint32_t outstanding_max = 0;
  std::vector<RingPeer> peers;  // Every configured node, in the order of their ids.

  friend bool operator==(const RingStatus&, const RingStatus&) = default;
};

// A record of the ring member's flight recorder (evs/flight_recorder.h).
struct RingEvent {
  std::uint64_t number = 0;  // 1, 2, 3, ... since the daemon started.
  Duration ago{0};           // When it came first, counted from the answer,
  Duration lasted{0};        // and how long it came again, so many
  std::uint32_t times = 1;   // times.
  std::string event;         // A word.
  RingId ring;
  NodeId node{};  // Whom it is about; 0: nobody.
  std::string text;

  friend bool operator==(const RingEvent&, const RingEvent&) = default;
};

// Oldest first.
struct RingLogPage {
  std::uint32_t query = 0;
  bool more = false;  // Ask again with the last number.
  std::vector<RingEvent> events;

  friend bool operator==(const RingLogPage&, const RingLogPage&) = default;
};

// A member that left or came; one that did both stands twice.
struct WhyMember {
  Processor processor;
  bool came = false;
  std::string why;

  friend bool operator==(const WhyMember&, const WhyMember&) = default;
};

// Why the configuration changed, as far as the daemon knows (evs/explanation.h).
struct Why {
  std::uint32_t query = 0;
  bool changed = false;  // Else there is no such change, and the rest says nothing.
  RingId ring;
  Duration ago{0};      // When it was installed.
  Duration took{0};     // From the end of the one before; 0: not known.
  std::string trigger;  // What ended the one before.
  std::vector<NodeId> members;
  std::vector<WhyMember> changes;  // Those who left come first.

  friend bool operator==(const Why&, const Why&) = default;
};

// ---- To an EVS instance ----

// Answer to its Hello. The configuration that stands follows at once.
struct EvsWelcome {
  std::uint16_t version = kVersion;
  Processor self;
  std::uint64_t window = kEvsWindow;

  friend bool operator==(const EvsWelcome&, const EvsWelcome&) = default;
};

// What was delivered before it passed the filter of before.
struct EvsDone {
  std::uint32_t query = 0;

  friend bool operator==(const EvsDone&, const EvsDone&) = default;
};

// So much, as evs_cost() counts it, was handed to the ring since the instance began.
struct EvsCredit {
  std::uint64_t taken = 0;

  friend bool operator==(const EvsCredit&, const EvsCredit&) = default;
};

// A message that passed the filter, in the configuration of the last EvsConfiguration.
template <typename Groups, typename Payload>
struct BasicEvsDelivery {
  Processor sender;
  RingId ring;  // In which it was sent.
  std::uint64_t sequence = 0;
  std::uint32_t index = 0;
  Guarantee guarantee = Guarantee::agreed;
  Groups groups;
  Payload payload;

  friend bool operator==(const BasicEvsDelivery&, const BasicEvsDelivery&) = default;
};

using EvsDelivery = BasicEvsDelivery<std::vector<GroupKey>, base::Buffer>;

// The same, with groups and payload borrowed.
using EvsDeliveryView = BasicEvsDelivery<std::span<const GroupKey>, base::Bytes>;

enum class EvsKind : std::uint8_t { regular = 0, transitional = 1 };

struct EvsConfiguration {
  EvsKind kind = EvsKind::regular;
  RingId ring;
  std::vector<Processor> members;
  std::vector<Processor> left;    // By a transitional one only.
  std::vector<Processor> joined;  // By a regular one only.

  friend bool operator==(const EvsConfiguration&, const EvsConfiguration&) = default;
};

using Response = std::variant<Welcome, Refused, Reply, State, Lost, ListPage, ShowPage, Status,
                              Members, EvsWelcome, EvsDone, EvsCredit, EvsDelivery,
                              EvsConfiguration, RingStatus, RingLogPage, Why>;

}  // namespace liblock::protocol
