// What a client has asked of its daemon and has no final answer to, as it is asked again after a
// reconnect. Their ids and their order are liblock/requests.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "liblock/outcome_parts.h"
#include "liblock/protocol/barrier_messages.h"
#include "liblock/protocol/lock_messages.h"

namespace liblock {

using base::LockFlags;
using base::RequestId;
using base::Token;
using base::ValueBlock;

// How a wait that ended is told: by its outcome, or, when its caller has gone, by none.
enum class Caller : std::uint8_t {
  waits,
  gone,      // What is granted is given back; what is converted stays as it is. An arrival is taken
             // back, or its outcome is told to nobody.
  released,  // As gone, but a release that ends it is under way.
};

struct AcquireCommand {
  std::string lockspace;
  std::string resource;
  protocol::Mode mode{};
  LockFlags flags = 0;
  std::uint64_t owner = 0;
  std::uint32_t patience = 0;
  Caller caller = Caller::waits;
};

// Takes as many ids as there are parts.
struct AcquireAllCommand {
  std::vector<protocol::AcquirePart> parts;
  LockFlags flags = 0;
  std::uint64_t owner = 0;
  std::uint32_t patience = 0;
  Caller caller = Caller::waits;
  std::vector<std::optional<protocol::Reply>> outcomes{};  // The final ones, as they come.
};

struct ConvertCommand {
  RequestId acquire{};
  protocol::Mode mode{};
  LockFlags flags = 0;
  std::uint32_t patience = 0;
  std::optional<ValueBlock> value;
  bool reported = true;  // Somebody waits for the outcome.
};

struct ReleaseCommand {
  RequestId acquire{};
  Token token{};
  LockFlags flags = 0;
  std::optional<ValueBlock> value;
  bool waited = false;  // It was no grant when it was released.
  bool reported = false;
};

struct CancelCommand {
  RequestId acquire{};
  RequestId target{};  // What waits: the acquire, or a conversion of its lock.
};

struct DropOrphansCommand {
  base::NodeId node{};
  std::uint32_t pid = 0;
  bool reported = true;
};

struct JoinCommand {
  std::string lockspace;
  protocol::JoinKind kind{};
  std::uint16_t permissions = 0;
  bool again = false;  // In a new session, what had been joined in the last one.
  bool reported = true;
};

struct LeaveCommand {
  std::string lockspace;
  bool force = false;
  bool reported = true;
};

struct BarrierArriveCommand {
  std::string lockspace;
  std::string barrier;
  protocol::BarrierConfig config;
  std::string value;
  Caller caller = Caller::waits;
  OutcomeParts outcome{};  // What was told of it on this connection.
};

struct BarrierLeaveCommand {
  protocol::BarrierGeneration generation{};
  std::string value;
  Caller caller = Caller::waits;
};

struct BarrierWithdrawCommand {
  std::string lockspace;
  std::string barrier;
  RequestId arrival{};
};

// What is answered at once; the header of the message is set when it is sent.
struct BarrierCommand {
  std::variant<protocol::BarrierCreate, protocol::BarrierChange, protocol::BarrierCancel,
               protocol::BarrierDelete>
      message;
  bool reported = true;
};

using Command =
    std::variant<AcquireCommand, AcquireAllCommand, ConvertCommand, ReleaseCommand, CancelCommand,
                 DropOrphansCommand, JoinCommand, LeaveCommand, BarrierArriveCommand,
                 BarrierLeaveCommand, BarrierWithdrawCommand, BarrierCommand>;

}  // namespace liblock
