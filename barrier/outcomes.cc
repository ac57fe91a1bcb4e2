#include "barrier/outcomes.h"

#include <utility>

#include "barrier/digest.h"
#include "base/check.h"
#include "base/mutant.h"

namespace barrier {
namespace {

std::uint64_t digest_of_outcome(const Outcome& outcome) {
  std::uint64_t digest = base::mix(21, base::value(outcome.key.generation));
  digest = base::mix(digest, static_cast<std::uint64_t>(outcome.key.step));
  digest = digest_of(digest, outcome.name);
  digest = base::mix(digest, static_cast<std::uint64_t>(outcome.ending));
  digest = base::mix(digest, outcome.ring.sequence);
  digest = base::mix(digest, base::value(outcome.ring.representative));
  digest = base::mix(digest, outcome.ring.nonce);
  digest = base::mix(digest, outcome.membership);
  for (const Member& member : outcome.members) {
    digest = digest_of(base::mix(digest, base::value(member.session)), member.at);
    digest = base::hash_bytes(digest, member.value);
  }
  return digest_of(digest, outcome.lost, outcome.losses);
}

std::uint64_t digest_of_debt(std::uint64_t outcome, SessionId session, RequestId request) {
  return base::mix(base::mix(outcome, base::value(session)), base::value(request));
}

std::size_t bytes_in(const Outcome& outcome) {
  std::size_t bytes = 0;
  for (const Member& member : outcome.members) bytes += member.value.size();
  return bytes;
}

}  // namespace

void Outcomes::add(Outcome outcome, Owed owed) {
  CHECK(!owed.empty());
  const std::uint64_t digest = digest_of_outcome(outcome);
  digest_ += digest;
  for (const auto& [session, request] : owed) digest_ += digest_of_debt(digest, session, request);
  places_ += outcome.members.size();
  value_bytes_ += bytes_in(outcome);
  const OutcomeKey key = outcome.key;
  CHECK(kept_.emplace(key, Kept{std::move(outcome), std::move(owed), digest}).second);
}

const Outcome* Outcomes::find(OutcomeKey key) const {
  const auto found = kept_.find(key);
  return found == kept_.end() ? nullptr : &found->second.outcome;
}

std::optional<RequestId> Outcomes::request_of(SessionId session, OutcomeKey key) const {
  const auto found = kept_.find(key);
  if (found == kept_.end()) return std::nullopt;
  const auto owed = found->second.owed.find(session);
  if (owed == found->second.owed.end()) return std::nullopt;
  return owed->second;
}

std::vector<SessionId> Outcomes::owed(OutcomeKey key) const {
  std::vector<SessionId> sessions;
  const auto found = kept_.find(key);
  if (found == kept_.end()) return sessions;
  for (const auto& [session, request] : found->second.owed) sessions.push_back(session);
  return sessions;
}

void Outcomes::settle(SessionId session, OutcomeKey key) {
  const auto found = kept_.find(key);
  if (found == kept_.end()) return;
  Kept& kept = found->second;
  const auto owed = kept.owed.find(session);
  if (owed == kept.owed.end()) return;
  digest_ -= digest_of_debt(kept.digest, session, owed->second);
  kept.owed.erase(owed);
  const bool dropped_at_first = MUTANT("barrier_outcome_dropped_at_first");
  if (!kept.owed.empty() && !dropped_at_first) return;
  for (const auto& [other, request] : kept.owed)
    digest_ -= digest_of_debt(kept.digest, other, request);
  digest_ -= kept.digest;
  places_ -= kept.outcome.members.size();
  value_bytes_ -= bytes_in(kept.outcome);
  kept_.erase(found);
}

}  // namespace barrier
