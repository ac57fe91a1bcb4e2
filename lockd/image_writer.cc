#include "lockd/image_writer.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/mutant.h"
#include "lockd/image.h"

namespace lockd {

namespace {

// Of all that stands behind the four bytes for it.
void set_length(base::Buffer& out, std::size_t begin) {
  const std::size_t length = out.size() - begin;
  for (std::size_t i = 0; i < sizeof(std::uint32_t); ++i) {
    out[begin - sizeof(std::uint32_t) + i] = static_cast<std::byte>(length >> (8 * i) & 0xff);
  }
}

}  // namespace

State::Writer::Writer(State& state) : frozen_(state.locks_.freeze()), locks_(frozen_) {
  state.write_head(head_);
}

bool State::Writer::write_some(base::ByteWriter& out, std::size_t about_bytes) {
  const std::size_t size = std::min(about_bytes, head_.size() - head_written_);
  if (size > 0) {
    out.bytes(base::Bytes(head_).subspan(head_written_, size));
    head_written_ += size;
    return true;
  }
  return locks_.write_some(out, about_bytes);
}

// All but the locks, behind its length.
void State::write_head(base::Buffer& out) const {
  base::ByteWriter writer(out);
  writer.u8(image::kVersion);
  writer.u32(0);
  const std::size_t begin = out.size();
  writer.u64(static_cast<std::uint64_t>(longest_lease_.count()));
  const std::optional<RingId> cold =
      MUTANT("state_cold_flag_not_replicated") ? std::nullopt : cold_;
  writer.u8(cold ? 1 : 0);
  if (cold) writer.ring(*cold);
  sessions_.serialize(writer);
  lockspaces_.serialize(writer);
  writer.u32(0);
  const std::size_t barriers_begin = out.size();
  barriers_.serialize(writer);
  set_length(out, barriers_begin);
  set_length(out, begin);
}

void State::serialize(base::Buffer& out) const {
  write_head(out);
  base::ByteWriter writer(out);
  locks_.serialize(writer);
}

}  // namespace lockd
