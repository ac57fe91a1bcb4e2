#include "evs/acquaintances.h"

#include <algorithm>
#include <utility>

namespace evs {

Acquaintances::Known* Acquaintances::find(base::NodeId node) {
  return const_cast<Known*>(std::as_const(*this).find(node));
}

const Acquaintances::Known* Acquaintances::find(base::NodeId node) const {
  const auto found = std::lower_bound(nodes_.begin(), nodes_.end(), node);
  if (found == nodes_.end() || *found != node) return nullptr;
  return &known_[static_cast<std::size_t>(found - nodes_.begin())];
}

void Acquaintances::heard(base::Duration now, base::NodeId node) {
  if (Known* known = find(node)) known->heard = now;
}

std::optional<base::Duration> Acquaintances::last_heard(base::NodeId node) const {
  const Known* known = find(node);
  return known == nullptr ? std::nullopt : known->heard;
}

void Acquaintances::alone(const base::Processor& processor) {
  if (Known* known = find(processor.node)) known->alone = processor;
}

Acquaintances::Arrival Acquaintances::met(const base::Processor& processor) {
  Known* known = find(processor.node);
  if (known == nullptr) return {Reason::not_known, {}};
  const std::optional<base::Processor> former = std::exchange(known->member, processor);
  if (former == processor) return {Reason::back_again, {}};
  if (former) return {Reason::started_again, *former};
  if (!in_company_) return {Reason::met_at_start, {}};
  return {known->alone == processor ? Reason::started : Reason::not_known, {}};
}

}  // namespace evs
