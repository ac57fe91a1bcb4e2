#include "tests/sim/evs_history.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <string_view>

namespace sim {

using base::Processor;
using evs::Configuration;
using evs::ConfigurationKind;

namespace {

std::uint64_t hash_of(base::Bytes bytes) {
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::vector<Processor> minus(const std::vector<Processor>& from,
                             const std::vector<Processor>& what) {
  std::vector<Processor> rest;
  std::set_difference(from.begin(), from.end(), what.begin(), what.end(), std::back_inserter(rest));
  return rest;
}

}  // namespace

bool contains(const std::vector<Processor>& sorted, const Processor& processor) {
  return std::binary_search(sorted.begin(), sorted.end(), processor);
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

std::string text(const Place& place) {
  return "message " + std::to_string(place.sequence) + "/" + std::to_string(place.index) +
         " of ring " + base::to_string(place.ring);
}

std::string EvsHistory::name_message(Index what) const {
  const Message& m = messages_[what];
  return text(Place{known_[m.ring].configuration.id, m.sequence, m.index}) + " from " +
         name(m.sender);
}

std::string EvsHistory::name_step(const Step& step) const {
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

void EvsHistory::report(const char* property, std::string explanation) {
  if (violations_.size() < EvsChecker::kViolationsMax)
    violations_.push_back({property, std::move(explanation)});
}

Index EvsHistory::member_index(const Processor& processor) {
  const auto [at, added] =
      member_index_.try_emplace(processor, static_cast<Index>(members_.size()));
  if (added) members_.emplace_back().id = processor;
  return at->second;
}

// The member, unless nothing that it does can be judged any more.
Member* EvsHistory::living(const Processor& processor, const char* event) {
  Member& member = members_[member_index(processor)];
  if (member.ended) {
    report("S2", base::to_string(processor) + " " + event + " after it had failed or left");
    return nullptr;
  }
  return member.lost ? nullptr : &member;
}

// The one configuration of this id; kNone if the id stands for something else already. [S2]
Index EvsHistory::known(const Configuration& configuration, Index reporter) {
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

void EvsHistory::configuration(const Processor& at, const evs::ConfigurationChange& change) {
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

void EvsHistory::install_transitional(Index at, Index what,
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

void EvsHistory::install_regular(Index at, Index what, const evs::ConfigurationChange& change) {
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
    report("S1", name(at) + " sent " + text(early) +
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

void EvsHistory::sent(const Processor& by, const Place& place) {
  Member* member = living(by, "sent a message");
  if (member == nullptr) return;
  if (member->regular == kNone || known_[member->regular].configuration.id != place.ring) {
    member->early.push_back(place);
  } else if (member->transitional != kNone) {
    report("S1", base::to_string(by) + " sent " + text(place) + " while in " +
                     name_configuration(member->transitional));
  } else {
    number(member_index(by), place);
  }
}

void EvsHistory::number(Index by, const Place& place) {
  Member& member = members_[by];
  Known& ring = known_[member.regular];
  const auto at = std::pair(place.sequence, place.index);
  auto before = ring.messages.end();
  if (!ring.messages.empty() && messages_[ring.messages.back()].place() >= at) {
    before = std::lower_bound(
        ring.messages.begin(), ring.messages.end(), at,
        [this](Index message, const auto& key) { return messages_[message].place() < key; });
    if (messages_[*before].place() == at) {
      report("S1", name(by) + " sent " + text(place) + ", but that is the place of " +
                       name_message(*before));
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

void EvsHistory::taken(const Processor& by, evs::Service service, base::Bytes payload) {
  members_[member_index(by)].taken.push_back({service, hash_of(payload)});
}

// The message at this place of the ring. `guess`: where it is if the processor delivered all before
// it.
Index EvsHistory::find(const Known& ring, std::uint64_t sequence, std::uint32_t index,
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

void EvsHistory::delivered(const Processor& at, const evs::Delivery& delivery) {
  Member* member = living(at, "delivered a message");
  if (member == nullptr) return;
  const auto described = [&] {
    return base::to_string(at) + " delivered " +
           text(Place{delivery.ring, delivery.sequence, delivery.index}) + " from " +
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

void EvsHistory::ended(const Processor& who, const char* how) {
  const Index at = member_index(who);
  Member& member = members_[at];
  if (member.ended) return report("S2", name(at) + " " + how + " after it had failed or left");
  member.ended = true;
  if (member.regular != kNone) stay_of(member).end = Stay::End::failed;
}

}  // namespace sim
