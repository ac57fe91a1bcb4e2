// A daemon of one process for tests of the library: real sockets, a lock table of its own that
// knows one exclusive holder per name, and knobs for what can go wrong. No ring, no replica, no
// leases of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "liblock/protocol/codec.h"

namespace liblock_test {

using namespace liblock::protocol;

class FakeDaemon {
 public:
  FakeDaemon();  // Started.
  ~FakeDaemon();

  // The death of the process, and its restart with the sessions and locks that the cluster kept.
  void stop();
  void start();

  const std::string& path() const { return path_; }

  // Knobs, to be turned at any time.
  std::atomic<bool> silent{false};  // As if stopped: nothing is read or said.
  std::atomic<bool> primary{true};  // False: nobody is granted anything.
  std::atomic<std::int64_t> lease_ns{2'000'000'000};
  std::atomic<bool> garbage{false};  // Answers a Hello with something else.
  std::atomic<int> refuse{0};        // A Refusal in place of Welcome.

  // The session of every client is gone from the table.
  void forget_sessions();

  std::uint64_t acquires() const { return acquires_; }

 private:
  struct Peer {
    int fd = -1;
    FrameCutter cutter{kRequestBytesMax};
    base::Buffer out;
    std::uint64_t session = 0;
    Stamp stamp;
    std::optional<Hello> greeting;  // Not answered yet.
    bool end = false;
  };
  struct Wait {
    std::uint64_t session = 0;
    RequestId request{};
    Token token{};  // 0: waits.
  };

  void run();
  void turn(Peer& peer);
  void welcome(Peer& peer);
  void on_request(Peer& peer, const Request& request);
  void on_acquire(Peer& peer, const Acquire& acquire);
  void on_release(Peer& peer, const Release& release);
  void on_cancel(Peer& peer, const Cancel& cancel);
  void end_session(std::uint64_t session);
  void grant_front(const std::string& name);
  void reply(std::uint64_t session, RequestId request, Answer answer, Token token = {});
  void say(Peer& peer, const Response& response);
  LeaseNote note(const Peer& peer) const;

  std::string folder_;
  std::string path_;
  std::thread thread_;
  int wake_[2] = {-1, -1};
  int listener_ = -1;
  std::mutex mutex_;  // Guards all below.
  bool stopping_ = false;
  std::vector<Peer> peers_;
  std::map<std::uint64_t, bool> sessions_;
  std::map<std::string, std::deque<Wait>> resources_;
  std::map<std::pair<std::uint64_t, RequestId>, Reply> replies_;
  std::uint64_t last_ = 0;  // Session ids and tokens.
  std::atomic<std::uint64_t> acquires_{0};
};

}  // namespace liblock_test
