#include "tests/sim/evs_checker.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "tests/sim/evs_history.h"
#include "tests/sim/evs_order.h"

namespace sim {

using base::Processor;
using base::RingId;

namespace {

// What can be said only of the whole run.
class Judge {
 public:
  explicit Judge(EvsHistory& history)
      : history_(history),
        members_(history.members()),
        known_(history.known()),
        messages_(history.messages()) {}

  std::vector<Violation> finish(bool at_rest,
                                const std::vector<std::vector<Processor>>& components);

 private:
  void check_transitional_sets();
  void check_taken();
  void check_atomicity();
  void check_same(Index first, Messages of_first, Index second, Messages of_second,
                  const std::string& step);
  void check_order(const Known& ring);
  void check_holes(const Known& ring);
  void check_causality(const Known& ring);
  void check_safe(const Known& ring);
  void check_self_delivery(const Known& ring);
  void check_rest(const std::vector<std::vector<Processor>>& components);
  void check_acyclic();

  // Nothing more comes of this stay: its processor moved on, or rests there.
  bool is_final(const Stay& stay) const;

  EvsHistory& history_;
  const std::vector<Member>& members_;
  const std::vector<Known>& known_;
  const std::vector<Message>& messages_;
  std::vector<bool> seen_;  // Scratch of check_causality.
  bool at_rest_ = false;
  std::set<Processor> resting_;  // Empty: all.
};

std::vector<Violation> Judge::finish(bool at_rest,
                                     const std::vector<std::vector<Processor>>& components) {
  at_rest_ = at_rest;
  for (const auto& set : components) resting_.insert(set.begin(), set.end());
  for (const Member& member : members_) {
    if (member.ended || member.early.empty()) continue;
    const Place& early = member.early.front();
    history_.report("S1", base::to_string(member.id) + " sent " + text(early) +
                              " but never installed that configuration");
  }
  check_transitional_sets();
  check_taken();
  check_acyclic();
  check_atomicity();
  for (const Known& ring : known_) {
    if (!ring.regular()) continue;
    check_order(ring);
    check_holes(ring);
    check_causality(ring);
    check_safe(ring);
    check_self_delivery(ring);
  }
  if (at_rest) check_rest(components);
  return history_.violations();
}

// A transitional configuration has just those that go together from one regular one to the next.
// [S2]
void Judge::check_transitional_sets() {
  for (Index what = 0; what < known_.size(); ++what) {
    const Known& bridge = known_[what];
    if (bridge.regular() || bridge.to == kNone) continue;
    const Known& from = known_[bridge.from];
    const Known& to = known_[bridge.to];
    const auto wrong = [&](const Processor& who, const char* how) {
      history_.report("S2", history_.name_configuration(what) + " leads from " +
                                text(from.configuration) + " to " + text(to.configuration) +
                                ", but " + base::to_string(who) + how);
    };
    for (const Processor& processor : bridge.configuration.members) {
      if (!contains(to.configuration.members, processor)) wrong(processor, " is not in the latter");
    }
    for (const Stay& stay : to.stays) {
      if (!stay.installed) continue;
      const Processor& processor = members_[stay.processor].id;
      const bool together = contains(bridge.configuration.members, processor);
      if (stay.previous != bridge.from) {
        if (together) wrong(processor, " came from elsewhere");
        continue;
      }
      if (!together) wrong(processor, " came along and is not in it");
      const auto& list = from.configuration.members;
      const auto slot = std::lower_bound(list.begin(), list.end(), processor) - list.begin();
      if (together && from.stays[static_cast<std::size_t>(slot)].transitional != what) {
        wrong(processor, " installed another one in between");
      }
    }
  }
}

// What is sent is what was taken from the application, in this order. [S1]
void Judge::check_taken() {
  for (const Member& member : members_) {
    if (member.taken.empty()) continue;
    for (std::size_t i = 0; i < member.sends.size(); ++i) {
      const Message& message = messages_[member.sends[i]];
      const bool same = i < member.taken.size() &&
                        (!message.seen || (member.taken[i].service == message.service &&
                                           member.taken[i].hash == message.hash));
      if (same) continue;
      history_.report("S1", history_.name_message(member.sends[i]) +
                                " is not what it took from its application as number " +
                                std::to_string(i + 1) + " of " +
                                std::to_string(member.taken.size()));
      break;
    }
  }
}

// Who goes the same step delivers the same messages before it. [S4]
void Judge::check_atomicity() {
  for (Index what = 0; what < known_.size(); ++what) {
    const Known& bridge = known_[what];
    if (bridge.regular() || bridge.from == kNone) continue;
    const Stay* first = nullptr;
    const Stay* first_to_next = nullptr;
    for (const Stay& stay : known_[bridge.from].stays) {
      if (stay.transitional != what) continue;
      if (first == nullptr) first = &stay;
      check_same(
          first->processor, regular_part(*first), stay.processor, regular_part(stay),
          history_.name_configuration(bridge.from) + " to " + history_.name_configuration(what));
      if (stay.next == kNone) continue;
      if (first_to_next == nullptr) first_to_next = &stay;
      check_same(first_to_next->processor, transitional_part(*first_to_next), stay.processor,
                 transitional_part(stay),
                 history_.name_configuration(what) + " to the next regular one");
    }
  }
}

void Judge::check_same(Index first, Messages of_first, Index second, Messages of_second,
                       const std::string& step) {
  if (std::ranges::equal(of_first, of_second)) return;
  std::vector<Index> a(of_first.begin(), of_first.end());
  std::vector<Index> b(of_second.begin(), of_second.end());
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  std::vector<Index> difference;
  std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(),
                                std::back_inserter(difference));
  if (difference.empty()) return;  // Another order is not this property's business.
  const bool by_first = std::binary_search(a.begin(), a.end(), difference.front());
  history_.report("S4", history_.name(first) + " and " + history_.name(second) +
                            " both went from " + step + ", but only " +
                            history_.name(by_first ? first : second) + " had delivered " +
                            history_.name_message(difference.front()));
}

// Deliveries follow the places that the ring gave its messages. [S6]
void Judge::check_order(const Known& ring) {
  for (const Stay& stay : ring.stays) {
    const auto& order = stay.deliveries;
    const auto wrong = std::adjacent_find(order.begin(), order.end(), [this](Index a, Index b) {
      return messages_[a].place() > messages_[b].place();
    });
    if (wrong == order.end()) continue;
    history_.report("S6", history_.name(stay.processor) + " delivered " +
                              history_.name_message(*wrong) + " before " +
                              history_.name_message(*std::next(wrong)));
    return;
  }
}

// A message may be missing below a delivered one only in a transitional configuration, and only if
// its sender is outside. [S6.3]
void Judge::check_holes(const Known& ring) {
  const auto earlier = [this](Index a, Index b) {
    return messages_[a].place() < messages_[b].place();
  };
  for (std::size_t slot = 0; slot < ring.stays.size(); ++slot) {
    const Stay& stay = ring.stays[slot];
    if (stay.deliveries.empty()) continue;
    const Index last = *std::max_element(stay.deliveries.begin(), stay.deliveries.end(), earlier);
    if (ring.messages[stay.deliveries.size() - 1] == last) continue;
    const auto regular = regular_part(stay);
    const Index last_regular =
        regular.empty() ? kNone : *std::max_element(regular.begin(), regular.end(), earlier);
    for (const Index what : ring.messages) {
      if (!earlier(what, last)) break;
      const Message& message = messages_[what];
      if ((message.delivered & bit(slot)) != 0) continue;
      const bool in_regular = last_regular != kNone && earlier(what, last_regular);
      const bool sender_inside =
          !in_regular &&
          contains(known_[stay.transitional].configuration.members, members_[message.sender].id);
      if (!in_regular && !sender_inside) continue;
      history_.report("S6.3", history_.name(stay.processor) + " delivered " +
                                  history_.name_message(in_regular ? last_regular : last) + " in " +
                                  (in_regular ? text(ring.configuration)
                                              : history_.name_configuration(stay.transitional)) +
                                  " and not " + history_.name_message(what) + " before it");
      return;
    }
  }
}

// Whoever delivers a message has delivered before it what its sender had sent and delivered in the
// same regular configuration before sending it. By induction that is everything it depends upon.
// [S5]
void Judge::check_causality(const Known& ring) {
  struct Progress {
    std::size_t sends = 0;
    std::size_t deliveries = 0;
  };
  for (const Stay& stay : ring.stays) {
    seen_.assign(messages_.size(), false);
    std::vector<Progress> of(ring.stays.size());
    for (const Index what : stay.deliveries) {
      const Message& message = messages_[what];
      const Stay& sender = ring.stays[message.sender_slot];
      Progress& progress = of[message.sender_slot];
      Index missing = kNone;
      if (sender.sends[progress.sends++] != what) missing = sender.sends[progress.sends - 1];
      while (missing == kNone && progress.deliveries < message.deliveries_before) {
        const Index cause = sender.deliveries[progress.deliveries++];
        if (!seen_[cause]) missing = cause;
      }
      if (missing != kNone) {
        history_.report("S5", history_.name(stay.processor) + " delivered " +
                                  history_.name_message(what) + ", which was sent after " +
                                  history_.name_message(missing) +
                                  ", without delivering that before");
        return;
      }
      seen_[what] = true;
    }
  }
}

// What one member delivers as safe, every member of that configuration delivers, or fails. [S7]
bool Judge::is_final(const Stay& stay) const {
  if (stay.end != Stay::End::none) return stay.end == Stay::End::moved;
  return at_rest_ && (resting_.empty() || resting_.contains(members_[stay.processor].id));
}

void Judge::check_safe(const Known& ring) {
  // For each member, the members of its transitional configuration.
  std::vector<Slots> together(ring.stays.size());
  for (std::size_t slot = 0; slot < ring.stays.size(); ++slot) {
    if (ring.stays[slot].transitional == kNone) continue;
    const auto& list = known_[ring.stays[slot].transitional].configuration.members;
    for (std::size_t other = 0; other < ring.stays.size(); ++other) {
      if (contains(list, ring.configuration.members[other])) together[slot] |= bit(other);
    }
  }
  for (const Index what : ring.messages) {
    const Message& message = messages_[what];
    if (!message.seen || message.service != evs::Service::safe) continue;
    const bool by_all = (message.delivered & ~message.delivered_in_transitional) != 0;
    Slots wanted = by_all ? ring.all() : 0;
    for (std::size_t slot = 0; slot < ring.stays.size(); ++slot) {
      if ((message.delivered_in_transitional & bit(slot)) != 0) wanted |= together[slot];
    }
    const Slots missing = wanted & ~message.delivered;
    for (std::size_t slot = 0; missing != 0 && slot < ring.stays.size(); ++slot) {
      if ((missing & bit(slot)) == 0) continue;
      const Stay& stay = ring.stays[slot];
      const std::string story =
          history_.name_message(what) + " was delivered as safe in " +
          (by_all ? text(ring.configuration) : "a transitional configuration") + ", but " +
          history_.name(stay.processor);
      if (!stay.installed) {
        history_.report("S7.2", story + " never installed " + text(ring.configuration));
        return;
      }
      if (is_final(stay)) {
        history_.report("S7.1", story + " neither delivered it nor failed");
        return;
      }
    }
  }
}

void Judge::check_self_delivery(const Known& ring) {
  for (std::size_t slot = 0; slot < ring.stays.size(); ++slot) {
    const Stay& stay = ring.stays[slot];
    if (!is_final(stay)) continue;
    const auto missing = std::find_if(
        stay.sends.begin(), stay.sends.end(),
        [this, slot](Index what) { return (messages_[what].delivered & bit(slot)) == 0; });
    if (missing == stay.sends.end()) continue;
    history_.report("L1", history_.name(stay.processor) + " never delivered its own " +
                              history_.name_message(*missing));
    return;
  }
}

// At rest everyone stands in a regular configuration of all it can talk to [L2] and has all its
// messages [L3].
void Judge::check_rest(const std::vector<std::vector<Processor>>& components) {
  std::vector<std::vector<Processor>> sets = components;
  if (sets.empty()) {
    auto& all = sets.emplace_back();
    for (const Member& member : members_) {
      if (!member.ended) all.push_back(member.id);
    }
  }
  for (const auto& set : sets) {
    const std::vector<Processor> wanted = sorted(set);
    Index common = kNone;
    for (const Processor& processor : wanted) {
      const Member& member = members_[history_.member_index(processor)];
      if (member.lost) continue;
      const Index last = member.transitional != kNone ? member.transitional : member.regular;
      if (common == kNone) common = last;
      const bool fits = last != kNone && last == common && known_[last].regular() &&
                        known_[last].configuration.members == wanted;
      if (!fits) {
        history_.report(
            "L2", base::to_string(processor) + " ended in " +
                      (last == kNone ? "no configuration" : history_.name_configuration(last)) +
                      " and not in one regular configuration with " + text(wanted));
        continue;
      }
      const Known& ring = known_[last];
      const auto missing = std::find_if(
          ring.messages.begin(), ring.messages.end(),
          [&](Index what) { return (messages_[what].delivered & bit(member.slot)) == 0; });
      if (missing == ring.messages.end()) continue;
      history_.report(
          "L3", base::to_string(processor) + " never delivered " + history_.name_message(*missing));
    }
  }
}

// Configurations, sends and deliveries have an order that every processor agrees with [S6]; if not,
// it may be the configurations alone that have none [S3].
void Judge::check_acyclic() {
  const auto merged = find_cycle(history_, true);
  if (!merged) return;
  const auto unmerged = find_cycle(history_, false);
  history_.report(unmerged ? "S3" : "S6", "no order fits all: " + (unmerged ? *unmerged : *merged));
}

}  // namespace

class EvsChecker::Impl : public EvsHistory {};

EvsChecker::EvsChecker() : impl_(std::make_unique<Impl>()) {}
EvsChecker::~EvsChecker() = default;

void EvsChecker::configuration(const Processor& at, const evs::ConfigurationChange& change) {
  impl_->configuration(at, change);
}

void EvsChecker::sent(const Processor& by, const RingId& ring, std::uint64_t sequence,
                      std::uint32_t index) {
  impl_->sent(by, {ring, sequence, index});
}

void EvsChecker::taken(const Processor& by, evs::Service service, base::Bytes payload) {
  impl_->taken(by, service, payload);
}

void EvsChecker::delivered(const Processor& at, const evs::Delivery& delivery) {
  impl_->delivered(at, delivery);
}

void EvsChecker::failed(const Processor& who) {
  impl_->ended(who, "failed");
}

void EvsChecker::left(const Processor& who) {
  impl_->ended(who, "left");
}

bool EvsChecker::violated() const {
  return !impl_->violations().empty();
}

std::vector<Violation> EvsChecker::finish(bool at_rest,
                                          const std::vector<std::vector<Processor>>& components) {
  return Judge(*impl_).finish(at_rest, components);
}

}  // namespace sim
