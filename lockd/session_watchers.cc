// The part of Sessions that serves watchers: connections of any kind that have asked to hear what
// happens.
#include "lockd/sessions.h"

namespace lockd {

namespace protocol = liblock::protocol;

void Sessions::on(Instant now, ConnectionId id, const protocol::Watch& watch) {
  const Connection& connection = *find(id);
  if (std::holds_alternative<Greeting>(connection.stage) ||
      std::holds_alternative<Instance>(connection.stage)) {
    return refuse(now, id, protocol::Refusal::malformed,
                  "only a client for locks can watch, after its Hello");
  }
  if (watch.events == 0) return watchers_.end(id);
  const State* table = replica_.last_table();
  if (!watchers_.begin(id, watch, table)) {
    return refuse(now, id, protocol::Refusal::limit,
                  "this daemon has as many watchers as it may; end some");
  }
  tell_watcher(id, protocol::WatchGap{watch.query, true, 0});
  if ((watch.events & protocol::bit_of(protocol::WatchedEvent::quorum)) == 0) return;
  protocol::QuorumWatched quorum =
      watchers_.quorum(now, queries_.answer(now, protocol::StatusQuery{}));
  quorum.query = watch.query;
  tell_watcher(id, quorum);
}

void Sessions::tell_watchers() {
  while (const auto news = watchers_.poll()) {
    for (const ConnectionId id : news->to) {
      const Connection* connection = find(id);
      if (connection == nullptr) continue;
      const std::size_t unread = connection->wire.unwritten().size();
      for (const auto& message : watchers_.take(id, unread, news->event)) {
        tell_watcher(id, message);
      }
    }
  }
}

// The limit of what waits for a watcher leaves room for answers: of events alone nobody is hung up
// on.
void Sessions::tell_watcher(ConnectionId id, const protocol::Response& event) {
  Connection* connection = find(id);
  if (connection != nullptr && connection->wire.send(event)) writable(id);
}

}  // namespace lockd
