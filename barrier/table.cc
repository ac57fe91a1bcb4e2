// The requests: what is answered, row by row of docs/barriers.md. What becomes of generations is
// generation.cc.
#include "barrier/table.h"

#include <algorithm>
#include <utility>

#include "base/mutant.h"

namespace barrier {
namespace {

Effect answer(By by, Effect::Kind kind, OutcomeKey key = {}) {
  return {kind, Status::ok, by.session, by.request, key};
}

Effect refusal(By by, Status status) {
  return {Effect::Kind::refused, status, by.session, by.request, {}};
}

Effect done_or_refused(By by, Status status) {
  return status == Status::ok ? answer(by, Effect::Kind::done) : refusal(by, status);
}

bool good(const Name& name) {
  return !name.lockspace.empty() && name.lockspace.size() <= kMaxLockspaceName &&
         !name.barrier.empty() && name.barrier.size() <= kMaxBarrierName;
}

}  // namespace

Status Table::legal(const Config& config) const {
  const bool shrinks = config.on_death == OnDeath::shrink;
  if (config.parties > limits_.participants || (shrinks && !config.dynamic())) {
    return Status::bad_config;
  }
  return Status::ok;
}

void Table::create(const Create& request, Effects& effects) {
  const Status status = admit(request);
  effects.push_back(done_or_refused(request.by, status));
  if (status != Status::ok || barriers_.count(request.name) != 0) return;
  watch(request);
  Barrier barrier;
  barrier.config = request.config;
  barrier.auto_delete = request.auto_delete;
  barrier.patience = request.patience;
  insert(request.name, std::move(barrier));
}

Status Table::admit(const Create& request) const {
  if (!good(request.name)) return Status::bad_name;
  if (const Status status = legal(request.config); status != Status::ok) return status;
  const auto found = barriers_.find(request.name);
  if (found != barriers_.end()) {
    return found->second.config == request.config ? Status::ok : Status::different;
  }
  const auto lockspace = lockspaces_.find(request.name.lockspace);
  if (lockspace == lockspaces_.end() && lockspaces_.size() >= limits_.lockspaces) {
    return Status::too_many_lockspaces;
  }
  const std::size_t beside = lockspace == lockspaces_.end() ? 0 : lockspace->second.barriers;
  if (barriers_.size() >= limits_.barriers || beside >= limits_.barriers_per_lockspace) {
    return Status::too_many_barriers;
  }
  return Status::ok;
}

void Table::change(const Change& request, Effects& effects) {
  if (request.attribute == Attribute::enabled && request.value == 1) {
    return arrive({request.by, request.at, request.name, {}}, effects);
  }
  effects.push_back(done_or_refused(request.by, change(request)));
}

Status Table::change(const Change& request) {
  const auto found = barriers_.find(request.name);
  if (found == barriers_.end()) return Status::unknown_barrier;
  const Barrier& barrier = found->second;
  Config config = barrier.config;
  switch (request.attribute) {
    case Attribute::auto_delete:
      if (request.value > 1) return Status::bad_attribute;
      edit(found, [&](Barrier& changed) { changed.auto_delete = request.value == 1; });
      return Status::ok;
    case Attribute::parties:
      if (!barrier.idle() && !MUTANT("barrier_parties_change_in_use")) return Status::in_use;
      config.parties = request.value;
      if (const Status status = legal(config); status != Status::ok) return status;
      edit(found, [&](Barrier& changed) { changed.config = config; });
      return Status::ok;
    case Attribute::patience:
      if (!barrier.idle()) return Status::in_use;
      edit(found, [&](Barrier& changed) { changed.patience = request.value; });
      return Status::ok;
    case Attribute::enabled:
      break;
  }
  return Status::bad_attribute;
}

void Table::arrive(const Arrive& request, Effects& effects) {
  const SessionId session = request.by.session;
  if (request.value.size() > kMaxValue) {
    effects.push_back(refusal(request.by, Status::bad_value));
    return;
  }
  if (!MUTANT("barrier_retry_counts_again") &&
      answer_again(request.by, request.by.request, effects)) {
    return;
  }
  const auto found = barriers_.find(request.name);
  if (found == barriers_.end()) {
    effects.push_back(refusal(request.by, Status::unknown_barrier));
    return;
  }
  Barrier& barrier = found->second;
  const Participant* there = barrier.entering ? barrier.entering->find(session) : nullptr;
  if (there && there->request == request.by.request) {
    const OutcomeKey key{barrier.entering->generation(), Step::enter};
    effects.push_back(answer(request.by, Effect::Kind::arrived, key));
    return;
  }
  const Status status = there ? Status::already_arrived : admit(request, barrier);
  if (status != Status::ok) {
    effects.push_back(refusal(request.by, status));
    return;
  }
  execute(found, effects, [&] {
    const bool opens = !barrier.entering;
    if (opens) open(found);
    const OutcomeKey key{barrier.entering->generation(), Step::enter};
    add_participant(found, session, {request.at, request.by.request, request.value});
    effects.push_back(answer(request.by, Effect::Kind::arrived, key));
    if (opens) effects.push_back({Effect::Kind::opened, Status::ok, {}, {}, key});
    return false;
  });
}

Status Table::admit(const Arrive& request, const Barrier& barrier) const {
  const SessionId session = request.by.session;
  const Config& config = barrier.config;
  if (barrier.inside && barrier.inside->find(session) && !barrier.inside->has_left(session)) {
    return Status::inside;
  }
  if (config.dynamic() && !is_member(request.name, config.unit, session, request.at)) {
    return Status::not_member;
  }
  const std::size_t steps = barrier.steps();
  if (load_of(session) + steps > limits_.outcomes_per_session) return Status::session_full;
  if (barrier.entering) {
    const Round& round = *barrier.entering;
    const bool counted = config.unit == Unit::node && round.someone_at(request.at.node);
    const bool all_there = !config.dynamic() && counted_in(config.unit, round) >= config.parties;
    if (round.participants().size() >= limits_.participants || (all_there && !counted)) {
      return Status::barrier_full;
    }
  }
  if (places() + steps > limits_.places) return Status::too_many_places;
  if (value_bytes() + request.value.size() > limits_.value_bytes) return Status::too_many_bytes;
  return Status::ok;
}

void Table::leave(const Leave& request, Effects& effects) {
  const OutcomeKey key{request.generation, Step::leave};
  if (request.value.size() > kMaxValue) {
    effects.push_back(refusal(request.by, Status::bad_value));
    return;
  }
  if (answer_again(request.by, key, effects)) return;
  const auto found = find_open(request.generation);
  Round* inside =
      found == barriers_.end() || !found->second.inside ? nullptr : &*found->second.inside;
  const Participant* there = inside && inside->generation() == request.generation
                                 ? inside->find(request.by.session)
                                 : nullptr;
  if (!there) {
    effects.push_back(refusal(request.by, Status::unknown_generation));
    return;
  }
  if (there->request == request.by.request) {
    effects.push_back(answer(request.by, Effect::Kind::arrived, key));
    return;
  }
  if (there->request != RequestId{}) {
    effects.push_back(refusal(request.by, Status::already_arrived));
    return;
  }
  if (value_bytes() + request.value.size() > limits_.value_bytes) {
    effects.push_back(refusal(request.by, Status::too_many_bytes));
    return;
  }
  execute(found, effects, [&] {
    const bool opens = inside->left() == 0;
    leave_inside(found, request.by, request.value);
    effects.push_back(answer(request.by, Effect::Kind::arrived, key));
    if (opens) effects.push_back({Effect::Kind::opened, Status::ok, {}, {}, key});
    return false;
  });
}

void Table::withdraw(const Withdraw& request, Effects& effects) {
  if (answer_again(request.by, request.arrival, effects)) return;
  const auto found = barriers_.find(request.name);
  const Participant* there = found != barriers_.end() && found->second.entering
                                 ? found->second.entering->find(request.by.session)
                                 : nullptr;
  if (!there || there->request != request.arrival) {
    effects.push_back(refusal(request.by, Status::unknown_arrival));
    return;
  }
  execute(found, effects, [&] {
    effects.push_back(answer(request.by, Effect::Kind::done));
    if (!MUTANT("barrier_withdrawn_counts")) remove_entering(found, request.by.session);
    return false;
  });
}

void Table::cancel(const Cancel& request, Effects& effects) {
  const auto found = barriers_.find(request.name);
  if (found == barriers_.end() || found->second.idle()) {
    const bool there = found != barriers_.end();
    effects.push_back(refusal(request.by, there ? Status::not_open : Status::unknown_barrier));
    return;
  }
  effects.push_back(answer(request.by, Effect::Kind::done));
  execute(found, effects, [&] {
    break_all(found, Ending::cancelled, effects);
    return true;
  });
}

void Table::remove(const Delete& request, Effects& effects) {
  const auto found = barriers_.find(request.name);
  if (found == barriers_.end() || (!found->second.idle() && !request.force)) {
    const bool there = found != barriers_.end();
    effects.push_back(refusal(request.by, there ? Status::in_use : Status::unknown_barrier));
    return;
  }
  effects.push_back(answer(request.by, Effect::Kind::done));
  edit(found, [&](Barrier&) { break_all(found, Ending::deleted, effects); });
  erase(found);
}

Status Table::acknowledge(SessionId session, OutcomeKey key) {
  if (!outcomes_.request_of(session, key)) return Status::unknown_outcome;
  outcomes_.settle(session, key);
  const auto record = sessions_.find(session);
  record->second.owed.erase(key);
  if (record->second.empty()) sessions_.erase(record);
  return Status::ok;
}

void Table::raise_generation_base(std::uint64_t base) {
  next_generation_ = std::max(next_generation_, base);
}

// A kept outcome of this step is told once more.
bool Table::answer_again(By by, OutcomeKey key, Effects& effects) const {
  if (!outcomes_.request_of(by.session, key)) return false;
  effects.push_back(answer(by, Effect::Kind::ended, key));
  return true;
}

// Likewise of the generation that this arrival has led to.
bool Table::answer_again(By by, RequestId arrival, Effects& effects) const {
  const auto record = sessions_.find(by.session);
  if (record == sessions_.end()) return false;
  for (const OutcomeKey& key : record->second.owed) {
    if (key.step == Step::enter && outcomes_.request_of(by.session, key) == arrival) {
      return answer_again(by, key, effects);
    }
  }
  return false;
}

std::size_t Table::load_of(SessionId session) const {
  const auto record = sessions_.find(session);
  if (record == sessions_.end()) return 0;
  std::size_t load = record->second.owed.size();
  for (const Name& name : record->second.at) {
    const Barrier& barrier = barriers_.at(name);
    if (barrier.entering && barrier.entering->find(session)) load += barrier.steps();
    if (barrier.inside && barrier.inside->find(session)) ++load;
  }
  return load;
}

std::size_t Table::places() const {
  return waiting_places_ + outcomes_.places();
}

std::size_t Table::value_bytes() const {
  return waiting_bytes_ + outcomes_.value_bytes();
}

}  // namespace barrier
