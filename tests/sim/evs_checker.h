// Judges a run of ring members by the properties of extended virtual synchrony: S1 to S7 always, L1
// to L3 of a run that came to rest. It owns nothing of the ring and knows nothing of how the ring
// works, only what it told. The properties are stated in docs/testing.md, after Moser, Amir,
// Melliar-Smith and Agarwal 1994.
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
  // none means: all can.
  std::vector<Violation> finish(bool at_rest,
                                const std::vector<std::vector<base::Processor>>& components = {});

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sim
