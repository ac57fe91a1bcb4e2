// How what liblock answers is said in the words of libdlm: errno, statuses, and which flags go
// together.
#pragma once

#include <cstdint>
#include <optional>

namespace compat {

// Of a call that failed.
int errno_of(int lock_error);

// Of an operation that ended.
int status_of(int lock_error);

// The flags for liblock, if libdlm lets these pass. Bits that it does not know are passed over, as
// there.
std::optional<std::uint32_t> request_flags(std::uint32_t mode, std::uint32_t flags);
std::optional<std::uint32_t> conversion_flags(std::uint32_t from, std::uint32_t to,
                                              std::uint32_t flags);

// Which flags dlm_unlock() takes.
bool legal_unlock(std::uint32_t flags);

}  // namespace compat
