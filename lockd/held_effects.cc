#include "lockd/held_effects.h"

#include <utility>

namespace lockd {

void HeldEffects::add(Effect effect, std::uint64_t command, std::uint64_t next_token) {
  held_.push_back({{std::move(effect), command, false}, next_token});
}

void HeldEffects::delay() {
  for (; late_ < held_.size(); ++late_) {
    held_[late_].told.late = true;
  }
}

std::optional<HeldEffects::Told> HeldEffects::take(std::uint64_t token_ceiling) {
  if (held_.empty() || held_.front().next_token > token_ceiling + 1) {
    return std::nullopt;
  }
  Told told = std::move(held_.front().told);
  held_.pop_front();
  late_ -= late_ > 0 ? 1 : 0;
  return told;
}

std::size_t HeldEffects::discard() {
  const std::size_t count = held_.size();
  held_.clear();
  late_ = 0;
  return count;
}

}  // namespace lockd
