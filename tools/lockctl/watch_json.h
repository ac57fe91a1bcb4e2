// What `lockctl watch` prints: each event is one JSON object on a line that is ended, with its type
// in "event".
#pragma once

#include <liblock/watch.h>

#include <optional>
#include <string>
#include <vector>

namespace tools::lockctl {

// The types that can be asked for, and what liblock calls one.
const std::vector<std::string>& watch_words();
std::optional<lock_watch_kind> watch_kind_of(const std::string& word);

std::string json_of(const lock_watch_event& event);

}  // namespace tools::lockctl
