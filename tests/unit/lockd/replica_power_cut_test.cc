// The power fails at each write of a record in turn: of the node that writes or of all nodes, with
// the new record on the disk or the old one. What a write that is cut in the middle leaves is one
// of these two (record_file_test.cc).
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "tests/unit/lockd/ideal_evs.h"

namespace lockd::test {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 1100s;  // Worlds begin at 1000 s.

struct PowerCut {
  std::size_t at = 0;  // At this write, counted from 1; 0: never.
  bool new_record = false;
  bool everywhere = false;
  std::uint32_t absent = 0;  // Does not come back; 0: all do.
};

// Three nodes through activations, a loss of one member, its return, the orphaning of a session and
// a total restart, as far as the power lasts; then all are started again, or all but one, and
// judged.
class History {
 public:
  explicit History(const PowerCut& cut) : cut_(cut), world_(3) {
    world_.power = [this](Host& host) { return lasts(host); };
    play();
    recover();
  }

  std::size_t writes() const { return writes_; }

 private:
  bool lasts(Host& host) {
    ++writes_;
    if (dark_ || writes_ != cut_.at) return true;
    note();
    dark_ = true;
    if (cut_.new_record) host.disk = host.writing->record;
    for (auto& [id, other] : world_.hosts()) {
      if (other.up && (cut_.everywhere || id == host.self.node)) world_.crash(base::value(id));
    }
    return false;
  }

  void play() {
    world_.start_all();
    go_on(1s);
    if (dark_) return;
    holder_ = open(world_, 1);
    go_on(100ms);
    if (dark_) return;
    held_ = acquire(world_, 1, *holder_, "k");
    go_on(100ms);
    const std::vector<std::vector<std::uint32_t>> rings = {{1, 2}, {1, 2, 3}, {2, 3}, {1, 2, 3}};
    for (const auto& members : rings) {
      if (dark_) return;
      world_.install(members);
      go_on(3s);
    }
    if (dark_) return;
    for (const std::uint32_t node : {1u, 2u, 3u}) world_.crash(node);
    world_.start_all();
    go_on(5s);
  }

  void recover() {
    dark_ = true;  // It does not fail twice.
    if (cut_.absent != 0 && world_[cut_.absent].up) world_.crash(cut_.absent);
    const bool holder_lives = holder_ && world_[1].up;
    std::vector<std::uint32_t> present;
    for (const std::uint32_t node : {1u, 2u, 3u}) {
      if (node == cut_.absent) continue;
      if (!world_[node].up) world_.start(node);
      present.push_back(node);
    }
    world_.install(present);
    const std::uint32_t at = present.back();
    while (!active(at) && world_.true_time() < kPatience) go_on(20ms);
    REQUIRE(active(at));
    TestSession other = open(world_, at, 100);
    const RequestId wanted = acquire(world_, at, other, "k");
    const RequestId fresh = acquire(world_, at, other, "fresh");
    bool was_granted = false;
    for (int i = 0; i < 500; ++i) {
      go_on(20ms);
      if (was_granted || !granted(world_[at], other, wanted)) continue;
      was_granted = true;
      CHECK(world_.true_time() > relied_until_);
    }
    for (const std::uint32_t node : present) CHECK(active(node));
    const std::optional<Token> token = granted(world_[at], other, fresh);
    REQUIRE(token.has_value());
    CHECK(*token > highest_);
    const bool kept = holder_lives && lease_left() > Duration(0);
    CHECK(was_granted == !kept);
  }

  bool active(std::uint32_t node) {
    return world_.replica(node).status(world_.now(world_[node])).phase == ReplicaPhase::active;
  }

  // The disk takes a while for a record, and clients ask for locks meanwhile.
  void go_on(Duration span) {
    for (const Duration end = world_.true_time() + span; world_.true_time() < end;) {
      for (auto& [id, host] : world_.hosts()) host.disk_stuck = true;
      world_.run(20ms);
      note();
      ++steps_;
      if (steps_ % 3 == 1) ask();
      if (steps_ % 3 != 0) continue;
      for (auto& [id, host] : world_.hosts()) {
        host.disk_stuck = false;
        world_.write(base::value(id));
      }
    }
  }

  void ask() {
    if (dark_ || !held_ || asked_ || !world_[1].up) return;
    asked_ = acquire(world_, 1, *holder_, "l" + std::to_string(steps_));
  }

  Duration lease_left() {
    if (!holder_ || !world_[1].up) return Duration(0);
    return world_.replica(1).lease_left(world_.now(world_[1]), holder_->id, holder_->generation);
  }

  // What the client of node 1 was told by now, and how long it may rely on that.
  void note() {
    if (!holder_ || !held_ || !world_[1].up) return;
    const auto told = [&](RequestId lock) { return granted(world_[1], *holder_, lock); };
    if (asked_ && told(*asked_)) {
      highest_ = std::max(highest_, *told(*asked_));
      asked_.reset();
    }
    if (!told(*held_)) return;
    if (lease_left() > Duration(0)) relied_until_ = world_.true_time() + lease_left();
  }

  PowerCut cut_;
  World world_;
  std::size_t writes_ = 0;
  std::size_t steps_ = 0;
  bool dark_ = false;
  std::optional<TestSession> holder_;
  std::optional<RequestId> held_;   // In which others are interested.
  std::optional<RequestId> asked_;  // Another lock, not yet granted.
  Token highest_{};
  Duration relied_until_{0};
};

TEST_CASE("whenever the power fails, no promise is forgotten") {
  const std::size_t writes = History({}).writes();
  REQUIRE(writes > 20);
  for (std::size_t at = 1; at <= writes; ++at) {
    for (const bool new_record : {false, true}) {
      for (const bool everywhere : {false, true}) {
        for (const std::uint32_t absent : {0u, 1u, 2u, 3u}) {
          CAPTURE(at);
          CAPTURE(new_record);
          CAPTURE(everywhere);
          CAPTURE(absent);
          History({at, new_record, everywhere, absent});
        }
      }
    }
  }
}

}  // namespace
}  // namespace lockd::test
