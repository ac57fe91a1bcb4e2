// A step of a generation that has not ended: who takes part, who of them has died, and how many
// replacements are waited for. When it ends is the table's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "barrier/barrier.h"

namespace barrier {

struct Participant {
  Processor at;
  RequestId request{};  // Of the arrival; inside, of the leave: 0 until then.
  base::Buffer value;

  friend bool operator==(const Participant&, const Participant&) = default;
};

class Round {
 public:
  explicit Round(Generation generation) : generation_(generation) {}

  Generation generation() const { return generation_; }
  const std::map<SessionId, Participant>& participants() const { return participants_; }
  bool empty() const { return participants_.empty(); }
  const Participant* find(SessionId session) const;

  void add(SessionId session, Participant participant);
  void remove(SessionId session);

  // Inside: this one leaves.
  void leave(SessionId session, RequestId request, base::Buffer value);
  bool has_left(SessionId session) const;
  std::size_t left() const { return left_; }
  bool all_left() const { return left_ == participants_.size(); }

  // Whether somebody arrived there, in this life of the node or in any; and from how many nodes.
  bool someone_at(const Processor& at) const { return at_.count(at) != 0; }
  bool someone_at(base::NodeId node) const;
  std::size_t nodes() const { return nodes_; }

  // Inside: whether somebody who arrived there has not left.
  bool someone_inside_at(const Processor& at) const;

  // Names a death.
  void lose(const Lost& lost);
  const std::vector<Lost>& lost() const { return lost_; }
  std::uint64_t losses() const { return losses_; }
  void set_lost(std::vector<Lost> lost, std::uint64_t losses);

  std::uint64_t replacements() const { return replacements_; }
  void set_replacements(std::uint64_t replacements) { replacements_ = replacements; }

 private:
  Generation generation_;
  std::map<SessionId, Participant> participants_;
  std::size_t left_ = 0;
  std::map<Processor, std::size_t> at_;  // How many have arrived there.
  std::size_t nodes_ = 0;
  std::vector<Lost> lost_;
  std::uint64_t losses_ = 0;
  std::uint64_t replacements_ = 0;
};

}  // namespace barrier
