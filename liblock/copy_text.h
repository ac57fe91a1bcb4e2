// Text into a buffer of the program, as lock_advice() and its kin give it out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

namespace liblock {

// Cut to `size` with its 0; the length without the 0.
inline std::size_t copy_text(const std::string& from, char* text, std::size_t size) {
  if (text == nullptr || size == 0) return 0;
  const std::size_t length = std::min(from.size(), size - 1);
  std::memcpy(text, from.data(), length);
  text[length] = '\0';
  return length;
}

}  // namespace liblock
