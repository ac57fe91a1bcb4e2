// The resources that the simulated locks guard: each compares fencing tokens, and refuses whoever
// comes with an older one than it has seen. A write must be newer than everything, a read newer
// than every write.
#pragma once

#include <algorithm>
#include <map>
#include <string>

#include "base/ids.h"

namespace sim {

class Resources {
 public:
  bool access(const std::string& resource, bool write, base::Token token) {
    Seen& seen = seen_[resource];
    if (token < (write ? std::max(seen.read, seen.written) : seen.written)) return false;
    base::Token& highest = write ? seen.written : seen.read;
    highest = std::max(highest, token);
    return true;
  }

 private:
  struct Seen {
    base::Token read{};
    base::Token written{};
  };
  std::map<std::string, Seen> seen_;
};

}  // namespace sim
