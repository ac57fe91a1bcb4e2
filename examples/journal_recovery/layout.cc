#include "layout.h"

#include <charconv>
#include <string_view>

namespace journal_recovery {
namespace {

// The number behind the prefix.
std::optional<unsigned> number_in(std::string_view region, std::string_view prefix) {
  if (!region.starts_with(prefix)) return std::nullopt;
  region.remove_prefix(prefix.size());
  unsigned number = 0;
  const char* end = region.data() + region.size();
  const auto parsed = std::from_chars(region.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return number;
}

}  // namespace

std::string journal_region(unsigned journal) {
  return "journal/" + std::to_string(journal);
}

std::string block_region(unsigned block) {
  return "block/" + std::to_string(block);
}

unsigned intent_sector(const Superblock& superblock, std::uint64_t sequence) {
  return 1 + 2 * static_cast<unsigned>(sequence % superblock.entries);
}

unsigned mark_sector(const Superblock& superblock, std::uint64_t sequence) {
  return intent_sector(superblock, sequence) + 1;
}

unsigned journal_sectors(const Superblock& superblock) {
  return 1 + 2 * superblock.entries;
}

std::optional<std::size_t> offset_of(const Superblock& superblock, const std::string& region,
                                     unsigned sector) {
  const std::size_t in_journal = journal_sectors(superblock);
  if (const auto journal = number_in(region, "journal/")) {
    if (*journal < 1 || *journal > superblock.journals || sector >= in_journal) return std::nullopt;
    return (1 + (*journal - 1) * in_journal + sector) * kSectorBytes;
  }
  if (const auto block = number_in(region, "block/")) {
    if (*block >= superblock.blocks || sector != 0) return std::nullopt;
    return (1 + superblock.journals * in_journal + *block) * kSectorBytes;
  }
  return std::nullopt;
}

std::size_t disk_bytes(const Superblock& superblock) {
  return (1 + std::size_t{superblock.journals} * journal_sectors(superblock) + superblock.blocks) *
         kSectorBytes;
}

std::string formatted(const Superblock& superblock) {
  std::string image(disk_bytes(superblock), '\0');
  const auto put = [&image](std::size_t offset, const std::string& text) {
    image.replace(offset, kSectorBytes, padded(text));
  };
  put(0, text_of(superblock));
  for (unsigned i = 1; i <= superblock.journals; ++i) {
    put(*offset_of(superblock, journal_region(i), 0), text_of(Header{.journal = i}));
  }
  for (unsigned i = 0; i < superblock.blocks; ++i) {
    put(*offset_of(superblock, block_region(i), 0),
        text_of(Block{.number = i, .balance = superblock.balance}));
  }
  return image;
}

std::string sector_at(const std::string& image, std::size_t offset) {
  const std::string sector = image.substr(offset, kSectorBytes);
  return sector.substr(0, sector.find('\0'));
}

std::string padded(std::string text) {
  text.resize(kSectorBytes, '\0');
  return text;
}

}  // namespace journal_recovery
