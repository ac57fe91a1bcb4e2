#include "tests/unit/lockd/test_cluster.h"

#include <algorithm>

#include "base/check.h"

namespace lockd::test {

namespace {

protocol::Stamp stamp_of(Instant now) {
  return now;
}

}  // namespace

// ---- Client ----

void Client::send(const protocol::Request& request) {
  base::Buffer bytes;
  protocol::encode(request, bytes);
  send_bytes(bytes);
}

void Client::send_bytes(base::Bytes bytes) {
  if (closed) return;
  cluster_.daemon(node_).handle_bytes(cluster_.now, connection_, bytes);
  cluster_.settle();
}

void Client::hang_up(HangUp how) {
  if (closed) return;
  closed = true;
  cluster_.daemon(node_).handle_hang_up(cluster_.now, connection_, how);
  cluster_.settle();
}

void Client::hello(protocol::HelloKind kind) {
  protocol::Hello hello;
  if (kind == protocol::HelloKind::evs) cutter_.set_content_max(protocol::kEvsFrameBytesMax);
  hello.kind = kind;
  hello.instance = instance_;
  hello.command = "a test";
  hello.stamp = stamp_of(cluster_.now);
  send(hello);
}

void Client::resume(const protocol::Welcome& welcome) {
  protocol::Hello hello;
  hello.kind = protocol::HelloKind::resume;
  hello.instance = instance_;
  hello.stamp = stamp_of(cluster_.now);
  hello.resume = {welcome.session, welcome.secret, welcome.generation};
  send(hello);
}

base::RequestId Client::acquire(const std::string& resource, bool no_queue) {
  last_request = base::RequestId{base::value(last_request) + 1};
  protocol::Acquire acquire;
  acquire.request = last_request;
  acquire.acknowledged = acknowledged;
  acquire.stamp = stamp_of(cluster_.now);
  acquire.flags = no_queue ? base::lock_flag::no_queue : 0;
  acquire.lockspace = "default";
  acquire.resource = resource;
  send(acquire);
  return acquire.request;
}

base::RequestId Client::release(base::RequestId lock, base::Token token) {
  last_request = base::RequestId{base::value(last_request) + 1};
  send(protocol::Release{last_request, acknowledged, stamp_of(cluster_.now), lock, token});
  return last_request;
}

base::RequestId Client::cancel(base::RequestId lock) {
  last_request = base::RequestId{base::value(last_request) + 1};
  send(protocol::Cancel{last_request, acknowledged, stamp_of(cluster_.now), lock});
  return last_request;
}

void Client::keepalive() {
  send(protocol::Keepalive{acknowledged, stamp_of(cluster_.now)});
}

std::optional<protocol::Reply> Client::answer(base::RequestId request) {
  for (auto it = received.begin(); it != received.end(); ++it) {
    const auto* reply = std::get_if<protocol::Reply>(&*it);
    if (reply == nullptr || reply->request != request) continue;
    const protocol::Reply found = *reply;
    received.erase(it);
    return found;
  }
  return std::nullopt;
}

void Client::take(base::Bytes bytes) {
  cutter_.append(bytes);
  for (;;) {
    auto content = cutter_.next();
    CHECK(content.has_value());
    if (!content->has_value()) return;
    auto response = protocol::decode_response(**content);
    CHECK(response.has_value());
    received.push_back(std::move(*response));
  }
}

// ---- Cluster ----

Cluster::Cluster(std::size_t nodes, bool witness_last) {
  for (std::size_t i = 0; i < nodes; ++i) {
    config_.nodes.push_back(
        {base::NodeId{static_cast<std::uint32_t>(i + 1)}, 1, witness_last && i + 1 == nodes});
  }
  nodes_.resize(nodes);
  for (std::size_t i = 0; i < nodes; ++i) {
    nodes_[i].record = initial_record(config_.cluster, {}, config_.nodes[i].id);
    start(i);
  }
}

void Cluster::start(std::size_t index) {
  Node& node = nodes_[index];
  ReplicaConfig config = config_;
  config.self = config_.nodes[index].id;
  node.self = {config.self, base::Incarnation{++last_incarnation_}};
  const auto draw_secret = [this] {
    Secret secret;
    for (std::byte& byte : secret.bits) byte = static_cast<std::byte>(random_.below(256));
    return secret;
  };
  node.daemon =
      std::make_unique<Daemon>(DaemonConfig::from(config), node.self, node.record, draw_secret);
  node.ring.reset();
  node.operational = false;
  form({index});
}

void Cluster::kill(std::size_t index) {
  for (const auto& client : clients_) {
    if (client->node() == index) client->closed = true;
  }
  nodes_[index].daemon.reset();
  nodes_[index].operational = false;
}

void Cluster::form_all() {
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].daemon) all.push_back(i);
  }
  form(all);
}

void Cluster::form(const std::vector<std::size_t>& indices) {
  evs::Configuration regular;
  for (const std::size_t index : indices) regular.members.push_back(nodes_[index].self);
  std::sort(regular.members.begin(), regular.members.end());
  regular.id = {++last_nonce_, regular.members.front().node, last_nonce_};

  // Those that come from one ring go together.
  std::map<base::RingId, std::vector<base::Processor>> together;
  for (const std::size_t index : indices) {
    if (nodes_[index].ring) together[nodes_[index].ring->id].push_back(nodes_[index].self);
  }
  for (const std::size_t index : indices) {
    Node& node = nodes_[index];
    evs::ConfigurationChange to;
    to.configuration = regular;
    to.last_token = now;
    std::vector<base::Processor> with = {node.self};
    if (node.ring) {
      with = together[node.ring->id];
      std::sort(with.begin(), with.end());
      evs::ConfigurationChange from;
      // The id is the same for all that go together.
      const base::RingId id{node.ring->id.sequence, with.front().node,
                            regular.id.nonce << 32 | node.ring->id.nonce};
      from.configuration = {evs::ConfigurationKind::transitional, id, with};
      std::set_difference(node.ring->members.begin(), node.ring->members.end(), with.begin(),
                          with.end(), std::back_inserter(from.departed));
      from.last_token = node.last_token;
      node.daemon->handle_event(now, from);
    }
    std::set_difference(regular.members.begin(), regular.members.end(), with.begin(), with.end(),
                        std::back_inserter(to.joined));
    node.ring = regular;
    node.operational = true;
    node.last_token = now;
    node.evidence = {regular.id, now, {}, false};
    node.daemon->handle_event(now, to);
  }
  settle();
}

void Cluster::break_ring(std::size_t index) {
  Node& node = nodes_[index];
  evs::ConfigurationChange from;
  from.configuration = {evs::ConfigurationKind::transitional,
                        {++last_nonce_, node.self.node, last_nonce_},
                        {node.self}};
  for (const base::Processor& member : node.ring->members) {
    if (member != node.self) from.departed.push_back(member);
  }
  from.last_token = node.last_token;
  node.operational = false;
  node.ring = from.configuration;
  node.daemon->handle_event(now, from);
  settle();
}

Client& Cluster::connect(std::size_t node, std::uint32_t uid, std::uint8_t process) {
  const ConnectionId id{++last_connection_};
  clients_.push_back(std::make_unique<Client>(*this, node, id, process));
  daemon(node).handle_connect(now, id, Peer{uid, uid, 4711});
  settle();
  return *clients_.back();
}

Client& Cluster::open(std::size_t node, std::uint32_t uid, std::uint8_t process) {
  Client& client = connect(node, uid, process);
  client.hello();
  return client;
}

// The driver's loop for one node. True if anything was sent or written.
bool Cluster::turn(std::size_t index) {
  Node& node = nodes_[index];
  if (!node.daemon) return false;
  bool busy = false;
  if (node.operational && token_moves) {
    node.last_token = now;
    node.evidence = {node.ring->id, now, now, true};
  }
  node.daemon->handle_evidence(now, node.operational ? &node.evidence : nullptr);
  while (node.operational) {
    const auto message = node.daemon->poll_multicast(evs::Config().send_queue_bytes_max);
    if (!message) break;
    busy = true;
    const evs::Delivery delivery{node.self, node.ring->id,    ++sequences_[node.ring->id],
                                 0,         message->service, message->payload};
    for (Node& other : nodes_) {
      if (other.daemon && other.operational && other.ring->id == node.ring->id) {
        other.daemon->handle_event(now, delivery);
      }
    }
  }
  if (auto write = node.daemon->poll_record_write()) {
    busy = true;
    node.record = write->record;
    node.daemon->handle_record_written(now, write->id, true);
  }
  while (const auto output = node.daemon->poll_output()) {
    const auto client = std::find_if(clients_.begin(), clients_.end(), [&](const auto& one) {
      return one->connection() == output->connection;
    });
    CHECK(client != clients_.end());
    if ((*client)->reads) (*client)->take(output->bytes);
    if (output->close) {
      (*client)->closed = true;
    } else if ((*client)->reads) {
      node.daemon->handle_written(output->connection, output->bytes.size());
      busy = busy || node.daemon->waits_for_readers();
    }
  }
  while (auto event = node.daemon->poll_event()) events.push_back(std::move(*event));
  CHECK(!node.daemon->failure());
  node.daemon->check_invariants();
  return busy;
}

void Cluster::settle() {
  bool busy = true;
  for (int rounds = 0; busy; ++rounds) {
    CHECK(rounds < 10000);
    busy = false;
    for (std::size_t i = 0; i < nodes_.size(); ++i) busy = turn(i) || busy;
  }
}

void Cluster::pass(base::Duration time) {
  const base::Duration step = 10ms;
  for (base::Duration passed{0}; passed < time; passed += step) {
    now = now + std::min(step, time - passed);
    for (Node& node : nodes_) {
      if (!node.daemon) continue;
      const auto due = node.daemon->next_timeout();
      if (due && *due <= now.boot) node.daemon->handle_timeout(now);
    }
    settle();
  }
}

}  // namespace lockd::test
