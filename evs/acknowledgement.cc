// Acknowledgements outside the token: on a quiet ring a safe packet asks for them, so that its
// delivery need not wait for the token's next rotation [rule 3].
#include <algorithm>

#include "base/mutant.h"
#include "evs/member.h"

namespace evs {

// Rule 3, outside the token: as at a visit, the own entry alone, and what was received without a
// gap. Asking is bounded to once a visit, and each asking is answered at most once.
void Member::acknowledge(Operational& state) {
  Sequence& own = ring_->acknowledged[ring_->self_index];
  Sequence received = ring_->store.received();
  if (MUTANT("acknowledges_asked_with_gaps")) received = std::max(received, state.asked);
  if (state.asked <= own || received < state.asked) return;
  own = received;
  ++statistics_.acknowledgements_sent;
  send_to_ring(*ring_, encode(AcknowledgementMessage{ring_->id, received}));
}

// An entry is its sender's own, of this very ring, and only grows. What it says is as true as what
// a token says: it may let a safe packet be delivered, and nothing else comes of it.
void Member::on_acknowledgement(Instant now, base::NodeId from,
                                const AcknowledgementMessage& acknowledgement, Operational& state) {
  if (acknowledgement.ring != ring_->id && !MUTANT("acknowledgement_of_another_ring")) return;
  const std::optional<std::size_t> index = ring_->index_of(from);
  if (!index) return;
  // Nobody can have received what nobody can have numbered.
  const Sequence possible = state.held ? state.held->sequence : ring_->store.limit();
  if (acknowledgement.received > possible) {
    ++statistics_.datagrams_malformed;
    return;
  }
  ring_->merge_acknowledged(*index, acknowledgement.received);
  const std::uint64_t before = statistics_.safe_delivered_regular;
  deliver_regular(*ring_, ring_->stable());
  statistics_.safe_by_acknowledgement += statistics_.safe_delivered_regular - before;
  await_token(now, state);
}

}  // namespace evs
