// This node in the lockspace: its slot, which is the number of its journal, and the news of others.
#pragma once

#include <liblock/lockspace.h>
#include <liblock/lock.hpp>
#include <string>

namespace journal_recovery {

class Membership {
 public:
  // Joins, and waits until it knows the slot.
  explicit Membership(ringlock::client& client);
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;

  unsigned slot() const { return slot_; }

 private:
  static void on_change(lock_client* client, const lock_lockspace_info* info, void* arg);

  unsigned node_ = 0;
  unsigned slot_ = 0;
  std::string told_;
};

}  // namespace journal_recovery
