#include "membership.h"

#include <liblock/query.h>
#include <poll.h>

#include <string>

#include "layout.h"
#include "story.h"

namespace journal_recovery {

Membership::Membership(ringlock::client& client) {
  lock_status_info status{};
  status.size = sizeof status;
  ringlock::check(lock_status(client.native_handle(), &status), "lock_status");
  node_ = status.node;
  lock_on_lockspace(client.native_handle(), on_change, this);
  // A node stays in the lockspace when its programs end, and so keeps its journal. Only the first
  // one on this node has to join.
  int error = lock_join_lockspace(client.native_handle(), kLockspace, LOCK_JOIN_OPEN, 0);
  if (error == LOCK_ERROR_NOT_FOUND) {
    error = lock_join_lockspace(client.native_handle(), kLockspace, LOCK_JOIN_CREATE, 0);
  }
  ringlock::check(error, "lock_join_lockspace");
  while (slot_ == 0) {
    pollfd news = {client.fd(), POLLIN, 0};
    poll(&news, 1, client.timeout_ms());
    client.dispatch();
  }
}

// These are news, and come early: the failed nodes' locks are still theirs. Which of them had died
// in the middle of something their journals' locks tell, when their time has come (watch.h).
void Membership::on_change(lock_client*, const lock_lockspace_info* info, void* arg) {
  auto& self = *static_cast<Membership*>(arg);
  if (info->error != 0) return;  // Our session was lost, and the node is not in it any more.
  std::string news = "nodes in the lockspace:";
  for (size_t i = 0; i < info->members_len; ++i) {
    const lock_lockspace_member& member = info->members[i];
    if (member.node == self.node_) self.slot_ = member.slot;
    news += " " + std::to_string(member.node);
  }
  for (size_t i = 0; i < info->failed_len; ++i) {
    const lock_lockspace_member& failed = info->failed[i];
    news += "; node " + std::to_string(failed.node) + " failed, its locks and " +
            journal_region(failed.slot) + " are its own until its lease is over";
  }
  if (self.told_ == news) return;
  self.told_ = news;
  tell(news);
}

}  // namespace journal_recovery
