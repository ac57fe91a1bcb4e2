// The receiving side of the record layer: tells which configured node a datagram is from and what
// it holds, or why it was dropped. Pure; its memory is bounded by the number of nodes and lives.h.
//
// What it promises: all that it accepts was sealed by a holder of the cluster's key in that node's
// name, and no datagram is accepted twice while this opener lives. What it does not: what a sender
// sealed in an earlier life, and we did not accept then, is accepted when it is played back now,
// once; and after our own restart so is every recording. Against that only the ring protects so
// far: what belongs to a ring names it by a random nonce and means nothing elsewhere, and what is
// about membership names an incarnation, so a recording can make the ring form anew, but not change
// its order. All who hold the key are trusted not to speak in each other's name.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "evs/net/aead.h"
#include "evs/net/lives.h"
#include "evs/net/record.h"

namespace evs::net {

struct Opened {
  base::NodeId sender{};
  base::Bytes plaintext;  // Until the next open().
};

class Opener {
 public:
  // `aead` outlives the opener. `nodes` are the configured nodes; `self` is left out.
  Opener(Aead& aead, const ClusterKey& key, base::NodeId self, std::span<const base::NodeId> nodes);

  base::Result<Opened, Refusal> open(base::Bytes datagram);

  std::uint64_t opened() const { return opened_; }
  std::uint64_t refused(Refusal why) const { return refused_[static_cast<std::size_t>(why)]; }

 private:
  base::Result<Opened, Refusal> try_open(base::Bytes datagram);

  Aead& aead_;
  ClusterKey cluster_key_;
  std::map<base::NodeId, Lives> peers_;
  base::Buffer plaintext_;
  std::uint64_t opened_ = 0;
  std::array<std::uint64_t, kRefusals> refused_{};
};

}  // namespace evs::net
