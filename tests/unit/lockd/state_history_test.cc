// Random histories of commands: two replicas, one of which lives through snapshots, agree in every
// effect and digest; and what they do holds the promises that clients are given.
#include <doctest/doctest.h>

#include <map>
#include <set>
#include <tuple>

#include "base/random.h"
#include "tests/unit/lockd/state_fixture.h"

namespace lockd {
namespace {

constexpr std::uint32_t kNodes = 3;

StateLimits small_limits() {
  StateLimits limits;
  limits.sessions.sessions_max = 12;
  limits.sessions.sessions_per_user_max = 5;
  limits.sessions.unacknowledged_max = 6;
  limits.locks.locks_per_session = 6;
  limits.locks.lockspaces = 2;
  limits.barriers.barriers = 4;
  limits.barriers.participants = 4;
  limits.barriers.outcomes_per_session = 3;
  limits.purge_step = 2;
  return limits;
}

// Says commands as daemons might, with their mistakes: repeated, late, stale, forged.
class Chatter {
 public:
  explicit Chatter(base::Random random, bool barriers = true)
      : random_(random), barriers_(barriers) {}

  // A daemon in its present life; now and then one has been started again.
  Processor origin() {
    const auto node = static_cast<std::uint32_t>(random_.between(1, kNodes));
    if (random_.chance(1, 100)) ++lives_[node];
    return daemon(node, 1 + lives_[node]);
  }

  std::vector<Departure> departures() {
    std::vector<Departure> departures;
    for (std::uint32_t node = 1; node <= kNodes; ++node) {
      if (!random_.chance(1, 2)) continue;
      const std::uint64_t life = 1 + random_.below(lives_[node] + 1);
      departures.push_back({daemon(node, life), ring(random_.between(1, 3))});
    }
    return departures;
  }

  Command next(const State& state) {
    // Any earlier command may come again: sent twice, or kept in a queue for long.
    if (!said_.empty() && random_.chance(1, 6)) return said_[random_.below(said_.size())];
    const Command command{ring(random_.between(1, 3)), body(state)};
    said_.push_back(command);
    return command;
  }

 private:
  std::uint8_t mostly_one() { return random_.chance(1, 12) ? 2 : 1; }

  const Session* any_session(const State& state) {
    std::vector<const Session*> sessions;
    for (std::uint64_t id = 1; id < state.next_token(); ++id) {
      if (const Session* session = state.find(SessionId{id})) sessions.push_back(session);
    }
    return sessions.empty() ? nullptr : sessions[random_.below(sessions.size())];
  }

  Request request(const Session& session) {
    Request request{session.id, session.generation, {}, session.acknowledged};
    const std::uint64_t acknowledged = base::value(session.acknowledged);
    request.id = RequestId{acknowledged + random_.between(1, random_.chance(1, 8) ? 9 : 6)};
    if (random_.chance(1, 4)) request.acknowledged = RequestId{acknowledged + random_.below(3)};
    if (random_.chance(1, 12)) request.generation = Generation{random_.below(4)};
    return request;
  }

  // Mostly none; some that go together; some that may not.
  dlm::LockFlags flags(dlm::LockFlags legal) {
    dlm::LockFlags flags = random_.chance(1, 3) ? base::lock_flag::no_queue : 0;
    if (random_.chance(1, 2)) flags |= base::lock_flag::value_block | base::lock_flag::notify;
    if (random_.chance(1, 4)) flags |= base::lock_flag::persistent;
    if (random_.chance(1, 4)) flags |= static_cast<dlm::LockFlags>(random_.u64()) & legal;
    return flags & legal;
  }
  dlm::Mode any_mode() { return *dlm::mode_of(static_cast<std::uint8_t>(random_.below(6))); }
  dlm::Owner any_owner() { return dlm::Owner{random_.below(3)}; }
  std::string any_lockspace() { return std::string(1, static_cast<char>('a' + random_.below(3))); }
  std::string any_resource() { return std::string(1, static_cast<char>('x' + random_.below(3))); }
  std::optional<dlm::ValueBlock> any_value() {
    if (random_.chance(1, 2)) return std::nullopt;
    return dlm::ValueBlock{static_cast<std::byte>(random_.below(256))};
  }

  barrier::Name any_barrier() { return {any_lockspace(), any_resource()}; }
  BarrierSettings any_settings() {
    BarrierSettings settings;
    settings.config.parties = static_cast<std::uint32_t>(random_.below(3));
    settings.config.unit = barrier::Unit{static_cast<std::uint8_t>(random_.below(2))};
    settings.config.on_death = barrier::OnDeath{static_cast<std::uint8_t>(random_.below(3))};
    settings.config.two_steps = random_.chance(1, 2);
    settings.auto_delete = random_.chance(1, 2);
    settings.patience = static_cast<barrier::Patience>(random_.below(2) * 100);
    return settings;
  }

  // Also of one that is not there.
  barrier::OutcomeKey any_key(const State& state, const Session& session) {
    const std::vector<barrier::Standing> standings = state.barriers().standing_of(session.id);
    if (!standings.empty() && !random_.chance(1, 8)) {
      return standings[random_.below(standings.size())].key;
    }
    return {barrier::Generation{random_.below(state.next_token())},
            barrier::Step{static_cast<std::uint8_t>(random_.below(2))}};
  }

  Command::Body of_barriers(const State& state, const Session& session) {
    const barrier::OutcomeKey key = any_key(state, session);
    switch (random_.below(12)) {
      case 0:
        return BarrierCreate{request(session), any_barrier(), any_settings()};
      case 1:
        return BarrierChange{request(session), any_barrier(),
                             barrier::Attribute{static_cast<std::uint8_t>(random_.below(3))},
                             static_cast<std::uint32_t>(random_.below(3))};
      case 2:
      case 3:
        return BarrierLeave{request(session), key.generation, base::Buffer(random_.below(3))};
      case 4:
        return BarrierWithdraw{request(session), any_barrier(), request(session).id};
      case 5:
        return BarrierCancel{request(session), any_barrier()};
      case 6:
        return BarrierDelete{request(session), any_barrier(), random_.chance(1, 2)};
      case 7:
      case 8:
        return BarrierAcknowledge{{{session.id, key}}};
      case 9:
        return BarrierTimeOut{key};
      default: {
        std::optional<BarrierSettings> settings;
        if (random_.chance(2, 3)) settings = any_settings();
        return BarrierArrive{request(session), any_barrier(), settings,
                             base::Buffer(random_.below(3))};
      }
    }
  }

  Command::Body body(const State& state) {
    const Session* session = any_session(state);
    if (!session || random_.chance(1, 10)) {
      const auto user = static_cast<std::uint32_t>(random_.below(2));
      return Open{
          OpenNumber{random_.between(1, 40)}, secret(1), instance(1), user, user, 7, "prog"};
    }
    const std::vector<dlm::LockView> locks = state.locks_of(session->id, 10);
    const dlm::LockView* lock = locks.empty() ? nullptr : &locks[random_.below(locks.size())];
    const std::vector<Mark> marks = state.orphans();
    if (barriers_ && random_.chance(1, 3)) return of_barriers(state, *session);
    switch (random_.below(24)) {
      case 0:
        return Resume{session->id, Generation{base::value(session->generation) + random_.below(3)},
                      secret(mostly_one()), instance(mostly_one())};
      case 1:
        return Detached{session->id, session->generation};
      case 2:
        if (random_.chance(1, 3)) return Close{session->id, session->generation};
        return Purge{};
      case 3:
        if (marks.empty() || random_.chance(1, 4)) {
          return Expire{{session->id, session->generation, ring(random_.between(1, 3))}};
        }
        return Expire{marks[random_.below(marks.size())]};
      case 4:
        return ColdEnd{ring(random_.between(1, 3))};
      case 5:
      case 6:
        return Cancel{request(*session), lock ? lock->lock.acquired_by : RequestId{1}};
      case 7:
      case 8:
      case 9:
        return Release{request(*session), lock ? lock->lock.acquired_by : RequestId{1},
                       lock ? lock->token : Token{1}, flags(base::lock_flag::for_release),
                       any_value()};
      case 10:
      case 11:
      case 12:
        return Convert{request(*session),
                       lock ? lock->lock.acquired_by : RequestId{1},
                       any_mode(),
                       flags(base::lock_flag::for_conversion),
                       static_cast<dlm::Patience>(random_.below(2) * 100),
                       any_value()};
      case 13: {
        AcquireAll all{request(*session), flags(dlm::kForAll), any_owner(), 0, {}};
        for (std::uint64_t part = random_.between(1, 3); part > 0; --part) {
          all.parts.push_back({any_lockspace(), any_resource(), any_mode()});
        }
        return all;
      }
      case 14:
        return TimeOut{session->id, session->generation,
                       lock ? lock->lock.acquired_by : RequestId{1},
                       lock ? lock->request : RequestId{1}};
      case 15:
        return DropOrphans{request(*session), session->at.node,
                           static_cast<std::uint32_t>(random_.below(2) * 7)};
      case 16:
      case 17:
        return JoinLockspace{request(*session), static_cast<JoinLockspace::Kind>(random_.below(3)),
                             static_cast<std::uint16_t>(random_.chance(1, 2) ? 0 : 0666),
                             any_lockspace()};
      case 18:
        return LeaveLockspace{request(*session), random_.chance(1, 2), any_lockspace()};
      default:
        return Acquire{request(*session),
                       any_lockspace(),
                       any_resource(),
                       any_mode(),
                       flags(base::lock_flag::for_request),
                       any_owner(),
                       static_cast<dlm::Patience>(random_.below(2) * 100)};
    }
  }

  base::Random random_;
  bool barriers_;
  std::vector<Command> said_;
  std::map<std::uint32_t, std::uint64_t> lives_;
};

// What a history must not show, whoever made it.
class Judge {
 public:
  void watch(const Effects& effects, const State& state) {
    for (const Effect& effect : effects) {
      if (const auto* granted = std::get_if<Settled>(&effect)) {
        CHECK(ended_.count(granted->session) == 0);
        if (granted->reply.status != Status::granted) continue;
        CHECK((!state.cold() || granted->reply.mode == dlm::Mode::nl));
        is_new(granted->reply.token);
      }
      if (const auto* ended = std::get_if<SessionEnded>(&effect)) ended_.insert(ended->session);
      if (const auto* opened = std::get_if<BarrierOpened>(&effect)) {
        if (opened->key.step == barrier::Step::enter) {
          is_new(Token{base::value(opened->key.generation)});
        }
      }
      if (const auto* told = std::get_if<BarrierEnded>(&effect)) {
        CHECK(state.barriers().is_owed(told->session, told->key));
        CHECK(ended_.count(told->session) == 0);
      }
      if (const auto* opened = std::get_if<Opened>(&effect)) {
        if (opened->outcome == Opened::Outcome::opened) {
          const auto [made, is_first] =
              opened_.emplace(std::tuple(opened->at, opened->number), opened->session);
          CHECK(made->second == opened->session);
        }
      }
    }
  }

  // A cold start has lost all sessions; who asks again for one that was lost may have another.
  void forget_opens() { opened_.clear(); }

  // Locks that stand beside each other suit each other, and nobody holds one who is not known.
  static void judge(const State& state) {
    dlm::Table::Cursor cursor;
    while (!cursor.end) {
      cursor = state.locks().visit_resources(cursor, 100, [&](const dlm::ResourceView& resource) {
        std::vector<dlm::LockView> held;
        state.locks().visit_locks(resource.name, 0, 1000, [&](const dlm::LockView& lock) {
          if (!lock.granted) return;
          for (const dlm::LockView& other : held) CHECK(dlm::compatible(lock.mode, other.mode));
          held.push_back(lock);
          const bool nobody = lock.lock.session == SessionId{0};
          CHECK((nobody || state.find(lock.lock.session) != nullptr));
          if (state.cold()) CHECK((nobody || lock.mode == dlm::Mode::nl));
        });
      });
    }
  }

 private:
  void is_new(Token token) { CHECK(tokens_.insert(token).second); }

  std::set<SessionId> ended_;
  std::set<Token> tokens_;
  std::map<std::tuple<Processor, OpenNumber>, SessionId> opened_;
};

void run_history(std::uint64_t seed, bool barriers) {
  CAPTURE(seed);
  CAPTURE(barriers);
  base::Random random(seed);
  const StateLimits limits = small_limits();
  Bench steady(limits);
  Bench reloaded(limits);
  Chatter chatter(random.fork(), barriers);
  Judge judge;
  for (int i = 0; i < 400; ++i) {
    Effects effects;
    Effects others;
    if (random.chance(1, 40)) {
      const std::vector<Departure> departures = chatter.departures();
      effects = steady.depart(departures);
      others = reloaded.depart(departures);
    } else if (random.chance(1, 150)) {
      const std::uint64_t base = steady.state.next_token() + 10;
      const RingId cold = ring(random.between(1, 3));
      steady.state.start_cold(cold, base, base::Duration(seed));
      reloaded.state.start_cold(cold, base, base::Duration(seed));
      judge.forget_opens();
    } else {
      const Processor origin = chatter.origin();
      const Command command = chatter.next(steady.state);
      steady.state.apply(origin, command, effects);
      reloaded.state.apply(origin, command, others);
    }
    REQUIRE(effects == others);
    if (random.chance(1, 10)) REQUIRE(reloaded.reload(limits));
    REQUIRE(steady.state.digest() == reloaded.state.digest());
    judge.watch(effects, steady.state);
    Judge::judge(steady.state);
  }
}

TEST_CASE("replicas that apply the same commands agree, through snapshots, whatever is said") {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) run_history(seed, false);
  for (std::uint64_t seed = 1; seed <= 150; ++seed) run_history(seed, true);
}

// The image of a state with some of everything in it.
base::Buffer some_image(Bench& bench, Chatter& chatter) {
  for (int i = 0; i < 200; ++i) {
    Effects effects;
    const Processor origin = chatter.origin();
    bench.state.apply(origin, chatter.next(bench.state), effects);
  }
  base::Buffer image;
  bench.state.serialize(image);
  return image;
}

TEST_CASE("a snapshot that is cut short is refused") {
  base::Random random(5);
  Bench bench(small_limits());
  Chatter chatter(random.fork());
  const base::Buffer image = some_image(bench, chatter);
  for (std::size_t size = 0; size < image.size(); ++size) {
    CHECK_FALSE(State::deserialize(base::Bytes(image).first(size), small_limits()).has_value());
  }
}

TEST_CASE("a snapshot with bytes changed is refused, or is a state that can be gone on with") {
  base::Random random(6);
  Bench bench(small_limits());
  Chatter chatter(random.fork());
  const base::Buffer image = some_image(bench, chatter);
  std::size_t loaded = 0;
  for (std::size_t at = 0; at < image.size(); ++at) {
    base::Buffer changed = image;
    changed[at] ^= static_cast<std::byte>(random.between(1, 255));
    std::optional<State> state = State::deserialize(changed, small_limits());
    if (!state) continue;
    ++loaded;
    CHECK(state->digest() != bench.state.digest());
    for (int i = 0; i < 30; ++i) {
      Effects effects;
      const Processor origin = chatter.origin();
      state->apply(origin, chatter.next(bench.state), effects);
    }
  }
  CHECK(loaded > 0);
}

TEST_CASE("a snapshot with locks of a session that it does not know is refused") {
  Bench bench;
  Client a = bench.client(daemon(1), 1);
  bench.acquire(a, "x");
  base::Buffer image;
  bench.state.serialize(image);
  base::Buffer table;
  base::ByteWriter writer(table);
  bench.state.locks().serialize(writer);

  // The image of an empty state, up to its lock table, and then this one's.
  base::Buffer empty;
  Bench().state.serialize(empty);
  base::Buffer empty_table;
  base::ByteWriter empty_writer(empty_table);
  Bench().state.locks().serialize(empty_writer);
  base::Buffer mixed(empty.begin(), empty.end() - static_cast<std::ptrdiff_t>(empty_table.size()));
  mixed.insert(mixed.end(), table.begin(), table.end());
  CHECK_FALSE(State::deserialize(mixed).has_value());
}

}  // namespace
}  // namespace lockd
