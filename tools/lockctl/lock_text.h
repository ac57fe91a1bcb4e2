// What is known of locks, their queues, values, deadlocks and lockspaces, for people (text.h).
#pragma once

#include <string>
#include <string_view>

#include "tools/lockctl/answers.h"
#include "tools/lockctl/blocking.h"
#include "tools/lockctl/keeper_message.h"

namespace tools::lockctl {

inline constexpr const char* kStaleNotice = "This daemon has no quorum: what it knew last.\n";

std::string text_of(const Showing& showing);
std::string text_of(const Blockings& blockings);
std::string text_of(const Deadlocks& deadlocks);
std::string text_of(const Lockspaces& lockspaces);

// The token; and the value on a second line, if it was read.
std::string text_of_held(const KeeperAnswer& held);

// The value as what parse_value() takes: text if it is that, without the zeros behind it; else 0x
// and hexadecimal digits.
std::string format_value(const base::ValueBlock& value);
std::string hexadecimal(const base::ValueBlock& value);

// "rw-r-----"
std::string permissions_text(unsigned permissions);

}  // namespace tools::lockctl
