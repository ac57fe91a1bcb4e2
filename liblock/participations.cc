#include "liblock/participations.h"

#include <algorithm>

#include "base/mutant.h"

namespace liblock {

using protocol::BarrierGeneration;

Participation& Participations::enter(BarrierGeneration generation) {
  Participation& entered = participations_[generation];
  entered.entered = true;
  return entered;
}

Participation& Participations::expect(BarrierGeneration generation) {
  return participations_[generation];
}

Participation* Participations::find(BarrierGeneration generation) {
  const auto found = participations_.find(generation);
  return found == participations_.end() ? nullptr : &found->second;
}

// What was confirmed, and the daemon has yet to hear of it, it can tell again: of so many at most,
// and of these the last.
void Participations::end(BarrierGeneration generation) {
  if (participations_.erase(generation) == 0) return;
  ended_.push_back(generation);
  if (ended_.size() > kOutcomesMax) ended_.pop_front();
}

bool Participations::ended(BarrierGeneration generation) const {
  return std::find(ended_.begin(), ended_.end(), generation) != ended_.end();
}

void Participations::drop_expected() {
  std::erase_if(participations_, [](const auto& one) { return !one.second.entered; });
}

void Participations::on_disconnected() {
  for (auto& [generation, participation] : participations_) participation.parts = {};
}

void Participations::lose() {
  drop_expected();
  std::erase_if(participations_, [this](const auto& one) {
    const bool lost = !one.second.end;
    const bool told = !one.second.abandoned && !MUTANT("barriers_lost_inside_untold");
    if (lost && told) lost_.insert(one.first);
    return lost;
  });
  while (lost_.size() > kOutcomesMax) lost_.erase(lost_.begin());
  ended_.clear();
}

bool Participations::take_lost(BarrierGeneration generation) {
  return lost_.erase(generation) != 0;
}

std::size_t Participations::expected() const {
  return static_cast<std::size_t>(
      std::count_if(participations_.begin(), participations_.end(),
                    [](const auto& one) { return !one.second.entered; }));
}

}  // namespace liblock
