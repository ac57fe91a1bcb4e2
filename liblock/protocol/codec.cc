#include "liblock/protocol/codec.h"

#include <type_traits>
#include <utility>

#include "base/check.h"
#include "liblock/protocol/barrier_fields.h"
#include "liblock/protocol/evs_fields.h"
#include "liblock/protocol/lock_fields.h"
#include "liblock/protocol/query_fields.h"
#include "liblock/protocol/session_fields.h"
#include "liblock/protocol/watch_fields.h"

namespace liblock::protocol {
namespace {

// The first byte of a frame's content. Requests are below 64, responses above.
// clang-format off
template <typename Message> constexpr std::uint8_t kType = 0;
template <> constexpr std::uint8_t kType<Hello> = 1;
template <> constexpr std::uint8_t kType<Acquire> = 2;
template <> constexpr std::uint8_t kType<Release> = 3;
template <> constexpr std::uint8_t kType<Cancel> = 4;
template <> constexpr std::uint8_t kType<Keepalive> = 5;
template <> constexpr std::uint8_t kType<Close> = 6;
template <> constexpr std::uint8_t kType<List> = 7;
template <> constexpr std::uint8_t kType<Show> = 8;
template <> constexpr std::uint8_t kType<StatusQuery> = 9;
template <> constexpr std::uint8_t kType<MembersQuery> = 10;
template <> constexpr std::uint8_t kType<EvsJoin> = 11;
template <> constexpr std::uint8_t kType<EvsLeave> = 12;
template <> constexpr std::uint8_t kType<EvsMulticast> = 13;
template <> constexpr std::uint8_t kType<EvsMulticastView> = 13;
template <> constexpr std::uint8_t kType<RingStatusQuery> = 14;
template <> constexpr std::uint8_t kType<RingLogQuery> = 15;
template <> constexpr std::uint8_t kType<WhyQuery> = 16;
template <> constexpr std::uint8_t kType<AcquireAll> = 17;
template <> constexpr std::uint8_t kType<Convert> = 18;
template <> constexpr std::uint8_t kType<DropOrphans> = 19;
template <> constexpr std::uint8_t kType<JoinLockspace> = 20;
template <> constexpr std::uint8_t kType<LeaveLockspace> = 21;
template <> constexpr std::uint8_t kType<DeadlockQuery> = 22;
template <> constexpr std::uint8_t kType<LockspacesQuery> = 23;
template <> constexpr std::uint8_t kType<Watch> = 24;
template <> constexpr std::uint8_t kType<BarrierCreate> = 25;
template <> constexpr std::uint8_t kType<BarrierChange> = 26;
template <> constexpr std::uint8_t kType<BarrierArrive> = 27;
template <> constexpr std::uint8_t kType<BarrierLeave> = 28;
template <> constexpr std::uint8_t kType<BarrierWithdraw> = 29;
template <> constexpr std::uint8_t kType<BarrierCancel> = 30;
template <> constexpr std::uint8_t kType<BarrierDelete> = 31;
template <> constexpr std::uint8_t kType<BarrierConfirm> = 32;
template <> constexpr std::uint8_t kType<BarrierMore> = 33;
template <> constexpr std::uint8_t kType<BarriersQuery> = 34;
template <> constexpr std::uint8_t kType<Welcome> = 65;
template <> constexpr std::uint8_t kType<Refused> = 66;
template <> constexpr std::uint8_t kType<Reply> = 67;
template <> constexpr std::uint8_t kType<State> = 68;
template <> constexpr std::uint8_t kType<Lost> = 69;
template <> constexpr std::uint8_t kType<ListPage> = 70;
template <> constexpr std::uint8_t kType<ShowPage> = 71;
template <> constexpr std::uint8_t kType<Status> = 72;
template <> constexpr std::uint8_t kType<Members> = 73;
template <> constexpr std::uint8_t kType<EvsWelcome> = 74;
template <> constexpr std::uint8_t kType<EvsDone> = 75;
template <> constexpr std::uint8_t kType<EvsCredit> = 76;
template <> constexpr std::uint8_t kType<EvsDelivery> = 77;
template <> constexpr std::uint8_t kType<EvsDeliveryView> = 77;
template <> constexpr std::uint8_t kType<EvsConfiguration> = 78;
template <> constexpr std::uint8_t kType<RingStatus> = 79;
template <> constexpr std::uint8_t kType<RingLogPage> = 80;
template <> constexpr std::uint8_t kType<Why> = 81;
template <> constexpr std::uint8_t kType<Blocks> = 82;
template <> constexpr std::uint8_t kType<Deadlock> = 83;
template <> constexpr std::uint8_t kType<LockspaceState> = 84;
template <> constexpr std::uint8_t kType<DeadlockAnswer> = 85;
template <> constexpr std::uint8_t kType<LockspacesPage> = 86;
template <> constexpr std::uint8_t kType<WatchGap> = 87;
template <> constexpr std::uint8_t kType<LockWatched> = 88;
template <> constexpr std::uint8_t kType<DeadlockWatched> = 89;
template <> constexpr std::uint8_t kType<SessionWatched> = 90;
template <> constexpr std::uint8_t kType<LockspaceWatched> = 91;
template <> constexpr std::uint8_t kType<ConfigurationWatched> = 92;
template <> constexpr std::uint8_t kType<QuorumWatched> = 93;
template <> constexpr std::uint8_t kType<BarrierOutcome> = 94;
template <> constexpr std::uint8_t kType<BarriersPage> = 95;
// clang-format on

// The longest content of a frame, by what is in it.
template <typename Message>
constexpr std::size_t content_max_of(std::size_t others) {
  constexpr bool long_one =
      std::is_same_v<Message, EvsJoin> || std::is_same_v<Message, EvsLeave> ||
      std::is_same_v<Message, EvsMulticast> || std::is_same_v<Message, EvsMulticastView> ||
      std::is_same_v<Message, EvsDelivery> || std::is_same_v<Message, EvsDeliveryView>;
  return long_one ? kEvsFrameBytesMax : others;
}

// Every text and list is within what a frame can hold, whatever it is filled with.
static_assert(64 + 2 * kCommandBytesMax < kRequestBytesMax);
static_assert(64 + kPartsMax * (8 + kLockspaceBytesMax + kResourceBytesMax) < kRequestBytesMax);
static_assert(64 + kAdviceBytesMax < kResponseBytesMax);
static_assert(kListItemsMax * (64 + kLockspaceBytesMax + kResourceBytesMax + kCommandBytesMax) <
              kResponseBytesMax);
static_assert(128 + kBarrierLostMax * 20 + kBarrierMembersMax * (22 + kBarrierValueBytesMax) <
              kResponseBytesMax);
static_assert(kBarriersMax * (64 + kLockspaceBytesMax + kBarrierNameBytesMax) < kResponseBytesMax);
static_assert(64 + kShowLocksMax * (96 + kCommandBytesMax) < kResponseBytesMax);
static_assert(kDeadlockStepsMax *
                  (2 * (32 + kCommandBytesMax) + 16 + kLockspaceBytesMax + kResourceBytesMax) <
              kResponseBytesMax);
static_assert(kLockspacesMax * (64 + kLockspaceBytesMax + 2 * kMembersMax * 8) < kResponseBytesMax);
static_assert(kMembersMax * (64 + kTextBytesMax) < kResponseBytesMax);
static_assert(64 + kTextBytesMax + kMembersMax * (12 + 16 + kTextBytesMax) < kResponseBytesMax);
static_assert(kRingEventsMax * (80 + 2 * kTextBytesMax) < kResponseBytesMax);
static_assert(64 + 3 * kMembersMax * 12 < kResponseBytesMax);
static_assert(128 + kEvsGroupsMax * sizeof(GroupKey) + kEvsPayloadBytesMax < kEvsFrameBytesMax);
static_assert(256 + 3 * kTextBytesMax + kCountersMax * (16 + kTextBytesMax) < kResponseBytesMax);

// ---- Frames ----

template <typename Message>
void encode_frame(const Message& message, std::size_t content_max, base::Buffer& out) {
  const std::size_t begin = out.size();
  Writer writer(out);
  writer.u32(0);
  out.push_back(std::byte{kType<Message>});
  fields(writer, message);
  const std::size_t content = out.size() - begin - kFrameHeaderBytes;
  CHECK(content <= content_max_of<Message>(content_max));
  for (std::size_t i = 0; i < kFrameHeaderBytes; ++i) {
    out[begin + i] = static_cast<std::byte>(content >> (8 * i));
  }
}

// Tries the alternatives of a variant in turn: the first whose type fits is decoded.
template <typename Messages, std::size_t index = 0>
base::Result<Messages, DecodeError> decode_content(Bytes content, std::size_t content_max) {
  if constexpr (index == std::variant_size_v<Messages>) {
    return base::error(DecodeError::unknown_type);
  } else {
    using Message = std::variant_alternative_t<index, Messages>;
    if (content.empty()) return base::error(DecodeError::malformed);
    if (content.front() != std::byte{kType<Message>}) {
      return decode_content<Messages, index + 1>(content, content_max);
    }
    if (content.size() > content_max_of<Message>(content_max)) {
      return base::error(DecodeError::too_long);
    }
    Reader in(content.subspan(1));
    Message message;
    fields(in, message);
    if (!in.finish()) return base::error(DecodeError::malformed);
    return Messages{std::move(message)};
  }
}

}  // namespace

void encode(const Request& request, base::Buffer& out) {
  std::visit([&](const auto& one) { encode_frame(one, kRequestBytesMax, out); }, request);
}

void encode(const EvsMulticastView& message, base::Buffer& out) {
  encode_frame(message, kRequestBytesMax, out);
}

void encode(const Response& response, base::Buffer& out) {
  std::visit([&](const auto& one) { encode_frame(one, kResponseBytesMax, out); }, response);
}

void encode(const EvsDeliveryView& delivery, base::Buffer& out) {
  encode_frame(delivery, kResponseBytesMax, out);
}

std::optional<EvsDeliveryView> decode_evs_delivery(Bytes content) {
  if (content.empty() || content.front() != std::byte{kType<EvsDelivery>}) return std::nullopt;
  Reader in(content.subspan(1));
  EvsDeliveryView delivery;
  fields(in, delivery);
  if (!in.finish()) return std::nullopt;
  return delivery;
}

base::Result<Request, DecodeError> decode_request(Bytes content) {
  return decode_content<Request>(content, kRequestBytesMax);
}

base::Result<Response, DecodeError> decode_response(Bytes content) {
  return decode_content<Response>(content, kResponseBytesMax);
}

void FrameCutter::append(Bytes bytes) {
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(begin_));
  begin_ = 0;
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

base::Result<std::optional<Bytes>, DecodeError> FrameCutter::next() {
  const Bytes all = Bytes(buffer_).subspan(begin_);
  if (all.size() < kFrameHeaderBytes) return std::optional<Bytes>{};
  const std::size_t content = ByteReader(all.first(kFrameHeaderBytes)).u32();
  if (content == 0) return base::error(DecodeError::malformed);
  if (content > content_max_) return base::error(DecodeError::too_long);
  if (all.size() < kFrameHeaderBytes + content) return std::optional<Bytes>{};
  begin_ += kFrameHeaderBytes + content;
  return std::optional<Bytes>{all.subspan(kFrameHeaderBytes, content)};
}

}  // namespace liblock::protocol
