// Where a client is inside a barrier with two steps, by generation, and what it was told of the
// second one. Arrivals are commands (liblock/commands.h); who is told what is the client machine's
// business.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "liblock/event.h"
#include "liblock/outcome_parts.h"

namespace liblock {

// What a session of a daemon can have at most, to come and not confirmed.
constexpr std::size_t kOutcomesMax = 64;

struct Participation {
  // What the daemon tells of several steps after a resume it tells in any order: while this is not
  // set, of the first one we have yet to hear.
  bool entered = false;

  bool abandoned = false;          // Nobody was told that we are inside.
  std::optional<RequestId> leave;  // That has no outcome.
  OutcomeParts parts;              // Of the outcome of the second step,
  std::optional<BarrierEnd> end;   // and all of it, which no leave has taken yet.
};

class Participations {
 public:
  Participation& enter(protocol::BarrierGeneration generation);

  // Of one that was not entered as far as we know.
  Participation& expect(protocol::BarrierGeneration generation);

  Participation* find(protocol::BarrierGeneration generation);

  // It is over, and its outcome was told to who asked.
  void end(protocol::BarrierGeneration generation);

  // It is one of the last that were over.
  bool ended(protocol::BarrierGeneration generation) const;

  // Of those that are expected, nobody has arrived.
  void drop_expected();

  // All parts are told anew.
  void on_disconnected();

  // With their session; but what is known of the second step stays.
  void lose();

  // True, once, if it was lost.
  bool take_lost(protocol::BarrierGeneration generation);

  std::size_t expected() const;
  std::size_t size() const { return participations_.size(); }

 private:
  std::map<protocol::BarrierGeneration, Participation> participations_;
  std::deque<protocol::BarrierGeneration> ended_;  // At most kOutcomesMax.
  std::set<protocol::BarrierGeneration> lost_;     // Likewise; the oldest go first.
};

}  // namespace liblock
