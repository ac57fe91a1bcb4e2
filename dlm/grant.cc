// The rules of granting, those of the kernel's lock manager (docs/locks.md, "Who is granted what").
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "dlm/table.h"

namespace dlm {
namespace {

using namespace base::lock_flag;

// The mode that is as good as the one asked for, if there is one.
std::optional<Mode> other_mode(Mode asked, LockFlags flags) {
  if (asked != Mode::pr && (flags & or_pr)) return Mode::pr;
  if (asked != Mode::cw && (flags & or_cw)) return Mode::cw;
  return std::nullopt;
}

// Whether a holder is to hear that somebody came and waits for `wanted`.
bool to_hear_of(const LockRecord& holder, Mode wanted) {
  const bool inverted = (holder.mode == Mode::pr && wanted == Mode::cw) ||
                        (holder.mode == Mode::cw && wanted == Mode::pr);
  if (inverted) return holder.notified < Mode::ex;
  return holder.notified < wanted && !compatible(holder.mode, wanted);
}

}  // namespace

// Beside what all others hold on the resource, converting ones too.
bool Table::fits(const LockRecord& lock, Mode mode) const {
  ModeCounts held = store_.resources()[lock.resource].held;
  if (lock.granted() && MUTANT("dlm_conversion_beside_conflict")) return true;
  if (lock.granted()) --held[index_of(lock.mode)];
  return fits_beside(held, mode);
}

// The mode that a request which is not in the table yet would be granted at once. Only by a flag it
// overtakes those who wait, so nobody starves. With head_of_queue it would stand before all of
// them: if it fits and had to wait there, nobody might ever look at it again.
std::optional<Mode> Table::grantable_to_newcomer(Slot slot, Mode mode, LockFlags flags) const {
  if (slot == kNoSlot || (flags & expedite)) return mode;
  const ResourceRecord& resource = store_.resources()[slot];
  const QueuesRecord* queues = store_.queues_of(resource);
  const bool at_head = (flags & head_of_queue) && queues && queues->converting.empty() &&
                       !MUTANT("dlm_head_that_fits_waits");
  const bool nobody_before = !queues || at_head || MUTANT("dlm_overtakes_waiter");
  if (!nobody_before && !(flags & no_order)) return std::nullopt;
  if (fits_beside(resource.held, mode)) return mode;
  const std::optional<Mode> other = other_mode(mode, flags);
  if (other && fits_beside(resource.held, *other)) return other;
  return std::nullopt;
}

// Whether a lock that fits may also go now.
bool Table::turn_has_come(const LockRecord& lock, When when) const {
  const QueuesRecord* queues = store_.queues_of(store_.resources()[lock.resource]);
  if (when == When::asked) {
    const bool behind = lock.has(queue_convert) && !lock.has(head_of_queue | no_order);
    return !behind || !queues || queues->converting.empty() || MUTANT("dlm_queue_convert_ignored");
  }
  if (lock.has(no_order) && !MUTANT("dlm_no_order_ignored")) return true;
  if (lock.granted()) {
    return queues->converting.first == lock.wait || MUTANT("dlm_conversion_overtakes");
  }
  return (queues->converting.empty() || MUTANT("dlm_request_overtakes_conversion")) &&
         queues->waiting.first == lock.wait;
}

// Whether the mode that it holds keeps somebody from converting who is before it; or somebody
// behind it, who keeps it as well.
bool Table::conversion_deadlock(const LockRecord& lock, Mode mode) const {
  const QueuesRecord* queues = store_.queues_of(store_.resources()[lock.resource]);
  bool before = true;
  for (Slot at = queues ? queues->converting.first : kNoSlot; at != kNoSlot;
       at = store_.waits()[at].in_queue.next) {
    if (at == lock.wait) {
      before = false;
      continue;
    }
    const WaitRecord& other = store_.waits()[at];
    const bool keeps_it = !compatible(lock.mode, other.mode);
    const bool is_kept = !compatible(store_.locks()[other.lock].mode, mode);
    if (keeps_it && (before || is_kept) && !MUTANT("dlm_conversion_deadlock_unseen")) return true;
  }
  return false;
}

// Of a conversion that is asked for, and of whatever waits. `mode` becomes the one to grant.
Table::Verdict Table::judge(Slot slot, Mode& mode, When when) {
  const LockRecord& lock = store_.locks()[slot];
  const bool turn = turn_has_come(lock, when);
  if (turn && fits(lock, mode)) return Verdict::grant;
  if (lock.granted() && !lock.has(no_queue) && conversion_deadlock(lock, mode)) {
    if (!lock.has(demote_on_deadlock)) return Verdict::deadlock;
    store_.demote(slot);
    return Verdict::demoted;
  }
  const std::optional<Mode> other = other_mode(mode, lock.flags);
  if (!other || !turn || !fits(lock, *other)) return Verdict::wait;
  mode = *other;
  return Verdict::grant;
}

void Table::grant(Slot slot, Mode mode, RequestId request, GrantNotes notes,
                  const std::optional<ValueBlock>& value, Effects& effects) {
  const LockRecord& lock = store_.locks()[slot];
  const Slot resource = lock.resource;
  const Transfer transfer =
      lock.granted() ? dlm::transfer(lock.mode, mode) : dlm::transfer(Mode::nl, mode);
  const bool keeps_token = lock.granted() && MUTANT("dlm_conversion_keeps_token");
  const Token token = keeps_token                   ? Token{lock.token}
                      : MUTANT("dlm_token_repeats") ? Token{next_token_ - 1}
                                                    : draw_token();
  store_.grant(slot, mode, base::value(token), second_);

  Effect granted{Effect::Kind::granted, Status::ok, mode,  notes,
                 store_.name_of(lock),  request,    token, std::nullopt};
  if (transfer == Transfer::write && !MUTANT("dlm_value_lost_on_conversion")) {
    write_or_invalidate(resource, lock.flags, value);
  }
  const ValueRecord* stored = store_.value_of(store_.resources()[resource]);
  if (transfer == Transfer::read && lock.has(value_block)) {
    granted.value = stored ? stored->bytes : ValueBlock{};
  }
  const bool tells = transfer == Transfer::none || lock.has(value_block);
  const bool just_marked = transfer == Transfer::write && lock.has(invalidate_value);
  if (stored && stored->invalid && tells && !just_marked) {
    granted.notes |= base::grant_note::value_invalid;
  }
  effects.push_back(granted);
  if (lock.owner != kNoSlot && !store_.owners()[lock.owner].waits.empty() &&
      !MUTANT("dlm_deadlock_by_grant_unseen")) {
    to_check_.push_back(lock.owner);
  }
}

// Whether a conversion that has to wait may write the value block when it is granted: one to a mode
// that excludes more does not, but the other one that it is content with may.
bool Table::writes_late(const LockRecord& lock, Mode mode) const {
  const std::optional<Mode> other = other_mode(mode, lock.flags);
  return lock.has(value_block) && other && transfer(lock.mode, *other) == Transfer::write;
}

void Table::enqueue(WaitRecord wait, const std::optional<ValueBlock>& value) {
  wait.place = static_cast<std::int64_t>(base::value(draw_token()));
  const bool at_head = store_.locks()[wait.lock].has(head_of_queue) && !MUTANT("dlm_head_at_tail");
  if (at_head) wait.place = -wait.place;
  store_.enqueue(wait, value, second_);
}

// After something has gone: grants what can go now, and lets the holders know of what can not.
void Table::scan(Slot resource, Effects& effects) {
  if (store_.resources()[resource].queues == kNoSlot) return;
  grant_converting(resource, effects);
  grant_waiting(resource, effects);
  if (!MUTANT("dlm_scan_tells_nobody")) notify_of_waiting(resource, effects);
}

// From the front, and from the front again after each that was granted or demoted.
void Table::grant_converting(Slot slot, Effects& effects) {
  const ResourceRecord& resource = store_.resources()[slot];
  const QueuesRecord* queues = store_.queues_of(resource);
  for (Slot at = queues ? queues->converting.first : kNoSlot; at != kNoSlot;) {
    const WaitRecord wait = store_.waits()[at];
    Mode mode = wait.mode;
    const Verdict verdict = judge(wait.lock, mode, When::queued);
    if (verdict == Verdict::grant) {
      GrantNotes notes = wait.demoted ? base::grant_note::demoted : GrantNotes{0};
      if (mode != wait.mode) notes |= base::grant_note::other_mode;
      grant(wait.lock, mode, wait.request, notes,
            MUTANT("dlm_late_value_lost") ? std::nullopt : store_.value_of(wait), effects);
    }
    queues = store_.queues_of(resource);
    const bool again = verdict == Verdict::grant || verdict == Verdict::demoted;
    at = !queues               ? kNoSlot
         : again               ? queues->converting.first
         : queues->special > 0 ? wait.in_queue.next
                               : kNoSlot;  // Nobody else's turn can have come.
  }
}

// Strictly from the front: what stands behind an incompatible request waits with it.
void Table::grant_waiting(Slot slot, Effects& effects) {
  const ResourceRecord& resource = store_.resources()[slot];
  const QueuesRecord* queues = store_.queues_of(resource);
  for (Slot at = queues ? queues->waiting.first : kNoSlot; at != kNoSlot;) {
    const WaitRecord wait = store_.waits()[at];
    Mode mode = wait.mode;
    bool granted = judge(wait.lock, mode, When::queued) == Verdict::grant;
    if (granted && wait.parts > 1 && !MUTANT("dlm_part_granted_alone")) {
      granted = grant_parts(wait, effects);
    } else if (granted) {
      if (MUTANT("dlm_state_diverges") && queues->waiters > 1) {
        static unsigned of_this_process = 0;
        if (of_this_process++ % 2 != 0) draw_token();
      }
      const GrantNotes notes = mode == wait.mode ? 0 : base::grant_note::other_mode;
      grant(wait.lock, mode, wait.request, notes, std::nullopt, effects);
    }
    queues = store_.queues_of(resource);
    if (!queues) return;
    at = granted || queues->special > 0 ? wait.in_queue.next : kNoSlot;
  }
}

// All parts of a request, if it is the turn of each. False if it is not.
bool Table::grant_parts(const WaitRecord& wait, Effects& effects) {
  const LockName name = store_.name_of(store_.locks()[wait.lock]);
  const std::uint64_t first = base::value(name.acquired_by) - wait.part;
  std::vector<Slot> parts;
  for (std::size_t i = 0; i < wait.parts; ++i) {
    parts.push_back(store_.find_lock({name.session, RequestId{first + i}}));
    CHECK(parts.back() != kNoSlot);
    const LockRecord& lock = store_.locks()[parts.back()];
    const Mode mode = store_.wait_of(lock).mode;
    if (!turn_has_come(lock, When::queued) || !fits(lock, mode)) return false;
  }
  for (const Slot part : parts) {
    const WaitRecord own = store_.wait_of(store_.locks()[part]);
    grant(part, own.mode, own.request, 0, std::nullopt, effects);
    if (part != wait.lock) to_scan_.push_back(store_.locks()[part].resource);
  }
  return true;
}

// The modes that holders are to hear of: the highest, or CW, which PR does not cover. A conversion
// that can never go, since it keeps others from going, is not spoken of; such are put to
// `hopeless`.
Table::Wanted Table::wanted(const QueuesRecord& queues, std::vector<Slot>& hopeless) const {
  ModeCounts counts = queues.wanted;
  for (Slot at = queues.special > 0 ? queues.converting.first : kNoSlot; at != kNoSlot;
       at = store_.waits()[at].in_queue.next) {
    const WaitRecord& wait = store_.waits()[at];
    if (!conversion_deadlock(store_.locks()[wait.lock], wait.mode)) continue;
    --counts[index_of(wait.mode)];
    hopeless.push_back(at);
  }
  Wanted wanted{Mode::nl, counts[index_of(Mode::cw)] > 0};
  for (std::size_t mode = 0; mode < kModes; ++mode) {
    if (counts[mode] > 0) wanted.highest = static_cast<Mode>(mode);
  }
  return wanted;
}

// After a scan, of what waits still. A conversion that can never go is itself asked to give way if
// it has no_deadlock_wait.
void Table::notify_of_waiting(Slot slot, Effects& effects) {
  const ResourceRecord& resource = store_.resources()[slot];
  const QueuesRecord* queues = store_.queues_of(resource);
  if (!queues || resource.listeners == 0) return;
  std::vector<Slot> hopeless;
  const Wanted wanted = this->wanted(*queues, hopeless);
  for (const Slot at : hopeless) {
    const WaitRecord& wait = store_.waits()[at];
    const LockRecord& lock = store_.locks()[wait.lock];
    if (lock.has(no_deadlock_wait) && lock.notified < wait.mode) {
      notify(wait.lock, wait.mode, wait.mode, effects);
    }
  }
  for (Slot at = resource.granted.first; at != kNoSlot; at = store_.locks()[at].in_granted.next) {
    notify_of(at, wanted, effects);
  }
}

// Whoever was granted something at once, past those who wait: no scan follows.
void Table::notify_newcomer(Slot lock, Effects& effects) {
  const QueuesRecord* queues = store_.queues_of(store_.resources()[store_.locks()[lock].resource]);
  if (!queues || MUTANT("dlm_newcomer_hears_nothing")) return;
  std::vector<Slot> hopeless;
  notify_of(lock, wanted(*queues, hopeless), effects);
}

void Table::notify_of(Slot slot, const Wanted& wanted, Effects& effects) {
  const LockRecord& holder = store_.locks()[slot];
  if (holder.wait != kNoSlot) return;
  const bool beside_cw = holder.mode == Mode::pr && wanted.cw;
  const bool told =
      beside_cw ? holder.notified < Mode::ex
                : holder.notified < wanted.highest && !compatible(holder.mode, wanted.highest);
  if (!told) return;
  notify(slot, beside_cw && wanted.highest == Mode::pr ? Mode::cw : wanted.highest, wanted.highest,
         effects);
}

// Holders hear that `blocked`, which may be none yet, can not have `mode`; who converts hears it
// only of those that do not wait for an answer.
void Table::notify_holders(Slot slot, Slot blocked, Mode mode, bool converting_too,
                           Effects& effects) {
  const ResourceRecord& resource = store_.resources()[slot];
  if (resource.listeners == 0) return;
  for (Slot at = resource.granted.first; at != kNoSlot; at = store_.locks()[at].in_granted.next) {
    const LockRecord& holder = store_.locks()[at];
    if (at == blocked || (holder.wait != kNoSlot && !converting_too)) continue;
    if (to_hear_of(holder, mode)) notify(at, mode, mode, effects);
  }
}

void Table::notify(Slot slot, Mode mode, Mode remembered, Effects& effects) {
  const LockRecord& lock = store_.locks()[slot];
  if (!lock.has(base::lock_flag::notify)) return;
  if (!MUTANT("dlm_notified_twice")) store_.set_notified(slot, remembered);
  Effect blocks;
  blocks.kind = Effect::Kind::blocks;
  blocks.mode = mode;
  blocks.lock = store_.name_of(lock);
  blocks.token = Token{lock.token};
  effects.push_back(blocks);
}

}  // namespace dlm
