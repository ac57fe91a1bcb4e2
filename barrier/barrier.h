// What a barrier is: names, what it is created with, how it ends. Plain values between the barrier
// table and whoever feeds it; the rules are docs/barriers.md.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/barrier_terms.h"
#include "base/bytes.h"
#include "base/ids.h"

namespace barrier {

using base::Bytes;
using base::Processor;
using base::RequestId;
using base::RingId;
using base::SessionId;

inline constexpr std::size_t kMaxLockspaceName = 64;
inline constexpr std::size_t kMaxBarrierName = 255;
inline constexpr std::size_t kMaxValue = base::kBarrierValueMax;

// Arbitrary bytes, 1 to 64 and 1 to 255 of them.
struct Name {
  std::string lockspace;
  std::string barrier;

  friend auto operator<=>(const Name&, const Name&) = default;
};

using Generation = base::BarrierGeneration;
using Step = base::BarrierStep;
using Unit = base::BarrierUnit;
using OnDeath = base::BarrierOnDeath;
using Ending = base::BarrierEnding;

// For how long a step may wait, in milliseconds, from the first who waits in it; 0 is without end.
// The table keeps it for whoever watches the clock, and does nothing about it.
using Patience = std::uint32_t;

// What a barrier is created with, for good but for the parties.
struct Config {
  std::uint32_t parties = 0;  // How many have to arrive. 0, dynamic: all members of the lockspace.
  Unit unit = Unit::session;
  OnDeath on_death = OnDeath::break_it;
  bool two_steps = false;

  bool dynamic() const { return parties == 0; }

  friend bool operator==(const Config&, const Config&) = default;
};

// Who is in a lockspace. Order and repetitions do not matter.
struct Membership {
  std::uint64_t generation = 0;  // As lockd counts the changes of its nodes.
  std::vector<Processor> nodes;
  std::vector<SessionId> sessions;
};

// Who took part. `value` is what it brought along, empty in a step that was broken.
struct Member {
  SessionId session{};
  Processor at;  // The node that served it when it arrived.
  base::Buffer value;

  friend bool operator==(const Member&, const Member&) = default;
};

// A death that concerned the step: of a session, or if that is 0 of a whole node.
struct Lost {
  SessionId session{};
  Processor at;

  friend bool operator==(const Lost&, const Lost&) = default;
};

// Of the deaths of a step so many are named; the others are counted.
inline constexpr std::size_t kMaxLost = 64;

struct OutcomeKey {
  Generation generation{};
  Step step{};

  friend auto operator<=>(const OutcomeKey&, const OutcomeKey&) = default;
};

// The one outcome of a step of a generation, the same for all to whom it is told.
struct Outcome {
  OutcomeKey key;
  Name name;
  Ending ending{};
  RingId ring;                   // In which the command was ordered that ended the step.
  std::uint64_t membership = 0;  // Generation of the lockspace's members then.
  std::vector<Member> members;   // By session; never empty.
  std::vector<Lost> lost;        // The first of them, in their order,
  std::uint64_t losses = 0;      // of so many.

  bool released() const { return ending == Ending::released; }

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// Part of the replicated behaviour: must be the same on every node of a cluster.
struct Limits {
  std::size_t barriers = 65'536;
  std::size_t barriers_per_lockspace = 1024;
  std::size_t lockspaces = 1024;
  std::size_t participants = 4096;        // Of a generation.
  std::size_t places = 65'536;            // Participants of outcomes, to come and kept.
  std::size_t outcomes_per_session = 64;  // To come and kept.
  std::size_t value_bytes = 8u << 20;     // Of all that wait and are kept.
};

}  // namespace barrier
