// A daemon of one process for tests of the library: real sockets, the real lock table, lockspaces
// with one member, and knobs for what can go wrong. No ring, no replica, no leases of its own; it
// watches nobody's patience.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "dlm/table.h"
#include "liblock/protocol/codec.h"
#include "tests/unit/liblock/fake_barriers.h"

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

  // Said to every client that has a session.
  void tell_all(const Response& response);

  std::uint64_t acquires() const { return acquires_; }

  // Of barriers, kept.
  std::size_t outcomes();

  // In one part of an outcome.
  void tell_members_by(std::size_t most) { barriers_.members_max = most; }

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
  void run();
  void turn(Peer& peer);
  void welcome(Peer& peer);
  void on_request(Peer& peer, const Request& request);
  void take(Peer& peer, RequestId id, const Request& request);
  void execute(std::uint64_t session, const Request& request);
  dlm::Effects apply(SessionId session, const Request& request);
  void tell_effects(const dlm::Effects& effects, std::size_t from);
  void tell_deadlocks();
  Answer join(const JoinLockspace& join);
  void end_session(std::uint64_t session);
  void reply(std::uint64_t session, RequestId request, Answer answer,
             const dlm::Effect& effect = {});
  void say_all(FakeBarriers::Said said);
  void say_to(std::uint64_t session, const Response& response);
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
  std::set<std::uint64_t> sessions_;
  dlm::Table table_;
  FakeBarriers barriers_;
  std::set<std::string> lockspaces_;
  std::map<std::pair<std::uint64_t, RequestId>, Reply> replies_;
  std::set<std::pair<std::uint64_t, RequestId>> taken_;    // In the backlog, or executed.
  std::deque<std::pair<std::uint64_t, Request>> backlog_;  // Until there is a quorum.
  std::atomic<std::uint64_t> acquires_{0};
};

}  // namespace liblock_test
