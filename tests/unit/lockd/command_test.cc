// The ordered commands' bytes: docs/wire.md, "Ordered commands".
#include "lockd/command.h"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"

namespace lockd {
namespace {

const RingId kRing{0x0102030405060708, base::NodeId{9}, 0x1112131415161718};
const RingId kOther{7, base::NodeId{1}, 3};

const barrier::Name kBarrier{"l", std::string("b\0", 2)};
const barrier::OutcomeKey kKey{barrier::Generation{0x88}, barrier::Step::leave};
const BarrierSettings kSettings{
    {3, barrier::Unit::node, barrier::OnDeath::wait, true}, true, 0x1234};

template <typename Bits>
Bits counting_from(std::uint8_t first) {
  Bits value;
  for (std::byte& b : value.bits) b = std::byte{first++};
  return value;
}

Request request(std::uint64_t id) {
  return {SessionId{0x21}, Generation{2}, RequestId{id}, RequestId{id - 2}};
}

std::vector<Command> one_of_each() {
  const Mark mark{SessionId{0x21}, Generation{2}, kOther};
  return {
      {kRing, Open{OpenNumber{3}, counting_from<Secret>(0x30), counting_from<Instance>(0x50), 1000,
                   1001, 4711, "vi"}},
      {kRing, Resume{SessionId{0x21}, Generation{3}, counting_from<Secret>(0x30),
                     counting_from<Instance>(0x50)}},
      {kRing, Detached{SessionId{0x21}, Generation{2}}},
      {kRing, Close{SessionId{0x21}, Generation{2}}},
      {kRing, Acquire{request(6), "default", std::string("a\0b", 3), dlm::Mode::pr,
                      base::lock_flag::no_queue, dlm::Owner{9}, 500}},
      {kRing, Release{request(7), RequestId{6}, Token{0x77}, base::lock_flag::force}},
      {kRing, Cancel{request(8), RequestId{6}}},
      {kRing, Expire{mark}},
      {kRing, Purge{}},
      {kRing, ColdEnd{kOther}},
      {kRing, AcquireAll{request(9),
                         0,
                         dlm::Owner{9},
                         500,
                         {{"l", "a", dlm::Mode::ex}, {"l", "b", dlm::Mode::pr}}}},
      {kRing, Convert{request(11), RequestId{6}, dlm::Mode::ex, base::lock_flag::value_block, 500,
                      dlm::ValueBlock{std::byte{7}}}},
      {kRing, TimeOut{SessionId{0x21}, Generation{2}, RequestId{6}, RequestId{11}}},
      {kRing, DropOrphans{request(12), base::NodeId{3}, 4711}},
      {kRing, JoinLockspace{request(13), JoinLockspace::Kind::create_new, 0640, "l"}},
      {kRing, LeaveLockspace{request(14), true, "l"}, 0x12345678},
      {kRing, BarrierCreate{request(15), kBarrier, kSettings}},
      {kRing, BarrierChange{request(15), kBarrier, barrier::Attribute::patience, 7}},
      {kRing, BarrierArrive{request(15), kBarrier, kSettings, {std::byte{5}}}},
      {kRing, BarrierArrive{request(15), kBarrier, {}, {}}},
      {kRing, BarrierLeave{request(15), barrier::Generation{0x88}, {std::byte{5}}}},
      {kRing, BarrierWithdraw{request(15), kBarrier, RequestId{14}}},
      {kRing, BarrierCancel{request(15), kBarrier}},
      {kRing, BarrierDelete{request(15), kBarrier, true}},
      {kRing, BarrierAcknowledge{{{SessionId{0x21}, kKey}, {SessionId{0x22}, kKey}}}},
      {kRing, BarrierTimeOut{kKey}},
  };
}

base::Buffer encoded(const Command& command) {
  base::Buffer out;
  encode(command, out);
  return out;
}

std::string hex(base::Bytes bytes) {
  std::string text;
  for (std::byte b : bytes) {
    text += "0123456789abcdef"[std::to_integer<unsigned>(b) >> 4];
    text += "0123456789abcdef"[std::to_integer<unsigned>(b) & 15];
  }
  return text;
}

// What decodes is encoded as the same bytes again: there is one way only to write a command.
void check_that_it_is_refused_or_canonical(base::Bytes bytes) {
  const auto command = decode_command(kRing, bytes);
  if (!command) return;
  const base::Buffer again = encoded(*command);
  CHECK(std::vector<std::byte>(bytes.begin(), bytes.end()) == again);
}

TEST_CASE("a command is read back as it was written") {
  for (const Command& command : one_of_each()) {
    const auto back = decode_command(kRing, encoded(command));
    REQUIRE(back.has_value());
    CHECK(*back == command);
  }
}

TEST_CASE("a command's bytes are those of docs/wire.md") {
  const std::string second = "00000000";
  const std::string other = "0700000000000000010000000300000000000000";
  const std::string session = "21000000000000000200000000000000";
  const std::string secret = "303132333435363738393a3b3c3d3e3f";
  const std::string instance = "505152535455565758595a5b5c5d5e5f";
  const std::string at_fifteen = session + "0f00000000000000" + "0d00000000000000";
  const std::string settings =
      "03000000"
      "01"
      "02"
      "01"
      "01"
      "34120000";
  const std::vector<std::string> golden = {
      second + "01" + "0300000000000000" + secret + instance + "e8030000" + "e9030000" +
          "67120000" + "02" + "7669",
      second + "02" + "21000000000000000300000000000000" + secret + instance,
      second + "03" + session,
      second + "04" + session,
      second + "05" + session + "0600000000000000" + "0400000000000000" + "03" + "01000000" +
          "0900000000000000" + "f4010000" + "0764656661756c74" + "03610062",
      second + "06" + session + "0700000000000000" + "0500000000000000" + "0600000000000000" +
          "7700000000000000" + "00000200" + "00",
      second + "07" + session + "0800000000000000" + "0600000000000000" + "0600000000000000",
      second + "08" + session + other,
      second + "09",
      second + "0a" + other,
      second + "0b" + session + "0900000000000000" + "0700000000000000" + "00000000" +
          "0900000000000000" + "f4010000" + "02" + "05016c0161" + "03016c0162",
      second + "0c" + session + "0b00000000000000" + "0900000000000000" + "0600000000000000" +
          "05" + "08000000" + "f4010000" + "01" + "07" + std::string(62, '0'),
      second + "0d" + session + "0600000000000000" + "0b00000000000000",
      second + "0e" + session + "0c00000000000000" + "0a00000000000000" + "03000000" + "67120000",
      second + "0f" + session + "0d00000000000000" + "0b00000000000000" + "02" + "a001" + "016c",
      std::string("78563412") + "10" + session + "0e00000000000000" + "0c00000000000000" + "01" +
          "016c",
      second + "11" + at_fifteen + "016c026200" + settings,
      second + "12" + at_fifteen + "016c026200" + "02" + "07000000",
      second + "13" + at_fifteen + "016c026200" + "01" + settings + "010005",
      second + "13" + at_fifteen + "016c026200" + "00" + "0000",
      second + "14" + at_fifteen + "8800000000000000" + "010005",
      second + "15" + at_fifteen + "016c026200" + "0e00000000000000",
      second + "16" + at_fifteen + "016c026200",
      second + "17" + at_fifteen + "016c026200" + "01",
      second + "18" + "02" + "2100000000000000" + "880000000000000001" + "2200000000000000" +
          "880000000000000001",
      second + "19" + "880000000000000001",
  };
  const std::vector<Command> commands = one_of_each();
  REQUIRE(commands.size() == golden.size());
  for (std::size_t i = 0; i < golden.size(); ++i) CHECK(hex(encoded(commands[i])) == golden[i]);
}

TEST_CASE("the example of docs/wire.md is what it says") {
  const Command example{
      {3, base::NodeId{9}, 17},
      Release{
          {SessionId{33}, Generation{2}, RequestId{7}, RequestId{5}}, RequestId{6}, Token{119}}};
  CHECK(hex(encoded(example)) ==
        "00000000"
        "06"
        "21000000000000000200000000000000"
        "07000000000000000500000000000000"
        "06000000000000007700000000000000"
        "0000000000");
}

TEST_CASE("a command that is cut short, or goes on, is refused") {
  for (const Command& command : one_of_each()) {
    base::Buffer bytes = encoded(command);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CHECK_FALSE(decode_command(kRing, base::Bytes(bytes).first(size)).has_value());
    }
    bytes.push_back(std::byte{0});
    CHECK_FALSE(decode_command(kRing, bytes).has_value());
  }
}

TEST_CASE("a command with a bit flipped is refused, or is another command") {
  for (const Command& command : one_of_each()) {
    base::Buffer bytes = encoded(command);
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
      check_that_it_is_refused_or_canonical(bytes);
      const auto other = decode_command(kRing, bytes);
      CHECK((!other || *other != command));
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    }
  }
}

TEST_CASE("random bytes are refused, or are a command") {
  base::Random random(1);
  for (int i = 0; i < 20000; ++i) {
    base::Buffer bytes = encoded({kRing, Purge{}});
    bytes.back() = static_cast<std::byte>(random.below(19));
    const std::uint64_t more = random.below(120);
    for (std::uint64_t j = 0; j < more; ++j)
      bytes.push_back(static_cast<std::byte>(random.below(8)));
    check_that_it_is_refused_or_canonical(bytes);
  }
}

TEST_CASE("names of the greatest length are taken, an empty or longer one is refused") {
  Acquire acquire{request(6), std::string(64, 'l'), std::string(255, 'r'), dlm::Mode::ex};
  const auto back = decode_command(kRing, encoded({kRing, acquire}));
  REQUIRE(back.has_value());
  CHECK(std::get<Acquire>(back->body) == acquire);

  acquire.lockspace = "l";
  acquire.resource = "r";
  base::Buffer bytes = encoded({kRing, acquire});
  const std::size_t lockspace = bytes.size() - 4;
  base::Buffer no_lockspace = bytes;
  no_lockspace[lockspace] = std::byte{0};
  no_lockspace.erase(no_lockspace.begin() + static_cast<std::ptrdiff_t>(lockspace) + 1);
  CHECK_FALSE(decode_command(kRing, no_lockspace).has_value());
  base::Buffer no_resource = bytes;
  no_resource.pop_back();
  no_resource.back() = std::byte{0};
  CHECK_FALSE(decode_command(kRing, no_resource).has_value());
  base::Buffer long_lockspace = bytes;
  long_lockspace[lockspace] = std::byte{65};
  long_lockspace.insert(long_lockspace.end() - 2, 64, std::byte{'l'});
  CHECK_FALSE(decode_command(kRing, long_lockspace).has_value());
}

TEST_CASE("unknown kinds, modes and flags are refused") {
  base::Buffer bytes = encoded({kRing, Purge{}});
  for (int kind : {0, 17, 255}) {
    bytes.back() = static_cast<std::byte>(kind);
    CHECK_FALSE(decode_command(kRing, bytes).has_value());
  }
  const base::Buffer acquire = encoded({kRing, Acquire{request(6), "l", "r", dlm::Mode::ex}});
  const std::size_t mode = acquire.size() - 21;
  base::Buffer bad_mode = acquire;
  bad_mode[mode] = std::byte{6};
  CHECK_FALSE(decode_command(kRing, bad_mode).has_value());
  base::Buffer release = encoded({kRing, Release{request(7), RequestId{6}, Token{1}}});
  release.back() = std::byte{2};
  CHECK_FALSE(decode_command(kRing, release).has_value());
}

}  // namespace
}  // namespace lockd
