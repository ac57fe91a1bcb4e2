#include "tests/unit/lockd/ideal_evs.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace lockd::test {

World::World(std::size_t n, const Tweak& tweak) {
  ReplicaConfig config;
  for (std::size_t i = 1; i <= n; ++i) {
    config.nodes.push_back({NodeId{static_cast<std::uint32_t>(i)}, 1, false});
  }
  config.cluster.fill(7);
  config.digest_interval = 2;
  if (tweak) {
    tweak(config);
  }
  for (const ReplicaNode& node : config.nodes) {
    Host& host = hosts_[node.id];
    host.config = config;
    host.config.self = node.id;
    host.disk = initial_record(config.cluster, {}, node.id);
    REQUIRE_MESSAGE(host.config.validate().has_value(), host.config.validate().error());
  }
}

Instant World::now(const Host& host) const {
  const auto scaled = [&](std::int64_t rate) {
    return true_time_ + Duration(true_time_.count() / 1'000'000 * rate);
  };
  return {scaled(host.boot_rate), scaled(host.raw_rate)};
}

void World::start(std::uint32_t node) {
  Host& host = (*this)[node];
  REQUIRE(!host.up);
  host.self = {NodeId{node}, base::Incarnation{0x1000 + ++incarnations_}};
  host.replica = std::make_unique<Replica>(host.config, host.self, host.disk);
  host.up = true;
  host.ring.reset();
  host.told.clear();
  install({node});
}

void World::start_all() {
  std::vector<std::uint32_t> all;
  for (auto& [id, host] : hosts_) {
    if (!host.up) {
      start(base::value(id));
    }
    all.push_back(base::value(id));
  }
  install(all);
}

void World::crash(std::uint32_t node) {
  Host& host = (*this)[node];
  host.up = false;
  host.operational = false;
  host.replica.reset();
  host.writing.reset();
  host.frozen = false;
}

void World::hand_over(Host& host, std::size_t index, const RingId& ring) {
  const IdealRing::Message& message = host.ring->log.at(index);
  evs::Delivery delivery;
  delivery.sender = message.sender;
  delivery.ring = ring;
  delivery.sequence = index + 1;
  delivery.service = evs::Service::safe;
  delivery.payload = message.payload;
  if (host.damage) {
    host.damage(delivery.payload);
  }
  host.replica->handle_event(now(host), std::move(delivery));
}

void World::install(const std::vector<std::uint32_t>& nodes,
                    const std::map<std::uint32_t, Parting>& partings) {
  auto ring = std::make_shared<IdealRing>();
  ring->configuration.kind = evs::ConfigurationKind::regular;
  for (const std::uint32_t node : nodes) {
    REQUIRE((*this)[node].up);
    ring->configuration.members.push_back((*this)[node].self);
  }
  std::sort(ring->configuration.members.begin(), ring->configuration.members.end());
  ring->configuration.id = {++rings_ * 4, ring->configuration.members.front().node,
                            0xabc0 + rings_};

  std::map<IdealRing*, std::vector<Host*>> groups;
  for (const std::uint32_t node : nodes) {
    groups[(*this)[node].ring.get()].push_back(&(*this)[node]);
  }
  for (auto& [old, group] : groups) {
    if (old == nullptr) {
      continue;
    }
    for (auto& [id, other] : hosts_) {
      if (other.ring.get() == old) {
        other.operational = false;
      }
    }
    Parting parting;
    evs::Configuration transitional;
    transitional.kind = evs::ConfigurationKind::transitional;
    for (Host* host : group) {
      transitional.members.push_back(host->self);
      const auto chosen = partings.find(base::value(host->self.node));
      if (chosen != partings.end()) {
        parting = chosen->second;
      }
      parting.regular = std::max(parting.regular, host->delivered);
    }
    std::sort(transitional.members.begin(), transitional.members.end());
    transitional.id = {rings_ * 4 - 1, transitional.members.front().node,
                       0xdef0 + rings_ * 64 + base::value(transitional.members.front().node)};
    // Whatever anybody delivered as safe, all have; and nobody misses what it sent itself.
    parting.all = std::max(std::min(parting.all, old->log.size()), old->stable);
    parting.regular = std::min(parting.regular, parting.all);
    old->stable = std::max(old->stable, parting.regular);

    for (Host* host : group) {
      for (; host->delivered < parting.regular; ++host->delivered) {
        hand_over(*host, host->delivered, old->configuration.id);
      }
      evs::ConfigurationChange change;
      change.configuration = transitional;
      change.last_token = host->evidence.last_receipt;
      std::set_difference(old->configuration.members.begin(), old->configuration.members.end(),
                          transitional.members.begin(), transitional.members.end(),
                          std::back_inserter(change.departed));
      host->replica->handle_event(now(*host), std::move(change));
      for (; host->delivered < old->log.size(); ++host->delivered) {
        const Processor& sender = old->log[host->delivered].sender;
        const bool member =
            std::binary_search(transitional.members.begin(), transitional.members.end(), sender);
        if (host->delivered < parting.all || member) {
          hand_over(*host, host->delivered, old->configuration.id);
        }
      }
    }
  }
  for (auto& [old, group] : groups) {
    std::vector<Processor> members;
    for (Host* host : group) {
      members.push_back(host->self);
    }
    for (Host* host : group) {
      begin(*host, ring, members);
    }
  }
}

void World::begin(Host& host, std::shared_ptr<IdealRing> ring,
                  const std::vector<Processor>& group) {
  host.ring = std::move(ring);
  host.delivered = 0;
  host.operational = true;
  host.released.reset();
  host.evidence = {};
  host.evidence.ring = host.ring->configuration.id;
  host.evidence.last_receipt = now(host);
  evs::ConfigurationChange change;
  change.configuration = host.ring->configuration;
  change.last_token = now(host);
  for (const Processor& member : host.ring->configuration.members) {
    if (std::find(group.begin(), group.end(), member) == group.end()) {
      change.joined.push_back(member);
    }
  }
  host.replica->handle_event(now(host), std::move(change));
  attend(host);
}

void World::attend(Host& host) {
  host.replica->handle_evidence(now(host), host.operational ? &host.evidence : nullptr);
  while (std::optional<Effect> effect = host.replica->poll_effect()) {
    host.told.push_back(std::move(*effect));
  }
  if (!host.writing) {
    host.writing = host.replica->poll_record_write();
  } else {
    CHECK_FALSE(host.replica->poll_record_write().has_value());
  }
  host.replica->check_invariants();
}

bool World::say(Host& host) {
  bool any = false;
  while (std::optional<Buffer> payload = host.replica->poll_multicast(1 << 20)) {
    host.ring->log.push_back({host.self, std::move(*payload)});
    any = true;
  }
  return any;
}

void World::order(std::uint32_t node) {
  const std::shared_ptr<IdealRing> ring = (*this)[node].ring;
  for (auto& [id, host] : hosts_) {
    if (host.up && !host.frozen && host.operational && host.ring == ring) {
      say(host);
    }
  }
}

void World::deliver(std::uint32_t node, std::size_t upto) {
  Host& host = (*this)[node];
  REQUIRE(host.operational);
  upto = std::min(upto, host.ring->log.size());
  for (; host.delivered < upto; ++host.delivered) {
    hand_over(host, host.delivered, host.ring->configuration.id);
  }
  host.ring->stable = std::max(host.ring->stable, host.delivered);
  attend(host);
}

void World::write(std::uint32_t node) {
  Host& host = (*this)[node];
  if (!host.writing || host.disk_stuck || host.frozen) {
    return;
  }
  if (power && !power(host)) {
    return;
  }
  const RecordSlot slot = encode_record(host.writing->record);
  host.disk = decode_record(slot);
  CHECK(host.disk == host.writing->record);
  const std::uint64_t id = host.writing->id;
  host.writing.reset();
  host.replica->handle_record_written(now(host), id, true);
  attend(host);
}

// A ring in which a member does not run has no token going around.
bool World::token_passes(const Host& host) const {
  if (!host.up || !host.operational) {
    return false;
  }
  const std::vector<Processor>& members = host.ring->configuration.members;
  return std::all_of(members.begin(), members.end(), [&](const Processor& member) {
    const Host& other = hosts_.at(member.node);
    return other.up && !other.frozen && other.self == member && other.operational &&
           other.ring == host.ring;
  });
}

void World::rotate() {
  for (auto& [id, host] : hosts_) {
    if (!token_passes(host)) {
      continue;
    }
    host.evidence.last_receipt = now(host);
    if (host.released) {
      host.evidence.confirmed = true;
      host.evidence.confirmed_release = *host.released;
    }
    host.released = now(host);
    attend(host);
  }
}

void World::timeouts() {
  for (auto& [id, host] : hosts_) {
    if (!host.up || host.frozen) {
      continue;
    }
    const std::optional<Duration> next = host.replica->next_timeout();
    if (next && *next <= now(host).boot) {
      host.replica->handle_timeout(now(host));
      attend(host);
    }
  }
}

bool World::replay(std::uint32_t node) {
  Host& host = (*this)[node];
  if (!host.up || host.frozen || host.replica->phase() != ReplicaPhase::loading ||
      !host.replica->next_timeout()) {
    return false;
  }
  host.replica->handle_timeout(now(host));
  attend(host);
  return true;
}

void World::settle() {
  for (int round = 0; round < 2000; ++round) {
    bool any = false;
    true_time_ += std::chrono::microseconds(100);
    for (auto& [id, host] : hosts_) {
      if (host.up && !host.frozen && host.operational) {
        any = say(host) || any;
      }
    }
    for (auto& [id, host] : hosts_) {
      if (host.up && !host.frozen && host.operational && !host.replica->stop_reason() &&
          host.delivered < host.ring->log.size()) {
        deliver(base::value(id));
        any = true;
      }
      if (host.up && !host.frozen && host.writing && !host.disk_stuck) {
        write(base::value(id));
        any = true;
      }
    }
    for (auto& [id, host] : hosts_) {
      any = replay(base::value(id)) || any;
    }
    rotate();
    check();
    if (!any) {
      return;
    }
  }
  FAIL("the replicas do not come to rest");
}

void World::turn() {
  order(1);
  for (auto& [id, host] : hosts_) {
    if (host.up && host.operational && !host.frozen) {
      deliver(base::value(id));
      write(base::value(id));
    }
    replay(base::value(id));
  }
  rotate();
}

void World::run(Duration span, Duration step) {
  const Duration end = true_time_ + span;
  while (true_time_ < end) {
    true_time_ += step;
    timeouts();
    settle();
  }
}

void World::check() {
  std::map<std::pair<IdealRing*, std::size_t>, std::uint64_t> digests;
  for (auto& [id, host] : hosts_) {
    if (!host.up || host.replica->stop_reason() || host.replica->table() == nullptr ||
        host.damage) {
      continue;
    }
    const std::uint64_t digest = host.replica->table()->digest();
    const auto known = digests.try_emplace({host.ring.get(), host.delivered}, digest).first;
    CHECK(known->second == digest);
  }
}

TestSession open(World& world, std::uint32_t node, std::uint64_t number) {
  Open command;
  command.number = OpenNumber{number};
  command.secret.bits.fill(std::byte{1});
  command.instance.bits.fill(std::byte{2});
  command.uid = 1000;
  REQUIRE(world.replica(node).submit(world.now(world[node]), command).has_value());
  world.settle();
  const std::optional<Opened> opened = last_told<Opened>(world[node]);
  REQUIRE(opened.has_value());
  REQUIRE(opened->outcome == Opened::Outcome::opened);
  return {opened->session, opened->generation, 0};
}

RequestId acquire(World& world, std::uint32_t node, TestSession& session, const std::string& name) {
  Acquire command;
  command.request = {session.id, session.generation, RequestId{++session.requests}, {}};
  command.lockspace = "default";
  command.resource = name;
  command.mode = dlm::Mode::ex;
  REQUIRE(world.replica(node).submit(world.now(world[node]), command).has_value());
  return command.request.id;
}

void release(World& world, std::uint32_t node, TestSession& session, RequestId lock, Token token) {
  Release command;
  command.request = {session.id, session.generation, RequestId{++session.requests}, {}};
  command.lock = lock;
  command.token = token;
  REQUIRE(world.replica(node).submit(world.now(world[node]), command).has_value());
}

std::optional<Token> granted(const Host& host, const TestSession& session, RequestId request) {
  for (const Effect& effect : host.told) {
    if (const auto* reply = std::get_if<Replied>(&effect)) {
      if (reply->session == session.id && reply->reply.request == request &&
          reply->reply.status == Status::granted) {
        return reply->reply.token;
      }
    }
    if (const auto* grant = std::get_if<Settled>(&effect)) {
      if (grant->session == session.id && grant->lock == request) {
        return grant->reply.token;
      }
    }
  }
  return std::nullopt;
}

}  // namespace lockd::test
