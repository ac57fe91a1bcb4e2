// The clients of the simulated world, and the pipes between them and their daemons.
#include <algorithm>
#include <chrono>
#include <utility>

#include "tests/sim/world.h"

namespace sim {

using std::chrono::microseconds;

std::unique_ptr<Client> World::new_client(std::size_t index) {
  const std::size_t machine = index % serving();
  auto client =
      std::make_unique<Client>(machine, machines_[machine]->clock(), random_.fork(), lock_checker_,
                               resources_, options_.traffic, ++clients_made_);
  client->roams = random_.chance(1, 3);
  if (index >= options_.clients) {
    client->take_part(barrier_plan_, barrier_checker_, coverage_);
  }
  return client;
}

// All but the witness.
std::size_t World::serving() const {
  return options_.nodes - (options_.witness ? 1 : 0);
}

void World::to_client(const Occurrence& occurrence) {
  Client& client = *clients_[occurrence.node];
  const Instant now = machines_[client.machine()]->clock().at(now_);
  switch (occurrence.what) {
    case Happening::daemon_bytes:
      if (client.connection != occurrence.number) return;
      client.wire().handle_bytes(now, occurrence.bytes);
      break;
    case Happening::daemon_gone:
      if (client.connection != occurrence.number) return;
      client.connection.reset();
      client.wire().handle_disconnected(now);
      break;
    case Happening::client_timer:
      if (client.timer_number != occurrence.number) return;
      client.wire().handle_timeout(now);
      break;
    case Happening::client_acts:
      client.act(now_);
      queue_.push(client.next_act(), Happening::client_acts, occurrence.node);
      break;
    default:
      break;
  }
  after_client(occurrence.node);
}

void World::after_client(std::size_t index) {
  Client& client = *clients_[index];
  client.take_events(now_);
  if (trace_ && !client.last_event.empty()) {
    say(client.machine(), "client " + std::to_string(index) + " " + client.last_event);
    client.last_event.clear();
  }
  if (client.wire().wants_connection() && !client.connection) connect(index);
  if (!client.wire().wants_connection() && client.connection) disconnect(index);
  while (auto bytes = client.wire().poll_transmit()) {
    if (client.connection) {
      queue_.push(pipe_time(index), Happening::client_bytes, client.server, *client.connection,
                  std::move(*bytes));
    }
  }
  client.take_events(now_);
  ++client.timer_number;
  if (const auto deadline = client.next_timeout()) {
    queue_.push(std::max(*deadline, now_ + Duration(1)), Happening::client_timer, index,
                client.timer_number);
  }
}

void World::connect(std::size_t index) {
  Client& client = *clients_[index];
  for (std::size_t i = 1; client.roams && i < serving() && !machines_[client.server]->running();
       ++i) {
    client.server = (client.server + 1) % serving();
  }
  Machine& machine = *machines_[client.server];
  const Instant now = machines_[client.machine()]->clock().at(now_);
  if (!machine.running() || machine.paused || machine.leaving()) {
    // A paused daemon's kernel would take the connection; to the client that is a slow daemon.
    client.wire().handle_disconnected(now);
    return;
  }
  const std::uint64_t connection = connections_.size();
  connections_.push_back(index);
  client.connection = connection;
  acting_ = client.server;
  if (client.server != client.machine()) coverage_.add("client.elsewhere");
  machine.connect(now_, lockd::ConnectionId{connection});
  after_machine(client.server);
  if (client.connection) client.wire().handle_connected(now);
}

void World::disconnect(std::size_t index) {
  Client& client = *clients_[index];
  queue_.push(pipe_time(index), Happening::client_gone, client.server, *client.connection);
  client.connection.reset();
  client.wire().handle_disconnected(machines_[client.machine()]->clock().at(now_));
}

// At the end of a run, at every look: once nobody waits any more, what is kept for nobody is given
// back; now and then one drops what dead processes have left behind.
void World::tidy_up() {
  if (whole_for_ == 0) return;
  bool waits = false;
  for (const auto& client : clients_) {
    waits = waits || (core_[client->server] && client->waits());
  }
  for (auto& client : clients_) {
    if (!waits) client->let_go();
  }
  if (!options_.traffic.orphans || whole_for_ % 6 != 0) return;
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    const Machine& server = *machines_[clients_[i]->server];
    if (!core_[clients_[i]->server] || !clients_[i]->wire().open()) continue;
    if (server.daemon().replica().table()->counts().locks == 0) return;
    for (std::size_t node = 0; node < machines_.size(); ++node) {
      clients_[i]->drop_orphans(now_, node_id(node));
    }
    return after_client(i);
  }
}

// Later than all that this client's pipes carry already.
Duration World::pipe_time(std::size_t index) {
  Duration& last = pipe_times_[index];
  last = std::max(last + Duration(1), now_ + random_.between(microseconds(5), microseconds(100)));
  return last;
}

}  // namespace sim
