// Storage for short byte strings: 32 sizes of blocks, eight bytes apart, in pages, each string
// named by 32 bits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "dlm/pages.h"
#include "dlm/slots.h"

namespace dlm {

enum class NameRef : std::uint32_t {};

class Names {
 public:
  // At most 255 bytes: CHECK.
  NameRef add(base::Bytes name);
  void remove(NameRef ref);

  // Borrowed until the name is removed.
  base::Bytes operator[](NameRef ref) const;

  std::size_t memory() const;

  // A copy that is only to be read, as it is now; one at a time (dlm/pages.h).
  Names freeze();

 private:
  static constexpr std::size_t kGrain = 8;
  static constexpr std::size_t kSizes = 32;
  static constexpr unsigned kIndexBits = 27;
  static constexpr std::size_t kBlocksInPage = 128;

  // Blocks of one size: a length byte and the name, or in a free block the next free one.
  struct Blocks {
    Pages<std::byte> pages;
    std::uint32_t used = 0;
    std::uint32_t free = kNoSlot;
  };

  struct Place {
    std::size_t size;
    std::size_t page;
    std::size_t offset;  // In the page.
  };
  static Place place_of(NameRef ref);

  std::byte* block(NameRef ref);

  std::array<Blocks, kSizes> sizes_;
};

}  // namespace dlm
