// What a node says of what it does, a line each.
#pragma once

#include <cstdio>
#include <string>

namespace journal_recovery {

inline void tell(const std::string& line) {
  std::puts(line.c_str());
  std::fflush(stdout);
}

}  // namespace journal_recovery
