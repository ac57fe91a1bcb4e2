// What tests of the C interface share: clients that close themselves, and a loop that turns them.
#pragma once

#include <doctest/doctest.h>
#include <liblock/lock.h>
#include <poll.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/liblock/fake_daemon.h"

namespace liblock_test {

struct CloseClient {
  void operator()(lock_client* client) const { lock_close(client); }
};
using Client = std::unique_ptr<lock_client, CloseClient>;

inline lock_options options_for(const std::string& path, int answer_timeout_ms) {
  lock_options options{};
  options.size = sizeof options;
  options.socket_path = path.c_str();
  options.command = "test";
  options.answer_timeout_ms = answer_timeout_ms;
  return options;
}

inline int try_connect(const std::string& path, int answer_timeout_ms) {
  const lock_options options = options_for(path, answer_timeout_ms);
  lock_client* client = nullptr;
  const int error = lock_connect(&options, &client);
  lock_close(client);
  return error;
}

inline Client connected(const FakeDaemon& daemon, int answer_timeout_ms = 10'000) {
  const lock_options options = options_for(daemon.path(), answer_timeout_ms);
  lock_client* client = nullptr;
  REQUIRE(lock_connect(&options, &client) == 0);
  return Client(client);
}

inline int acquire(const Client& client, const std::string& name, int timeout_ms,
                   lock_grant& grant) {
  return lock_acquire(client.get(), nullptr, name.data(), name.size(), LOCK_MODE_EX, timeout_ms,
                      &grant);
}

// Turns the client's loop until `done`, as a program with an event loop would; false after a
// minute.
template <typename Done>
bool turn_until(lock_client* client, Done done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (std::chrono::steady_clock::now() < end) {
    if (lock_dispatch(client) != 0) return false;
    if (done()) return true;
    const int next = lock_timeout_ms(client);
    pollfd fd = {lock_fd(client), POLLIN, 0};
    ::poll(&fd, 1, next < 0 || next > 1000 ? 1000 : next);
  }
  return false;
}

struct Outcome {
  int calls = 0;
  int error = 1;
  lock_grant grant{};
};

inline void note_outcome(lock_client*, int error, const lock_grant* grant, void* arg) {
  auto& outcome = *static_cast<Outcome*>(arg);
  ++outcome.calls;
  outcome.error = error;
  if (grant != nullptr) outcome.grant = *grant;
}

struct Losses {
  std::vector<std::uint64_t> tokens;
  int sessions = 0;
};

inline void note_loss(lock_client*, const lock_grant* grant, void* arg) {
  auto& losses = *static_cast<Losses*>(arg);
  if (grant == nullptr) {
    ++losses.sessions;
  } else {
    losses.tokens.push_back(grant->token);
  }
}

}  // namespace liblock_test
