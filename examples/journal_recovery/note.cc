#include "note.h"

#include <algorithm>
#include <string>

namespace journal_recovery {
namespace {

const std::string kClean = "clean ";

}  // namespace

ringlock::value_block clean_note(std::uint64_t generation) {
  ringlock::value_block note{};
  const std::string text = kClean + std::to_string(generation);
  std::copy(text.begin(), text.end(), note.begin());
  return note;
}

bool is_clean(unsigned notes, const std::optional<ringlock::value_block>& value) {
  if ((notes & LOCK_NOTE_VALUE_INVALID) != 0 || !value) return false;
  return std::equal(kClean.begin(), kClean.end(), value->begin());
}

}  // namespace journal_recovery
