#include "tests/sim/read_barriers.h"

#include <optional>
#include <variant>

#include "lockd/ring_message.h"

namespace sim {
namespace {

using Kind = BarrierAsked::Kind;

BarrierKey key_of(const barrier::OutcomeKey& key) {
  return {key.generation, key.step};
}

BarrierName name_of(const barrier::Name& name) {
  return {name.lockspace, name.barrier};
}

BarrierConfig config_of(const lockd::BarrierSettings& settings) {
  const barrier::Config& config = settings.config;
  return {config.parties,   config.unit,          config.on_death,
          config.two_steps, settings.auto_delete, settings.patience};
}

BarrierOutcome outcome_of(const barrier::Outcome& from) {
  BarrierOutcome outcome;
  outcome.generation = from.key.generation;
  outcome.step = from.key.step;
  outcome.ending = from.ending;
  outcome.ring = from.ring;
  outcome.membership = from.membership;
  outcome.losses = from.losses;
  for (const barrier::Lost& lost : from.lost) outcome.lost.push_back({lost.session, lost.at});
  outcome.members_total = static_cast<std::uint32_t>(from.members.size());
  for (const barrier::Member& member : from.members) {
    outcome.members.push_back({member.session, member.at, base::text_of(member.value)});
  }
  return outcome;
}

// What the command says.
class Reader {
 public:
  explicit Reader(OrderedBarriers& out) : out_(out) {}

  // Whose request it is, if its answer matters.
  std::optional<lockd::Request> request;
  bool by_force = false;

  void operator()(const lockd::BarrierCreate& create) {
    asks(Kind::create, create.request, create.name).config = config_of(create.settings);
  }
  void operator()(const lockd::BarrierChange& change) {
    BarrierAsked& asked = asks(Kind::change, change.request, change.name);
    asked.attribute = static_cast<liblock::protocol::BarrierAttribute>(change.attribute);
    asked.number = change.value;
  }
  void operator()(const lockd::BarrierArrive& arrive) {
    BarrierAsked& asked = asks(Kind::arrive, arrive.request, arrive.name);
    if (arrive.settings) asked.config = config_of(*arrive.settings);
    asked.value = base::text_of(arrive.value);
  }
  void operator()(const lockd::BarrierLeave& leave) {
    BarrierAsked& asked = asks(Kind::leave, leave.request, {});
    asked.generation = leave.generation;
    asked.value = base::text_of(leave.value);
  }
  void operator()(const lockd::BarrierWithdraw& withdraw) {
    asks(Kind::withdraw, withdraw.request, withdraw.name).arrival = withdraw.arrival;
  }
  void operator()(const lockd::BarrierCancel& cancel) {
    asks(Kind::cancel, cancel.request, cancel.name);
  }
  void operator()(const lockd::BarrierDelete& removal) {
    asks(Kind::remove, removal.request, removal.name).force = removal.force;
  }
  void operator()(const lockd::BarrierAcknowledge& acknowledge) {
    for (const lockd::BarrierReceipt& receipt : acknowledge.receipts) {
      out_.acknowledged.emplace_back(receipt.session, key_of(receipt.key));
    }
  }
  void operator()(const lockd::BarrierTimeOut& time_out) { out_.timed_out = key_of(time_out.key); }
  void operator()(const lockd::JoinLockspace& join) { request = join.request; }
  void operator()(const lockd::LeaveLockspace& leave) {
    request = leave.request;
    by_force = leave.force;
  }
  template <typename Other>
  void operator()(const Other&) {}

 private:
  BarrierAsked& asks(Kind kind, const lockd::Request& by, const barrier::Name& name) {
    request = by;
    out_.asked_by = by.session;
    BarrierAsked& asked = out_.asked.emplace();
    asked.kind = kind;
    asked.request = by.id;
    asked.name = name_of(name);
    return asked;
  }

  OrderedBarriers& out_;
};

void read_effects(const Reader& command, const lockd::Effects& effects, OrderedBarriers& out) {
  for (const lockd::Effect& effect : effects) {
    if (const auto* over = std::get_if<lockd::SessionEnded>(&effect)) {
      out.happened.push_back(SessionOver{over->session, over->at, command.by_force});
    } else if (const auto* replied = std::get_if<lockd::Replied>(&effect)) {
      if (!command.request) continue;
      const lockd::Status status = replied->reply.status;
      out.happened.push_back(RequestAnswered{status == lockd::Status::arrived ||
                                             status == lockd::Status::done ||
                                             status == lockd::Status::cancelled});
    } else if (const auto* opened = std::get_if<lockd::BarrierOpened>(&effect)) {
      out.happened.push_back(StepOpened{key_of(opened->key)});
    } else if (const auto* ended = std::get_if<lockd::BarrierEnded>(&effect)) {
      out.happened.push_back(StepEnded{key_of(ended->key), ended->session, ended->request});
    }
  }
}

// What is there after it.
void read_state(const lockd::State& state, OrderedBarriers& out) {
  const barrier::Table& barriers = state.barriers();
  std::set<barrier::OutcomeKey> kept;
  for (const base::SessionId session : barriers.sessions()) {
    for (const barrier::Standing& standing : barriers.standing_of(session)) {
      if (standing.kind != barrier::Standing::Kind::owed) continue;
      out.owed.emplace_back(session, key_of(standing.key));
      kept.insert(standing.key);
    }
  }
  for (const barrier::OutcomeKey& key : kept) {
    const barrier::Outcome& outcome = *barriers.find_outcome(key);
    out.outcomes.push_back({name_of(outcome.name), outcome_of(outcome)});
  }
  barriers.visit({}, barriers.barriers(), [&](const barrier::BarrierView& view) {
    out.barriers.emplace_back(name_of(view.name),
                              config_of({view.config, view.auto_delete, view.patience}));
  });
  for (const auto& [name, lockspace] : state.lockspaces().all()) {
    BarrierMembers& members = out.members.emplace_back();
    members.lockspace = name;
    members.generation = lockspace.generation;
    for (const auto& member : lockspace.members) members.nodes.push_back(member.processor);
    members.sessions.assign(lockspace.users.begin(), lockspace.users.end());
  }
}

}  // namespace

std::shared_ptr<const OrderedBarriers> read_barriers(const evs::Delivery& delivery,
                                                     const lockd::State& state,
                                                     const lockd::Effects& effects) {
  const auto out = std::make_shared<OrderedBarriers>();
  Reader command(*out);
  const auto message = lockd::decode_ring_message(delivery.payload);
  if (message) {
    out->departures = std::holds_alternative<lockd::Activate>(message->body);
    if (const auto* ordered = std::get_if<lockd::Ordered>(&message->body)) {
      std::visit(command, ordered->command.body);
    }
  }
  read_effects(command, effects, *out);
  read_state(state, *out);
  return out;
}

}  // namespace sim
