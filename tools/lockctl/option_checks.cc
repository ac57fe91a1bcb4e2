#include "tools/lockctl/option_checks.h"

#include <CLI/CLI.hpp>

#include "tools/lockctl/duration.h"
#include "tools/lockctl/name.h"

namespace tools::lockctl {

base::Duration duration_of(const std::string& option, const std::string& text) {
  const auto duration = parse_duration(text);
  if (!duration) throw CLI::ValidationError(option, duration.error());
  return *duration;
}

std::string checked_name(const std::string& text) {
  const auto answer = check_name(text);
  return answer ? std::string() : answer.error();
}

std::string checked_lockspace(const std::string& text) {
  if (text.empty() || text.size() > 64 || !check_name(text)) {
    return "the name of a lockspace has 1 to 64 readable bytes";
  }
  return {};
}

}  // namespace tools::lockctl
