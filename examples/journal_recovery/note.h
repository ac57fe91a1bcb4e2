// What a lock's value says of what the lock protects: "clean", and since which recovery. A value
// that is marked invalid says that its last writer died before he was done. One that says nothing
// is new: nobody in the whole cluster had the lock before, and only the disk knows.
#pragma once

#include <cstdint>
#include <liblock/held.hpp>
#include <optional>

namespace journal_recovery {

ringlock::value_block clean_note(std::uint64_t generation);

// `notes` and value as they came with the grant.
bool is_clean(unsigned notes, const std::optional<ringlock::value_block>& value);

}  // namespace journal_recovery
