// Judges a disk when all is over: from its sectors what stands there now, and from its trace, write
// by write, whether that came about as it must. It takes no lock and believes nobody.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trace.h"

namespace journal_recovery {

struct Verdict {
  std::vector<std::string> complaints;  // None: all is well.
  unsigned transactions = 0;            // Committed.
  unsigned recoveries = 0;              // Of a journal whose owner had died.
  unsigned replayed = 0;                // Transactions that a recovery brought to an end,
  unsigned dropped = 0;                 // and those of which it left nothing.
  unsigned interrupted = 0;             // Recoveries that another one had to do again.
  unsigned refused = 0;                 // Writes that came too late.
};

Verdict check(const std::string& image, const std::vector<Traced>& trace);

}  // namespace journal_recovery
