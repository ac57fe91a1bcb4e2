// A ring that is whole: order, loss, the idle token, and what the token proves.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "base/random.h"
#include "evs/frame.h"
#include "tests/unit/evs/test_ring.h"

namespace evs {
namespace {

using std::chrono::milliseconds;

std::vector<Number> first_numbers(Number count) {
  std::vector<Number> numbers;
  for (Number number = 1; number <= count; ++number) numbers.push_back(number);
  return numbers;
}

// A ring of all, formed and idle.
void form(TestRing& ring) {
  const auto numbers = first_numbers(static_cast<Number>(ring.config.nodes.size()));
  ring.start_all();
  REQUIRE(ring.run_until([&] { return ring.formed(numbers); }));
  ring.run_for(milliseconds(500));
  REQUIRE(ring.formed(numbers));
}

bool is_token(const Message& message) {
  return std::holds_alternative<TokenMessage>(message);
}

bool is_packet(const Message& message) {
  return std::holds_alternative<PacketMessage>(message);
}

using Place = std::tuple<RingId, std::uint64_t, std::uint32_t, Processor, Service, Buffer>;

std::vector<Place> places(TestRing& ring, Number number) {
  std::vector<Place> found;
  for (const Delivery& d : ring.deliveries(number)) {
    found.emplace_back(d.ring, d.sequence, d.index, d.sender, d.service, d.payload);
  }
  return found;
}

TEST_CASE("nodes that start alone form one ring") {
  for (Number count : {2U, 3U, 5U, 8U, 32U}) {
    CAPTURE(count);
    TestRing ring(count);
    ring.start_all();
    CHECK(ring.changes(1).size() == 1);  // Each starts in a ring of its own.
    CHECK(ring.run_until([&] { return ring.formed(first_numbers(count)); }));
  }
}

TEST_CASE("a ring of one numbers, delivers and rests") {
  TestRing ring(1);
  ring.start_all();
  CHECK(ring.formed({1}));
  REQUIRE(ring.multicast(1, Service::agreed, "agreed"));
  REQUIRE(ring.multicast(1, Service::safe, "safe"));
  CHECK(ring.texts(1) == std::vector<std::string>{"agreed", "safe"});
  CHECK(ring.node(1).next_timeout().has_value());
  const std::uint64_t before = ring.node(1).statistics().tokens_accepted;
  ring.run_for(std::chrono::seconds(1));
  CHECK(ring.node(1).statistics().tokens_accepted - before <= 40);
  CHECK(ring.node(1).evidence().last_receipt.boot >= ring.now().boot - ring.config.token_hold_max);
  CHECK(ring.changes(1).size() == 1);
}

TEST_CASE("agreed and safe messages are delivered in one order by all, whatever is lost") {
  for (std::uint64_t loss : {0U, 10U, 30U}) {
    CAPTURE(loss);
    TestRing ring(4);
    form(ring);
    base::Random random(loss + 1);
    ring.fate = [&](Number, Number, const Message&) {
      return random.chance(loss, 100) ? Fate::drop : Fate::deliver;
    };
    std::size_t sent = 0;
    for (int burst = 0; burst < 40; ++burst) {
      for (Number number = 1; number <= 4; ++number) {
        for (std::uint64_t i = random.below(4); i > 0; --i) {
          const Service service{static_cast<std::uint8_t>(random.below(4))};
          const std::string text = std::to_string(number) + "/" + std::to_string(sent);
          REQUIRE(ring.multicast(number, service, text + std::string(random.below(3000), '.')));
          ++sent;
        }
      }
      ring.run_for(milliseconds(random.below(10)));
    }
    const bool all_here = ring.run_until(
        [&] {
          return std::all_of(
              ring.config.nodes.begin(), ring.config.nodes.end(),
              [&](base::NodeId id) { return ring.deliveries(base::value(id)).size() == sent; });
        },
        std::chrono::seconds(60));
    REQUIRE(all_here);
    const auto order = places(ring, 1);
    for (Number number = 2; number <= 4; ++number) CHECK(places(ring, number) == order);
    for (std::size_t i = 1; i < order.size(); ++i) {
      const auto place = [&](std::size_t k) {
        return std::pair(std::get<1>(order[k]), std::get<2>(order[k]));
      };
      if (std::get<0>(order[i]) == std::get<0>(order[i - 1])) CHECK(place(i - 1) < place(i));
    }
  }
}

TEST_CASE("each member's messages are delivered in the order it sent them") {
  TestRing ring(3);
  form(ring);
  for (int i = 0; i < 200; ++i) {
    for (Number number = 1; number <= 3; ++number) {
      const Service service = i % 3 == 0 ? Service::safe : Service::fifo;
      REQUIRE(ring.multicast(number, service, std::to_string(i)));
    }
  }
  REQUIRE(ring.run_until([&] { return ring.deliveries(2).size() == 600; }));
  std::map<Number, int> next;
  for (const Delivery& delivery : ring.deliveries(2)) {
    CHECK(base::text_of(delivery.payload) ==
          std::to_string(next[base::value(delivery.sender.node)]++));
  }
}

TEST_CASE("a safe message, and what follows it, waits until all have acknowledged it") {
  TestRing ring(3);
  form(ring);
  const RingId before = ring.node(1).regular().id;
  bool to_three = false;
  ring.fate = [&](Number, Number to, const Message& message) {
    return is_packet(message) && to == 3 && !to_three ? Fate::drop : Fate::deliver;
  };
  REQUIRE(ring.multicast(1, Service::agreed, "before"));
  REQUIRE(ring.multicast(1, Service::safe, "safe"));
  REQUIRE(ring.multicast(1, Service::agreed, "after"));
  ring.run_for(milliseconds(500));
  CHECK(ring.texts(1) == std::vector<std::string>{"before"});
  CHECK(ring.texts(2) == std::vector<std::string>{"before"});
  CHECK(ring.texts(3).empty());
  to_three = true;
  REQUIRE(ring.run_until([&] {
    return ring.delivered(1, "after") && ring.delivered(2, "after") && ring.delivered(3, "after");
  }));
  CHECK(ring.texts(3) == std::vector<std::string>{"before", "safe", "after"});
  CHECK(ring.texts(1) == ring.texts(3));
  CHECK(ring.formed({1, 2, 3}));
  CHECK(ring.node(1).regular().id == before);
}

// Looks at the instant of the delivery, when every other member must hold the message already.
TEST_CASE("at the instant of a safe delivery every member has received the message") {
  TestRing ring(3);
  form(ring);
  base::Random random(5);
  std::map<Number, bool> received;
  ring.fate = [&](Number, Number, const Message& message) {
    return is_packet(message) && random.chance(1, 2) ? Fate::drop : Fate::deliver;
  };
  ring.heard = [&](Number, Number to, const Message& message) {
    if (is_packet(message)) received[to] = true;
  };
  for (int round = 0; round < 20; ++round) {
    CAPTURE(round);
    const std::string text = std::to_string(round);
    received.clear();
    received[2] = true;  // It sends it.
    REQUIRE(ring.multicast(2, Service::safe, text));
    REQUIRE(ring.run_until([&] {
      return ring.delivered(1, text) || ring.delivered(2, text) || ring.delivered(3, text);
    }));
    CHECK(received.size() == 3);
    REQUIRE(ring.run_until([&] {
      return ring.delivered(1, text) && ring.delivered(2, text) && ring.delivered(3, text);
    }));
    ring.run_for(milliseconds(300));
  }
}

TEST_CASE("a lost packet is requested and sent again") {
  TestRing ring(3);
  form(ring);
  int lost = 0;
  ring.fate = [&](Number, Number to, const Message& message) {
    return is_packet(message) && to == 2 && lost++ == 0 ? Fate::drop : Fate::deliver;
  };
  const RingId before = ring.node(1).regular().id;
  REQUIRE(ring.multicast(1, Service::agreed, "lost once"));
  REQUIRE(ring.run_until([&] { return ring.delivered(2, "lost once"); }, milliseconds(50)));
  CHECK(ring.node(1).statistics().packets_retransmitted +
            ring.node(3).statistics().packets_retransmitted ==
        1);
  CHECK(ring.node(1).regular().id == before);
}

TEST_CASE("a lost token is sent again by the same bytes, and the ring stands") {
  TestRing ring(3);
  form(ring);
  const RingId before = ring.node(1).regular().id;
  std::vector<Buffer> passes;
  std::uint64_t lost_hop = 0;
  ring.fate = [&](Number from, Number, const Message& message) {
    const auto* token = std::get_if<TokenMessage>(&message);
    if (token == nullptr || from != 1) return Fate::deliver;
    if (lost_hop == 0) lost_hop = token->hop;
    if (token->hop == lost_hop) passes.push_back(encode(message));
    return token->hop == lost_hop && passes.size() <= 3 ? Fate::drop : Fate::deliver;
  };
  ring.run_for(std::chrono::seconds(1));
  CHECK(passes.size() >= 4);
  for (const Buffer& pass : passes) CHECK(pass == passes.front());
  CHECK(ring.node(1).statistics().token_retransmissions >= 3);
  CHECK(ring.node(1).regular().id == before);
  CHECK(ring.formed({1, 2, 3}));
}

TEST_CASE("a copy of a token is refused, and answered by a receipt if it is the last one") {
  TestRing ring(3);
  form(ring);
  std::vector<Buffer> tokens;
  int receipts = 0;
  ring.fate = [&](Number from, Number to, const Message& message) {
    if (is_token(message) && from == 1) tokens.push_back(encode(message));
    if (const auto* receipt = std::get_if<TokenReceiptMessage>(&message)) {
      if (from == 2 && to == 1 && !tokens.empty()) {
        CHECK(receipt->hop == std::get<TokenMessage>(*decode(tokens.back())).hop);
        ++receipts;
      }
    }
    return Fate::deliver;
  };
  REQUIRE(ring.run_until([&] { return tokens.size() == 3; }));
  ring.run_for(milliseconds(5));
  REQUIRE(tokens.size() == 3);
  const std::uint64_t accepted = ring.node(2).statistics().tokens_accepted;
  const std::uint64_t refused = ring.node(2).statistics().tokens_refused;
  receipts = 0;
  ring.inject(1, 2, tokens[2]);
  CHECK(receipts == 1);
  ring.inject(1, 2, tokens[1]);  // An older one is answered by nothing.
  ring.inject(3, 2, tokens[2]);  // Nor is one that does not come from the predecessor.
  CHECK(receipts == 1);
  CHECK(ring.node(2).statistics().tokens_refused == refused + 3);
  CHECK(ring.node(2).statistics().tokens_accepted == accepted);
}

TEST_CASE("tokens that cannot be true are refused") {
  TestRing ring(3);
  form(ring);
  std::optional<TokenMessage> last;
  ring.fate = [&](Number from, Number, const Message& message) {
    if (is_token(message) && from == 1) last = std::get<TokenMessage>(message);
    return Fate::deliver;
  };
  REQUIRE(ring.run_until([&] { return last.has_value(); }));
  ring.run_for(milliseconds(5));
  TokenMessage next = *last;
  next.hop += 3;
  const auto refuses = [&](const TokenMessage& token) {
    const std::uint64_t before = ring.node(2).statistics().tokens_refused;
    ring.inject(1, 2, encode(token));
    return ring.node(2).statistics().tokens_refused == before + 1;
  };
  TokenMessage wrong = next;
  ++wrong.ring.nonce;
  CHECK(refuses(wrong));
  wrong = next;
  ++wrong.hop;  // Not the predecessor's hop.
  CHECK(refuses(wrong));
  wrong = next;
  wrong.acknowledged.push_back(0);
  CHECK(refuses(wrong));
  wrong = next;
  ++wrong.acknowledged[1];  // Only the owner speaks for itself.
  ++wrong.sequence;
  CHECK(refuses(wrong));
  wrong = next;
  wrong.acknowledged[0] = wrong.sequence + 1;  // Acknowledges what was never numbered.
  CHECK(refuses(wrong));
  wrong = next;
  wrong.requests = {wrong.sequence + 1};
  CHECK(refuses(wrong));
  CHECK_FALSE(refuses(next));
}

TEST_CASE(
    "an idle ring rests: one rotation per hold, and nothing is sent but tokens and receipts") {
  TestRing ring(3);
  form(ring);
  std::uint64_t tokens = 0;
  std::uint64_t others = 0;
  ring.fate = [&](Number, Number, const Message& message) {
    if (is_token(message)) {
      ++tokens;
    } else if (!std::holds_alternative<TokenReceiptMessage>(message)) {
      ++others;
    }
    return Fate::deliver;
  };
  const std::uint64_t before = ring.node(2).statistics().tokens_accepted;
  ring.run_for(std::chrono::seconds(1));
  const std::uint64_t rotations = ring.node(2).statistics().tokens_accepted - before;
  CHECK(rotations <= 10);
  CHECK(rotations >= 9);
  // Only the holder's predecessor gets a receipt; the others send the token once more, and then
  // one.
  CHECK(tokens <= 2 * 3 * rotations);
  CHECK(others == 0);
}

TEST_CASE("an idle ring wakes at once for a message of any member") {
  TestRing ring(4);
  form(ring);
  for (Number sender : {1U, 2U, 3U, 4U}) {
    for (Service service : {Service::agreed, Service::safe}) {
      CAPTURE(sender);
      ring.run_for(milliseconds(350));
      const std::string text = std::to_string(sender) + (service == Service::safe ? "s" : "a");
      REQUIRE(ring.multicast(sender, service, text));
      CHECK(ring.run_until(
          [&] {
            return ring.delivered(1, text) && ring.delivered(2, text) && ring.delivered(3, text) &&
                   ring.delivered(4, text);
          },
          20 * TestRing::kLatency));
    }
  }
}

TEST_CASE("a lost wake is sent again") {
  TestRing ring(3);
  form(ring);
  // The one that holds the token need not ask for it, so more than one may have to try.
  int wakes = 0;
  ring.fate = [&](Number, Number, const Message& message) {
    return std::holds_alternative<WakeMessage>(message) && ++wakes == 1 ? Fate::drop
                                                                        : Fate::deliver;
  };
  Number sender = 1;
  for (; wakes == 0 && sender <= 3; ++sender) {
    ring.run_for(milliseconds(310));
    REQUIRE(ring.multicast(sender, Service::agreed, "m" + std::to_string(sender)));
  }
  REQUIRE(wakes == 1);
  const std::string text = "m" + std::to_string(sender - 1);
  CHECK(ring.run_until([&] { return ring.delivered(1, text); },
                       ring.config.token_retransmit + milliseconds(5)));
  CHECK(wakes == 2);
}

TEST_CASE("a packet numbered after the token was passed on shows that it arrived") {
  TestRing ring(2);
  form(ring);
  // The token of node 1 arrives, and what node 2 numbers with it; but no token comes back.
  std::map<std::uint64_t, int> tries;
  ring.fate = [&](Number from, Number, const Message& message) {
    const auto* token = std::get_if<TokenMessage>(&message);
    if (token != nullptr && from == 1) ++tries[token->hop];
    return token != nullptr && from == 2 ? Fate::drop : Fate::deliver;
  };
  REQUIRE(ring.multicast(2, Service::agreed, "new"));
  REQUIRE(ring.run_until([&] { return ring.delivered(1, "new"); }));
  const auto last = tries.empty() ? std::pair<const std::uint64_t, int>{0, 0} : *tries.rbegin();
  ring.run_for(4 * ring.config.token_retransmit);
  CHECK(tries[last.first] == last.second);
}

TEST_CASE("a packet numbered before the token was passed on does not show that it arrived") {
  TestRing ring(3);
  form(ring);
  REQUIRE(ring.multicast(2, Service::agreed, "old"));
  Buffer old;
  int tries = 0;
  std::optional<std::uint64_t> hop;
  ring.fate = [&](Number from, Number to, const Message& message) {
    if (std::holds_alternative<PacketMessage>(message) && from == 2 && to == 1) {
      old = encode(message);
    }
    const auto* token = std::get_if<TokenMessage>(&message);
    if (token == nullptr || from != 1 || old.empty()) return Fate::deliver;
    if (!hop) hop = token->hop;
    if (token->hop != *hop) return Fate::deliver;
    ++tries;
    return Fate::drop;
  };
  REQUIRE(ring.run_until([&] { return tries == 1; }));
  ring.inject(2, 1, old);
  ring.run_for(3 * ring.config.token_retransmit);
  CHECK(tries > 1);
}

TEST_CASE("messages of up to 1 MiB are carried, longer ones refused") {
  TestRing ring(3);
  form(ring);
  std::string text(kMessageBytesMax, 'x');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
  REQUIRE(ring.multicast(2, Service::safe, text));
  REQUIRE(ring.multicast(2, Service::safe, ""));
  REQUIRE(ring.run_until(
      [&] { return ring.delivered(1, "") && ring.delivered(2, "") && ring.delivered(3, ""); }));
  CHECK(ring.texts(1) == std::vector<std::string>{text, ""});
  CHECK(ring.texts(2) == ring.texts(1));
  CHECK(ring.texts(3) == ring.texts(1));
  const auto refused = ring.multicast(2, Service::safe, text + "y");
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == MulticastError::too_long);
}

TEST_CASE("a full send queue answers try_again and has room again later") {
  TestRing ring(2);
  form(ring);
  const std::size_t all = ring.node(1).send_room();
  CHECK(all == ring.config.send_queue_bytes_max - kFrameHeaderBytes);
  const std::string text(std::size_t{100} * 1024, 'x');
  std::size_t sent = 0;
  auto result = ring.multicast(1, Service::agreed, text);
  while (result) {
    ++sent;
    REQUIRE(sent < 100);
    result = ring.multicast(1, Service::agreed, text);
  }
  CHECK(result.error() == MulticastError::try_again);
  CHECK(ring.node(1).send_room() < text.size() + 100);
  REQUIRE(ring.run_until([&] { return ring.node(1).send_room() >= text.size() + 100; }));
  CHECK(ring.multicast(1, Service::agreed, text).has_value());
  ++sent;
  REQUIRE(ring.run_until([&] { return ring.node(2).statistics().messages_delivered == sent; }));
  CHECK(ring.node(1).send_room() == all);
}

TEST_CASE("datagrams that make no sense are counted and change nothing") {
  TestRing ring(2);
  form(ring);
  const Statistics before = ring.node(1).statistics();
  const RingId standing = ring.node(1).regular().id;
  JoinMessage join;
  join.sender = Processor{base::NodeId{1}, base::Incarnation{9}};
  ring.inject(2, 1, base::bytes_of("nonsense"));
  ring.inject(2, 1, {});
  ring.inject(2, 1, encode(join));  // Sent by another than it says.
  ring.inject(2, 1, encode(PresenceMessage{join.sender, RingId{}, {}}));
  ring.inject(7, 1, encode(WakeMessage{standing}));  // Not a configured node.
  ring.inject(1, 1, encode(WakeMessage{standing}));  // Myself.
  CHECK(ring.node(1).statistics().datagrams_malformed == before.datagrams_malformed + 6);
  CHECK(ring.node(1).statistics().datagrams_received == before.datagrams_received + 6);
  ring.run_for(std::chrono::seconds(1));
  CHECK(ring.node(1).regular().id == standing);
}

// What is checked against: when each token was first sent, and the highest hop that each member has
// heard of.
struct Witness {
  std::map<Number, std::map<std::uint64_t, Duration>> released;
  std::map<Number, std::uint64_t> highest_heard;

  // The latest release of `number` that all others have heard of, or of what came of it.
  std::optional<Duration> newest_known_to_all(Number number, const std::vector<Number>& all) {
    std::optional<Duration> newest;
    for (const auto& release : released[number]) {
      const bool known = std::all_of(all.begin(), all.end(), [&](Number other) {
        return other == number || highest_heard[other] >= release.first;
      });
      if (known) newest = release.second;
    }
    return newest;
  }
};

TEST_CASE(
    "the confirmed release is never later than that of a token which all have received since") {
  for (std::uint64_t loss : {0U, 20U}) {
    CAPTURE(loss);
    TestRing ring(3);
    form(ring);
    const RingId standing = ring.node(1).regular().id;
    Witness witness;
    base::Random random(11);
    ring.fate = [&](Number from, Number, const Message& message) {
      if (const auto* token = std::get_if<TokenMessage>(&message)) {
        witness.released[from].emplace(token->hop, ring.now().boot);
      }
      return random.chance(loss, 100) ? Fate::drop : Fate::deliver;
    };
    ring.heard = [&](Number, Number to, const Message& message) {
      if (const auto* token = std::get_if<TokenMessage>(&message)) {
        witness.highest_heard[to] = std::max(witness.highest_heard[to], token->hop);
      }
    };
    // The first rotations were not witnessed.
    ring.run_for(std::chrono::seconds(1));
    std::map<Number, Duration> earlier;
    int moved = 0;
    ring.after_input = [&] {
      for (Number number = 1; number <= 3; ++number) {
        const TokenEvidence& evidence = ring.node(number).evidence();
        REQUIRE(evidence.ring == standing);
        REQUIRE(evidence.confirmed);
        const auto newest = witness.newest_known_to_all(number, {1, 2, 3});
        REQUIRE(newest.has_value());
        CHECK(evidence.confirmed_release.boot <= *newest);
        CHECK(evidence.confirmed_release.boot <= evidence.last_receipt.boot);
        CHECK(evidence.confirmed_release.boot >= earlier[number]);
        moved += evidence.confirmed_release.boot > earlier[number] ? 1 : 0;
        earlier[number] = evidence.confirmed_release.boot;
      }
    };
    ring.run_for(std::chrono::seconds(3));
    CHECK(moved > 30);
  }
}

TEST_CASE("a retransmission moves no stamp [rule 6.1]") {
  TestRing ring(3);
  form(ring);
  std::uint64_t hop = 0;
  Duration first_sent{};
  int copies = 0;
  ring.fate = [&](Number from, Number, const Message& message) {
    const auto* token = std::get_if<TokenMessage>(&message);
    if (token == nullptr || from != 1) return Fate::deliver;
    if (hop == 0) {
      hop = token->hop;
      first_sent = ring.now().boot;
    }
    return token->hop == hop && ++copies <= 5 ? Fate::drop : Fate::deliver;
  };
  // Until the token that came of the retransmitted one is back.
  bool back = false;
  ring.heard = [&](Number, Number to, const Message& message) {
    const auto* token = std::get_if<TokenMessage>(&message);
    back = back || (token != nullptr && to == 1 && hop != 0 && token->hop > hop);
  };
  REQUIRE(ring.run_until([&] { return back; }));
  ring.run_for(Duration{0});
  CHECK(copies >= 6);
  CHECK(ring.node(1).evidence().confirmed_release.boot == first_sent);
  CHECK(ring.node(1).evidence().last_receipt.boot > first_sent + 5 * ring.config.token_retransmit);
}

TEST_CASE("the last receipt is when the last token was accepted, and a copy does not move it") {
  TestRing ring(3);
  form(ring);
  Buffer last;
  Duration heard{};
  ring.heard = [&](Number, Number to, const Message& message) {
    if (to != 2 || !is_token(message)) return;
    last = encode(message);
    heard = ring.now().boot;
  };
  REQUIRE(ring.run_until([&] { return !last.empty(); }));
  ring.run_for(milliseconds(5));
  CHECK(ring.node(2).evidence().last_receipt.boot == heard);
  ring.inject(1, 2, last);
  CHECK(ring.node(2).evidence().last_receipt.boot == heard);
}

TEST_CASE("an install starts without a confirmed release and counts as a receipt") {
  TestRing ring(2);
  form(ring);
  ring.kill(2);
  REQUIRE(ring.run_until([&] { return numbers_of(ring.node(1).regular().members).size() == 1; }));
  CHECK(ring.node(1).evidence().ring == ring.node(1).regular().id);
  ring.start(2);
  REQUIRE(ring.run_until([&] { return numbers_of(ring.node(1).regular().members).size() == 2; }));
  CHECK_FALSE(ring.node(1).evidence().confirmed);
  CHECK(ring.node(1).evidence().last_receipt == ring.now());
  CHECK(ring.changes(1).back().last_token == ring.now());
}

}  // namespace
}  // namespace evs
