// Clients that take and give back locks as fast as they are served.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/load/loop.h"
#include "tests/bench/lock_load/figures.h"
#include "tests/bench/lock_load/locks.h"
#include "tests/bench/lock_load/redis_locks.h"

namespace tests::lock_load {

// Which lock a client asks for next.
enum class Names {
  known,  // Its own, the same each time.
  fresh,  // One that nobody has ever asked for.
  one,    // The one that all ask for.
};

struct Cycles {
  std::size_t clients = 1;
  Names names = Names::known;
  base::Duration time{0};
  // What a client waits for before it asks again, where without that others would never have a
  // turn.
  Pause pause;
};

using MakeLocks = std::function<std::unique_ptr<Locks>(std::size_t client)>;

// After a start that is not counted; in the end each client comes to the end of its cycle.
Found measure(load::Loop& loop, const Cycles& cycles, const MakeLocks& make);

}  // namespace tests::lock_load
