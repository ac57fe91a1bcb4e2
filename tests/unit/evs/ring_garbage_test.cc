// What a member that has the key but is broken may send: datagrams of this ring, heard before, some
// of their bits turned. Nothing is promised of such a ring but that no member goes down with it.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <string>

#include "base/random.h"
#include "evs/codec.h"
#include "tests/unit/evs/test_ring.h"

namespace evs {
namespace {

constexpr Number kMembers = 3;
constexpr std::uint64_t kRuns = 60;
constexpr int kSteps = 400;
constexpr std::size_t kRemembered = 50;

// Headers and counts are near the beginning; what comes far behind is payload.
constexpr std::size_t kBytesTurned = 120;

struct Heard {
  Number from;
  Number to;
  Buffer bytes;
};

void turn_bits(base::Random& random, Buffer& bytes) {
  for (std::uint64_t left = random.between(1, 3); left > 0; --left) {
    const std::uint64_t bit = random.below(8 * std::min(bytes.size(), kBytesTurned));
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  }
}

}  // namespace

TEST_CASE("datagrams of a broken member, old or with bits turned, take nobody down") {
  for (std::uint64_t seed = 1; seed <= kRuns; ++seed) {
    CAPTURE(seed);
    base::Random random(seed);
    TestRing ring(kMembers);
    ring.start_all();
    std::deque<Heard> heard;
    ring.fate = [&](Number from, Number to, const Message& message) {
      heard.push_back({from, to, encode(message)});
      if (heard.size() > kRemembered) heard.pop_front();
      return random.chance(1, 20) ? Fate::drop : Fate::deliver;
    };
    for (int step = 0; step < kSteps; ++step) {
      ring.run_for(std::chrono::microseconds(random.below(3000)));
      if (random.chance(1, 3)) {
        // A full queue is as good.
        (void)ring.multicast(static_cast<Number>(random.between(1, kMembers)),
                             static_cast<Service>(random.below(4)),
                             std::string(random.below(3000), 'x'));
      }
      if (heard.empty()) continue;
      Heard again = heard[random.below(heard.size())];
      if (random.chance(2, 3)) turn_bits(random, again.bytes);
      ring.inject(again.from, again.to, again.bytes);
    }
    for (Number number = 1; number <= kMembers; ++number) ring.node(number).check_invariants();
  }
}

}  // namespace evs
