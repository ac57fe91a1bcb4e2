// What the disk did, line by line in the order in which it did it: "ok" or "stale", and the write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace journal_recovery {

// A write as it is asked for: "write REGION SECTOR TOKEN TEXT".
struct Write {
  std::string region;
  unsigned sector = 0;
  std::uint64_t token = 0;
  std::string text;
};

struct Traced {
  bool stale = false;  // It was refused.
  Write write;
};

std::string text_of(const Write& write);
std::optional<Write> parse_write(const std::string& line);
std::string text_of(const Traced& traced);
std::optional<Traced> parse_traced(const std::string& line);

}  // namespace journal_recovery
