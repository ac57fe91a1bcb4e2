// The part of liblock/client.h that watches what happens at the daemon.
#include <utility>

#include "liblock/client.h"
#include "liblock/clocks.h"

namespace liblock {

int Client::watch(protocol::Watch wish, Timeout idle,
                  const std::function<int(const protocol::Response* news)>& tell) {
  Lock lock(mutex_);
  const auto asked = machine_.query(read_clocks(), std::move(wish));
  if (!asked) return error_of(asked.error());
  news_.clear();
  int result = 0;
  while (result == 0) {
    std::optional<Duration> until;
    if (idle) until = read_clocks().boot + *idle;
    wait(lock, until, [&] { return !news_.empty() || end_of_watch() != 0; });
    const std::deque<protocol::Response> news = std::exchange(news_, {});
    if (news.empty()) result = end_of_watch();
    if (result != 0) break;
    lock.unlock();
    if (news.empty()) result = tell(nullptr);
    for (const protocol::Response& one : news) {
      if (result == 0) result = tell(&one);
    }
    lock.lock();
  }
  machine_.forget_query(read_clocks(), *asked);
  finish_turn();
  return result;
}

// A daemon that is gone, or leaves, may come back; whoever refuses for a reason has it again.
int Client::end_of_watch() const {
  if (disabled_ != 0) return disabled_;
  const bool may_pass = refused_ == LOCK_ERROR_NO_DAEMON || refused_ == LOCK_ERROR_DAEMON_GONE;
  return may_pass ? 0 : refused_;
}

}  // namespace liblock
