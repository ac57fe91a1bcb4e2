#include "evs/net/entropy.h"

#include <sys/random.h>

#include <cerrno>
#include <span>

#include "base/check.h"

namespace evs::net {
namespace {

// Up to 256 bytes come whole; a call can only be interrupted while the machine's generator is still
// being seeded after boot.
void fill(std::span<std::byte> bytes) {
  ssize_t got = -1;
  do {
    got = getrandom(bytes.data(), bytes.size(), 0);
  } while (got < 0 && errno == EINTR);
  CHECK(got == static_cast<ssize_t>(bytes.size()));
}

}  // namespace

Salt draw_salt() {
  Salt salt;
  fill(salt);
  return salt;
}

std::uint64_t draw_u64() {
  std::uint64_t value = 0;
  fill(std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

}  // namespace evs::net
