// Parties that use a double barrier again and again, all from a common start.
#pragma once

#include <functional>
#include <memory>

#include "tests/bench/barrier_load/figures.h"
#include "tests/bench/barrier_load/party.h"
#include "tests/bench/load/loop.h"

namespace tests::barrier_load {

using MakeParty = std::function<std::unique_ptr<Party>(std::size_t number)>;  // From 1.

// First some uses in which one party is late in each step, then some that are not counted; then
// what takes `time`, at least one. Throws std::runtime_error if anybody passes who should not, or
// does not pass who should.
Found measure(load::Loop& loop, std::size_t parties, base::Duration time, const MakeParty& make);

}  // namespace tests::barrier_load
