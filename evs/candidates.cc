#include "evs/candidates.h"

#include <algorithm>

namespace evs {

void Candidates::reset() {
  sets_ = {{self_, false}};
  consenting_.clear();
}

Candidate* Candidates::find(const Processor& processor) {
  return const_cast<Candidate*>(std::as_const(*this).find(processor));
}

const Candidate* Candidates::find(const Processor& processor) const {
  const auto found = std::lower_bound(
      sets_.begin(), sets_.end(), processor,
      [](const Candidate& candidate, const Processor& p) { return candidate.processor < p; });
  return found != sets_.end() && found->processor == processor ? &*found : nullptr;
}

bool Candidates::propose(const Processor& processor) {
  if (find(processor) != nullptr || sets_.size() >= kCandidatesMax) return false;
  // A former life of this very node is known to be over.
  const bool failed = processor.node == self_.node;
  sets_.insert(std::lower_bound(sets_.begin(), sets_.end(), Candidate{processor, false}),
               Candidate{processor, failed});
  consenting_.clear();
  return true;
}

bool Candidates::fail(const Processor& processor) {
  if (processor == self_) return false;
  const bool proposed = propose(processor);
  Candidate* candidate = find(processor);
  if (candidate == nullptr || candidate->failed) return proposed;
  candidate->failed = true;
  consenting_.clear();
  return true;
}

bool Candidates::has_failed(const Processor& processor) const {
  const Candidate* candidate = find(processor);
  return candidate != nullptr && candidate->failed;
}

bool Candidates::merge(const Processor& sender, const std::vector<Candidate>& sets,
                       std::uint32_t forwarded) {
  bool changed = propose(sender);
  // Somebody who speaks now is not his former life.
  for (const Candidate& known : std::vector<Candidate>(sets_)) {
    if (known.processor.node == sender.node && known.processor != sender) {
      changed |= fail(known.processor);
    }
  }
  for (const Candidate& candidate : sets) {
    if (candidate.failed && candidate.processor == self_) {
      // He who takes me to have failed will not be in a ring with me. What else he thinks does not
      // matter.
      return fail(sender) || changed;
    }
  }
  for (const Candidate& candidate : sets) {
    changed |= candidate.failed ? fail(candidate.processor) : propose(candidate.processor);
  }
  if (sets_ == sets && !agrees(sender)) consenting_.emplace_back(sender, forwarded);
  return changed;
}

bool Candidates::agrees(const Processor& processor) const {
  return processor == self_ ||
         std::any_of(consenting_.begin(), consenting_.end(),
                     [&](const auto& consenting) { return consenting.first == processor; });
}

void Candidates::forget_consensus() {
  consenting_.clear();
}

bool Candidates::consensus() const {
  return std::all_of(sets_.begin(), sets_.end(), [&](const Candidate& candidate) {
    return candidate.failed || agrees(candidate.processor);
  });
}

Processor Candidates::hindmost(std::uint32_t own_forwarded) const {
  Processor hindmost = self_;
  std::optional<std::uint32_t> least;
  for (const Processor& processor : alive()) {
    std::uint32_t forwarded = own_forwarded;
    for (const auto& [other, passed_on] : consenting_) {
      if (other == processor) forwarded = passed_on;
    }
    if (least && forwarded >= *least) continue;
    least = forwarded;
    hindmost = processor;
  }
  return hindmost;
}

void Candidates::fail_silent() {
  for (Candidate& candidate : sets_) {
    if (!candidate.failed && !agrees(candidate.processor)) candidate.failed = true;
  }
  consenting_.clear();
}

std::vector<Processor> Candidates::alive() const {
  std::vector<Processor> alive;
  for (const Candidate& candidate : sets_) {
    if (!candidate.failed) alive.push_back(candidate.processor);
  }
  return alive;
}

}  // namespace evs
