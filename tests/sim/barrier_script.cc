#include "tests/sim/barrier_script.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

namespace sim {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kKinds = 3;
constexpr std::size_t kAtATimeMax = 3;
const char* const kLockspace = "crew";

// Longer than any run: who waits so long does not wait in vain for lack of patience.
constexpr std::uint32_t kLongPatience = 120'000;

std::string_view counter_of(BarrierEnding ending) {
  switch (ending) {
    case BarrierEnding::released:
      return "barriers.released";
    case BarrierEnding::participant_died:
      return "barriers.participant_died";
    case BarrierEnding::timed_out:
      return "barriers.timed_out";
    case BarrierEnding::cancelled:
      return "barriers.cancelled";
    case BarrierEnding::deleted:
      return "barriers.deleted";
  }
  return "";
}

BarrierConfig draw_config(base::Random& random, std::size_t clients, std::size_t nodes) {
  BarrierConfig config;
  const bool dynamic = random.chance(1, 2);
  config.unit = random.chance(1, 3) ? BarrierUnit::node : BarrierUnit::session;
  const std::size_t most = config.unit == BarrierUnit::node ? std::min(clients, nodes) : clients;
  const std::uint64_t parties = random.between(std::uint64_t{1}, std::uint64_t{4});
  config.parties = dynamic ? 0 : static_cast<std::uint32_t>(std::min<std::uint64_t>(parties, most));
  config.on_death = static_cast<BarrierOnDeath>(random.below(3));
  if (!dynamic && config.on_death == BarrierOnDeath::shrink) {
    config.on_death = BarrierOnDeath::break_it;
  }
  config.two_steps = random.chance(2, 5);
  config.auto_delete = random.chance(2, 3);
  if (random.chance(1, 3)) {
    config.patience =
        static_cast<std::uint32_t>(random.between(std::uint64_t{20}, std::uint64_t{500}));
  } else if (random.chance(1, 2)) {
    config.patience = kLongPatience;
  }
  return config;
}

}  // namespace

BarrierPlan BarrierPlan::draw(base::Random& random, std::size_t clients, std::size_t nodes,
                              bool force) {
  BarrierPlan plan;
  plan.force = force;
  for (std::size_t i = 0; i < kKinds; ++i) {
    const BarrierConfig config = draw_config(random, clients, nodes);
    const bool joins = config.parties == 0 || random.chance(1, 2);
    const char letter = static_cast<char>('x' + i);
    plan.kinds.push_back({{joins ? kLockspace : "default", std::string(1, letter)}, config});
  }
  return plan;
}

BarrierScript::BarrierScript(const BarrierPlan& plan, const VirtualClock& clock,
                             base::Random& random, BarrierChecker& checker, Coverage& coverage,
                             liblock::ClientMachine& wire, std::uint64_t number)
    : plan_(plan),
      clock_(clock),
      random_(random),
      checker_(checker),
      coverage_(coverage),
      wire_(wire),
      number_(number) {}

void BarrierScript::act(Duration now) {
  for (const auto& [id, arrival] : std::map(arrivals_)) {
    if (winding_down_ || (!arrival.patient && arrival.act_at <= now)) withdraw(now, id);
  }
  for (const auto& [generation, inside] : std::map(inside_)) {
    const bool due = winding_down_ || inside.act_at <= now;
    if (due && inside.leave == base::RequestId{}) leave(now, generation);
  }
  if (winding_down_) return;
  visit_lockspace(now);
  if (arrivals_.size() + inside_.size() < kAtATimeMax) arrive(now);
  if (random_.chance(1, 12)) operate(now);
}

void BarrierScript::arrive(Duration now) {
  const BarrierPlan::Kind& at = plan_.kinds[random_.below(plan_.kinds.size())];
  if (at.config.parties == 0 && !joined_ && !random_.chance(1, 8)) return;
  BarrierAsked asked;
  asked.kind = BarrierAsked::Kind::arrive;
  asked.name = at.name;
  asked.config = at.config;
  // Somebody who means another barrier by that name.
  if (random_.chance(1, 40)) asked.config->two_steps = !asked.config->two_steps;
  asked.value = draw_value();
  const auto id = wire_.arrive(
      clock_now(now), {asked.name.lockspace, asked.name.barrier, *asked.config, asked.value});
  if (!id) return;
  asked.request = *id;
  checker_.client_asks(number_, asked);
  Arrival arrival{asked.config->two_steps, random_.chance(1, 3), {}};
  arrival.act_at = now + random_.between(milliseconds(5), milliseconds(1500));
  arrivals_.emplace(*id, arrival);
}

// Each is another one; now and then a long one, or none.
std::string BarrierScript::draw_value() {
  if (random_.chance(1, 6)) return {};
  std::string value = std::to_string(number_) + "." + std::to_string(++values_);
  if (random_.chance(1, 12)) value.resize(liblock::protocol::kBarrierValueBytesMax, '.');
  return value;
}

void BarrierScript::leave(Duration now, BarrierGeneration generation) {
  BarrierAsked asked;
  asked.kind = BarrierAsked::Kind::leave;
  asked.generation = generation;
  asked.value = draw_value();
  const auto id = wire_.leave_barrier(clock_now(now), generation, asked.value);
  if (!id) {
    // It was lost with its session.
    inside_.erase(generation);
    return;
  }
  asked.request = *id;
  checker_.client_asks(number_, asked);
  inside_.at(generation).leave = *id;
}

void BarrierScript::withdraw(Duration now, base::RequestId arrival) {
  if (!wire_.withdraw(clock_now(now), arrival)) return;
  checker_.client_withdraws(number_, arrival);
  arrivals_.at(arrival).act_at = now + milliseconds(500);
}

void BarrierScript::operate(Duration now) {
  const BarrierPlan::Kind& at = plan_.kinds[random_.below(plan_.kinds.size())];
  BarrierAsked asked;
  asked.name = at.name;
  base::Result<base::RequestId, liblock::CallError> id = base::error(liblock::CallError::invalid);
  const auto& [lockspace, barrier] = at.name;
  switch (random_.below(4)) {
    case 0:
      asked.kind = BarrierAsked::Kind::create;
      asked.config = at.config;
      id = wire_.create_barrier(clock_now(now), lockspace, barrier, at.config);
      break;
    case 1: {
      using Attribute = liblock::protocol::BarrierAttribute;
      asked.kind = BarrierAsked::Kind::change;
      asked.attribute = static_cast<Attribute>(random_.below(3));
      asked.number = static_cast<std::uint32_t>(random_.below(2));
      if (asked.attribute == Attribute::parties) asked.number = at.config.parties;
      if (asked.attribute == Attribute::patience) asked.number *= kLongPatience;
      id = wire_.change_barrier(clock_now(now), lockspace, barrier, asked.attribute, asked.number);
      break;
    }
    case 2:
      asked.kind = BarrierAsked::Kind::cancel;
      id = wire_.cancel_barrier(clock_now(now), lockspace, barrier);
      break;
    default:
      asked.kind = BarrierAsked::Kind::remove;
      asked.force = random_.chance(1, 3);
      id = wire_.delete_barrier(clock_now(now), lockspace, barrier, asked.force);
      break;
  }
  if (!id) return;
  asked.request = *id;
  checker_.client_asks(number_, asked);
  operations_.insert(*id);
}

void BarrierScript::visit_lockspace(Duration now) {
  if (!wire_.open() || !operations_.empty()) return;
  if (!joined_ && random_.chance(1, 2)) {
    const auto id =
        wire_.join(clock_now(now), kLockspace, liblock::protocol::JoinKind::create, 0666);
    if (!id) return;
    operations_.insert(*id);
    joined_ = true;
  } else if (joined_ && random_.chance(1, 30)) {
    const bool by_force = plan_.force && random_.chance(1, 3);
    const auto id = wire_.leave(clock_now(now), kLockspace, by_force);
    if (!id) return;
    operations_.insert(*id);
    joined_ = false;
  }
}

bool BarrierScript::hear(Duration now, const liblock::Event& event) {
  if (const auto* end = std::get_if<liblock::BarrierEnded>(&event)) {
    ended(now, *end);
  } else if (const auto* refused = std::get_if<liblock::BarrierFailed>(&event)) {
    failed(now, *refused);
  } else if (const auto* broken = std::get_if<liblock::BarrierBroken>(&event)) {
    coverage_.add("barriers.broken_inside");
    checker_.client_broken(now, number_, broken->end.self, broken->end.outcome);
  } else if (const auto* done = std::get_if<liblock::Done>(&event)) {
    if (operations_.erase(done->operation) == 0) return false;
    checker_.client_answered(now, number_, done->operation);
  } else {
    return false;
  }
  return true;
}

void BarrierScript::ended(Duration now, const liblock::BarrierEnded& ended) {
  const BarrierOutcome& outcome = ended.end.outcome;
  coverage_.add(std::string(counter_of(outcome.ending)));
  checker_.client_ended(now, number_, ended.operation, ended.end.self, outcome);
  if (outcome.step == BarrierStep::leave) {
    coverage_.add("barriers.left");
    inside_.erase(outcome.generation);
    return;
  }
  const auto arrival = arrivals_.find(ended.operation);
  if (arrival == arrivals_.end()) return;
  const bool inside = arrival->second.two_steps && outcome.ending == BarrierEnding::released;
  arrivals_.erase(arrival);
  if (!inside) return;
  inside_[outcome.generation].act_at = now + random_.between(milliseconds(1), milliseconds(300));
}

void BarrierScript::failed(Duration now, const liblock::BarrierFailed& failed) {
  const bool withdrawn = failed.failure == liblock::Failure::cancelled;
  coverage_.add(withdrawn ? "barriers.withdrawn" : "barriers.refused_or_lost");
  checker_.client_failed(now, number_, failed.operation, withdrawn);
  if (arrivals_.erase(failed.operation) != 0) return;
  std::erase_if(inside_, [&](const auto& one) { return one.second.leave == failed.operation; });
}

}  // namespace sim
