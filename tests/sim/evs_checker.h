// Judges a run of ring members by the properties of extended virtual synchrony: S1 to S7 always, L1
// to L3 of a run that came to rest. It knows nothing of how the ring works, only what it told.
//
// The properties, after Moser, Amir, Melliar-Smith and Agarwal 1994. "Of R" means in the regular
// configuration R or in the transitional one that a processor goes into from R.
//   S1    What is delivered was sent, once, in a regular configuration R; each processor
//         delivers it at most once, of R, with the same sender, service and payload.
//   S2    An id stands for one configuration for ever; ids of regular ones grow in a life. A life
//         begins alone; regular and transitional alternate; a transitional one has just those who
//         go from one regular one to the next together, and departed and joined are what is left.
//   S3    One order of all events fits every processor, each configuration being one event.
//   S4    Who goes from one configuration to the next together has delivered the same in the first.
//   S5    What was sent or delivered before a message was sent, in the same regular configuration,
//         is delivered before it.
//   S6    As S3 with each message being one event, and in the order of places. S6.3: nothing
//         below a delivered message is left out, except in a transitional configuration what was
//         sent by processors outside of it.
//   S7    A safe message delivered in a configuration is delivered, of the same R, by all
//         members of that configuration that do not fail (S7.1); if it is R itself, all its
//         members have installed R (S7.2).
//   L1    A processor delivers its own messages of R, unless it fails there.
//   L2    In the end all that can talk to each other are in one regular configuration of just them.
//   L3    In that configuration all messages are delivered by all.
//
// Reports are made in the order of the run, over all processors: a member's events as they are
// polled, after every step; a send at once, so it may come before events of the same step that are
// still to be polled.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "evs/event.h"

namespace sim {

struct Violation {
  std::string property;  // "S4", "S7.1", ...
  std::string explanation;
};

class EvsChecker {
 public:
  // At most this many violations are kept; the first is the one to look at.
  static constexpr std::size_t kViolationsMax = 16;

  EvsChecker();
  ~EvsChecker();
  EvsChecker(const EvsChecker&) = delete;
  EvsChecker& operator=(const EvsChecker&) = delete;

  void configuration(const base::Processor& at, const evs::ConfigurationChange& change);

  // The member gave a message of its own this place in the order of `ring`. A message is known by
  // its place.
  void sent(const base::Processor& by, const base::RingId& ring, std::uint64_t sequence,
            std::uint32_t index);

  // Optional: the member took this message from its application. If a member's messages are
  // reported, all are: the first that it sends must be the first that it took, and so on.
  void taken(const base::Processor& by, evs::Service service, base::Bytes payload);

  void delivered(const base::Processor& at, const evs::Delivery& delivery);

  // The member crashed, or left for good. Nothing may be reported of this processor afterwards.
  void failed(const base::Processor& who);
  void left(const base::Processor& who);

  bool violated() const;

  // To be called once, at the end. `at_rest`: sending stopped, the network is stable and nothing is
  // under way. `components` are then the sets of living processors that can talk to each other;
  // none means: all can. A processor that is in none of several is not at rest.
  std::vector<Violation> finish(bool at_rest,
                                const std::vector<std::vector<base::Processor>>& components = {});

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sim
