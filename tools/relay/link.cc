#include "tools/relay/link.h"

#include <algorithm>
#include <utility>

namespace tools::relay {

namespace {

constexpr Duration kFirstResend = std::chrono::milliseconds(200);
constexpr int kResendsMax = 5;

}  // namespace

void Link::set(const LinkSettings& settings) {
  settings_ = settings;
  if (!settings_.cut) return;
  counts_.cut += waiting_.size();
  waiting_.clear();
  waiting_bytes_ = 0;
}

void Link::receive(Duration now, base::Bytes datagram) {
  ++counts_.received;
  if (settings_.cut) {
    ++counts_.cut;
    return;
  }
  if (drawn(settings_.loss)) {
    ++counts_.lost;
    return;
  }
  Duration due = leaves(now, datagram.size());
  due = std::max(due, last_due_);
  if (drawn(settings_.reordering)) {
    ++counts_.reordered;
    due += settings_.reorder_delay;
  } else {
    last_due_ = due;
  }
  wait(due, datagram);
  if (drawn(settings_.duplication)) {
    ++counts_.duplicated;
    wait(due, datagram);
  }
}

// By the rate, the delay and the jitter.
Duration Link::leaves(Duration now, std::size_t bytes) {
  Duration leaves = now;
  if (settings_.bits_per_second > 0) {
    const std::uint64_t nanoseconds = bytes * 8 * 1'000'000'000 / settings_.bits_per_second;
    sending_until_ =
        std::max(sending_until_, now) + Duration(static_cast<std::int64_t>(nanoseconds));
    leaves = sending_until_;
  }
  return leaves + settings_.delay + random_.between(Duration(0), settings_.jitter);
}

Duration Link::carry(Duration now, std::size_t bytes) {
  ++counts_.received;
  Duration due = leaves(now, bytes);
  Duration timeout = kFirstResend;
  for (int sent = 0; sent < kResendsMax && drawn(settings_.loss); ++sent) {
    ++counts_.lost;
    due += timeout;
    timeout *= 2;
  }
  ++counts_.forwarded;
  return due;
}

void Link::wait(Duration due, base::Bytes datagram) {
  if (waiting_.size() >= kWaitingMax || waiting_bytes_ + datagram.size() > kWaitingBytesMax) {
    ++counts_.overflowed;
    return;
  }
  waiting_bytes_ += datagram.size();
  waiting_.emplace(due, base::Buffer(datagram.begin(), datagram.end()));
}

std::optional<base::Buffer> Link::poll(Duration now) {
  const auto first = waiting_.begin();
  if (first == waiting_.end() || first->first > now) return std::nullopt;
  base::Buffer datagram = std::move(first->second);
  waiting_.erase(first);
  waiting_bytes_ -= datagram.size();
  ++counts_.forwarded;
  return datagram;
}

std::optional<Duration> Link::next_due() const {
  if (waiting_.empty()) return std::nullopt;
  return waiting_.begin()->first;
}

}  // namespace tools::relay
