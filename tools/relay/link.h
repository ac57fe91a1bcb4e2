// What happens to the datagrams from one node to another, or to the bytes of its connections: loss,
// delay, duplication, reordering, a rate, a cut. Pure: the time and the seed are told, sockets are
// server.cc's and streams.cc's. What waits is bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "base/bytes.h"
#include "base/random.h"
#include "base/time.h"

namespace tools::relay {

using base::Duration;

struct LinkSettings {
  // Of a million datagrams.
  std::uint32_t loss = 0;
  std::uint32_t duplication = 0;
  std::uint32_t reordering = 0;  // They come `reorder_delay` later than their place.

  Duration delay{0};
  Duration jitter{0};  // Up to so much more, without changing the order.
  Duration reorder_delay = std::chrono::milliseconds(5);
  std::uint64_t bits_per_second = 0;  // 0: no limit.
  bool cut = false;
};

struct LinkCounts {
  std::uint64_t received = 0;
  std::uint64_t forwarded = 0;
  std::uint64_t lost = 0;
  std::uint64_t cut = 0;  // Came while the link was cut, or were under way when it was.
  std::uint64_t duplicated = 0;
  std::uint64_t reordered = 0;
  std::uint64_t overflowed = 0;  // Found no room to wait in.
};

class Link {
 public:
  static constexpr std::size_t kWaitingMax = 8192;
  static constexpr std::size_t kWaitingBytesMax = std::size_t{16} * 1024 * 1024;

  explicit Link(std::uint64_t seed) : random_(seed) {}

  void set(const LinkSettings& settings);
  const LinkSettings& settings() const { return settings_; }
  void seed(std::uint64_t seed) { random_ = base::Random(seed); }

  void receive(Duration now, base::Bytes datagram);

  // A piece of a connection that comes now: when it goes on. What is lost is sent again, by whom
  // TCP would have it sent: later, after 200 ms and then twice as long each time, five times at
  // most. Nothing is duplicated or reordered, and a cut is the caller's business.
  Duration carry(Duration now, std::size_t bytes);

  // The next datagram that is due.
  std::optional<base::Buffer> poll(Duration now);

  // When the next one is due.
  std::optional<Duration> next_due() const;

  std::size_t waiting() const { return waiting_.size(); }
  const LinkCounts& counts() const { return counts_; }

 private:
  bool drawn(std::uint32_t of_a_million) { return random_.chance(of_a_million, 1'000'000); }
  Duration leaves(Duration now, std::size_t bytes);
  void wait(Duration due, base::Bytes datagram);

  base::Random random_;
  LinkSettings settings_;
  LinkCounts counts_;
  std::multimap<Duration, base::Buffer> waiting_;  // By when they are due; of a time, as they came.
  std::size_t waiting_bytes_ = 0;
  Duration last_due_{0};
  Duration sending_until_{0};
};

}  // namespace tools::relay
