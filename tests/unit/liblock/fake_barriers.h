// The barriers of a fake daemon (fake_daemon.h), whose node is the only one: the real table, and
// what is said of it to clients.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "barrier/table.h"
#include "liblock/protocol/messages.h"

namespace liblock_test {

class FakeBarriers {
 public:
  // To sessions. The note of a Reply is not set.
  using Said = std::vector<std::pair<std::uint64_t, liblock::protocol::Response>>;

  // None if the request is of something else.
  bool takes(const liblock::protocol::Request& request) const;

  // Arrivals and all else that is numbered: the answer comes first.
  Said execute(std::uint64_t session, const liblock::protocol::Request& request);

  // The rest is not answered with a Reply.
  Said take(std::uint64_t session, const liblock::protocol::BarrierMore& more);
  void take(std::uint64_t session, const liblock::protocol::BarrierConfirm& confirm);
  liblock::protocol::BarriersPage list(const liblock::protocol::BarriersQuery& query) const;

  // What the session has not confirmed.
  Said tell_again(std::uint64_t session);

  Said end_session(std::uint64_t session);

  std::size_t outcomes() const { return table_.outcomes(); }

  std::atomic<std::size_t> members_max{liblock::protocol::kBarrierMembersMax};  // In one part.

 private:
  void tell(const barrier::Effect& effect, Said& said);
  liblock::protocol::BarrierOutcome part(const barrier::Outcome& outcome, base::SessionId after,
                                         base::RequestId request) const;

  barrier::Table table_;
};

}  // namespace liblock_test
