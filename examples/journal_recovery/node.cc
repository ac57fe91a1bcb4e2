#include "node.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <random>

#include "note.h"
#include "recovery.h"
#include "story.h"
#include "transfer.h"
#include "watch.h"

namespace journal_recovery {
namespace {

constexpr int kPauseMs = 10;  // Between two transactions.
constexpr std::uint64_t kTellEach = 100;
constexpr std::int64_t kAmountMax = 50;
constexpr std::chrono::milliseconds kMountPatience(1000);

volatile std::sig_atomic_t ended = 0;

class Node {
 public:
  Node(const std::string& disk_socket, const NodeOptions& options)
      : volume_(disk_socket, options.stop),
        watch_(volume_.client, volume_.superblock.journals),
        recovery_(volume_, watch_),
        pair_(options.pair),
        random_(volume_.journal) {}

  void run() {
    watch_.start(0);
    while (ended == 0) {
      volume_.client.dispatch();
      volume_.require_session();
      watch_.give_way();
      if (recovery_.is_due()) {
        recovery_.run();
        told_ = false;
      } else if (!watch_.orphaned().empty()) {
        recovery_.arrive();
      } else if (recovery_.waits()) {
        recovery_.withdraw();
      } else {
        go_on();
      }
      wait_for_news();
    }
    leave();
  }

 private:
  void go_on() try {
    if (!volume_.owned.is_held()) {
      mount();
    } else if (carry_out(volume_, draw(), sequence_ + 1)) {
      ++sequence_;
      if (!std::exchange(told_, true) || sequence_ % kTellEach == 0) {
        tell("transaction " + std::to_string(sequence_) + " is done");
      }
    }
  } catch (const std::system_error& error) {
    // Our daemon is out of touch with the others, or gone. Either that ends, or our lease does.
    if (error.code() != ringlock::errc::not_quorate &&
        error.code() != ringlock::errc::daemon_gone) {
      throw;
    }
  }

  // Becomes the owner of the journal, if nothing is to be recovered: not in the middle of a
  // recovery, which has the lock "control".
  void mount() {
    const auto control_lock = volume_.client.try_acquire(control());
    if (!control_lock) return;
    watch_.catch_up();
    if (!watch_.orphaned().empty() || !watch_.is_free(volume_.journal)) return;
    watch_.stop(volume_.journal);
    const std::string region = journal_region(volume_.journal);
    ringlock::terms terms;
    terms.flags = LOCK_FLAG_VALUE;
    terms.owner = LOCK_OWNER_NONE;
    auto lock =
        volume_.client.acquire_for({kLockspace, region}, kMountPatience, ringlock::mode::ex, terms);
    if (!lock || !is_clean(lock->notes(), lock->value())) {
      lock.reset();
      return watch_.start_again(volume_.journal);
    }
    const auto before = parse_header(volume_.disk.read(region, 0, lock->token()));
    if (!before) throw std::runtime_error(region + ": the header is damaged");
    volume_.header = Header{.journal = volume_.journal,
                            .state = State::used,
                            .life = before->life + 1,
                            .token = lock->token()};
    volume_.write("mount", *lock, region, 0, text_of(volume_.header));
    volume_.owned = std::move(*lock);
    sequence_ = 0;
    tell(region + " is mounted, in its life " + std::to_string(volume_.header.life) +
         ", with token " + std::to_string(volume_.header.token));
  }

  void leave() {
    if (!volume_.owned.is_held()) return;
    volume_.header.state = State::free;
    volume_.write("leave", volume_.owned, journal_region(volume_.journal), 0,
                  text_of(volume_.header));
    volume_.owned.release(clean_note(volume_.generation));
    tell(journal_region(volume_.journal) + " is left in good order, after " +
         std::to_string(sequence_) + " transactions");
  }

  Transfer draw() {
    const unsigned blocks = volume_.superblock.blocks;
    std::uniform_int_distribution<unsigned> any(0, blocks - 1);
    std::uniform_int_distribution<unsigned> other(1, blocks - 1);
    Transfer transfer;
    transfer.from = any(random_);
    transfer.to = (transfer.from + other(random_)) % blocks;
    if (pair_) std::tie(transfer.from, transfer.to) = *pair_;
    transfer.amount = std::uniform_int_distribution<std::int64_t>(1, kAmountMax)(random_);
    return transfer;
  }

  void wait_for_news() {
    pollfd news = {volume_.client.fd(), POLLIN, 0};
    const int wanted = volume_.client.timeout_ms();
    poll(&news, 1, wanted < 0 ? kPauseMs : std::min(wanted, kPauseMs));
  }

  Volume volume_;
  Watch watch_;
  Recovery recovery_;
  const std::optional<std::pair<unsigned, unsigned>> pair_;
  std::minstd_rand random_;
  std::uint64_t sequence_ = 0;
  bool told_ = false;  // Of the first transaction since the last recovery.
};

}  // namespace

void run_node(const std::string& disk_socket, const NodeOptions& options) {
  std::signal(SIGTERM, [](int) { ended = 1; });
  Node(disk_socket, options).run();
}

}  // namespace journal_recovery
