#include "liblock/outcome_parts.h"

#include <algorithm>

#include "base/mutant.h"

namespace liblock {
namespace {

using protocol::BarrierMember;
using protocol::BarrierOutcome;

bool by_session(const BarrierOutcome& part) {
  const auto not_growing = [](const BarrierMember& a, const BarrierMember& b) {
    return a.session >= b.session;
  };
  return std::adjacent_find(part.members.begin(), part.members.end(), not_growing) ==
         part.members.end();
}

// What all parts have in common. The deaths are known from the first one.
bool same(const BarrierOutcome& a, const BarrierOutcome& b) {
  return a.generation == b.generation && a.step == b.step && a.ending == b.ending &&
         a.ring == b.ring && a.membership == b.membership && a.losses == b.losses &&
         a.members_total == b.members_total;
}

}  // namespace

OutcomeParts::Added OutcomeParts::add(const BarrierOutcome& part) {
  const std::size_t before = outcome_ ? outcome_->members.size() : 0;
  const bool whole = before + part.members.size() == part.members_total;
  const bool moves_on = !part.members.empty() || whole;
  if (!by_session(part) || !moves_on || part.members_total > kParticipantsMax) return Added::wrong;
  if (outcome_ && !same(*outcome_, part)) return Added::wrong;
  if (outcome_ && part.members.front().session == outcome_->members.front().session) {
    return MUTANT("barriers_beginning_again_is_wrong") ? Added::wrong : Added::again;
  }
  if (before + part.members.size() > part.members_total) return Added::wrong;
  if (outcome_ && !goes_on(part) && !MUTANT("barriers_parts_in_any_order")) return Added::wrong;
  if (outcome_) {
    outcome_->members.insert(outcome_->members.end(), part.members.begin(), part.members.end());
  } else {
    outcome_ = part;
  }
  return whole || MUTANT("barriers_first_part_is_all") ? Added::whole : Added::more;
}

bool OutcomeParts::goes_on(const BarrierOutcome& part) const {
  return part.members.front().session > last();
}

}  // namespace liblock
