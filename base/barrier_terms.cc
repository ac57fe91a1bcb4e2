#include "base/barrier_terms.h"

namespace base {

std::string_view to_string(BarrierEnding ending) {
  switch (ending) {
    case BarrierEnding::released:
      return "released";
    case BarrierEnding::participant_died:
      return "participant died";
    case BarrierEnding::timed_out:
      return "timed out";
    case BarrierEnding::cancelled:
      return "cancelled";
    case BarrierEnding::deleted:
      return "deleted";
  }
  return "?";
}

}  // namespace base
