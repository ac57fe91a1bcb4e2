#include "recovery.h"

#include <utility>

#include "journal.h"
#include "note.h"
#include "story.h"

namespace journal_recovery {
namespace {

// Of all processes that have joined the lockspace. Who dies is not waited for: that is one more
// journal to recover.
lock_barrier barrier() {
  lock_barrier barrier{};
  barrier.size = sizeof barrier;
  barrier.lockspace = kLockspace;
  barrier.name = "recovery";
  barrier.name_len = 8;
  barrier.unit = LOCK_BARRIER_SESSIONS;
  barrier.on_death = LOCK_BARRIER_SHRINK;
  barrier.flags = LOCK_BARRIER_TWO_STEPS;
  return barrier;
}

ringlock::terms with_value(unsigned flags = 0) {
  ringlock::terms terms;
  terms.flags = LOCK_FLAG_VALUE | flags;
  return terms;
}

}  // namespace

void Recovery::arrive() {
  if (waits() || is_due()) return;
  suspects_ = watch_.of_the_dead();
  // Each brings along which journal is its own. All others have no owner who lives.
  const std::string own = volume_.owned.is_held() ? std::to_string(volume_.journal) : "0";
  const lock_barrier where = barrier();
  ringlock::check(lock_barrier_wait_async(volume_.client.native_handle(), &where, own.data(),
                                          own.size(), on_outcome, this, &arrival_),
                  "lock_barrier_wait_async");
}

void Recovery::withdraw() {
  lock_barrier_withdraw(volume_.client.native_handle(), arrival_);
}

void Recovery::on_outcome(lock_client*, std::uint64_t arrival, int error,
                          const lock_barrier_outcome* outcome, void* arg) {
  auto& self = *static_cast<Recovery*>(arg);
  if (arrival != self.arrival_) return;
  self.arrival_ = 0;
  if (error != 0) return;  // Withdrawn, or lost; if it is to be, we arrive again.
  Round round{outcome->generation, {}};
  std::string nodes;
  for (std::size_t i = 0; i < outcome->members_len; ++i) {
    const lock_barrier_member& member = outcome->members[i];
    const std::string own(static_cast<const char*>(member.value), member.value_len);
    round.living.insert(static_cast<unsigned>(std::stoul(own)));
    nodes += " " + std::to_string(member.node);
  }
  tell("all have stopped, on nodes" + nodes + ": recovery " + std::to_string(round.generation));
  self.round_ = round;
}

void Recovery::run() {
  // What we hold in PR others may want in EX.
  watch_.stop();
  take_turn();
  leave();
  volume_.generation = std::exchange(round_, std::nullopt)->generation;
  tell("recovery " + std::to_string(volume_.generation) + " is over");
  watch_.start(volume_.owned.is_held() ? volume_.journal : 0);
}

void Recovery::take_turn() {
  const ringlock::held control_lock = volume_.client.acquire(control());
  volume_.require_session();
  std::vector<Dead> dead;
  for (unsigned journal = 1; journal <= volume_.superblock.journals; ++journal) {
    if (round_->living.count(journal) != 0) continue;
    if (auto one = take(journal)) dead.push_back(std::move(*one));
  }
  if (dead.empty()) return;
  // The latest grant has the highest token. All who live have stopped before it, and what they are
  // granted from now on is higher: so it can shut out the dead, and nobody else.
  const ringlock::held& by = dead.back().lock;
  shut_out_the_dead(by);
  for (Dead& one : dead) replay(one, by);
  clear_marks();
  for (Dead& one : dead) {
    one.header.state = State::recovered;
    volume_.write("recovered", one.lock, one.region(), 0, text_of(one.header));
    one.lock.release(clean_note(round_->generation));
    tell(one.region() + ": replayed " + std::to_string(one.header.replayed) + ", dropped " +
         std::to_string(one.header.dropped));
  }
}

// None if there is nothing to recover.
std::optional<Recovery::Dead> Recovery::take(unsigned journal) {
  const std::string region = journal_region(journal);
  // In whatever queue: only an owner keeps us from reading the value. This one has come after us.
  auto lock = volume_.client.try_acquire({kLockspace, region}, ringlock::mode::cr,
                                         with_value(LOCK_FLAG_NO_ORDER));
  if (!lock) return std::nullopt;
  if (!is_clean(lock->notes(), lock->value())) lock->convert(ringlock::mode::ex, with_value());
  volume_.require_session();
  if (is_clean(lock->notes(), lock->value())) {
    if (suspects_.count(journal) != 0) tell(region + ": has been recovered already");
    return std::nullopt;
  }
  // With this its owner is shut out of it, whatever he still believes.
  auto header = parse_header(volume_.disk.read(region, 0, lock->token()));
  if (!header) throw std::runtime_error(region + ": the header is damaged");
  if (header->state == State::free || header->state == State::recovered) {
    // The value was lost with the whole cluster, or its writer died before he could write it.
    lock->release(clean_note(round_->generation));
    return std::nullopt;
  }
  header->state = State::recovering;
  header->token = lock->token();
  header->generation = round_->generation;
  tell(region + ": is recovered here, with token " + std::to_string(lock->token()));
  volume_.write("recovering", *lock, region, 0, text_of(*header));
  return Dead{std::move(*lock), *header};
}

// To use a block under our token is enough. Of what goes by way of a journal only the blocks that
// are replayed need it; but a file system also writes data past its journal, and a SAN shuts a node
// out of the whole disk.
void Recovery::shut_out_the_dead(const ringlock::held& by) {
  for (unsigned i = 0; i < volume_.superblock.blocks; ++i) {
    volume_.disk.read(block_region(i), 0, by.token());
  }
}

void Recovery::replay(Dead& dead, const ringlock::held& by) {
  std::vector<std::string> sectors;
  for (unsigned at = 1; at < journal_sectors(volume_.superblock); ++at) {
    sectors.push_back(volume_.disk.read(dead.region(), at, dead.lock.token()));
  }
  const Replay replay = replay_of(dead.header, sectors);
  if (replay.damaged) throw std::runtime_error(dead.region() + " is damaged");
  // Nobody has the locks of these blocks: he who had them is dead, and all others have stopped.
  for (const Intent& intent : replay.committed) {
    for (const Block& block : {intent.from, intent.to}) {
      volume_.write("replay", by, block_region(block.number), 0, text_of(block));
    }
  }
  dead.header.replayed = static_cast<unsigned>(replay.committed.size());
  dead.header.dropped = replay.dropped;
}

// The blocks are right again, and their locks' values may say so. A lock that is not free is that
// of somebody who has died meanwhile: his marks are for the next recovery.
void Recovery::clear_marks() {
  for (unsigned i = 0; i < volume_.superblock.blocks; ++i) {
    auto lock =
        volume_.client.try_acquire({kLockspace, block_region(i)}, ringlock::mode::ex, with_value());
    if (lock) lock->release(clean_note(round_->generation));
  }
}

// Waits until all have left. Who has died over it had his turn, or not; those who live had theirs.
void Recovery::leave() {
  const int error = lock_barrier_leave(volume_.client.native_handle(), round_->generation, nullptr,
                                       0, -1, nullptr);
  volume_.require_session();
  if (error != LOCK_ERROR_BROKEN) ringlock::check(error, "lock_barrier_leave");
}

}  // namespace journal_recovery
