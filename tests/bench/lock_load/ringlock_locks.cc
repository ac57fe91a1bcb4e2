#include "tests/bench/lock_load/ringlock_locks.h"

#include <utility>

namespace tests::lock_load {

RinglockLocks::RinglockLocks(load::Loop& loop, const std::string& socket)
    : client_(load::connect_ringlock(socket)) {
  load::dispatch_in(loop, client_.get(), error_);
}

void RinglockLocks::acquire(const std::string& name, Done granted) {
  done_ = std::move(granted);
  const auto callback = [](lock_client*, int error, const lock_grant* grant, void* arg) {
    auto& self = *static_cast<RinglockLocks*>(arg);
    self.error_ = error;
    if (error != 0) return;
    self.grant_ = *grant;
    std::exchange(self.done_, nullptr)();
  };
  load::require(lock_acquire_async(client_.get(), nullptr, name.data(), name.size(), LOCK_MODE_EX,
                                   0, callback, this, nullptr),
                "acquire");
}

void RinglockLocks::release(Done released) {
  done_ = std::move(released);
  const auto callback = [](lock_client*, int error, const lock_grant*, void* arg) {
    auto& self = *static_cast<RinglockLocks*>(arg);
    self.error_ = error;
    if (error == 0) std::exchange(self.done_, nullptr)();
  };
  load::require(lock_release_async(client_.get(), &grant_, callback, this), "release");
}

}  // namespace tests::lock_load
