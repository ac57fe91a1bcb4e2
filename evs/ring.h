// What one member knows of one ring: its members, the packets it holds, what each member is known
// to have received, and how far delivery went. It lives from the Commit of its ring to the install
// of the next one.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "evs/frame.h"
#include "evs/message.h"
#include "evs/packet_store.h"

namespace evs {

struct Ring {
  Ring(const RingId& ring_id, std::vector<Processor> ring_members, const Processor& self,
       const Config& config);

  RingId id;
  std::vector<Processor> members;  // Sorted.
  std::size_t self_index = 0;
  PacketStore store;

  // The acknowledgement vector: entry i says that member i has received everything up to it.
  // Entries are facts of the past, so knowledge is merged by maximum [rule 3].
  std::vector<Sequence> acknowledged;

  // Everything up to here was delivered here, or was never to be.
  Sequence delivered = 0;

  // Members towards whom this one has said that it recovered; empty until a recovery got that far
  // [rule 13].
  MemberMask obligation = 0;

  std::vector<Reassembly> reassembly;  // One per member.

  // All members are known to have received everything up to here.
  Sequence stable() const;

  void merge_acknowledged(const std::vector<Sequence>& entries);
  void merge_acknowledged(std::size_t index, Sequence entry);

  // Discards what is stable and was delivered here [rule 5].
  void discard();

  std::size_t size() const { return members.size(); }
  std::size_t successor() const { return (self_index + 1) % size(); }
  std::size_t predecessor() const { return (self_index + size() - 1) % size(); }
  bool contains(const Processor& processor) const;
  std::optional<std::size_t> index_of(base::NodeId node) const;
};

constexpr MemberMask bit(std::size_t index) {
  return MemberMask{1} << index;
}
constexpr MemberMask all_of(std::size_t count) {
  return count == 32 ? ~MemberMask{0} : (MemberMask{1} << count) - 1;
}

}  // namespace evs
