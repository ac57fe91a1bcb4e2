// Arguments of the C functions as the client takes them.
#pragma once

#include <liblock/lock.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/lock_mode.h"
#include "base/time.h"

namespace liblock {

inline std::string_view lockspace_of(const char* lockspace) {
  return lockspace == nullptr ? "default" : lockspace;
}

inline std::string_view name_of(const void* name, std::size_t len) {
  return {static_cast<const char*>(name), name == nullptr ? 0 : len};
}

// A number that is no mode stays none.
inline base::LockMode mode_of(enum lock_mode mode) {
  return static_cast<base::LockMode>(std::min(static_cast<unsigned>(mode), 255u));
}

// Negative: without end.
inline std::optional<base::Duration> timeout_of(int milliseconds) {
  if (milliseconds < 0) return std::nullopt;
  return std::chrono::milliseconds(milliseconds);
}

// A struct that begins with its size, as this library knows it: what the caller's does not have is
// zero. None if the size is.
template <typename Struct>
std::optional<Struct> read_sized(const void* from) {
  std::size_t size = 0;
  if (from == nullptr) return std::nullopt;
  std::memcpy(&size, from, sizeof size);
  if (size < sizeof size) return std::nullopt;
  Struct read{};
  std::memcpy(&read, from, std::min(size, sizeof read));
  return read;
}

// As much as the caller's has of it; its size stays.
template <typename Struct>
void write_sized(const Struct& from, void* to) {
  std::size_t size = 0;
  std::memcpy(&size, to, sizeof size);
  if (size <= sizeof size) return;
  std::memcpy(static_cast<char*>(to) + sizeof size,
              reinterpret_cast<const char*>(&from) + sizeof size,
              std::min(size, sizeof from) - sizeof size);
}

}  // namespace liblock
