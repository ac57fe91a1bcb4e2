#include "dlm/names.h"

#include <cstring>

#include "base/check.h"

namespace dlm {

NameRef Names::add(base::Bytes name) {
  CHECK(name.size() <= 255);
  const std::size_t size = name.size() / kGrain;  // With the length byte, rounded up, from 0.
  Blocks& blocks = sizes_[size];
  std::uint32_t index = blocks.free;
  if (index == kNoSlot) {
    index = blocks.used++;
    CHECK(index < (1u << kIndexBits));
    if (index % kBlocksInPage == 0) blocks.pages.add(kBlocksInPage * (size + 1) * kGrain);
  }
  const NameRef ref{(static_cast<std::uint32_t>(size) << kIndexBits) | index};
  std::byte* const at = block(ref);
  if (blocks.free == index) std::memcpy(&blocks.free, at, sizeof blocks.free);
  at[0] = static_cast<std::byte>(name.size());
  if (!name.empty()) std::memcpy(at + 1, name.data(), name.size());
  return ref;
}

void Names::remove(NameRef ref) {
  const auto number = static_cast<std::uint32_t>(ref);
  Blocks& blocks = sizes_[number >> kIndexBits];
  std::memcpy(block(ref), &blocks.free, sizeof blocks.free);
  blocks.free = number & ((1u << kIndexBits) - 1);
}

base::Bytes Names::operator[](NameRef ref) const {
  const Place place = place_of(ref);
  const std::byte* const at = sizes_[place.size].pages[place.page] + place.offset;
  return {at + 1, std::to_integer<std::size_t>(at[0])};
}

std::byte* Names::block(NameRef ref) {
  const Place place = place_of(ref);
  return sizes_[place.size].pages[place.page] + place.offset;
}

Names::Place Names::place_of(NameRef ref) {
  const auto number = static_cast<std::uint32_t>(ref);
  const std::size_t size = number >> kIndexBits;
  const std::size_t index = number & ((1u << kIndexBits) - 1);
  return {size, index / kBlocksInPage, (index % kBlocksInPage) * (size + 1) * kGrain};
}

std::size_t Names::memory() const {
  std::size_t bytes = 0;
  for (const Blocks& blocks : sizes_) bytes += blocks.pages.memory();
  return bytes;
}

Names Names::freeze() {
  Names frozen;
  for (std::size_t size = 0; size < kSizes; ++size) {
    frozen.sizes_[size].pages = sizes_[size].pages.freeze();
  }
  return frozen;
}

}  // namespace dlm
