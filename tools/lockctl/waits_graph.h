// Who waits for whom as a graph for graphviz: a box for each session, an arrow from who waits to
// whom he waits for. The arrows of recent deadlocks are drawn beside them, red and broken.
#pragma once

#include <string>

#include "tools/lockctl/answers.h"

namespace tools::lockctl {

std::string dot_of(const Waits& waits, const Deadlocks& deadlocks);

}  // namespace tools::lockctl
