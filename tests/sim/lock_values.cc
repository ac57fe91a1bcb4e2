// What becomes of value blocks: LVB. Who comes, or goes to a mode that excludes more, reads; who
// leaves PW or EX, or goes down from them, writes.
#include "tests/sim/lock_checker_impl.h"

namespace sim {
namespace {

using namespace base::lock_flag;

bool writes_when_leaving(Mode mode) {
  return mode == Mode::pw || mode == Mode::ex;
}

}  // namespace

// `from`: none for a new lock.
void LockChecker::Impl::transfer_value(const Applied& applied, const dlm::Effect& effect,
                                       std::optional<Mode> from,
                                       const std::optional<ValueBlock>& written) {
  Lock& lock = locks_[effect.lock];
  Resource& resource = resources_[lock.granted_on];
  lock.granted_to_ended = sessions_[effect.lock.session].ended;
  const auto wrong = [&](const std::string& what) {
    report("LVB", text(applied.at) + text(effect.lock) + " in " + text(effect.mode) + " by " +
                      text(applied.place) + " " + what);
  };
  const LockFlags flags = lock.ordered_flags;
  const bool upward = from && *from == Mode::pw && effect.mode == Mode::ex;
  const bool writes = from && writes_when_leaving(*from) && !upward;
  const bool reads = !from || (!writes && effect.mode >= *from);
  if (writes && (flags & invalidate_value) != 0) {
    resource.marked = true;
  } else if (writes && (flags & value_block) != 0 && written) {
    resource.value = *written;
    resource.marked = false;
  }
  lock.read = effect.value;
  const bool adopts = !from && (lock.flags & adopt_orphan) != 0;
  if (adopts) return;
  if (reads && (flags & value_block) != 0) {
    if (!effect.value) return wrong("does not read the value");
    if (*effect.value != resource.value) wrong("reads another value than the last one written");
    const bool marked = (effect.notes & base::grant_note::value_invalid) != 0;
    if (resource.marked && *resource.marked != marked) {
      wrong(marked ? "reads a mark, but no writer was lost"
                   : "reads no mark, but a writer was lost");
    }
    // While a table is cold only NL is granted; the end of that wait marks what it kept.
    if (resource.granted_since_cold) resource.marked = marked;
  } else if (effect.value) {
    wrong("reads a value, but has not asked for it");
  }
}

// By its client's release, or because its session has ended.
void LockChecker::Impl::value_of_released(LockName name) {
  const Lock& lock = locks_[name];
  Resource& resource = resources_[lock.granted_on];
  if (!writes_when_leaving(lock.granted_mode)) return;
  if (lock.granted_to_ended) {
    // Nobody was told of it, so nobody has written. A mark says less than one could know.
    if (resource.marked == false) resource.marked.reset();
    return;
  }
  const bool uses_values = (lock.ordered_flags & value_block) != 0;
  if (sessions_[name.session].ended) {
    if (uses_values) {
      resource.marked = true;
    } else if (resource.marked == false) {
      resource.marked.reset();
    }
  } else if (lock.release && (lock.release->flags & invalidate_value) != 0) {
    resource.marked = true;
  } else if (lock.release && (lock.release->flags & value_block) != 0 && lock.release->value) {
    resource.value = *lock.release->value;
    resource.marked = false;
  } else if (lock.lost && writes_when_leaving(lock.told_mode)) {
    resource.marked = true;  // Its client may have been at it.
  }
}

// A resource that nobody holds or waits for is none.
void LockChecker::Impl::forget_if_empty(Resource& resource) {
  if (!resource.waiting.empty() || !resource.converting.empty()) return;
  for (const auto& holders : resource.holders) {
    if (!holders.empty()) return;
  }
  resource.value = {};
  if (resource.granted_since_cold) {
    resource.marked = false;
  } else {
    resource.marked.reset();
  }
}

}  // namespace sim
