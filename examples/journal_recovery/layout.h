// Where the sectors are in the disk's one file. It is divided in regions, and each region has a
// lock of the same name in the lockspace, and a fence of the same name in front of it: "journal/2",
// "block/5".
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "record.h"

namespace journal_recovery {

constexpr const char* kLockspace = "journal_recovery";

std::string journal_region(unsigned journal);  // 1 to Superblock::journals.
std::string block_region(unsigned block);      // 0 to Superblock::blocks - 1.

// Of a journal: sector 0 is the header, then each entry has an intent and a mark.
unsigned intent_sector(const Superblock& superblock, std::uint64_t sequence);
unsigned mark_sector(const Superblock& superblock, std::uint64_t sequence);
unsigned journal_sectors(const Superblock& superblock);

// In bytes from the beginning of the file. None: there is no such sector.
std::optional<std::size_t> offset_of(const Superblock& superblock, const std::string& region,
                                     unsigned sector);
std::size_t disk_bytes(const Superblock& superblock);

// A new disk, on which nothing has happened.
std::string formatted(const Superblock& superblock);

// The text of the sector at an offset that is there.
std::string sector_at(const std::string& image, std::size_t offset);

// The text of a sector as it is written: filled up with zeros. At most kSectorBytes long.
std::string padded(std::string text);

}  // namespace journal_recovery
