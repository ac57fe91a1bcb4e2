// The parts of the judge of locks: what clients believe (lock_beliefs.cc), which epochs follow each
// other (lock_epochs.cc), what was done in the one order (lock_order.cc, lock_queues.cc,
// lock_values.cc, lock_deadlocks.cc), and what lockspaces are told (lock_spaces.cc).
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/sim/lock_checker.h"

namespace sim {

using base::Processor;
using base::RingId;
using base::SessionId;
using base::Token;
using dlm::GrantNotes;
using dlm::LockFlags;
using dlm::LockName;
using dlm::Mode;
using dlm::Owner;
using dlm::RequestId;
using dlm::ValueBlock;
using evs::ConfigurationKind;

constexpr TrueTime kNever = TrueTime::min();
constexpr std::size_t kModes = 6;

std::size_t number(Mode mode);

// Written again from the definition of the modes: the judge does not borrow the rule from the
// accused.
bool conflict(std::size_t a, std::size_t b);
std::string_view mode_name(std::size_t mode);

std::string text(LockName lock);
std::string text(SessionId session);
std::string text(Token token);
std::string text(Mode mode);
std::string text(TrueTime at);
std::string text(const OrderedPlace& place);

inline std::uint64_t combine(std::uint64_t hash, std::uint64_t v) {
  hash = (hash ^ v) * 0x9e3779b97f4a7c15u;
  return hash ^ (hash >> 29);
}

struct LockHash {
  std::size_t operator()(LockName lock) const {
    return combine(combine(1, base::value(lock.session)), base::value(lock.acquired_by));
  }
};

struct PlaceHash {
  std::size_t operator()(const OrderedPlace& place) const {
    return combine(combine(combine(place.epoch, place.ring.nonce), place.sequence), place.index);
  }
};

template <typename T>
bool erase(std::vector<T>& from, const T& what) {
  const auto at = std::find(from.begin(), from.end(), what);
  if (at == from.end()) return false;
  *at = from.back();
  from.pop_back();
  return true;
}

template <typename Container, typename T>
bool contains(const Container& in, const T& what) {
  return std::find(in.begin(), in.end(), what) != in.end();
}

// What replicas at one place must agree on.
struct Outcome {
  std::uint64_t command = 0;
  std::uint64_t state = 0;
  std::uint64_t effects = 0;

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome outcome_of(const Applied& applied);

class LockChecker::Impl {
 public:
  Impl(std::size_t nodes, bool clocks_hold) : nodes_(nodes), clocks_hold_(clocks_hold) {}

  void client_asks(LockName name, const Asked& asked);
  Mode asked_mode(LockName name) { return locks_[name].mode; }
  void client_granted(TrueTime at, LockName name, const Told& told);
  void client_releases(LockName name, LockFlags flags, const std::optional<ValueBlock>& value);
  void client_converts(LockName name, const AskedConversion& asked);
  void client_converted(TrueTime at, LockName name, RequestId operation, const Told& told);
  void client_not_converted(TrueTime at, LockName name, RequestId operation, const Told& told);
  void client_blocks(TrueTime at, LockName name, Token token, Mode mode);
  void client_operates(std::uint64_t client, RequestId operation);
  void client_answered(TrueTime at, std::uint64_t client, RequestId operation);
  void client_gone(std::uint64_t client);
  void client_told_of(TrueTime at, SessionId session, const LockspaceSeen& seen);
  void client_ended(LockName name);
  void client_released(TrueTime at, LockName name);
  void client_not_released(TrueTime at, LockName name);
  void client_lost(TrueTime at, LockName name);
  void client_closed(SessionId id);
  void client_deadline(TrueTime at, SessionId id, TrueTime until);
  void client_uses(TrueTime at, LockName name);
  void access(TrueTime at, std::string_view resource, LockName name, Mode mode, Token token,
              bool accepted);
  void lease_promised(SessionId id, TrueTime until);
  void somebody_failed() { somebody_failed_ = true; }
  void undisturbed(TrueTime at) { undisturbed_from_ = at; }
  void settled(TrueTime at);
  void installed(TrueTime at, const Processor& by, const evs::Configuration& configuration);
  void told(TrueTime at, const Processor& by, LockName name, bool lease_live);
  void activated(TrueTime at, const Processor& by, ConfigurationKind kind,
                 const Activation& activation);
  void applied(const Applied& applied);
  bool is_active(const Processor& replica) const;
  void check_succession();

  OrderListener* listener = nullptr;

  std::vector<Violation> violations;

 private:
  struct Lock {
    // As its client sees it.
    bool asked = false;
    std::size_t resource = 0;
    Mode mode{};
    LockFlags flags = 0;
    Owner owner{};
    RequestId first{};
    std::size_t parts = 1;
    std::vector<AskedConversion> conversions;
    std::optional<AskedConversion> release;  // Its flags and value.
    unsigned belief = 0;  // Modes, a bit for each: it relies on what all of them exclude.
    Mode told_mode{};
    bool lost = false;
    Token highest_before{};  // Highest token that any client had when this was asked for.
    bool ok = false;
    TrueTime ok_at{};
    bool over = false;  // Nobody believes in it any more, or ever will.

    // As the order has it.
    bool granted = false;
    bool held = false;
    bool gone = false;  // Released or cancelled.
    bool session_had_ended = false;
    bool granted_to_ended = false;  // Its present mode, which nobody was told of.
    std::size_t granted_on = 0;
    Mode granted_mode{};
    Token token{};
    LockFlags ordered_flags = 0;  // Those of the last request or conversion.
    RequestId granted_by{};       // The request or conversion of the last grant.
    GrantNotes notes = 0;
    std::optional<ValueBlock> read;  // What it was granted with.
    std::optional<Mode> told_of;     // Since the last grant: the highest that it stands against.
    bool demoted = false;            // By a conversion that waits.
    RequestId waits_by{};
    Mode wants{};
    OrderedPlace queued_at;  // By this command it began to wait.
  };

  struct Session {
    TrueTime deadline = kNever;
    TrueTime promised = kNever;
    bool closed = false;  // By its client.
    bool ended = false;   // In the order.
    bool forced = false;  // By force: what its client believes from then on counts for nothing.
    std::vector<LockName> believed;
    Processor at;              // Who serves it, or did last,
    OrderedPlace attached_by;  // since this command.
    OrderedPlace ended_by;     // If its end was not that of its node: persistent locks stay.
  };

  struct Resource {
    std::vector<LockName> believers;
    std::array<Token, kModes> accepted = {};  // Highest token of an accepted access.

    // In the order.
    std::array<std::vector<LockName>, kModes> holders;
    std::deque<LockName> waiting;
    std::deque<LockName> converting;  // Holders too.

    // The value block. Whether it is marked is not known where a cold wait may have marked it, or
    // what frees the lock of a dead writer may or may not have known that its node is gone.
    ValueBlock value{};
    std::optional<bool> marked;
    bool granted_since_cold = false;  // Before that a cold table may make anybody wait.

    // No longer holders in the order, but their clients never said that they had finished.
    std::array<std::vector<LockName>, kModes> ghosts;
  };

  struct Epoch;

  // What a replica did in a transitional configuration, which counts once a later epoch builds on
  // it.
  struct Pending {
    std::shared_ptr<const Applied> applied;
    Epoch* activation = nullptr;  // If not set, this is what was done.
  };

  struct Epoch {
    Activation activation;
    bool in_order = false;  // Known active, or built upon.
    bool known_active = false;
    std::vector<Pending> inherited;
  };

  struct Replica {
    ConfigurationKind kind = ConfigurationKind::transitional;
    RingId configuration;
    const Epoch* epoch = nullptr;  // The last one whose ACTIVATE was delivered here.
    bool active = false;           // In a regular configuration, after its ACTIVATE.

    // By epoch, and so by table: one that was not chosen stays as it is until another is loaded.
    std::map<const Epoch*, std::vector<Pending>> pending;
  };

  void report(std::string property, std::string explanation) {
    if (violations.size() < kViolationsMax) {
      violations.push_back({std::move(property), std::move(explanation)});
    }
  }

  std::size_t resource_of(std::string_view name) {
    const auto [at, is_new] = resource_numbers_.try_emplace(std::string(name), resources_.size());
    if (is_new) resources_.emplace_back();
    return at->second;
  }

  bool believed(LockName name, TrueTime at) const {
    const Lock& lock = locks_.at(name);
    return lock.ok && !lock.over && sessions_.at(name.session).deadline >= at;
  }

  // The last moment at which anybody may believe in a lock whose client has not ended it.
  TrueTime possible_until(LockName name) {
    const Session& session = sessions_[name.session];
    return std::max(session.deadline, session.promised);
  }

  std::optional<LockName> believer_against(LockName name, TrueTime at);
  void compare_told(TrueTime at, LockName name, const Told& told);
  void believe(TrueTime at, LockName name, unsigned modes);
  void begin_epoch(TrueTime at, Epoch& epoch);
  void begin_empty();
  void apply_in_order(const Applied& applied);
  void apply_after_cold(const Applied& applied);
  void end_session(const Applied& applied, const OrderedEnd& end);
  void queue(const Applied& applied, const OrderedEffect& ordered, bool converts);
  void refuse(const Applied& applied, const dlm::Effect& effect, bool converts);
  void enter(const Applied& applied, const dlm::Effect& effect);
  std::optional<AskedConversion> asked_conversion(const Lock& lock, RequestId operation) const;
  bool must_wait(const Resource& resource, Mode mode, LockFlags flags) const;
  bool conversion_must_wait(const Resource& resource, LockName name, Mode mode) const;
  bool fits_in_any(const Resource& resource, LockName name, Mode mode, LockFlags flags) const;
  bool can_never_go(const Resource& resource, LockName name) const;
  bool fits(const Resource& resource, LockName name, Mode mode) const;
  void take_adopted(const Applied& applied, LockName name);
  void convert(const Applied& applied, const OrderedEffect& ordered);
  void revert(const Applied& applied, const dlm::Effect& effect);
  void demote(LockName name);
  void drop_from_queues(LockName name);
  void block(const Applied& applied, const dlm::Effect& effect);
  void check_parts(const Applied& applied);
  void check_queues(const Applied& applied, const std::vector<std::size_t>& touched);
  void check_told_of_waiters(const Applied& applied, const Resource& resource);

  // The value block: lock_values.cc.
  void transfer_value(const Applied& applied, const dlm::Effect& effect, std::optional<Mode> from,
                      const std::optional<ValueBlock>& written);
  void value_of_released(LockName name);
  void forget_if_empty(Resource& resource);

  // Deadlocks: lock_deadlocks.cc.
  std::vector<bool> true_steps(const dlm::Deadlock& deadlock) const;
  void check_deadlocks(const Applied& applied, const std::vector<std::vector<bool>>& before);

  // Lockspaces: lock_spaces.cc.
  void lockspaces(const Applied& applied);
  void find_departed(const Applied& applied, const LockspaceSeen& before, const LockspaceSeen& now);
  void check_recovered(const Applied& applied);
  bool cold_for_nothing(const Activation& activation) const;
  void grant(const Applied& applied, const OrderedEffect& ordered);
  void free(const Applied& applied, const dlm::Effect& effect);
  void compare(const Applied& applied, const Outcome& expected);

  const std::size_t nodes_;
  const bool clocks_hold_;
  bool somebody_failed_ = false;
  std::optional<TrueTime> undisturbed_from_;
  std::unordered_map<LockName, Lock, LockHash> locks_;
  std::unordered_map<SessionId, Session> sessions_;
  std::unordered_map<std::string, std::size_t> resource_numbers_;
  std::vector<Resource> resources_;
  std::set<std::pair<std::uint64_t, RequestId>> operations_;  // Without an answer.
  std::map<std::string, LockspaceSeen> lockspaces_;           // The last in the order.
  std::set<LockspaceSeen> lockspaces_seen_;
  std::map<Processor, OrderedPlace> failed_;  // Members of lockspaces, not yet recovered.
  Token highest_ok_{};
  Token highest_ordered_{};
  Token highest_before_{};  // Before the command that is looked at.

  std::map<std::uint64_t, Epoch> epochs_;
  std::map<Processor, Replica> replicas_;
  OrderedPlace frontier_;  // The last place of the order.
  std::uint64_t last_cold_ = 0;
  std::unordered_map<OrderedPlace, Outcome, PlaceHash> order_;
  std::map<std::pair<RingId, OrderedPlace>, Outcome> transitional_;
};

}  // namespace sim
