#include "tests/sim/evs_checker.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace sim {
namespace {

using base::Processor;
using base::RingId;
using evs::ConfigurationChange;
using evs::ConfigurationKind;
using evs::Service;

// One report. A send and a message taken use the part of `delivery` that they have.
struct Entry {
  enum class Kind { changed, sent, taken, delivered, failed, left } kind{};
  Processor who;
  ConfigurationChange change;
  evs::Delivery delivery;
};

evs::Delivery message(const Processor& by, const RingId& ring, std::uint64_t sequence,
                      Service service = Service::agreed, const std::string& payload = {}) {
  const base::Bytes bytes = base::bytes_of(payload);
  return {by, ring, sequence, 0, service, {bytes.begin(), bytes.end()}};
}

Entry changed(const Processor& at, ConfigurationChange change) {
  return {Entry::Kind::changed, at, std::move(change), {}};
}
Entry sent(const Processor& by, const RingId& ring, std::uint64_t sequence) {
  return {Entry::Kind::sent, by, {}, message(by, ring, sequence)};
}
Entry taken(const Processor& by, Service service, const std::string& payload) {
  return {Entry::Kind::taken, by, {}, message(by, {}, 0, service, payload)};
}
Entry delivered(const Processor& at, evs::Delivery delivery) {
  return {Entry::Kind::delivered, at, {}, std::move(delivery)};
}
Entry failed(const Processor& who) {
  return {Entry::Kind::failed, who, {}, {}};
}
Entry left(const Processor& who) {
  return {Entry::Kind::left, who, {}, {}};
}

// A run as it is told to the checker, which a test may spoil before.
struct Run {
  std::vector<Entry> entries;
  bool at_rest = true;
  std::vector<std::vector<Processor>> components;

  void regular(const std::vector<Processor>& at, RingId id, const std::vector<Processor>& members,
               const std::vector<Processor>& joined) {
    for (const Processor& p : at) {
      entries.push_back(changed(p, {{ConfigurationKind::regular, id, members}, {}, joined, {}}));
    }
  }
  void transitional(const std::vector<Processor>& at, RingId id,
                    const std::vector<Processor>& members, const std::vector<Processor>& departed) {
    for (const Processor& p : at) {
      entries.push_back(
          changed(p, {{ConfigurationKind::transitional, id, members}, departed, {}, {}}));
    }
  }
  void sent(Processor by, RingId ring, std::uint64_t sequence) {
    entries.push_back(sim::sent(by, ring, sequence));
  }
  void delivered(const std::vector<Processor>& at, Processor by, RingId ring,
                 std::uint64_t sequence, Service service) {
    const std::string payload = base::to_string(ring) + "/" + std::to_string(sequence);
    for (const Processor& p : at) {
      entries.push_back(sim::delivered(p, message(by, ring, sequence, service, payload)));
    }
  }

  std::vector<Violation> check() const {
    EvsChecker checker;
    for (const Entry& entry : entries) {
      const evs::Delivery& m = entry.delivery;
      switch (entry.kind) {
        case Entry::Kind::changed:
          checker.configuration(entry.who, entry.change);
          break;
        case Entry::Kind::sent:
          checker.sent(entry.who, m.ring, m.sequence, m.index);
          break;
        case Entry::Kind::taken:
          checker.taken(entry.who, m.service, m.payload);
          break;
        case Entry::Kind::delivered:
          checker.delivered(entry.who, m);
          break;
        case Entry::Kind::failed:
          checker.failed(entry.who);
          break;
        case Entry::Kind::left:
          checker.left(entry.who);
          break;
      }
    }
    return checker.finish(at_rest, components);
  }

  // The properties violated, each once, as text: "S4 S7.1". Every explanation is a sentence with
  // names in it.
  std::string verdict() const {
    std::vector<std::string> properties;
    for (const Violation& violation : check()) {
      INFO(violation.property, ": ", violation.explanation);
      CHECK(violation.explanation.size() > 20);
      properties.push_back(violation.property);
    }
    std::sort(properties.begin(), properties.end());
    properties.erase(std::unique(properties.begin(), properties.end()), properties.end());
    std::string text;
    for (const std::string& property : properties) text += (text.empty() ? "" : " ") + property;
    return text;
  }

  std::string story() const {
    std::string text;
    for (const Violation& violation : check()) {
      text += violation.property + ": " + violation.explanation + "\n";
    }
    return text;
  }

  using At = std::vector<Entry>::iterator;

  At find(Entry::Kind kind, const std::function<bool(const Entry&)>& fits) {
    const auto at = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) {
      return entry.kind == kind && fits(entry);
    });
    REQUIRE(at != entries.end());
    return at;
  }
  At delivery(Processor at, RingId ring, std::uint64_t sequence) {
    return find(Entry::Kind::delivered, [&](const Entry& entry) {
      return entry.who == at && entry.delivery.ring == ring && entry.delivery.sequence == sequence;
    });
  }
  At change(Processor at, RingId id) {
    return find(Entry::Kind::changed, [&](const Entry& entry) {
      return entry.who == at && entry.change.configuration.id == id;
    });
  }
  At send(RingId ring, std::uint64_t sequence) {
    return find(Entry::Kind::sent, [&](const Entry& entry) {
      return entry.delivery.ring == ring && entry.delivery.sequence == sequence;
    });
  }
  void drop(At at) { entries.erase(at); }

  // What this processor did from here on is forgotten.
  void silence(Processor who, At from) {
    entries.erase(
        std::remove_if(from, entries.end(), [&](const Entry& entry) { return entry.who == who; }),
        entries.end());
  }
};

const Processor p1{base::NodeId{1}, base::Incarnation{0x1111000000000000}};
const Processor p2{base::NodeId{2}, base::Incarnation{0x2222000000000000}};
const Processor p3{base::NodeId{3}, base::Incarnation{0x3333000000000000}};

RingId ring(std::uint64_t sequence, std::uint32_t representative, std::uint64_t nonce = 7) {
  return {sequence, base::NodeId{representative}, nonce << 48};
}

// Each processor alone, and the transitional configuration in which it is still alone.
const RingId kAlone[] = {ring(1, 1, 1), ring(1, 2, 2), ring(1, 3, 3)};
const RingId kLeaving[] = {ring(2, 1, 11), ring(2, 2, 12), ring(2, 3, 13)};
const RingId kAll = ring(4, 1);          // {1,2,3}
const RingId kTwoSide = ring(5, 1, 21);  // transitional {1,2} from kAll
const RingId kOneSide = ring(5, 3, 23);  // transitional {3} from kAll
const RingId kTwo = ring(8, 1);          // {1,2}
const RingId kOne = ring(8, 3);          // {3}
const RingId kTwoMerge = ring(9, 1, 31);
const RingId kOneMerge = ring(9, 3, 33);
const RingId kAgain = ring(12, 1);  // {1,2,3}

void begin(Run& run) {
  const std::vector<Processor> all = {p1, p2, p3};
  for (std::size_t i = 0; i < 3; ++i) {
    run.regular({all[i]}, kAlone[i], {all[i]}, {all[i]});
    run.transitional({all[i]}, kLeaving[i], {all[i]}, {});
    std::vector<Processor> joined = all;
    joined.erase(joined.begin() + static_cast<std::ptrdiff_t>(i));
    run.regular({all[i]}, kAll, all, joined);
  }
}

// Three processors meet, part with messages under way, and meet again.
//   kAll: 1 agreed from 1, 2 safe from 2, 3 agreed from 2. Then 4 from 3 is lost on the way to the
//   others, 5 from 1 and the safe 6 from 2 on the way to 3: gaps on the other side, delivered in
//   transitional configurations on one's own.
Run split_and_merge() {
  Run run;
  begin(run);
  run.sent(p1, kAll, 1);
  run.delivered({p1, p2, p3}, p1, kAll, 1, Service::agreed);
  run.sent(p2, kAll, 2);
  run.sent(p2, kAll, 3);
  run.delivered({p1, p2, p3}, p2, kAll, 2, Service::safe);
  run.delivered({p1, p2, p3}, p2, kAll, 3, Service::agreed);
  run.sent(p3, kAll, 4);
  run.delivered({p3}, p3, kAll, 4, Service::agreed);
  run.sent(p1, kAll, 5);
  run.sent(p2, kAll, 6);
  run.transitional({p1, p2}, kTwoSide, {p1, p2}, {p3});
  run.delivered({p1, p2}, p1, kAll, 5, Service::agreed);
  run.delivered({p1, p2}, p2, kAll, 6, Service::safe);
  run.regular({p1, p2}, kTwo, {p1, p2}, {});
  run.transitional({p3}, kOneSide, {p3}, {p1, p2});
  run.regular({p3}, kOne, {p3}, {});
  run.sent(p1, kTwo, 1);
  run.sent(p3, kOne, 1);
  run.delivered({p3}, p3, kOne, 1, Service::safe);
  run.delivered({p1, p2}, p1, kTwo, 1, Service::safe);
  run.sent(p2, kTwo, 2);
  run.delivered({p1}, p2, kTwo, 2, Service::agreed);
  run.delivered({p2}, p2, kTwo, 2, Service::agreed);
  run.transitional({p1, p2}, kTwoMerge, {p1, p2}, {});
  run.transitional({p3}, kOneMerge, {p3}, {});
  run.regular({p1, p2}, kAgain, {p1, p2, p3}, {p3});
  run.regular({p3}, kAgain, {p1, p2, p3}, {p1, p2});
  run.sent(p3, kAgain, 1);
  run.sent(p1, kAgain, 2);
  run.delivered({p1, p2, p3}, p3, kAgain, 1, Service::agreed);
  run.delivered({p1, p2, p3}, p1, kAgain, 2, Service::safe);
  return run;
}

TEST_CASE("a run with a split, gaps and a merge is accepted") {
  const Run run = split_and_merge();
  INFO(run.story());
  CHECK(run.verdict().empty());
}

TEST_CASE("a run that is cut off anywhere violates no safety property") {
  const Run whole = split_and_merge();
  for (std::size_t size = 0; size <= whole.entries.size(); ++size) {
    Run run = whole;
    run.entries.resize(size);
    run.at_rest = false;
    INFO("after ", size, " entries: ", run.story());
    CHECK(run.verdict().empty());
  }
}

TEST_CASE("a processor that crashes anywhere takes its obligations along") {
  const Run whole = split_and_merge();
  for (std::size_t at = 0; at < whole.entries.size(); ++at) {
    Run run = whole;
    run.entries.resize(at);
    run.entries.push_back(failed(p2));
    run.at_rest = false;
    INFO("after ", at, " entries: ", run.story());
    CHECK(run.verdict().empty());
  }
}

TEST_CASE("a send may be told before the configuration of the same step") {
  Run run = split_and_merge();
  const auto send = run.send(kAgain, 1);
  const auto change = run.change(p3, kAgain);
  REQUIRE(change < send);
  std::rotate(change, send, send + 1);
  INFO(run.story());
  CHECK(run.verdict().empty());
}

TEST_CASE("S1: a delivery of what nobody sent is reported") {
  Run run = split_and_merge();
  run.drop(run.send(kAll, 2));
  CHECK(run.check().front().property == "S1");
}

TEST_CASE("S1: a second delivery of a message is reported") {
  Run run = split_and_merge();
  const auto at = run.delivery(p2, kAll, 3);
  const Entry again = *at;
  run.entries.insert(at + 1, again);
  CHECK(run.verdict() == "S1");
}

TEST_CASE("S1: a delivery in a configuration that does not follow the message's is reported") {
  Run run = split_and_merge();
  const Entry late = *run.delivery(p1, kAll, 5);
  run.drop(run.delivery(p1, kAll, 5));
  run.entries.insert(run.change(p1, kTwo) + 1, late);
  CHECK(run.check().front().property == "S1");
}

TEST_CASE("S1: a message with a false sender, service or payload is reported") {
  SUBCASE("sender") {
    Run run = split_and_merge();
    run.delivery(p2, kAll, 3)->delivery.sender = p1;
    CHECK(run.check().front().property == "S1");
  }
  SUBCASE("service") {
    Run run = split_and_merge();
    run.delivery(p2, kAll, 3)->delivery.service = Service::safe;
    CHECK(run.verdict() == "S1");
  }
  SUBCASE("payload") {
    Run run = split_and_merge();
    run.delivery(p2, kAll, 3)->delivery.payload.back() ^= std::byte{1};
    CHECK(run.verdict() == "S1");
  }
}

TEST_CASE("S1: two messages with one place are reported") {
  Run run = split_and_merge();
  run.entries.insert(run.send(kAll, 2) + 1, sent(p3, kAll, 2));
  CHECK(run.verdict() == "S1");
}

TEST_CASE("S1: a send in a transitional configuration is reported") {
  SUBCASE("of the ring that was left") {
    Run run = split_and_merge();
    run.entries.insert(run.change(p1, kTwoSide) + 1, sent(p1, kAll, 7));
    CHECK(run.check().front().property == "S1");
  }
  SUBCASE("of a ring that is never installed") {
    Run run = split_and_merge();
    run.entries.insert(run.change(p1, kTwoSide) + 1, sent(p1, ring(99, 1), 7));
    CHECK(run.check().front().property == "S1");
  }
}

TEST_CASE("S1: what is sent must be what was taken") {
  const auto with_taken = [](const std::string& second) {
    Run run = split_and_merge();
    const auto payload = [](RingId id, int n) {
      return base::to_string(id) + "/" + std::to_string(n);
    };
    const std::vector<Entry> all = {
        taken(p2, Service::safe, payload(kAll, 2)), taken(p2, Service::agreed, second),
        taken(p2, Service::safe, payload(kAll, 6)), taken(p2, Service::agreed, payload(kTwo, 2)),
        taken(p2, Service::agreed, "still queued")};
    run.entries.insert(run.entries.begin(), all.begin(), all.end());
    return run.verdict();
  };
  CHECK(with_taken(base::to_string(kAll) + "/3").empty());
  CHECK(with_taken("something else") == "S1");
}

TEST_CASE("S2: two processors with one id and other members are reported") {
  Run run = split_and_merge();
  run.change(p2, kTwo)->change.configuration.members = {p2, p3};
  CHECK(run.check().front().property == "S2");
}

TEST_CASE("S2: an id that is both regular and transitional is reported") {
  Run run = split_and_merge();
  run.change(p3, kOneMerge)->change.configuration.id = kOne;
  CHECK(run.check().front().property == "S2");
}

TEST_CASE("S2: an id that is used again is reported") {
  SUBCASE("by the same members") {
    Run run = split_and_merge();
    for (Entry& entry : run.entries) {
      if (entry.change.configuration.id == kAgain) {
        entry.change.configuration.id = kAll;
      }
    }
    CHECK(run.check().front().property == "S2");
  }
  SUBCASE("by a later life of the node") {
    Run run = split_and_merge();
    const Processor reborn{p3.node, base::Incarnation{0x5555000000000000}};
    run.entries.push_back(failed(p3));
    run.regular({reborn}, kOne, {reborn}, {reborn});
    CHECK(run.check().front().property == "S2");
  }
}

TEST_CASE("S2: ids that do not grow at a processor are reported") {
  Run run = split_and_merge();
  for (Entry& entry : run.entries) {
    if (entry.change.configuration.id == kOne) {
      entry.change.configuration.id.sequence = 3;
    }
  }
  run.drop(run.delivery(p3, kOne, 1));
  run.drop(run.send(kOne, 1));
  CHECK(run.verdict() == "S2");
}

TEST_CASE("S2: a hidden transitional configuration is reported") {
  Run run = split_and_merge();
  run.drop(run.change(p2, kTwoMerge));
  CHECK(run.check().front().property == "S2");
}

TEST_CASE("S2: a processor outside its own configuration is reported") {
  Run run = split_and_merge();
  run.change(p3, kOneSide)->change.configuration.members = {p1};
  CHECK(run.check().front().property == "S2");
}

TEST_CASE("S2: a life that begins in company is reported") {
  Run run = split_and_merge();
  run.drop(run.change(p2, kAlone[1]));
  run.drop(run.change(p2, kLeaving[1]));
  CHECK(run.check().front().property == "S2");
}

TEST_CASE("S2: an event after the end of a life is reported") {
  Run run = split_and_merge();
  run.entries.insert(run.change(p3, kOneMerge), left(p3));
  CHECK(run.check().front().property == "S2");
}

TEST_CASE("S2: lists of departed and joined that do not fit are reported") {
  SUBCASE("departed") {
    Run run = split_and_merge();
    run.change(p1, kTwoSide)->change.departed.clear();
    CHECK(run.verdict() == "S2");
  }
  SUBCASE("joined") {
    Run run = split_and_merge();
    run.change(p1, kAgain)->change.joined = {p2, p3};
    CHECK(run.verdict() == "S2");
  }
}

TEST_CASE("S2: a transitional configuration must have just those that go together") {
  SUBCASE("one who came along is not in it") {
    Run run = split_and_merge();
    auto& change = run.change(p1, kTwoMerge)->change;
    change.configuration = {ConfigurationKind::transitional, ring(9, 1, 41), {p1}};
    change.departed = {p2};
    run.change(p1, kAgain)->change.joined = {p2, p3};
    auto& other = run.change(p2, kTwoMerge)->change;
    other.configuration = {ConfigurationKind::transitional, ring(9, 2, 42), {p2}};
    other.departed = {p1};
    run.change(p2, kAgain)->change.joined = {p1, p3};
    CHECK(run.verdict() == "S2");
  }
  SUBCASE("one in it goes elsewhere") {
    Run run = split_and_merge();
    run.change(p2, kTwo)->change.configuration = {ConfigurationKind::regular, ring(8, 2), {p2}};
    CHECK(run.check().front().property == "S2");
  }
}

TEST_CASE("S3: configurations that no order fits are reported") {
  // 1 goes from {1,2} to {1,3}, while 3 was with 4 before and 4 with 2: a circle of three, each in
  // its own order.
  const RingId a = ring(20, 1);
  const RingId b = ring(20, 2);
  Run run;
  run.at_rest = false;
  for (const Processor p : {p1, p2}) {
    run.regular({p}, ring(1, base::value(p.node)), {p}, {p});
    run.transitional({p}, ring(2, base::value(p.node)), {p}, {});
  }
  run.regular({p1}, a, {p1, p2}, {p2});
  run.transitional({p1}, ring(21, 1), {p1}, {p2});
  run.regular({p2}, b, {p1, p2}, {p1});
  run.transitional({p2}, ring(21, 2), {p2}, {p1});
  auto straight = run;
  CHECK(straight.verdict().empty());
  // Ids grow at each of the two, as its sequence is read, only by turning one of them back.
  run.regular({p1}, b, {p1, p2}, {p2});
  run.regular({p2}, a, {p1, p2}, {p1});
  CHECK(run.verdict().find("S3") != std::string::npos);
}

TEST_CASE("S4: a delivery missing before a common step is reported") {
  SUBCASE("from regular to transitional") {
    Run run = split_and_merge();
    run.drop(run.delivery(p2, kAll, 3));
    CHECK(run.verdict().find("S4") != std::string::npos);
    CHECK(run.story().find("3/0 of ring 4.1:0007") != std::string::npos);
  }
  SUBCASE("from transitional to regular") {
    Run run = split_and_merge();
    run.drop(run.delivery(p2, kAll, 5));
    CHECK(run.verdict().find("S4") != std::string::npos);
  }
  SUBCASE("delivered on the other side of the border") {
    Run run = split_and_merge();
    const Entry late = *run.delivery(p2, kAll, 3);
    run.drop(run.delivery(p2, kAll, 3));
    run.entries.insert(run.change(p2, kTwoSide) + 1, late);
    CHECK(run.verdict() == "S4 S6");
  }
}

// 1 sends a; 2 has it and answers b; 3 is cut off with 2 and has b only.
Run answer_without_question(bool delivered_question) {
  Run run;
  run.at_rest = false;
  begin(run);
  run.sent(p1, kAll, 1);
  run.delivered({p1, p2}, p1, kAll, 1, Service::agreed);
  run.sent(p2, kAll, 2);
  run.delivered({p2}, p2, kAll, 2, Service::agreed);
  run.entries.push_back(failed(p1));
  run.transitional({p3}, ring(5, 3, 9), {p3}, {p1, p2});
  if (delivered_question) run.delivered({p3}, p1, kAll, 1, Service::agreed);
  run.delivered({p3}, p2, kAll, 2, Service::agreed);
  run.regular({p3}, ring(6, 3), {p3}, {});
  return run;
}

TEST_CASE("S5: an answer without its question is reported") {
  CHECK(answer_without_question(true).verdict().empty());
  CHECK(answer_without_question(false).verdict() == "S5");
}

TEST_CASE("S5: messages of one sender are delivered from the first on") {
  Run run;
  run.at_rest = false;
  begin(run);
  run.sent(p1, kAll, 1);
  run.sent(p1, kAll, 2);
  run.entries.push_back(failed(p1));
  run.transitional({p3}, ring(5, 3, 9), {p3}, {p1, p2});
  run.delivered({p3}, p1, kAll, 2, Service::agreed);
  CHECK(run.verdict() == "S5");
}

TEST_CASE("S6: two deliveries that are swapped are reported") {
  Run run = split_and_merge();
  std::iter_swap(run.delivery(p1, kAgain, 1), run.delivery(p1, kAgain, 2));
  CHECK(run.verdict() == "S6");
  CHECK(run.story().find("no order fits all") != std::string::npos);
}

TEST_CASE("S6: a circle of three, no two of which disagree, is reported") {
  Run run;
  run.at_rest = false;
  begin(run);
  run.sent(p1, kAll, 1);
  run.sent(p2, kAll, 2);
  run.sent(p3, kAll, 3);
  const auto deliver = [&](Processor at, std::vector<std::uint64_t> order) {
    for (const std::uint64_t n : order) {
      run.delivered({at}, n == 1 ? p1 : n == 2 ? p2 : p3, kAll, n, Service::agreed);
    }
  };
  deliver(p1, {1, 2});
  deliver(p2, {2, 3});
  deliver(p3, {3, 1});
  CHECK(run.story().find("no order fits all") != std::string::npos);
  CHECK(run.verdict().find("S6") != std::string::npos);
}

TEST_CASE("S6.3: a hole in a regular configuration is reported") {
  Run run = split_and_merge();
  run.drop(run.delivery(p2, kAgain, 1));
  CHECK(run.verdict().find("S6.3") != std::string::npos);
}

TEST_CASE("S6.3: a gap of a sender inside the transitional configuration is reported") {
  Run run = split_and_merge();
  run.drop(run.delivery(p1, kAll, 5));
  run.drop(run.delivery(p2, kAll, 5));
  CHECK(run.verdict() == "L1 S6.3");
}

TEST_CASE("S6.3: a gap that is ignored in the regular configuration is reported") {
  // 5 and 6 are delivered beyond the gap 4 before the transitional configuration instead of after
  // it.
  Run run = split_and_merge();
  for (const Processor p : {p1, p2}) {
    const Entry early = *run.delivery(p, kAll, 5);
    run.drop(run.delivery(p, kAll, 5));
    run.entries.insert(run.change(p, kTwoSide), early);
  }
  CHECK(run.verdict() == "S6.3");
}

TEST_CASE("S7.1: a safe message that a member of the regular configuration passes by is reported") {
  // 1 delivers the safe 6 before 3 has it, which can then go another way without it.
  Run run = split_and_merge();
  run.drop(run.delivery(p3, kAll, 2));
  run.drop(run.delivery(p3, kAll, 3));
  run.drop(run.delivery(p3, kAll, 4));
  CHECK(run.verdict().find("S7.1") != std::string::npos);
}

// 2 sends a safe message that only 1 sees; 1 delivers it, and crashes or leaves. 2 and 3 go on
// without it, or 2 with it, or nobody.
Run early_safe(bool delivered_by_others, Entry end) {
  Run run;
  run.at_rest = false;
  begin(run);
  run.sent(p1, kAll, 1);
  run.delivered({p1}, p1, kAll, 1, Service::safe);
  run.entries.push_back(std::move(end));
  run.transitional({p2, p3}, ring(5, 2), {p2, p3}, {p1});
  if (delivered_by_others) run.delivered({p2, p3}, p1, kAll, 1, Service::safe);
  run.regular({p2, p3}, ring(6, 2), {p2, p3}, {});
  return run;
}

TEST_CASE(
    "S7.1: a safe message that is delivered too early is reported though its receiver is gone") {
  CHECK(early_safe(true, failed(p1)).verdict().empty());
  CHECK(early_safe(false, failed(p1)).verdict() == "S7.1");
  CHECK(early_safe(false, left(p1)).verdict() == "S7.1");
}

TEST_CASE("S7.1: a safe message of a transitional configuration binds all its members") {
  // 1 and 2 are to go together. 1 delivers the safe message in between and crashes; 2 goes
  // elsewhere.
  const auto run_with = [](bool delivered) {
    Run run;
    run.at_rest = false;
    begin(run);
    run.sent(p1, kAll, 1);
    run.transitional({p1}, ring(5, 1), {p1, p2}, {p3});
    run.delivered({p1}, p1, kAll, 1, Service::safe);
    run.entries.push_back(failed(p1));
    run.transitional({p2, p3}, ring(7, 2), {p2, p3}, {p1});
    if (delivered) run.delivered({p2, p3}, p1, kAll, 1, Service::safe);
    run.regular({p2, p3}, ring(8, 2), {p2, p3}, {});
    return run.verdict();
  };
  CHECK(run_with(true).empty());
  CHECK(run_with(false) == "S7.1");
}

TEST_CASE("S7.2: a safe delivery in a configuration that not everybody has installed is reported") {
  Run run;
  run.at_rest = false;
  begin(run);
  run.sent(p1, kAll, 1);
  run.delivered({p1}, p1, kAll, 1, Service::safe);
  CHECK(run.verdict().empty());
  SUBCASE("never") {
    run.drop(run.change(p3, kAll));
    CHECK(run.verdict() == "S7.2");
  }
  SUBCASE("later") {
    const auto late = run.change(p3, kAll);
    std::rotate(late, late + 1, run.entries.end());
    CHECK(run.verdict() == "S7.2");
  }
}

TEST_CASE("L1: a message that its own sender never delivers is reported") {
  Run run = split_and_merge();
  run.drop(run.delivery(p1, kTwo, 1));
  CHECK(run.verdict().find("L1") != std::string::npos);
  Run last = split_and_merge();
  last.drop(last.delivery(p1, kAgain, 2));
  CHECK(last.verdict() == "L1 L3 S7.1");
  last.at_rest = false;
  CHECK(last.verdict().empty());
}

TEST_CASE("L2: a run that ends in another configuration than all have is reported") {
  SUBCASE("one stays behind") {
    Run run = split_and_merge();
    run.silence(p3, run.change(p3, kAgain));
    CHECK(run.verdict().find("L2") != std::string::npos);
  }
  SUBCASE("transitional") {
    Run run = split_and_merge();
    const auto end = run.change(p3, kOneMerge) + 1;
    run.entries.erase(end, run.entries.end());
    CHECK(run.verdict() == "L2");
  }
  SUBCASE("components that the network has not") {
    Run run = split_and_merge();
    const auto end = run.change(p1, kTwoMerge);
    run.entries.erase(end, run.entries.end());
    CHECK(run.verdict() == "L2");
    run.components = {{p2, p1}, {p3}};
    CHECK(run.verdict().empty());
  }
}

TEST_CASE("at rest are those in the components, if there are any") {
  Run run = split_and_merge();
  run.entries.erase(run.change(p1, kTwoMerge), run.entries.end());
  run.drop(run.delivery(p2, kTwo, 2));
  run.components = {{p3}};
  CHECK(run.verdict().empty());
  run.components = {{p1, p2}, {p3}};
  CHECK(run.verdict() == "L1 L3");
}

TEST_CASE("L3: a message that a member still lacks at rest is reported") {
  Run run = split_and_merge();
  run.drop(run.delivery(p2, kAgain, 2));
  run.at_rest = false;
  CHECK(run.verdict().empty());
  run.at_rest = true;
  CHECK(run.verdict() == "L3 S7.1");
}

TEST_CASE("a hundred thousand events are judged") {
  Run run;
  begin(run);
  for (std::uint64_t n = 1; n <= 25'000; ++n) {
    const Processor by = n % 3 == 0 ? p3 : n % 3 == 1 ? p1 : p2;
    run.sent(by, kAll, n);
    if (n > 20) {
      const std::uint64_t old = n - 20;
      run.delivered({p1, p2, p3},
                    old % 3 == 0   ? p3
                    : old % 3 == 1 ? p1
                                   : p2,
                    kAll, old, old % 2 == 0 ? Service::safe : Service::agreed);
    }
  }
  run.at_rest = false;
  CHECK(run.verdict().empty());
  run.drop(run.delivery(p2, kAll, 20'000));
  CHECK(run.verdict() == "S5 S6.3");
}

}  // namespace
}  // namespace sim
