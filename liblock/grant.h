// A lock that is held, as its client knows it, and which modes its holder was told to stand
// against (docs/locks.md). Until when it is held is liblock/deadline.h.
#pragma once

#include <cstdint>
#include <optional>

#include "base/ids.h"
#include "base/lock_mode.h"

namespace liblock {

class Grant {
 public:
  Grant(base::Token token, base::LockMode mode) : token_(token), mode_(mode) {}

  base::Token token() const { return token_; }
  base::LockMode mode() const { return mode_; }

  void convert(base::Token token, base::LockMode mode) { *this = Grant(token, mode); }
  void demote() { convert(token_, base::LockMode::nl); }

  // Whether the holder should hear of somebody who waits for this mode: not if he has heard of the
  // same one since the grant, or of one that excludes all that it does. PR and CW each exclude what
  // the other does not.
  bool hears_of(base::LockMode mode) {
    using base::LockMode;
    for (const LockMode heard :
         {LockMode::cr, LockMode::cw, LockMode::pr, LockMode::pw, LockMode::ex}) {
      if ((heard_ >> base::index_of(heard) & 1u) == 0) continue;
      if (heard == mode || (heard > mode && heard > LockMode::pr)) return false;
    }
    heard_ |= 1u << base::index_of(mode);
    return mode_ != LockMode::nl;
  }

  // The conversion that its outcome is awaited of.
  std::optional<base::RequestId> conversion;

 private:
  base::Token token_{};
  base::LockMode mode_{};
  unsigned heard_ = 0;  // A bit for each mode.
};

}  // namespace liblock
