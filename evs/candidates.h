// The processors that may form the next ring, as one member sees them while it gathers: who is
// proposed, who is taken to have failed, and who has said the same. Sets only grow until a ring is
// installed [Totem95 section 5, membership].
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "evs/message.h"

namespace evs {

class Candidates {
 public:
  explicit Candidates(const Processor& self) : self_(self) { reset(); }

  // Back to this processor alone.
  void reset();

  // Each answers whether the sets changed. Beyond kCandidatesMax nothing is added.
  bool propose(const Processor& processor);
  bool fail(const Processor& processor);

  bool has_failed(const Processor& processor) const;

  // Takes what `sender` thinks into account; `sets` are its Join's. True if the sets changed. If
  // they did not and are the same as the sender's, the sender is in consensus. `forwarded` is its
  // Join's too.
  bool merge(const Processor& sender, const std::vector<Candidate>& sets,
             std::uint32_t forwarded = 0);

  void forget_consensus();

  // All who have not failed have said the same.
  bool consensus() const;

  // In consensus: the first on the token's path of those who passed on the fewest tokens.
  Processor hindmost(std::uint32_t own_forwarded) const;

  // Those who have not said the same are taken to have failed.
  void fail_silent();

  // Who has not failed, sorted.
  std::vector<Processor> alive() const;

  const std::vector<Candidate>& sets() const { return sets_; }

 private:
  Candidate* find(const Processor& processor);
  const Candidate* find(const Processor& processor) const;
  bool agrees(const Processor& processor) const;

  Processor self_;
  std::vector<Candidate> sets_;  // Sorted.

  // Who said the same since the sets last changed, and how many tokens each had passed on.
  std::vector<std::pair<Processor, std::uint32_t>> consenting_;
};

}  // namespace evs
