// What a receiver remembers of the lives of one sender, so that it accepts no datagram twice while
// it lives itself: which salts were seen, and which counters of each. It authenticates nothing and
// owns no secret but the keys of the lives in use.
//
// A life is known by its salt from the first datagram that opened. The kLivesInUseMax most recently
// heard have a replay window and a derived key; of the others only the highest counter is kept, and
// all up to it count as accepted. So a life that falls out of use loses its tolerance of reordering
// for a moment, and nothing else: it comes back with its next datagram. When kLivesMax lives are
// known, a datagram of a further life is refused, because forgetting one would let its recordings
// in again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "evs/net/record.h"
#include "evs/net/replay_window.h"
#include "evs/net/secret.h"

namespace evs::net {

class Lives {
 public:
  static constexpr std::size_t kLivesInUseMax = 4;
  static constexpr std::size_t kLivesMax = 4096;

  // True if this counter of this life was certainly not accepted before.
  bool fresh(const Salt& salt, std::uint64_t counter) const;

  // True if the life is known, or could become so.
  bool room_for(const Salt& salt) const;

  // The derived key, if it is at hand; else null.
  const Secret* key(const Salt& salt, std::uint64_t sub_key) const;

  // A datagram of this life was authenticated under `key`.
  void accept(const Salt& salt, std::uint64_t counter, const Secret& key);

  std::size_t size() const { return lives_.size(); }

 private:
  struct InUse {
    ReplayWindow window;
    std::uint64_t sub_key = 0;
    Secret key;
  };
  struct Life {
    std::uint64_t highest = 0;  // Kept when `in_use` ends.
    std::unique_ptr<InUse> in_use;
  };

  InUse& bring_into_use(Life& life);

  std::map<Salt, Life> lives_;
  std::vector<Life*> recent_;  // Those in use, the most recently heard first.
};

}  // namespace evs::net
