// Two ring members that stand in a ring; a third voice, which has the key, changes what they say to
// each other and adds what it likes. They may lose messages and each other; their invariants hold.
#include <array>
#include <deque>
#include <memory>

#include "evs/codec.h"
#include "evs/node.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace std::chrono_literals;

constexpr std::array kNodes = {base::NodeId{1}, base::NodeId{2}, base::NodeId{3}};

struct Datagram {
  std::size_t from = 0;
  base::Buffer bytes;
};

class World {
 public:
  World() {
    for (std::size_t i = 0; i < 2; ++i) {
      evs::Config config;
      config.self = kNodes[i];
      config.nodes.assign(kNodes.begin(), kNodes.end());
      config.personal_window = 4;
      config.accelerated_window = 2;
      config.rotation_window = 8;
      config.outstanding_max = 32;
      members_[i] =
          std::make_unique<evs::Node>(config, base::Incarnation{i + 10}, base::Random(i + 1), now_);
    }
    // Undisturbed they find each other.
    for (int i = 0; i < 2000 && members_[0]->regular().members.size() < 2; ++i) advance(1ms);
    fuzz::require(members_[0]->regular().members.size() == 2, "two members form a ring");
    run(50);
  }

  void step(fuzz::Input& input) {
    const std::uint8_t what = input.u8();
    const std::size_t to = what >> 7;
    switch (what % 8) {
      case 0:
        run(1 + what / 8 % 8);
        break;
      case 1:
        advance(std::chrono::milliseconds(input.u8()));
        break;
      case 2: {
        const base::Bytes payload = input.piece();
        members_[to]->multicast(now_, static_cast<evs::Service>(what / 8 % 4), payload);
        break;
      }
      case 3:
        change_next(input);
        break;
      case 4:
        if (!wires_[to].empty()) wires_[to].pop_front();
        break;
      case 5: {
        // Whatever comes, of the other member or of the third node.
        const base::Bytes bytes = input.piece();
        members_[to]->handle_datagram(now_, kNodes[what & 0x40 ? 2 : 1 - to], bytes);
        break;
      }
      case 6:
      case 7:
        say_in_this_ring(to, what, input.piece());
        break;
    }
    drain();
  }

  void check() const {
    for (const auto& member : members_) member->check_invariants();
  }

 private:
  void drain() {
    for (std::size_t i = 0; i < 2; ++i) {
      while (auto transmit = members_[i]->poll_transmit()) {
        const auto message = evs::decode(transmit->datagram);
        fuzz::require(message.has_value(), "what is sent can be decoded");
        if (const auto* token = std::get_if<evs::TokenMessage>(&*message)) last_hop_ = token->hop;
        // Bits are places among the configured nodes.
        for (std::size_t to = 0; to < 2; ++to) {
          if (transmit->to >> to & 1 && wires_[to].size() < 256) {
            wires_[to].push_back({i, transmit->datagram});
          }
        }
      }
      while (members_[i]->poll_event()) {
      }
    }
  }

  // Delivers so many datagrams.
  void run(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      drain();
      const std::size_t to = wires_[i % 2].empty() ? 1 - i % 2 : i % 2;
      if (wires_[to].empty()) return;
      const Datagram next = std::move(wires_[to].front());
      wires_[to].pop_front();
      now_ = now_ + 100us;
      members_[to]->handle_datagram(now_, kNodes[next.from], next.bytes);
    }
    drain();
  }

  void advance(base::Duration time) {
    now_ = now_ + time;
    for (const auto& member : members_) {
      const auto due = member->next_timeout();
      if (due && *due <= now_.boot) member->handle_timeout(now_);
    }
    run(4);
  }

  // Bytes of the next datagram are others.
  void change_next(fuzz::Input& input) {
    const std::size_t at = input.u8();
    const base::Bytes with = input.bytes(1 + input.u8() % 8);
    for (auto& wire : wires_) {
      if (wire.empty()) continue;
      base::Buffer& bytes = wire.front().bytes;
      for (std::size_t i = 0; i < with.size() && at + i < bytes.size(); ++i)
        bytes[at + i] = with[i];
      return;
    }
  }

  // A message of the grammar, made one of the ring that the member stands in.
  void say_in_this_ring(std::size_t to, std::uint8_t what, base::Bytes bytes) {
    auto message = evs::decode(bytes);
    if (!message) return;
    const base::RingId ring = members_[to]->regular().id;
    std::visit(
        [&](auto& one) {
          if constexpr (requires { one.ring; }) {
            if (!(what & 0x08)) one.ring = ring;
          }
          if constexpr (requires { one.hop; }) {
            // As much above the last token's as it says, so that it is a later one.
            if (what & 0x10) one.hop = static_cast<decltype(one.hop)>(one.hop + last_hop_);
          }
        },
        *message);
    members_[to]->handle_datagram(now_, kNodes[what & 0x40 ? 2 : 1 - to], evs::encode(*message));
  }

  base::Instant now_{1000s, 900s};
  std::array<std::unique_ptr<evs::Node>, 2> members_;
  std::array<std::deque<Datagram>, 2> wires_;
  std::uint64_t last_hop_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  World world;
  fuzz::Input input(data, size);
  for (int steps = 0; !input.empty() && steps < 200; ++steps) world.step(input);
  world.check();
  return 0;
}
