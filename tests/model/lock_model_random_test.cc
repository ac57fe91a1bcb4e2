// Invariants of the model over random histories. A failure prints the seed and the step.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/model/lock_model.h"
#include "tests/model/lock_model_words.h"

namespace model {
namespace {

using Resources = std::map<std::string, Resource>;
using Locks = std::map<int, Lock>;

// Granted modes of different locks go together, those of converting locks included.
bool holders_are_compatible(const Locks& locks) {
  for (const auto& [one, a] : locks) {
    for (const auto& [other, b] : locks) {
      if (one != other && a.resource == b.resource && !compatible(a.granted, b.granted))
        return false;
    }
  }
  return true;
}

bool goes_with_holders(const Locks& locks, const Lock& lock) {
  for (const auto& [id, other] : locks) {
    if (id != lock.id && other.resource == lock.resource &&
        !compatible(other.granted, lock.requested)) {
      return false;
    }
  }
  return true;
}

// The first of each queue, and whoever may leave out of order, is really in somebody's way.
bool nothing_grantable_is_left(const Lockspace& space) {
  const Locks& locks = space.locks();
  for (const auto& [name, resource] : space.resources()) {
    for (int id : resource.converting) {
      const Lock& lock = locks.at(id);
      const bool may = id == resource.converting.front() || (lock.flags & kNoorder) != 0;
      if (may && goes_with_holders(locks, lock)) return false;
    }
    for (int id : resource.waiting) {
      const Lock& lock = locks.at(id);
      const bool first = resource.converting.empty() && id == resource.waiting.front();
      if ((first || (lock.flags & kNoorder) != 0) && goes_with_holders(locks, lock)) return false;
    }
  }
  return true;
}

// Nobody who was queued was granted past one who was ahead of him and still is blocked, unless his
// flags allow it.
bool nobody_was_passed(const std::vector<int>& before, const Locks& after,
                       const std::vector<int>& still) {
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto found = after.find(before[i]);
    if (found == after.end() || found->second.requested != Mode::none) continue;
    if ((found->second.flags & kNoorder) != 0) continue;
    for (std::size_t ahead = 0; ahead < i; ++ahead) {
      if (std::find(still.begin(), still.end(), before[ahead]) != still.end()) return false;
    }
  }
  return true;
}

// Cancelled conversions are without a request too, so only grants that were told are looked at.
std::vector<int> without(const std::vector<int>& queue, const std::set<int>& ended) {
  std::vector<int> left;
  for (int id : queue) {
    if (!ended.contains(id)) left.push_back(id);
  }
  return left;
}

class History {
 public:
  explicit History(std::uint32_t seed) : random_(seed) {}

  // Empty if all invariants hold after the step.
  std::string step() {
    const Locks locks = space_.locks();
    const Resources before = space_.resources();
    bool recovered = false;
    bool dead = false;
    const Outcome outcome = act(recovered, dead);

    std::set<int> ended;
    for (const Callback& it : outcome.callbacks) {
      if (it.kind != Callback::Kind::completion) continue;
      if (it.status != Status::ok) ended.insert(it.lock);
      const auto known = locks.find(it.lock);
      const bool blocked = known != locks.end() && known->second.requested != Mode::none;
      if (!blocked && it.lock != outcome.lock) return "a completion of nothing";
    }
    if (!holders_are_compatible(space_.locks())) return "conflicting holders";
    if (!nothing_grantable_is_left(space_)) return "somebody grantable is left";
    if (dead) return "";  // Pending requests of the dead are cancelled without a word.
    for (const auto& [name, resource] : space_.resources()) {
      const auto old = before.find(name);
      if (old == before.end()) continue;
      const auto passed = [&](const std::vector<int>& was, const std::vector<int>& is) {
        return !nobody_was_passed(without(was, ended), space_.locks(), is);
      };
      if (passed(old->second.waiting, resource.waiting)) return "a waiting request was passed";
      if (!recovered && passed(old->second.converting, resource.converting)) {
        return "a queued conversion was passed";
      }
    }
    // A new request is granted past others only if its flags allow it.
    const auto mine = space_.locks().find(outcome.lock);
    if (mine != space_.locks().end() && !locks.contains(outcome.lock) &&
        mine->second.requested == Mode::none &&
        (mine->second.flags & (kNoorder | kExpedite)) == 0) {
      const auto old = before.find(mine->second.resource);
      const bool at_head = (mine->second.flags & kHeadque) != 0;
      if (old != before.end() &&
          !((at_head || old->second.waiting.empty()) && old->second.converting.empty())) {
        return "a new request passed the queues";
      }
    }
    return "";
  }

 private:
  int draw(int low, int high) {
    return low + static_cast<int>(random_() % static_cast<unsigned>(high - low + 1));
  }

  Flags some(const std::vector<Flags>& flags) {
    Flags all = 0;
    for (Flags flag : flags) {
      if (draw(0, 5) == 0) all |= flag;
    }
    return all;
  }

  Outcome act(bool& recovered, bool& dead) {
    const int session = draw(1, 6);
    const Owner owner{session, session, session % 3 + 1};
    const Mode mode = kModes[draw(0, 5)];
    LockCall call{owner, draw(0, 2) == 0 ? "q" : "r", 0, mode, 0, filled(1)};
    call.now = ++now_;
    call.timeout = draw(1, 20);
    const std::vector<Flags> flags = {kNoqueue,     kValblk,   kIvvalblk, kPersistent, kNodlckwt,
                                      kNoqueuebast, kHeadque,  kNoorder,  kAltpr,      kAltcw,
                                      kTimeout,     kExpedite, kOrphan};
    const int kind = draw(0, 99);
    if (kind < 35) {
      call.flags = some(flags);
      return space_.lock(call);
    }
    std::vector<const Lock*> all;
    for (const auto& [id, lock] : space_.locks()) all.push_back(&lock);
    if (all.empty()) return {};
    const Lock& lock = *all[static_cast<std::size_t>(draw(0, static_cast<int>(all.size()) - 1))];
    if (kind < 65) {
      call.owner = lock.owner;
      call.lock = lock.id;
      call.flags = kConvert | some(flags) | some({kQuecvt, kConvdeadlk});
      return space_.lock(call);
    }
    if (kind < 92) {
      const Flags unlock = some({kCancel, kCancel, kForceunlock, kValblk, kIvvalblk});
      return space_.unlock({lock.owner.session, lock.id, unlock, filled(2)});
    }
    if (kind < 95) return space_.expire(now_);
    dead = true;
    if (kind < 97) return space_.end_session(session);
    if (kind < 98) return space_.purge(owner, 0, draw(0, 6));
    recovered = true;
    return space_.end_node(draw(1, 3));
  }

  std::mt19937 random_;
  Lockspace space_;
  std::int64_t now_ = 0;
};

TEST_CASE("random histories keep holders compatible, leave nothing grantable and pass nobody") {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    History history(seed);
    for (int step = 0; step < 200; ++step) {
      CAPTURE(seed);
      CAPTURE(step);
      REQUIRE(history.step() == "");
    }
  }
}

}  // namespace
}  // namespace model
