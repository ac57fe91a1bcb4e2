// What is known of locks, their queues, values, deadlocks and lockspaces, for programs (json.h).
#pragma once

#include <string>

#include "tools/lockctl/answers.h"
#include "tools/lockctl/blocking.h"
#include "tools/lockctl/keeper_message.h"

namespace tools::lockctl {

std::string json_of(const Showing& showing);
std::string json_of(const Blockings& blockings);
std::string json_of(const Deadlocks& deadlocks);
std::string json_of(const Lockspaces& lockspaces);
std::string json_of_held(const std::string& name, const KeeperAnswer& held);

}  // namespace tools::lockctl
