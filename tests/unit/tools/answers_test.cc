#include "tools/lockctl/answers.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tools/lockctl/json.h"
#include "tools/lockctl/text.h"

using namespace tools::lockctl;
using nlohmann::json;

namespace {

Listing two_locks() {
  Listing listing;
  listing.locks.resize(2);
  listing.locks[0] = {"default", "db/migrate", "EX", 1, 2, 4711, 3, false, "sleep 5"};
  listing.locks[1] = {"default", std::string("\x1b\xff", 2), "", 0, 1, 0, 0, false, ""};
  return listing;
}

}  // namespace

TEST_CASE("a listing is a table, and bytes that could hurt a terminal are escaped") {
  CHECK(text_of(two_locks()) ==
        "NAME        MODE  HELD  WAITING  TOKEN  NODE  COMMAND\n"
        "db/migrate  EX    1     2        4711   3     sleep 5\n"
        "\\x1b\\xff    -     0     1        -      -\n");
  CHECK(text_of(Listing{}) == "No locks.\n");
}

TEST_CASE("another lockspace than the default one gets a column") {
  Listing listing = two_locks();
  listing.locks[0].lockspace = "web";
  CHECK(text_of(listing).find("LOCKSPACE  NAME") == 0);
}

TEST_CASE("answers without a quorum say that they are old") {
  Listing listing = two_locks();
  listing.stale = true;
  CHECK(text_of(listing).find("This daemon has no quorum") == 0);
  CHECK(json::parse(json_of(listing))["stale"] == true);
}

TEST_CASE("the status says in its first line whether locks are granted here") {
  FullStatus full;
  Status& status = full.status;
  status.cluster = "demo";
  status.node = 2;
  status.state = "active";
  status.primary = true;
  status.voter = true;
  status.ring_nonce = 0xfedcba9876543210;
  status.counters = {{"datagrams_dropped", 3}};
  CHECK(text_of(full).find("node 2 of cluster demo: active, in the primary component\n") == 0);
  const json answer = json::parse(json_of(full));
  CHECK(answer["primary"] == true);
  CHECK(answer["ring"]["nonce"] == "fedcba9876543210");
  CHECK(answer["counters"]["datagrams_dropped"] == 3);
  status.primary = false;
  CHECK(text_of(full).find(", no quorum\n") != std::string::npos);
}

namespace {

FullStatus a_ring() {
  FullStatus full;
  full.status.counters = {{"activations", 4},
                          {"ring_token_losses", 1},
                          {"ring_token_retransmissions", 6},
                          {"ring_packets_sent", 900},
                          {"ring_packets_retransmitted", 7}};
  RingStatus& ring = full.ring;
  ring.state = "operational";
  ring.id = {16, 1, 0xab};
  ring.rotation = std::chrono::microseconds(150);
  ring.rotation_average = std::chrono::microseconds(210);
  ring.rotation_longest = std::chrono::milliseconds(3);
  ring.highest = 40;
  ring.received = 39;
  ring.stable = 30;
  ring.delivered = 38;
  ring.stored = 10;
  ring.waiting_messages = 2;
  ring.waiting_bytes = 300;
  ring.waiting_bytes_max = 4000;
  ring.waiting_datagrams = 1;
  ring.personal_window = 41;
  ring.rotation_window = 121;
  ring.accelerated_window = 21;
  ring.outstanding_max = 1025;
  ring.peers = {{1, true, 0xaa, 39, false, {}, false, 1},
                {2, false, 0xbb, 30, true, std::chrono::milliseconds(5), false, 2},
                {3, false, 0, 0, true, std::chrono::seconds(2), true, 0}};
  return full;
}

}  // namespace

TEST_CASE("the status tells how the ring is in a few lines") {
  const std::string text = text_of(a_ring());
  for (const char* line :
       {"ring      16.1:ab, operational: nodes 1 2, without 3\n",
        "token     210us a rotation, the longest 3ms\n",
        "lost      1 token; sent again 6 tokens and 7 packets of 900\n",
        "windows   41 packets a visit, 21 of them after the token; 121 a rotation, 1025 that not "
        "all have\n",
        "queues    2 messages (300 bytes) for the token, 1 datagram for the socket; 10 packets "
        "kept\n",
        "keys      1: nodes 1; 2: nodes 2; not heard: 3\n"}) {
    CAPTURE(text);
    CHECK(text.find(line) != std::string::npos);
  }
  CHECK(text.find("activations") == std::string::npos);
  FullStatus forming = a_ring();
  forming.ring.state = "gather";
  forming.counters = true;
  CHECK(text_of(forming).find("token     none: a new ring is being formed\n") != std::string::npos);
  CHECK(text_of(forming).find("activations                 4\n") != std::string::npos);
}

TEST_CASE("the ring in detail is a line for each node, and the counters of the ring") {
  FullStatus full = a_ring();
  full.only_ring = true;
  const std::string text = text_of(full);
  CAPTURE(text);
  CHECK(text.find("order    packets to 40 known, 39 received, 38 delivered, 30 stable\n") !=
        std::string::npos);
  CHECK(text.find("NODE          STATE   ACKNOWLEDGED  BEHIND  HEARD    KEY  INCARNATION\n"
                  "1 (this one)  member  39            1       -        1    aa\n"
                  "2             member  30            10      5ms ago  2    bb\n"
                  "3             barred  -             -       2s ago   -    -\n") !=
        std::string::npos);
  CHECK(text.find("ring_token_losses") != std::string::npos);
  CHECK(text.find("activations") == std::string::npos);
}

TEST_CASE("programs get all of the ring's state, and null for what is not known") {
  const json told = json::parse(json_of(a_ring()));
  CHECK(told["ring_state"] == "operational");
  CHECK(told["token"]["rotation_average_seconds"] == 0.00021);
  CHECK(told["order"]["stable"] == 30);
  CHECK(told["windows"]["accelerated"] == 21);
  CHECK(told["queues"]["bytes_max"] == 4000);
  CHECK(told["queues"]["packets_stored"] == 10);
  CHECK(told["peers"][1]["incarnation"] == "00000000000000bb");
  CHECK(told["peers"][1]["heard_seconds_ago"] == 0.005);
  CHECK(told["peers"][0]["heard_seconds_ago"].is_null());
  CHECK(told["peers"][2]["member"] == false);
  CHECK(told["peers"][2]["acknowledged"].is_null());
  CHECK(told["peers"][2]["key"].is_null());
  CHECK(told["peers"][2]["barred"] == true);
}

TEST_CASE("what happened to the ring is a line each, and what came again is counted") {
  RingLog log;
  CHECK(text_of(log) == "Nothing.\n");
  log.events = {{7, std::chrono::seconds(5), {}, 1, "token_lost", {16, 1, 3}, 3, "none for 300ms"},
                {8,
                 std::chrono::milliseconds(4600),
                 std::chrono::seconds(2),
                 11,
                 "stranger_barred",
                 {20, 2, 4},
                 0,
                 "a\x1b"}};
  CHECK(text_of(log) ==
        "AGO   RING  EVENT                            TIMES\n"
        "5s    16.1  token_lost       none for 300ms\n"
        "4.6s  20.2  stranger_barred  a\\x1b           11 in 2s\n");
  const json told = json::parse(json_of(log))["events"];
  CHECK(told[0]["number"] == 7);
  CHECK(told[0]["seconds_ago"] == 5.0);
  CHECK(told[0]["node"] == 3);
  CHECK(told[0]["ring"]["sequence"] == 16);
  CHECK(told[1]["times"] == 11);
  CHECK(told[1]["lasted_seconds"] == 2.0);
  CHECK(told[1]["node"].is_null());
}

TEST_CASE("why the ring changed is told in sentences") {
  Reasons reasons;
  CHECK(text_of(reasons) == "Nothing has changed since this daemon started: it is alone.\n");
  CHECK(json::parse(json_of(reasons))["changes"].empty());
  Why again;
  again.ring = {20, 2, 4};
  again.ago = std::chrono::seconds(12);
  again.nodes = {1, 2};
  again.trigger = "the token did not come for 300ms";
  Why fewer = again;
  fewer.ring.sequence = 16;
  fewer.took = std::chrono::milliseconds(700);
  fewer.changes = {{{3, 0xab}, false, "it said so"}, {{2, 0xcd}, true, "it is back"}};
  reasons.changes = {again, fewer};
  CHECK(text_of(reasons) ==
        "ring 20.2, formed 12s ago: nodes 1 2\n"
        "the ring before ended: the token did not come for 300ms\n"
        "nobody left, and nobody came\n"
        "\n"
        "ring 16.2, formed 12s ago in 700ms: nodes 1 2\n"
        "the ring before ended: the token did not come for 300ms\n"
        "node 3 left: it said so\n"
        "node 2 came: it is back\n");
  const json told = json::parse(json_of(reasons))["changes"];
  CHECK(told[0]["took_seconds"].is_null());
  CHECK(told[0]["members"].empty());
  CHECK(told[1]["took_seconds"] == 0.7);
  CHECK(told[1]["nodes"] == json::array({1, 2}));
  CHECK(told[1]["members"][0]["change"] == "left");
  CHECK(told[1]["members"][0]["incarnation"] == "00000000000000ab");
  CHECK(told[1]["members"][1]["change"] == "came");
  CHECK(told[1]["members"][1]["why"] == "it is back");
}

TEST_CASE("members are listed with this one marked") {
  Member member;
  member.node = 1;
  member.self = true;
  member.state = "active";
  member.votes = 1;
  member.address = "127.0.0.1:7001";
  CHECK(text_of(std::vector<Member>{member}).find("1 (this one)  active  1      127.0.0.1:7001") !=
        std::string::npos);
  CHECK(json::parse(json_of(std::vector<Member>{member}))["members"][0]["self"] == true);
}

TEST_CASE("every JSON answer is one line, whatever bytes are in it") {
  Listing listing = two_locks();
  listing.locks[0].command = std::string("a\nb\xff\"", 5);
  const std::string line = json_of(listing);
  CHECK(line.find('\n') == line.size() - 1);
  CHECK(json::parse(line)["locks"][0]["command"] == "a\\x0ab\\xff\"");
  RunReport report;
  report.name = "jobs";
  report.token = 18446744073709551615u;
  report.exit_code = 79;
  report.lost = true;
  CHECK(json::parse(json_of(report))["token"] == 18446744073709551615u);
  CHECK(json::parse(json_of(Failure{75, "busy"})) == json{{"error", "busy"}, {"exit_code", 75}});
}

TEST_CASE("a message to groups is one line, and safe to print") {
  EvsMessage message{{2, 0xabc}, {16, 1, 0x1f}, 23, 4, "safe", {"chat", "b"}, "hello\n\x1b"};
  CHECK(text_of(message) == "message 23.4 from node 2 to chat b, safe: hello\\x0a\\x1b\n");
  const json told = json::parse(json_of(message));
  CHECK(told["type"] == "message");
  CHECK(told["sender"]["incarnation"] == "0000000000000abc");
  CHECK(told["ring"]["nonce"] == "000000000000001f");
  CHECK(told["sequence"] == 23);
  CHECK(told["index"] == 4);
  CHECK(told["groups"] == json::array({"chat", "b"}));
  CHECK(told["message"] == "hello\\x0a\\x1b");
  CHECK(told["escaped"] == true);
  message.bytes = "plain";
  CHECK(json::parse(json_of(message))["escaped"] == false);
}

TEST_CASE("a configuration says who is there, who left and who joined") {
  EvsConfiguration change{true, {17, 2, 5}, {{2, 7}, {3, 8}}, {{1, 6}}, {}};
  CHECK(text_of(change) == "transitional 17.2: nodes 2 3, left 1\n");
  const json told = json::parse(json_of(change));
  CHECK(told["kind"] == "transitional");
  CHECK(told["left"][0]["node"] == 1);
  CHECK(told["joined"].empty());
  change = {false, {20, 2, 5}, {{1, 9}, {2, 7}}, {}, {{1, 9}}};
  CHECK(text_of(change) == "regular 20.2: nodes 1 2, joined 1\n");
  CHECK(text_of(EvsMembers{{2, 7}, change}) ==
        "ring 20.2\nNODE          INCARNATION\n1             9\n2 (this one)  7\n");
}
