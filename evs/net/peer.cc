#include "evs/net/peer.h"

#include <algorithm>
#include <utility>

#include "base/mutant.h"

namespace evs::net {

const Secret* Peer::key(const RecordHeader& header) const {
  if (!proved(header.salt) || !life_->key || life_->key_id != header.key_id ||
      life_->sub_key != sub_key_of(header.counter)) {
    return nullptr;
  }
  return &*life_->key;
}

void Peer::accept(const RecordHeader& header, const Secret& key) {
  // Late datagrams of the key before do not displace the present one.
  if (header.counter > life_->window.highest()) {
    life_->key_id = header.key_id;
    life_->sub_key = sub_key_of(header.counter);
    life_->key = key;
  }
  life_->window.accept(header.counter);
}

std::optional<std::uint64_t> Peer::challenge(base::Instant now) {
  if (open_ && now.boot - open_->made < kChallengeLifetime) {
    if (now.boot - open_->sent < kHandshakePause) return std::nullopt;
    open_->sent = now.boot;
  } else {
    open_ = Challenge{++challenges_, now.boot, now.boot};
  }
  return open_->number;
}

bool Peer::may_answer_unproved(base::Instant now) {
  if (answered_unproved_ && now.boot - *answered_unproved_ < kHandshakePause) return false;
  answered_unproved_ = now.boot;
  return true;
}

void Peer::hold(const RecordHeader& header, base::Bytes text) {
  if (text.size() > kHeldBytesMax || was_proved_before(header.salt)) return;
  held_ = Held{header, base::Buffer(text.begin(), text.end())};
}

bool Peer::answered(std::uint64_t number, const RecordHeader& header, const Secret& key,
                    base::Instant now) {
  const bool open = open_ && open_->number == number && now.boot - open_->made < kChallengeLifetime;
  if (!open && !MUTANT("seal_any_answer_proves")) return false;
  open_.reset();
  if (!proved(header.salt)) begin_life(header, key);
  return true;
}

void Peer::begin_life(const RecordHeader& header, const Secret& key) {
  life_ = Life{header.salt, ReplayWindow(header.counter), header.key_id, sub_key_of(header.counter),
               key};
  if (was_proved_before(header.salt)) return;
  former_[former_count_++ % former_.size()] = header.salt;
}

std::optional<Peer::Held> Peer::take_held() {
  if (!held_) return std::nullopt;
  auto held = std::exchange(held_, std::nullopt);
  if (!proved(held->header.salt)) return std::nullopt;
  // It may have been sealed after the answer, and overtaken it.
  if (held->header.counter > life_->window.highest()) life_->window.accept(held->header.counter);
  return held;
}

bool Peer::was_proved_before(const Salt& salt) const {
  const auto end =
      former_.begin() + static_cast<std::ptrdiff_t>(std::min(former_count_, former_.size()));
  return std::find(former_.begin(), end, salt) != end;
}

}  // namespace evs::net
