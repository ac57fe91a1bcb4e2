#include "tests/bench/load/ringlock.h"

#include <stdexcept>

namespace tests::load {

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
    require(noted_error, "a request");
  };
  loop.watch(lock_fd(client), dispatch);
  loop.ask_timeout([client, dispatch] {
    if (lock_timeout_ms(client) == 0) dispatch();
    return lock_timeout_ms(client);
  });
}

}  // namespace tests::load
