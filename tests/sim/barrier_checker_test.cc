// The judge is judged: good histories pass, and each way of spoiling one is seen.
#include "tests/sim/barrier_checker.h"

#include <doctest/doctest.h>

#include <algorithm>
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
using Kind = BarrierAsked::Kind;

constexpr Processor kP1{NodeId{1}, base::Incarnation{11}};
constexpr Processor kP2{NodeId{2}, base::Incarnation{12}};
constexpr RingId kRing{1, NodeId{1}, 101};
constexpr RingId kOtherRing{2, NodeId{1}, 102};
constexpr SessionId kA{10};
constexpr SessionId kB{20};
constexpr SessionId kC{30};
const BarrierName kName{"space", "x"};

TrueTime ms(std::int64_t n) {
  return std::chrono::milliseconds(n);
}

BarrierConfig fixed(std::uint32_t parties) {
  BarrierConfig config;
  config.parties = parties;
  config.auto_delete = false;
  return config;
}

BarrierConfig dynamic(BarrierOnDeath on_death) {
  BarrierConfig config = fixed(0);
  config.on_death = on_death;
  return config;
}

BarrierKey enter(std::uint64_t generation) {
  return {BarrierGeneration{generation}, BarrierStep::enter};
}
BarrierKey leave(std::uint64_t generation) {
  return {BarrierGeneration{generation}, BarrierStep::leave};
}

// One barrier, and the clients 1, 2, 3 with the sessions A, B, C, of which A is at node 1. A test
// says what the order has and what clients are told; what is there afterwards the scene keeps.
class Scene {
 public:
  explicit Scene(BarrierConfig config, std::uint32_t fastest_ppm = 0, bool faultless = false)
      : checker(fastest_ppm, faultless), config_(config) {
    checker.began_empty(1);
    checker.client_opened(1, kA);
    checker.client_opened(2, kB);
    checker.client_opened(3, kC);
  }

  static std::uint64_t client_of(SessionId session) { return base::value(session) / 10; }
  static Processor at(SessionId session) { return session == kA ? kP1 : kP2; }

  BarrierAsked arrival(std::uint64_t request, const std::string& value = {}) const {
    BarrierAsked asked;
    asked.kind = Kind::arrive;
    asked.request = RequestId{request};
    asked.name = kName;
    asked.config = config_;
    asked.value = value;
    return asked;
  }

  BarrierAsked about(Kind kind, std::uint64_t request) const {
    BarrierAsked asked;
    asked.kind = kind;
    asked.request = RequestId{request};
    asked.name = kName;
    return asked;
  }

  BarrierAsked leaving(std::uint64_t request, std::uint64_t generation) const {
    BarrierAsked asked;
    asked.kind = Kind::leave;
    asked.request = RequestId{request};
    asked.generation = BarrierGeneration{generation};
    return asked;
  }

  // A request is asked, ordered and taken.
  OrderedBarriers requests(SessionId session, const BarrierAsked& asked) {
    if (asked.kind == Kind::withdraw) {
      checker.client_withdraws(client_of(session), asked.arrival);
    } else {
      checker.client_asks(client_of(session), asked);
    }
    OrderedBarriers command;
    command.asked = asked;
    command.asked_by = session;
    command.happened.push_back(RequestAnswered{true});
    there = true;
    return command;
  }

  OrderedBarriers opens(OrderedBarriers command, BarrierKey key) {
    command.happened.push_back(StepOpened{key});
    checker.opened(now, key);
    return command;
  }

  OrderedBarriers ends(OrderedBarriers command, const BarrierOutcome& outcome,
                       const std::vector<std::uint64_t>& requests) {
    const BarrierKey key{outcome.generation, outcome.step};
    command.outcomes.push_back({kName, outcome});
    for (std::size_t i = 0; i < outcome.members.size(); ++i) {
      const SessionId session = outcome.members[i].session;
      command.happened.push_back(StepEnded{key, session, RequestId{requests[i]}});
      owed.emplace_back(session, key);
    }
    return command;
  }

  static OrderedBarriers death(SessionId session) {
    OrderedBarriers command;
    command.happened.push_back(SessionOver{session, at(session)});
    return command;
  }

  void order(OrderedBarriers command, const Processor& sender = kP1, const RingId& ring = kRing) {
    command.owed = owed;
    command.members = members;
    if (there) command.barriers.emplace_back(kName, config_);
    Applied applied;
    applied.at = now;
    applied.sender = sender;
    applied.place = {1, ring, ++sequence_, 0};
    applied.barriers = std::make_shared<const OrderedBarriers>(std::move(command));
    checker.ordered(applied);
  }

  void arrives(SessionId session, std::uint64_t request, const std::string& value = {}) {
    order(requests(session, arrival(request, value)), at(session));
  }
  void arrives_first(SessionId session, std::uint64_t request, std::uint64_t generation,
                     const std::string& value = {}) {
    order(opens(requests(session, arrival(request, value)), enter(generation)), at(session));
  }

  static BarrierOutcome outcome(BarrierKey key, BarrierEnding ending,
                                const std::vector<std::pair<SessionId, std::string>>& members) {
    BarrierOutcome outcome;
    outcome.generation = key.generation;
    outcome.step = key.step;
    outcome.ending = ending;
    outcome.ring = kRing;
    outcome.members_total = static_cast<std::uint32_t>(members.size());
    for (const auto& [session, value] : members) {
      outcome.members.push_back({session, at(session), value});
    }
    return outcome;
  }

  void acknowledges(SessionId session, BarrierKey key) {
    std::erase(owed, std::pair{session, key});
    OrderedBarriers command;
    command.acknowledged.emplace_back(session, key);
    order(command);
  }

  void is_told(SessionId session, std::uint64_t request, const BarrierOutcome& what) {
    checker.client_ended(now, client_of(session), RequestId{request}, session, what);
  }

  // The properties that are violated, each once.
  std::string violated() const {
    std::string found;
    for (const Violation& violation : checker.violations()) {
      const std::string name = violation.property.substr(std::string("barrier ").size());
      if (found.find(name) == std::string::npos) found += (found.empty() ? "" : " ") + name;
    }
    return found;
  }

  BarrierChecker checker;
  TrueTime now = ms(0);
  bool there = false;
  std::vector<std::pair<SessionId, BarrierKey>> owed;
  std::vector<BarrierMembers> members;

 private:
  const BarrierConfig config_;
  std::uint64_t sequence_ = 0;
};

const BarrierOutcome kBoth =
    Scene::outcome(enter(7), BarrierEnding::released, {{kA, "a"}, {kB, "b"}});

// A arrives, then B, and both are released.
struct TwoReleased : Scene {
  explicit TwoReleased(const BarrierOutcome& outcome = kBoth) : Scene(fixed(2)) {
    arrives_first(kA, 1, 7, "a");
    order(ends(requests(kB, arrival(1, "b")), outcome, {1, 1}), kP2);
  }
};

TEST_CASE("a generation that is released, told and acknowledged violates nothing") {
  TwoReleased scene;
  scene.is_told(kA, 1, kBoth);
  scene.is_told(kB, 1, kBoth);
  scene.checker.told(scene.now, kP1, kA, enter(7), true);
  scene.acknowledges(kA, enter(7));
  scene.acknowledges(kB, enter(7));
  scene.checker.settled(scene.now);
  CHECK(scene.violated() == "");
}

TEST_CASE("NER: a release before as many have arrived as there are parties is seen") {
  Scene scene(fixed(3));
  scene.arrives_first(kA, 1, 7, "a");
  scene.order(scene.ends(scene.requests(kB, scene.arrival(1, "b")), kBoth, {1, 1}), kP2);
  CHECK(scene.violated() == "NER");
}

TEST_CASE("NER: a release that counts one who has withdrawn is seen") {
  Scene scene(fixed(2));
  scene.arrives_first(kA, 1, 7, "a");
  BarrierAsked withdrawal = scene.about(Kind::withdraw, 2);
  withdrawal.arrival = RequestId{1};
  scene.order(scene.requests(kA, withdrawal));
  scene.checker.client_failed(scene.now, 1, RequestId{1}, true);
  CHECK(scene.violated() == "");
  scene.order(
      scene.ends(scene.opens(scene.requests(kB, scene.arrival(1, "b")), enter(7)), kBoth, {1, 1}),
      kP2);
  CHECK(scene.violated() == "GEN NER KPT");
}

TEST_CASE("NER: who is told that it has withdrawn counts in no outcome, before or after") {
  TwoReleased scene;
  scene.checker.client_failed(scene.now, 1, RequestId{1}, true);
  CHECK(scene.violated() == "NER");
}

TEST_CASE("NER: of nodes, two sessions at one count once") {
  BarrierConfig config = fixed(2);
  config.unit = BarrierUnit::node;
  Scene scene(config);
  scene.arrives_first(kB, 1, 7);
  const auto both = Scene::outcome(enter(7), BarrierEnding::released, {{kB, ""}, {kC, ""}});
  scene.order(scene.ends(scene.requests(kC, scene.arrival(1)), both, {1, 1}), kP2);
  CHECK(scene.violated() == "NER");
}

TEST_CASE("NER: nobody is released while somebody is inside, nor from a second step too early") {
  BarrierConfig config = fixed(2);
  config.two_steps = true;
  Scene scene(config);
  scene.arrives_first(kA, 1, 7, "a");
  scene.order(scene.ends(scene.requests(kB, scene.arrival(1, "b")), kBoth, {1, 1}), kP2);
  const auto left = Scene::outcome(leave(7), BarrierEnding::released, {{kA, ""}, {kB, ""}});
  SUBCASE("too early") {
    scene.order(
        scene.ends(scene.opens(scene.requests(kA, scene.leaving(2, 7)), leave(7)), left, {2, 0}));
    CHECK(scene.violated() == "NER");
  }
  SUBCASE("all have left") {
    scene.order(scene.opens(scene.requests(kA, scene.leaving(2, 7)), leave(7)));
    scene.order(scene.ends(scene.requests(kB, scene.leaving(2, 7)), left, {2, 2}), kP2);
    CHECK(scene.violated() == "");
  }
  SUBCASE("all have left, and wait") {
    scene.order(scene.opens(scene.requests(kA, scene.leaving(2, 7)), leave(7)));
    scene.order(scene.requests(kB, scene.leaving(2, 7)), kP2);
    CHECK(scene.violated() == "NLB");
  }
  SUBCASE("who has left arrives again, and another with it") {
    scene.order(scene.opens(scene.requests(kA, scene.leaving(2, 7)), leave(7)));
    scene.arrives_first(kA, 3, 8);
    const auto next = Scene::outcome(enter(8), BarrierEnding::released, {{kA, ""}, {kC, ""}});
    scene.order(scene.ends(scene.requests(kC, scene.arrival(1)), next, {3, 1}), kP2);
    CHECK(scene.violated() == "NER");
  }
}

TEST_CASE("NLB: when all have arrived they are released by that command") {
  Scene scene(fixed(2));
  scene.arrives_first(kA, 1, 7);
  scene.arrives(kB, 1);
  CHECK(scene.violated() == "NLB");
}

TEST_CASE("NLB: a dynamic barrier does not wait for who has died") {
  Scene scene(dynamic(BarrierOnDeath::shrink));
  scene.members = {{"space", 3, {kP1, kP2}, {kA, kB}}};
  scene.arrives_first(kA, 1, 7);
  CHECK(scene.violated() == "");
  scene.order(Scene::death(kB));
  CHECK(scene.violated() == "NLB");
}

TEST_CASE("NLB: a participant that the outcome leaves out is seen") {
  TwoReleased scene(Scene::outcome(enter(7), BarrierEnding::released, {{kA, "a"}}));
  CHECK(scene.violated() == "NLB KPT");
}

TEST_CASE("NLB: who has waited long enough for an outcome was left behind") {
  TwoReleased scene;
  scene.is_told(kA, 1, kBoth);
  scene.acknowledges(kA, enter(7));
  scene.checker.settled(scene.now);
  CHECK(scene.violated() == "NLB KPT");
}

TEST_CASE("ONE: another ending, configuration or death than the order has is seen") {
  TwoReleased scene;
  BarrierOutcome told = kBoth;
  SUBCASE("ending") {
    told.ending = BarrierEnding::timed_out;
  }
  SUBCASE("ring") {
    told.ring = kOtherRing;
  }
  SUBCASE("members") {
    told.membership = 9;
  }
  SUBCASE("deaths") {
    told.losses = 1;
  }
  SUBCASE("participants") {
    told.members.pop_back();
  }
  SUBCASE("another step") {
    told.generation = BarrierGeneration{8};
  }
  scene.is_told(kA, 1, told);
  CHECK(scene.violated() == "ONE");
}

TEST_CASE("ONE: the membership that an outcome names is the one that there was") {
  Scene scene(fixed(2));
  scene.members = {{"space", 3, {kP1, kP2}, {}}};
  scene.arrives_first(kA, 1, 7, "a");
  BarrierOutcome outcome = kBoth;
  SUBCASE("right") {
    outcome.membership = 3;
  }
  SUBCASE("wrong") {
    outcome.membership = 2;
  }
  scene.order(scene.ends(scene.requests(kB, scene.arrival(1, "b")), outcome, {1, 1}), kP2);
  CHECK(scene.violated() == (outcome.membership == 3 ? "" : "ONE"));
}

TEST_CASE("ONE: a cancel breaks it, and nothing else is called so") {
  Scene scene(fixed(2));
  scene.arrives_first(kA, 1, 7);
  const auto cancelled = Scene::outcome(enter(7), BarrierEnding::cancelled, {{kA, ""}});
  SUBCASE("cancelled") {
    scene.order(scene.ends(scene.requests(kB, scene.about(Kind::cancel, 1)), cancelled, {1}), kP2);
    CHECK(scene.violated() == "");
  }
  SUBCASE("not broken") {
    scene.order(scene.requests(kB, scene.about(Kind::cancel, 1)), kP2);
    CHECK(scene.violated() == "ONE");
  }
  SUBCASE("by nobody") {
    scene.order(scene.ends({}, cancelled, {1}));
    CHECK(scene.violated() == "ONE");
  }
}

TEST_CASE("VAL: each value is what its participant brought along") {
  SUBCASE("in the order") {
    CHECK(TwoReleased(Scene::outcome(enter(7), BarrierEnding::released, {{kA, "a"}, {kB, ""}}))
              .violated() == "VAL");
  }
  SUBCASE("as told") {
    TwoReleased scene;
    scene.is_told(kA, 1, Scene::outcome(enter(7), BarrierEnding::released, {{kA, "a"}, {kB, "c"}}));
    CHECK(scene.violated() == "VAL");
  }
}

TEST_CASE("EXO: an arrival that is ordered again counts once") {
  Scene scene(fixed(2));
  scene.arrives_first(kA, 1, 7, "a");
  scene.arrives(kA, 1, "a");
  CHECK(scene.violated() == "");
  const auto twice = Scene::outcome(enter(7), BarrierEnding::released, {{kA, "a"}, {kA, "a"}});
  scene.order(scene.ends(scene.requests(kA, scene.arrival(1, "a")), twice, {1, 1}));
  CHECK(scene.violated() == "EXO NER");
}

TEST_CASE("EXO: an arrival that is sent again after its end opens nothing") {
  TwoReleased scene;
  scene.order(scene.opens(scene.requests(kA, scene.arrival(1, "a")), enter(8)));
  CHECK(scene.violated() == "GEN");
}

TEST_CASE("EXO: what nobody has asked for has no effect") {
  Scene scene(fixed(2));
  OrderedBarriers command;
  command.asked = scene.arrival(1);
  command.asked_by = kA;
  command.happened.push_back(RequestAnswered{true});
  scene.there = true;
  scene.order(scene.opens(command, enter(7)));
  CHECK(scene.violated() == "EXO");
}

TEST_CASE("EXO: an arrival has one end, and its own") {
  TwoReleased scene;
  SUBCASE("told twice") {
    scene.is_told(kA, 1, kBoth);
    scene.is_told(kA, 1, kBoth);
  }
  SUBCASE("told, and failed") {
    scene.is_told(kA, 1, kBoth);
    scene.checker.client_failed(scene.now, 1, RequestId{1}, false);
  }
  SUBCASE("of another request") {
    scene.checker.client_asks(1, scene.arrival(5));
    scene.is_told(kA, 5, kBoth);
  }
  CHECK(scene.violated() == "EXO");
}

TEST_CASE("PRM: an outcome is of the ring in which it was completed, and told by its primary") {
  SUBCASE("another ring") {
    BarrierOutcome outcome = kBoth;
    outcome.ring = kOtherRing;
    CHECK(TwoReleased(outcome).violated() == "PRM");
  }
  SUBCASE("told in a minority") {
    TwoReleased scene;
    scene.checker.told(scene.now, kP1, kA, enter(7), false);
    CHECK(scene.violated() == "PRM");
  }
}

TEST_CASE("GEN: numbers grow, through cold starts too, and in the order of tokens") {
  TwoReleased scene;
  const auto grant = [](std::uint64_t epoch, std::uint64_t token) {
    Applied applied;
    applied.place = {epoch, kRing, 100, 0};
    dlm::Effect effect;
    effect.kind = dlm::Effect::Kind::granted;
    effect.token = base::Token{token};
    applied.effects.push_back({effect, "r"});
    applied.barriers = std::make_shared<const OrderedBarriers>();
    return applied;
  };
  SUBCASE("the next") {
    scene.arrives_first(kA, 2, 8);
    CHECK(scene.violated() == "");
  }
  SUBCASE("the same") {
    scene.arrives_first(kA, 2, 7);
    CHECK(scene.violated() == "GEN");
  }
  SUBCASE("a lower one") {
    scene.arrives_first(kA, 2, 6);
    CHECK(scene.violated() == "GEN");
  }
  SUBCASE("a token below it, after a cold start") {
    scene.checker.began_empty(2);
    scene.checker.ordered(grant(2, 7));
    CHECK(scene.violated() == "GEN");
  }
  SUBCASE("a token above it, and a number below that") {
    scene.checker.began_empty(2);
    scene.checker.ordered(grant(2, 20));
    CHECK(scene.violated() == "");
    Applied applied;
    applied.place = {2, kRing, 101, 0};
    OrderedBarriers command = scene.opens(scene.requests(kA, scene.arrival(2)), enter(19));
    command.barriers.emplace_back(kName, fixed(2));
    applied.barriers = std::make_shared<const OrderedBarriers>(command);
    scene.checker.ordered(applied);
    CHECK(scene.violated() == "GEN");
  }
}

TEST_CASE("DTH: where deaths break, they break, and name who died") {
  Scene scene(fixed(3));
  scene.arrives_first(kA, 1, 7);
  scene.arrives(kB, 1);
  BarrierOutcome broken = Scene::outcome(enter(7), BarrierEnding::participant_died, {{kA, ""}});
  broken.losses = 1;
  broken.lost = {{kB, kP2}};
  SUBCASE("right") {
    scene.order(scene.ends(Scene::death(kB), broken, {1}));
    CHECK(scene.violated() == "");
  }
  SUBCASE("another name") {
    broken.lost = {{kC, kP2}};
    scene.order(scene.ends(Scene::death(kB), broken, {1}));
    CHECK(scene.violated() == "DTH");
  }
  SUBCASE("not broken") {
    scene.order(Scene::death(kB));
    CHECK(scene.violated() == "DTH");
  }
  SUBCASE("a stranger's death") {
    broken.losses = 0;
    broken.lost.clear();
    broken.members.push_back({kB, kP2, ""});
    scene.order(scene.ends(Scene::death(kC), broken, {1, 1}));
    CHECK(scene.violated() == "DTH");
  }
}

TEST_CASE("DTH: where deaths do not break, they do not, and the dead do not count") {
  BarrierConfig config = fixed(2);
  config.on_death = BarrierOnDeath::wait;
  config.unit = BarrierUnit::node;
  Scene scene(config);
  scene.arrives_first(kB, 1, 7);
  scene.arrives(kC, 1);
  BarrierOutcome outcome = Scene::outcome(enter(7), BarrierEnding::participant_died, {{kC, ""}});
  outcome.losses = 1;
  outcome.lost = {{kB, kP2}};
  SUBCASE("broken") {
    scene.order(scene.ends(Scene::death(kB), outcome, {1}));
    CHECK(scene.violated() == "DTH");
  }
  SUBCASE("released without the dead") {
    scene.order(Scene::death(kB));
    outcome = Scene::outcome(enter(7), BarrierEnding::released, {{kA, ""}, {kC, ""}});
    outcome.losses = 1;
    outcome.lost = {{kB, kP2}};
    scene.order(scene.ends(scene.requests(kA, scene.arrival(1)), outcome, {1, 1}));
    CHECK(scene.violated() == "");
  }
  SUBCASE("released with the dead") {
    scene.order(Scene::death(kB));
    outcome = Scene::outcome(enter(7), BarrierEnding::released, {{kA, ""}, {kB, ""}, {kC, ""}});
    outcome.losses = 1;
    outcome.lost = {{kB, kP2}};
    scene.order(scene.ends(scene.requests(kA, scene.arrival(1)), outcome, {1, 1, 1}));
    CHECK(scene.violated() == "NER KPT");
  }
}

TEST_CASE("DTH: a dynamic barrier that waits for a replacement has it first") {
  Scene scene(dynamic(BarrierOnDeath::wait));
  scene.members = {{"space", 3, {kP1, kP2}, {kA, kB}}};
  scene.arrives_first(kA, 1, 7);
  BarrierOutcome released = Scene::outcome(enter(7), BarrierEnding::released, {{kA, ""}});
  released.membership = 3;
  released.losses = 1;
  released.lost = {{kB, kP2}};
  SUBCASE("too early") {
    scene.order(scene.ends(Scene::death(kB), released, {1}));
    CHECK(scene.violated() == "NER");
  }
  SUBCASE("broken") {
    released.ending = BarrierEnding::participant_died;
    scene.order(scene.ends(Scene::death(kB), released, {1}));
    CHECK(scene.violated() == "DTH");
  }
  SUBCASE("replaced") {
    scene.order(Scene::death(kB));
    scene.members.front().sessions = {kA, kC};
    OrderedBarriers join;
    join.happened.push_back(RequestAnswered{true});
    scene.order(join);
    released.members.push_back({kC, kP2, ""});
    scene.order(scene.ends(scene.requests(kC, scene.arrival(1)), released, {1, 1}), kP2);
    CHECK(scene.violated() == "");
  }
}

TEST_CASE("DTH: a node that fails is a death for those who count nodes") {
  BarrierConfig config = dynamic(BarrierOnDeath::break_it);
  config.unit = BarrierUnit::node;
  Scene scene(config);
  scene.members = {{"space", 3, {kP1, kP2}, {kA, kB}}};
  scene.arrives_first(kA, 1, 7);
  scene.members = {{"space", 4, {kP1}, {kA, kB}}};
  OrderedBarriers departures;
  departures.departures = true;
  BarrierOutcome broken = Scene::outcome(enter(7), BarrierEnding::participant_died, {{kA, ""}});
  broken.membership = 4;
  broken.losses = 1;
  broken.lost = {{SessionId{}, kP2}};
  SUBCASE("told") {
    scene.order(scene.ends(departures, broken, {1}));
    CHECK(scene.violated() == "");
  }
  SUBCASE("untold") {
    scene.order(departures);
    CHECK(scene.violated() == "DTH NLB");
  }
}

TEST_CASE("DTH: where nobody fails, nothing is broken but by who ends sessions by force") {
  Scene scene(fixed(3), 0, true);
  scene.arrives_first(kA, 1, 7);
  scene.arrives(kB, 1);
  BarrierOutcome broken = Scene::outcome(enter(7), BarrierEnding::participant_died, {{kA, ""}});
  broken.losses = 1;
  broken.lost = {{kB, kP2}};
  OrderedBarriers command;
  bool forced = false;
  SUBCASE("by force") {
    forced = true;
  }
  SUBCASE("by a loss") {
    forced = false;
  }
  command.happened.push_back(SessionOver{kB, kP2, forced});
  scene.order(scene.ends(command, broken, {1}));
  CHECK(scene.violated() == (forced ? "" : "DTH"));
}

TEST_CASE("TMO: a time-out comes after the patience, by the fastest clock, if there is one") {
  struct Case {
    std::uint32_t patience;
    std::int64_t after;  // In microseconds.
    BarrierKey named;
    std::string violated;
  };
  const Case cases[] = {{100, 100'000, enter(7), ""},
                        {100, 99'010, enter(7), ""},  // By a fast clock.
                        {100, 99'000, enter(7), "TMO"},
                        {100, 100'000, leave(7), "TMO"},
                        {0, 100'000, enter(7), "TMO"}};
  for (const Case& one : cases) {
    BarrierConfig config = fixed(2);
    config.patience = one.patience;
    Scene scene(config, 10'000);
    scene.arrives_first(kA, 1, 7);
    OrderedBarriers command;
    command.timed_out = one.named;
    scene.now = std::chrono::microseconds(one.after);
    const auto broken = Scene::outcome(enter(7), BarrierEnding::timed_out, {{kA, ""}});
    scene.order(scene.ends(command, broken, {1}));
    CHECK(scene.violated() == one.violated);
  }
}

TEST_CASE("TMO: in a whole cluster a time-out comes") {
  BarrierConfig config = fixed(2);
  config.patience = 100;
  Scene scene(config);
  scene.arrives_first(kA, 1, 7);
  scene.now = ms(3000);
  SUBCASE("whole") {
    scene.checker.whole(ms(0));
    scene.order({});
    CHECK(scene.violated() == "TMO");
  }
  SUBCASE("whole by now") {
    scene.checker.whole(ms(2900));
    scene.order({});
    CHECK(scene.violated() == "");
  }
  SUBCASE("not whole") {
    scene.order({});
    CHECK(scene.violated() == "");
  }
}

TEST_CASE("CFG: a barrier is there until it is deleted, and as it was made") {
  BarrierConfig config = fixed(2);
  Scene scene(config);
  SUBCASE("created otherwise") {
    BarrierAsked other = scene.about(Kind::create, 1);
    other.config = fixed(3);
    scene.order(scene.requests(kB, scene.arrival(1)), kP2);
    scene.order(scene.requests(kA, other));
    CHECK(scene.violated() == "GEN CFG");
  }
  SUBCASE("gone") {
    scene.arrives_first(kA, 1, 7);
    scene.there = false;
    scene.order({});
    CHECK(scene.violated() == "CFG");
  }
  SUBCASE("deleted") {
    BarrierAsked create = scene.about(Kind::create, 1);
    create.config = config;
    scene.order(scene.requests(kA, create));
    OrderedBarriers removal = scene.requests(kA, scene.about(Kind::remove, 2));
    scene.there = false;
    scene.order(removal);
    CHECK(scene.violated() == "");
  }
  SUBCASE("changed in use") {
    scene.arrives_first(kA, 1, 7);
    BarrierAsked change = scene.about(Kind::change, 2);
    change.attribute = liblock::protocol::BarrierAttribute::parties;
    change.number = 2;
    scene.order(scene.requests(kA, change));
    CHECK(scene.violated() == "CFG");
  }
}

TEST_CASE("CFG: who deletes itself is gone when nobody is there any more") {
  BarrierConfig config = fixed(2);
  config.auto_delete = true;
  Scene scene(config);
  scene.arrives_first(kA, 1, 7, "a");
  OrderedBarriers last = scene.ends(scene.requests(kB, scene.arrival(1, "b")), kBoth, {1, 1});
  bool right = false;
  SUBCASE("gone") {
    scene.there = false;
    right = true;
  }
  SUBCASE("there") {}
  scene.order(last, kP2);
  CHECK(scene.violated() == (right ? "" : "CFG"));
}

TEST_CASE("KPT: an outcome is kept until it is acknowledged by who has it") {
  TwoReleased scene;
  SUBCASE("dropped") {
    scene.owed.pop_back();
    scene.order({});
  }
  SUBCASE("acknowledged too early") {
    scene.acknowledges(kA, enter(7));
  }
  SUBCASE("kept for ever") {
    scene.is_told(kA, 1, kBoth);
    scene.is_told(kB, 1, kBoth);
    scene.checker.settled(scene.now);
  }
  SUBCASE("kept for the dead") {
    scene.order(Scene::death(kA));
  }
  CHECK(scene.violated() == "KPT");
}

}  // namespace
}  // namespace sim
