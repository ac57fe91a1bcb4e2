// The outcome of one step of a barrier, as its parts come together. Who is asked for the next part,
// and what the outcome means, is the client machine's business (liblock/client_machine.h).
#pragma once

#include <cstddef>
#include <optional>

#include "liblock/protocol/barrier_messages.h"

namespace liblock {

// Participants of a generation, and so parties of a barrier.
constexpr std::size_t kParticipantsMax = 4096;

class OutcomeParts {
 public:
  enum class Added {
    whole,  // Now.
    more,   // To be asked for, behind last().
    again,  // As it began; what was asked for is under way.
    wrong,  // It contradicts what was told before.
  };
  Added add(const protocol::BarrierOutcome& part);

  // Of what has come; there is some.
  protocol::SessionId last() const { return outcome_->members.back().session; }

  const std::optional<protocol::BarrierOutcome>& outcome() const { return outcome_; }

 private:
  bool goes_on(const protocol::BarrierOutcome& part) const;

  std::optional<protocol::BarrierOutcome> outcome_;
};

}  // namespace liblock
