#include "lockd/record_keeper.h"

#include <utility>

namespace lockd {

std::optional<RecordWrite> RecordKeeper::poll() {
  if (!voter() || !wanted_ || under_way_) {
    return std::nullopt;
  }
  // The generation decides the slot. A write that failed may have left either content in its slot;
  // the next one takes the same generation, hence the same slot, and the durable record in the
  // other one stays.
  wanted_->generation = durable_->generation + 1;
  under_way_ = RecordWrite{++last_id_, std::move(*wanted_)};
  wanted_.reset();
  return under_way_;
}

bool RecordKeeper::written(std::uint64_t id, bool ok) {
  if (!under_way_ || under_way_->id != id) {
    return false;
  }
  if (ok) {
    durable_ = std::move(under_way_->record);
  }
  under_way_.reset();
  return ok;
}

}  // namespace lockd
