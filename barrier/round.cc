#include "barrier/round.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace barrier {

const Participant* Round::find(SessionId session) const {
  const auto found = participants_.find(session);
  return found == participants_.end() ? nullptr : &found->second;
}

void Round::add(SessionId session, Participant participant) {
  if (!someone_at(participant.at.node)) ++nodes_;
  ++at_[participant.at];
  if (participant.request != RequestId{}) ++left_;
  CHECK(participants_.emplace(session, std::move(participant)).second);
}

void Round::remove(SessionId session) {
  const auto found = participants_.find(session);
  CHECK(found != participants_.end());
  const auto at = at_.find(found->second.at);
  if (--at->second == 0) {
    at_.erase(at);
    if (!someone_at(found->second.at.node)) --nodes_;
  }
  if (found->second.request != RequestId{}) --left_;
  participants_.erase(found);
}

void Round::leave(SessionId session, RequestId request, base::Buffer value) {
  Participant& participant = participants_.at(session);
  if (participant.request == RequestId{}) ++left_;
  participant.request = request;
  participant.value = std::move(value);
}

bool Round::has_left(SessionId session) const {
  const Participant* participant = find(session);
  return participant && participant->request != RequestId{};
}

bool Round::someone_at(base::NodeId node) const {
  const auto at = at_.lower_bound(Processor{node, base::Incarnation{}});
  return at != at_.end() && at->first.node == node;
}

bool Round::someone_inside_at(const Processor& at) const {
  return someone_at(at) &&
         std::any_of(participants_.begin(), participants_.end(), [&](const auto& entry) {
           return entry.second.at == at && entry.second.request == RequestId{};
         });
}

void Round::lose(const Lost& lost) {
  if (lost_.size() < kMaxLost) lost_.push_back(lost);
  ++losses_;
}

void Round::set_lost(std::vector<Lost> lost, std::uint64_t losses) {
  lost_ = std::move(lost);
  losses_ = losses;
}

}  // namespace barrier
