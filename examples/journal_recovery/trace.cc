#include "trace.h"

#include <sstream>

namespace journal_recovery {

std::string text_of(const Write& write) {
  return "write " + write.region + ' ' + std::to_string(write.sector) + ' ' +
         std::to_string(write.token) + ' ' + write.text;
}

std::optional<Write> parse_write(const std::string& line) {
  std::istringstream words(line);
  std::string verb;
  Write write;
  words >> verb >> write.region >> write.sector >> write.token;
  std::getline(words >> std::ws, write.text);
  return words && verb == "write" ? std::optional(write) : std::nullopt;
}

std::string text_of(const Traced& traced) {
  return (traced.stale ? "stale " : "ok ") + text_of(traced.write);
}

std::optional<Traced> parse_traced(const std::string& line) {
  const bool stale = line.starts_with("stale ");
  if (!stale && !line.starts_with("ok ")) return std::nullopt;
  const auto write = parse_write(line.substr(line.find(' ') + 1));
  return write ? std::optional(Traced{stale, *write}) : std::nullopt;
}

}  // namespace journal_recovery
