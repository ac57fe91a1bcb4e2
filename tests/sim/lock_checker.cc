#include <algorithm>
#include <array>
#include <string>

#include "tests/sim/lock_checker_impl.h"

namespace sim {
namespace {

// In the order NL CR CW PR PW EX.
constexpr std::array<std::string_view, kModes> kMayStandBeside = {"111111", "111110", "111000",
                                                                  "110100", "110000", "100000"};
constexpr std::array<std::string_view, kModes> kModeNames = {"NL", "CR", "CW", "PR", "PW", "EX"};

}  // namespace

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

std::string_view mode_name(std::size_t mode) {
  return kModeNames[mode];
}

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
    outcome.effects = combine(outcome.effects, effect.notes);
    for (const char c : resource)
      outcome.effects = combine(outcome.effects, static_cast<std::uint8_t>(c));
  }
  return outcome;
}

void LockChecker::Impl::lease_promised(SessionId id, TrueTime until) {
  Session& session = sessions_[id];
  session.promised = std::max(session.promised, until);
}

void LockChecker::Impl::installed(TrueTime at, const Processor& by,
                                  const evs::Configuration& configuration) {
  if (undisturbed_from_) {
    report("NFE", text(at) + base::to_string(by) + " left its configuration, undisturbed " +
                      text(*undisturbed_from_) + "and ever since");
  }
  Replica& replica = replicas_[by];
  replica.kind = configuration.kind;
  replica.configuration = configuration.id;
  replica.active = false;
}

bool LockChecker::Impl::is_active(const Processor& replica) const {
  const auto found = replicas_.find(replica);
  return found != replicas_.end() && found->second.active;
}

void LockChecker::Impl::told(TrueTime at, const Processor& by, LockName name, bool lease_live) {
  if (!replicas_[by].active) {
    report("NPG", text(at) + text(name) + " was told by " + base::to_string(by) +
                      ", which is not in a regular configuration of an active primary");
  }
  // Of a session that was ended by force a grant may be told that came before, without a lease.
  if (!lease_live && !sessions_[name.session].forced) {
    report("NPG", text(at) + text(name) + " was told with an expired lease");
  }
}

LockChecker::LockChecker(std::size_t nodes, bool clocks_hold)
    : impl_(std::make_unique<Impl>(nodes, clocks_hold)) {}
LockChecker::~LockChecker() = default;

void LockChecker::client_acquires(TrueTime, LockName lock, std::string_view resource, Mode mode) {
  impl_->client_asks(lock, {std::string(resource), mode, 0, {}, lock.acquired_by, 1});
}
void LockChecker::client_asks(TrueTime, LockName lock, const Asked& asked) {
  impl_->client_asks(lock, asked);
}
void LockChecker::client_ok(TrueTime at, LockName lock, Token token) {
  impl_->client_granted(at, lock, {token, impl_->asked_mode(lock), 0, std::nullopt});
}
void LockChecker::client_granted(TrueTime at, LockName lock, const Told& told) {
  impl_->client_granted(at, lock, told);
}
void LockChecker::client_releases(TrueTime, LockName lock, LockFlags flags,
                                  const std::optional<ValueBlock>& value) {
  impl_->client_releases(lock, flags, value);
}
void LockChecker::client_converts(TrueTime, LockName lock, const AskedConversion& asked) {
  impl_->client_converts(lock, asked);
}
void LockChecker::client_converted(TrueTime at, LockName lock, RequestId operation,
                                   const Told& told) {
  impl_->client_converted(at, lock, operation, told);
}
void LockChecker::client_not_converted(TrueTime at, LockName lock, RequestId operation,
                                       const Told& told) {
  impl_->client_not_converted(at, lock, operation, told);
}
void LockChecker::client_blocks(TrueTime at, LockName lock, Token token, Mode mode) {
  impl_->client_blocks(at, lock, token, mode);
}
void LockChecker::client_operates(std::uint64_t client, RequestId operation) {
  impl_->client_operates(client, operation);
}
void LockChecker::client_answered(TrueTime at, std::uint64_t client, RequestId operation) {
  impl_->client_answered(at, client, operation);
}
void LockChecker::client_gone(std::uint64_t client) {
  impl_->client_gone(client);
}
void LockChecker::client_told_of(TrueTime at, SessionId session, const LockspaceSeen& seen) {
  impl_->client_told_of(at, session, seen);
}
void LockChecker::client_released(TrueTime at, LockName lock) {
  impl_->client_released(at, lock);
}
void LockChecker::client_not_released(TrueTime at, LockName lock) {
  impl_->client_not_released(at, lock);
}
void LockChecker::client_failed(TrueTime, LockName lock) {
  impl_->client_ended(lock);
}
void LockChecker::client_lost(TrueTime at, LockName lock) {
  impl_->client_lost(at, lock);
}
void LockChecker::client_closed(TrueTime, SessionId session) {
  impl_->client_closed(session);
}
void LockChecker::client_deadline(TrueTime at, SessionId session, TrueTime until) {
  impl_->client_deadline(at, session, until);
}
void LockChecker::client_uses(TrueTime at, LockName lock) {
  impl_->client_uses(at, lock);
}
void LockChecker::access(TrueTime at, std::string_view resource, LockName lock, Mode mode,
                         Token token, bool accepted) {
  impl_->access(at, resource, lock, mode, token, accepted);
}
void LockChecker::lease_promised(TrueTime, SessionId session, TrueTime until) {
  impl_->lease_promised(session, until);
}
void LockChecker::somebody_failed() {
  impl_->somebody_failed();
}
void LockChecker::undisturbed(TrueTime at) {
  impl_->undisturbed(at);
}
void LockChecker::settled(TrueTime at) {
  impl_->settled(at);
}
void LockChecker::installed(TrueTime at, const Processor& by,
                            const evs::Configuration& configuration) {
  impl_->installed(at, by, configuration);
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

void LockChecker::set_listener(OrderListener* listener) {
  impl_->listener = listener;
}
bool LockChecker::is_active(const base::Processor& replica) const {
  return impl_->is_active(replica);
}

bool LockChecker::violated() const {
  return !impl_->violations.empty();
}

std::vector<Violation> LockChecker::finish() {
  impl_->check_succession();
  return impl_->violations;
}

}  // namespace sim
