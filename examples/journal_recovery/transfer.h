// A transaction: moves money from one block to another, by way of the journal.
#pragma once

#include <cstdint>

#include "volume.h"

namespace journal_recovery {

struct Transfer {
  unsigned from = 0;
  unsigned to = 0;
  std::int64_t amount = 0;
};

// The owner of a journal does one after the other. False: nothing has happened, since a lock could
// not be had, or somebody died with it. Throws Lost and Refused; then it is for others to find out
// how far it has come.
bool carry_out(Volume& volume, const Transfer& transfer, std::uint64_t sequence);

}  // namespace journal_recovery
