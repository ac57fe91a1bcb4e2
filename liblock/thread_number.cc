#include "liblock/thread_number.h"

#include <cstring>

#include "liblock/defaults.h"

namespace liblock {
namespace {

std::uint64_t draw() {
  const auto random = draw_instance();
  if (!random) return 0;
  std::uint64_t number = 0;
  std::memcpy(&number, random->data(), sizeof number);
  return number | kThreadNumbers;
}

}  // namespace

// The system's thread ids are used again, and then a lock that an ended thread left to others would
// count as the new one's.
std::uint64_t thread_number() {
  thread_local const std::uint64_t number = draw();
  return number;
}

}  // namespace liblock
