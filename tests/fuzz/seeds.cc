// Writes inputs for each fuzz target, made by the real encoders, into folders named after the
// targets: a fuzzer that begins with nothing would take long to come past a version, a type and a
// count.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "evs/codec.h"
#include "evs/frame.h"
#include "evs/group_message.h"
#include "evs/net/handshake.h"
#include "evs/net/sealer.h"
#include "liblock/protocol/codec.h"
#include "lockd/payload_kind.h"
#include "lockd/ring_message.h"
#include "tests/fuzz/fake_aead.h"
#include "tests/fuzz/fuzz.h"

namespace {

using base::Buffer;

class Seeds {
 public:
  explicit Seeds(std::filesystem::path folder) : folder_(std::move(folder)) {}

  void write(const std::string& target, const Buffer& bytes) {
    const std::filesystem::path folder = folder_ / target;
    std::filesystem::create_directories(folder);
    std::ofstream out(folder / ("seed" + std::to_string(++written_)), std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
  }

 private:
  std::filesystem::path folder_;
  int written_ = 0;
};

constexpr base::RingId kRing{4, base::NodeId{1}, 7};
constexpr base::Processor kOne{base::NodeId{1}, base::Incarnation{10}};
constexpr base::Processor kTwo{base::NodeId{2}, base::Incarnation{11}};
constexpr base::Processor kThree{base::NodeId{3}, base::Incarnation{12}};

Buffer buffer(base::Bytes bytes) {
  return {bytes.begin(), bytes.end()};
}

Buffer text(const char* t) {
  return buffer(base::bytes_of(t));
}

void of_records(Seeds& seeds) {
  fuzz::FakeAead aead;
  const base::NodeId sender{2};
  evs::net::Salt salt{};
  salt.fill(std::byte{2});
  evs::net::Sealer sealer(aead, evs::net::ClusterKey{}, sender, salt);
  evs::net::Handshake handshake{base::NodeId{1}, {}, 1};
  handshake.challenger.fill(std::byte{1});

  // A ring message that waits for the proof, the answer that proves, and another message.
  Buffer row;
  fuzz::Output out(row);
  Buffer datagram;
  for (const auto type : {evs::net::RecordType::ring, evs::net::RecordType::challenge,
                          evs::net::RecordType::answer, evs::net::RecordType::ring}) {
    const Buffer plain = type == evs::net::RecordType::ring ? text("a message of the ring")
                                                            : buffer(evs::net::encode(handshake));
    sealer.seal(type, plain, datagram);
    seeds.write("record", datagram);
    out.u8(1).piece(datagram);
  }
  out.u8(10).piece(datagram);  // Again: a replay.
  seeds.write("record", row);
  seeds.write("record", buffer(evs::net::encode(handshake)));
}

std::vector<evs::Message> ring_messages() {
  evs::TokenMessage token;
  token.ring = kRing;
  token.hop = 1;
  token.sequence = 3;
  token.acknowledged = {2, 3};
  token.requests = {2};
  token.done = token.recovered = 3;
  evs::JoinMessage join;
  join.sender = kTwo;
  join.ring_sequence = 4;
  join.candidates = {{kOne, false}, {kTwo, false}, {kThree, true}};
  join.heard = {base::NodeId{1}};
  evs::CommitMessage commit;
  commit.ring = kRing;
  commit.members = {kOne, kTwo};
  commit.entries.resize(2);
  commit.entries[0] = {kRing, 3, 2, 1, true};

  evs::SendQueue queue(64 * 1024);
  queue.push(evs::Service::safe, text("short"));
  queue.push(evs::Service::safe, Buffer(90, std::byte{'x'}));
  evs::PacketMessage whole{kRing, 1, 1, true, false, queue.pack(60).payload};
  evs::PacketMessage second{kRing, 2, 1, true, false, queue.pack(100).payload};
  second.asks = true;
  evs::PacketMessage exchanged{kRing, 3, 0, false, true, evs::encode_exchange(whole)};
  return {
      token,
      evs::TokenReceiptMessage{kRing, 1},
      evs::WakeMessage{kRing},
      whole,
      second,
      exchanged,
      evs::AcknowledgementMessage{kRing, 2},
      join,
      commit,
      evs::PresenceMessage{kThree, {6, base::NodeId{3}, 9}, {base::NodeId{1}, base::NodeId{2}}}};
}

void of_the_ring(Seeds& seeds) {
  Buffer all;
  fuzz::Output row(all);
  Buffer payloads;
  fuzz::Output frames(payloads);
  for (const evs::Message& message : ring_messages()) {
    const Buffer bytes = evs::encode(message);
    seeds.write("ring_message", bytes);
    Buffer one;
    fuzz::Output(one).u8(6).piece(bytes).u8(0x3f).u8(0).u8(1).u8(50).u8(0x38);
    seeds.write("ring_node", one);
    row.u8(6).piece(bytes).u8(0x18);
    if (const auto* packet = std::get_if<evs::PacketMessage>(&message))
      frames.piece(packet->payload);
  }
  seeds.write("ring_node", all);
  Buffer loss;
  fuzz::Output out(loss);
  // Messages, a changed datagram, a lost one, and time until the token is missed.
  out.u8(2).piece(base::bytes_of("agreed")).u8(0x9a).piece(base::bytes_of("safe")).u8(0x38);
  out.u8(3).u8(30).u8(2).u8(1).u8(2).u8(3).u8(4).u8(0x38).u8(0x84);
  for (int i = 0; i < 20; ++i) out.u8(1).u8(100).u8(0x38);
  seeds.write("ring_node", loss);

  const base::GroupKey groups[] = {base::GroupKey{}, {{std::byte{'g'}}}};
  Buffer to_groups;
  evs::encode_group_message(groups, base::bytes_of("hello"), to_groups);
  evs::SendQueue queue(64 * 1024);
  queue.push(evs::Service::agreed, to_groups);
  while (!queue.empty()) frames.piece(queue.pack(50).payload);
  seeds.write("frames", payloads);
  Buffer both;
  fuzz::Output packed(both);
  packed.u8(2).piece(to_groups).u8(3).piece(base::bytes_of("safe")).u8(1).piece({});
  for (int i = 0; i < 10; ++i) packed.u8(130);
  seeds.write("frames", both);
}

std::vector<lockd::Command> commands() {
  using namespace lockd;
  const SessionId session{1};
  const Generation generation{1};
  const auto request = [&](std::uint64_t id) {
    return Request{session, generation, RequestId{id}, RequestId{0}};
  };
  Open open;
  open.number = OpenNumber{1};
  open.uid = 1000;
  open.program = "a program";
  std::vector<Command> all;
  for (Command::Body body : std::vector<Command::Body>{
           open,
           Acquire{request(1), "default", "jobs", dlm::Mode::ex, false},
           Acquire{request(2), "default", "jobs", dlm::Mode::pr, true},
           Acquire{request(3), "default", "jobs", dlm::Mode::cr, false},
           Cancel{request(4), RequestId{3}},
           Release{request(5), RequestId{1}, Token{2}},
           BarrierCreate{request(6), {"default", "b"}, {{2, {}, {}, true}, false, 500}},
           BarrierChange{request(7), {"default", "b"}, barrier::Attribute::patience, 600},
           BarrierArrive{request(8), {"default", "b"}, {}, {std::byte{1}}},
           BarrierArrive{
               request(9), {"default", "alone"}, BarrierSettings{{1, {}, {}, true}, true, 0}, {}},
           BarrierLeave{request(10), barrier::Generation{5}, {std::byte{2}}},
           BarrierAcknowledge{{{session, {barrier::Generation{5}, barrier::Step::enter}}}},
           BarrierTimeOut{{barrier::Generation{4}, barrier::Step::enter}},
           BarrierArrive{request(11), {"default", "b"}, {}, {}},
           BarrierWithdraw{request(12), {"default", "b"}, RequestId{11}},
           BarrierArrive{request(13), {"default", "b"}, {}, {}},
           BarrierCancel{request(14), {"default", "b"}},
           BarrierDelete{request(15), {"default", "b"}, true},
           Detached{session, generation},
           Resume{session, Generation{2}, {}, {}},
           Expire{{session, generation, kRing}},
           Purge{},
           ColdEnd{kRing},
           Close{session, Generation{2}}}) {
    all.push_back({kRing, std::move(body)});
  }
  return all;
}

std::vector<lockd::RingMessage> replica_messages() {
  using namespace lockd;
  Exchange exchange;
  exchange.record = RecordClaim{};
  exchange.record->attempts.resize(1);
  exchange.table = TableClaim{};
  exchange.table->departures = {{kThree, kRing}};
  exchange.delivered.resize(1);
  Activate activate;
  activate.number = 2;
  activate.donor = Label{};
  activate.departures = {{kThree, kRing}};
  activate.voters = {kOne, kTwo};
  std::vector<RingMessage> all;
  for (RingMessage::Body body : std::vector<RingMessage::Body>{
           exchange, Exchange{}, Persisted{5}, activate, Want{}, Want{Want::Rest{{kRing, 1}, 16}},
           Snapshot{1}, Chunk{{kRing, 1}, 2, true, 0, Buffer(32, std::byte{1})},
           Ready{{kRing, 1}, 2}, DigestVote{4, 5}, Raise{100}, Raised{100}}) {
    all.push_back({kRing, std::move(body)});
  }
  std::uint64_t number = 0;
  for (Command& command : commands()) all.push_back({kRing, Ordered{++number, std::move(command)}});
  return all;
}

void of_replicas(Seeds& seeds) {
  Buffer row;
  fuzz::Output out(row);
  for (const lockd::RingMessage& message : replica_messages()) {
    const Buffer bytes = lockd::encode(message);
    seeds.write("replica_message", bytes);
    Buffer one;
    fuzz::Output(one).u8(0x16).u8(4).piece(bytes).u8(7).u8(10);
    seeds.write("daemon", one);
    out.u8(4).piece(bytes);
  }
  seeds.write("daemon", row);

  // A table with a session, a holder, one who waits, an orphan: its image, and the commands.
  lockd::State state;
  state.start_cold(kRing, 1, {});
  lockd::Effects effects;
  Buffer with_commands;
  fuzz::Output on_empty(with_commands);
  on_empty.piece({});
  for (const lockd::Command& command : commands()) {
    Buffer bytes;
    lockd::encode(command, bytes);
    seeds.write("replica_message", bytes);
    on_empty.u8(0).piece(bytes);
    state.apply(kOne, command, effects);
    Buffer image;
    state.serialize(image);
    Buffer input;
    fuzz::Output(input).piece(image).u8(0).piece(bytes).u8(0).piece({});
    seeds.write("snapshot", input);
  }
  seeds.write("snapshot", with_commands);
}

// The content of a frame.
template <typename Message>
Buffer content(const Message& message) {
  Buffer frame;
  liblock::protocol::encode(message, frame);
  return buffer(base::Bytes(frame).subspan(liblock::protocol::kFrameHeaderBytes));
}

void of_requests(Seeds& seeds) {
  using namespace liblock::protocol;
  const base::Instant stamp{std::chrono::seconds(1000), std::chrono::seconds(900)};
  const GroupKey group{};
  Hello query;
  Hello open;
  open.kind = HelloKind::open;
  open.command = "fuzz";
  open.stamp = stamp;
  Hello resume = open;
  resume.kind = HelloKind::resume;
  resume.resume.session = SessionId{1};
  Hello evs;
  evs.kind = HelloKind::evs;
  BarrierConfig two_steps;
  two_steps.parties = 1;
  two_steps.two_steps = true;
  const std::vector<std::vector<Request>> conversations = {
      {query, List{1, "default", "", 0}, Show{2, "default", "jobs", 0}, StatusQuery{3},
       MembersQuery{4}, RingLogQuery{5, 6}, DeadlockQuery{7, 0}, LockspacesQuery{8, "a"}},
      {open, Watch{1, kAllWatchEvents, "default", "j", true},
       Acquire{RequestId{1}, RequestId{0}, stamp, Mode::ex, 0, 1, 0, "default", "jobs"},
       Release{RequestId{2}, RequestId{1}, stamp, RequestId{1}, Token{2}, 0, {}},
       Watch{2, 0, "", "", false}, Close{}},
      {open, Acquire{RequestId{1}, RequestId{0}, stamp, Mode::ex, 0, 1, 0, "default", "jobs"},
       Acquire{RequestId{2}, RequestId{0}, stamp, Mode::pr, 0x1000008, 2, 50, "default", "jobs"},
       Cancel{RequestId{3}, RequestId{0}, stamp, RequestId{2}}, Keepalive{RequestId{0}, stamp},
       Release{RequestId{4}, RequestId{1}, stamp, RequestId{1}, Token{2}, 0, {}}, Close{}},
      {open, JoinLockspace{RequestId{1}, RequestId{0}, stamp, JoinKind::create, 0640, "default"},
       AcquireAll{RequestId{2},
                  RequestId{0},
                  stamp,
                  0,
                  1,
                  50,
                  {{Mode::ex, "default", "a"}, {Mode::pr, "default", "b"}}},
       Convert{RequestId{4}, RequestId{0}, stamp, RequestId{2}, Mode::nl, 0x8, 0,
               base::ValueBlock{}},
       Convert{RequestId{5}, RequestId{0}, stamp, RequestId{3}, Mode::ex, 0x40, 50, {}},
       Release{RequestId{6}, RequestId{0}, stamp, RequestId{3}, Token{2}, 0x20008,
               base::ValueBlock{}},
       DropOrphans{RequestId{7}, RequestId{0}, stamp, NodeId{1}, 2},
       LeaveLockspace{RequestId{8}, RequestId{0}, stamp, true, "default"}},
      {open, BarrierCreate{RequestId{1}, RequestId{0}, stamp, "default", "loaded", two_steps},
       BarrierArrive{RequestId{2}, RequestId{1}, stamp, "default", "loaded", two_steps, "value"},
       BarriersQuery{1, "", "", ""}, BarrierMore{BarrierGeneration{2}, BarrierStep::enter, {}},
       BarrierConfirm{BarrierGeneration{2}, BarrierStep::enter},
       BarrierLeave{RequestId{3}, RequestId{2}, stamp, BarrierGeneration{2}, "value"},
       BarrierDelete{RequestId{4}, RequestId{3}, stamp, "default", "loaded", true}},
      {open,
       BarrierArrive{RequestId{1}, RequestId{0}, stamp, "default", "loaded", two_steps, "value"},
       BarrierArrive{RequestId{2}, RequestId{1}, stamp, "default", "other", {}, ""},
       BarrierWithdraw{RequestId{3}, RequestId{2}, stamp, "default", "loaded", RequestId{1}},
       BarrierChange{RequestId{4}, RequestId{3}, stamp, "default", "loaded",
                     BarrierAttribute::parties, 1},
       BarrierCancel{RequestId{5}, RequestId{4}, stamp, "default", "loaded"}, Close{}},
      {resume, Keepalive{RequestId{0}, stamp}},
      {evs, EvsJoin{1, {group}}, EvsMulticast{Guarantee::safe, {group}, text("hello")},
       EvsLeave{2, {group}}}};
  for (const auto& conversation : conversations) {
    Buffer whole;
    fuzz::Output out(whole);
    for (const Request& request : conversation) {
      const Buffer bytes = content(request);
      seeds.write("client_request", bytes);
      out.u8(0).piece(bytes);
    }
    out.u8(2).u8(0x87).u8(200);
    seeds.write("daemon", whole);
  }
}

// An arrival at a barrier with two steps, and all that can be told of it.
void of_barriers(Seeds& seeds, const liblock::protocol::Welcome& welcome) {
  using namespace liblock::protocol;
  const Reply arrived{RequestId{1}, Answer::arrived, Mode::nl, Token{0}, 0, {}, welcome.note, ""};
  const Reply too_late{RequestId{2}, Answer::too_late, Mode::nl, Token{0}, 0, {}, welcome.note, ""};
  BarrierOutcome first;
  first.request = RequestId{1};
  first.generation = BarrierGeneration{5};
  first.ring = kRing;
  first.members_total = 2;
  first.members = {{SessionId{1}, kOne, "value"}};
  BarrierOutcome rest = first;
  rest.members = {{SessionId{2}, kTwo, ""}};
  BarrierOutcome broken = first;
  broken.request = {};
  broken.step = BarrierStep::leave;
  broken.ending = BarrierEnding::participant_died;
  broken.losses = 1;
  broken.lost = {{SessionId{2}, kTwo}};
  broken.members_total = 1;
  Buffer whole;
  fuzz::Output out(whole);
  const auto say = [&out](const Response& response) { out.u8(0).piece(content(response)); };
  out.u8(0).u8(0);
  out.u8(8).u8(192).u8(17);
  for (const Response& response : {Response(welcome), Response(arrived), Response(first)}) {
    seeds.write("client_response", content(response));
    say(response);
    seeds.write("client_machine", whole);
  }
  out.u8(8 + 3).u8(192).u8(0);
  for (const Response& response :
       {Response(too_late), Response(rest), Response(broken), Response(rest), Response(broken)}) {
    seeds.write("client_response", content(response));
    say(response);
    seeds.write("client_machine", whole);
  }
  Buffer leaves = whole;
  fuzz::Output(leaves).u8(8 + 2).u8(192).u8(5).u8(8 + 4).u8(192).u8(3).u8(7).u8(200);
  seeds.write("client_machine", leaves);
  BarriersPage page{1, true, false, {}};
  page.items = {{"default", "loaded", {}, BarrierRound{BarrierGeneration{5}, 1, 1}, {}}};
  seeds.write("client_response", content(Response(page)));
}

void of_responses(Seeds& seeds) {
  using namespace liblock::protocol;
  const LeaseNote note{{std::chrono::seconds(1000), std::chrono::seconds(900)},
                       std::chrono::seconds(1)};
  Welcome welcome;
  welcome.session = SessionId{1};
  welcome.generation = 1;
  welcome.lease = std::chrono::seconds(2);
  welcome.primary = true;
  welcome.note = note;
  of_barriers(seeds, welcome);
  const Reply granted{RequestId{1}, Answer::granted, Mode::ex, Token{2}, 0, {}, note, ""};
  const Reply limit{RequestId{1}, Answer::limit, Mode::nl, Token{0}, 0, {}, note, "advice"};
  const Reply converted{
      RequestId{2}, Answer::granted, Mode::pr, Token{3}, 4, base::ValueBlock{}, note, ""};
  const Reply done{RequestId{2}, Answer::done, Mode::nl, Token{0}, 0, {}, note, ""};
  const LockRef ref{SessionId{1}, RequestId{1}, NodeId{1}, 100, "a command"};
  const Deadlock deadlock{RequestId{2}, {{ref, Mode::ex, ref, Mode::pr, "default", "jobs"}}};
  const LockspaceState lockspace{"default", 2, false, {{NodeId{1}, 1}}, {{NodeId{2}, 2}}};
  Status status;
  status.cluster = "c";
  status.counters = {{"name", 1}};
  EvsConfiguration configuration;
  configuration.ring = kRing;
  configuration.members = configuration.joined = {kOne, kTwo};
  EvsDelivery delivery;
  delivery.sender = kTwo;
  delivery.groups = {GroupKey{}};
  delivery.payload = text("hello");
  ListPage list;
  list.items = {{"default", "jobs", 1, 1, Mode::ex, Token{2}, NodeId{1}, false, "a command"}};
  ShowPage show;
  show.locks.resize(1);
  Members members;
  members.members.resize(1);
  const Response of_locks[] = {
      welcome,
      granted,
      converted,
      Blocks{RequestId{1}, Token{2}, Mode::ex},
      deadlock,
      done,
      lockspace,
      State{true, 1, note},
      limit,
      Lost{LostReason::expired},
      list,
      show,
      status,
      members,
      DeadlockAnswer{1, true, SessionId{1}, RequestId{2}, deadlock.steps},
      LockspacesPage{1, false, false, {{lockspace, 1, 2, 0640}}},
      WatchGap{1, true, 0},
      LockWatched{1, WatchedEvent::waits, 9, "default", "jobs", Mode::pr, Mode::ex, Token{5},
                  Answer::queued, SessionId{6}, RequestId{7}, NodeId{3}, 100, 200, "a command"},
      DeadlockWatched{1, 9, SessionId{1}, RequestId{2}, deadlock.steps},
      SessionWatched{1, 9, SessionChange::orphaned, SessionId{6}, NodeId{3}, 100, 200, "a command"},
      LockspaceWatched{1, 9, lockspace},
      ConfigurationWatched{1, 9, false, kRing, {NodeId{1}}, {}, {}},
      QuorumWatched{1, 9, true, "active", 4, 2, 3},
      Refused{Refusal::session_lost, "advice"}};
  const Response of_groups[] = {
      EvsWelcome{kVersion, kOne, kEvsWindow}, configuration, EvsDone{1}, delivery, EvsCredit{133},
      Refused{Refusal::too_slow, "advice"}};
  Buffer locks;
  fuzz::Output to_locks(locks);
  to_locks.u8(0).u8(0).u8(4);
  for (const Response& response : of_locks) {
    const Buffer bytes = content(response);
    seeds.write("client_response", bytes);
    to_locks.u8(0).piece(bytes);
    Buffer after_welcome;
    fuzz::Output(after_welcome).u8(0).u8(0).u8(4).u8(0).piece(content(Response(welcome)));
    Buffer after_grant = after_welcome;
    fuzz::Output to_holder(after_grant);
    to_holder.u8(0).piece(content(Response(granted)));
    to_holder.u8(8 + 2).u8(3).u8(0x8);
    to_holder.u8(8 + 4).u8(3).u8(0x8);
    to_holder.u8(0).piece(bytes).u8(8 + 3).u8(2).u8(7).u8(100).u8(4);
    seeds.write("client_machine", after_grant);
    fuzz::Output(after_welcome).u8(6).u8(1).u8(0).piece(bytes).u8(5).u8(7).u8(100).u8(4);
    seeds.write("client_machine", after_welcome);
  }
  seeds.write("client_machine", locks);
  Buffer groups;
  fuzz::Output to_groups(groups);
  to_groups.u8(1);
  for (const Response& response : of_groups) {
    const Buffer bytes = content(response);
    seeds.write("client_response", bytes);
    to_groups.u8(0).piece(bytes).u8(6).u8(5).piece(base::bytes_of("hello"));
  }
  seeds.write("client_machine", groups);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr,
                 "fuzz_seeds FOLDER: writes inputs to begin with, a folder for each target\n");
    return 2;
  }
  Seeds seeds(argv[1]);
  of_records(seeds);
  of_the_ring(seeds);
  of_replicas(seeds);
  of_requests(seeds);
  of_responses(seeds);
  return 0;
}
