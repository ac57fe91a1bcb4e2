#include "liblock/protocol/codec.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace liblock::protocol;

namespace {

constexpr base::Instant kStamp{base::Duration{0x0102030405060708},
                               base::Duration{0x1112131415161718}};

constexpr Processor kProcessor{NodeId{3}, base::Incarnation{44}};

constexpr BarrierConfig kBarrier{4096, BarrierUnit::node, BarrierOnDeath::wait, true, false, 7};

template <std::size_t size>
std::array<std::byte, size> counted(int from) {
  std::array<std::byte, size> bytes{};
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>(from + static_cast<int>(i));
  return bytes;
}

// One of each, with every field different from its default and every text at its limit.
std::vector<Request> requests() {
  const std::string lockspace(kLockspaceBytesMax, 's');
  const std::string resource(kResourceBytesMax, '\0');
  Hello open;
  open.kind = HelloKind::open;
  open.instance = counted<16>(1);
  open.command = std::string(kCommandBytesMax, 'c');
  open.stamp = kStamp;
  Hello resume = open;
  resume.kind = HelloKind::resume;
  resume.resume = {SessionId{9}, counted<16>(40), 3};
  const std::string barrier(kBarrierNameBytesMax, '\0');
  const std::string value(kBarrierValueBytesMax, 'v');
  return {
      open,
      resume,
      Acquire{RequestId{7}, RequestId{5}, kStamp, Mode::pr, 0x1000001, 11, 12, lockspace, resource},
      AcquireAll{RequestId{7}, RequestId{5}, kStamp, 0x80, 11, 12,
                 std::vector<AcquirePart>(kPartsMax, {Mode::cw, lockspace, resource})},
      Convert{RequestId{7}, RequestId{5}, kStamp, RequestId{3}, Mode::pw, 0x8, 12, counted<32>(4)},
      Convert{RequestId{7}, RequestId{5}, kStamp, RequestId{3}, Mode::nl, 0, 0, {}},
      Release{RequestId{8}, RequestId{5}, kStamp, RequestId{7}, Token{99}, 0x20008, counted<32>(5)},
      DropOrphans{RequestId{8}, RequestId{5}, kStamp, NodeId{3}, 4},
      JoinLockspace{RequestId{8}, RequestId{5}, kStamp, JoinKind::create_new, 0640, lockspace},
      LeaveLockspace{RequestId{8}, RequestId{5}, kStamp, true, lockspace},
      Cancel{RequestId{9}, RequestId{5}, kStamp, RequestId{7}},
      Keepalive{RequestId{9}, kStamp},
      Close{},
      List{1, "space", "pre", 77},
      Show{2, "space", "name", 64},
      StatusQuery{3},
      MembersQuery{4},
      EvsJoin{5, {GroupKey{counted<32>(3)}, GroupKey{}}},
      EvsLeave{6, {}},
      RingStatusQuery{7},
      RingLogQuery{8, 99},
      WhyQuery{9, 3},
      DeadlockQuery{10, 2},
      LockspacesQuery{11, lockspace},
      Watch{12, 5, lockspace, resource, true},
      BarrierCreate{RequestId{7}, RequestId{5}, kStamp, lockspace, barrier, kBarrier},
      BarrierChange{RequestId{7}, RequestId{5}, kStamp, lockspace, barrier,
                    BarrierAttribute::patience, 3},
      BarrierArrive{RequestId{7}, RequestId{5}, kStamp, lockspace, barrier, kBarrier, value},
      BarrierArrive{RequestId{7}, RequestId{5}, kStamp, "s", "b", {}, ""},
      BarrierLeave{RequestId{7}, RequestId{5}, kStamp, BarrierGeneration{4}, value},
      BarrierWithdraw{RequestId{7}, RequestId{5}, kStamp, lockspace, barrier, RequestId{3}},
      BarrierCancel{RequestId{7}, RequestId{5}, kStamp, lockspace, barrier},
      BarrierDelete{RequestId{7}, RequestId{5}, kStamp, lockspace, barrier, true},
      BarrierConfirm{BarrierGeneration{4}, BarrierStep::leave},
      BarrierMore{BarrierGeneration{4}, BarrierStep::leave, SessionId{9}},
      BarriersQuery{13, lockspace, lockspace, barrier}};
}

// The same, with lists at their limit or short.
std::vector<Response> responses(bool full) {
  const auto count = [full](std::size_t most) { return full ? most : 2; };
  const LeaseNote note{kStamp, base::Duration{1800000000}};
  const std::string longest(kTextBytesMax, 't');
  ListPage list{1, true, true, 78, {}};
  list.items.assign(count(kListItemsMax), ListItem{std::string(kLockspaceBytesMax, 's'),
                                                   std::string(kResourceBytesMax, 'r'), 1, 2,
                                                   Mode::ex, Token{5}, NodeId{3}, true, longest});
  ShowPage show{2, true, true, true, true, counted<32>(1), {}};
  show.locks.assign(count(kShowLocksMax),
                    ShowLock{true, true, Mode::cw, Mode::ex, Token{5}, 0x80, 3, 4, 5, true,
                             SessionId{6}, RequestId{7}, NodeId{3}, true, 100, 200, longest});
  const LockRef ref{SessionId{6}, RequestId{7}, NodeId{3}, 100, std::string(kCommandBytesMax, 'c')};
  Deadlock deadlock{RequestId{7}, {}};
  deadlock.steps.assign(
      count(kDeadlockStepsMax),
      DeadlockStep{ref, Mode::ex, ref, Mode::pr, std::string(kLockspaceBytesMax, 's'),
                   std::string(kResourceBytesMax, 'r')});
  const std::vector<LockspaceMember> slots(count(kMembersMax), LockspaceMember{NodeId{3}, 2});
  Status status;
  status.query = 3;
  status.node = NodeId{3};
  status.cluster = status.daemon = status.state = longest;
  status.primary = status.voter = true;
  status.epoch = 4;
  status.ring = {5, NodeId{1}, 6};
  status.votes = 2, status.quorum = 2, status.votes_configured = 3, status.holders = 2;
  status.lease = note.remaining;
  status.sessions = 1, status.resources = 2, status.locks = 3, status.waiting = 4,
  status.orphaned = 5;
  status.counters.assign(count(kCountersMax), Counter{longest, 8});
  Members members{4, {5, NodeId{1}, 6}, {}};
  members.members.assign(count(kMembersMax),
                         Member{NodeId{2}, 77, 1, true, true, MemberState::active, longest});
  RingStatus ring;
  ring.query = 8;
  ring.state = RingState::left;
  ring.ring = {5, NodeId{1}, 6};
  ring.rotation = base::Duration{1}, ring.rotation_average = base::Duration{2},
  ring.rotation_longest = base::Duration{3};
  ring.highest = 4, ring.received = 5, ring.stable = 6, ring.delivered = 7, ring.stored = 8;
  ring.waiting_messages = 9, ring.waiting_bytes = 10, ring.waiting_bytes_max = 11,
  ring.waiting_datagrams = 12;
  ring.personal_window = 13, ring.rotation_window = 14, ring.accelerated_window = 15,
  ring.outstanding_max = 16;
  ring.peers.assign(count(kMembersMax),
                    RingPeer{NodeId{2}, 77, true, true, 4, true, base::Duration{5}, 6});
  RingLogPage log{9, true, {}};
  log.events.assign(count(kRingEventsMax), RingEvent{1,
                                                     base::Duration{2},
                                                     base::Duration{3},
                                                     4,
                                                     longest,
                                                     {5, NodeId{1}, 6},
                                                     NodeId{7},
                                                     longest});
  Why why{10, true, {5, NodeId{1}, 6}, base::Duration{7}, base::Duration{8}, longest, {}, {}};
  why.members.assign(count(kMembersMax), NodeId{4});
  why.changes.assign(count(kMembersMax), WhyMember{kProcessor, true, longest});
  const LockspaceState lockspace{std::string(kLockspaceBytesMax, 's'), 5, true, slots, slots};
  const std::vector<NodeId> nodes(count(kMembersMax), NodeId{4});
  BarrierOutcome outcome{RequestId{7},
                         BarrierGeneration{4},
                         BarrierStep::leave,
                         BarrierEnding::deleted,
                         {5, NodeId{1}, 6},
                         8,
                         99,
                         {},
                         4096,
                         {}};
  outcome.lost.assign(count(kBarrierLostMax), {SessionId{6}, kProcessor});
  outcome.members.assign(count(kBarrierMembersMax),
                         {SessionId{6}, kProcessor, std::string(kBarrierValueBytesMax, 'v')});
  const BarrierRound round{BarrierGeneration{4}, 5, 6};
  BarriersPage barriers{14, true, true, {}};
  barriers.items.assign(count(kBarriersMax),
                        {std::string(kLockspaceBytesMax, 's'),
                         std::string(kBarrierNameBytesMax, 'b'), kBarrier, round, round});
  barriers.items.back().inside.reset();
  return {
      Welcome{kVersion, NodeId{3}, true, SessionId{9}, counted<16>(40), 3, note.remaining, true,
              note},
      Refused{Refusal::limit, std::string(kAdviceBytesMax, 'a')},
      Reply{RequestId{7}, Answer::not_permitted, Mode::pr, Token{99}, 7, counted<32>(6), note,
            "advice"},
      Reply{RequestId{7}, Answer::full, Mode::nl, Token{}, 0, {}, note, ""},
      Reply{RequestId{7}, Answer::granted, Mode::pr, Token{99}, 0, {}, note, ""},
      Blocks{RequestId{7}, Token{99}, Mode::ex},
      deadlock,
      lockspace,
      DeadlockAnswer{6, true, SessionId{6}, RequestId{7}, deadlock.steps},
      LockspacesPage{7, true, true,
                     std::vector<LockspaceItem>(count(kLockspacesMax), {lockspace, 1, 2, 0640})},
      WatchGap{8, true, 9},
      LockWatched{8, WatchedEvent::released, 9, std::string(kLockspaceBytesMax, 's'),
                  std::string(kResourceBytesMax, 'r'), Mode::pr, Mode::ex, Token{5},
                  Answer::deadlock, SessionId{6}, RequestId{7}, NodeId{3}, 100, 200, longest},
      DeadlockWatched{8, 9, SessionId{6}, RequestId{7}, deadlock.steps},
      SessionWatched{8, 9, SessionChange::expired, SessionId{6}, NodeId{3}, 100, 200, longest},
      LockspaceWatched{8, 9, lockspace},
      ConfigurationWatched{8, 9, true, {5, NodeId{1}, 6}, nodes, nodes, nodes},
      QuorumWatched{8, 9, true, longest, 4, 2, 3},
      State{true, 3, note},
      Lost{LostReason::table_lost},
      list,
      show,
      status,
      members,
      EvsWelcome{kVersion, kProcessor, 77},
      EvsDone{5},
      EvsCredit{99},
      EvsConfiguration{EvsKind::transitional,
                       {5, NodeId{1}, 6},
                       std::vector<Processor>(count(kMembersMax), kProcessor),
                       std::vector<Processor>(count(kMembersMax), kProcessor),
                       {kProcessor}},
      ring,
      log,
      why,
      outcome,
      barriers};
}

template <typename Message>
base::Buffer frame_of(const Message& message) {
  base::Buffer frame;
  encode(message, frame);
  return frame;
}

base::Bytes content_of(const base::Buffer& frame) {
  return base::Bytes(frame).subspan(kFrameHeaderBytes);
}

// Of such a Hello nothing else is read.
bool of_another_version(const Request& request) {
  const auto* hello = std::get_if<Hello>(&request);
  return hello != nullptr && hello->version != kVersion;
}
bool of_another_version(const Response&) {
  return false;
}

std::string hex(base::Bytes bytes) {
  std::string text;
  for (std::byte b : bytes) {
    text += "0123456789abcdef"[std::to_integer<unsigned>(b) >> 4];
    text += "0123456789abcdef"[std::to_integer<unsigned>(b) & 15];
  }
  return text;
}

}  // namespace

TEST_CASE("every message survives the wire, at the limits of all its fields") {
  for (const Request& request : requests()) {
    const base::Buffer frame = frame_of(request);
    CHECK(frame.size() <= kFrameHeaderBytes + kRequestBytesMax);
    const auto decoded = decode_request(content_of(frame));
    REQUIRE(decoded.has_value());
    CHECK(*decoded == request);
  }
  for (const Response& response : responses(true)) {
    const base::Buffer frame = frame_of(response);
    CHECK(frame.size() <= kFrameHeaderBytes + kResponseBytesMax);
    const auto decoded = decode_response(content_of(frame));
    REQUIRE(decoded.has_value());
    CHECK(*decoded == response);
  }
}

TEST_CASE("the bytes are those of docs/wire.md") {
  CHECK(hex(frame_of(Request{
            Acquire{RequestId{7}, RequestId{5}, kStamp, Mode::pr, 1, 11, 12, "s", "ab"}})) ==
        "39000000"          // 57 bytes follow.
        "02"                // acquire
        "0700000000000000"  // request
        "0500000000000000"  // acknowledged
        "0807060504030201"  // stamp: boot,
        "1817161514131211"  // raw
        "03"                // PR
        "01000000"          // flags: no_queue
        "0b00000000000000"  // owner
        "0c000000"          // patience
        "010073"            // lockspace
        "02006162");        // resource
  CHECK(hex(frame_of(Response{Lost{LostReason::expired}})) == "020000004501");
}

TEST_CASE("a message cut anywhere, or with a byte too many, is refused") {
  const auto check = [](const base::Buffer& frame, auto decode) {
    const base::Bytes content = content_of(frame);
    for (std::size_t size = 0; size < content.size(); ++size) {
      REQUIRE_FALSE(decode(content.first(size)).has_value());
    }
    base::Buffer longer(content.begin(), content.end());
    longer.push_back(std::byte{0});
    CHECK_FALSE(decode(longer).has_value());
  };
  for (const Request& request : requests()) check(frame_of(request), decode_request);
  for (const Response& response : responses(false)) check(frame_of(response), decode_response);
}

TEST_CASE(
    "a message with any bit flipped is refused, or is a message that encodes to those bytes") {
  const auto check = [](const base::Buffer& frame, auto decode) {
    base::Buffer content(frame.begin() + kFrameHeaderBytes, frame.end());
    for (std::size_t bit = 0; bit < 8 * std::min<std::size_t>(content.size(), 600); ++bit) {
      content[bit / 8] ^= std::byte{1} << (bit % 8);
      const auto decoded = decode(content);
      if (decoded && !of_another_version(*decoded)) {
        base::Buffer again;
        encode(*decoded, again);
        REQUIRE(content == base::Buffer(again.begin() + kFrameHeaderBytes, again.end()));
      }
      content[bit / 8] ^= std::byte{1} << (bit % 8);
    }
  };
  for (const Request& request : requests()) check(frame_of(request), decode_request);
  for (const Response& response : responses(false)) check(frame_of(response), decode_response);
}

TEST_CASE("of a hello of another version the version is read, whatever follows") {
  const base::Buffer content = {std::byte{1}, std::byte{2}, std::byte{0}, std::byte{0xff}};
  const auto decoded = decode_request(content);
  REQUIRE(decoded.has_value());
  CHECK(std::get<Hello>(*decoded).version == 2);
}

TEST_CASE("values that there are not are refused") {
  const auto refused = [](Request request, std::size_t at, int value) {
    base::Buffer frame = frame_of(request);
    frame[kFrameHeaderBytes + at] = static_cast<std::byte>(value);
    return !decode_request(content_of(frame)).has_value();
  };
  const Acquire acquire{RequestId{7}, RequestId{5}, kStamp, Mode::pr, 1, 11, 12, "s", "ab"};
  CHECK(refused(acquire, 33, 6));  // Mode.
  CHECK(refused(acquire, 0, 0));   // Type.
  CHECK(refused(acquire, 0, 65));  // The type of a response.
  CHECK(refused(acquire, 50, 0));  // An empty lockspace leaves a byte over.
  const LeaveLockspace leave{RequestId{7}, RequestId{5}, kStamp, true, "s"};
  CHECK(refused(leave, 33, 2));       // A flag is 0 or 1.
  CHECK(refused(acquire, 24, 0x80));  // A clock beyond all years.

  const BarrierArrive arrive{RequestId{7}, RequestId{5}, kStamp, "s", "b", kBarrier, ""};
  CHECK(refused(arrive, 39, 2));  // Whether a barrier is described is 0 or 1,
  CHECK(refused(arrive, 44, 2));  // a unit, too,
  CHECK(refused(arrive, 45, 3));  // what a death does 0 to 2.
  const BarrierChange change{RequestId{7}, RequestId{5}, kStamp, "s", "b", {}, 0};
  CHECK(refused(change, 39, 3));  // An attribute.
  CHECK(refused(BarrierConfirm{BarrierGeneration{4}, BarrierStep::enter}, 9, 2));

  const auto refused_response = [](Response response, std::size_t at, int value) {
    base::Buffer frame = frame_of(response);
    frame[kFrameHeaderBytes + at] = static_cast<std::byte>(value);
    return !decode_response(content_of(frame)).has_value();
  };
  CHECK(refused_response(BarrierOutcome{}, 17, 2));  // A step.
  CHECK(refused_response(BarrierOutcome{}, 18, 5));  // How it ended.
  CHECK_FALSE(refused_response(BarrierOutcome{}, 18, 4));
  Reply full;
  full.answer = Answer::full;
  CHECK_FALSE(refused_response(full, 9, 27));
  CHECK(refused_response(full, 9, 28));

  // A name over its limit, well-formed otherwise.
  base::Buffer content;
  base::ByteWriter writer(content);
  writer.u8(8);
  writer.u32(1);
  writer.bytes16(base::bytes_of(std::string(kLockspaceBytesMax + 1, 's')));
  writer.bytes16(base::bytes_of("r"));
  writer.u32(0);
  CHECK_FALSE(decode_request(content).has_value());
}

TEST_CASE("a list longer than its limit is refused before anything is reserved for it") {
  base::Buffer content;
  base::ByteWriter writer(content);
  writer.u8(70);
  writer.u32(1);
  writer.u8(0);
  writer.u8(0);
  writer.u64(0);
  writer.u16(0xffff);
  CHECK_FALSE(decode_response(content).has_value());
}

TEST_CASE("an outcome with too many deaths or members is refused") {
  const auto refused = [](std::size_t lost, std::size_t members) {
    base::Buffer content;
    base::ByteWriter writer(content);
    const auto processor = [&writer] {
      writer.u32(3);
      writer.u64(44);
    };
    writer.u8(94);
    writer.u64(7);  // Request, generation.
    writer.u64(4);
    writer.u8(0);  // Step, ending.
    writer.u8(1);
    writer.u64(5);  // Ring.
    writer.u32(1);
    writer.u64(6);
    writer.u64(8);  // Membership, losses.
    writer.u64(lost);
    writer.u16(static_cast<std::uint16_t>(lost));
    for (std::size_t i = 0; i < lost; ++i) {
      writer.u64(i);
      processor();
    }
    writer.u32(4096);
    writer.u16(static_cast<std::uint16_t>(members));
    for (std::size_t i = 0; i < members; ++i) {
      writer.u64(i);
      processor();
      writer.u16(0);
    }
    return !decode_response(content).has_value();
  };
  CHECK_FALSE(refused(kBarrierLostMax, kBarrierMembersMax));
  CHECK(refused(kBarrierLostMax + 1, 0));
  CHECK(refused(0, kBarrierMembersMax + 1));
}

TEST_CASE("a stream is cut into frames wherever its pieces end") {
  base::Buffer stream;
  std::vector<Request> sent = requests();
  for (const Request& request : sent) encode(request, stream);
  for (std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{100}, stream.size()}) {
    FrameCutter cutter(kRequestBytesMax);
    std::vector<Request> received;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      cutter.append(base::Bytes(stream).subspan(at, std::min(piece, stream.size() - at)));
      for (;;) {
        const auto content = cutter.next();
        REQUIRE(content.has_value());
        if (!*content) break;
        received.push_back(*decode_request(**content));
      }
    }
    CHECK(received == sent);
    CHECK(cutter.buffered() == 0);
  }
}

TEST_CASE("a frame without content, or over the limit, is refused by its length alone") {
  FrameCutter empty(kRequestBytesMax);
  empty.append(base::Buffer(4));
  CHECK(empty.next().error() == DecodeError::malformed);

  base::Buffer length;
  base::ByteWriter(length).u32(kRequestBytesMax + 1);
  FrameCutter longest(kRequestBytesMax);
  longest.append(length);
  CHECK(longest.next().error() == DecodeError::too_long);
  CHECK(longest.next().error() == DecodeError::too_long);
}
