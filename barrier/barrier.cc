#include "barrier/barrier.h"

namespace barrier {

std::string_view to_string(Ending ending) {
  switch (ending) {
    case Ending::released:
      return "released";
    case Ending::participant_died:
      return "participant died";
    case Ending::timed_out:
      return "timed out";
    case Ending::cancelled:
      return "cancelled";
    case Ending::deleted:
      return "deleted";
  }
  return "?";
}

}  // namespace barrier
