// What a journal says when its owner is gone: which of its transactions have to be brought to an
// end, and which ones never happened.
#pragma once

#include <string>
#include <vector>

#include "record.h"

namespace journal_recovery {

struct Replay {
  std::vector<Intent> committed;  // And not done, in the order in which they were written.
  unsigned dropped = 0;           // Begun and not committed: no block has anything of them.
  bool damaged = false;           // Something was committed whose intent can not be read.
};

// `sectors` are those behind the header: intent, mark, intent, mark...
Replay replay_of(const Header& header, const std::vector<std::string>& sectors);

}  // namespace journal_recovery
