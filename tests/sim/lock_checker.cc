#include "tests/sim/lock_checker.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

namespace sim {
namespace {

using base::Processor;
using base::RingId;
using base::SessionId;
using base::Token;
using dlm::LockName;
using dlm::Mode;
using evs::ConfigurationKind;

constexpr TrueTime kNever = TrueTime::min();
constexpr std::size_t kModes = 6;

// Written again from the definition of the modes, in the order NL CR CW PR PW EX: the judge does
// not borrow the rule from the accused.
constexpr std::array<std::string_view, kModes> kMayStandBeside = {"111111", "111110", "111000",
                                                                  "110100", "110000", "100000"};
constexpr std::array<std::string_view, kModes> kModeNames = {"NL", "CR", "CW", "PR", "PW", "EX"};

std::size_t number(Mode mode) {
  return static_cast<std::size_t>(mode);
}
bool conflict(std::size_t a, std::size_t b) {
  return kMayStandBeside[a][b] == '0';
}

std::string text(LockName lock) {
  return "lock " + std::to_string(base::value(lock.session)) + "/" +
         std::to_string(base::value(lock.acquired_by));
}
std::string text(SessionId session) {
  return "session " + std::to_string(base::value(session));
}
std::string text(Token token) {
  return "token " + std::to_string(base::value(token));
}
std::string text(Mode mode) {
  return std::string(kModeNames[number(mode)]);
}
std::string text(TrueTime at) {
  return "at " + std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(at).count()) +
         " us: ";
}
std::string text(const OrderedPlace& place) {
  return "epoch " + std::to_string(place.epoch) + " " + std::to_string(place.sequence) + "." +
         std::to_string(place.index);
}

std::uint64_t combine(std::uint64_t hash, std::uint64_t v) {
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

template <typename T>
bool contains(const std::vector<T>& in, const T& what) {
  return std::find(in.begin(), in.end(), what) != in.end();
}

// What replicas at one place must agree on.
struct Outcome {
  std::uint64_t command = 0;
  std::uint64_t state = 0;
  std::uint64_t effects = 0;

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome outcome_of(const Applied& applied) {
  Outcome outcome{applied.command, applied.state, 0};
  for (const OrderedEnd& end : applied.ended) {
    outcome.effects = combine(outcome.effects, base::value(end.session));
    outcome.effects = combine(outcome.effects, static_cast<std::uint64_t>(end.how));
  }
  for (const auto& [effect, resource] : applied.effects) {
    outcome.effects = combine(outcome.effects, LockHash()(effect.lock));
    outcome.effects = combine(outcome.effects, base::value(effect.token));
    outcome.effects = combine(outcome.effects, number(effect.mode));
    outcome.effects = combine(outcome.effects, static_cast<std::uint64_t>(effect.kind));
    outcome.effects = combine(outcome.effects, static_cast<std::uint64_t>(effect.status));
    for (const char c : resource)
      outcome.effects = combine(outcome.effects, static_cast<std::uint8_t>(c));
  }
  return outcome;
}

}  // namespace

class LockChecker::Impl {
 public:
  explicit Impl(std::size_t nodes) : nodes_(nodes) {}

  void client_acquires(LockName name, std::string_view resource, Mode mode);
  void client_ok(TrueTime at, LockName name, Token token);
  void client_ended(LockName name);
  void client_released(TrueTime at, LockName name);
  void client_closed(SessionId id);
  void client_deadline(TrueTime at, SessionId id, TrueTime until);
  void access(TrueTime at, std::string_view resource, LockName name, Mode mode, Token token,
              bool accepted);
  void lease_promised(SessionId id, TrueTime until);
  void installed(const Processor& by, const evs::Configuration& configuration);
  void told(TrueTime at, const Processor& by, LockName name, bool lease_live);
  void activated(TrueTime at, const Processor& by, ConfigurationKind kind,
                 const Activation& activation);
  void applied(const Applied& applied);
  void check_succession();

  std::vector<Violation> violations;

 private:
  struct Lock {
    // As its client sees it.
    bool asked = false;
    std::size_t resource = 0;
    Mode mode{};
    Token highest_before{};  // Highest token that any client had when this was asked for.
    bool ok = false;
    bool over = false;  // Nobody believes in it any more, or ever will.

    // As the order has it.
    bool granted = false;
    bool held = false;
    bool gone = false;  // Released or cancelled.
    bool session_had_ended = false;
    std::size_t granted_on = 0;
    Mode granted_mode{};
    Token token{};
  };

  struct Session {
    TrueTime deadline = kNever;
    TrueTime promised = kNever;
    bool closed = false;  // By its client.
    bool ended = false;   // In the order.
    std::vector<LockName> believed;
  };

  struct Resource {
    std::array<std::vector<LockName>, kModes> believers;
    std::array<Token, kModes> accepted = {};  // Highest token of an accepted access.

    // In the order.
    std::array<std::vector<LockName>, kModes> holders;
    std::deque<LockName> waiting;

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

  std::optional<LockName> believer_against(std::size_t resource, Mode mode, TrueTime at);
  void begin_epoch(TrueTime at, Epoch& epoch);
  void begin_empty();
  void apply_in_order(const Applied& applied);
  void apply_after_cold(const Applied& applied);
  void end_session(const Applied& applied, const OrderedEnd& end);
  void queue(LockName name, const std::string& resource);
  void grant(const Applied& applied, const OrderedEffect& ordered);
  void free(const Applied& applied, const dlm::Effect& effect);
  void compare(const Applied& applied, const Outcome& expected);

  const std::size_t nodes_;
  std::unordered_map<LockName, Lock, LockHash> locks_;
  std::unordered_map<SessionId, Session> sessions_;
  std::unordered_map<std::string, std::size_t> resource_numbers_;
  std::vector<Resource> resources_;
  Token highest_ok_{};
  Token highest_ordered_{};

  std::map<std::uint64_t, Epoch> epochs_;
  std::map<Processor, Replica> replicas_;
  OrderedPlace frontier_;  // The last place of the order.
  std::uint64_t last_cold_ = 0;
  std::unordered_map<OrderedPlace, Outcome, PlaceHash> order_;
  std::map<std::pair<RingId, OrderedPlace>, Outcome> transitional_;
};

// --- clients

void LockChecker::Impl::client_acquires(LockName name, std::string_view resource, Mode mode) {
  Lock& lock = locks_[name];
  if (lock.asked) return;  // A retry is the same request.
  lock.asked = true;
  lock.resource = resource_of(resource);
  lock.mode = mode;
  lock.highest_before = highest_ok_;
}

void LockChecker::Impl::client_ok(TrueTime at, LockName name, Token token) {
  Lock& lock = locks_[name];
  Session& session = sessions_[name.session];
  const auto wrong = [&](const char* property, const std::string& what) {
    report(property, text(at) + text(name) + " with " + text(token) + " " + what);
  };
  if (!lock.asked) return wrong("NPG", "was granted, but nobody had asked for it");
  if (lock.ok) return wrong("NPG", "was granted to its client twice");
  if (lock.over) return wrong("NPG", "was granted after its client had been told that it was over");
  if (session.deadline < at) wrong("NPG", "was granted after the client's deadline");
  if (!lock.granted) {
    wrong("NPG", "was granted, but no such grant is in the order");
  } else {
    if (lock.token != token) wrong("NPG", "has " + text(lock.token) + " in the order");
    if (lock.granted_mode != lock.mode || lock.granted_on != lock.resource) {
      wrong("NPG", "was asked for in another mode or on another resource");
    }
    if (lock.session_had_ended) wrong("NPG", "was granted when its session had ended");
  }
  if (token <= lock.highest_before) {
    wrong("TM", "follows " + text(lock.highest_before) +
                    ", which a client had before this one was asked for");
  }
  highest_ok_ = std::max(highest_ok_, token);
  if (const auto other = believer_against(lock.resource, lock.mode, at)) {
    wrong("ME", "in " + text(lock.mode) + " overlaps the belief in " + text(*other) + " in " +
                    text(locks_[*other].mode));
  }
  lock.ok = true;
  resources_[lock.resource].believers[number(lock.mode)].push_back(name);
  session.believed.push_back(name);
}

// Forgets, on the way, those whose belief is over; so each is looked at once in vain.
std::optional<LockName> LockChecker::Impl::believer_against(std::size_t resource, Mode mode,
                                                            TrueTime at) {
  for (std::size_t other = 0; other < kModes; ++other) {
    if (!conflict(other, number(mode))) continue;
    auto& believers = resources_[resource].believers[other];
    while (!believers.empty() && !believed(believers.back(), at)) believers.pop_back();
    if (!believers.empty()) return believers.back();
  }
  return std::nullopt;
}

void LockChecker::Impl::client_ended(LockName name) {
  locks_[name].over = true;
  erase(sessions_[name.session].believed, name);
}

void LockChecker::Impl::client_released(TrueTime at, LockName name) {
  if (!locks_[name].held) return;
  report("NLR",
         text(at) + text(name) + " is released, its client was told, but the order has it held");
}

void LockChecker::Impl::client_closed(SessionId id) {
  Session& session = sessions_[id];
  session.closed = true;
  session.deadline = kNever;
  session.believed.clear();
}

void LockChecker::Impl::client_deadline(TrueTime at, SessionId id, TrueTime until) {
  Session& session = sessions_[id];
  if (session.closed) return;
  if (session.deadline < at && !session.believed.empty()) {
    report("LF", text(at) + text(session.believed.front()) +
                     " came back to life: its deadline had passed when a new one came");
  }
  session.deadline = until;
}

void LockChecker::Impl::access(TrueTime at, std::string_view resource, LockName name, Mode mode,
                               Token token, bool accepted) {
  const std::size_t on = resource_of(resource);
  if (!accepted) {
    locks_.try_emplace(name);
    sessions_.try_emplace(name.session);
    if (believed(name, at)) {
      report("ME-T", text(at) + text(name) + " with " + text(token) +
                         " was refused by the resource while its client holds it");
    }
    return;
  }
  for (std::size_t other = 0; other < kModes; ++other) {
    const Token seen = resources_[on].accepted[other];
    if (!conflict(other, number(mode)) || seen <= token) continue;
    report("ME-T", text(at) + text(name) + " with " + text(token) + " was accepted after " +
                       text(seen) + " of a conflicting mode");
  }
  Token& highest = resources_[on].accepted[number(mode)];
  highest = std::max(highest, token);
}

// --- daemons

void LockChecker::Impl::lease_promised(SessionId id, TrueTime until) {
  Session& session = sessions_[id];
  session.promised = std::max(session.promised, until);
}

void LockChecker::Impl::installed(const Processor& by, const evs::Configuration& configuration) {
  Replica& replica = replicas_[by];
  replica.kind = configuration.kind;
  replica.configuration = configuration.id;
  replica.active = false;
}

void LockChecker::Impl::told(TrueTime at, const Processor& by, LockName name, bool lease_live) {
  if (!replicas_[by].active) {
    report("NPG", text(at) + text(name) + " was told by " + base::to_string(by) +
                      ", which is not in a regular configuration of an active primary");
  }
  if (!lease_live) {
    report("NPG", text(at) + text(name) + " was told with an expired lease");
  }
}

void LockChecker::Impl::activated(TrueTime at, const Processor& by, ConfigurationKind kind,
                                  const Activation& activation) {
  const auto wrong = [&](const std::string& what) {
    report("E10", text(at) + "epoch " + std::to_string(activation.epoch) + ", delivered at " +
                      base::to_string(by) + ", " + what);
  };
  const auto [found, is_new] = epochs_.try_emplace(activation.epoch);
  Epoch& epoch = found->second;
  if (is_new) {
    epoch.activation = activation;
    std::vector<base::NodeId> voters = activation.voters;
    std::sort(voters.begin(), voters.end());
    const bool once = std::adjacent_find(voters.begin(), voters.end()) == voters.end();
    if (!once || 2 * voters.size() <= nodes_) wrong("has no majority of votes");
    for (const base::NodeId voter : voters) {
      const bool member = std::any_of(activation.members.begin(), activation.members.end(),
                                      [&](const Processor& m) { return m.node == voter; });
      if (!member) wrong("counts the vote of " + base::to_string(voter) + ", which is no member");
    }
    if (!activation.cold) {
      if (!contains(activation.members, activation.donor)) wrong("has a donor that is no member");
      const auto& tables = replicas_[activation.donor].pending;
      const auto of = epochs_.find(activation.donor_epoch);
      const auto table = of == epochs_.end() ? tables.end() : tables.find(&of->second);
      if (table == tables.end()) {
        wrong("has a donor without a table of epoch " + std::to_string(activation.donor_epoch));
      } else {
        epoch.inherited = table->second;
      }
    }
  } else if (epoch.activation.ring != activation.ring) {
    return wrong("is active in two configurations");
  } else if (!(epoch.activation == activation)) {
    return wrong("has another content elsewhere");
  }
  if (!contains(activation.members, by)) wrong("is active at a stranger");

  Replica& replica = replicas_[by];
  replica.epoch = &epoch;
  if (kind == ConfigurationKind::regular) {
    replica.active =
        replica.kind == ConfigurationKind::regular && replica.configuration == activation.ring;
    epoch.known_active = true;
    begin_epoch(at, epoch);
  }
  std::vector<Pending>& pending = replica.pending[&epoch];
  if (!epoch.in_order) {
    pending = epoch.inherited;
    pending.push_back({nullptr, &epoch});
  }
}

void LockChecker::Impl::begin_epoch(TrueTime at, Epoch& epoch) {
  if (epoch.in_order) return;
  epoch.in_order = true;
  for (const Pending& pending : epoch.inherited) {
    if (pending.activation != nullptr) {
      begin_epoch(at, *pending.activation);
    } else {
      apply_in_order(*pending.applied);
    }
  }
  epoch.inherited.clear();
  const Activation& activation = epoch.activation;
  if (activation.epoch < frontier_.epoch) {
    if (last_cold_ > activation.epoch) return;  // Nothing of it was inherited, and that was said.
    report("E10", text(at) + "epoch " + std::to_string(activation.epoch) +
                      " was active, but a later one does not build upon it");
    return;
  }
  frontier_ = {activation.epoch, activation.ring, 0, 0};
  if (!activation.cold) return;
  last_cold_ = activation.epoch;
  begin_empty();
}

void LockChecker::Impl::begin_empty() {
  for (Resource& resource : resources_) {
    resource.waiting.clear();
    for (std::size_t mode = 0; mode < kModes; ++mode) {
      for (const LockName name : resource.holders[mode]) {
        Lock& lock = locks_[name];
        lock.held = false;
        lock.gone = true;
        if (!lock.over) resource.ghosts[mode].push_back(name);
      }
      resource.holders[mode].clear();
    }
  }
}

// Consecutive epochs share a processor, or a cold start lies between them. An epoch that was
// delivered in transitional configurations only may or may not have been a step on the way.
void LockChecker::Impl::check_succession() {
  std::vector<const Activation*> before;
  for (const auto& entry : epochs_) {
    const Epoch& epoch = entry.second;
    const auto shares = [&](const Activation* other) {
      return std::any_of(other->members.begin(), other->members.end(),
                         [&](const Processor& m) { return contains(epoch.activation.members, m); });
    };
    if (epoch.known_active) {
      if (!epoch.activation.cold && !std::any_of(before.begin(), before.end(), shares)) {
        report("E10", "epoch " + std::to_string(entry.first) +
                          " has no member in common with the one before, and is no cold start");
      }
      before.clear();
    }
    before.push_back(&epoch.activation);
  }
}

void LockChecker::Impl::applied(const Applied& applied) {
  const auto wrong = [&](const char* property, const std::string& what) {
    report(property, text(applied.at) + base::to_string(applied.by) + " applied " +
                         text(applied.place) + ", " + what);
  };
  const auto found = epochs_.find(applied.place.epoch);
  Replica& replica = replicas_[applied.by];
  if (found == epochs_.end() || found->second.activation.ring != applied.place.ring ||
      replica.epoch != &found->second) {
    return wrong("E10", "but has not activated that epoch");
  }
  const Epoch& epoch = found->second;
  if (!contains(epoch.activation.members, applied.sender)) {
    wrong("E12", "a command of " + base::to_string(applied.sender) + ", which is excluded");
  }
  const Outcome outcome = outcome_of(applied);
  const auto in_order = order_.find(applied.place);
  if (applied.kind == ConfigurationKind::transitional) {
    const auto [same, is_first] =
        transitional_.try_emplace({applied.configuration, applied.place}, outcome);
    if (!is_first) compare(applied, same->second);
    replica.pending[&epoch].push_back({std::make_shared<const Applied>(applied), nullptr});
  } else if (in_order != order_.end()) {
    compare(applied, in_order->second);
  } else if (applied.place.epoch == frontier_.epoch && applied.place > frontier_) {
    apply_in_order(applied);
  } else if (applied.place.epoch < last_cold_) {
    apply_after_cold(applied);
  } else {
    wrong("E11", "which others have left out");
  }
}

void LockChecker::Impl::compare(const Applied& applied, const Outcome& expected) {
  const Outcome outcome = outcome_of(applied);
  if (outcome == expected) return;
  const char* const what = outcome.command != expected.command ? "another command"
                           : outcome.state != expected.state   ? "with another state"
                                                               : "with other effects";
  report("E11", text(applied.at) + base::to_string(applied.by) + " applied " + text(applied.place) +
                    ", " + what + " than others");
}

// --- the order

void LockChecker::Impl::apply_in_order(const Applied& applied) {
  const auto [at, is_first] = order_.try_emplace(applied.place, outcome_of(applied));
  if (!is_first) return compare(applied, at->second);
  if (applied.place <= frontier_) {
    report("E11", text(applied.at) + base::to_string(applied.by) + " applied " +
                      text(applied.place) + ", which others have left out");
    return;
  }
  frontier_ = applied.place;
  for (const OrderedEnd& end : applied.ended) end_session(applied, end);
  for (const OrderedEffect& ordered : applied.effects) {
    switch (ordered.effect.kind) {
      case dlm::Effect::Kind::queued:
        queue(ordered.effect.lock, ordered.resource);
        break;
      case dlm::Effect::Kind::granted:
        grant(applied, ordered);
        break;
      case dlm::Effect::Kind::released:
      case dlm::Effect::Kind::cancelled:
        free(applied, ordered.effect);
        break;
      case dlm::Effect::Kind::refused:
        break;
    }
  }
}

// By a node of an epoch that nobody inherited: a cold start was waited out for the sake of such
// grants.
void LockChecker::Impl::apply_after_cold(const Applied& applied) {
  order_.emplace(applied.place, outcome_of(applied));
  for (const auto& [effect, resource] : applied.effects) {
    if (effect.kind != dlm::Effect::Kind::granted) continue;
    Lock& lock = locks_[effect.lock];
    lock.granted = true;
    lock.gone = true;
    lock.granted_on = resource_of(resource);
    lock.granted_mode = effect.mode;
    lock.token = effect.token;
    resources_[lock.granted_on].ghosts[number(effect.mode)].push_back(effect.lock);
  }
}

void LockChecker::Impl::end_session(const Applied& applied, const OrderedEnd& end) {
  Session& session = sessions_[end.session];
  session.ended = true;
  if (session.closed || end.how == OrderedEnd::How::fenced) return;
  if (end.how == OrderedEnd::How::closed) {
    report("RX", text(applied.at) + text(end.session) + " is closed by " + text(applied.place) +
                     ", but its client has not closed it");
  } else if (std::max(session.deadline, session.promised) >= applied.at) {
    report("RX", text(applied.at) + text(end.session) + " is expired by " + text(applied.place) +
                     ", but its last promise has not run out");
  }
}

void LockChecker::Impl::queue(LockName name, const std::string& resource) {
  Lock& lock = locks_[name];
  lock.granted_on = resource_of(resource);
  resources_[lock.granted_on].waiting.push_back(name);
}

void LockChecker::Impl::grant(const Applied& applied, const OrderedEffect& ordered) {
  const LockName name = ordered.effect.lock;
  const Mode mode = ordered.effect.mode;
  const Token token = ordered.effect.token;
  Lock& lock = locks_[name];
  const std::size_t on = resource_of(ordered.resource);
  Resource& resource = resources_[on];
  const auto wrong = [&](const char* property, const std::string& what) {
    report(property, text(applied.at) + text(name) + " is granted by " + text(applied.place) +
                         " with " + text(token) + " " + what);
  };
  if (lock.granted) wrong("NPG", "a second time");
  if (lock.gone) wrong("NPG", "after it was cancelled or released");
  if (token <= highest_ordered_) wrong("TM", "after " + text(highest_ordered_));
  highest_ordered_ = std::max(highest_ordered_, token);

  const auto place = std::find(resource.waiting.begin(), resource.waiting.end(), name);
  if (!resource.waiting.empty() && place != resource.waiting.begin()) {
    wrong("FIFO", "ahead of " + text(resource.waiting.front()));
  }
  if (place != resource.waiting.end()) resource.waiting.erase(place);

  for (std::size_t other = 0; other < kModes; ++other) {
    if (!conflict(other, number(mode))) continue;
    if (!resource.holders[other].empty()) {
      wrong("ME", "in " + text(mode) + " beside " + text(resource.holders[other].front()) + " in " +
                      std::string(kModeNames[other]));
    }
    std::erase_if(resource.ghosts[other], [&](LockName ghost) {
      return locks_[ghost].over || sessions_[ghost.session].closed;
    });
    for (const LockName ghost : resource.ghosts[other]) {
      if (possible_until(ghost) < applied.at) continue;
      wrong("RX", "while the client of " + text(ghost) + " may still believe in it");
      break;
    }
  }
  lock.granted = true;
  lock.held = true;
  lock.session_had_ended = sessions_[name.session].ended;
  lock.granted_on = on;
  lock.granted_mode = mode;
  lock.token = token;
  resource.holders[number(mode)].push_back(name);
}

void LockChecker::Impl::free(const Applied& applied, const dlm::Effect& effect) {
  const LockName name = effect.lock;
  Lock& lock = locks_[name];
  Resource& resource = resources_[lock.granted_on];
  lock.gone = true;
  if (effect.kind == dlm::Effect::Kind::cancelled) {
    std::erase(resource.waiting, name);
    return;
  }
  const auto wrong = [&](const char* property, const std::string& what) {
    report(property,
           text(applied.at) + text(name) + " is freed by " + text(applied.place) + ", " + what);
  };
  if (!lock.held) return wrong("NLR", "but does not hold");
  if (effect.token != lock.token) wrong("NLR", "under another token than it was granted");
  lock.held = false;
  erase(resource.holders[number(lock.granted_mode)], name);
  const Session& session = sessions_[name.session];
  if (lock.over || session.closed) return;
  if (!session.ended) wrong("RX", "but its client has not finished and its session has not ended");
  resource.ghosts[number(lock.granted_mode)].push_back(name);
}

// --- the front

LockChecker::LockChecker(std::size_t nodes) : impl_(std::make_unique<Impl>(nodes)) {}
LockChecker::~LockChecker() = default;

void LockChecker::client_acquires(TrueTime, LockName lock, std::string_view resource, Mode mode) {
  impl_->client_acquires(lock, resource, mode);
}
void LockChecker::client_ok(TrueTime at, LockName lock, Token token) {
  impl_->client_ok(at, lock, token);
}
void LockChecker::client_releases(TrueTime, LockName lock) {
  impl_->client_ended(lock);
}
void LockChecker::client_released(TrueTime at, LockName lock) {
  impl_->client_released(at, lock);
}
void LockChecker::client_failed(TrueTime, LockName lock) {
  impl_->client_ended(lock);
}
void LockChecker::client_lost(TrueTime, LockName lock) {
  impl_->client_ended(lock);
}
void LockChecker::client_closed(TrueTime, SessionId session) {
  impl_->client_closed(session);
}
void LockChecker::client_deadline(TrueTime at, SessionId session, TrueTime until) {
  impl_->client_deadline(at, session, until);
}
void LockChecker::access(TrueTime at, std::string_view resource, LockName lock, Mode mode,
                         Token token, bool accepted) {
  impl_->access(at, resource, lock, mode, token, accepted);
}
void LockChecker::lease_promised(TrueTime, SessionId session, TrueTime until) {
  impl_->lease_promised(session, until);
}
void LockChecker::installed(TrueTime, const Processor& by,
                            const evs::Configuration& configuration) {
  impl_->installed(by, configuration);
}
void LockChecker::told(TrueTime at, const Processor& by, LockName lock, bool lease_live) {
  impl_->told(at, by, lock, lease_live);
}
void LockChecker::activated(TrueTime at, const Processor& by, ConfigurationKind kind,
                            const Activation& activation) {
  impl_->activated(at, by, kind, activation);
}
void LockChecker::applied(const Applied& applied) {
  impl_->applied(applied);
}

bool LockChecker::violated() const {
  return !impl_->violations.empty();
}

std::vector<Violation> LockChecker::finish() {
  impl_->check_succession();
  return impl_->violations;
}

}  // namespace sim
