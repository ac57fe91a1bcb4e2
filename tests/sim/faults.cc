// What goes wrong in the simulated world.
#include <chrono>
#include <utility>

#include "tests/sim/world.h"

namespace sim {

using std::chrono::milliseconds;

// A fault at a moment when knowledge is uneven between the members.
void World::strike(std::size_t node) {
  coverage_.add("fault.strike");
  switch (random_.below(3)) {
    case 0:
      if (options_.crash_every == Duration(0)) break;
      if (options_.blackouts && random_.chance(1, 2)) {
        crash_all();
      } else {
        crash(node);
      }
      break;
    case 1:
      if (options_.pause_every > Duration(0)) {
        pause(node, pause_length());
      }
      break;
    default:
      if (options_.partition_every > Duration(0)) {
        network_.partition();
        say(node, "network cut by a strike");
      }
  }
}

void World::crash_some() {
  const auto up = running();
  if (up.empty()) return;
  const std::size_t node = up[random_.below(up.size())];
  if (options_.blackouts && random_.chance(1, 3)) {
    crash_all();
  } else if (options_.farewells && !machines_[node]->paused && random_.chance(1, 2)) {
    coverage_.add("fault.farewell");
    leave(node);
    if (machines_[node]->running()) after_machine(node);
  } else {
    crash(node);
  }
}

void World::crash_all() {
  coverage_.add("fault.blackout");
  for (std::size_t node : running()) crash(node);
}

// In good order; as soon as its daemon lets it go.
void World::leave(std::size_t node) {
  const base::Processor who = machines_[node]->processor();
  acting_ = node;
  if (!machines_[node]->leave(now_)) return;
  say(node, "leaves");
  evs_checker_.left(who);
  went_down(node);
}

void World::crash(std::size_t node) {
  say(node, "crash");
  coverage_.add("fault.crash");
  evs_checker_.failed(machines_[node]->processor());
  machines_[node]->crash();
  if (options_.disk_loss && !disk_lost_) {
    disk_lost_ = true;
    coverage_.add("fault.disk_loss");
    machines_[node]->lose_disk();
  }
  went_down(node);
}

void World::went_down(std::size_t node) {
  lock_checker_.somebody_failed();
  ++machines_[node]->timer_number;
  deferred_[node].clear();
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    if (clients_[i]->server == node && clients_[i]->connection) {
      queue_.push(pipe_time(i), Happening::daemon_gone, i, *clients_[i]->connection);
    }
  }
  const Duration down = random_.chance(1, 3)
                            ? random_.between(milliseconds(0), milliseconds(50))
                            : random_.between(milliseconds(50), milliseconds(2000));
  if (down < evs::Config().token_timeout) coverage_.add("fault.restart_before_token_loss");
  queue_.push(now_ + down, Happening::restart, node);
}

void World::restart(std::size_t node) {
  say(node, "start");
  acting_ = node;
  machines_[node]->start(now_);
  after_machine(node);
}

// Some outlast every lease.
Duration World::pause_length() {
  return random_.between(milliseconds(1), milliseconds(random_.chance(1, 3) ? 3000 : 1500));
}

void World::pause(std::size_t node, Duration how_long) {
  if (machines_[node]->paused) return;
  say(node, "pause");
  coverage_.add("fault.pause");
  machines_[node]->paused = true;
  queue_.push(now_ + how_long, Happening::resume, node, ++machines_[node]->timer_number);
}

// What waited at the sockets is read first, as the driver does; then the timers.
void World::resume(std::size_t node) {
  say(node, "resume");
  machines_[node]->paused = false;
  for (Occurrence& waited : std::exchange(deferred_[node], {})) step(std::move(waited));
  if (!machines_[node]->running() || machines_[node]->paused) return;
  acting_ = node;
  machines_[node]->handle_timeout(now_);
  after_machine(node);
}

void World::pause_client() {
  const std::size_t client = random_.below(clients_.size());
  if (clients_[client]->paused) return;
  coverage_.add("fault.client_pause");
  clients_[client]->paused = true;
  queue_.push(now_ + random_.between(milliseconds(1), milliseconds(2500)), Happening::client_resume,
              client);
}

void World::resume_client(std::size_t client) {
  if (!clients_[client]->paused) return;
  clients_[client]->paused = false;
  for (Occurrence& waited : std::exchange(deferred_clients_[client], {})) step(std::move(waited));
  clients_[client]->wire().handle_timeout(machines_[clients_[client]->machine()]->clock().at(now_));
  after_client(client);
}

// Either its connection breaks, or the process dies and another takes its place.
void World::fail_client(std::size_t index) {
  Client& client = *clients_[index];
  if (client.paused || !client.connection || !client.wire().open()) return;
  if (random_.chance(1, 2)) {
    coverage_.add("fault.client_connection");
    queue_.push(pipe_time(index), Happening::client_broken, client.server, *client.connection);
    queue_.push(pipe_time(index), Happening::daemon_gone, index, *client.connection);
    return;
  }
  say(client.machine(), "client " + std::to_string(index) + " dies");
  coverage_.add("fault.client_death");
  count(client);
  client.die(now_);
  disconnect(index);
  const std::uint64_t timer_number = client.timer_number;
  const std::vector<LeftBehind> left = client.left_behind();
  clients_[index] = new_client(index);
  clients_[index]->hear_of(left);
  clients_[random_.below(clients_.size())]->hear_of(left);
  clients_[index]->timer_number = timer_number;
  after_client(index);
}

// Faults outside of it become permanent: a node is down, or cut off from the core. With daemons the
// core is a majority, or it could have no locks.
void World::choose_core() {
  const std::uint64_t least = with_daemons() ? options_.nodes / 2 + 1 : 1;
  if (options_.nodes <= least) return;
  coverage_.add("fault.core");
  std::uint64_t outside = random_.between(std::uint64_t{1}, options_.nodes - least);
  while (outside > 0) {
    const std::size_t node = random_.below(options_.nodes);
    if (!core_[node]) continue;
    core_[node] = false;
    gone_[node] = random_.chance(1, 3);
    --outside;
  }
  network_.isolate(core_);
}

void World::heal() {
  healed_ = true;
  network_.become_perfect();
  if (options_.core) choose_core();
  say(0, options_.core ? "the core heals" : "everything heals");
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    if (machines_[i]->running() && machines_[i]->paused) resume(i);
    if (gone_[i] && machines_[i]->running()) crash(i);
    if (!gone_[i] && !machines_[i]->running()) restart(i);
  }
  for (std::size_t i = 0; i < clients_.size(); ++i) resume_client(i);
}

}  // namespace sim
