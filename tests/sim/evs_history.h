// What ring members reported in a run, put in order for the judge (evs_checker.h): who was in which
// configuration, sent and delivered what. It notices by itself what makes no sense at once, which
// is S1 and S2 for the most part.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "evs/event.h"
#include "tests/sim/evs_checker.h"

namespace sim {

// Places in the tables of EvsHistory.
using Index = std::uint32_t;
constexpr Index kNone = ~Index{0};

// Sets of members of one regular configuration, by their place in its list.
using Slots = std::uint32_t;
constexpr std::size_t kSlotsMax = 32;
constexpr Slots bit(std::size_t slot) {
  return Slots{1} << slot;
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
  evs::Configuration configuration;
  Index reporter = kNone;

  // Of a regular configuration. Messages are kept in the order of their places.
  std::vector<Stay> stays;
  std::vector<Index> messages;
  Slots installed = 0;
  bool installed_too_late = false;

  // Of a transitional configuration: the regular ones before and after it.
  Index from = kNone;
  Index to = kNone;

  bool regular() const { return configuration.kind == evs::ConfigurationKind::regular; }
  std::size_t size() const { return configuration.members.size(); }
  Slots all() const { return static_cast<Slots>((std::uint64_t{1} << size()) - 1); }
};

struct Place {
  base::RingId ring;
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
  base::Processor id;
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

inline Messages regular_part(const Stay& stay) {
  return Messages(stay.deliveries).first(stay.regular_deliveries);
}
inline Messages transitional_part(const Stay& stay) {
  return Messages(stay.deliveries).subspan(stay.regular_deliveries);
}

// Of sorted sets of processors.
bool contains(const std::vector<base::Processor>& sorted, const base::Processor& processor);
std::vector<base::Processor> sorted(std::vector<base::Processor> processors);

std::string text(const std::vector<base::Processor>& processors);
std::string text(const evs::Configuration& configuration);
std::string text(const Place& place);

class EvsHistory {
 public:
  // As in EvsChecker.
  void configuration(const base::Processor& at, const evs::ConfigurationChange& change);
  void sent(const base::Processor& by, const Place& place);
  void taken(const base::Processor& by, evs::Service service, base::Bytes payload);
  void delivered(const base::Processor& at, const evs::Delivery& delivery);
  void ended(const base::Processor& who, const char* how);

  const std::vector<Member>& members() const { return members_; }
  const std::vector<Known>& known() const { return known_; }
  const std::vector<Message>& messages() const { return messages_; }

  // The member of this name; new if it never reported anything.
  Index member_index(const base::Processor& processor);

  std::string name(Index member) const { return base::to_string(members_[member].id); }
  std::string name_configuration(Index what) const { return text(known_[what].configuration); }
  std::string name_message(Index what) const;
  std::string name_step(const Step& step) const;

  void report(const char* property, std::string explanation);
  const std::vector<Violation>& violations() const { return violations_; }

 private:
  Member* living(const base::Processor& processor, const char* event);
  Index known(const evs::Configuration& configuration, Index reporter);
  void install_transitional(Index at, Index what, const evs::ConfigurationChange& change);
  void install_regular(Index at, Index what, const evs::ConfigurationChange& change);
  void number(Index by, const Place& place);
  Index find(const Known& ring, std::uint64_t sequence, std::uint32_t index,
             std::size_t guess) const;
  Stay& stay_of(const Member& member) { return known_[member.regular].stays[member.slot]; }

  std::vector<Member> members_;
  std::map<base::Processor, Index> member_index_;
  std::vector<Known> known_;
  std::map<base::RingId, Index> known_index_;
  std::vector<Message> messages_;
  std::vector<Violation> violations_;
};

}  // namespace sim
