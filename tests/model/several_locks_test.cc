// Requests for several locks at once, beside a model of their own: a list of requests in the order
// in which they came, of which each is granted as soon as nobody before it waits for one of its
// resources, and all of its modes fit.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/random.h"
#include "tests/model/deadlock_judge.h"
#include "tests/model/table_command.h"
#include "tests/model/table_history.h"

namespace model {
namespace {

namespace flag = base::lock_flag;
using dlm::Effect;
using dlm::LockName;
using Names = std::set<LockName>;

struct Held {
  int resource = 0;
  dlm::Mode mode{};
};

using Parts = std::map<LockName, Held>;  // Of one request, by the numbers that follow each other.

class Queues {
 public:
  bool can_go(const Parts& parts) const {
    return std::all_of(parts.begin(), parts.end(), [&](const auto& part) {
      return fits(part.second) && !is_wanted(part.second.resource, waiting_.size());
    });
  }

  void ask(const Parts& parts) { waiting_.push_back(parts); }

  // What can go, with all that follows from it.
  Names grant() {
    Names granted;
    for (std::size_t i = 0; i < waiting_.size();) {
      const bool can = std::all_of(waiting_[i].begin(), waiting_[i].end(), [&](const auto& part) {
        return fits(part.second) && !is_wanted(part.second.resource, i);
      });
      if (!can) {
        ++i;
        continue;
      }
      for (const auto& [name, it] : waiting_[i]) {
        held_[name] = it;
        granted.insert(name);
      }
      waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
      i = 0;
    }
    return granted;
  }

  void release(LockName name) { held_.erase(name); }

  // The whole request that this is a part of.
  Names cancel(LockName name) {
    Names parts;
    for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
      if (!it->contains(name)) continue;
      for (const auto& [part, held] : *it) parts.insert(part);
      waiting_.erase(it);
      return parts;
    }
    return parts;
  }

  Names end(dlm::SessionId session) {
    Names ended;
    std::erase_if(waiting_, [&](const Parts& parts) {
      if (parts.begin()->first.session != session) return false;
      for (const auto& [part, held] : parts) ended.insert(part);
      return true;
    });
    std::erase_if(held_, [&](const auto& it) { return it.first.session == session; });
    return ended;
  }

  std::vector<LockName> queue_of(int resource) const {
    std::vector<LockName> queue;
    for (const Parts& parts : waiting_) {
      for (const auto& [name, it] : parts) {
        if (it.resource == resource) queue.push_back(name);
      }
    }
    return queue;
  }

  const Parts& held() const { return held_; }
  const std::vector<Parts>& waiting() const { return waiting_; }

 private:
  bool fits(const Held& part) const {
    return std::all_of(held_.begin(), held_.end(), [&](const auto& other) {
      return other.second.resource != part.resource ||
             dlm::compatible(other.second.mode, part.mode);
    });
  }

  // By one of the first `before` who wait.
  bool is_wanted(int resource, std::size_t before) const {
    for (std::size_t i = 0; i < before; ++i) {
      for (const auto& [name, it] : waiting_[i]) {
        if (it.resource == resource) return true;
      }
    }
    return false;
  }

  Parts held_;
  std::vector<Parts> waiting_;
};

Names named(const dlm::Effects& effects, Effect::Kind kind) {
  Names names;
  for (const Effect& effect : effects) {
    if (effect.kind == kind) names.insert(effect.lock);
  }
  return names;
}

Command of_kind(Command::Kind kind, LockName lock) {
  Command command;
  command.kind = kind;
  command.lock = lock;
  return command;
}

bool refused(const dlm::Effects& effects, dlm::Status status) {
  return !effects.empty() && effects[0].kind == Effect::Kind::refused &&
         effects[0].status == status;
}

class SeveralLocks {
 public:
  // With `owners` each session has two who wait, else there is nobody who could be deadlocked.
  SeveralLocks(std::uint64_t seed, bool owners) : random_(seed), owners_(owners) {}

  void step() {
    dlm::Effects effects;
    const std::uint64_t kind = random_.below(100);
    const LockName some = any();
    if (some == LockName{} || kind < 45) {
      ask(effects);
    } else if (kind < 75) {
      execute(of_kind(Command::Kind::release, some), effects);
      const auto view = queues_.held().find(some);
      if (view != queues_.held().end()) {
        queues_.release(some);
      } else {
        CHECK(refused(effects, dlm::Status::not_granted));
      }
      compare(effects, {});
    } else if (kind < 90) {
      Command command = of_kind(Command::Kind::cancel, some);
      command.why = random_.chance(1, 2) ? dlm::Status::timed_out : dlm::Status::withdrawn;
      if (random_.chance(1, 4)) {
        command = of_kind(Command::Kind::release, some);
        command.flags = flag::force;
        queues_.release(some);
      }
      execute(command, effects);
      compare(effects, queues_.cancel(some));
    } else if (kind < 97) {
      const dlm::SessionId session{1 + random_.below(kSessions)};
      while (!table_.release_some(session, dlm::Ending::closed, random_.below(4), effects)) {
      }
      compare(effects, queues_.end(session));
    } else {
      reload();
    }
  }

  std::size_t deadlocks() const { return deadlocks_; }
  std::size_t granted_late() const { return granted_late_; }

 private:
  static constexpr std::uint64_t kSessions = 4;
  static constexpr int kResources = 5;

  LockName any() {
    Names names;
    for (const auto& [name, held] : queues_.held()) names.insert(name);
    for (const Parts& parts : queues_.waiting()) {
      for (const auto& [name, held] : parts) names.insert(name);
    }
    if (names.empty()) return {};
    return *std::next(names.begin(), static_cast<std::ptrdiff_t>(random_.below(names.size())));
  }

  void ask(dlm::Effects& effects) {
    dlm::AcquireAll request;
    const dlm::SessionId session{1 + random_.below(kSessions)};
    request.lock = {session, dlm::RequestId{next_request_}};
    request.owner = dlm::Owner{owners_ ? 1 + random_.below(2) : 0};
    if (random_.chance(1, 6)) request.flags = flag::no_queue;
    std::vector<int> resources = {0, 1, 2, 3, 4};
    Parts parts;
    Names names;
    for (std::uint64_t many = 1 + random_.below(4); many > 0; --many) {
      const auto at =
          resources.begin() + static_cast<std::ptrdiff_t>(random_.below(resources.size()));
      const auto mode = static_cast<dlm::Mode>(1 + random_.below(5));
      const LockName name{session, dlm::RequestId{next_request_++}};
      request.parts.push_back({full_name_of(*at), mode});
      parts[name] = {*at, mode};
      names.insert(name);
      owner_of_[name] = request.owner;
      resources.erase(at);
    }
    const std::uint64_t before = table_.digest();
    table_.acquire(request, effects);
    if (refused(effects, dlm::Status::deadlock)) {
      ++deadlocks_;
      CHECK(would_be_stuck(parts));
      CHECK(named(effects, Effect::Kind::refused) == names);
    } else if (queues_.can_go(parts)) {
      queues_.ask(parts);
      compare(effects, {});
    } else if ((request.flags & flag::no_queue) != 0) {
      CHECK(refused(effects, dlm::Status::would_block));
      CHECK(effects.size() == parts.size());
      CHECK(table_.digest() == before);
    } else {
      queues_.ask(parts);
      CHECK(named(effects, Effect::Kind::queued) == names);
      CHECK(effects.size() == parts.size());
      compare(effects, {});
    }
  }

  void execute(const Command& command, dlm::Effects& effects) {
    model::execute(table_, command, effects);
  }

  // `ended`: what the model has taken out of its queues.
  void compare(const dlm::Effects& effects, Names ended) {
    Names granted = queues_.grant();
    // Whose wait the table ended, since it was granted something else that others wait for.
    for (const Effect& effect : effects) {
      if (effect.kind != Effect::Kind::cancelled || effect.status != dlm::Status::deadlock)
        continue;
      ended.merge(queues_.cancel(effect.lock));
      granted.merge(queues_.grant());
      ++deadlocks_;
    }
    Names told = named(effects, Effect::Kind::granted);
    Names told_ended = named(effects, Effect::Kind::cancelled);
    for (const LockName& name : named(effects, Effect::Kind::released)) {
      if (ended.contains(name)) told_ended.insert(name);  // The only part, by force.
      // What one wait of a session that ends lets another have is gone again at once.
      if (told.erase(name) != 0) told_ended.insert(name);
    }
    CHECK(told == granted);
    CHECK(told_ended == ended);
    granted_late_ += granted.size();
    for (int resource = 0; resource < kResources; ++resource) {
      std::vector<LockName> queue;
      std::size_t holders = 0;
      table_.visit_locks(full_name_of(resource), 0, 1000, [&](const dlm::LockView& view) {
        if (view.waiting) queue.push_back(view.lock);
        if (view.granted) ++holders;
        if (view.granted) CHECK(queues_.held().contains(view.lock));
      });
      CHECK(queue == queues_.queue_of(resource));
    }
    CHECK(table_.locks() == queues_.held().size() + table_.waiters());
    CHECK(judge().stuck().empty());
    CHECK(everybody_can_finish(table_));
    table_.take_deadlocks();
  }

  DeadlockJudge judge() const {
    DeadlockJudge judge(table_);
    for (const Parts& parts : queues_.waiting()) judge.join(names_of(parts));
    return judge;
  }

  static std::vector<LockName> names_of(const Parts& parts) {
    std::vector<LockName> names;
    for (const auto& [name, held] : parts) names.push_back(name);
    return names;
  }

  bool would_be_stuck(const Parts& parts) {
    DeadlockJudge with = judge();
    for (const auto& [name, it] : parts) {
      with.add_wait({name,
                     {name.session, owner_of_.at(name)},
                     lockspace_of(it.resource) + "/" + name_of(it.resource),
                     {},
                     it.mode},
                    false);
    }
    with.join(names_of(parts));
    return with.stuck().contains(parts.begin()->first);
  }

  void reload() {
    base::Buffer bytes;
    base::ByteWriter writer(bytes);
    table_.serialize(writer);
    auto loaded = dlm::Table::deserialize(bytes);
    REQUIRE(loaded);
    CHECK(loaded->digest() == table_.digest());
    table_ = std::move(*loaded);
  }

  base::Random random_;
  bool owners_;
  dlm::Table table_;
  Queues queues_;
  std::map<LockName, dlm::Owner> owner_of_;
  std::uint64_t next_request_ = 1;
  std::size_t deadlocks_ = 0;
  std::size_t granted_late_ = 0;
};

}  // namespace

TEST_CASE("several locks come all at one moment, in the order of the requests, and go one by one") {
  std::size_t granted = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    SeveralLocks locks(seed, false);
    for (int step = 0; step < 120; ++step) locks.step();
    CHECK(locks.deadlocks() == 0);
    granted += locks.granted_late();
  }
  CHECK(granted > 1000);
}

TEST_CASE("who holds something and asks for several is refused exactly if that never ended") {
  std::size_t deadlocks = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    SeveralLocks locks(seed, true);
    for (int step = 0; step < 120; ++step) locks.step();
    deadlocks += locks.deadlocks();
  }
  CHECK(deadlocks > 100);
}

TEST_CASE(
    "requests for several are no deadlock among each other, whatever the order of the parts") {
  base::Random random(7);
  dlm::Table table;
  std::map<std::uint64_t, std::uint64_t> parts;  // Of each session, which has one request at once.
  std::uint64_t next_request = 1;
  std::size_t waited = 0;
  for (int step = 0; step < 3000; ++step) {
    const std::uint64_t session = 1 + random.below(8);
    dlm::Effects effects;
    if (parts[session] != 0) {
      const LockName first{dlm::SessionId{session}, dlm::RequestId{parts[session]}};
      if (table.find(first)->waiting) continue;
      while (!table.release_some(first.session, dlm::Ending::closed, 1, effects)) {
      }
      parts[session] = 0;
      continue;
    }
    dlm::AcquireAll request;
    request.lock = {dlm::SessionId{session}, dlm::RequestId{next_request}};
    request.owner = dlm::Owner{1};
    std::vector<int> resources = {0, 1, 2, 3, 4};
    for (int i = 0; i < 3; ++i) {
      const auto at =
          resources.begin() + static_cast<std::ptrdiff_t>(random.below(resources.size()));
      request.parts.push_back({full_name_of(*at), dlm::Mode::ex});
      resources.erase(at);
    }
    parts[session] = next_request;
    next_request += 3;
    table.acquire(request, effects);
    REQUIRE(effects[0].kind != Effect::Kind::refused);
    if (effects[0].kind == Effect::Kind::queued) ++waited;
  }
  CHECK(waited > 100);
}

// Among all other requests, which the model of this file does not know: what is true of the table
// whatever they do.
TEST_CASE("several locks stay together among requests of all kinds, and nobody waits for ever") {
  std::size_t waited = 0;
  for (std::uint64_t seed = 1; seed <= 80; ++seed) {
    CAPTURE(seed);
    base::Random random(seed);
    Setting setting = setting_of(random);
    setting.limits = {};
    CommandSource source(random.fork(), setting);
    dlm::Table table;
    dlm::Table again;
    std::vector<std::vector<LockName>> requests;
    std::uint64_t next_request = 1'000'000;
    dlm::LockFlags flags = 0;
    for (int step = 0; step < 150; ++step) {
      Command command = source.next(table);
      dlm::Effects effects;
      dlm::Effects effects_again;
      if (command.kind == Command::Kind::acquire && random.chance(1, 2)) {
        dlm::AcquireAll request{{command.lock.session, dlm::RequestId{next_request}},
                                {},
                                command.flags & dlm::kForAll,
                                command.owner,
                                0};
        std::vector<LockName> names;
        for (int resource = 0; resource < 6; ++resource) {
          if (!random.chance(1, 2)) continue;
          request.parts.push_back({full_name_of(resource), command.mode});
          names.push_back({command.lock.session, dlm::RequestId{next_request++}});
        }
        requests.push_back(names);
        flags |= request.flags;
        table.acquire(request, effects);
        again.acquire(request, effects_again);
      } else if (command.kind == Command::Kind::reload) {
        base::Buffer bytes;
        base::ByteWriter writer(bytes);
        again.serialize(writer);
        auto loaded = dlm::Table::deserialize(bytes);
        REQUIRE(loaded);
        again = std::move(*loaded);
      } else {
        if (command.kind == Command::Kind::end) command.budget = 1'000'000;
        flags |= command.flags;
        execute(table, command, effects);
        execute(again, command, effects_again);
      }
      REQUIRE(effects == effects_again);
      REQUIRE(table.digest() == again.digest());
      DeadlockJudge judge(table);
      for (const auto& names : requests) {
        const auto waiting = std::count_if(names.begin(), names.end(), [&](LockName name) {
          const auto view = table.find(name);
          return view && view->waiting && !view->granted;
        });
        REQUIRE((waiting == 0 || waiting == std::ssize(names)));
        if (waiting > 0) judge.join(names);
        if (waiting > 1) ++waited;
      }
      REQUIRE(judge.stuck().empty());
      const bool hidden = (flags & flag::no_deadlock_block) != 0;
      if (!hidden) REQUIRE(everybody_can_finish(table));
    }
  }
  CHECK(waited > 1000);
}

}  // namespace model
