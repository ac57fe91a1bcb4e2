#include "tests/sim/evs_checker.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>

namespace sim {

namespace {

using base::Processor;
using base::RingId;
using evs::Configuration;
using evs::ConfigurationKind;

using Index = std::uint32_t;
constexpr Index kNone = ~Index{0};

// Sets of members of one regular configuration, by their place in its list.
using Slots = std::uint32_t;
constexpr std::size_t kSlotsMax = 32;

std::uint64_t hash_of(base::Bytes bytes) {
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

struct Message {
  Index ring = kNone;
  std::uint64_t sequence = 0;
  std::uint32_t index = 0;
  Index sender = kNone;
  std::size_t sender_slot = 0;

  // Known from its first delivery.
  bool seen = false;
  evs::Service service{};
  std::uint64_t hash = 0;

  // How many messages of this ring the sender had delivered when it sent this one.
  Index deliveries_before = 0;

  Slots delivered = 0;
  Slots delivered_in_transitional = 0;

  auto place() const { return std::pair(sequence, index); }
};

// What one processor did in one regular configuration and in the transitional one after it.
struct Stay {
  enum class End { none, moved, failed };

  Index processor = kNone;
  bool installed = false;
  Index previous = kNone;  // Regular configuration that it came from.
  Index transitional = kNone;
  Index next = kNone;
  End end = End::none;
  std::vector<Index> sends;
  std::vector<Index> deliveries;       // In both configurations,
  std::size_t regular_deliveries = 0;  // so many of them in the regular one.
};

struct Known {
  Configuration configuration;
  Index reporter = kNone;

  // Of a regular configuration. Messages are kept in the order of their places.
  std::vector<Stay> stays;
  std::vector<Index> messages;
  Slots installed = 0;
  bool installed_too_late = false;

  // Of a transitional configuration: the regular ones before and after it.
  Index from = kNone;
  Index to = kNone;

  bool regular() const { return configuration.kind == ConfigurationKind::regular; }
  std::size_t size() const { return configuration.members.size(); }
  Slots all() const { return static_cast<Slots>((std::uint64_t{1} << size()) - 1); }
};

struct Place {
  RingId ring;
  std::uint64_t sequence = 0;
  std::uint32_t index = 0;
};

struct Taken {
  evs::Service service{};
  std::uint64_t hash = 0;
};

// An event in a processor's own order: a configuration, a send or a delivery.
struct Step {
  enum class Kind : std::uint8_t { configuration, send, deliver } kind{};
  Index what = kNone;
};

struct Member {
  Processor id;
  Index regular = kNone;       // The regular configuration it is in or came from last,
  std::size_t slot = 0;        // its place there,
  Index transitional = kNone;  // and the transitional one, while it is in it.
  bool ended = false;
  bool lost = false;  // Its reports made no sense; what follows from it is not judged.
  std::vector<Step> steps;
  std::vector<Place> early;  // Sends in a regular configuration that is not reported yet.
  std::vector<Index> sends;
  std::vector<Taken> taken;
};

using Messages = std::span<const Index>;

Messages regular_part(const Stay& stay) {
  return Messages(stay.deliveries).first(stay.regular_deliveries);
}

Messages transitional_part(const Stay& stay) {
  return Messages(stay.deliveries).subspan(stay.regular_deliveries);
}

constexpr Slots bit(std::size_t slot) {
  return Slots{1} << slot;
}

bool contains(const std::vector<Processor>& sorted, const Processor& processor) {
  return std::binary_search(sorted.begin(), sorted.end(), processor);
}

std::vector<Processor> minus(const std::vector<Processor>& from,
                             const std::vector<Processor>& what) {
  std::vector<Processor> rest;
  std::set_difference(from.begin(), from.end(), what.begin(), what.end(), std::back_inserter(rest));
  return rest;
}

std::vector<Processor> sorted(std::vector<Processor> processors) {
  std::sort(processors.begin(), processors.end());
  return processors;
}

std::string text(const std::vector<Processor>& processors) {
  std::string all = "{";
  for (const Processor& processor : processors) {
    if (all.size() > 1) all += ' ';
    all += base::to_string(processor);
  }
  return all + "}";
}

std::string text(const Configuration& configuration) {
  const bool regular = configuration.kind == ConfigurationKind::regular;
  return (regular ? "regular " : "transitional ") + base::to_string(configuration.id) + " " +
         text(configuration.members);
}

std::string text(const RingId& ring, std::uint64_t sequence, std::uint32_t index) {
  return "message " + std::to_string(sequence) + "/" + std::to_string(index) + " of ring " +
         base::to_string(ring);
}

}  // namespace

class EvsChecker::Impl {
 public:
  void configuration(const Processor& at, const evs::ConfigurationChange& change);
  void sent(const Processor& by, const Place& place);
  void taken(const Processor& by, evs::Service service, base::Bytes payload);
  void delivered(const Processor& at, const evs::Delivery& delivery);
  void ended(const Processor& who, const char* how);
  std::vector<Violation> finish(bool at_rest,
                                const std::vector<std::vector<Processor>>& components);

  bool violated() const { return !violations_.empty(); }

 private:
  Index member_index(const Processor& processor);
  Member* living(const Processor& processor, const char* event);
  Index known(const Configuration& configuration, Index reporter);
  void install_transitional(Index at, Index what, const evs::ConfigurationChange& change);
  void install_regular(Index at, Index what, const evs::ConfigurationChange& change);
  void number(Index by, const Place& place);
  Index find(const Known& ring, std::uint64_t sequence, std::uint32_t index,
             std::size_t guess) const;

  void check_transitional_sets();
  void check_taken();
  void check_atomicity();
  void check_same(Index first, Messages of_first, Index second, Messages of_second,
                  const std::string& step);
  void check_order(const Known& ring);
  void check_holes(const Known& ring);
  void check_causality(const Known& ring);
  void check_safe(const Known& ring, bool at_rest);
  void check_self_delivery(const Known& ring, bool at_rest);
  void check_rest(const std::vector<std::vector<Processor>>& components);
  void check_acyclic();
  std::optional<std::string> cycle(bool merge_deliveries) const;

  Stay& stay_of(const Member& member) { return known_[member.regular].stays[member.slot]; }
  void report(const char* property, std::string explanation);

  std::string name(Index member) const { return base::to_string(members_[member].id); }
  std::string name_configuration(Index what) const { return text(known_[what].configuration); }
  std::string name_message(Index what) const {
    const Message& m = messages_[what];
    return text(known_[m.ring].configuration.id, m.sequence, m.index) + " from " + name(m.sender);
  }
  std::string name_step(const Step& step) const;

  std::vector<Member> members_;
  std::map<Processor, Index> member_index_;
  std::vector<Known> known_;
  std::map<RingId, Index> known_index_;
  std::vector<Message> messages_;
  std::vector<bool> seen_;  // Scratch of check_causality.
  std::vector<Violation> violations_;
};

void EvsChecker::Impl::report(const char* property, std::string explanation) {
  if (violations_.size() < kViolationsMax)
    violations_.push_back({property, std::move(explanation)});
}

Index EvsChecker::Impl::member_index(const Processor& processor) {
  const auto [at, added] =
      member_index_.try_emplace(processor, static_cast<Index>(members_.size()));
  if (added) members_.emplace_back().id = processor;
  return at->second;
}

// The member, unless nothing that it does can be judged any more.
Member* EvsChecker::Impl::living(const Processor& processor, const char* event) {
  Member& member = members_[member_index(processor)];
  if (member.ended) {
    report("S2", base::to_string(processor) + " " + event + " after it had failed or left");
    return nullptr;
  }
  return member.lost ? nullptr : &member;
}

// The one configuration of this id; kNone if the id stands for something else already. [S2]
Index EvsChecker::Impl::known(const Configuration& configuration, Index reporter) {
  const auto [at, added] =
      known_index_.try_emplace(configuration.id, static_cast<Index>(known_.size()));
  if (!added) {
    const Known& before = known_[at->second];
    if (before.configuration == configuration) return at->second;
    report("S2", name(reporter) + " installed " + text(configuration) + ", but at " +
                     name(before.reporter) + " this id was " + text(before.configuration));
    return kNone;
  }
  Known& fresh = known_.emplace_back();
  fresh.configuration = configuration;
  fresh.reporter = reporter;
  if (fresh.regular()) {
    for (const Processor& processor : configuration.members) {
      fresh.stays.emplace_back().processor = member_index(processor);
    }
  }
  return at->second;
}

void EvsChecker::Impl::configuration(const Processor& at, const evs::ConfigurationChange& change) {
  if (living(at, "installed a configuration") == nullptr) return;
  const Index who = member_index(at);
  const Configuration& configuration = change.configuration;
  const auto& list = configuration.members;

  const auto same_node = [](const Processor& a, const Processor& b) { return a.node == b.node; };
  const bool well_formed = std::is_sorted(list.begin(), list.end()) && list.size() <= kSlotsMax &&
                           std::adjacent_find(list.begin(), list.end(), same_node) == list.end();
  if (!well_formed) {
    report("S2", base::to_string(at) + " installed " + text(configuration) +
                     ", whose members are not a sorted set of different nodes");
  } else if (!contains(list, at)) {
    report("S2",
           base::to_string(at) + " installed " + text(configuration) + " without being its member");
  } else if (const Index what = known(configuration, who); what != kNone) {
    if (configuration.kind == ConfigurationKind::regular) {
      install_regular(who, what, change);
    } else {
      install_transitional(who, what, change);
    }
    members_[who].steps.push_back({Step::Kind::configuration, what});
    // What it sent in this configuration while the report of it was still to be polled.
    const std::vector<Place> early = std::exchange(members_[who].early, {});
    for (const Place& place : early) sent(at, place);
    return;
  }
  members_[who].lost = true;
}

void EvsChecker::Impl::install_transitional(Index at, Index what,
                                            const evs::ConfigurationChange& change) {
  Member& member = members_[at];
  Known& known = known_[what];
  if (member.regular == kNone || member.transitional != kNone) {
    report("S2", name(at) + " installed " + name_configuration(what) +
                     ", and no regular configuration just before it");
    member.lost = true;
    return;
  }
  Stay& stay = stay_of(member);
  const Known& before = known_[member.regular];
  if (known.from == kNone) known.from = member.regular;
  if (known.from != member.regular) {
    report("S2", name(at) + " went from " + name_configuration(member.regular) + " to " +
                     name_configuration(what) + ", others from " + name_configuration(known.from));
  }
  if (!minus(known.configuration.members, before.configuration.members).empty()) {
    report("S2", name(at) + " installed " + name_configuration(what) +
                     ", which has members that were not in " + name_configuration(member.regular));
  }
  const auto departed = minus(before.configuration.members, known.configuration.members);
  if (sorted(change.departed) != departed || !change.joined.empty()) {
    report("S2", name(at) + " installed " + name_configuration(what) + " after " +
                     name_configuration(member.regular) + " with departed " +
                     text(change.departed) + " and joined " + text(change.joined));
  }
  stay.transitional = what;
  member.transitional = what;
}

void EvsChecker::Impl::install_regular(Index at, Index what,
                                       const evs::ConfigurationChange& change) {
  Member& member = members_[at];
  Known& known = known_[what];
  const auto& list = known.configuration.members;
  if (member.regular == kNone) {
    if (list.size() != 1) {
      report("S2", name(at) + " began with " + name_configuration(what) + " instead of alone");
    }
  } else if (member.transitional == kNone) {
    report("S2", name(at) + " went from " + name_configuration(member.regular) + " to " +
                     name_configuration(what) + " without a transitional configuration");
  }
  if (!member.early.empty() && member.early.front().ring != known.configuration.id) {
    const Place& early = member.early.front();
    report("S1", name(at) + " sent " + text(early.ring, early.sequence, early.index) +
                     " but was not in that regular configuration, and now installs " +
                     name_configuration(what));
    member.early.clear();
  }

  const auto slot = static_cast<std::size_t>(std::lower_bound(list.begin(), list.end(), member.id) -
                                             list.begin());
  Stay& stay = known.stays[slot];
  if (stay.installed) {
    report("S2", name(at) + " installed " + name_configuration(what) + " a second time");
    member.lost = true;
    return;
  }
  if (member.regular != kNone) {
    const Known& before = known_[member.regular];
    if (before.configuration.id.sequence >= known.configuration.id.sequence) {
      report("S2", name(at) + " installed " + name_configuration(what) + " after " +
                       name_configuration(member.regular) + ": the ids do not grow");
    }
    Stay& old = stay_of(member);
    old.next = what;
    old.end = Stay::End::moved;
  }
  if (member.transitional != kNone) {
    Known& bridge = known_[member.transitional];
    if (bridge.to == kNone) bridge.to = what;
    if (bridge.to != what) {
      report("S2", name(at) + " went from " + name_configuration(member.transitional) + " to " +
                       name_configuration(what) + ", others to " + name_configuration(bridge.to));
    }
    const auto joined = minus(list, bridge.configuration.members);
    if (sorted(change.joined) != joined || !change.departed.empty()) {
      report("S2", name(at) + " installed " + name_configuration(what) + " after " +
                       name_configuration(member.transitional) + " with joined " +
                       text(change.joined) + " and departed " + text(change.departed));
    }
  }
  stay.installed = true;
  stay.previous = member.regular;
  known.installed |= bit(slot);
  member.regular = what;
  member.slot = slot;
  member.transitional = kNone;
}

void EvsChecker::Impl::sent(const Processor& by, const Place& place) {
  Member* member = living(by, "sent a message");
  if (member == nullptr) return;
  if (member->regular == kNone || known_[member->regular].configuration.id != place.ring) {
    member->early.push_back(place);
  } else if (member->transitional != kNone) {
    report("S1", base::to_string(by) + " sent " + text(place.ring, place.sequence, place.index) +
                     " while in " + name_configuration(member->transitional));
  } else {
    number(member_index(by), place);
  }
}

void EvsChecker::Impl::number(Index by, const Place& place) {
  Member& member = members_[by];
  Known& ring = known_[member.regular];
  const auto at = std::pair(place.sequence, place.index);
  auto before = ring.messages.end();
  if (!ring.messages.empty() && messages_[ring.messages.back()].place() >= at) {
    before = std::lower_bound(
        ring.messages.begin(), ring.messages.end(), at,
        [this](Index message, const auto& key) { return messages_[message].place() < key; });
    if (messages_[*before].place() == at) {
      report("S1", name(by) + " sent " + text(place.ring, place.sequence, place.index) +
                       ", but that is the place of " + name_message(*before));
      return;
    }
  }
  Stay& stay = stay_of(member);
  const auto what = static_cast<Index>(messages_.size());
  Message& message = messages_.emplace_back();
  message.ring = member.regular;
  message.sequence = place.sequence;
  message.index = place.index;
  message.sender = by;
  message.sender_slot = member.slot;
  message.deliveries_before = static_cast<Index>(stay.deliveries.size());
  ring.messages.insert(before, what);
  stay.sends.push_back(what);
  member.sends.push_back(what);
  member.steps.push_back({Step::Kind::send, what});
}

void EvsChecker::Impl::taken(const Processor& by, evs::Service service, base::Bytes payload) {
  members_[member_index(by)].taken.push_back({service, hash_of(payload)});
}

// The message at this place of the ring. `guess`: where it is if the processor delivered all before
// it.
Index EvsChecker::Impl::find(const Known& ring, std::uint64_t sequence, std::uint32_t index,
                             std::size_t guess) const {
  const auto place = std::pair(sequence, index);
  if (guess < ring.messages.size() && messages_[ring.messages[guess]].place() == place) {
    return ring.messages[guess];
  }
  const auto at = std::lower_bound(
      ring.messages.begin(), ring.messages.end(), place,
      [this](Index message, const auto& key) { return messages_[message].place() < key; });
  if (at == ring.messages.end() || messages_[*at].place() != place) return kNone;
  return *at;
}

void EvsChecker::Impl::delivered(const Processor& at, const evs::Delivery& delivery) {
  Member* member = living(at, "delivered a message");
  if (member == nullptr) return;
  const auto described = [&] {
    return base::to_string(at) + " delivered " +
           text(delivery.ring, delivery.sequence, delivery.index) + " from " +
           base::to_string(delivery.sender);
  };
  if (member->regular == kNone) return report("S1", described() + " before any configuration");
  Known& ring = known_[member->regular];
  if (ring.configuration.id != delivery.ring) {
    return report("S1", described() + " while in " +
                            name_configuration(member->transitional != kNone ? member->transitional
                                                                             : member->regular));
  }
  Stay& stay = stay_of(*member);
  const Index what = find(ring, delivery.sequence, delivery.index, stay.deliveries.size());
  if (what == kNone) return report("S1", described() + ", which nobody had sent");
  Message& message = messages_[what];
  if (members_[message.sender].id != delivery.sender) {
    return report("S1", described() + ", but " + name(message.sender) + " sent it");
  }
  const std::uint64_t hash = hash_of(delivery.payload);
  if (!message.seen) {
    message.seen = true;
    message.service = delivery.service;
    message.hash = hash;
  } else if (message.service != delivery.service || message.hash != hash) {
    report("S1", described() + " with another service or payload than others did");
  }
  if ((message.delivered & bit(member->slot)) != 0) return report("S1", described() + " twice");

  message.delivered |= bit(member->slot);
  if (member->transitional != kNone) {
    message.delivered_in_transitional |= bit(member->slot);
  } else {
    ++stay.regular_deliveries;
  }
  stay.deliveries.push_back(what);
  member->steps.push_back({Step::Kind::deliver, what});

  // A safe delivery in a regular configuration says that everybody has installed it, now.
  if (delivery.service == evs::Service::safe && member->transitional == kNone &&
      ring.installed != ring.all() && !ring.installed_too_late) {
    ring.installed_too_late = true;
    const auto missing = std::find_if(ring.stays.begin(), ring.stays.end(),
                                      [](const Stay& other) { return !other.installed; });
    report("S7.2", described() + " as safe in " + text(ring.configuration) + ", which " +
                       name(missing->processor) + " has not installed");
  }
}

void EvsChecker::Impl::ended(const Processor& who, const char* how) {
  const Index at = member_index(who);
  Member& member = members_[at];
  if (member.ended) return report("S2", name(at) + " " + how + " after it had failed or left");
  member.ended = true;
  if (member.regular != kNone) stay_of(member).end = Stay::End::failed;
}

std::vector<Violation> EvsChecker::Impl::finish(
    bool at_rest, const std::vector<std::vector<Processor>>& components) {
  for (const Member& member : members_) {
    if (member.ended || member.early.empty()) continue;
    const Place& early = member.early.front();
    report("S1", base::to_string(member.id) + " sent " +
                     text(early.ring, early.sequence, early.index) +
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
    check_safe(ring, at_rest);
    check_self_delivery(ring, at_rest);
  }
  if (at_rest) check_rest(components);
  return violations_;
}

// A transitional configuration has just those that go together from one regular one to the next.
// [S2]
void EvsChecker::Impl::check_transitional_sets() {
  for (Index what = 0; what < known_.size(); ++what) {
    const Known& bridge = known_[what];
    if (bridge.regular() || bridge.to == kNone) continue;
    const Known& from = known_[bridge.from];
    const Known& to = known_[bridge.to];
    const auto wrong = [&](const Processor& who, const char* how) {
      report("S2", name_configuration(what) + " leads from " + text(from.configuration) + " to " +
                       text(to.configuration) + ", but " + base::to_string(who) + how);
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
void EvsChecker::Impl::check_taken() {
  for (const Member& member : members_) {
    if (member.taken.empty()) continue;
    for (std::size_t i = 0; i < member.sends.size(); ++i) {
      const Message& message = messages_[member.sends[i]];
      const bool same = i < member.taken.size() &&
                        (!message.seen || (member.taken[i].service == message.service &&
                                           member.taken[i].hash == message.hash));
      if (same) continue;
      report("S1", name_message(member.sends[i]) +
                       " is not what it took from its application as number " +
                       std::to_string(i + 1) + " of " + std::to_string(member.taken.size()));
      break;
    }
  }
}

// Who goes the same step delivers the same messages before it. [S4]
void EvsChecker::Impl::check_atomicity() {
  for (Index what = 0; what < known_.size(); ++what) {
    const Known& bridge = known_[what];
    if (bridge.regular() || bridge.from == kNone) continue;
    const Stay* first = nullptr;
    const Stay* first_to_next = nullptr;
    for (const Stay& stay : known_[bridge.from].stays) {
      if (stay.transitional != what) continue;
      if (first == nullptr) first = &stay;
      check_same(first->processor, regular_part(*first), stay.processor, regular_part(stay),
                 name_configuration(bridge.from) + " to " + name_configuration(what));
      if (stay.next == kNone) continue;
      if (first_to_next == nullptr) first_to_next = &stay;
      check_same(first_to_next->processor, transitional_part(*first_to_next), stay.processor,
                 transitional_part(stay), name_configuration(what) + " to the next regular one");
    }
  }
}

void EvsChecker::Impl::check_same(Index first, Messages of_first, Index second, Messages of_second,
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
  report("S4", name(first) + " and " + name(second) + " both went from " + step + ", but only " +
                   name(by_first ? first : second) + " had delivered " +
                   name_message(difference.front()));
}

// Deliveries follow the places that the ring gave its messages. [S6]
void EvsChecker::Impl::check_order(const Known& ring) {
  for (const Stay& stay : ring.stays) {
    const auto& order = stay.deliveries;
    const auto wrong = std::adjacent_find(order.begin(), order.end(), [this](Index a, Index b) {
      return messages_[a].place() > messages_[b].place();
    });
    if (wrong == order.end()) continue;
    report("S6", name(stay.processor) + " delivered " + name_message(*wrong) + " before " +
                     name_message(*std::next(wrong)));
    return;
  }
}

// A message may be missing below a delivered one only in a transitional configuration, and only if
// its sender is outside. [S6.3]
void EvsChecker::Impl::check_holes(const Known& ring) {
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
      report("S6.3",
             name(stay.processor) + " delivered " + name_message(in_regular ? last_regular : last) +
                 " in " +
                 (in_regular ? text(ring.configuration) : name_configuration(stay.transitional)) +
                 " and not " + name_message(what) + " before it");
      return;
    }
  }
}

// Whoever delivers a message has delivered before it what its sender had sent and delivered in the
// same regular configuration before sending it. By induction that is everything it depends upon.
// [S5]
void EvsChecker::Impl::check_causality(const Known& ring) {
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
        report("S5", name(stay.processor) + " delivered " + name_message(what) +
                         ", which was sent after " + name_message(missing) +
                         ", without delivering that before");
        return;
      }
      seen_[what] = true;
    }
  }
}

// What one member delivers as safe, every member of that configuration delivers, or fails. [S7]
void EvsChecker::Impl::check_safe(const Known& ring, bool at_rest) {
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
          name_message(what) + " was delivered as safe in " +
          (by_all ? text(ring.configuration) : "a transitional configuration") + ", but " +
          name(stay.processor);
      if (!stay.installed) {
        report("S7.2", story + " never installed " + text(ring.configuration));
        return;
      }
      if (stay.end == Stay::End::moved || (stay.end == Stay::End::none && at_rest)) {
        report("S7.1", story + " neither delivered it nor failed");
        return;
      }
    }
  }
}

void EvsChecker::Impl::check_self_delivery(const Known& ring, bool at_rest) {
  for (std::size_t slot = 0; slot < ring.stays.size(); ++slot) {
    const Stay& stay = ring.stays[slot];
    const bool final = stay.end == Stay::End::moved || (stay.end == Stay::End::none && at_rest);
    if (!final) continue;
    const auto missing = std::find_if(
        stay.sends.begin(), stay.sends.end(),
        [this, slot](Index what) { return (messages_[what].delivered & bit(slot)) == 0; });
    if (missing == stay.sends.end()) continue;
    report("L1", name(stay.processor) + " never delivered its own " + name_message(*missing));
    return;
  }
}

// At rest everyone stands in a regular configuration of all it can talk to [L2] and has all its
// messages [L3].
void EvsChecker::Impl::check_rest(const std::vector<std::vector<Processor>>& components) {
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
      const Member& member = members_[member_index(processor)];
      if (member.lost) continue;
      const Index last = member.transitional != kNone ? member.transitional : member.regular;
      if (common == kNone) common = last;
      const bool fits = last != kNone && last == common && known_[last].regular() &&
                        known_[last].configuration.members == wanted;
      if (!fits) {
        report("L2", base::to_string(processor) + " ended in " +
                         (last == kNone ? "no configuration" : name_configuration(last)) +
                         " and not in one regular configuration with " + text(wanted));
        continue;
      }
      const Known& ring = known_[last];
      const auto missing = std::find_if(
          ring.messages.begin(), ring.messages.end(),
          [&](Index what) { return (messages_[what].delivered & bit(member.slot)) == 0; });
      if (missing == ring.messages.end()) continue;
      report("L3", base::to_string(processor) + " never delivered " + name_message(*missing));
    }
  }
}

// Configurations, sends and deliveries have an order that every processor agrees with [S6]; if not,
// it may be the configurations alone that have none [S3].
void EvsChecker::Impl::check_acyclic() {
  const auto merged = cycle(true);
  if (!merged) return;
  const auto unmerged = cycle(false);
  report(unmerged ? "S3" : "S6", "no order fits all: " + (unmerged ? *unmerged : *merged));
}

// Topological sort of the graph whose nodes are configurations, sends, and messages (or single
// deliveries, if they are not merged), and whose edges are each processor's order and "sent before
// delivered". It takes the processors' own lists as they are: a node is done when it stands at the
// head of each list that has it.
std::optional<std::string> EvsChecker::Impl::cycle(bool merge_deliveries) const {
  // Node numbers: configurations, then sends, then deliveries.
  const std::size_t first_send = known_.size();
  std::vector<Index> first_delivery(messages_.size() + 1);
  first_delivery[0] = static_cast<Index>(first_send + messages_.size());
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    const int count = merge_deliveries ? 1 : std::popcount(messages_[i].delivered);
    first_delivery[i + 1] = first_delivery[i] + static_cast<Index>(count);
  }
  const Index nodes = first_delivery.back();

  std::vector<std::vector<Index>> lists(members_.size());
  std::vector<Index> awaited(nodes, 0);  // What has still to come before the node is done.
  std::vector<Index> used(first_delivery);
  for (std::size_t at = 0; at < members_.size(); ++at) {
    lists[at].reserve(members_[at].steps.size());
    for (const Step& step : members_[at].steps) {
      Index node = step.what;
      if (step.kind == Step::Kind::send) node += static_cast<Index>(first_send);
      if (step.kind == Step::Kind::deliver) {
        node = merge_deliveries ? first_delivery[step.what] : used[step.what]++;
      }
      lists[at].push_back(node);
      ++awaited[node];
    }
  }
  for (Index node = first_delivery.front(); node < nodes; ++node) ++awaited[node];

  std::vector<std::size_t> head(lists.size(), 0);
  std::vector<Index> waiting(nodes,
                             kNone);  // A chain of the lists that have the node at their head.
  std::vector<Index> next_waiting(lists.size(), kNone);
  std::vector<Index> ready;
  const auto arrive = [&](Index node) {
    if (--awaited[node] == 0) ready.push_back(node);
  };
  const auto wait = [&](Index list) {
    if (head[list] == lists[list].size()) return;
    const Index node = lists[list][head[list]];
    next_waiting[list] = std::exchange(waiting[node], list);
    arrive(node);
  };
  for (Index list = 0; list < lists.size(); ++list) wait(list);
  while (!ready.empty()) {
    const Index node = ready.back();
    ready.pop_back();
    if (node >= first_send && node < first_delivery.front()) {
      const std::size_t message = node - first_send;
      for (Index d = first_delivery[message]; d < first_delivery[message + 1]; ++d) arrive(d);
    }
    for (Index list = waiting[node]; list != kNone;) {
      const Index following = next_waiting[list];
      ++head[list];
      wait(list);
      list = following;
    }
  }

  const auto stuck = [&](std::size_t list) { return head[list] < lists[list].size(); };
  std::size_t list = 0;
  while (list < lists.size() && !stuck(list)) ++list;
  if (list == lists.size()) return std::nullopt;

  // Walk from a stuck head to a list that holds it up, until a list comes again.
  const auto holder = [&](Index node) {
    for (std::size_t at = 0; at < lists.size(); ++at) {
      for (std::size_t i = head[at] + 1; i < lists[at].size(); ++i) {
        if (lists[at][i] == node) return std::pair(at, i);
      }
    }
    return std::pair(lists.size(), std::size_t{0});
  };
  std::string story;
  std::vector<bool> visited(lists.size(), false);
  while (!visited[list]) {
    visited[list] = true;
    Index node = lists[list][head[list]];
    auto [at, place] = holder(node);
    if (at == lists.size() && node >= first_delivery.front()) {
      const auto message = std::upper_bound(first_delivery.begin(), first_delivery.end(), node) -
                           first_delivery.begin() - 1;
      std::tie(at, place) = holder(static_cast<Index>(first_send) + static_cast<Index>(message));
    }
    if (at == lists.size()) break;
    if (!story.empty()) story += "; ";
    const auto& steps = members_[at].steps;
    story += name(static_cast<Index>(at)) + " has " + name_step(steps[head[at]]) + " before " +
             name_step(steps[place]);
    list = at;
  }
  return story;
}

std::string EvsChecker::Impl::name_step(const Step& step) const {
  switch (step.kind) {
    case Step::Kind::configuration:
      return name_configuration(step.what);
    case Step::Kind::send:
      return "the send of " + name_message(step.what);
    case Step::Kind::deliver:
      return name_message(step.what);
  }
  return {};
}

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
  return impl_->violated();
}

std::vector<Violation> EvsChecker::finish(bool at_rest,
                                          const std::vector<std::vector<Processor>>& components) {
  return impl_->finish(at_rest, components);
}

}  // namespace sim
