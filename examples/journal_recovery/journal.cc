#include "journal.h"

#include <algorithm>

namespace journal_recovery {

Replay replay_of(const Header& header, const std::vector<std::string>& sectors) {
  Replay replay;
  for (std::size_t i = 0; i + 1 < sectors.size(); i += 2) {
    const auto intent = parse_intent(sectors[i]);
    const auto mark = parse_mark(sectors[i + 1]);
    const bool ours = intent && mark && mark->name == intent->name;
    // What an earlier life has left was brought to an end before this one began.
    if (ours && !mark->done && mark->name.life == header.life) {
      replay.committed.push_back(*intent);
    } else if (!ours && mark && !mark->done && mark->name.life == header.life) {
      replay.damaged = true;
    } else if (!ours && intent && intent->name.life == header.life) {
      ++replay.dropped;  // The mark is that of the transaction which had this entry before.
    }
  }
  std::sort(replay.committed.begin(), replay.committed.end(),
            [](const Intent& a, const Intent& b) { return a.name < b.name; });
  return replay;
}

}  // namespace journal_recovery
