// The image of a table: what is read back is the same table, and commands can be applied to it.
#include "base/ids.h"
#include "lockd/command.h"
#include "lockd/state.h"
#include "tests/fuzz/fuzz.h"

constexpr base::RingId kRing{7, base::NodeId{1}, 3};

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const base::Bytes image = input.piece();
  auto state = lockd::State::deserialize(image);
  if (!state) {
    // Without an image commands meet an empty table.
    state.emplace();
  } else {
    base::Buffer again;
    state->serialize(again);
    fuzz::require(fuzz::equal(again, image), "a table has one image");
  }
  lockd::Effects effects;
  while (!input.empty()) {
    const base::Processor origin{base::NodeId{input.u8() % 4u + 1}, base::Incarnation{1}};
    if (const auto command = lockd::decode_command(kRing, input.piece())) {
      state->apply(origin, *command, effects);
    } else {
      const lockd::Departure departure{origin, {}};
      state->apply_departures(kRing, std::span(&departure, 1), effects);
    }
  }
  base::Buffer end;
  state->serialize(end);
  const auto copy = lockd::State::deserialize(end);
  fuzz::require(copy.has_value(), "every table has an image that can be read");
  fuzz::require(copy->digest() == state->digest(), "and stands for the same");
  return 0;
}
