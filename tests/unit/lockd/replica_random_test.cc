// Random histories of replicas and clients over the ideal ring: configurations of any shape at any
// moment, deliveries cut off at any message, tokens that stop anywhere, slow and failing disks,
// crashes, stopped nodes, clocks that drift. Judged: no two clients rely on one lock, tokens grow,
// equal places have equal tables, and all ends well.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/unit/lockd/ideal_evs.h"

namespace lockd::test {
namespace {

using namespace std::chrono_literals;

// A client process on the machine of one node. It outlives the node's daemon.
struct Client {
  std::uint32_t node = 0;
  std::optional<SessionId> session;
  Generation generation{};
  bool opening = false;
  bool resuming = false;
  bool attached = false;
  Instant deadline;
  std::uint64_t requests = 0;
  std::uint64_t next_open = 1;

  struct Lock {
    std::string name;
    Duration asked{0};
    std::optional<Token> token;  // Relied upon.
  };
  std::map<RequestId, Lock> locks;
};

struct Tally {
  std::uint64_t grants = 0;
  std::uint64_t resumed = 0;
  ReplicaStatistics replicas;
};

class History {
 public:
  History(std::uint64_t seed, Tally& tally)
      : random_(seed),
        tally_(tally),
        world_(3 + random_.below(3), [&](ReplicaConfig& c) { draw(c); }) {
    for (auto& [id, host] : world_.hosts()) {
      host.boot_rate = rate();
      host.raw_rate = rate();
      clients_.push_back({base::value(id), {}, {}, false, false, false, {}, 0, 1, {}});
      if (random_.chance(1, 2)) {
        clients_.push_back(clients_.back());
      }
    }
    fickle_ = random_.between(2, 60);
    for (auto& [id, host] : world_.hosts()) {
      world_.start(base::value(id));
    }
  }

  void run(int steps) {
    for (int i = 0; i < steps && !failed_; ++i) {
      act();
      take_told();
      judge();
    }
    if (!failed_) {
      heal();
    }
  }

  bool failed() const { return failed_; }

 private:
  void draw(ReplicaConfig& c) {
    c.clock_drift_ppm = 100'000;
    c.lease = random_.chance(1, 2) ? 400ms : 1500ms;
    c.lease_margin = 5ms;
    c.persist_timeout = 100ms;
    c.digest_interval = random_.between(1, 6);
    c.chunk_bytes = random_.between(16, 400);
    c.chunks_under_way = random_.between(1, 3);
    c.staging_log_bytes_max = random_.chance(1, 3) ? 700 : 1 << 20;
    c.token_range = random_.chance(1, 3) ? 8 : 1 << 20;
    c.housekeeping_under_way = random_.between(1, 4);
    c.expire_stagger = random_.chance(1, 2) ? 0ms : 20ms;
    c.state_limits.purge_step = random_.between(1, 3);
  }

  // The ends of what is allowed are where waits are tight.
  std::int64_t rate() {
    return random_.chance(1, 2) ? (random_.chance(1, 2) ? 99'000 : -99'000)
                                : static_cast<std::int64_t>(random_.between(0, 198'000)) - 99'000;
  }

  Host& any_host() {
    auto at = world_.hosts().begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random_.below(world_.hosts().size())));
    return at->second;
  }

  static bool runs(const Host& host) { return host.up && !host.frozen; }

  void fail(const std::string& why) {
    failed_ = true;
    FAIL_CHECK(why);
  }

  // What every member of a ring is known to have.
  std::size_t acknowledged_by_all(const IdealRing& ring) {
    std::size_t least = ring.log.size();
    for (const Processor& member : ring.configuration.members) {
      least = std::min(least, acknowledged_[{ring.configuration.id, member}]);
    }
    return least;
  }

  void act() {
    const std::uint64_t kind = random_.below(100);
    Host& host = any_host();
    if (kind < 22) {
      world_.pass(random_.between(Duration(0), Duration(random_.chance(1, 15) ? 200ms : 10ms)));
      timeouts();
    } else if (kind < 40) {
      say(host);
    } else if (kind < 62) {
      deliver(host);
    } else if (kind < 74) {
      hop(host);
    } else if (kind < 80) {
      write(host);
    } else if (kind < 86) {
      flow();
    } else if (kind < 94) {
      act(clients_[random_.below(clients_.size())]);
    } else if (random_.below(100) < fickle_) {
      disturb(host);
    }
  }

  // A while in which whatever can go on does.
  void flow() {
    for (std::uint64_t i = random_.between(1, 12); i > 0; --i) {
      world_.pass(random_.between(Duration(0), Duration(8ms)));
      for (auto& [id, host] : world_.hosts()) {
        say(host);
        hop(host);
        write(host);
        deliver(host);
      }
      for (Client& client : clients_) {
        if (random_.chance(1, 2)) {
          act(client);
        }
      }
      world_.timeouts();
      take_told();
      judge();
    }
  }

  void deliver(Host& host) {
    if (!runs(host) || !host.operational) {
      return;
    }
    acknowledged_[{host.ring->configuration.id, host.self}] = host.ring->log.size();
    const std::size_t most = acknowledged_by_all(*host.ring);
    if (host.delivered < most) {
      world_.deliver(base::value(host.self.node), random_.between(host.delivered + 1, most));
    }
  }

  void timeouts() {
    if (random_.chance(2, 3)) {
      world_.timeouts();
    }
  }

  void say(Host& host) {
    if (!runs(host) || !host.operational) {
      return;
    }
    for (std::uint64_t i = random_.between(1, 6); i > 0; --i) {
      if (std::optional<Buffer> payload = host.replica->poll_multicast(1 << 20)) {
        host.ring->log.push_back({host.self, std::move(*payload)});
      }
    }
  }

  // The token goes on by a few members of this host's ring; it stops at one that does not take it.
  void hop(Host& host) {
    if (!host.up || !host.operational) {
      return;
    }
    const std::shared_ptr<IdealRing> ring = host.ring;
    std::size_t& at = token_at_[ring->configuration.id];
    for (std::uint64_t i = random_.between(1, 2 * ring->configuration.members.size()); i > 0; --i) {
      const Processor& next = ring->configuration.members[at % ring->configuration.members.size()];
      Host& member = world_[base::value(next.node)];
      if (!runs(member) || member.self != next || !member.operational || member.ring != ring) {
        return;
      }
      ++at;
      member.evidence.last_receipt = world_.now(member);
      if (member.released) {
        member.evidence.confirmed = true;
        member.evidence.confirmed_release = *member.released;
      }
      member.released = world_.now(member);
      acknowledged_[{ring->configuration.id, member.self}] = ring->log.size();
      world_.attend(member);
      if (random_.chance(1, 4)) {
        world_.pass(random_.between(Duration(0), Duration(10ms)));
      }
    }
  }

  void write(Host& host) {
    if (!runs(host) || !host.writing) {
      return;
    }
    if (!random_.chance(1, 12)) {
      world_.write(base::value(host.self.node));
      return;
    }
    // A failed write: its slot may hold the new record, the old one stays in the other.
    const std::uint64_t id = host.writing->id;
    host.writing.reset();
    host.replica->handle_record_written(world_.now(host), id, false);
    world_.attend(host);
  }

  void disturb(Host& host) {
    const std::uint32_t node = base::value(host.self.node);
    switch (random_.below(10)) {
      case 0:
        if (host.up && random_.chance(1, 2)) {
          // A write under way may or may not be durable.
          if (host.writing && random_.chance(1, 2)) {
            host.disk = host.writing->record;
          }
          world_.crash(node);
          for (Client& client : clients_) {
            if (client.node == node) {
              client.attached = client.opening = client.resuming = false;
              client.next_open = 1;
            }
          }
        }
        return;
      case 1:
      case 2:
        if (!host.up) {
          if (random_.chance(1, 20) && amnesiacs_ == 0) {
            ++amnesiacs_;
            host.disk.reset();
          }
          world_.start(node);
        }
        return;
      case 3:
        host.frozen = host.up && !host.frozen && random_.chance(1, 2);
        return;
      case 4:
        host.frozen = false;
        return;
      default:
        change_ring();
    }
  }

  void change_ring() {
    std::vector<std::uint32_t> members;
    for (auto& [id, host] : world_.hosts()) {
      if (runs(host) && random_.chance(3, 4)) {
        members.push_back(base::value(id));
      }
    }
    if (!members.empty()) {
      install(members);
    }
  }

  void install(const std::vector<std::uint32_t>& members) {
    std::map<std::uint32_t, World::Parting> partings;
    std::map<IdealRing*, World::Parting> by_ring;
    std::vector<Host*> behind;
    for (auto& [id, host] : world_.hosts()) {
      if (host.up && host.operational &&
          std::find(members.begin(), members.end(), base::value(id)) == members.end()) {
        behind.push_back(&host);
      }
    }
    for (const std::uint32_t node : members) {
      IdealRing* ring = world_[node].ring.get();
      if (by_ring.count(ring) == 0) {
        const std::size_t stable = acknowledged_by_all(*ring);
        // Whatever is stable may yet be delivered by those who stay behind, so nobody may miss it.
        ring->stable = std::max(ring->stable, stable);
        by_ring[ring] = {random_.below(stable + 1),
                         random_.between(std::uint64_t{stable}, std::uint64_t{ring->log.size()})};
      }
      partings[node] = by_ring.at(ring);
    }
    world_.install(members, partings);
    for (Host* host : behind) {
      host->operational = true;
    }
  }

  // ---- Clients

  bool alive(const Client& client) {
    const Instant now = world_.now(world_[client.node]);
    return now.boot < client.deadline.boot && now.raw < client.deadline.raw;
  }

  void submit(Client& client, Command::Body body) {
    Host& host = world_[client.node];
    static_cast<void>(host.replica->submit(world_.now(host), std::move(body)));
  }

  void refresh(Client& client) {
    Host& host = world_[client.node];
    const Duration left =
        host.replica->lease_left(world_.now(host), *client.session, client.generation);
    if (left > Duration::zero()) {
      const Instant deadline = world_.now(host) + left;
      client.deadline = {std::max(client.deadline.boot, deadline.boot),
                         std::max(client.deadline.raw, deadline.raw)};
    }
  }

  void act(Client& client) {
    Host& host = world_[client.node];
    if (!runs(host)) {
      return;
    }
    if (!client.session) {
      if (!client.opening) {
        client.opening = true;
        Open open;
        open.number = OpenNumber{++next_open_[host.self]};
        client.next_open = base::value(open.number);
        open.secret.bits.fill(std::byte{1});
        open.instance.bits.fill(std::byte{2});
        submit(client, open);
      }
      return;
    }
    if (!alive(client) && !client.opening) {
      give_up(client);
      return;
    }
    if (!client.attached) {
      if (!client.resuming) {
        resume(client);
      }
      return;
    }
    refresh(client);
    if (random_.chance(1, 60)) {
      // The daemon hangs up; the client does not know, and relies on its locks to the end.
      submit(client, Detached{*client.session, client.generation});
      client.attached = false;
      client.resuming = true;
      return;
    }
    if (random_.chance(1, 3)) {
      return;
    }
    const auto held = std::find_if(client.locks.begin(), client.locks.end(),
                                   [](const auto& lock) { return lock.second.token.has_value(); });
    if (held != client.locks.end() && random_.chance(1, 6)) {
      Release release;
      release.request = {*client.session, client.generation, RequestId{++client.requests}, {}};
      release.lock = held->first;
      release.token = *held->second.token;
      client.locks.erase(held);
      submit(client, release);
    } else if (client.locks.size() < 2 && client.requests < 100) {
      Acquire acquire;
      acquire.request = {*client.session, client.generation, RequestId{++client.requests}, {}};
      acquire.lockspace = "default";
      acquire.resource = std::string("k") + std::to_string(random_.below(2));
      acquire.mode = dlm::Mode::ex;
      client.locks[acquire.request.id] = {acquire.resource, world_.true_time(), {}};
      submit(client, acquire);
    } else if (client.requests >= 100) {
      submit(client, Close{*client.session, client.generation});
      forget(client);
    }
  }

  // The deadline has passed: the client has stopped, and its daemon hangs up on it.
  void give_up(Client& client) {
    submit(client, Detached{*client.session, client.generation});
    forget(client);
  }

  void forget(Client& client) {
    client.session.reset();
    client.attached = client.resuming = client.opening = false;
    client.locks.clear();
    client.requests = 0;
    client.deadline = {};
  }

  void resume(Client& client) {
    client.resuming = true;
    client.attached = false;
    Resume resume;
    resume.session = *client.session;
    resume.generation = Generation{base::value(client.generation) + 1};
    resume.secret.bits.fill(std::byte{1});
    resume.instance.bits.fill(std::byte{2});
    submit(client, resume);
  }

  void take_told() {
    for (auto& [id, host] : world_.hosts()) {
      if (host.up && host.replica->stop_reason()) {
        fail("node " + base::to_string(id) + " stopped: " + *host.replica->stop_reason());
        return;
      }
      std::vector<Effect> told;
      told.swap(host.told);
      for (const Effect& effect : told) {
        std::visit([&, node = base::value(id)](const auto& e) { on(node, e); }, effect);
      }
      if (host.up && host.replica->table() != nullptr &&
          versions_[host.self] != host.replica->table_version()) {
        versions_[host.self] = host.replica->table_version();
        look_up(host);
      }
    }
  }

  // A table that is another: what sessions do for each of their clients.
  void look_up(Host& host) {
    const State& table = *host.replica->table();
    for (Client& client : clients_) {
      if (client.node != base::value(host.self.node) || !client.session) {
        continue;
      }
      const Session* session = table.find(*client.session);
      if (session == nullptr || session->dead()) {
        forget(client);
        continue;
      }
      if (!session->attached() || session->at != host.self ||
          session->generation != client.generation) {
        if (client.attached) {
          resume(client);
        }
        continue;
      }
      for (auto& [request, lock] : client.locks) {
        const std::optional<dlm::LockView> view = table.find_lock(*client.session, request);
        if (view && view->granted && !lock.token) {
          rely(client, request, view->token);
        }
      }
    }
  }

  Client* client_of(std::uint32_t node, SessionId session, Generation generation) {
    for (Client& client : clients_) {
      if (client.node == node && client.session == session && client.generation == generation &&
          client.attached) {
        return &client;
      }
    }
    return nullptr;
  }

  void rely(Client& client, RequestId request, Token token) {
    const auto lock = client.locks.find(request);
    if (lock == client.locks.end() || lock->second.token) {
      return;
    }
    refresh(client);
    Host& host = world_[client.node];
    if (host.replica->lease_left(world_.now(host), *client.session, client.generation) <=
        Duration::zero()) {
      return;  // Not told: no live lease at the send. It is found in the table later, or lost.
    }
    lock->second.token = token;
    ++tally_.grants;
    // A grant told before this request was made has a lower token.
    const auto before = told_.lower_bound(lock->second.asked);
    if (before != told_.begin() && std::prev(before)->second >= base::value(token)) {
      fail("token " + std::to_string(base::value(token)) + " is not above an earlier one");
    }
    std::uint64_t& highest = told_[world_.true_time()];
    highest = std::max(
        {highest, base::value(token), told_.size() > 1 ? std::prev(told_.end(), 2)->second : 0});
  }

  void on(std::uint32_t node, const Opened& e) {
    for (Client& client : clients_) {
      if (client.node == node && client.opening && e.number == OpenNumber{client.next_open}) {
        client.opening = false;
        if (e.outcome == Opened::Outcome::opened) {
          client.session = e.session;
          client.generation = e.generation;
          client.attached = true;
          client.deadline = world_.now(world_[node]);
          client.requests = 0;
          refresh(client);
        }
        return;
      }
    }
  }

  void on(std::uint32_t node, const Resumed& e) {
    for (Client& client : clients_) {
      if (client.node != node || client.session != e.session || !client.resuming) {
        continue;
      }
      client.resuming = false;
      if (e.outcome == Resumed::Outcome::resumed && alive(client)) {
        ++tally_.resumed;
        client.generation = e.generation;
        client.attached = true;
        refresh(client);
        CHECK(world_[node].replica->table() != nullptr);
        if (world_[node].replica->table() == nullptr) {
          return;
        }
        const State& table = *world_[node].replica->table();
        for (auto lock = client.locks.begin(); lock != client.locks.end();) {
          // A request that did not come through is given up; one that was granted meanwhile is
          // relied upon.
          const std::optional<dlm::LockView> view = table.find_lock(*client.session, lock->first);
          lock = view ? std::next(lock) : client.locks.erase(lock);
        }
        for (auto& [request, lock] : client.locks) {
          const std::optional<dlm::LockView> view = table.find_lock(*client.session, request);
          if (view->granted) {
            rely(client, request, view->token);
          }
        }
      } else {
        client.generation = std::max(client.generation, e.generation);
        give_up(client);
      }
    }
  }

  void on(std::uint32_t node, const Replied& e) {
    Client* client = client_of(node, e.session, e.generation);
    if (client == nullptr) {
      return;
    }
    if (e.reply.status == Status::granted) {
      rely(*client, e.reply.request, e.reply.token);
    } else if (e.reply.status != Status::queued && e.reply.status != Status::released) {
      client->locks.erase(e.reply.request);
    }
  }

  void on(std::uint32_t node, const Settled& e) {
    if (Client* client = client_of(node, e.session, e.generation)) {
      if (e.reply.status == Status::granted) rely(*client, e.lock, e.reply.token);
    }
  }

  void on(std::uint32_t node, const SessionEnded& e) {
    for (Client& client : clients_) {
      if (client.node == node && client.session == e.session) {
        forget(client);
      }
    }
  }
  void on(std::uint32_t, const Superseded&) {}
  void on(std::uint32_t, const BecameOrphan&) {}
  void on(std::uint32_t, const Blocked&) {}
  void on(std::uint32_t, const Deadlocked&) {}
  void on(std::uint32_t, const LockspaceChanged&) {}
  void on(std::uint32_t, const BarrierEnded&) {}
  void on(std::uint32_t, const BarrierOpened&) {}

  // ---- Judgement

  void judge() {
    std::map<std::string, int> relying;
    for (const Client& client : clients_) {
      // A client that saw its deadline ahead may act for the margin longer.
      const Instant now = world_.now(world_[client.node]);
      const Duration margin = world_[client.node].config.lease_margin;
      if (now.boot >= client.deadline.boot + margin || now.raw >= client.deadline.raw + margin) {
        continue;
      }
      for (const auto& [request, lock] : client.locks) {
        if (lock.token && ++relying[lock.name] > 1) {
          fail("two clients rely on " + lock.name);
          return;
        }
      }
    }
    world_.check();
  }

  void heal() {
    for (auto& [id, host] : world_.hosts()) {
      host.frozen = false;
      if (!host.up) {
        world_.start(base::value(id));
      }
    }
    std::vector<std::uint32_t> all;
    for (auto& [id, host] : world_.hosts()) {
      all.push_back(base::value(id));
    }
    install(all);
    for (int i = 0; i < 160 && !failed_; ++i) {
      world_.run(50ms, 50ms);
      take_told();
      judge();
    }
    std::optional<std::uint64_t> digest;
    for (auto& [id, host] : world_.hosts()) {
      const State* table = host.replica->table();
      if (table == nullptr) {
        fail("node " + base::to_string(id) + " has no table in the end: " +
             std::string(to_string(host.replica->status(world_.now(host)).phase)));
        return;
      }
      if (digest && *digest != table->digest()) {
        fail("tables differ in the end");
      }
      digest = table->digest();
      if (!table->orphans().empty() || table->cold() || table->purge_pending()) {
        fail("an orphan, the cold flag or something to purge stays for ever");
      }
      add(host.replica->statistics());
    }
  }

  void add(const ReplicaStatistics& s) {
    ReplicaStatistics& sum = tally_.replicas;
    sum.activations += s.activations;
    sum.activations_in_transition += s.activations_in_transition;
    sum.cold_starts += s.cold_starts;
    sum.snapshots_loaded += s.snapshots_loaded;
    sum.snapshots_restarted += s.snapshots_restarted;
    sum.stagings_kept += s.stagings_kept;
    sum.held_told += s.held_told;
    sum.held_discarded += s.held_discarded;
    sum.applied_in_transition += s.applied_in_transition;
    sum.orphans_expired += s.orphans_expired;
    sum.orphans_resumed += s.orphans_resumed;
    sum.attempts_refuted += s.attempts_refuted;
    sum.observers += s.observers;
    sum.digest_comparisons += s.digest_comparisons;
    sum.ceilings_raised += s.ceilings_raised;
    sum.amnesiacs_refused += s.amnesiacs_refused;
  }

  base::Random random_;
  Tally& tally_;
  World world_;
  std::vector<Client> clients_;
  std::uint64_t fickle_ = 0;
  int amnesiacs_ = 0;
  std::map<std::pair<RingId, Processor>, std::size_t> acknowledged_;
  std::map<RingId, std::size_t> token_at_;
  std::map<Processor, std::uint64_t> versions_;
  std::map<Processor, std::uint64_t> next_open_ = {};
  std::map<Duration, std::uint64_t> told_;
  bool failed_ = false;
};

TEST_CASE("random histories keep locks exclusive, tokens growing and tables equal, and end well") {
  // REPLICA_SEEDS=A-B runs others than the default ones.
  std::uint64_t first = 1;
  std::uint64_t last = 60;
  if (const char* range = std::getenv("REPLICA_SEEDS")) {
    char* end = nullptr;
    first = std::strtoull(range, &end, 10);
    last = *end == '-' ? std::strtoull(end + 1, nullptr, 10) : first;
  }
  Tally tally;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    CAPTURE(seed);
    History history(seed, tally);
    history.run(1000);
    REQUIRE_FALSE(history.failed());
  }
  const ReplicaStatistics& s = tally.replicas;
  MESSAGE("grants=" << tally.grants << " resumed=" << tally.resumed << " activations="
                    << s.activations << " in_transition=" << s.activations_in_transition
                    << " cold=" << s.cold_starts << " loaded=" << s.snapshots_loaded
                    << " restarted=" << s.snapshots_restarted << " kept=" << s.stagings_kept
                    << " held_told=" << s.held_told << " discarded=" << s.held_discarded
                    << " applied_in_transition=" << s.applied_in_transition
                    << " expired=" << s.orphans_expired << " orphans_resumed=" << s.orphans_resumed
                    << " refuted=" << s.attempts_refuted << " observers=" << s.observers
                    << " digests=" << s.digest_comparisons << " raised=" << s.ceilings_raised);
  CHECK(tally.grants > 0);
  CHECK(s.snapshots_loaded > 0);
  CHECK(s.held_told > 0);
  CHECK(s.orphans_expired > 0);
  CHECK(s.digest_comparisons > 0);
}

}  // namespace
}  // namespace lockd::test
