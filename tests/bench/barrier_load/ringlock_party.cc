#include "tests/bench/barrier_load/ringlock_party.h"

#include <string_view>
#include <utility>

namespace tests::barrier_load {

RinglockParty::RinglockParty(load::Loop& loop, const std::string& socket, unsigned parties)
    : parties_(parties), client_(load::connect_ringlock(socket)) {
  load::dispatch_in(loop, client_.get(), error_);
}

void RinglockParty::enter(std::uint64_t, Done done) {
  constexpr std::string_view kName = "bench-barrier";
  done_ = std::move(done);
  lock_barrier barrier{};
  barrier.size = sizeof barrier;
  barrier.name = kName.data();
  barrier.name_len = kName.size();
  barrier.parties = parties_;
  barrier.flags = LOCK_BARRIER_TWO_STEPS;
  load::require(lock_barrier_wait_async(client_.get(), &barrier, nullptr, 0, &RinglockParty::passed,
                                        this, nullptr),
                "enter");
}

void RinglockParty::leave(Done done) {
  done_ = std::move(done);
  load::require(lock_barrier_leave_async(client_.get(), generation_, nullptr, 0,
                                         &RinglockParty::passed, this),
                "leave");
}

void RinglockParty::passed(lock_client*, std::uint64_t, int error,
                           const lock_barrier_outcome* outcome, void* arg) {
  auto& self = *static_cast<RinglockParty*>(arg);
  self.error_ = error;
  if (error != 0) return;
  self.generation_ = outcome->generation;
  std::exchange(self.done_, nullptr)({outcome->generation, outcome->members_len});
}

}  // namespace tests::barrier_load
