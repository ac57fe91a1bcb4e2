// Who watches what happens to this daemon's table, and what each is to be told: the events that
// are made of what was applied, and the filter in front of each watcher. What waits is bounded: for
// a watcher who does not read events are counted instead, and he is told how many. Connections
// belong to lockd/sessions.h, the words to liblock/protocol/watch_messages.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "evs/event.h"
#include "liblock/protocol/messages.h"
#include "lockd/client_connection.h"
#include "lockd/queries.h"
#include "lockd/table_watcher.h"

namespace lockd {

struct WatchersConfig {
  std::size_t watchers_max = 64;

  // Of one command there can be many. More than so many and not told yet: the stream begins anew.
  std::size_t pending_max = 4096;

  // Seconds from 1970 to the zero of the boot clock: see ReplicaConfig.
  std::uint32_t booted_at = 0;

  // With more than this unread a watcher is told nothing until he has read half of it.
  std::size_t unread_max = 128 * 1024;
};

struct WatchersStatistics {
  std::uint64_t told = 0;
  std::uint64_t lost = 0;  // Not told to somebody who did not read.
};

class Watchers final : public TableWatcher {
 public:
  // `queries` must outlive this.
  Watchers(const WatchersConfig& config, const Queries& queries)
      : config_(config), queries_(queries) {}

  // Begins a stream on this connection, in place of one that it has. False: there are too many.
  // `table` may be null.
  bool begin(ConnectionId connection, const liblock::protocol::Watch& wish, const State* table);
  void end(ConnectionId connection);
  std::size_t size() const { return watchers_.size(); }

  void applied(const Command& command, const State& state, const Effects& effects) override;
  void departed(const State& state, const Effects& effects) override;
  void replaced(const State& state) override;
  void on_configuration(Instant now, const evs::ConfigurationChange& change);
  void on_quorum(Instant now, const liblock::protocol::Status& status);

  // How a stream begins, if that is asked for.
  liblock::protocol::QuorumWatched quorum(Instant now,
                                          const liblock::protocol::Status& status) const;

  // Who is to be told something, and what, but for the number of his query.
  struct News {
    std::vector<ConnectionId> to;
    liblock::protocol::Response event;
  };
  std::optional<News> poll();

  // What one of them is sent, while `unread` bytes wait for him: nothing if that is too much, first
  // what he has missed if he missed something.
  std::vector<liblock::protocol::Response> take(ConnectionId connection, std::size_t unread,
                                                const liblock::protocol::Response& event);

  // He has read: what he has missed, if that can be said now.
  std::optional<liblock::protocol::Response> take_gap(ConnectionId connection, std::size_t unread);

  const WatchersStatistics& statistics() const { return statistics_; }

 private:
  struct Watcher {
    liblock::protocol::Watch wish;
    std::uint64_t lost = 0;
    bool resync = false;  // Among what was lost.
  };

  // What a lockspace was when it was told of last.
  struct Known {
    std::uint64_t generation = 0;
    bool recovered = true;

    friend bool operator==(const Known&, const Known&) = default;
  };

  using Names = std::map<dlm::LockName, std::pair<std::string, std::string>>;

  bool wanted(liblock::protocol::WatchedEvent event) const;
  void offer(liblock::protocol::WatchedEvent kind, liblock::protocol::Response event);
  void push(std::vector<ConnectionId> to, liblock::protocol::Response event);
  void resync();

  std::uint32_t second(Instant now) const;
  void on_changes(const Command& command, const State& state);
  void on_denied(const Command& command, const State& state, const Effects& effects);
  void on_sessions(std::uint32_t second, const State& state, const Effects& effects);
  void on_lockspaces(std::uint32_t second, const State& state);
  void remember_lockspaces(const State& state);

  WatchersConfig config_;
  const Queries& queries_;
  std::map<ConnectionId, Watcher> watchers_;
  std::uint64_t lockspaces_digest_ = 0;
  std::map<std::string, Known> lockspaces_;
  std::deque<News> pending_;
  bool overflown_ = false;  // Something was left out since the last that was kept.
  WatchersStatistics statistics_;
};

}  // namespace lockd
