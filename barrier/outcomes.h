// The outcomes that are kept until each participant has acknowledged its own or has ended. How one
// comes about is the table's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "barrier/barrier.h"

namespace barrier {

class Outcomes {
 public:
  // To whom it is owed, and the request that it answers; at least one.
  using Owed = std::map<SessionId, RequestId>;

  struct Kept {
    Outcome outcome;
    Owed owed;
    std::uint64_t digest = 0;  // Of the outcome alone.
  };

  // There is none of this key yet: CHECK.
  void add(Outcome outcome, Owed owed);

  const Outcome* find(OutcomeKey key) const;
  const std::map<OutcomeKey, Kept>& all() const { return kept_; }

  // The request that it answers, if it is owed to the session.
  std::optional<RequestId> request_of(SessionId session, OutcomeKey key) const;
  std::vector<SessionId> owed(OutcomeKey key) const;

  // Owes it to this session no more. The last one takes it along.
  void settle(SessionId session, OutcomeKey key);

  std::size_t size() const { return kept_.size(); }
  std::size_t places() const { return places_; }
  std::size_t value_bytes() const { return value_bytes_; }
  std::uint64_t digest() const { return digest_; }

 private:
  std::map<OutcomeKey, Kept> kept_;
  std::size_t places_ = 0;
  std::size_t value_bytes_ = 0;
  std::uint64_t digest_ = 0;
};

}  // namespace barrier
