#include "tests/unit/liblock/fake_barriers.h"

#include <algorithm>
#include <string>

namespace liblock_test {
namespace {

using namespace liblock::protocol;
using barrier::Effects;

constexpr base::Processor kSelf{base::NodeId{1}, base::Incarnation{1}};

template <typename Message>
barrier::By by(std::uint64_t session, const Message& message) {
  return {SessionId{session}, message.request};
}

template <typename Message>
barrier::Name name(const Message& message) {
  return {message.lockspace, message.barrier};
}

base::Buffer buffer(const std::string& text) {
  const base::Bytes bytes = base::bytes_of(text);
  return {bytes.begin(), bytes.end()};
}

barrier::Create create(barrier::By by, barrier::Name name, const BarrierConfig& config) {
  return {by,
          std::move(name),
          {config.parties, config.unit, config.on_death, config.two_steps},
          config.auto_delete,
          config.patience,
          {1, {kSelf}, {}}};
}

Answer answer_of(const barrier::Effect& effect) {
  using barrier::Status;
  if (effect.kind == barrier::Effect::Kind::done) return Answer::done;
  if (effect.kind != barrier::Effect::Kind::refused) return Answer::arrived;
  switch (effect.status) {
    case Status::different:
      return Answer::different;
    case Status::in_use:
      return Answer::in_use;
    case Status::not_open:
      return Answer::not_open;
    case Status::not_member:
      return Answer::not_member;
    case Status::already_arrived:
      return Answer::already_arrived;
    case Status::inside:
      return Answer::inside;
    case Status::barrier_full:
      return Answer::full;
    case Status::unknown_barrier:
    case Status::unknown_arrival:
    case Status::unknown_generation:
      return Answer::not_found;
    case Status::bad_name:
    case Status::bad_config:
    case Status::bad_attribute:
    case Status::bad_value:
      return Answer::invalid;
    default:
      return Answer::limit;
  }
}

}  // namespace

bool FakeBarriers::takes(const Request& request) const {
  return std::holds_alternative<BarrierCreate>(request) ||
         std::holds_alternative<BarrierChange>(request) ||
         std::holds_alternative<BarrierArrive>(request) ||
         std::holds_alternative<BarrierLeave>(request) ||
         std::holds_alternative<BarrierWithdraw>(request) ||
         std::holds_alternative<BarrierCancel>(request) ||
         std::holds_alternative<BarrierDelete>(request);
}

FakeBarriers::Said FakeBarriers::execute(std::uint64_t session, const Request& request) {
  Effects effects;
  Said said;
  RequestId id{};
  Answer withdrawn = Answer::cancelled;
  if (const auto* made = std::get_if<BarrierCreate>(&request)) {
    id = made->request;
    table_.create(create(by(session, *made), name(*made), made->config), effects);
  } else if (const auto* change = std::get_if<BarrierChange>(&request)) {
    id = change->request;
    table_.change({by(session, *change), kSelf, name(*change),
                   static_cast<barrier::Attribute>(change->attribute), change->value},
                  effects);
  } else if (const auto* arrive = std::get_if<BarrierArrive>(&request)) {
    id = arrive->request;
    if (arrive->config) {
      table_.create(create(by(session, *arrive), name(*arrive), *arrive->config), effects);
    }
    if (effects.empty() || effects.front().kind == barrier::Effect::Kind::done) {
      effects.clear();
      table_.arrive({by(session, *arrive), kSelf, name(*arrive), buffer(arrive->value)}, effects);
    }
  } else if (const auto* leave = std::get_if<BarrierLeave>(&request)) {
    id = leave->request;
    table_.leave({by(session, *leave), leave->generation, buffer(leave->value)}, effects);
  } else if (const auto* withdraw = std::get_if<BarrierWithdraw>(&request)) {
    id = withdraw->request;
    table_.withdraw({by(session, *withdraw), name(*withdraw), withdraw->arrival}, effects);
    if (effects.front().kind == barrier::Effect::Kind::ended) withdrawn = Answer::too_late;
  } else if (const auto* cancel = std::get_if<BarrierCancel>(&request)) {
    id = cancel->request;
    table_.cancel({by(session, *cancel), name(*cancel)}, effects);
  } else if (const auto* end = std::get_if<BarrierDelete>(&request)) {
    id = end->request;
    table_.remove({by(session, *end), name(*end), end->force}, effects);
  }
  Answer answer = answer_of(effects.front());
  const bool withdraws = std::holds_alternative<BarrierWithdraw>(request);
  if (withdraws && answer != Answer::not_found) answer = withdrawn;
  said.emplace_back(session, Reply{id, answer, {}, {}, 0, {}, {}, ""});
  for (const barrier::Effect& effect : effects) tell(effect, said);
  return said;
}

void FakeBarriers::tell(const barrier::Effect& effect, Said& said) {
  const barrier::Outcome* outcome = table_.find_outcome(effect.key);
  if (effect.kind != barrier::Effect::Kind::ended || outcome == nullptr) return;
  said.emplace_back(base::value(effect.session), part(*outcome, {}, effect.request));
}

BarrierOutcome FakeBarriers::part(const barrier::Outcome& outcome, SessionId after,
                                  RequestId request) const {
  BarrierOutcome part;
  part.request = request;
  part.generation = outcome.key.generation;
  part.step = outcome.key.step;
  part.ending = outcome.ending;
  part.ring = outcome.ring;
  part.membership = outcome.membership;
  part.losses = outcome.losses;
  for (const barrier::Lost& lost : outcome.lost) part.lost.push_back({lost.session, lost.at});
  part.members_total = static_cast<std::uint32_t>(outcome.members.size());
  for (const barrier::Member& member : outcome.members) {
    if (member.session <= after || part.members.size() == members_max) continue;
    part.members.push_back({member.session, member.at, std::string(base::text_of(member.value))});
  }
  return part;
}

FakeBarriers::Said FakeBarriers::take(std::uint64_t session, const BarrierMore& more) {
  const barrier::OutcomeKey key{more.generation, more.step};
  Said said;
  for (const barrier::Standing& standing : table_.standing_of(SessionId{session})) {
    if (standing.kind != barrier::Standing::Kind::owed || standing.key != key) continue;
    said.emplace_back(session, part(*table_.find_outcome(key), more.after, standing.request));
  }
  return said;
}

void FakeBarriers::take(std::uint64_t session, const BarrierConfirm& confirm) {
  table_.acknowledge(SessionId{session}, {confirm.generation, confirm.step});
}

FakeBarriers::Said FakeBarriers::tell_again(std::uint64_t session) {
  Said said;
  for (const barrier::Standing& standing : table_.standing_of(SessionId{session})) {
    if (standing.kind != barrier::Standing::Kind::owed) continue;
    said.emplace_back(session, part(*table_.find_outcome(standing.key), {}, standing.request));
  }
  return said;
}

FakeBarriers::Said FakeBarriers::end_session(std::uint64_t session) {
  Effects effects;
  Said said;
  table_.end_session(SessionId{session}, kSelf, effects);
  for (const barrier::Effect& effect : effects) tell(effect, said);
  return said;
}

namespace {

std::optional<BarrierRound> round_of(const std::optional<barrier::RoundView>& view) {
  if (!view) return std::nullopt;
  return BarrierRound{view->generation, static_cast<std::uint32_t>(view->arrived),
                      static_cast<std::uint32_t>(view->missing)};
}

}  // namespace

// One a page.
BarriersPage FakeBarriers::list(const BarriersQuery& query) const {
  BarriersPage page{query.query, true, false, {}};
  table_.visit({}, 1000, [&](const barrier::BarrierView& view) {
    const barrier::Name after{query.after_lockspace, query.after_barrier};
    const bool wanted = query.lockspace.empty() || query.lockspace == view.name.lockspace;
    if (!wanted || view.name <= after) return;
    page.more = !page.items.empty();
    if (page.more) return;
    const BarrierConfig config{view.config.parties,   view.config.unit, view.config.on_death,
                               view.config.two_steps, view.auto_delete, view.patience};
    page.items.push_back({view.name.lockspace, view.name.barrier, config, round_of(view.entering),
                          round_of(view.inside)});
  });
  return page;
}

}  // namespace liblock_test
