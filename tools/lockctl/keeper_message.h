// What `lockctl convert`, `unlock` and `held` say to the process that keeps a lock, and its
// answers: one datagram each, on a Unix socket that only their user can reach.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/lock_mode.h"
#include "base/result.h"
#include "base/time.h"
#include "tools/lockctl/failure.h"

namespace tools::lockctl {

constexpr std::size_t kKeeperMessageMax = 8192;

enum class KeeperVerb : std::uint8_t { held = 0, convert = 1, unlock = 2 };

struct KeeperRequest {
  KeeperVerb verb = KeeperVerb::held;
  std::string whose;                         // Place::id() of the lock that is meant.
  base::LockMode mode = base::LockMode::ex;  // Of convert, as are the next two.
  std::optional<base::Duration> wait;        // None: without end. 0: not at all.
  bool read_value = false;
  std::optional<base::ValueBlock> value;  // To leave behind.
};

// How the lock stands, or why what was asked can not be done.
struct KeeperAnswer {
  int exit_code = 0;
  std::string message;  // Of a failure.
  std::uint64_t token = 0;
  base::LockMode mode = base::LockMode::nl;
  base::Duration valid{0};
  std::optional<base::ValueBlock> value;  // If it was read.
  bool value_invalid = false;
};

base::Buffer encode(const KeeperRequest& request);
base::Buffer encode(const KeeperAnswer& answer);

// None: it is no such message, or one of another version.
std::optional<KeeperRequest> decode_request(base::Bytes bytes);
std::optional<KeeperAnswer> decode_answer(base::Bytes bytes);

}  // namespace tools::lockctl
