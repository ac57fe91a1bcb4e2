// The judge is judged: one good history passes, and each way of spoiling it is seen.
#include "tests/sim/lock_checker.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace sim {
namespace {

using base::NodeId;
using base::Processor;
using base::RequestId;
using base::RingId;
using base::SessionId;
using base::Token;
using dlm::LockName;
using dlm::Mode;
using evs::ConfigurationKind;

constexpr Processor kP1{NodeId{1}, base::Incarnation{11}};
constexpr Processor kP2{NodeId{2}, base::Incarnation{12}};
constexpr Processor kP3{NodeId{3}, base::Incarnation{13}};
constexpr Processor kQ1{NodeId{1}, base::Incarnation{21}};  // Node 1 after a restart.
constexpr Processor kQ2{NodeId{2}, base::Incarnation{22}};

constexpr RingId kR1{1, NodeId{1}, 101};
constexpr RingId kT1{2, NodeId{1}, 102};
constexpr RingId kR2{3, NodeId{1}, 103};
constexpr RingId kR3{4, NodeId{1}, 104};

constexpr SessionId kA{10};
constexpr SessionId kB{20};
constexpr SessionId kC{30};
constexpr SessionId kD{40};

TrueTime ms(std::int64_t n) {
  return std::chrono::milliseconds(n);
}

LockName lock(SessionId session, std::uint64_t request) {
  return {session, RequestId{request}};
}

OrderedEffect effect(dlm::Effect::Kind kind, LockName name, Mode mode, std::uint64_t token,
                     const std::string& resource = {}) {
  dlm::Effect one;
  one.kind = kind;
  one.mode = mode;
  one.lock = name;
  one.token = Token{token};
  return {one, resource};
}

OrderedEffect granted(LockName name, const std::string& resource, Mode mode, std::uint64_t token) {
  return effect(dlm::Effect::Kind::granted, name, mode, token, resource);
}
OrderedEffect queued(LockName name, const std::string& resource, Mode mode) {
  return effect(dlm::Effect::Kind::queued, name, mode, 0, resource);
}
OrderedEffect released(LockName name, Mode mode, std::uint64_t token) {
  return effect(dlm::Effect::Kind::released, name, mode, token);
}
OrderedEffect busy(LockName name) {
  OrderedEffect refused = effect(dlm::Effect::Kind::refused, name, Mode::nl, 0);
  refused.effect.status = dlm::Status::would_block;
  return refused;
}
OrderedEffect cancelled(LockName name, Mode mode) {
  return effect(dlm::Effect::Kind::cancelled, name, mode, 0);
}

OrderedPlace place(std::uint64_t epoch, std::uint64_t sequence) {
  return {epoch, epoch == 1 ? kR1 : epoch == 2 ? kR2 : kR3, sequence, 0};
}

// A command of `sender`, with digests that follow from its place.
Applied command(const Processor& sender, std::uint64_t epoch, std::uint64_t sequence,
                std::vector<OrderedEffect> effects) {
  Applied applied;
  applied.sender = sender;
  applied.place = place(epoch, sequence);
  applied.configuration = applied.place.ring;
  applied.command = epoch * 1000 + sequence;
  applied.state = epoch * 1000 + sequence + 500;
  applied.effects = std::move(effects);
  return applied;
}

Applied in_t1(Applied applied) {
  applied.kind = ConfigurationKind::transitional;
  applied.configuration = kT1;
  return applied;
}

using Tell = std::function<void(LockChecker&)>;

// What is told to the checker, step by step; a test spoils it before.
class History {
 public:
  void add(std::string name, Tell tell) { steps_.push_back({std::move(name), std::move(tell)}); }

  void apply(const std::string& name, std::int64_t at, const std::vector<Processor>& by,
             const Applied& applied) {
    for (const Processor& processor : by) {
      Applied one = applied;
      one.at = ms(at);
      one.by = processor;
      add(name + " at " + std::to_string(base::value(processor.node)),
          [one](LockChecker& checker) { checker.applied(one); });
    }
  }

  History without(const std::string& name) const { return with(name, nullptr); }

  // In place of a step, or of all steps whose names begin so.
  History with(const std::string& name, const Tell& instead) const {
    History spoiled = empty();
    bool found = false;
    for (const Step& step : steps_) {
      if (step.name.rfind(name, 0) != 0) {
        spoiled.steps_.push_back(step);
      } else if (instead && !found) {
        spoiled.add(name, instead);
      }
      found = found || step.name.rfind(name, 0) == 0;
    }
    REQUIRE_MESSAGE(found, name);
    return spoiled;
  }

  History with_before(const std::string& name, const Tell& inserted) const {
    History spoiled = empty();
    bool found = false;
    for (const Step& step : steps_) {
      if (!found && step.name.rfind(name, 0) == 0) {
        spoiled.add("inserted", inserted);
        found = true;
      }
      spoiled.steps_.push_back(step);
    }
    REQUIRE_MESSAGE(found, name);
    return spoiled;
  }

  std::set<std::string> violations() const {
    LockChecker checker(3, clocks_hold);
    for (const Step& step : steps_) step.tell(checker);
    std::set<std::string> properties;
    for (const Violation& violation : checker.finish()) {
      INFO(violation.explanation);
      CHECK(!violation.explanation.empty());
      properties.insert(violation.property);
      if (print) MESSAGE(violation.property, " ", violation.explanation);
    }
    return properties;
  }

  bool print = false;
  bool clocks_hold = true;

 private:
  struct Step {
    std::string name;
    Tell tell;
  };

  History empty() const {
    History other;
    other.clocks_hold = clocks_hold;
    return other;
  }

  std::vector<Step> steps_;
};

Tell asks(std::int64_t at, LockName name, const std::string& resource, Mode mode) {
  return [=](LockChecker& c) { c.client_acquires(ms(at), name, resource, mode); };
}
Tell ok(std::int64_t at, LockName name, std::uint64_t token) {
  return [=](LockChecker& c) { c.client_ok(ms(at), name, Token{token}); };
}
Tell releases(std::int64_t at, LockName name) {
  return [=](LockChecker& c) { c.client_releases(ms(at), name); };
}
Tell deadline(std::int64_t at, SessionId session, std::int64_t until) {
  return [=](LockChecker& c) {
    c.lease_promised(ms(at), session, ms(until));
    c.client_deadline(ms(at), session, ms(until));
  };
}
Tell told(std::int64_t at, const Processor& by, LockName name, bool lease_live = true) {
  return [=](LockChecker& c) { c.told(ms(at), by, name, lease_live); };
}
Tell access(std::int64_t at, LockName name, Mode mode, std::uint64_t token, bool accepted = true) {
  return [=](LockChecker& c) { c.access(ms(at), "k", name, mode, Token{token}, accepted); };
}
Tell installs(const Processor& by, ConfigurationKind kind, const RingId& id) {
  return [=](LockChecker& c) { c.installed(ms(0), by, {kind, id, {}}); };
}
Tell activates(const Processor& by, const Activation& activation,
               ConfigurationKind kind = ConfigurationKind::regular) {
  return [=](LockChecker& c) { c.activated(ms(0), by, kind, activation); };
}
Tell applies(std::int64_t at, const Processor& by, Applied applied) {
  applied.at = ms(at);
  applied.by = by;
  return [applied](LockChecker& c) { c.applied(applied); };
}

const Activation kEpoch1{1, kR1, {kP1, kP2, kP3}, {NodeId{1}, NodeId{2}, NodeId{3}}, true, {}};
const Activation kEpoch2{2, kR2, {kP1, kP3}, {NodeId{1}, NodeId{3}}, false, kP1, 1};
const Activation kEpoch3{3, kR3, {kQ1, kQ2}, {NodeId{1}, NodeId{2}}, true, {}};

// A holds k, B follows it, node 2 with B is cut off and B expired, C follows B; then nodes 1 and 2
// come back from a restart with nothing, and D gets k. On the side, A and C share s.
History good_history(const Activation& epoch2 = kEpoch2) {
  History h;
  const std::vector<Processor> all{kP1, kP2, kP3};
  const std::vector<Processor> rest{kP1, kP3};
  for (const Processor& p : all) {
    const std::string at = " at " + std::to_string(base::value(p.node));
    h.add("install R1" + at, installs(p, ConfigurationKind::regular, kR1));
    h.add("activate 1" + at, activates(p, kEpoch1));
  }
  h.add("A's deadline", deadline(5, kA, 900));
  h.add("B's deadline", deadline(5, kB, 300));
  h.add("C's deadline", deadline(5, kC, 900));

  h.add("A asks for k", asks(10, lock(kA, 1), "k", Mode::ex));
  h.apply("grant A", 12, all, command(kP1, 1, 1, {granted(lock(kA, 1), "k", Mode::ex, 1)}));
  h.add("tell A", told(13, kP1, lock(kA, 1)));
  h.add("A ok", ok(14, lock(kA, 1), 1));
  h.add("A writes", access(15, lock(kA, 1), Mode::ex, 1));
  h.add("B asks", asks(15, lock(kB, 1), "k", Mode::ex));
  h.apply("queue B", 16, all, command(kP2, 1, 2, {queued(lock(kB, 1), "k", Mode::ex)}));
  h.add("C asks", asks(16, lock(kC, 1), "k", Mode::pr));
  h.apply("queue C", 17, all, command(kP3, 1, 3, {queued(lock(kC, 1), "k", Mode::pr)}));
  h.add("A releases", releases(20, lock(kA, 1)));
  h.apply("pass k to B", 22, all,
          command(kP1, 1, 4,
                  {released(lock(kA, 1), Mode::ex, 1), granted(lock(kB, 1), "k", Mode::ex, 4)}));
  h.add("A released", [](LockChecker& c) { c.client_released(ms(23), lock(kA, 1)); });
  h.add("B ok", ok(24, lock(kB, 1), 4));
  h.add("B writes", access(25, lock(kB, 1), Mode::ex, 4));
  h.add("A asks for s", asks(30, lock(kA, 2), "s", Mode::pr));
  h.add("C asks for s", asks(30, lock(kC, 2), "s", Mode::pr));
  h.apply(
      "share", 32, all,
      command(kP1, 1, 5,
              {granted(lock(kA, 2), "s", Mode::pr, 5), granted(lock(kC, 2), "s", Mode::pr, 6)}));
  h.add("A ok with s", ok(33, lock(kA, 2), 5));
  h.add("C ok with s", ok(33, lock(kC, 2), 6));

  // Node 2 still delivers this in R1 and tells its client; the others do after their split.
  h.add("B asks for t", asks(40, lock(kB, 2), "t", Mode::ex));
  for (const Processor& p : rest) {
    h.add("install T1", installs(p, ConfigurationKind::transitional, kT1));
  }
  const Applied grant_t = command(kP2, 1, 6, {granted(lock(kB, 2), "t", Mode::ex, 7)});
  h.apply("grant t in T1", 45, rest, in_t1(grant_t));
  for (const Processor& p : rest) {
    const std::string at = " at " + std::to_string(base::value(p.node));
    h.add("install R2" + at, installs(p, ConfigurationKind::regular, kR2));
    h.add("activate 2" + at, activates(p, epoch2));
  }
  h.apply("grant t in R1", 60, {kP2}, grant_t);
  h.add("tell t", told(60, kP2, lock(kB, 2)));
  h.add("B ok with t", ok(61, lock(kB, 2), 7));
  h.add("A's longer deadline", deadline(200, kA, 1500));
  h.add("C's longer deadline", deadline(200, kC, 1500));

  Applied expire = command(kP3, 2, 1, {});
  expire.ended = {{kB, OrderedEnd::How::expired}};
  h.apply("expire B", 310, rest, expire);
  h.apply("pass k to C", 320, rest,
          command(kP3, 2, 2,
                  {released(lock(kB, 1), Mode::ex, 4), granted(lock(kC, 1), "k", Mode::pr, 8),
                   released(lock(kB, 2), Mode::ex, 7)}));
  h.add("C ok", ok(330, lock(kC, 1), 8));
  h.add("C reads", access(331, lock(kC, 1), Mode::pr, 8));
  h.add("B is refused", access(332, lock(kB, 1), Mode::ex, 4, false));

  for (const Processor& p : {kQ1, kQ2}) {
    const std::string at = " at " + std::to_string(base::value(p.node));
    h.add("install R3" + at, installs(p, ConfigurationKind::regular, kR3));
    h.add("activate 3" + at, activates(p, kEpoch3));
  }
  h.add("D's deadline", deadline(1500, kD, 3000));
  h.add("D asks", asks(1510, lock(kD, 1), "k", Mode::ex));
  h.apply("grant D", 1520, {kQ1, kQ2},
          command(kQ1, 3, 1, {granted(lock(kD, 1), "k", Mode::ex, 1000)}));
  h.add("tell D", told(1520, kQ1, lock(kD, 1)));
  h.add("D ok", ok(1521, lock(kD, 1), 1000));
  h.add("D writes", access(1522, lock(kD, 1), Mode::ex, 1000));
  return h;
}

bool only(const History& history, const std::string& property) {
  return history.violations() == std::set<std::string>{property};
}
bool among(const History& history, const std::string& property) {
  return history.violations().count(property) == 1;
}

}  // namespace

TEST_CASE("a good history passes") {
  History h = good_history();
  h.print = true;
  CHECK(h.violations().empty());
}

TEST_CASE("a good history passes without what need not be told") {
  CHECK(good_history().without("tell").without("install").violations().empty());
  CHECK(good_history().without("A writes").without("A released").violations().empty());
}

TEST_CASE("ME: two clients that believe in conflicting locks at one time are seen") {
  const History h = good_history();
  CHECK(among(h.without("A releases"), "ME"));
  CHECK(among(h.with("B's deadline", deadline(5, kB, 331)), "ME"));
  CHECK(among(h.without("A releases").with_before("B writes", releases(25, lock(kA, 1))), "ME"));
}

TEST_CASE("ME: locks that conflict in the order are seen though no client noticed") {
  const Applied second = command(kP2, 1, 7, {granted(lock(kB, 3), "s", Mode::ex, 9)});
  CHECK(among(good_history().with_before("B asks for t", applies(41, kP1, second)), "ME"));
}

TEST_CASE("ME-T: a resource that accepts an older grant after a conflicting newer one is seen") {
  const History h = good_history();
  CHECK(only(h.with("B is refused", access(332, lock(kB, 1), Mode::ex, 4, true)), "ME-T"));
  CHECK(only(h.with("D writes", access(1522, lock(kD, 1), Mode::ex, 7)), "ME-T"));
  CHECK(h.with("D writes", access(1522, lock(kC, 1), Mode::pr, 6)).violations().empty());
}

TEST_CASE("ME-T: a holder in good standing that a resource refuses is seen") {
  CHECK(only(good_history().with("C reads", access(331, lock(kC, 1), Mode::pr, 8, false)), "ME-T"));
}

TEST_CASE("TM: a token not above those that clients had before the request is seen") {
  const History h = good_history();
  const auto grant_d = command(kQ1, 3, 1, {granted(lock(kD, 1), "k", Mode::ex, 8)});
  const History repeated = h.with("grant D", applies(1520, kQ1, grant_d));
  CHECK(among(repeated.with("D ok", ok(1521, lock(kD, 1), 8)), "TM"));
  const auto grant_old = command(kQ1, 3, 1, {granted(lock(kD, 1), "k", Mode::ex, 3)});
  CHECK(
      among(h.with("grant D", applies(1520, kQ1, grant_old)).with("D ok", ok(1521, lock(kD, 1), 3)),
            "TM"));
}

TEST_CASE("TM: a request answered from a grant older than the request is seen") {
  const History h = good_history()
                        .without("A asks for s")
                        .without("A ok with s")
                        .with_before("B asks for t", asks(34, lock(kA, 2), "s", Mode::pr))
                        .with_before("B asks for t", ok(35, lock(kA, 2), 5));
  CHECK(only(h, "TM"));
}

TEST_CASE(
    "TM: a token that the order gives twice, or backwards, is seen though no client was told") {
  const auto next = [](std::uint64_t token) {
    return applies(325, kP1, command(kP3, 2, 3, {granted(lock(kA, 5), "u", Mode::ex, token)}));
  };
  CHECK(only(good_history().with_before("install R3", next(8)), "TM"));
  CHECK(only(good_history().with_before("install R3", next(3)), "TM"));
  CHECK(good_history().with_before("install R3", next(9)).violations().empty());
}

TEST_CASE("NPG: a request that the order grants twice, or after its end, is seen") {
  const auto next = [](LockName name, const char* resource) {
    return applies(325, kP1, command(kP3, 2, 3, {granted(name, resource, Mode::pr, 9)}));
  };
  const History h = good_history();
  CHECK(only(h.with_before("install R3", next(lock(kA, 2), "s")), "NPG"));
  CHECK(only(h.with_before("install R3", next(lock(kA, 1), "free")), "NPG"));
  const auto taken_back =
      command(kP3, 2, 3,
              {queued(lock(kD, 7), "s", Mode::ex), cancelled(lock(kD, 7), Mode::ex),
               granted(lock(kD, 7), "free", Mode::ex, 9)});
  CHECK(only(h.with_before("install R3", applies(325, kP1, taken_back)), "NPG"));
}

TEST_CASE("NPG: a grant that is told but not in the order is seen") {
  const History h = good_history();
  CHECK(among(h.without("grant D"), "NPG"));
  CHECK(only(h.without("A asks for k"), "NPG"));
  CHECK(among(h.with("A ok", ok(14, lock(kA, 1), 2)), "NPG"));
  CHECK(only(h.with("A asks for k", asks(10, lock(kA, 1), "k", Mode::pr)), "NPG"));
  CHECK(only(h.with("A asks for k", asks(10, lock(kA, 1), "other", Mode::ex)), "NPG"));
  CHECK(among(h.with_before("A releases", ok(15, lock(kA, 1), 1)), "NPG"));
}

TEST_CASE("NPG: a grant told before the survivors stand in the next epoch is seen") {
  const History h = good_history().without("grant t in R1").without("B ok with t");
  const History quiet = h.without("tell t");
  CHECK(quiet.violations().empty());
  CHECK(only(quiet.with_before("install R2", ok(46, lock(kB, 2), 7)), "NPG"));
  CHECK(only(quiet.with_before("activate 2 at 1", told(46, kP1, lock(kB, 2))), "NPG"));
  CHECK(quiet.with_before("expire B", ok(100, lock(kB, 2), 7)).violations().empty());
}

TEST_CASE("NPG: a grant told with an expired lease, or taken after the deadline, is seen") {
  const History h = good_history();
  CHECK(only(h.with("tell t", told(60, kP2, lock(kB, 2), false)), "NPG"));
  CHECK(among(h.with("B ok with t", ok(301, lock(kB, 2), 7)), "NPG"));
  CHECK(among(h.with_before("B ok", [](LockChecker& c) { c.client_failed(ms(23), lock(kB, 1)); }),
              "NPG"));
}

TEST_CASE("NPG: a grant to a session that had ended is seen") {
  constexpr SessionId kE{50};
  Applied end = command(kP3, 2, 3, {});
  end.ended = {{kE, OrderedEnd::How::expired}};
  const auto late = command(kP3, 2, 4, {granted(lock(kE, 1), "u", Mode::ex, 9)});
  const History h = good_history()
                        .with_before("install R3", asks(325, lock(kE, 1), "u", Mode::ex))
                        .with_before("install R3", applies(340, kP1, end))
                        .with_before("install R3", applies(341, kP1, late))
                        .with_before("install R3", deadline(342, kE, 400));
  CHECK(h.violations().empty());
  CHECK(only(h.with_before("install R3", ok(343, lock(kE, 1), 9)), "NPG"));
}

TEST_CASE("NLR: a release that is told but not in the order is seen") {
  const auto too_early = [](LockChecker& c) { c.client_released(ms(21), lock(kA, 1)); };
  CHECK(only(good_history().with_before("pass k to B", too_early), "NLR"));
}

TEST_CASE("NLR: a lock that the order frees twice is seen") {
  const auto again = command(kP3, 2, 3, {released(lock(kA, 1), Mode::ex, 1)});
  CHECK(only(good_history().with_before("install R3", applies(325, kP1, again)), "NLR"));
}

TEST_CASE("NLR: a release that frees under another token is seen") {
  const auto other = command(
      kP1, 1, 4, {released(lock(kA, 1), Mode::ex, 9), granted(lock(kB, 1), "k", Mode::ex, 4)});
  CHECK(only(good_history().with("pass k to B", applies(22, kP1, other)), "NLR"));
}

TEST_CASE("LIN: a request that waits, or is refused, with nothing in its way is seen") {
  const History h =
      good_history().with_before("B asks for t", asks(35, lock(kB, 3), "s", Mode::pr));
  const auto next = [](OrderedEffect effect) {
    return applies(41, kP1, command(kP2, 1, 6, {std::move(effect)}));
  };
  const History quiet = h.without("grant t").without("tell t").without("B ok with t");
  const auto spoiled = [&](OrderedEffect effect) {
    return quiet.without("pass k to C")
        .without("C ok")
        .without("C reads")
        .with_before("install T1", next(std::move(effect)));
  };
  CHECK(among(spoiled(queued(lock(kB, 3), "s", Mode::pr)), "LIN"));
  CHECK(only(spoiled(busy(lock(kB, 3))), "LIN"));
  CHECK(spoiled(queued(lock(kB, 3), "s", Mode::ex)).violations().empty());
}

TEST_CASE("LIN: a table that began with nothing may make anybody wait, until it grants") {
  const History h = good_history().with_before("D asks", asks(1500, lock(kD, 2), "cold", Mode::ex));
  const auto refusal = command(kQ1, 3, 1, {busy(lock(kD, 2))});
  CHECK(h.with("grant D", applies(1520, kQ1, refusal))
            .without("tell D")
            .without("D ok")
            .without("D writes")
            .violations()
            .empty());
}

TEST_CASE("LIN: a client who held a lock and is told that it gave back nothing is seen") {
  const History h = good_history();
  const auto denied = [](LockChecker& c) { c.client_not_released(ms(23), lock(kA, 1)); };
  CHECK(only(h.with("A released", denied), "LIN"));
  const auto late = [](LockChecker& c) { c.client_not_released(ms(331), lock(kB, 1)); };
  CHECK(h.with_before("B is refused", late).violations().empty());
}

TEST_CASE("NFE: a lock that is lost, or a ring that is left, though nothing disturbed is seen") {
  const auto undisturbed = [](LockChecker& c) { c.undisturbed(ms(1505)); };
  const auto lost = [](LockChecker& c) { c.client_lost(ms(1530), lock(kD, 1)); };
  History h = good_history().with_before("D asks", undisturbed);
  CHECK(h.violations().empty());
  History left = h;
  left.add("install", installs(kQ1, ConfigurationKind::transitional, kT1));
  CHECK(only(left, "NFE"));
  h.add("D lost", lost);
  CHECK(only(h, "NFE"));
  History before = good_history();
  before.add("undisturbed", [](LockChecker& c) { c.undisturbed(ms(1525)); });
  before.add("D lost", lost);
  CHECK(before.violations().empty());
}

TEST_CASE("NLW: who still waits when all has settled is seen") {
  const auto settled = [](LockChecker& c) { c.settled(ms(9000)); };
  History h = good_history();
  h.add("D asks for k again", asks(1600, lock(kD, 2), "k", Mode::ex));
  CHECK(h.violations().empty());
  History refused = h;
  refused.add("refused", [](LockChecker& c) { c.client_failed(ms(1700), lock(kD, 2)); });
  refused.add("settled", settled);
  CHECK(refused.violations().empty());
  History gone = h;
  gone.add("D gone", [](LockChecker& c) { c.client_closed(ms(1700), kD); });
  gone.add("settled", settled);
  CHECK(!among(gone, "NLW"));
  h.add("settled", settled);
  CHECK(only(h, "NLW"));
}

TEST_CASE("NLO: what the order has held for nobody when all has settled is seen") {
  const auto settled = [](LockChecker& c) { c.settled(ms(9000)); };
  History h = good_history();
  h.add("settled", settled);
  CHECK(h.violations().empty());
  CHECK(
      only(h.with_before("settled", [](LockChecker& c) { c.client_closed(ms(1700), kD); }), "NLO"));
  CHECK(only(h.with_before("settled", releases(1700, lock(kD, 1))), "NLO"));
  Applied end = command(kQ1, 3, 2, {});
  end.ended = {{kD, OrderedEnd::How::expired}};
  CHECK(only(h.with_before("settled", applies(4000, kQ1, end)), "NLO"));
}

TEST_CASE("where clocks do not hold, beliefs are not judged, and tokens are") {
  History h = good_history();
  h.clocks_hold = false;
  CHECK(h.with("B's deadline", deadline(5, kB, 331)).violations().empty());
  CHECK(h.with("C reads", access(331, lock(kC, 1), Mode::pr, 8, false)).violations().empty());
  CHECK(only(h.with("B is refused", access(332, lock(kB, 1), Mode::ex, 4, true)), "ME-T"));
  CHECK(among(h.without("grant D"), "NPG"));
  const Applied second = command(kP2, 1, 7, {granted(lock(kB, 3), "s", Mode::ex, 9)});
  CHECK(among(h.with_before("B asks for t", applies(41, kP1, second)), "ME"));
}

TEST_CASE("RX: a lock freed before its holder's last promise ran out is seen") {
  const History h = good_history();
  CHECK(among(h.with("B's deadline", deadline(5, kB, 310)), "RX"));
  CHECK(
      among(h.with_before("expire B", [](LockChecker& c) { c.lease_promised(ms(9), kB, ms(315)); }),
            "RX"));
}

TEST_CASE("RX: a lock freed without release or expiry of its holder is seen") {
  const auto nothing = command(kP3, 2, 1, {});
  CHECK(among(good_history().with("expire B", applies(310, kP1, nothing)), "RX"));
  CHECK(among(good_history().without("A releases"), "RX"));
}

TEST_CASE("RX: a session that the daemon closed for its client is seen") {
  Applied close = command(kP3, 2, 1, {});
  close.ended = {{kB, OrderedEnd::How::closed}};
  const History h = good_history().with("expire B", applies(310, kP1, close));
  CHECK(only(h, "RX"));
  CHECK(h.with_before("expire B", [](LockChecker& c) { c.client_closed(ms(305), kB); })
            .violations()
            .empty());
}

TEST_CASE("RX: a grant after a cold start, before the old holders' promises ran out, is seen") {
  const History h = good_history();
  const auto grant_d = command(kQ1, 3, 1, {granted(lock(kD, 1), "k", Mode::ex, 1000)});
  CHECK(among(
      h.with("D's deadline", deadline(1400, kD, 3000)).with("grant D", applies(1450, kQ1, grant_d)),
      "RX"));
}

TEST_CASE("FIFO: a request that overtakes a waiting one is seen") {
  const History h = good_history();
  const auto overtake = command(
      kP1, 1, 4, {released(lock(kA, 1), Mode::ex, 1), granted(lock(kC, 1), "k", Mode::pr, 4)});
  CHECK(among(h.with("pass k to B", applies(22, kP1, overtake)), "FIFO"));
  const auto barge = command(kP3, 1, 3, {granted(lock(kC, 1), "k", Mode::nl, 4)});
  CHECK(among(h.with("queue C", applies(17, kP1, barge)), "FIFO"));
  const auto cancel = command(kP2, 1, 4,
                              {cancelled(lock(kB, 1), Mode::ex), released(lock(kA, 1), Mode::ex, 1),
                               granted(lock(kC, 1), "k", Mode::pr, 4)});
  CHECK(!among(h.with("pass k to B", applies(22, kP1, cancel)), "FIFO"));
}

TEST_CASE("LF: a lock that comes back to life after its deadline is seen") {
  const History h = good_history().with_before("expire B", deadline(305, kB, 400));
  CHECK(among(h, "LF"));
  const auto lost = [](LockChecker& c) {
    c.client_lost(ms(304), lock(kB, 1));
    c.client_lost(ms(304), lock(kB, 2));
    c.client_deadline(ms(305), kB, ms(400));
  };
  CHECK(!among(good_history().with_before("expire B", lost), "LF"));
}

TEST_CASE("LF: a client that relies on a lock after its deadline is seen") {
  const auto uses = [](std::int64_t at) {
    return [at](LockChecker& c) { c.client_uses(ms(at), lock(kB, 1)); };
  };
  CHECK(good_history().with_before("expire B", uses(299)).violations().empty());
  CHECK(only(good_history().with_before("expire B", uses(301)), "LF"));
}

TEST_CASE("E10: one epoch in two configurations, or of two contents, is seen") {
  const History h = good_history();
  Activation twin = kEpoch2;
  twin.ring = kR3;
  CHECK(only(h.with_before("expire B", activates(kP2, twin)), "E10"));
  twin = kEpoch2;
  twin.donor = kP3;
  CHECK(only(h.with_before("expire B", activates(kP3, twin)), "E10"));
  CHECK(only(h.with_before("expire B", activates(kP2, kEpoch2)), "E10"));  // No member.
}

TEST_CASE("E10: an epoch without a majority of votes, or with a stranger's, is seen") {
  Activation spoiled = kEpoch2;
  spoiled.voters = {NodeId{1}};
  CHECK(only(good_history(spoiled), "E10"));
  spoiled.voters = {NodeId{1}, NodeId{1}};
  CHECK(only(good_history(spoiled), "E10"));
  spoiled.voters = {NodeId{1}, NodeId{2}};
  CHECK(only(good_history(spoiled), "E10"));
}

TEST_CASE("E10: a donor that is no member is seen") {
  Activation spoiled = kEpoch2;
  spoiled.donor = kP2;
  CHECK(among(good_history(spoiled), "E10"));
}

TEST_CASE("E10: an epoch that begins with nothing though a member has the table is seen") {
  Activation cold = kEpoch2;
  cold.cold = true;
  cold.donor = kP3;
  History h;
  for (const Processor& p : {kP1, kP2, kP3}) h.add("activate 1", activates(p, kEpoch1));
  History wrong = h;
  wrong.add("activate 2", activates(kP1, cold));
  // The donor of epoch 1, which nobody names, is no member of any.
  CHECK(wrong.violations().empty());

  Activation first = kEpoch1;
  first.donor = kP1;
  History held;
  for (const Processor& p : {kP1, kP2, kP3}) held.add("activate 1", activates(p, first));
  held.add("activate 2", activates(kP3, cold));
  CHECK(only(held, "E10"));
  const auto failed = [](LockChecker& c) { c.somebody_failed(); };
  CHECK(held.with_before("activate 2", failed).violations().empty());
}

TEST_CASE("E10: a later epoch that shares no processor and is not cold is seen") {
  Activation warm = kEpoch3;
  warm.cold = false;
  warm.donor = kP3;
  warm.donor_epoch = 2;
  CHECK(only(good_history()
                 .with("activate 3", activates(kQ1, warm))
                 .without("grant D")
                 .without("tell D")
                 .without("D ok")
                 .without("D writes"),
             "E10"));
}

TEST_CASE("E10: an active epoch that a later one does not build upon is seen") {
  // Epoch 2 is active at 3 only after 1 built epoch 3 with the table of epoch 1.
  Activation from_old{3, kR3, {kP1, kP2}, {NodeId{1}, NodeId{2}}, false, kP2, 1};
  History h;
  for (const Processor& p : {kP1, kP2, kP3}) {
    h.add("install", installs(p, ConfigurationKind::regular, kR1));
    h.add("activate 1", activates(p, kEpoch1));
  }
  h.add("activate 3", activates(kP1, from_old));
  CHECK(h.violations().empty());
  h.add("activate 2", activates(kP3, kEpoch2));
  CHECK(only(h, "E10"));
}

TEST_CASE(
    "an epoch that was active in transitional configurations only may be built upon, or not") {
  Activation next{3, kR3, {kP1, kP2, kP3}, {NodeId{1}, NodeId{3}}, false, kP1, 2};
  History h;
  for (const Processor& p : {kP1, kP2, kP3}) h.add("activate 1", activates(p, kEpoch1));
  h.add("attempt 2", activates(kP1, kEpoch2, ConfigurationKind::transitional));
  Applied in_attempt = command(kP1, 2, 1, {granted(lock(kA, 1), "k", Mode::ex, 1)});
  in_attempt.kind = ConfigurationKind::transitional;
  in_attempt.configuration = kT1;
  h.add("apply", applies(20, kP1, in_attempt));
  h.add("A asks for k", asks(10, lock(kA, 1), "k", Mode::ex));
  h.add("A's deadline", deadline(20, kA, 100));

  History built = h;
  built.add("activate 3", activates(kP1, next));
  built.add("A ok", ok(50, lock(kA, 1), 1));
  CHECK(built.violations().empty());

  next.donor = kP3;
  next.donor_epoch = 1;
  History refuted = h;
  refuted.add("activate 3", activates(kP1, next));
  CHECK(refuted.violations().empty());
  refuted.add("A ok", ok(50, lock(kA, 1), 1));
  CHECK(only(refuted, "NPG"));
}

TEST_CASE("what an attempt would have inherited is not in a table that was not chosen for it") {
  // 1 and 3 delivered more than 2 did, and it is their table that epoch 2 would have had. All that
  // comes of it is that 2 delivers the ACTIVATE, alone, and goes on with the table it has.
  const Activation attempt{2, kR2, {kP1, kP2, kP3}, {NodeId{1}, NodeId{2}}, false, kP1, 1};
  const Activation next{3, kR3, {kP2, kQ1}, {NodeId{1}, NodeId{2}}, false, kP2, 1};
  History h;
  for (const Processor& p : {kP1, kP2, kP3}) h.add("activate 1", activates(p, kEpoch1));
  const std::vector<OrderedEffect> grant = {granted(lock(kA, 1), "k", Mode::ex, 1)};
  for (const Processor& p : {kP1, kP3}) {
    h.add("apply", applies(20, p, in_t1(command(kP1, 1, 2, grant))));
  }
  h.add("attempt 2", activates(kP2, attempt, ConfigurationKind::transitional));
  h.add("activate 3", activates(kP2, next));
  h.add("apply", applies(30, kP2, command(kP2, 3, 1, grant)));
  CHECK(h.violations().empty());
}

TEST_CASE("E10: a donor that has no table of that epoch is seen") {
  Activation spoiled = kEpoch2;
  spoiled.donor_epoch = 2;
  CHECK(among(good_history(spoiled), "E10"));
}

TEST_CASE("E10: a command applied in an epoch that its replica has not activated is seen") {
  CHECK(among(good_history().without("activate 1 at 3"), "E10"));
}

TEST_CASE("E11: replicas that differ at one place are seen") {
  const History h = good_history();
  const auto spoiled = [](auto change) {
    Applied applied = command(kP1, 1, 1, {granted(lock(kA, 1), "k", Mode::ex, 1)});
    change(applied);
    return applies(12, kP3, applied);
  };
  CHECK(only(h.with("grant A at 3", spoiled([](Applied& a) { a.state = 1; })), "E11"));
  CHECK(only(h.with("grant A at 3", spoiled([](Applied& a) { a.command = 1; })), "E11"));
  CHECK(only(h.with("grant A at 3", spoiled([](Applied& a) { a.effects.clear(); })), "E11"));
  CHECK(h.with("grant A at 3", spoiled([](Applied&) {})).violations().empty());
}

TEST_CASE(
    "E11: survivors that differ in a transitional configuration, or from who stayed, are seen") {
  const History h = good_history();
  Applied grant_t = command(kP2, 1, 6, {granted(lock(kB, 2), "t", Mode::ex, 7)});
  grant_t.state = 1;
  CHECK(only(h.with("grant t in T1 at 3", applies(45, kP3, in_t1(grant_t))), "E11"));
  CHECK(only(h.with("grant t in R1", applies(60, kP2, grant_t)), "E11"));
}

TEST_CASE("E11: a command that one side applied and the next epoch leaves out is seen") {
  const History h = good_history().without("grant t in T1");
  CHECK(among(h, "E11"));
}

TEST_CASE("E11: a command that the survivors have and a replica that stayed left out is seen") {
  const Applied without_sixth = command(kP2, 1, 7, {});
  CHECK(among(good_history()
                  .without("grant t in R1")
                  .without("B ok with t")
                  .with_before("install R2", applies(46, kP2, without_sixth)),
              "E11"));
}

TEST_CASE("a transitional configuration whose table was not chosen leaves no trace") {
  // Node 2, alone, applies what nobody else has; its table is dropped.
  Applied alone = command(kP2, 1, 7, {granted(lock(kC, 3), "t", Mode::ex, 7)});
  alone.kind = ConfigurationKind::transitional;
  alone.configuration = kR3;
  const History h = good_history().with_before("install R3", applies(70, kP2, alone));
  CHECK(h.violations().empty());
}

TEST_CASE(
    "a grant of an epoch that a cold start left behind may still be told, and is waited out") {
  const Applied late = command(kP3, 2, 3, {granted(lock(kC, 3), "v", Mode::ex, 9)});
  History h = good_history()
                  .with_before("install R3", asks(700, lock(kC, 3), "v", Mode::ex))
                  .with_before("D's deadline", applies(710, kP3, late))
                  .with_before("D's deadline", ok(711, lock(kC, 3), 9));
  CHECK(h.violations().empty());
  const Applied early = command(kQ1, 3, 1, {granted(lock(kD, 1), "v", Mode::ex, 1000)});
  CHECK(among(h.with("grant D", applies(1450, kQ1, early)), "RX"));
}

TEST_CASE("E12: a command of an excluded processor is seen") {
  const auto resurrected = command(kP2, 2, 3, {});
  CHECK(only(good_history().with_before("install R3", applies(400, kP1, resurrected)), "E12"));
}

TEST_CASE("only the first violations are kept") {
  LockChecker checker(3);
  for (std::uint64_t i = 0; i < 100; ++i) checker.client_ok(ms(1), lock(kD, i), Token{i});
  CHECK(checker.violated());
  CHECK(checker.finish().size() == LockChecker::kViolationsMax);
}

// What the order has of the kinds of locks beside PR and EX, each command at node 1 alone.
namespace {

constexpr dlm::LockFlags kValue = base::lock_flag::value_block;

dlm::ValueBlock block(std::uint8_t first) {
  dlm::ValueBlock value{};
  value[0] = std::byte{first};
  return value;
}

class Kinds {
 public:
  Kinds() {
    installs(kP1, ConfigurationKind::regular, kR1)(checker_);
    activates(kP1, kEpoch1)(checker_);
    for (const SessionId session : {kA, kB, kC}) deadline(5, session, 900)(checker_);
  }

  void asks(LockName name, const std::string& resource, Mode mode, dlm::LockFlags flags = 0) {
    checker_.client_asks(ms(10), name, {resource, mode, flags, {}, name.acquired_by, 1});
  }
  void converts(LockName name, std::uint64_t by, Mode mode, dlm::LockFlags flags = 0,
                std::optional<dlm::ValueBlock> value = {}) {
    checker_.client_converts(ms(11), name, {RequestId{by}, mode, flags, value});
  }
  void apply(std::vector<OrderedEffect> effects) {
    Applied one = command(kP1, 1, ++sequence_, std::move(effects));
    one.at = ms(12);
    one.by = kP1;
    apply(one);
  }
  void apply(const Applied& one) { checker_.applied(one); }

  // Applied as the next command.
  Applied next(std::vector<OrderedEffect> effects) {
    Applied one = command(kP1, 1, ++sequence_, std::move(effects));
    one.at = ms(12);
    one.by = kP1;
    return one;
  }
  LockChecker& checker() { return checker_; }

  std::set<std::string> violations() {
    std::set<std::string> properties;
    for (const Violation& violation : checker_.finish()) properties.insert(violation.property);
    return properties;
  }

 private:
  LockChecker checker_{3};
  std::uint64_t sequence_ = 0;
};

OrderedEffect by(OrderedEffect one, std::uint64_t request) {
  one.effect.request = RequestId{request};
  return one;
}
OrderedEffect with(OrderedEffect one, const dlm::ValueBlock& value, bool marked = false) {
  one.effect.value = value;
  if (marked) one.effect.notes = base::grant_note::value_invalid;
  return one;
}

const std::set<std::string> kNothing;

}  // namespace

TEST_CASE("ME: a conversion beside a conflicting lock is seen, in the order and in belief") {
  for (const bool wrong : {false, true}) {
    Kinds k;
    k.asks(lock(kA, 1), "k", Mode::pr);
    k.asks(lock(kB, 1), "k", wrong ? Mode::pr : Mode::cr);
    k.apply({granted(lock(kA, 1), "k", Mode::pr, 1),
             granted(lock(kB, 1), "k", wrong ? Mode::pr : Mode::cr, 2)});
    k.converts(lock(kA, 1), 2, Mode::pw);
    k.apply({by(granted(lock(kA, 1), "k", Mode::pw, 3), 2)});
    CHECK(k.violations() == (wrong ? std::set<std::string>{"ME"} : kNothing));
  }
}

TEST_CASE("ME: who converts downwards relies on the lower mode from the moment he asks") {
  for (const bool asked : {true, false}) {
    Kinds k;
    k.asks(lock(kA, 1), "k", Mode::ex);
    k.asks(lock(kB, 1), "k", Mode::pr);
    k.apply({granted(lock(kA, 1), "k", Mode::ex, 1)});
    k.checker().client_granted(ms(13), lock(kA, 1), {Token{1}, Mode::ex});
    if (asked) k.converts(lock(kA, 1), 2, Mode::pr);
    k.apply(
        {by(granted(lock(kA, 1), "k", Mode::pr, 2), 2), granted(lock(kB, 1), "k", Mode::pr, 3)});
    k.checker().client_granted(ms(14), lock(kB, 1), {Token{3}, Mode::pr});
    if (asked) {
      CHECK(k.violations() == kNothing);
    } else {
      CHECK(k.violations().count("NPG") == 1);
      CHECK(k.violations().count("ME") == 1);
    }
  }
}

TEST_CASE("NLR: a client that is told another end of its conversion than the order has is seen") {
  Kinds k;
  k.asks(lock(kA, 1), "k", Mode::ex);
  k.apply({granted(lock(kA, 1), "k", Mode::ex, 1)});
  k.checker().client_granted(ms(13), lock(kA, 1), {Token{1}, Mode::ex});
  k.converts(lock(kA, 1), 2, Mode::nl);
  k.checker().client_converted(ms(14), lock(kA, 1), RequestId{2}, {Token{2}, Mode::nl});
  CHECK(k.violations() == std::set<std::string>{"NLR"});
}

TEST_CASE("LVB: who reads an old value, or no mark, is seen") {
  const auto read = [](const dlm::ValueBlock& value, bool marked, bool writer_dies) {
    Kinds k;
    k.asks(lock(kA, 1), "k", Mode::ex, kValue);
    k.asks(lock(kC, 1), "k", Mode::nl);
    k.asks(lock(kB, 1), "k", Mode::pr, kValue);
    k.apply({with(granted(lock(kA, 1), "k", Mode::ex, 1), block(0)),
             granted(lock(kC, 1), "k", Mode::nl, 2)});
    if (writer_dies) {
      k.checker().client_closed(ms(12), kA);
      Applied end = k.next({released(lock(kA, 1), Mode::ex, 1)});
      end.ended = {{kA, OrderedEnd::How::expired}};
      k.apply(end);
    } else {
      k.checker().client_releases(ms(12), lock(kA, 1), kValue, block(7));
      k.apply({released(lock(kA, 1), Mode::ex, 1)});
    }
    k.apply({with(granted(lock(kB, 1), "k", Mode::pr, 3), value, marked)});
    return k.violations();
  };
  CHECK(read(block(7), false, false) == kNothing);
  CHECK(read(block(0), false, false) == std::set<std::string>{"LVB"});
  CHECK(read(block(7), true, false) == std::set<std::string>{"LVB"});
  CHECK(read(block(0), true, true) == kNothing);
  CHECK(read(block(0), false, true) == std::set<std::string>{"LVB"});
}

TEST_CASE("LVB: what a client has lost while it could write is marked when it is given back") {
  for (const bool marked : {true, false}) {
    Kinds k;
    k.asks(lock(kA, 1), "k", Mode::ex, kValue);
    k.asks(lock(kC, 1), "k", Mode::nl);
    k.asks(lock(kB, 1), "k", Mode::pr, kValue);
    k.apply({with(granted(lock(kA, 1), "k", Mode::ex, 1), block(0)),
             granted(lock(kC, 1), "k", Mode::nl, 2)});
    k.checker().client_granted(ms(13), lock(kA, 1), {Token{1}, Mode::ex, 0, block(0)});
    k.checker().client_lost(ms(13), lock(kA, 1));
    k.apply({released(lock(kA, 1), Mode::ex, 1)});
    k.apply({with(granted(lock(kB, 1), "k", Mode::pr, 3), block(0), marked)});
    CHECK(k.violations() == (marked ? kNothing : std::set<std::string>{"LVB"}));
  }
}

TEST_CASE("BLK: who asked to hear of those who wait, and does not, is seen") {
  for (const bool hears : {true, false}) {
    Kinds k;
    k.asks(lock(kA, 1), "k", Mode::ex, base::lock_flag::notify);
    k.asks(lock(kB, 1), "k", Mode::pr);
    k.apply({granted(lock(kA, 1), "k", Mode::ex, 1)});
    std::vector<OrderedEffect> effects = {queued(lock(kB, 1), "k", Mode::pr)};
    if (hears) effects.push_back(effect(dlm::Effect::Kind::blocks, lock(kA, 1), Mode::pr, 1));
    k.apply(effects);
    CHECK(k.violations() == (hears ? kNothing : std::set<std::string>{"BLK"}));
  }
}

TEST_CASE(
    "BLK: who has heard of a mode, and not of a higher one, or of one that converts, is seen") {
  const auto history = [](Mode second, bool converts, bool hears) {
    Kinds k;
    k.asks(lock(kA, 1), "k", Mode::pr, base::lock_flag::notify);
    k.asks(lock(kB, 1), "k", Mode::pw);
    k.asks(lock(kC, 1), "k", converts ? Mode::nl : second);
    k.apply({granted(lock(kA, 1), "k", Mode::pr, 1)});
    if (converts) {
      k.apply({granted(lock(kC, 1), "k", Mode::nl, 2)});
      k.converts(lock(kC, 1), 2, second);
    }
    k.apply({queued(lock(kB, 1), "k", Mode::pw),
             effect(dlm::Effect::Kind::blocks, lock(kA, 1), Mode::pw, 1)});
    std::vector<OrderedEffect> effects = {by(queued(lock(kC, 1), "k", second), converts ? 2 : 1)};
    if (hears) effects.push_back(effect(dlm::Effect::Kind::blocks, lock(kA, 1), second, 1));
    k.apply(effects);
    return k.violations();
  };
  for (const bool converts : {false, true}) {
    CHECK(history(Mode::pw, converts, false) == kNothing);
    CHECK(history(Mode::ex, converts, true) == kNothing);
    CHECK(history(Mode::ex, converts, false) == std::set<std::string>{"BLK"});
  }
}

TEST_CASE("FIFO: with HEADQUE one stands before all who wait, with NOORDER one need not stand") {
  const auto history = [](dlm::LockFlags flags, bool third_first) {
    Kinds k;
    k.asks(lock(kA, 1), "k", Mode::ex);
    k.asks(lock(kB, 1), "k", Mode::ex);
    k.asks(lock(kC, 1), "k", Mode::ex, flags);
    k.apply({granted(lock(kA, 1), "k", Mode::ex, 1)});
    k.apply({queued(lock(kB, 1), "k", Mode::ex)});
    k.apply({queued(lock(kC, 1), "k", Mode::ex)});
    k.checker().client_releases(ms(12), lock(kA, 1));
    k.apply({released(lock(kA, 1), Mode::ex, 1),
             granted(third_first ? lock(kC, 1) : lock(kB, 1), "k", Mode::ex, 2)});
    return k.violations();
  };
  const std::set<std::string> overtaken = {"FIFO"};
  CHECK(history(0, false) == kNothing);
  CHECK(history(0, true) == overtaken);
  CHECK(history(base::lock_flag::head_of_queue, true) == kNothing);
  CHECK(history(base::lock_flag::head_of_queue, false) == overtaken);
  CHECK(history(base::lock_flag::no_order, true) == kNothing);
  CHECK(history(base::lock_flag::no_order, false) == kNothing);
}

TEST_CASE("LIN, NLW: what a flag lets go, and waits all the same, is seen") {
  const auto history = [](dlm::LockFlags flags, bool at_once) {
    Kinds k;
    k.asks(lock(kA, 1), "k", Mode::pr);
    k.asks(lock(kB, 1), "k", Mode::ex);
    k.asks(lock(kC, 1), "k", Mode::pr, flags);
    k.apply({granted(lock(kA, 1), "k", Mode::pr, 1)});
    k.apply({queued(lock(kB, 1), "k", Mode::ex)});
    k.apply(
        {at_once ? granted(lock(kC, 1), "k", Mode::pr, 2) : queued(lock(kC, 1), "k", Mode::pr)});
    return k.violations();
  };
  CHECK(history(0, false) == kNothing);
  CHECK(history(0, true) == std::set<std::string>{"FIFO"});
  for (const dlm::LockFlags flags : {base::lock_flag::head_of_queue, base::lock_flag::no_order}) {
    CHECK(history(flags, true) == kNothing);
    CHECK(history(flags, false) == std::set<std::string>{"LIN", "NLW"});
  }
}

TEST_CASE(
    "ME: a demoted conversion may be told before those it let go, not be granted before them") {
  for (const std::uint64_t token : {5U, 3U}) {
    Kinds k;
    k.asks(lock(kA, 1), "k", Mode::pr);
    k.asks(lock(kB, 1), "k", Mode::pr);
    k.apply({granted(lock(kA, 1), "k", Mode::pr, 1), granted(lock(kB, 1), "k", Mode::pr, 2)});
    k.converts(lock(kA, 1), 2, Mode::cw);
    k.apply({by(queued(lock(kA, 1), "k", Mode::cw), 2)});
    k.converts(lock(kB, 1), 2, Mode::cw, base::lock_flag::demote_on_deadlock);
    OrderedEffect demoted = by(granted(lock(kB, 1), "k", Mode::cw, token), 2);
    demoted.effect.notes = base::grant_note::demoted;
    k.apply({demoted, by(granted(lock(kA, 1), "k", Mode::cw, 4), 2)});
    CHECK(k.violations() == (token == 5 ? kNothing : std::set<std::string>{"ME"}));
  }
}

TEST_CASE("NPG: a request that is granted in a mode it is not content with is seen") {
  const auto history = [](dlm::LockFlags flags, dlm::GrantNotes notes) {
    Kinds k;
    k.asks(lock(kA, 1), "k", Mode::ex, flags);
    OrderedEffect grant = granted(lock(kA, 1), "k", Mode::pr, 1);
    grant.effect.notes = notes;
    k.apply({grant});
    return k.violations();
  };
  CHECK(history(base::lock_flag::or_pr, base::grant_note::other_mode) == kNothing);
  CHECK(history(base::lock_flag::or_pr, 0) == std::set<std::string>{"NPG"});
  CHECK(history(base::lock_flag::or_cw, base::grant_note::other_mode) ==
        std::set<std::string>{"NPG"});
}

TEST_CASE("ALL: a part that is granted alone is seen") {
  for (const bool alone : {false, true}) {
    Kinds k;
    for (const std::uint64_t part : {1U, 2U}) {
      k.checker().client_asks(ms(10), lock(kA, part),
                              {part == 1 ? "k" : "s", Mode::ex, 0, {}, RequestId{1}, 2});
    }
    std::vector<OrderedEffect> effects = {granted(lock(kA, 1), "k", Mode::ex, 1)};
    if (!alone) effects.push_back(granted(lock(kA, 2), "s", Mode::ex, 2));
    k.apply(effects);
    CHECK(k.violations() == (alone ? std::set<std::string>{"ALL"} : kNothing));
  }
}

TEST_CASE("NLW: who is first and fits, and still waits, is seen at once") {
  Kinds k;
  k.asks(lock(kA, 1), "k", Mode::ex);
  k.asks(lock(kB, 1), "k", Mode::ex);
  k.apply({granted(lock(kA, 1), "k", Mode::ex, 1)});
  k.apply({queued(lock(kB, 1), "k", Mode::ex)});
  k.checker().client_releases(ms(12), lock(kA, 1));
  k.apply({released(lock(kA, 1), Mode::ex, 1)});
  CHECK(k.violations() == std::set<std::string>{"NLW"});
}

TEST_CASE(
    "ORPHAN: a persistent lock that ends with its process, or is adopted elsewhere, is seen") {
  const auto history = [](bool freed, const Processor& adopter, bool with_node = false) {
    Kinds k;
    k.asks(lock(kA, 1), "k", Mode::ex, base::lock_flag::persistent);
    Applied grant = k.next({granted(lock(kA, 1), "k", Mode::ex, 1)});
    grant.attached = {{kA, kP1}};
    k.apply(grant);
    k.checker().client_closed(ms(12), kA);
    Applied close = k.next({});
    if (freed) close.effects = {released(lock(kA, 1), Mode::ex, 1)};
    close.ended = {{kA, OrderedEnd::How::expired, with_node}};
    k.apply(close);
    if (freed) return k.violations();
    k.asks(lock(kB, 1), "k", Mode::ex, base::lock_flag::adopt_orphan);
    Applied adopt = k.next({granted(lock(kB, 1), "k", Mode::ex, 2)});
    adopt.sender = adopter;
    k.apply(adopt);
    return k.violations();
  };
  CHECK(history(false, kP1) == kNothing);
  CHECK(history(true, kP1) == std::set<std::string>{"ORPHAN"});
  CHECK(history(false, kP2).count("ORPHAN") == 1);
  CHECK(history(false, kP1, true).count("ORPHAN") == 1);
}

TEST_CASE(
    "RX: a session that is ended by force holds nothing any more, whatever its client believes") {
  const auto history = [](OrderedEnd::How how) {
    Kinds k;
    k.asks(lock(kA, 1), "k", Mode::ex);
    k.asks(lock(kB, 1), "k", Mode::ex);
    k.apply({granted(lock(kA, 1), "k", Mode::ex, 1)});
    k.checker().client_granted(ms(12), lock(kA, 1), {Token{1}, Mode::ex});
    Applied end = k.next({released(lock(kA, 1), Mode::ex, 1)});
    end.ended = {{kA, how, true}};
    k.apply(end);
    k.apply({granted(lock(kB, 1), "k", Mode::ex, 2)});
    k.checker().client_granted(ms(13), lock(kB, 1), {Token{2}, Mode::ex});
    k.checker().client_uses(ms(13), lock(kA, 1));
    return k.violations();
  };
  CHECK(history(OrderedEnd::How::forced) == kNothing);
  CHECK(history(OrderedEnd::How::expired) == std::set<std::string>{"ME", "RX"});
}

TEST_CASE("ONE: a second answer, and an answer to nothing, are seen") {
  Kinds k;
  k.checker().client_operates(1, RequestId{5});
  k.checker().client_answered(ms(10), 1, RequestId{5});
  CHECK(k.violations() == kNothing);
  k.checker().client_answered(ms(11), 1, RequestId{5});
  CHECK(k.violations() == std::set<std::string>{"ONE"});
}

TEST_CASE("SPACE: members that change without a generation, a slot twice, a tale that is none") {
  const LockspaceSeen one{"team", 1, true, {{NodeId{1}, 1}}, {}};
  const LockspaceSeen two{"team", 2, true, {{NodeId{1}, 1}, {NodeId{2}, 2}}, {}};
  const auto history = [&](const LockspaceSeen& second, const LockspaceSeen& told) {
    Kinds k;
    for (const LockspaceSeen& seen : {one, second}) {
      Applied applied = k.next({});
      applied.lockspaces = {seen};
      k.apply(applied);
    }
    k.checker().client_told_of(ms(13), kA, told);
    return k.violations();
  };
  LockspaceSeen same_generation = two;
  same_generation.generation = 1;
  LockspaceSeen same_slot = two;
  same_slot.members[1].second = 1;
  CHECK(history(two, two) == kNothing);
  CHECK(history(same_generation, one) == std::set<std::string>{"SPACE"});
  CHECK(history(same_slot, one) == std::set<std::string>{"SPACE"});
  CHECK(history(two, same_slot) == std::set<std::string>{"SPACE"});
}

}  // namespace sim
