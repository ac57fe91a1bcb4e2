#include "lockd/snapshot_transfer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"

namespace lockd {

namespace {

// With each delivery that has to wait some that do are replayed, so that whoever orders much does
// not keep a newcomer from catching up.
constexpr std::size_t kChangesPerDelivery = 8;

}  // namespace

SnapshotServer::SnapshotServer(const SnapshotId& id, std::uint64_t digest, std::size_t chunk_bytes)
    : id_(id), digest_(digest), chunk_bytes_(chunk_bytes) {}

void SnapshotServer::freeze(State& state) {
  if (!std::exchange(frozen_, true)) {
    writer_.emplace(state);
  }
}

std::optional<Chunk> SnapshotServer::next(std::size_t under_way) {
  if (!sending_ || under_way_ >= under_way) {
    return std::nullopt;
  }
  if (next_ == chunks_.size()) {
    write();
  }
  Chunk chunk{id_, digest_, false, next_ * chunk_bytes_, chunks_[next_]};
  ++next_;
  sending_ = something_left();
  chunk.last = !sending_;
  ++under_way_;
  return chunk;
}

// One more chunk. With the last record the frozen copy goes.
void SnapshotServer::write() {
  base::Buffer chunk = std::move(begun_);
  base::ByteWriter out(chunk);
  while (chunk.size() < chunk_bytes_ && writer_) {
    if (!writer_->write_some(out, chunk_bytes_ - chunk.size())) {
      writer_.reset();
    }
  }
  const std::size_t beyond = chunk.size() - std::min(chunk.size(), chunk_bytes_);
  begun_.assign(chunk.end() - static_cast<std::ptrdiff_t>(beyond), chunk.end());
  chunk.resize(chunk.size() - beyond);
  chunks_.push_back(std::move(chunk));
}

bool SnapshotServer::something_left() const {
  return next_ < chunks_.size() || writer_ || !begun_.empty();
}

void SnapshotServer::delivered() {
  if (under_way_ > 0) {
    --under_way_;
  }
}

void SnapshotServer::interrupt() {
  sending_ = false;
  under_way_ = 0;
}

void SnapshotServer::resume(std::uint64_t offset) {
  next_ = static_cast<std::size_t>(std::min<std::uint64_t>(next_, offset / chunk_bytes_));
  sending_ = something_left();
}

Staging::Staging(const SnapshotId& id, Lineage lineage, const StateLimits& limits,
                 std::size_t log_bytes_max)
    : id_(id), lineage_(std::move(lineage)), log_bytes_max_(log_bytes_max) {
  loader_.emplace(limits);
}

bool Staging::log(const evs::Delivery& delivery, const Replayed& replayed) {
  if (complete()) {
    replay(delivery, replayed);
    return true;
  }
  if (MUTANT("log_after_snapshot_lost")) return true;
  log_bytes_ += delivery.payload.size();
  if (log_bytes_ > log_bytes_max_) {
    return false;
  }
  log_.push_back(delivery);
  replay_some(kChangesPerDelivery, replayed);
  return true;
}

void Staging::add(const Chunk& chunk) {
  if (chunk.id != id_ || chunk.offset != offset_ || !loader_) {
    return;
  }
  loader_->add(chunk.bytes);
  offset_ += chunk.bytes.size();
  image_digest_ = chunk.digest;
  if (chunk.last || loader_->failed()) {
    load();
  }
}

void Staging::load() {
  state_ = loader_->finish();
  loader_.reset();
  if (!state_ || state_->digest() != image_digest_) {
    state_.reset();
    log_.clear();
    broken_ = true;
  }
}

// At least one, whatever it changes.
void Staging::replay_some(std::size_t changes, const Replayed& replayed) {
  std::size_t changed = 0;
  while (replaying() && changed < changes) {
    const evs::Delivery delivery = std::move(log_.front());
    log_.pop_front();
    log_bytes_ -= delivery.payload.size();
    changed += replay(delivery, replayed);
  }
}

bool Staging::complete() const {
  return state_ && (log_.empty() || MUTANT("ready_before_log_is_replayed"));
}

// How much it was: 1 for itself, and what it changed.
std::size_t Staging::replay(const evs::Delivery& delivery, const Replayed& replayed) {
  const std::optional<RingMessage> message = decode_ring_message(delivery.payload);
  CHECK(message.has_value());  // It was decoded when it was delivered.
  Effects nobody_is_told;
  if (const auto* ordered = std::get_if<Ordered>(&message->body)) {
    state_->apply(delivery.sender, ordered->command, nobody_is_told);
  } else {
    apply_activate(delivery.ring, std::get<Activate>(message->body), *state_, nobody_is_told);
  }
  replayed(delivery, *state_, nobody_is_told);
  return 1 + nobody_is_told.size() + state_->changes().size();
}

State Staging::take() {
  CHECK(state_.has_value());
  return std::move(*state_);
}

void apply_activate(const RingId& ring, const Activate& activate, State& state, Effects& effects) {
  state.raise_token_base(activate.token_base);
  state.raise_longest_lease(activate.lease_max);
  state.apply_departures(ring, activate.departures, effects);
}

}  // namespace lockd
