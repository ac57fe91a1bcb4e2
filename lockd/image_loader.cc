#include "lockd/image_loader.h"

#include <algorithm>
#include <utility>

#include "lockd/image.h"

namespace lockd {

namespace {

constexpr std::size_t kPieceBytes = 64 * 1024;

}  // namespace

State::Loader::Loader(const StateLimits& limits) : state_(limits), locks_(limits.locks) {}

void State::Loader::add(base::Bytes bytes) {
  if (failed()) return;
  if (head_read_) return locks_.add(bytes);
  head_.insert(head_.end(), bytes.begin(), bytes.end());
  read_head();
}

// If it is there.
void State::Loader::read_head() {
  base::ByteReader in(head_);
  if (head_.size() < image::kHeadLengthEnd) return;
  failed_ = in.u8() != image::kVersion;
  const std::uint32_t length = in.u32();
  if (failed_ || in.left() < length) return;
  base::ByteReader head(in.bytes(length));
  const std::uint64_t lease = head.u64();
  if (lease > image::kLongestLeaseMax) head.fail();
  state_.longest_lease_ = base::Duration(static_cast<std::int64_t>(lease));
  if (head.count8(1) == 1) state_.cold_ = head.ring();
  state_.sessions_ = SessionTable::deserialize(head, state_.limits_.sessions);
  state_.lockspaces_ = LockspaceTable::deserialize(head, state_.limits_.lockspaces);
  auto barriers = barrier::Table::deserialize(head.bytes32(), state_.limits_.barriers);
  failed_ = !barriers || !head.finish();
  if (barriers) state_.barriers_ = std::move(*barriers);
  head_read_ = true;
  if (!failed_) locks_.add(in.rest());
  head_ = {};
}

std::optional<State> State::Loader::finish() {
  if (failed_ || !head_read_) return std::nullopt;
  auto locks = locks_.finish();
  if (!locks) return std::nullopt;
  state_.locks_ = std::move(*locks);
  if (!state_.consistent()) return std::nullopt;
  return std::move(state_);
}

std::optional<State> State::deserialize(base::Bytes bytes, const StateLimits& limits) {
  Loader loader(limits);
  while (!bytes.empty() && !loader.failed()) {
    const base::Bytes piece = bytes.first(std::min(bytes.size(), kPieceBytes));
    loader.add(piece);
    bytes = bytes.subspan(piece.size());
  }
  return loader.finish();
}

bool State::consistent() const {
  std::size_t owners = locks_.count_of(kNobody) > 0 ? 1 : 0;
  for (const auto& [id, session] : sessions_.sessions()) {
    if (base::value(id) >= locks_.next_token()) return false;
    if (locks_.count_of(id) > 0) ++owners;
  }
  for (const auto& [name, lockspace] : lockspaces_.all()) {
    for (const SessionId user : lockspace.users) {
      if (!sessions_.find(user)) return false;
    }
  }
  for (const SessionId id : barriers_.sessions()) {
    const Session* session = sessions_.find(id);
    if (!session || session->ended()) return false;
  }
  if (barriers_.next_generation() > locks_.next_token()) return false;
  return owners == locks_.sessions();
}

}  // namespace lockd
