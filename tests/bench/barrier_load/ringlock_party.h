// By liblock: a barrier with two steps, always the same.
#pragma once

#include <liblock/barrier.h>

#include "tests/bench/barrier_load/party.h"
#include "tests/bench/load/ringlock.h"

namespace tests::barrier_load {

class RinglockParty : public Party {
 public:
  RinglockParty(load::Loop& loop, const std::string& socket, unsigned parties);

  void enter(std::uint64_t use, Done done) override;
  void leave(Done done) override;

 private:
  static void passed(lock_client* client, std::uint64_t arrival, int error,
                     const lock_barrier_outcome* outcome, void* arg);

  unsigned parties_;
  tools::Client client_;
  int error_ = 0;
  std::uint64_t generation_ = 0;
  Done done_;
};

}  // namespace tests::barrier_load
