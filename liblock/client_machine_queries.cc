// The part of liblock/client_machine.h that asks the daemon questions.
#include <utility>

#include "liblock/client_machine.h"

namespace liblock {
namespace {

bool within(std::string_view name, std::size_t most) {
  return !name.empty() && name.size() <= most;
}

}  // namespace

void ClientMachine::on(const protocol::ListPage& page) {
  on_answer(page.query, page);
}
void ClientMachine::on(const protocol::ShowPage& page) {
  on_answer(page.query, page);
}
void ClientMachine::on(const protocol::Status& status) {
  on_answer(status.query, status);
}
void ClientMachine::on(const protocol::Members& members) {
  on_answer(members.query, members);
}
void ClientMachine::on(const protocol::RingStatus& ring) {
  on_answer(ring.query, ring);
}
void ClientMachine::on(const protocol::RingLogPage& page) {
  on_answer(page.query, page);
}
void ClientMachine::on(const protocol::Why& why) {
  on_answer(why.query, why);
}
void ClientMachine::on(const protocol::DeadlockAnswer& answer) {
  on_answer(answer.query, answer);
}
void ClientMachine::on(const protocol::LockspacesPage& page) {
  on_answer(page.query, page);
}
void ClientMachine::on(const protocol::BarriersPage& page) {
  on_answer(page.query, page);
}

void ClientMachine::on(const protocol::WatchGap& gap) {
  on_news(gap.query, gap);
}
void ClientMachine::on(const protocol::LockWatched& lock) {
  on_news(lock.query, lock);
}
void ClientMachine::on(const protocol::DeadlockWatched& deadlock) {
  on_news(deadlock.query, deadlock);
}
void ClientMachine::on(const protocol::SessionWatched& session) {
  on_news(session.query, session);
}
void ClientMachine::on(const protocol::LockspaceWatched& lockspace) {
  on_news(lockspace.query, lockspace);
}
void ClientMachine::on(const protocol::ConfigurationWatched& configuration) {
  on_news(configuration.query, configuration);
}
void ClientMachine::on(const protocol::QuorumWatched& quorum) {
  on_news(quorum.query, quorum);
}

// Of a watch there is more to come.
void ClientMachine::on_news(std::uint32_t query, protocol::Response news) {
  if (watch_ == query) events_.push_back(Watched{query, std::move(news)});
}

void ClientMachine::on_answer(std::uint32_t query, protocol::Response answer) {
  if (queries_.erase(query) != 0) events_.push_back(QueryAnswered{query, std::move(answer)});
}

base::Result<std::uint32_t, CallError> ClientMachine::query(Instant now,
                                                            protocol::Request question) {
  begin(now);
  if (disabled_ || closing_) return base::error(CallError::disabled);
  if (queries_.size() >= kQueriesMax) return base::error(CallError::limit);
  const std::uint32_t id = ++last_query_;
  if (auto* list = std::get_if<protocol::List>(&question)) {
    list->query = id;
    if (list->lockspace.size() > protocol::kLockspaceBytesMax ||
        list->prefix.size() > protocol::kResourceBytesMax) {
      return base::error(CallError::invalid);
    }
  } else if (auto* show = std::get_if<protocol::Show>(&question)) {
    show->query = id;
    if (!within(show->lockspace, protocol::kLockspaceBytesMax) ||
        !within(show->resource, protocol::kResourceBytesMax)) {
      return base::error(CallError::invalid);
    }
  } else if (auto* status = std::get_if<protocol::StatusQuery>(&question)) {
    status->query = id;
  } else if (auto* members = std::get_if<protocol::MembersQuery>(&question)) {
    members->query = id;
  } else if (auto* ring = std::get_if<protocol::RingStatusQuery>(&question)) {
    ring->query = id;
  } else if (auto* log = std::get_if<protocol::RingLogQuery>(&question)) {
    log->query = id;
  } else if (auto* why = std::get_if<protocol::WhyQuery>(&question)) {
    why->query = id;
  } else if (auto* deadlock = std::get_if<protocol::DeadlockQuery>(&question)) {
    deadlock->query = id;
  } else if (auto* lockspaces = std::get_if<protocol::LockspacesQuery>(&question)) {
    lockspaces->query = id;
  } else if (auto* barriers = std::get_if<protocol::BarriersQuery>(&question)) {
    barriers->query = id;
    if (barriers->lockspace.size() > protocol::kLockspaceBytesMax ||
        barriers->after_lockspace.size() > protocol::kLockspaceBytesMax ||
        barriers->after_barrier.size() > protocol::kBarrierNameBytesMax) {
      return base::error(CallError::invalid);
    }
  } else if (auto* watch = std::get_if<protocol::Watch>(&question)) {
    watch->query = id;
    if (watch->lockspace.size() > protocol::kLockspaceBytesMax ||
        watch->resource.size() > protocol::kResourceBytesMax) {
      return base::error(CallError::invalid);
    }
    if (watch_) return base::error(CallError::limit);
    watch_ = id;
  } else {
    return base::error(CallError::invalid);
  }
  queries_.emplace(id, Query{std::move(question), false});
  flush();
  return id;
}

void ClientMachine::forget_query(Instant now, std::uint32_t query) {
  begin(now);
  queries_.erase(query);
  if (watch_ != query) return;
  watch_.reset();
  if (!open() || connection_->hanging_up || closing_) return;
  protocol::Watch end;
  end.query = query;
  end.events = 0;
  send(end);
}

}  // namespace liblock
