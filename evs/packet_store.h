// The packets of one ring that a member holds: from just above what it has discarded to a fixed
// bound. It knows the end of the gapless prefix (Totem's aru) and who may be discarded is for
// others to say [rules 1, 5].
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "evs/message.h"

namespace evs {

struct Packet {
  std::uint8_t sender = 0;
  bool safe = false;
  bool exchange = false;
  Buffer payload;
};

class PacketStore {
 public:
  // Holds packets up to `capacity` beyond the last discarded one. Those up to `first` count as
  // received and discarded.
  explicit PacketStore(std::size_t capacity, Sequence first = 0);

  enum class Insert { stored, duplicate, beyond };
  Insert insert(Sequence sequence, Packet packet);

  // Null if it is missing, discarded or never arrived.
  const Packet* find(Sequence sequence) const;

  // Everything up to here was received, discarded packets included.
  Sequence received() const { return received_; }

  // The highest number in store, or received() if there is nothing above it.
  Sequence highest() const { return highest_; }

  Sequence discarded() const { return discarded_; }

  // The highest number that insert() would take now.
  Sequence limit() const { return discarded_ + capacity_; }
  void discard_to(Sequence sequence);

 private:
  std::optional<Packet>& slot(Sequence sequence) { return slots_[sequence & mask_]; }
  const std::optional<Packet>& slot(Sequence sequence) const { return slots_[sequence & mask_]; }

  std::size_t capacity_;
  std::size_t mask_;
  std::vector<std::optional<Packet>> slots_;
  Sequence discarded_ = 0;
  Sequence received_ = 0;
  Sequence highest_ = 0;
};

}  // namespace evs
