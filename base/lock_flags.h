// What may be asked of a lock beside its mode, as bits, and which bits are legal together. The bits
// are those of libdlm, so that clients, wire and lock table name each by one number. What each does
// is in docs/locks.md.
#pragma once

#include <cstdint>
#include <string>

#include "base/lock_mode.h"

namespace base {

using LockFlags = std::uint32_t;

namespace lock_flag {

inline constexpr LockFlags no_queue = 0x1;        // Refuse rather than wait.
inline constexpr LockFlags value_block = 0x8;     // Read or write the value block, by transition.
inline constexpr LockFlags queue_convert = 0x10;  // A conversion goes behind those that wait.
inline constexpr LockFlags invalidate_value = 0x20;  // Where it would write, mark it invalid.
inline constexpr LockFlags demote_on_deadlock =
    0x40;                                             // CONVDEADLK: a conversion may lose its mode.
inline constexpr LockFlags persistent = 0x80;         // Outlives its process, as an orphan.
inline constexpr LockFlags no_deadlock_wait = 0x100;  // NODLCKWT: its wait is none for detection.
inline constexpr LockFlags no_deadlock_block = 0x200;  // NODLCKBLK: it is nobody's obstacle there.
inline constexpr LockFlags expedite = 0x400;           // A new NL is granted whatever waits.
inline constexpr LockFlags no_queue_notify = 0x800;    // A refused no_queue notifies the holders.
inline constexpr LockFlags head_of_queue = 0x1000;     // Waits in front of all others.
inline constexpr LockFlags no_order = 0x2000;          // Granted when it fits, whatever waits.
inline constexpr LockFlags adopt_orphan = 0x4000;      // Takes over an orphan of exactly this mode.
inline constexpr LockFlags or_pr = 0x8000;             // ALTPR: PR is as good.
inline constexpr LockFlags or_cw = 0x10000;            // ALTCW: CW is as good.
inline constexpr LockFlags force = 0x20000;  // FORCEUNLOCK: ends the lock, however it stands.

// No bit of libdlm: this holder wants to hear of those who wait for it.
inline constexpr LockFlags notify = 0x1000000;

// What a new request may carry, what a conversion may, and what a release may. As in libdlm,
// FORCEUNLOCK means nothing in the first two, nor does ORPHAN in a conversion.
inline constexpr LockFlags for_request = no_queue | value_block | persistent | no_deadlock_wait |
                                         no_deadlock_block | expedite | no_queue_notify |
                                         head_of_queue | no_order | adopt_orphan | or_pr | or_cw |
                                         invalidate_value | force | notify;
inline constexpr LockFlags for_conversion =
    (for_request & ~expedite) | queue_convert | demote_on_deadlock;
inline constexpr LockFlags for_release = value_block | invalidate_value | force;

}  // namespace lock_flag

// Whether the bits are known and go together; a conversion that goes behind others is legal only to
// a mode that excludes more.
bool legal_request(LockMode mode, LockFlags flags);
bool legal_conversion(LockMode from, LockMode to, LockFlags flags);
bool legal_conversion(LockFlags flags);  // As far as one can tell without the mode that it is from.
bool legal_release(LockFlags flags);

// "NOQUEUE|VALBLK", with the names of libdlm; empty for none.
std::string to_text(LockFlags flags);

// How a grant came about, for its holder.
using GrantNotes = std::uint8_t;

namespace grant_note {

inline constexpr GrantNotes demoted = 0x1;        // It lost its mode while it waited to convert.
inline constexpr GrantNotes value_invalid = 0x2;  // The last writer did not finish.
inline constexpr GrantNotes other_mode = 0x4;     // Not the mode asked for, but the one as good.
inline constexpr GrantNotes all = 0x7;

}  // namespace grant_note

}  // namespace base
