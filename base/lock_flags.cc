#include "base/lock_flags.h"

#include <array>
#include <string_view>
#include <utility>

namespace base {
namespace {

using namespace lock_flag;

// Per mode, the modes to which a conversion may go behind others.
constexpr std::array<std::array<bool, kLockModes>, kLockModes> kQueueConvertible = {{
    // NL    CR     CW     PR     PW     EX
    {{false, true, true, true, true, true}},       // NL
    {{false, false, true, true, true, true}},      // CR
    {{false, false, false, true, true, true}},     // CW
    {{false, false, true, false, true, true}},     // PR
    {{false, false, false, false, false, true}},   // PW
    {{false, false, false, false, false, false}},  // EX
}};

constexpr std::array<std::pair<LockFlags, std::string_view>, 17> kNames = {{
    {no_queue, "NOQUEUE"},
    {value_block, "VALBLK"},
    {queue_convert, "QUECVT"},
    {invalidate_value, "IVVALBLK"},
    {demote_on_deadlock, "CONVDEADLK"},
    {persistent, "PERSISTENT"},
    {no_deadlock_wait, "NODLCKWT"},
    {no_deadlock_block, "NODLCKBLK"},
    {expedite, "EXPEDITE"},
    {no_queue_notify, "NOQUEUEBAST"},
    {head_of_queue, "HEADQUE"},
    {no_order, "NOORDER"},
    {adopt_orphan, "ORPHAN"},
    {or_pr, "ALTPR"},
    {or_cw, "ALTCW"},
    {force, "FORCEUNLOCK"},
    {notify, "NOTIFY"},
}};

constexpr bool within(LockFlags flags, LockFlags legal) {
  return (flags & ~legal) == 0;
}

}  // namespace

bool legal_request(LockMode mode, LockFlags flags) {
  if (!within(flags, for_request)) return false;
  if (!(flags & expedite)) return true;
  return mode == LockMode::nl && !(flags & no_queue);
}

bool legal_conversion(LockFlags flags) {
  return within(flags, for_conversion) && !((flags & demote_on_deadlock) && (flags & no_queue));
}

bool legal_conversion(LockMode from, LockMode to, LockFlags flags) {
  return legal_conversion(flags) &&
         (!(flags & queue_convert) || kQueueConvertible[index_of(from)][index_of(to)]);
}

bool legal_release(LockFlags flags) {
  return within(flags, for_release);
}

std::string to_text(LockFlags flags) {
  std::string text;
  for (const auto& [flag, name] : kNames) {
    if (!(flags & flag)) continue;
    if (!text.empty()) text += '|';
    text += name;
  }
  return text;
}

}  // namespace base
