#include "lockd/group_flow.h"

#include <algorithm>

#include "base/mutant.h"

namespace lockd {

base::Buffer GroupFlow::encode(bool pause) {
  return {pause ? std::byte{1} : std::byte{0}};
}

std::optional<bool> GroupFlow::decode(base::Bytes bytes) {
  if (bytes.size() != 1 || bytes[0] > std::byte{1}) return std::nullopt;
  return bytes[0] == std::byte{1};
}

void GroupFlow::unread(Instant now, ConnectionId reader, std::size_t bytes) {
  if (bytes >= kBehindBytes) {
    behind_.try_emplace(reader, now);
  } else if (bytes <= kCaughtUpBytes) {
    behind_.erase(reader);
  }
}

bool GroupFlow::waits(Instant now) const {
  return std::any_of(behind_.begin(), behind_.end(), [&](const auto& reader) {
    return now.boot - reader.second.boot < kPatience || MUTANT("groups_wait_for_ever");
  });
}

std::optional<bool> GroupFlow::poll_word(Instant now) {
  const bool pause = waits(now);
  if (pause ? said_ && repeat_at_ : !said_) return std::nullopt;
  said_ = pause;
  repeat_at_ = pause ? std::optional(now.boot + kPause / 2) : std::nullopt;
  return pause;
}

void GroupFlow::hear(Instant now, const base::Processor& who, bool pause) {
  if (pause) {
    paused_[who] = now.boot + kPause;
  } else {
    paused_.erase(who);
  }
}

void GroupFlow::forget_words() {
  paused_.clear();
  said_ = false;
  repeat_at_.reset();
}

bool GroupFlow::open(Instant now) const {
  return std::none_of(paused_.begin(), paused_.end(),
                      [&](const auto& word) { return now.boot < word.second; }) ||
         MUTANT("groups_pause_ignored");
}

void GroupFlow::handle_timeout(Instant now) {
  if (repeat_at_ && now.boot >= *repeat_at_) repeat_at_.reset();
  std::erase_if(paused_, [&](const auto& word) { return now.boot >= word.second; });
}

std::optional<base::Duration> GroupFlow::next_timeout() const {
  std::optional<base::Duration> next = repeat_at_;
  for (const auto& [who, until] : paused_) next = next ? std::min(*next, until) : until;
  return next;
}

}  // namespace lockd
