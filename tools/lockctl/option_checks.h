// What several verbs check of their arguments. The answer is empty, or says what would be right.
#pragma once

#include <string>

#include "base/time.h"

namespace tools::lockctl {

std::string checked_name(const std::string& text);
std::string checked_lockspace(const std::string& text);

// Throws what CLI11 understands.
base::Duration duration_of(const std::string& option, const std::string& text);

}  // namespace tools::lockctl
