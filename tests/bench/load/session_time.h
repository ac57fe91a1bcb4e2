// For services that keep a session by time: longer than any measurement, so that keeping it alive
// costs nobody anything.
#pragma once

#include "base/time.h"

namespace tests::load {

constexpr base::Duration kSessionTime = std::chrono::seconds(30);

}  // namespace tests::load
