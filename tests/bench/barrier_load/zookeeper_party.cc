#include "tests/bench/barrier_load/zookeeper_party.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace tests::barrier_load {
namespace {

using load::require_zookeeper;
using load::ZooKeeper;

constexpr std::string_view kRoot = "/barriers";
constexpr std::string_view kReady = "ready";

void require_made(std::int32_t error) {
  if (error != ZooKeeper::kNodeExists) require_zookeeper(error, "create");
}

}  // namespace

Step next_step(std::vector<std::string> children, const std::string& own) {
  std::erase(children, kReady);
  if (children.empty()) return {};
  const auto [lowest, highest] = std::minmax_element(children.begin(), children.end());
  if (*lowest != own) {
    const bool there = std::find(children.begin(), children.end(), own) != children.end();
    return {there, *lowest};
  }
  if (*highest == own) return {true, {}};
  return {false, *highest};
}

ZooKeeperParty::ZooKeeperParty(load::Loop& loop, const std::string& address, std::size_t number,
                               std::size_t parties, bool nudges)
    : own_("party-" + std::to_string(1'000'000 + number)),
      parties_(parties),
      server_(loop, address, [this](const std::string& path) { on_changed(path); }) {
  if (nudges) server_.nudge();
}

// A node of its own for each use, since `ready` has to be gone before the next one.
std::string ZooKeeperParty::barrier(std::uint64_t use) const {
  return std::string(kRoot) + "/" + std::to_string(getpid()) + "-" + std::to_string(use);
}

void ZooKeeperParty::prepare(std::uint64_t use, Ready ready) {
  const auto gone = [](std::int32_t error, std::string_view) {
    require_zookeeper(error, "delete");
  };
  if (use == 1) {
    server_.create(std::string(kRoot), ZooKeeper::Kind::persistent,
                   [](std::int32_t error, std::string_view) { require_made(error); });
  } else {
    server_.remove(barrier(use - 1) + "/" + std::string(kReady), gone);
    server_.remove(barrier(use - 1), gone);
  }
  server_.create(barrier(use), ZooKeeper::Kind::persistent,
                 [ready = std::move(ready)](std::int32_t error, std::string_view) {
                   require_zookeeper(error, "create");
                   ready();
                 });
}

// Three requests at once, which ZooKeeper serves one after the other.
void ZooKeeperParty::enter(std::uint64_t use, Done done) {
  use_ = use;
  folder_ = barrier(use);
  done_ = std::move(done);
  const std::string ready = folder_ + "/" + std::string(kReady);
  awaited_ = ready;
  server_.look(ZooKeeper::Operation::exists, ready, true, [](std::int32_t error, std::string_view) {
    if (error != ZooKeeper::kNoNode) require_zookeeper(error, "exists");
  });
  server_.create(folder_ + "/" + own_, ZooKeeper::Kind::ephemeral,
                 [](std::int32_t error, std::string_view) { require_zookeeper(error, "create"); });
  server_.look(ZooKeeper::Operation::get_children, folder_, false,
               [this, ready](std::int32_t error, std::string_view body) {
                 require_zookeeper(error, "get_children");
                 if (awaited_ != ready || load::children_of(body).size() < parties_) return;
                 server_.create(ready, ZooKeeper::Kind::persistent,
                                [this, ready](std::int32_t made, std::string_view) {
                                  require_made(made);
                                  on_changed(ready);
                                });
               });
}

void ZooKeeperParty::leave(Done done) {
  done_ = std::move(done);
  look_at_children();
}

void ZooKeeperParty::look_at_children() {
  server_.look(ZooKeeper::Operation::get_children, folder_, false,
               [this](std::int32_t error, std::string_view body) {
                 require_zookeeper(error, "get_children");
                 const Step step = next_step(load::children_of(body), own_);
                 const bool last = step.await.empty();
                 if (step.remove_own) {
                   server_.remove(folder_ + "/" + own_,
                                  [this, last](std::int32_t gone, std::string_view) {
                                    require_zookeeper(gone, "delete");
                                    if (last) pass();
                                  });
                 } else if (last) {
                   pass();
                 }
                 if (last) return;
                 const std::string path = folder_ + "/" + step.await;
                 awaited_ = path;
                 server_.look(ZooKeeper::Operation::get_data, path, true,
                              [this, path](std::int32_t missing, std::string_view) {
                                if (missing == 0) return;
                                if (missing != ZooKeeper::kNoNode)
                                  require_zookeeper(missing, "get_data");
                                on_changed(path);
                              });
               });
}

// Once for each node that it waits for, though its own request may say the same as its watch.
void ZooKeeperParty::on_changed(const std::string& path) {
  if (path != awaited_) return;
  awaited_.clear();
  if (path.ends_with(kReady)) return pass();
  look_at_children();
}

void ZooKeeperParty::pass() {
  awaited_.clear();
  std::exchange(done_, nullptr)({use_, parties_});
}

}  // namespace tests::barrier_load
