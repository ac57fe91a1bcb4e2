#include "tests/bench/lock_load/ringlock_locks.h"

#include <stdexcept>
#include <utility>

namespace tests::lock_load {

void require(int error, const char* what) {
  if (error != 0) throw std::runtime_error(std::string(what) + ": " + lock_strerror(error));
}

tools::Client connect_ringlock(const std::string& socket) {
  lock_options options{};
  options.size = sizeof options;
  options.socket_path = socket.c_str();
  lock_client* client = nullptr;
  require(lock_connect(&options, &client), socket.c_str());
  return tools::Client(client);
}

void dispatch_in(Loop& loop, lock_client* client, const int& noted_error) {
  const auto dispatch = [client, &noted_error] {
    require(lock_dispatch(client), "dispatch");
    require(noted_error, "a lock");
  };
  loop.watch(lock_fd(client), dispatch);
  loop.ask_timeout([client, dispatch] {
    if (lock_timeout_ms(client) == 0) dispatch();
    return lock_timeout_ms(client);
  });
}

RinglockLocks::RinglockLocks(Loop& loop, const std::string& socket)
    : client_(connect_ringlock(socket)) {
  dispatch_in(loop, client_.get(), error_);
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
  require(lock_acquire_async(client_.get(), nullptr, name.data(), name.size(), LOCK_MODE_EX, 0,
                             callback, this, nullptr),
          "acquire");
}

void RinglockLocks::release(Done released) {
  done_ = std::move(released);
  const auto callback = [](lock_client*, int error, const lock_grant*, void* arg) {
    auto& self = *static_cast<RinglockLocks*>(arg);
    self.error_ = error;
    if (error == 0) std::exchange(self.done_, nullptr)();
  };
  require(lock_release_async(client_.get(), &grant_, callback, this), "release");
}

}  // namespace tests::lock_load
