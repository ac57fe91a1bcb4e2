// Random histories against the model.
#include <doctest/doctest.h>

#include <string>
#include <utility>

#include "base/random.h"
#include "dlm/table.h"
#include "tests/unit/dlm/model.h"
#include "tests/unit/dlm/requests.h"

namespace dlm {
namespace {

constexpr Mode kModeList[] = {Mode::nl, Mode::cr, Mode::cw, Mode::pr, Mode::pw, Mode::ex};

// One history: the table and the model are given the same requests.
class History {
 public:
  History(std::uint64_t seed, const Limits& limits)
      : random_(seed), limits_(limits), table_(limits), model_(limits) {
    sessions_ = 1 + random_.below(6);
    resources_ = 1 + random_.below(5);
    modes_ = random_.chance(1, 3) ? 2 : 6;  // Sometimes only PR and EX, as most users do.
  }

  void step() {
    const std::uint64_t what = random_.below(100);
    if (what < 50) {
      acquire_something();
    } else if (what < 80) {
      release_something();
    } else if (what < 90) {
      const LockName name = some_lock();
      expect(cancel(table_, name), model_.cancel(name));
    } else if (what < 93) {
      purge_some();
    } else if (what < 95) {
      raise_or_draw();
    } else if (what < 98) {
      compare_views();
    } else {
      continue_from_snapshot();
    }
    CHECK(table_.next_token() == model_.next);
  }

 private:
  LockName some_lock() {
    return lock(1 + random_.below(sessions_), 1 + random_.below(requests_ + 1));
  }

  void acquire_something() {
    const std::string lockspace = random_.chance(1, 4) ? "other" : "default";
    const std::string resource = "r" + std::to_string(random_.below(resources_));
    const Mode mode =
        modes_ == 2 ? (random_.chance(1, 2) ? Mode::pr : Mode::ex) : kModeList[random_.below(6)];
    LockName name = lock(1 + random_.below(sessions_), ++requests_);
    if (random_.chance(1, 10)) name = some_lock();
    const Acquire request{
        name, {base::bytes_of(lockspace), base::bytes_of(resource)}, mode, random_.chance(1, 4)};
    expect(acquire(table_, request), model_.acquire(request));
  }

  void release_something() {
    LockName name = some_lock();
    const auto mine = model_.locks_of(name.session);
    if (!mine.empty()) name = mine[random_.below(mine.size())].lock;
    Token token = token_of(table_, name);
    if (random_.chance(1, 10)) token = Token{random_.below(model_.next + 1)};
    expect(release(table_, name, token), model_.release(name, token));
  }

  void purge_some() {
    const SessionId session{1 + random_.below(sessions_)};
    const std::size_t budget = random_.below(4);
    Effects effects;
    const bool gone = table_.release_some(session, budget, effects);
    const auto [expected, expected_gone] = model_.release_some(session, budget);
    expect(effects, expected);
    CHECK(gone == expected_gone);
  }

  void raise_or_draw() {
    if (random_.chance(1, 2)) {
      model_.next += random_.below(5);
      table_.raise_token_base(model_.next);
    } else {
      CHECK(table_.draw_token() == Token{model_.next++});
    }
  }

  // Every lock the model knows is in the table, in the same place, and nothing else is.
  void compare_views() {
    std::size_t locks = 0;
    for (const auto& [name, resource] : model_.resources()) {
      const ResourceName full{base::bytes_of(name.first), base::bytes_of(name.second)};
      const auto view = table_.find(full);
      REQUIRE(view);
      CHECK(view->holders == resource.granted.size());
      CHECK(view->waiters == resource.waiting.size());
      std::vector<LockView> seen;
      table_.visit_locks(full, 0, 1000, [&](const LockView& lock) { seen.push_back(lock); });
      REQUIRE(seen.size() == resource.granted.size() + resource.waiting.size());
      std::size_t i = 0;
      for (const auto& entry : resource.granted) {
        CHECK(seen[i].granted);
        CHECK(seen[i].token == Token{entry.stamp});
        CHECK(seen[i].mode == entry.mode);
        CHECK(seen[i++].lock == entry.lock);
      }
      for (const auto& entry : resource.waiting) {
        CHECK(!seen[i].granted);
        CHECK(seen[i].position == i - resource.granted.size() + 1);
        CHECK(table_.find(entry.lock)->position == seen[i].position);
        CHECK(seen[i].mode == entry.mode);
        CHECK(seen[i++].lock == entry.lock);
      }
      locks += i;
    }
    CHECK(table_.locks() == locks);
    CHECK(table_.resources() == model_.resources().size());
    for (std::uint64_t session = 1; session <= sessions_; ++session) {
      const auto expected = model_.locks_of(SessionId{session});
      const auto views = table_.locks_of(SessionId{session}, 1000);
      REQUIRE(views.size() == expected.size());
      for (std::size_t i = 0; i < views.size(); ++i) CHECK(views[i].lock == expected[i].lock);
    }
  }

  // From here on the history is that of a node which has just joined.
  void continue_from_snapshot() {
    const base::Buffer bytes = snapshot_of(table_);
    auto loaded = Table::deserialize(bytes, limits_);
    REQUIRE(loaded);
    CHECK(loaded->digest() == table_.digest());
    CHECK(snapshot_of(*loaded) == bytes);
    table_ = std::move(*loaded);
  }

  void expect(const Effects& effects, const Effects& expected) {
    CHECK(text(effects) == text(expected));
  }

  base::Random random_;
  Limits limits_;
  Table table_;
  Model model_;
  std::uint64_t sessions_ = 0;
  std::uint64_t resources_ = 0;
  std::uint64_t modes_ = 0;
  std::uint64_t requests_ = 0;
};

}  // namespace

TEST_CASE("random histories have the effects that the model gives") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    History history(seed, Limits{});
    for (int i = 0; i < 400; ++i) history.step();
  }
}

TEST_CASE("random histories at tight limits have the effects that the model gives") {
  Limits limits;
  limits.locks = 12;
  limits.resources = 5;
  limits.lockspaces = 1;
  limits.locks_per_session = 5;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    CAPTURE(seed);
    History history(seed, limits);
    for (int i = 0; i < 300; ++i) history.step();
  }
}

}  // namespace dlm
