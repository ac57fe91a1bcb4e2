// The client's side: whatever a daemon answers, its state machines keep going, and a grant is valid
// for no longer than a lease.
#include "liblock/client_machine.h"
#include "liblock/evs_machine.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace std::chrono_literals;
namespace protocol = liblock::protocol;

// A kind of question from here on is about barriers; below, of any mode.
constexpr std::uint8_t kOfBarriers = 192;

// What can be asked of barriers; `last` is the last arrival.
void ask_of_barriers(liblock::ClientMachine& machine, base::Instant now, unsigned what,
                     std::uint64_t& last, fuzz::Input& input) {
  const std::uint8_t detail = input.u8();
  protocol::BarrierConfig config;
  config.parties = detail % 4;
  config.on_death = static_cast<protocol::BarrierOnDeath>(detail / 4 % 4);
  config.two_steps = detail % 32 >= 16;
  switch (what % 8) {
    case 0:
    case 1:
      if (const auto id = machine.arrive(now, {"default", "name", config, "value"})) {
        last = base::value(*id);
      }
      break;
    case 2:
      machine.leave_barrier(now, protocol::BarrierGeneration{detail}, "value");
      break;
    case 3:
      machine.withdraw(now, base::RequestId{last});
      break;
    case 4:
      machine.forget_operation(now, base::RequestId{detail});
      break;
    case 5:
      machine.create_barrier(now, "default", "name", config);
      break;
    case 6:
      machine.change_barrier(now, "default", "name",
                             static_cast<protocol::BarrierAttribute>(detail % 4), detail);
      break;
    case 7:
      machine.cancel_barrier(now, "default", "name");
      machine.delete_barrier(now, "default", "name", detail % 2 == 0);
      break;
  }
}

// What can be asked beside the plain requests.
void ask_more(liblock::ClientMachine& machine, base::Instant now, unsigned what,
              std::uint64_t& last, fuzz::Input& input) {
  const base::RequestId lock{last};
  const std::uint8_t kind = input.u8();
  if (kind >= kOfBarriers) return ask_of_barriers(machine, now, what, last, input);
  const auto mode = static_cast<protocol::Mode>(kind % 6);
  const base::LockFlags flags = base::LockFlags{input.u8()} << (what >> 4);
  switch (what % 8) {
    case 0:
      if (const auto id = machine.acquire(now, {"default", "name", mode, flags, 1, 50})) {
        last = base::value(*id);
      }
      break;
    case 1: {
      const liblock::AllRequest all{{{mode, "default", "a"}, {mode, "default", "b"}}, flags, 1, 50};
      if (const auto id = machine.acquire_all(now, all)) last = base::value(*id);
      break;
    }
    case 2:
      machine.convert(now, lock, {mode, flags, 50, {}});
      break;
    case 3:
      machine.release(now, lock, flags | base::lock_flag::force, base::ValueBlock{});
      break;
    case 4:
      machine.join(now, "default", static_cast<protocol::JoinKind>(flags % 3), 0600);
      break;
    case 5:
      machine.leave(now, "default", flags % 2 == 0);
      break;
    case 6:
      machine.drop_orphans(now, base::NodeId{1}, flags);
      break;
    case 7:
      machine.forget(now, lock);
      machine.forget_operation(now, base::RequestId{last + 1});
      break;
  }
}

void of_locks(fuzz::Input input) {
  base::Instant now{1000s, 900s};
  liblock::ClientConfig config;
  config.command = "fuzz";
  config.query_only = input.u8() % 8 == 1;
  liblock::ClientMachine machine(config);
  std::uint64_t last = 0;
  std::uint32_t watch = 0;
  bool connected = false;
  while (!input.empty()) {
    const std::uint8_t what = input.u8();
    now = now + std::chrono::milliseconds(what >> 4);
    if (connected && !machine.wants_connection()) {
      machine.handle_disconnected(now);
      connected = false;
    }
    if (!connected && machine.wants_connection()) {
      machine.handle_connected(now);
      connected = true;
    }
    if ((what & 8) != 0) ask_more(machine, now, what, last, input);
    switch ((what & 8) != 0 ? 8 : what % 8) {
      case 0:
      case 1:
      case 2: {
        if (!connected) break;
        // As a daemon would frame it.
        const base::Bytes content = input.piece();
        base::Buffer frame;
        base::ByteWriter(frame).bytes32(content);
        machine.handle_bytes(now, frame);
        break;
      }
      case 3:
        if (connected) machine.handle_bytes(now, input.piece());
        break;
      case 4:
        if (const auto id = machine.acquire(now, "default", "name", protocol::Mode::ex, false)) {
          last = base::value(*id);
        }
        break;
      case 5:
        machine.release(now, base::RequestId{last});
        break;
      case 6: {
        const std::uint8_t which = input.u8();
        if (which % 2 == 0) {
          machine.cancel(now, base::RequestId{last});
        } else if (which % 4 == 1) {
          machine.query(now, protocol::StatusQuery{});
        } else if (const auto id = machine.query(now, protocol::Watch{})) {
          watch = *id;
        } else {
          machine.forget_query(now, watch);
        }
        break;
      }
      case 7:
        if (connected) machine.handle_disconnected(now);
        connected = false;
        now = now + std::chrono::milliseconds(input.u8()) * 4;
        machine.handle_timeout(now);
        break;
    }
    while (machine.poll_transmit()) {
    }
    while (machine.poll_event()) {
    }
    machine.valid_for(now, base::RequestId{last});
    const auto due = machine.next_timeout();
    if (due && *due <= now.boot) machine.handle_timeout(now);
  }
}

void of_groups(fuzz::Input input) {
  liblock::EvsMachine machine({}, "fuzz");
  machine.handle_connected({1000s, 900s});
  const base::GroupKey group{};
  while (!input.empty() && !machine.end()) {
    switch (input.u8() % 8) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const base::Bytes content = input.piece();
        base::Buffer frame;
        base::ByteWriter(frame).bytes32(content);
        machine.handle_bytes(frame);
        break;
      }
      case 4:
        machine.handle_bytes(input.piece());
        break;
      case 5:
        machine.multicast(protocol::Guarantee::safe, std::span(&group, 1), input.piece());
        break;
      case 6:
        machine.join(std::span(&group, 1));
        break;
      case 7:
        machine.leave(std::span(&group, 1));
        break;
    }
    machine.poll_transmit();
    while (machine.has_event()) machine.take_event();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  if (data[0] % 2 == 0) {
    of_locks(fuzz::Input(data + 1, size - 1));
  } else {
    of_groups(fuzz::Input(data + 1, size - 1));
  }
  return 0;
}
