#include "lockd/snapshot_transfer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"

namespace lockd {

SnapshotServer::SnapshotServer(const SnapshotId& id, const State& state)
    : id_(id), digest_(state.digest()) {
  state.serialize(image_);
}

std::optional<Chunk> SnapshotServer::next(std::size_t bytes, std::size_t under_way) {
  if (next_ == image_.size() || under_way_ >= under_way) {
    return std::nullopt;
  }
  const std::size_t size = std::min(bytes, image_.size() - next_);
  const base::Bytes part = base::Bytes(image_).subspan(next_, size);
  Chunk chunk{id_, digest_, image_.size(), next_, base::Buffer(part.begin(), part.end())};
  next_ += size;
  ++under_way_;
  return chunk;
}

void SnapshotServer::delivered() {
  if (under_way_ > 0) {
    --under_way_;
  }
}

void SnapshotServer::interrupt() {
  next_ = image_.size();
  under_way_ = 0;
}

void SnapshotServer::resume(std::uint64_t offset) {
  next_ = std::min(next_, offset);
}

bool SnapshotServer::idle() const {
  return next_ == image_.size() && under_way_ == 0;
}

Staging::Staging(const SnapshotId& id, Lineage lineage, const StateLimits& limits,
                 std::size_t log_bytes_max)
    : id_(id), lineage_(std::move(lineage)), limits_(limits), log_bytes_max_(log_bytes_max) {}

bool Staging::log(const evs::Delivery& delivery, const Replayed& replayed) {
  if (state_) {
    replay(delivery, replayed);
    return true;
  }
  if (MUTANT("log_after_snapshot_lost")) return true;
  log_bytes_ += delivery.payload.size();
  if (log_bytes_ > log_bytes_max_) {
    return false;
  }
  log_.push_back(delivery);
  return true;
}

bool Staging::add(const Chunk& chunk, const Replayed& replayed) {
  if (chunk.id != id_ || chunk.offset != image_.size() || state_ || broken_) {
    return false;
  }
  image_.insert(image_.end(), chunk.bytes.begin(), chunk.bytes.end());
  image_digest_ = chunk.digest;
  if (image_.size() < chunk.total) {
    return false;
  }
  load(replayed);
  return !broken_;
}

void Staging::load(const Replayed& replayed) {
  state_ = State::deserialize(image_, limits_);
  image_ = {};
  if (!state_ || state_->digest() != image_digest_) {
    state_.reset();
    broken_ = true;
    return;
  }
  for (const evs::Delivery& delivery : log_) {
    replay(delivery, replayed);
  }
  log_.clear();
}

void Staging::replay(const evs::Delivery& delivery, const Replayed& replayed) {
  const std::optional<RingMessage> message = decode_ring_message(delivery.payload);
  CHECK(message.has_value());  // It was decoded when it was delivered.
  Effects nobody_is_told;
  if (const auto* ordered = std::get_if<Ordered>(&message->body)) {
    state_->apply(delivery.sender, ordered->command, nobody_is_told);
  } else {
    apply_activate(std::get<Activate>(message->body), *state_, nobody_is_told);
  }
  replayed(delivery, *state_, nobody_is_told);
}

State Staging::take() {
  CHECK(state_.has_value());
  return std::move(*state_);
}

void apply_activate(const Activate& activate, State& state, Effects& effects) {
  state.raise_token_base(activate.token_base);
  state.raise_longest_lease(activate.lease_max);
  state.apply_departures(activate.departures, effects);
}

}  // namespace lockd
