#include "evs/net/lives.h"

#include <algorithm>

namespace evs::net {

bool Lives::fresh(const Salt& salt, std::uint64_t counter) const {
  if (counter == 0) return false;
  const auto found = lives_.find(salt);
  if (found == lives_.end()) return true;
  const Life& life = found->second;
  return life.in_use ? life.in_use->window.fresh(counter) : counter > life.highest;
}

bool Lives::room_for(const Salt& salt) const {
  return lives_.size() < kLivesMax || lives_.contains(salt);
}

const Secret* Lives::key(const Salt& salt, std::uint64_t sub_key) const {
  const auto found = lives_.find(salt);
  if (found == lives_.end()) return nullptr;
  const InUse* in_use = found->second.in_use.get();
  return in_use && in_use->sub_key == sub_key ? &in_use->key : nullptr;
}

void Lives::accept(const Salt& salt, std::uint64_t counter, const Secret& key) {
  InUse& life = bring_into_use(lives_[salt]);
  // Late datagrams of the sub-key before do not displace the present one.
  if (counter > life.window.highest()) {
    life.sub_key = sub_key_of(counter);
    life.key = key;
  }
  life.window.accept(counter);
}

Lives::InUse& Lives::bring_into_use(Life& life) {
  const auto place = std::find(recent_.begin(), recent_.end(), &life);
  if (place != recent_.end()) {
    std::rotate(recent_.begin(), place, place + 1);
    return *life.in_use;
  }
  if (recent_.size() == kLivesInUseMax) {
    Life& oldest = *recent_.back();
    oldest.highest = oldest.in_use->window.highest();
    oldest.in_use.reset();
    recent_.pop_back();
  }
  life.in_use = std::make_unique<InUse>(InUse{ReplayWindow(life.highest), 0, {}});
  recent_.insert(recent_.begin(), &life);
  return *life.in_use;
}

}  // namespace evs::net
